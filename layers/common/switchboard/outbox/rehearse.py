"""What would become of a message: asked and decided as a send, nothing stored, nothing sent."""

from __future__ import annotations

from uuid import UUID

from switchboard.kernel.errors import ProblemError
from switchboard.outbox.answers import Answer, of_problem
from switchboard.outbox.commit import commit
from switchboard.outbox.flow_tokens import refuse_used_tokens
from switchboard.outbox.outgoing import Outgoing
from switchboard.outbox.reserve import judge
from switchboard.tools import Tools


def rehearse(
    tools: Tools, tenant_id: UUID, item: Outgoing, *, scopes: frozenset[str] | None = None
) -> Answer:
    """Return 200 with {"status": allowed | denied | deferred, "decision"}, a denial included.

    What a send could not store (an unknown number, say) is the same problem as there. Raises
    Unavailable when the database is away.
    """
    refused = refuse_used_tokens(tools, tenant_id, [item])
    if refused:
        return of_problem(refused[0])
    try:
        decision = judge(
            tools, lambda run: commit(tools, run, again=True), tenant_id, item, scopes=scopes
        )
    except ProblemError as error:
        return of_problem(error)
    return Answer(200, {"status": decision["verdict"], "decision": decision})
