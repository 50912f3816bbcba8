"""Flows under /simulator, for the page.

GET /simulator/flows/{flow_id}              a Flow's JSON: where its preview leads
GET /simulator/messages/{message_id}/flow   what the button of a message opens: {"token", "screen",
                                            "data", "document"}; document null: not uploaded here
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.simulator.exchange import Exchange
from local.simulator.phone import Message

Json = dict[str, Any]


def flow_of(message: Message) -> Json | None:
    """What the message says of its Flow: Meta's parameters, with the token; None without a Flow.

    Of a template's button only the token and its data are known.
    """
    if message.author != "business":
        return None
    if message.type == "interactive" and message.content.get("type") == "flow":
        found: Json = message.content["action"]["parameters"]
        return found
    if message.type != "template":
        return None
    for component in message.content.get("components") or []:
        if str(component.get("sub_type")).lower() == "flow":
            action = ((component.get("parameters") or [{}])[0]).get("action") or {}
            data = action.get("flow_action_data") or {}
            token = action.get("flow_token", "unused")
            return {"flow_token": token, "flow_action_payload": {"data": data}}
    return None


class FlowControl:
    """The routes; an unknown Flow or message is answered 404."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def paths(self) -> list[tuple[str, str, Callable[[Request], Awaitable[Response]]]]:
        """Method, path behind /simulator, call."""
        return [
            ("GET", "/flows/{flow_id}", self._show),
            ("GET", "/messages/{message_id}/flow", self._open),
        ]

    async def _show(self, request: Request) -> Response:
        flow = self._exchange.flows.get(request.path_params["flow_id"])
        if flow is None:
            return JSONResponse({"error": "no such flow"}, status_code=404)
        return JSONResponse(flow.document)

    async def _open(self, request: Request) -> Response:
        message = self._exchange.phone.get(request.path_params["message_id"])
        asked = None if message is None else flow_of(message)
        if message is None or asked is None:
            return JSONResponse({"error": "no such flow message"}, status_code=404)
        number = self._exchange.config.number(message.phone_number_id)
        payload = asked.get("flow_action_payload") or {}
        document = None
        if number is not None:
            document = self._exchange.flows.opened(number.waba_id, asked)
        return JSONResponse(
            {
                "token": asked.get("flow_token", "unused"),
                "screen": payload.get("screen"),
                "data": payload.get("data") or {},
                "document": document,
            }
        )
