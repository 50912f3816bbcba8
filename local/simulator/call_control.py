"""Calls under /simulator, for the page and the tests.

GET  /simulator/phone/{contact}/calls   the person's calls, oldest first
POST /simulator/phone/{contact}/calls   {"phone_number_id", "do", "reply_to"?}: what the person does

do: call (reply_to: the message whose call button was tapped), accept, decline, miss, hang_up.
Errors: {"error": <text>} with 404 or 422.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.simulator.calls import Call, CallOver, view
from local.simulator.config import BusinessNumber
from local.simulator.exchange import Exchange
from local.simulator.people import Person


class Deed(BaseModel):
    """What a person does about a call."""

    model_config = ConfigDict(extra="forbid")

    phone_number_id: str
    do: Literal["call", "accept", "decline", "miss", "hang_up"]
    reply_to: str | None = None


class CallControl:
    """The routes."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def paths(self) -> list[tuple[str, str, Callable[[Request], Awaitable[Response]]]]:
        """Method, path behind /simulator, call."""
        path = "/phone/{contact}/calls"
        return [("GET", path, self._list), ("POST", path, self._act)]

    async def _list(self, request: Request) -> Response:
        person = self._person(request)
        found = [] if person is None else self._exchange.calls.all()
        return JSONResponse({"calls": [c for c in found if person and c["contact"] == person.id]})

    async def _act(self, request: Request) -> Response:
        person = self._person(request)
        if person is None:
            return JSONResponse({"error": "nobody is called that"}, status_code=404)
        try:
            deed = Deed.model_validate(json.loads(await request.body()))
            number = self._exchange.config.number(deed.phone_number_id)
            if number is None:
                raise CallOver(f"phone_number_id {deed.phone_number_id!r} is no hosted number")
            call = self._perform(person, number, deed)
        except (ValidationError, ValueError) as error:
            return JSONResponse({"error": str(error)}, status_code=422)
        return JSONResponse(view(call), status_code=201)

    def _perform(self, person: Person, number: BusinessNumber, deed: Deed) -> Call:
        calls = self._exchange.calls
        match deed.do:
            case "call":
                return self._exchange.ring(person, number, self._payload(deed.reply_to))
            case "accept":
                return calls.take(person, number)
            case "decline":
                return calls.decline(person, number)
            case "miss":
                return calls.miss(person, number)
            case "hang_up":
                return calls.hang_up(person, number)

    def _payload(self, message_id: str | None) -> str | None:
        """What the button of that message carries; None without one."""
        message = self._exchange.phone.get(message_id) if message_id else None
        if message is None:
            return None
        action = message.content.get("action") or {}
        payload = (action.get("parameters") or {}).get("payload")
        return str(payload) if payload is not None else None

    def _person(self, request: Request) -> Person | None:
        return self._exchange.people.find_or_add(request.path_params["contact"])
