"""What a caller is told: 200 accepted by Meta, 202 on its way, a problem otherwise (design 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from switchboard.kernel.errors import ProblemError, RefusedByMeta, Unprocessable

#: Meta has the message.
_ACCEPTED = frozenset({"accepted", "sent", "delivered", "read", "played"})


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status and its document; from 400 on the document is RFC 9457 problem details."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)

    def stored(self) -> dict[str, Any]:
        """Return what an idempotency key keeps of it."""
        return {"status": self.status, "body": self.body}


def of_message(
    message_id: UUID | str,
    status: str,
    *,
    wa_message_id: str | None = None,
    decision: Sequence[dict[str, Any]] = (),
    error: dict[str, Any] | None = None,
) -> Answer:
    """Return the answer for a message in `status`; `decision` is its verdicts, oldest first.

    In a problem the member `status` is the HTTP status, as RFC 9457 has it; the message's own is
    `message_status`.
    """
    latest = decision[-1] if decision else None
    if status == "failed":
        told = error or {}
        sentence = told.get("details") or told.get("title") or "Meta refused the message"
        return of_problem(
            RefusedByMeta(str(sentence), extra=_extra(message_id, status, latest, {"error": told}))
        )
    if status in {"denied", "expired", "cancelled"}:
        reason = (latest or {}).get("reason", status)
        hint = (latest or {}).get("hint", "")
        return of_problem(
            Unprocessable(f"{reason}: {hint}", extra=_extra(message_id, status, latest, {}))
        )
    document = {
        "id": str(message_id),
        "status": status,
        "wa_message_id": wa_message_id,
        "decision": latest,
    }
    return Answer(200 if status in _ACCEPTED else 202, document)


def of_problem(error: ProblemError) -> Answer:
    """Return `error` as an answer: problem details with the field named."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
    }
    if error.field is not None:
        document["field"] = error.field
    document.update(error.extra)
    return Answer(error.status, document, error.headers)


def _extra(
    message_id: UUID | str, status: str, latest: dict[str, Any] | None, more: dict[str, Any]
) -> dict[str, Any]:
    return {"id": str(message_id), "message_status": status, "decision": latest, **more}
