"""One status of a message that we sent."""

from __future__ import annotations

from switchboard.whatsapp.storable import is_id
from switchboard.whatsapp.webhook.items import Status
from switchboard.whatsapp.webhook.payloads._read import Object
from switchboard.whatsapp.webhook.values import (
    LONGEST_WORD,
    bad_id,
    bad_time,
    id_or_none,
    seconds,
)


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
    )
