"""A person's switch for marketing, under /simulator.

POST /simulator/phone/{contact}/preferences   {"phone_number_id", "marketing": "stop" | "resume"}
Errors: {"error": <text>} with 404 or 422.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.simulator.exchange import Exchange
from local.simulator.preferences import Preference


class Choice(BaseModel):
    """What a person chooses."""

    model_config = ConfigDict(extra="forbid")

    phone_number_id: str
    marketing: Preference


class PreferenceControl:
    """The route."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def paths(self) -> list[tuple[str, str, Callable[[Request], Awaitable[Response]]]]:
        """Method, path behind /simulator, call."""
        return [("POST", "/phone/{contact}/preferences", self._choose)]

    async def _choose(self, request: Request) -> Response:
        person = self._exchange.people.find_or_add(request.path_params["contact"])
        if person is None:
            return JSONResponse({"error": "nobody is called that"}, status_code=404)
        choice = Choice.model_validate_json(await request.body())
        number = self._exchange.config.number(choice.phone_number_id)
        if number is None:
            return JSONResponse({"error": "phone_number_id is no hosted number"}, status_code=422)
        self._exchange.preferences.set(person, number, choice.marketing)
        return JSONResponse({"marketing": choice.marketing}, status_code=201)
