"""The backend's own /v1, asked over HTTP as its tenants' services ask it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpx

from local.simulator.config import Tenant

Json = dict[str, Any]

#: Names and messages that are looked up again and again: how many are kept, and how long.
_KEPT, _KEPT_SECONDS = 2_000, 600.0
#: Requests at a time: the page must not crowd out those whom the backend is there for.
_AT_ONCE = 4
_PATIENCE_SECONDS = 15.0


class Unanswered(Exception):
    """The backend did not do it; its text is for people. `status`: its own, 502 without any."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class BackendApi:
    """`url` is the backend's address. A tenant is named by its slug; its key stays in here."""

    def __init__(self, url: str, tenants: Iterable[Tenant]) -> None:
        self._url = url
        self._keys = {tenant.slug: tenant.api_key for tenant in tenants}
        # Not httpx's own limit: whoever waits for a connection there runs into the time limit.
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._client: httpx.AsyncClient | None = None
        self._kept: dict[tuple[str, str], tuple[float, Json]] = {}
        self._asked: dict[tuple[str, str], asyncio.Task[Json]] = {}
        # What may take long takes one turn of those at most.
        self._behind = asyncio.Semaphore(1)
        self._renewed: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def get(self, tenant: str, path: str, **query: str | int) -> Json:
        """Return what GET /v1/… answers; raises Unanswered."""
        # Empty ones would take away what the path has.
        return await self._ask("GET", tenant, path, params=query or None)

    async def post(self, tenant: str, path: str) -> Json:
        """Return what POST /v1/… without arguments answers; raises Unanswered."""
        return await self._ask("POST", tenant, path, json={})

    async def find(
        self,
        tenant: str,
        path: str,
        *,
        settled: Callable[[Json], bool] = lambda _: True,
        seconds: float = _KEPT_SECONDS,
    ) -> Json | None:
        """As `get`, an answer that is settled not more often than each `seconds`; None: unknown."""
        key = (tenant, path)
        at, known = self._kept.get(key, (0.0, {}))
        if known and time.monotonic() - at < seconds and settled(known):
            return known
        # Many runs are one person's: what several want at once is asked once.
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = asyncio.create_task(self.get(tenant, path))
            asked.add_done_callback(lambda _: self._asked.pop(key, None))
        try:
            found = await asyncio.shield(asked)
        except Unanswered as error:
            if error.status == 404:
                return None
            raise
        if settled(found):
            self._keep(key, found)
        return found

    def latest(self, tenant: str, path: str, *, seconds: float) -> Json | None:
        """Return the last answer at once; one that is older is asked for anew behind the scenes.

        For what may take long. None: there is no answer yet.
        """
        key = (tenant, path)
        at, known = self._kept.get(key, (-math.inf, {}))
        if time.monotonic() - at >= seconds and key not in self._renewed:
            task = self._renewed[key] = asyncio.create_task(self._renew(key, known))
            task.add_done_callback(lambda _: self._renewed.pop(key, None))
        return known or None

    async def _renew(self, key: tuple[str, str], known: Json) -> None:
        async with self._behind:
            # Where it fails what was known stays; asked again when it is old again.
            with contextlib.suppress(Unanswered):
                known = await self.get(*key)
            self._keep(key, known)

    def _keep(self, key: tuple[str, str], document: Json) -> None:
        self._kept[key] = (time.monotonic(), document)
        if len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]

    async def close(self) -> None:
        """Close the connections."""
        renewed = list(self._renewed.values())
        for task in renewed:
            task.cancel()
        await asyncio.gather(*renewed, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    async def _ask(self, method: str, tenant: str, path: str, **more: Any) -> Json:
        key = self._keys.get(tenant)
        if key is None:
            raise Unanswered(404, f"no tenant is called {tenant!r}")
        if self._client is None:
            # trust_env off: a proxy of the machine has no business between two local processes.
            self._client = httpx.AsyncClient(
                base_url=self._url, timeout=_PATIENCE_SECONDS, trust_env=False
            )
        headers = {"authorization": f"Bearer {key}"}
        try:
            async with self._turns:
                answer = await self._client.request(method, f"/v1/{path}", headers=headers, **more)
        except httpx.HTTPError as error:
            raise Unanswered(502, f"the API is away ({type(error).__name__})") from None
        try:
            document = answer.json()
        except ValueError:
            raise Unanswered(502, f"the API answers {answer.status_code} and no JSON") from None
        if not isinstance(document, dict):
            raise Unanswered(502, "the API answers no JSON object")
        if answer.is_error:
            said = document.get("detail") or document.get("message") or ""
            raise Unanswered(answer.status_code, f"the API answers {answer.status_code}: {said}")
        return document
