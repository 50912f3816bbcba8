"""A tenant's campaigns with how far they have come, asked of the backend's API."""

from __future__ import annotations

import asyncio
from typing import Any

from local.simulator.backend_api import BackendApi, Unanswered

Json = dict[str, Any]

#: The newest, of each tenant.
_SHOWN = 20
#: What has ended changes little: late ticks, and somebody's STOP.
_ENDED, _ENDED_SECONDS = frozenset({"completed", "cancelled"}), 15.0
#: A cost is added up message by message.
_COST_SECONDS = 10.0


async def campaigns_of(api: BackendApi, tenant: str) -> list[Json]:
    """Return the newest campaigns as GET /v1/campaigns/{id} shows them, with their `cost`.

    That is what …/cost answers, None where it answers nothing. Raises Unanswered.
    """
    listed = await api.get(tenant, "campaigns", limit=_SHOWN)

    async def shown(row: Json) -> Json | None:
        path = f"campaigns/{row['id']}"
        found, cost = await asyncio.gather(
            api.find(tenant, path, settled=_has_ended, seconds=_ENDED_SECONDS),
            _cost(api, tenant, path),
        )
        return None if found is None else {**found, "cost": cost}

    found = await asyncio.gather(*[shown(row) for row in listed["data"]])
    return [one for one in found if one is not None]


async def _cost(api: BackendApi, tenant: str, path: str) -> Json | None:
    try:
        return await api.find(tenant, f"{path}/cost", seconds=_COST_SECONDS)
    except Unanswered:
        # The campaign is shown without it.
        return None


def _has_ended(shown: Json) -> bool:
    return shown["campaign"]["status"] in _ENDED
