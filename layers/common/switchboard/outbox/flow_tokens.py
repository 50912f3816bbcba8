"""Callers' own flow tokens: each opens one session, so a used one is refused before it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from switchboard.kernel.errors import Conflict
from switchboard.outbox.outgoing import Outgoing
from switchboard.store import flow_sessions as store
from switchboard.tools import Tools
from switchboard.transact import transact

_KIND = "flow_session"


def refuse_used_tokens(
    tools: Tools, tenant_id: UUID, items: Sequence[Outgoing]
) -> dict[int, Conflict]:
    """Return what the caller is told of each message whose token was used before, by its index.

    A request that comes again under its idempotency key is not refused: the key answers it. Of two
    requests at the same time both may pass; the session is then that of the first message. Raises
    Unavailable when the database is away.
    """
    own = [
        (n, effect["tk"], effect["at"])
        for n, item in enumerate(items)
        for effect in item.effects
        if effect["k"] == _KIND and effect["own"]
    ]
    if not own:
        return {}
    keys = {token: items[n].key for n, token, _ in reversed(own)}
    used = transact(
        tools, tenant_id, lambda connection: store.find_used(connection, tenant_id, keys)
    )
    refused: dict[int, Conflict] = {}
    # Of one call's messages with one token, the first; the same request twice is its key's affair.
    first: dict[str, tuple[int, str | None]] = {}
    for n, token, field in own:
        key = items[n].key
        known, its_key = first.setdefault(token, (n, key))
        again = known != n and (key is None or key != its_key)
        if token in used or again:
            refused[n] = Conflict("this flow_token was used for another message", field=field)
    return refused
