"""The Graph API as a WhatsApp backend uses it: messages, media, numbers, subscriptions.

Templates are in graph_template_routes.py, Flows in graph_flows.py, calls in graph_calls.py,
numbers in graph_numbers.py, block lists in graph_blocks.py, samples' uploads in graph_uploads.py.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from local.simulator.config import BusinessNumber
from local.simulator.exchange import Exchange
from local.simulator.faults import GraphFault
from local.simulator.graph_blocks import GraphBlocks
from local.simulator.graph_calls import GraphCalls
from local.simulator.graph_checks import Send, check_send
from local.simulator.graph_errors import GraphRefusal, unknown_object
from local.simulator.graph_fields import select_of_account, select_of_number
from local.simulator.graph_flows import GraphFlows
from local.simulator.graph_marketing import check_marketing
from local.simulator.graph_numbers import GraphNumbers
from local.simulator.graph_shapes import missing, unacceptable
from local.simulator.graph_template_routes import GraphTemplates
from local.simulator.graph_uploads import APP_ID, GraphUploads
from local.simulator.media import MAX_BYTES, Media, parse_form

Json = dict[str, Any]
Call = Callable[[Request, Json], Awaitable[Response]]

MEDIA_URL_SECONDS = 300
# Longer than any client waits, short enough not to keep dead connections for ever.
NEVER_SECONDS = 600.0
NEVER = "never answered"

_GATEWAY_PAGE = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"
)


class Graph:
    """Routes of the simulated Graph API. Every call is logged, refusals in Meta's shape."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._subscriptions: dict[str, Json] = {}
        self._templates = GraphTemplates(exchange, self._bearer)
        self._flows = GraphFlows(exchange, self._bearer)
        self._calls = GraphCalls(exchange, self._bearer)
        self._blocks = GraphBlocks(exchange, self._bearer)
        self._uploads = GraphUploads(self._bearer)
        self._number_calls = GraphNumbers(exchange, self._bearer, self._uploads)

    def routes(self) -> list[Route]:
        """All routes, the version being any `vN.N`."""
        paths: list[tuple[str, str, Call]] = [
            ("POST", "/messages", self._send),
            ("POST", "/marketing_messages", self._send_marketing),
            ("POST", "/media", self._upload),
            ("GET", "/phone_numbers", self._numbers),
            ("GET", "/subscribed_apps", self._subscribed),
            ("POST", "/subscribed_apps", self._subscribe),
            ("DELETE", "/subscribed_apps", self._unsubscribe),
            *self._templates.paths(),
            *self._flows.paths(),
            *self._calls.paths(),
            *self._blocks.paths(),
            *self._number_calls.paths(),
            *self._uploads.paths(),
            ("GET", "", self._read_node),
            ("POST", "", self._write_node),
            ("DELETE", "", self._delete_node),
        ]
        # Graph does not mind a slash at the end.
        routes = [
            Route(f"/{{version:graph}}/{{node}}{path}{end}", self._logged(call), methods=[method])
            for method, path, call in paths
            for end in ("", "/")
        ]
        lookaside = Route("/lookaside/{node}", self._logged(self._download), methods=["GET"])
        return [*routes, lookaside]

    def _logged(self, call: Call) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            began = time.perf_counter()
            entry: Json = {
                "at": time.time(),
                "method": request.method,
                "path": request.url.path,
                "node": request.path_params["node"],
                "body": None,
                "status": None,
                "response": None,
                "fault": "none",
            }
            try:
                await asyncio.sleep(self._exchange.faults.now.graph_delay_ms / 1000)
                response = await call(request, entry)
            except GraphRefusal as refusal:
                response = JSONResponse(refusal.body(), status_code=refusal.status)
            response.headers["facebook-api-version"] = request.path_params.get("version", "")
            if entry["response"] != NEVER:
                entry["status"] = response.status_code
                if response.headers.get("content-type", "").startswith("application/json"):
                    entry["response"] = json.loads(bytes(response.body))
                entry["ms"] = round((time.perf_counter() - began) * 1000, 1)
                self._exchange.journal.log_call(entry)
            return response

        return answer

    # Who calls, and for which number

    def _bearer(self, request: Request) -> set[str]:
        """The WABAs this token may use; raises 190."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip() or request.query_params.get("access_token", "")
        allowed = {n.waba_id for n in self._exchange.config.numbers if n.access_token == token}
        if not allowed or (scheme and scheme.lower() != "bearer"):
            raise GraphRefusal(
                190, message="Invalid OAuth access token - Cannot parse access token"
            )
        return allowed

    def _number(self, request: Request) -> BusinessNumber:
        allowed = self._bearer(request)
        node = request.path_params["node"]
        number = self._exchange.config.number(node)
        if number is None or number.waba_id not in allowed:
            raise unknown_object(request.method.lower(), node)
        return number

    def _account(self, request: Request) -> str:
        waba_id: str = request.path_params["node"]
        if waba_id not in self._bearer(request):
            raise unknown_object(request.method.lower(), waba_id)
        return waba_id

    def _media(self, request: Request) -> Media:
        allowed = self._bearer(request)
        media = self._exchange.media.get(request.path_params["node"])
        owner = self._exchange.config.number(media.phone_number_id) if media else None
        if media is None or owner is None or owner.waba_id not in allowed:
            raise unknown_object(request.method.lower(), request.path_params["node"])
        # Who names a number asks for that number's files only.
        if request.query_params.get("phone_number_id") in (None, media.phone_number_id):
            return media
        raise unknown_object(request.method.lower(), media.id)

    # Messages

    async def _send(self, request: Request, entry: Json) -> Response:
        number = self._number(request)
        body = await _json_object(request)
        entry["body"] = body
        if body.get("status") is not None:
            return self._mark_read(number, body)
        return await self._take(request, entry, number, check_send)

    async def _send_marketing(self, request: Request, entry: Json) -> Response:
        number = self._number(request)
        entry["body"] = await _json_object(request)
        templates = self._exchange.templates
        return await self._take(
            request, entry, number, lambda body: check_marketing(body, number, templates)
        )

    async def _take(
        self,
        request: Request,
        entry: Json,
        number: BusinessNumber,
        check: Callable[[Json], Send],
    ) -> Response:
        body = entry["body"]
        fault, code = self._exchange.faults.take_graph_fault()
        entry["fault"] = fault
        refused = _before_acceptance(fault, code)
        if refused is not None:
            return refused
        person, message = self._exchange.accept(number, check(body))
        entry["accepted"] = message.id
        if fault == "server_error_after":
            raise GraphRefusal(131000)
        if fault == "timeout_after":
            # Logged here: the call's end is the client's patience, maybe minutes away.
            entry["response"] = NEVER
            self._exchange.journal.log_call(entry)
            await _until_gone(request)
            return Response(status_code=504)
        contact: Json = {"input": str(body.get("to") or body.get("recipient"))}
        if person.wa_id:
            contact["wa_id"] = person.wa_id
        if person.user_id:
            contact["user_id"] = person.user_id
        accepted: Json = {"id": message.id}
        if message.type == "template":
            accepted["message_status"] = "accepted"
        return JSONResponse(
            {"messaging_product": "whatsapp", "contacts": [contact], "messages": [accepted]}
        )

    def _mark_read(self, number: BusinessNumber, body: Json) -> Response:
        if body.get("messaging_product") != "whatsapp":
            raise unacceptable("The parameter messaging_product is required.")
        if body["status"] != "read":
            raise unacceptable("Param status must be one of {READ}")
        message_id = body.get("message_id")
        if not isinstance(message_id, str) or not message_id:
            raise unacceptable("The parameter message_id is required.")
        typing = body.get("typing_indicator")
        if typing is not None and (not isinstance(typing, dict) or typing.get("type") != "text"):
            raise missing("typing_indicator['type']")
        self._exchange.mark_read(number, message_id, typing=typing is not None)
        return JSONResponse({"success": True})

    # Media

    async def _upload(self, request: Request, entry: Json) -> Response:
        number = self._number(request)
        form = parse_form(request.headers.get("content-type", ""), await request.body())
        if form.get("messaging_product", (b"", None))[0] != b"whatsapp":
            raise unacceptable("The parameter messaging_product is required.")
        if "file" not in form:
            raise unacceptable("The parameter file is required.")
        content, kind = form["file"]
        kind = form["type"][0].decode("ascii", "replace") if "type" in form else kind
        entry["body"] = {"type": kind, "bytes": len(content)}
        if not kind or not content or len(content) > MAX_BYTES:
            raise GraphRefusal(131053, details="The file is empty, too large or without a type.")
        media = self._exchange.media.store(
            content, mime_type=kind, phone_number_id=number.phone_number_id
        )
        return JSONResponse({"id": media.id})

    async def _write_node(self, request: Request, entry: Json) -> Response:
        if self._templates.knows(request):
            return await self._templates.edit(request, entry)
        if self._flows.knows(request):
            return await self._flows.edit(request, entry)
        if self._number_calls.knows(request):
            return await self._number_calls.write(request, entry)
        if self._uploads.knows(request):
            return await self._uploads.write(request, entry)
        self._bearer(request)
        raise unknown_object("post", request.path_params["node"])

    async def _read_node(self, request: Request, entry: Json) -> Response:
        node = request.path_params["node"]
        if self._templates.knows(request):
            return await self._templates.read(request, entry)
        if self._flows.knows(request):
            return await self._flows.read(request, entry)
        if self._number_calls.knows(request):
            number = self._number(request)
            return JSONResponse(select_of_number(request, self._number_calls.describe(number)))
        if self._uploads.knows(request):
            return await self._uploads.read(request, entry)
        if any(n.waba_id == node for n in self._exchange.config.numbers):
            account = {"id": self._account(request), "name": "Simulated account"}
            account |= {"currency": "USD", "timezone_id": "1"}
            return JSONResponse(select_of_account(request, account))
        media = self._media(request)
        expires = int(time.time()) + MEDIA_URL_SECONDS
        return JSONResponse(
            {
                "messaging_product": "whatsapp",
                "url": f"{request.base_url}lookaside/{media.id}?ext={expires}",
                "mime_type": media.mime_type,
                "sha256": base64.b64decode(media.sha256).hex(),
                "file_size": media.size,
                "id": media.id,
            }
        )

    async def _download(self, request: Request, _: Json) -> Response:
        media = self._media(request)
        expires = request.query_params.get("ext", "")
        if not expires.isdigit() or int(expires) < time.time():
            return Response(status_code=404)
        return Response(self._exchange.media.read(media), media_type=media.mime_type)

    async def _delete_node(self, request: Request, entry: Json) -> Response:
        if self._flows.knows(request):
            return await self._flows.delete(request, entry)
        self._exchange.media.delete(self._media(request))
        return JSONResponse({"success": True})

    # Accounts

    async def _numbers(self, request: Request, _: Json) -> Response:
        waba_id = self._account(request)
        hosted = [n for n in self._exchange.config.numbers if n.waba_id == waba_id]
        listed = [select_of_number(request, self._number_calls.describe(one)) for one in hosted]
        return JSONResponse({"data": listed, "paging": {"cursors": {"before": "A", "after": "Z"}}})

    async def _subscribed(self, request: Request, _: Json) -> Response:
        waba_id = self._account(request)
        app: Json = {
            "whatsapp_business_api_data": {
                "id": APP_ID,
                "name": "Switchboard",
                "link": f"https://www.facebook.com/games/?app_id={APP_ID}",
            }
        }
        known = self._subscriptions.get(waba_id, {})
        return JSONResponse({"data": [app | known] if waba_id in self._subscriptions else []})

    async def _subscribe(self, request: Request, entry: Json) -> Response:
        waba_id = self._account(request)
        body = await _json_object(request) if await request.body() else {}
        entry["body"] = {key: value for key, value in body.items() if key != "verify_token"}
        override = body.get("override_callback_uri")
        self._subscriptions[waba_id] = {"override_callback_uri": override} if override else {}
        return JSONResponse({"success": True})

    async def _unsubscribe(self, request: Request, _: Json) -> Response:
        self._subscriptions.pop(self._account(request), None)
        return JSONResponse({"success": True})


async def _json_object(request: Request) -> Json:
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise unacceptable("The request body is not a JSON object.")
    return body


def _before_acceptance(fault: GraphFault, code: int | None) -> Response | None:
    match fault:
        case "server_error":
            raise GraphRefusal(131000)
        case "throttled":
            raise GraphRefusal(130429)
        case "throttled_pair":
            raise GraphRefusal(131056)
        case "error":
            raise GraphRefusal(code or 131000)
        case "html_502":
            return HTMLResponse(_GATEWAY_PAGE, status_code=502)
        case _:
            return None


async def _until_gone(request: Request) -> None:
    """Never answer: wait until the client hangs up, or for a very long time."""
    deadline = time.monotonic() + NEVER_SECONDS
    while time.monotonic() < deadline:
        if request.app.state.stopping.is_set() or await request.is_disconnected():
            return
        await asyncio.sleep(0.1)
