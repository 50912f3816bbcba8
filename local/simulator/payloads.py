"""Webhook payloads in Meta's shapes (v23): one update each, and the envelope around many."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from typing import Any, Literal

from local.simulator.config import BusinessNumber
from local.simulator.people import Person
from local.simulator.phone import Message

Json = dict[str, Any]

WINDOW_SECONDS = 24 * 3600


def new_message_id(address: str, *, inbound: bool) -> str:
    """A `wamid.` id: base64 over the person's address and random hex, as Meta's look."""
    marks = (b"\x12\x18\x14", 10) if inbound else (b"\x11\x18\x12", 9)
    random = secrets.token_hex(marks[1]).upper().encode()
    name = address.encode()
    raw = b"\x1c\x18" + bytes([min(len(name), 255)]) + name + b"\x15\x02\x00" + marks[0] + random
    return "wamid." + base64.b64encode(raw + b"\x00").decode()


@dataclass(frozen=True, slots=True)
class Update:
    """One message or status on its way to the backend. Serialisable: it survives a restart.

    `lane`: updates of one chat leave in order unless a switch says otherwise. Of a whole account
    (kind `account`): `item` is the value of the webhook's `field`, told at the second `at`.
    """

    id: str
    phone_number_id: str
    kind: Literal["messages", "statuses", "account"]
    item: Json
    contacts: list[Json] = field(default_factory=list)
    lane: str = ""
    waba_id: str = ""
    field: str = "messages"
    at: int = 0


def account_update(waba_id: str, field: str, value: Json, at: float) -> Update:
    """What Meta tells of an account itself: of templates, reviews, limits."""
    return Update(
        id=secrets.token_hex(8),
        phone_number_id="",
        kind="account",
        item=value,
        lane=waba_id,
        waba_id=waba_id,
        field=field,
        at=int(at),
    )


def inbound(number: BusinessNumber, person: Person, message: Message) -> Update:
    """What a person did, as `messages[]` carries it."""
    item: Json = {}
    if message.quoted_id:
        item["context"] = {"from": number.display_phone_number, "id": message.quoted_id}
        if message.product:
            item["context"]["referred_product"] = message.product
    if person.wa_id:
        item["from"] = person.wa_id
    if person.user_id:
        item["from_user_id"] = person.user_id
    item |= {"id": message.id, "timestamp": str(int(message.at)), "type": message.type}
    content = dict(message.content)
    if message.type == "reaction" and not content.get("emoji"):
        content.pop("emoji", None)  # a removal comes without the key
    # The phone keeps objects; Meta's contacts are a list.
    item[message.type] = content.get("items", content)
    return Update(
        id=secrets.token_hex(8),
        phone_number_id=number.phone_number_id,
        kind="messages",
        item=item,
        contacts=[person.contact()],
        lane=f"{number.phone_number_id}/{person.id}",
    )


def status(person: Person, message: Message, word: str, at: float) -> Update:
    """What became of a business's message, as `statuses[]` carries it.

    v23: `conversation` and `pricing` come with sent and delivered, the expiry with sent only;
    `contacts` never with failed; the callback data always.
    """
    item: Json = {"id": message.id, "status": word, "timestamp": str(int(at))}
    if person.wa_id:
        item["recipient_id"] = person.wa_id
    if person.user_id and (word != "failed" or not person.wa_id):
        item["recipient_user_id"] = person.user_id
    if message.callback_data is not None:
        item["biz_opaque_callback_data"] = message.callback_data
    if word in ("sent", "delivered") and message.type != "reaction":
        paid = message.type == "template"
        category = (message.shown or {}).get("category", "utility") if paid else "service"
        conversation: Json = {
            "id": hashlib.sha256(message.id.encode()).hexdigest()[:32],
            "origin": {"type": category},
        }
        if word == "sent":
            conversation["expiration_timestamp"] = str(int(message.at) + WINDOW_SECONDS)
        item["conversation"] = conversation
        item["pricing"] = {
            "billable": paid,
            "pricing_model": "PMP",
            "type": "regular" if paid else "free_customer_service",
            "category": category,
        }
    if word == "failed" and message.error:
        item["errors"] = [message.error]
    return Update(
        id=secrets.token_hex(8),
        phone_number_id=message.phone_number_id,
        kind="statuses",
        item=item,
        contacts=[] if word == "failed" else [person.contact()],
        lane=f"{message.phone_number_id}/{person.id}",
    )


def envelope(updates: list[tuple[BusinessNumber | None, Update]]) -> Json:
    """One POST's object: an entry per WABA, a change per number, its messages and statuses.

    What is told of an account has an entry of its own, with its time and without any number.
    """
    accounts: dict[str, dict[str, Json]] = {}
    told: list[Json] = []
    for number, update in updates:
        if number is None:
            change = {"value": update.item, "field": update.field}
            told.append({"id": update.waba_id, "time": update.at, "changes": [change]})
            continue
        values = accounts.setdefault(number.waba_id, {})
        value = values.setdefault(
            number.phone_number_id,
            {
                "messaging_product": "whatsapp",
                "metadata": {
                    "display_phone_number": number.display_phone_number,
                    "phone_number_id": number.phone_number_id,
                },
            },
        )
        if update.contacts:
            known = value.setdefault("contacts", [])
            known.extend(contact for contact in update.contacts if contact not in known)
        value.setdefault(update.kind, []).append(update.item)
    return {
        "object": "whatsapp_business_account",
        "entry": [
            {
                "id": waba_id,
                "changes": [{"value": value, "field": "messages"} for value in values.values()],
            }
            for waba_id, values in accounts.items()
        ]
        + told,
    }


def encode(envelope: Json) -> bytes:
    r"""Bytes as Meta writes them: ASCII, everything else as lower-case \u escapes, and `\/`."""
    text = json.dumps(envelope, separators=(",", ":"), ensure_ascii=True)
    return text.replace("/", "\\/").encode("ascii")


def signature(body: bytes, secret: str, algorithm: Literal["sha256", "sha1"] = "sha256") -> str:
    """The value of X-Hub-Signature-256 (or, with sha1, of the legacy X-Hub-Signature)."""
    return f"{algorithm}={hmac.new(secret.encode(), body, algorithm).hexdigest()}"
