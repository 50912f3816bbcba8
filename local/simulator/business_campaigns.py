"""A tenant's campaigns with how far they have come, asked of the backend's API."""

from __future__ import annotations

import asyncio
from typing import Any

from local.simulator.backend_api import BackendApi

Json = dict[str, Any]

#: The newest, of each tenant.
_SHOWN = 20
#: What has ended changes little: late ticks, and somebody's STOP.
_ENDED, _ENDED_SECONDS = frozenset({"completed", "cancelled"}), 15.0
#: A cost is added up message by message: of a million that takes a while.
_COST_SECONDS = 10.0


async def campaigns_of(api: BackendApi, tenant: str) -> list[Json]:
    """Return the newest campaigns as GET /v1/campaigns/{id} shows them, with their `cost`.

    That is what …/cost answered last, None where it has not yet. Raises Unanswered.
    """
    listed = await api.get(tenant, "campaigns", limit=_SHOWN)

    async def shown(row: Json) -> Json | None:
        path = f"campaigns/{row['id']}"
        found = await api.find(tenant, path, settled=_has_ended, seconds=_ENDED_SECONDS)
        cost = api.latest(tenant, f"{path}/cost", seconds=_COST_SECONDS)
        return None if found is None else {**found, "cost": cost}

    found = await asyncio.gather(*[shown(row) for row in listed["data"]])
    return [one for one in found if one is not None]


def _has_ended(shown: Json) -> bool:
    return shown["campaign"]["status"] in _ENDED
