"""What SES publishes of a mail to EventBridge (source `aws.ses`), read into our words.

`detail` is SES's event object: `eventType`, an object of its own for most types, and `mail` with
SES's message id and the tags that we sent (SES Developer Guide, "Examples of event data that Amazon
SES publishes"; the detail types: EventBridge's reference of SES events). EventBridge delivers at
least once and in any order, and SES publishes with best effort.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from switchboard.kernel.errors import SwitchboardError
from switchboard.ses.client import EMAIL_TAG, TENANT_TAG


class Odd(SwitchboardError):
    """The event is none of a mail of ours; the text says why."""


class _Kind(NamedTuple):
    """Our word, SES's member with the details, what the mail becomes, the log's status."""

    word: str
    member: str | None
    rank: int
    log: str | None


#: By `eventType`. Greater ranks count more: a mail that was delivered and then came back for good,
#: or was called spam, is that. What only says that SES has it has rank 1.
_KINDS = {
    "send": _Kind("sent", None, 1, "sent"),
    "deliverydelay": _Kind("delayed", "deliveryDelay", 1, "deferred"),
    "delivery": _Kind("delivered", "delivery", 3, "delivered"),
    "reject": _Kind("rejected", "reject", 4, "failed"),
    "bounce": _Kind("bounced", "bounce", 2, "bounced"),
    "complaint": _Kind("complained", "complaint", 6, "failed"),
}
_HARD_BOUNCE = 5
#: A report that takes the mail out of the spam folder (SES Developer Guide, "Complaint object").
_NOT_SPAM = _Kind("not_spam", "complaint", 0, None)


@dataclass(frozen=True, slots=True)
class Told:
    """One event of one mail. `document` is what sql/0036's take_email_event takes."""

    tenant_id: UUID
    email_id: UUID
    document: dict[str, Any]


def read(event: Mapping[str, Any]) -> Told:
    """Return what an event says; raises Odd."""
    detail = event.get("detail")
    if event.get("source") != "aws.ses" or not isinstance(detail, Mapping):
        raise Odd("it is no event of SES")
    mail = detail.get("mail")
    if not isinstance(mail, Mapping):
        raise Odd("it is about no mail")
    tenant_id, email_id = _tag(mail, TENANT_TAG), _tag(mail, EMAIL_TAG)
    word = str(detail.get("eventType") or "").replace(" ", "").lower()
    kind = _KINDS.get(word) or _Kind(word[:50] or "unknown", None, 0, None)
    told = detail.get(kind.member) if kind.member else None
    told = told if isinstance(told, Mapping) else {}
    if kind.word == "complained" and told.get("complaintFeedbackType") == "not-spam":
        kind = _NOT_SPAM
    is_hard = kind.word == "bounced" and told.get("bounceType") == "Permanent"
    kept = {"eventType": detail.get("eventType"), "messageId": mail.get("messageId")}
    if kind.member:
        kept[kind.member] = dict(told)
    elif not kind.rank:
        # A word of tomorrow: whole, but for the mail's own headers.
        kept |= {name: value for name, value in detail.items() if name != "mail"}
    occurred_at = _time(told.get("timestamp"), mail.get("timestamp"), event.get("time"))
    try:
        said = orjson.dumps([kind.word, occurred_at, kept], option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        raise Odd("it holds what JSON has no words for") from None
    suppress = "bounce" if is_hard else "complaint" if kind.word == "complained" else None
    return Told(
        tenant_id,
        email_id,
        {
            "sha256": hashlib.sha256(said).hexdigest(),
            "kind": kind.word,
            "rank": _HARD_BOUNCE if is_hard else kind.rank,
            "reason": _reason(kind.word, told),
            "occurred_at": occurred_at,
            "ses_message_id": _text(mail.get("messageId")),
            "log": kind.log,
            "suppress": suppress,
            "detail": kept,
        },
    )


def _tag(mail: Mapping[str, Any], name: str) -> UUID:
    tags = mail.get("tags")
    values = tags.get(name) if isinstance(tags, Mapping) else None
    try:
        return UUID(values[0])  # type: ignore[index]  # what cannot be indexed is caught
    except (TypeError, ValueError, IndexError, KeyError, AttributeError):
        raise Odd(f"the tag {name} is missing or none of ours") from None


def _time(*given: Any) -> str:
    for text in given:
        try:
            at = datetime.fromisoformat(text)
        except (TypeError, ValueError):
            continue
        if at.tzinfo is not None:
            return at.isoformat()
    raise Odd("it has no time")


def _reason(kind: str, told: Mapping[str, Any]) -> str | None:
    parts: list[Any] = []
    if kind == "bounced":
        recipients = told.get("bouncedRecipients")
        first = recipients[0] if isinstance(recipients, list) and recipients else {}
        first = first if isinstance(first, Mapping) else {}
        parts = [told.get("bounceType"), told.get("bounceSubType"), first.get("diagnosticCode")]
    elif kind == "complained":
        parts = ["complaint", told.get("complaintFeedbackType"), told.get("complaintSubType")]
    elif kind == "rejected":
        parts = [told.get("reason")]
    words = ": ".join(_text(part) or "" for part in parts if part)
    return words[:500] or (kind if kind in {"bounced", "complained", "rejected"} else None)


def _text(value: Any) -> str | None:
    # Postgres has no text that holds a NUL.
    return str(value).replace("\0", "")[:500] if value else None
