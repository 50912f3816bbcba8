"""Orders in which the statuses of a message that Meta took may arrive, and what they add up to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Any


class Moment(IntEnum):
    """When statuses arrive."""

    #: Before the answer to the request.
    REQUEST = 1
    #: When the first process has ended, before anybody else has come by.
    CRASH = 2
    #: After the next worker.
    RECOVERED = 3
    #: After the settle time.
    LATE = 4


@dataclass(frozen=True)
class Word:
    """One status of Meta's; `bare`: without the key that we sent along."""

    status: str
    code: int | None = None
    bare: bool = False

    def at(self, taken: int) -> int:
        """Return its second: the rungs a second apart, however late they arrive."""
        return taken - 4 + ("sent", "failed", "delivered", "read").index(self.status)


class Webhooks(StrEnum):
    """An order; what stands in each is in `ORDERS`."""

    BEFORE = "before"
    SPLIT = "split"
    AFTER = "after"
    RECOVERED = "recovered"
    LOST = "lost"
    TWICE = "twice"
    REVERSED = "reversed"
    LATE = "late"
    BARE_BEFORE = "bare-before"
    FAILED_BEFORE = "failed-before"
    FAILED_AFTER = "failed-after"
    FAILED_BEFORE_SENT = "failed-before-sent"
    FAILED_LATE = "failed-late"
    FAILED_TWICE = "failed-twice"
    FAILED_THEN_DELIVERED = "failed-then-delivered"
    DELIVERED_THEN_FAILED = "delivered-then-failed"
    FAILED_PAUSES = "failed-pauses"
    ALL_TWICE = "all-twice"


def _words(text: str, *, bare: bool = False) -> tuple[Word, ...]:
    made = []
    for word in text.split():
        status, _, code = word.partition(":")
        made.append(Word(status, int(code) if code else None, bare))
    return tuple(made)


_ALL = _words("sent delivered read")
#: What is told at which moment.
ORDERS: dict[Webhooks, tuple[tuple[Moment, tuple[Word, ...]], ...]] = {
    Webhooks.BEFORE: ((Moment.REQUEST, _ALL),),
    Webhooks.SPLIT: (
        (Moment.REQUEST, _words("sent")),
        (Moment.CRASH, _words("delivered")),
        (Moment.LATE, _words("read")),
    ),
    Webhooks.AFTER: ((Moment.CRASH, _ALL),),
    Webhooks.RECOVERED: ((Moment.RECOVERED, _ALL),),
    Webhooks.LOST: (),
    Webhooks.TWICE: ((Moment.CRASH, _ALL * 2),),
    Webhooks.REVERSED: ((Moment.CRASH, _ALL[::-1]),),
    Webhooks.LATE: ((Moment.LATE, _ALL),),
    Webhooks.BARE_BEFORE: ((Moment.REQUEST, _words("sent delivered", bare=True)),),
    Webhooks.FAILED_BEFORE: ((Moment.REQUEST, _words("failed:131026")),),
    Webhooks.FAILED_AFTER: ((Moment.CRASH, _words("sent failed:131049")),),
    Webhooks.FAILED_BEFORE_SENT: ((Moment.CRASH, _words("failed:131047 sent")),),
    Webhooks.FAILED_LATE: ((Moment.LATE, _words("failed:131026")),),
    Webhooks.FAILED_TWICE: (
        (Moment.REQUEST, _words("failed:131049")),
        (Moment.CRASH, _words("failed:131026 failed:131049 failed:131026")),
    ),
    Webhooks.FAILED_THEN_DELIVERED: (
        (Moment.REQUEST, _words("failed:132015")),
        (Moment.RECOVERED, _words("delivered")),
    ),
    Webhooks.DELIVERED_THEN_FAILED: (
        (Moment.REQUEST, _words("delivered")),
        (Moment.CRASH, _words("failed:131026")),
    ),
    Webhooks.FAILED_PAUSES: ((Moment.CRASH, _words("failed:131042")),),
    Webhooks.ALL_TWICE: (
        (Moment.REQUEST, _words("read")),
        (Moment.CRASH, _words("sent failed:131026 delivered read")),
        (Moment.LATE, _words("delivered failed:131026 sent")),
    ),
}
#: Nothing that settles a doubt is told before the settle time is over: without our key a status
#: says nothing of a message whose id never reached us.
SILENT_ORDERS = frozenset(
    {Webhooks.LOST, Webhooks.LATE, Webhooks.FAILED_LATE, Webhooks.BARE_BEFORE}
)
#: A person has to let the account go on.
PAUSING_ORDERS = frozenset({Webhooks.FAILED_PAUSES})

#: The ladder of what Meta tells.
_RUNGS = ("sent", "failed", "delivered", "read")


def told_by(order: Webhooks) -> tuple[Word, ...]:
    """Return all words of an order."""
    return tuple(word for _, words in ORDERS[order] for word in words)


def top(words: Iterable[Word]) -> str | None:
    """Return the highest rung, None where nothing is told."""
    return max((word.status for word in words), key=_RUNGS.index, default=None)


def times(words: Sequence[Word], taken: int) -> dict[str, datetime | None]:
    """Return each rung's time of a message, as its row must show it."""
    told = {word.status: datetime.fromtimestamp(word.at(taken), UTC) for word in words}
    return {f"{rung}_at": told.get(rung) for rung in _RUNGS}


def status(word: Word, wa_message_id: str, callback_data: str, taken: int) -> dict[str, Any]:
    """Return the status as Meta writes it."""
    document: dict[str, Any] = {
        "id": wa_message_id,
        "status": word.status,
        "timestamp": str(word.at(taken)),
        "recipient_id": "4915550001",
    }
    if not word.bare:
        document["biz_opaque_callback_data"] = callback_data
    if word.code is not None:
        document["errors"] = [{"code": word.code, "title": f"error {word.code}"}]
    return document
