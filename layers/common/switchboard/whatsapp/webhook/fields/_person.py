"""Who the other side of a call or of a copied message is."""

from __future__ import annotations

import re
from typing import Any

from switchboard.kernel.phones import national_variant, told_alike
from switchboard.whatsapp.webhook.items import Sender
from switchboard.whatsapp.webhook.payloads._read import Object

_OURS = ("to", "to_user_id", "to_parent_user_id")
_THEIRS = ("from", "from_user_id", "from_parent_user_id")


def business_phone(value: Object) -> str | None:
    """Return the digits of the business number a value came to, None where it does not say.

    In the one form of several that Meta writes.
    """
    metadata = value.get("metadata")
    shown = metadata.get("display_phone_number") if type(metadata) is dict else None
    found = re.sub(r"\D", "", shown) if type(shown) is str else ""
    return national_variant(found) if found else None


def is_from_business(item: Object, value: Object) -> bool:
    """Return whether `item` went from the business to a person."""
    phone, sender = business_phone(value), item.get("from")
    if phone is not None and type(sender) is str:
        sender = national_variant(sender.removeprefix("+"))
        return sender == phone or told_alike(sender, phone)
    return "to" in item or "to_user_id" in item


def turned(item: Object) -> Object:
    """Return what the business wrote as if the person had: their ids where a sender's are."""
    other = {key: part for key, part in item.items() if key not in _OURS and key not in _THEIRS}
    return other | {
        theirs: item[ours] for ours, theirs in zip(_OURS, _THEIRS, strict=True) if ours in item
    }


def person(sender: Sender) -> dict[str, Any]:
    """Return the person's part of an event's document.

    `i` holds the identifiers, [{"k": kind, "v": value} …], the leading one first; `n` the name they
    show, where they show one.
    """
    found = []
    if sender.wa_id:
        found.append({"k": "phone", "v": national_variant(sender.wa_id)})
    if sender.user_id:
        found.append({"k": "user_id", "v": sender.user_id})
    if sender.parent_user_id:
        found.append({"k": "parent_user_id", "v": sender.parent_user_id})
    document: dict[str, Any] = {"i": found}
    if sender.profile_name:
        document["n"] = sender.profile_name
    return document
