"""Messages as a job's effect: stored in the job's own transaction, sent when it has committed."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from switchboard.kernel.clock import uuid7
from switchboard.kernel.db import Connection
from switchboard.outbox.answers import Answer, of_message
from switchboard.outbox.effects import with_effects
from switchboard.outbox.outgoing import Outgoing
from switchboard.outbox.reserve import reserve
from switchboard.tools import Tools


def queue(
    tools: Tools, connection: Connection, tenant_id: UUID, items: Sequence[Outgoing]
) -> list[Answer]:
    """Decide and store `items` in the transaction that is open on `connection`, leasing none.

    They are due at once: whoever commits calls `run_due` or lets the next tick do it. Returns what
    became of each, in order: pending, denied, or a problem.
    """
    made = reserve(
        tools,
        lambda run: run(connection),
        tenant_id,
        [with_effects(item, tools.settings.public_url) for item in items],
        token=uuid7(),
        lease=False,
    )
    answers = []
    for n in range(len(items)):
        if n in made.answers:
            answers.append(made.answers[n])
        elif n in made.unfinished:
            answers.append(of_message(made.unfinished[n], "pending"))
        else:
            ready = made.messages[n]
            answers.append(of_message(ready.message_id, "pending", decision=ready.decision or ()))
    return answers
