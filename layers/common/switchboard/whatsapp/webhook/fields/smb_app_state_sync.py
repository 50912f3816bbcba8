"""The address book of a number's phone app (field smb_app_state_sync, coexistence).

`add` also means edited, `remove` takes the name away. The names are what staff call people, as far
as staff have not said otherwise here.
"""

from __future__ import annotations

from collections.abc import Iterable

from switchboard.kernel.phones import digits, national_variant
from switchboard.whatsapp.webhook.fields._field import Change, Field, odd
from switchboard.whatsapp.webhook.fields._told import optional_word, parts, told, word
from switchboard.whatsapp.webhook.items import Event, Item
from switchboard.whatsapp.webhook.payloads._read import Object, Odd
from switchboard.whatsapp.webhook.values import seconds

NAME = "smb_app_state_sync"


def _read(change: Change) -> Iterable[Item]:
    for part in parts(change.value, "state_sync"):
        try:
            if change.phone_number_id is None:
                raise Odd("metadata.phone_number_id is missing")
            if type(part) is not dict:
                raise Odd("an entry is not an object")
            yield _entry(change, part)
        except Odd as problem:
            yield odd(change, part, str(problem))


def _entry(change: Change, part: Object) -> Event:
    metadata = part.get("metadata")
    at = seconds(metadata.get("timestamp")) if type(metadata) is dict else None
    only = {"state_sync": [part]}
    action = word(part, "action")
    contact = part.get("contact")
    if part.get("type") != "contact" or type(contact) is not dict:
        return told(change, "account_event", NAME, action, at=at, part=only, shown=part)
    said = contact.get("phone_number")
    phone = digits(said) if type(said) is str else None
    if phone is None:
        raise Odd("phone_number is missing or no number")
    name = None
    if action != "remove":
        name = optional_word(contact, "full_name") or optional_word(contact, "first_name")
    return told(
        change,
        "address_book",
        NAME,
        action,
        at=at,
        part=only,
        shown={},
        phone=national_variant(phone),
        name=name,
    )


KIND = Field(name=NAME, read=_read, events=("address_book", "account_event"), is_apart=True)
