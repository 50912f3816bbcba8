"""One status of a message that we sent."""

from __future__ import annotations

from switchboard.kernel.phones import digits
from switchboard.whatsapp.storable import is_id
from switchboard.whatsapp.webhook.items import Sender, Status
from switchboard.whatsapp.webhook.payloads._read import Object
from switchboard.whatsapp.webhook.values import (
    LONGEST_WORD,
    bad_id,
    bad_time,
    id_or_none,
    seconds,
)

#: Characters of an id that a contact is found by; Meta's have at most 140.
_LONGEST_USER_ID = 200


def read_status(item: Object, waba_id: str | None, phone_number_id: str) -> Status | str:
    """Return the status, or why there is none."""
    message_id = item.get("id")
    if not is_id(message_id):
        return bad_id("id", message_id)
    word = item.get("status")
    if type(word) is not str or not word or len(word) > LONGEST_WORD:
        return "status is missing or no word"
    timestamp = seconds(item.get("timestamp"))
    if timestamp is None:
        return bad_time(item.get("timestamp"))
    participant = item.get("recipient_participant_id") or item.get("participant_recipient_id")
    if participant and not is_id(participant):
        return bad_id("recipient_participant_id", participant)
    data = item.get("biz_opaque_callback_data")
    errors = item.get("errors")
    return Status(
        waba_id,
        phone_number_id,
        message_id,
        word,
        timestamp,
        id_or_none(item.get("recipient_id")),
        participant or "",
        data if type(data) is str else None,
        [error for error in errors if type(error) is dict] if type(errors) is list else [],
        item,
        None if participant or "recipient_user_id" not in item else _recipient(item),
    )


def _recipient(item: Object) -> Sender | None:
    """Return whom a status names by a user id and another id; None for a group.

    (Webhooks, business-scoped user ids. An earlier version wrote `parent_recipient_user_id`.)
    """
    user_id = _user_id(item["recipient_user_id"])
    if user_id is None or item.get("recipient_type") == "group":
        return None
    said = item.get("recipient_id")
    phone = digits(said) if type(said) is str else None
    parent = item.get("recipient_parent_user_id") or item.get("parent_recipient_user_id")
    parent_id = _user_id(parent)
    if phone is None and parent_id is None:
        return None
    return Sender(phone, user_id, parent_id, None, None)


def _user_id(value: object) -> str | None:
    # What is longer finds nobody, and must not cost the status.
    return value if type(value) is str and 0 < len(value) <= _LONGEST_USER_ID else None
