"""The page's second view, under /simulator: what the demo's businesses have under way.

    GET  /simulator/business/campaigns   the newest of each tenant, with their progress
    POST /simulator/business/campaigns/{tenant}/{id}/{deed}   start, pause, resume, cancel
    GET  /simulator/business/runs        ?from=&until= (ISO 8601): what automations did in that time

Nothing of it is the simulator's own knowledge: it asks the backend's API with the tenants' keys,
which never leave this process. The lists are {"api": <bool>, "tenants": [{"tenant", "name",
"error", …}]}; `api` false: no API is known here, as where the simulator runs alone. What the API
refuses is {"error": <text>} with its status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.simulator.backend_api import BackendApi, Unanswered
from local.simulator.business_campaigns import campaigns_of
from local.simulator.business_runs import runs_of
from local.simulator.exchange import Exchange

Json = dict[str, Any]
_DEEDS = frozenset({"start", "pause", "resume", "cancel"})


class Business:
    """The routes."""

    def __init__(self, exchange: Exchange) -> None:
        config = exchange.config
        self._exchange = exchange
        self._tenants = config.tenants if config.api_url else ()
        self._api = BackendApi(config.api_url, self._tenants)

    def routes(self) -> list[Route]:
        """All routes under /simulator/business."""
        campaigns = "/simulator/business/campaigns"
        deed = f"{campaigns}/{{tenant}}/{{campaign:uuid}}/{{deed}}"
        return [
            Route(campaigns, self._campaigns, methods=["GET"]),
            Route(deed, self._act, methods=["POST"]),
            Route("/simulator/business/runs", self._runs, methods=["GET"]),
        ]

    async def stop(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def _campaigns(self, _: Request) -> Response:
        async def find(tenant: str) -> Json:
            return {"campaigns": await campaigns_of(self._api, tenant)}

        return await self._of_each(find)

    async def _act(self, request: Request) -> Response:
        tenant, deed = request.path_params["tenant"], request.path_params["deed"]
        if deed not in _DEEDS:
            return JSONResponse({"error": f"nothing is called {deed!r}"}, status_code=404)
        try:
            path = f"campaigns/{request.path_params['campaign']}/{deed}"
            return JSONResponse(await self._api.post(tenant, path))
        except Unanswered as error:
            return JSONResponse({"error": str(error)}, status_code=error.status)

    async def _runs(self, request: Request) -> Response:
        try:
            since, until = (_moment(request.query_params[name]) for name in ("from", "until"))
        except (KeyError, ValueError):
            wrong = "from and until must be times with an offset, in ISO 8601"
            return JSONResponse({"error": wrong}, status_code=422)

        async def find(tenant: str) -> Json:
            return await runs_of(self._api, self._exchange.phone, tenant, since, until)

        return await self._of_each(find)

    async def _of_each(self, find: Callable[[str], Awaitable[Json]]) -> Response:
        """Answer with what is found of every tenant; one that fails costs itself only."""

        async def of(tenant: str) -> Json:
            try:
                return {"error": None, **await find(tenant)}
            except Unanswered as error:
                return {"error": str(error)}

        found = await asyncio.gather(*[of(tenant.slug) for tenant in self._tenants])
        named = [
            {"tenant": tenant.slug, "name": tenant.name, **document}
            for tenant, document in zip(self._tenants, found, strict=True)
        ]
        return JSONResponse({"api": bool(self._tenants), "tenants": named})


def _moment(text: str) -> datetime:
    """Return a time with its offset; raises ValueError."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("no offset")
    return found
