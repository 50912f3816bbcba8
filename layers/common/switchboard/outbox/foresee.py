"""What would have become of messages at other times, by what is known of people now.

The policy is asked as a send asks it. What it says of the limits of a number, a pair and a
portfolio and of the cap of marketing hangs on what else goes out at that time: nobody knows that of
another time, so it is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from switchboard.kernel.db import Connection
from switchboard.kernel.errors import ProblemError
from switchboard.outbox.outgoing import Outgoing
from switchboard.outbox.reserve import question, weigh
from switchboard.store import outbox as store
from switchboard.store.outbox import Asked
from switchboard.tools import Tools

#: Messages of one statement.
SLICE = 500


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would have become of one: a decision as it is stored, or the problem.

    `kind` is what the policy and the price go by, `recipient` digits or a user id.
    """

    problem: str | None = None
    decision: dict[str, Any] | None = None
    kind: str = ""
    recipient: str = ""
    inside_window: bool = False


def foresee(
    tools: Tools,
    connection: Connection,
    tenant_id: UUID,
    items: Sequence[tuple[Outgoing, datetime]],
) -> list[Foreseen]:
    """Return what would have become of each item at its time, in order; nothing is stored."""
    found: dict[int, Foreseen] = {}
    for start in range(0, len(items), SLICE):
        part = range(start, min(start + SLICE, len(items)))
        document = orjson.dumps([question(n, replace(items[n][0], key=None)) for n in part])
        for asked in store.ask(connection, tenant_id, document.decode(), tools.clock.now):
            item, at = items[asked.n]
            found[asked.n] = _weighed(tools, tenant_id, replace(item, key=None), _then(asked, at))
    return [found[n] for n in range(len(items))]


def _then(asked: Asked, at: datetime) -> Asked:
    person = None if asked.person is None else {**asked.person, "cap": None}
    return replace(asked, at=at, person=person, portfolio=None, pair_free_at=None, sendable_at=None)


def _weighed(tools: Tools, tenant_id: UUID, item: Outgoing, asked: Asked) -> Foreseen:
    try:
        ready = weigh(tools, tenant_id, item, asked)
    except ProblemError as error:
        return Foreseen(problem=error.detail)
    end = asked.window_expires_at
    return Foreseen(
        decision=ready.decision[0] if ready.decision else None,
        kind=str(ready.kind),
        recipient=ready.recipient,
        inside_window=end is not None and end > asked.at,
    )
