"""The tests' hand on numbers, under /simulator.

GET  /simulator/numbers/{phone_number_id}   its standing (numbers.py)
POST /simulator/numbers/{phone_number_id}   {"quality"?, "throughput"?, "tier"?, "status"?,
                                            "is_on_biz_app"?}: Meta decides, and what it would
                                            tell goes out as webhooks
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.simulator.exchange import Exchange

Json = dict[str, Any]


class Decision(BaseModel):
    """What Meta decides about a number."""

    model_config = ConfigDict(extra="forbid")

    quality: Literal["GREEN", "YELLOW", "RED", "UNKNOWN"] | None = None
    throughput: Literal["STANDARD", "HIGH", "NOT_APPLICABLE"] | None = None
    tier: Literal["TIER_250", "TIER_2K", "TIER_10K", "TIER_100K", "TIER_UNLIMITED"] | None = None
    status: str | None = None
    is_on_biz_app: bool | None = None


class NumberControl:
    """Routes of numbers; `read` gives a request's JSON object."""

    def __init__(self, exchange: Exchange, read: Callable[[Request], Awaitable[Json]]) -> None:
        self._exchange = exchange
        self._read = read

    def paths(self) -> list[tuple[str, str, Callable[[Request], Awaitable[Response]]]]:
        """Method, path, call."""
        path = "/numbers/{phone_number_id}"
        return [("GET", path, self._show), ("POST", path, self._decide)]

    async def _show(self, request: Request) -> Response:
        number = self._exchange.config.number(request.path_params["phone_number_id"])
        if number is None:
            return JSONResponse({"error": "no such number"}, status_code=404)
        return JSONResponse(asdict(self._exchange.numbers.of(number)))

    async def _decide(self, request: Request) -> Response:
        number = self._exchange.config.number(request.path_params["phone_number_id"])
        if number is None:
            return JSONResponse({"error": "no such number"}, status_code=404)
        decision = Decision.model_validate(await self._read(request))
        numbers = self._exchange.numbers
        standing = numbers.of(number)
        if decision.status is not None:
            standing.status = decision.status
        if decision.is_on_biz_app is not None:
            standing.is_on_biz_app = decision.is_on_biz_app
        if decision.quality is not None:
            numbers.set_quality(number, decision.quality)
        if decision.throughput is not None:
            numbers.set_throughput(number, decision.throughput)
        if decision.tier is not None:
            numbers.set_tier(number, decision.tier)
        numbers.save(number)
        return JSONResponse(asdict(standing))
