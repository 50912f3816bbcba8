"""The Graph API of calls: making, answering and ending them, permissions, settings.

Refusals are Meta's: 138xxx, and 613 for too many questions about permissions.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.simulator.calls import DAY, MOST_CALLS, REQUESTS, Call
from local.simulator.config import BusinessNumber
from local.simulator.exchange import Exchange
from local.simulator.graph_errors import GraphRefusal, unknown_object
from local.simulator.graph_shapes import missing, object_of, text_of, unacceptable, word_of
from local.simulator.people import Person, digits_of, whatsapp_id

Json = dict[str, Any]
Answer = Callable[[Request, Json], Awaitable[Response]]

_ACTIONS = ("connect", "pre_accept", "accept", "reject", "terminate")
_SETTINGS = {
    "status",
    "call_icon_visibility",
    "call_icons",
    "callback_permission_status",
    "call_hours",
    "sip",
}
_LONGEST_SDP = 65_536


class GraphCalls:
    """The calls about calls. `bearer` tells the accounts that a request's token may use."""

    def __init__(self, exchange: Exchange, bearer: Callable[[Request], set[str]]) -> None:
        self._exchange = exchange
        self._calls = exchange.calls
        self._bearer = bearer

    def paths(self) -> list[tuple[str, str, Answer]]:
        """Method, path behind the node, call."""
        return [
            ("POST", "/calls", self._act),
            ("GET", "/call_permissions", self._permissions),
            ("GET", "/settings", self._settings),
            ("POST", "/settings", self._change_settings),
        ]

    async def _act(self, request: Request, entry: Json) -> Response:
        number = self._number(request)
        body = entry["body"] = await _document(request)
        if body.get("messaging_product") != "whatsapp":
            raise unacceptable("Param messaging_product must be one of {WHATSAPP}")
        action = word_of(body, "action", "the request", _ACTIONS)
        if self._calls.settings(number)["status"] != "ENABLED":
            raise GraphRefusal(138000)
        if action == "connect":
            return self._connect(number, body)
        call_id = text_of(body, "call_id", 512)
        call = self._calls.get(str(call_id))
        if call is None or call.phone_number_id != number.phone_number_id:
            raise GraphRefusal(138004, details="The call does not exist.")
        if action in ("pre_accept", "accept"):
            _session(body, "answer")
        self._calls.act(self._person(call), number, call, action)
        return JSONResponse({"messaging_product": "whatsapp", "success": True})

    def _connect(self, number: BusinessNumber, body: Json) -> Response:
        person = self._callee(number, body.get("to"), body.get("recipient"))
        _session(body, "offer")
        key = text_of(body, "biz_opaque_callback_data", 512, required=False)
        call = self._calls.connect(person, number, key)
        return JSONResponse({"messaging_product": "whatsapp", "calls": [{"id": call.id}]})

    async def _permissions(self, request: Request, _: Json) -> Response:
        number = self._number(request)
        self._calls.take_question(number)
        query = request.query_params
        person = self._callee(number, query.get("user_wa_id"), query.get("recipient"))
        word, until = self._calls.permission(person, number)
        permission: Json = {"status": word}
        if until is not None:
            permission["expiration_time"] = until
        asking = [
            _limit(
                "PT24H" if seconds == DAY else "P7D",
                most,
                self._calls.requests(person, number, seconds),
            )
            for seconds, most in REQUESTS
        ]
        calling = [_limit("PT24H", MOST_CALLS, self._calls.calls_of_a_day(person, number))]
        actions = [
            _action("send_call_permission_request", asking, word != "permanent"),
            _action("start_call", calling, word != "no_permission"),
        ]
        return JSONResponse(
            {"messaging_product": "whatsapp", "permission": permission, "actions": actions}
        )

    async def _settings(self, request: Request, _: Json) -> Response:
        return JSONResponse({"calling": self._calls.settings(self._number(request))})

    async def _change_settings(self, request: Request, entry: Json) -> Response:
        number = self._number(request)
        body = entry["body"] = await _document(request)
        calling = object_of(body, "calling", "the request")
        for key in calling:
            if key not in _SETTINGS:
                raise unacceptable(f"Param calling['{key}'] is not known.")
        for key, words in {
            "status": ("ENABLED", "DISABLED"),
            "call_icon_visibility": ("DEFAULT", "DISABLE_ALL"),
            "callback_permission_status": ("ENABLED", "DISABLED"),
        }.items():
            if key in calling:
                word_of(calling, key, "calling", words)
        self._calls.set_settings(number, calling)
        return JSONResponse({"success": True})

    def _number(self, request: Request) -> BusinessNumber:
        allowed = self._bearer(request)
        node = request.path_params["node"]
        number = self._exchange.config.number(node)
        if number is None or number.waba_id not in allowed:
            raise unknown_object(request.method.lower(), node)
        return number

    def _callee(self, number: BusinessNumber, to: Any, recipient: Any) -> Person:
        if to is None and recipient is None:
            raise missing("to")
        digits = digits_of(to) if isinstance(to, str) else None
        if to is not None and digits is None:
            raise GraphRefusal(131009, details="The parameter to is not a valid phone number.")
        if digits and whatsapp_id(digits) == whatsapp_id(number.display_phone_number):
            raise GraphRefusal(131021)
        person = self._exchange.people.find_or_add(digits or str(recipient))
        if person is None:
            raise GraphRefusal(138001)
        return person

    def _person(self, call: Call) -> Person:
        person = self._exchange.people.find_or_add(call.person_id)
        assert person is not None  # whoever has a call is known
        return person


def _limit(period: str, most: int, used: int) -> Json:
    return {"time_period": period, "max_allowed": most, "current_usage": min(used, most)}


def _action(name: str, limits: list[Json], may: bool) -> Json:  # noqa: FBT001 - Meta's own flag
    free = all(one["current_usage"] < one["max_allowed"] for one in limits)
    return {"action_name": name, "can_perform_action": may and free, "limits": limits}


def _session(body: Json, kind: str) -> None:
    session = object_of(body, "session", "the request")
    word_of(session, "sdp_type", "session", (kind,))
    sdp = text_of(session, "sdp", _LONGEST_SDP, path="session")
    if not str(sdp).startswith("v=0"):
        raise GraphRefusal(100, details="The SDP is not valid (RFC 8866).")


async def _document(request: Request) -> Json:
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise unacceptable("The request body is not a JSON object.")
    return body
