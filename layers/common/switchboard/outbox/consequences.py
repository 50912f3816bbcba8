"""What Meta's answers lead to besides what becomes of their messages (whatsapp.errors).

Applied after the commit that settles the answers, in a transaction of its own: it locks people and
accounts, which come before messages in the order of locks. A worker that dies in between loses
nothing for good: what holds up a number is said again by the answer to its next message, and so is
what Meta says of a template or a person to the next that is sent there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg

from switchboard.kernel.errors import Unavailable
from switchboard.kernel.log import log
from switchboard.outbox.commit import commit
from switchboard.outbox.ready import Ready
from switchboard.outbox.transmit import Landed
from switchboard.store import consequences as store
from switchboard.store.consequences import Alert
from switchboard.tools import Tools
from switchboard.whatsapp.client import Rejected, Throttled
from switchboard.whatsapp.consequences import consequences_of
from switchboard.whatsapp.errors import Mending, rule_of


def follow(tools: Tools, landed: Sequence[Landed]) -> None:
    """Apply what `landed`, settled already, leads to; costs nothing where nothing was refused.

    Raises nothing: the messages are settled, and there is nobody to tell.
    """
    tenants: dict[UUID, list[dict[str, Any]]] = {}
    for ready, outcome in landed:
        if isinstance(outcome, Rejected | Throttled) and outcome.code is not None:
            items = _items(ready, outcome, outcome.code)
            if items:
                tenants.setdefault(ready.tenant_id, []).extend(items)
    for tenant_id in sorted(tenants):
        try:
            alerts = _apply(tools, tenant_id, tenants[tenant_id])
        except (Unavailable, psycopg.Error) as error:
            log.error("outbox.consequences_lost", tenant_id=tenant_id, error=error)
            continue
        for alert in alerts:
            log.error(
                "meta.alert",
                tenant_id=tenant_id,
                phone_number_id=alert.phone_number_id,
                code=alert.code,
                meaning=alert.meaning,
            )


def _apply(tools: Tools, tenant_id: UUID, items: list[dict[str, Any]]) -> list[Alert]:
    return commit(
        tools,
        lambda connection: store.apply(connection, tenant_id, items, tools.clock.now),
        again=True,
    )


def _items(ready: Ready, outcome: Rejected | Throttled, code: int) -> list[dict[str, Any]]:
    wait = outcome.retry_after_s if isinstance(outcome, Throttled) else None
    items = consequences_of(code, outcome.http_status, wait_s=wait)
    about = {"a": ready.account_id, "m": ready.message_id, "d": outcome.details or outcome.title}
    for item in items:
        item.update(about)
        if item["k"] == "pause_number" and ready.access_token is not None and _is_token(code):
            # A token that was replaced while the request was out pauses nothing.
            item["x"] = bytes(ready.access_token).hex()
    return items


def _is_token(code: int) -> bool:
    return rule_of(code).mended_by is Mending.TOKEN
