"""The phone page's and the tests' API, under /simulator.

    GET    /simulator/state                      people, numbers, faults, chats: what the page needs
    GET    /simulator/events                     server-sent events: message, typing, call, webhook…
    POST   /simulator/phone/{contact}/messages   a person does something (see gestures.py)
    GET    /simulator/phone/{contact}/messages   what that phone shows  ?phone_number_id=
    POST   /simulator/phone/{contact}/seen       the person looks at the chat {"phone_number_id"}
    POST   /simulator/phone/{contact}/calls      the person calls, takes, ends (call_control.py)
    POST   /simulator/phone/{contact}/preferences  {"phone_number_id", "marketing": "stop"|"resume"}
    POST   /simulator/phone/{contact}/window     {"phone_number_id", "open": false} closes the 24 h
    GET    /simulator/requests                   Graph calls, oldest first ?limit= (DELETE empties)
    GET    /simulator/webhooks                   attempts of delivery, oldest first, and how many
                                                 updates are pending  ?limit=
    POST   /simulator/webhooks/flush             attempt everything now  ?timeout= (seconds, 10)
    GET    /simulator/faults  POST  DELETE       read, set some of, reset the switches (faults.py)
    GET    /simulator/media/{id}                 a stored picture, for the page
    POST   /simulator/reset                      forget chats, logs, pictures and faults
           /simulator/templates                  see template_control.py
           /simulator/numbers                    see number_control.py
           /simulator/flows, /simulator/messages see flow_control.py
           /simulator/business                   see business.py

{contact} is a name of the cast, a number in any form, or a business-scoped user id; a new number or
user id becomes a new person. Errors: {"error": <text>} with 404 or 422.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from local.simulator.call_control import CallControl
from local.simulator.config import BusinessNumber
from local.simulator.exchange import Exchange
from local.simulator.flow_control import FlowControl
from local.simulator.gestures import GESTURE, Impossible, perform
from local.simulator.number_control import NumberControl
from local.simulator.people import CAST, Person
from local.simulator.preference_control import PreferenceControl
from local.simulator.template_control import TemplateControl

Json = dict[str, Any]

# A comment line that often keeps proxies and readers from thinking the stream died.
HEARTBEAT_SECONDS = 15.0
_SHOWN_LOG = 60
_SHOWN_MESSAGES = 1_500


class _Refused(Exception):
    """The request cannot be served; carries the HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Control:
    """Routes of the simulator's own API."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[Route]:
        """All routes under /simulator."""
        phone = "/phone/{contact}"
        paths: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("GET", "/state", self._state),
            ("GET", "/events", self._events),
            ("POST", f"{phone}/messages", self._act),
            ("GET", f"{phone}/messages", self._messages),
            ("POST", f"{phone}/seen", self._seen),
            ("POST", f"{phone}/window", self._window),
            ("GET", "/requests", self._requests),
            ("DELETE", "/requests", self._forget_requests),
            ("GET", "/webhooks", self._webhooks),
            ("POST", "/webhooks/flush", self._flush),
            ("GET", "/faults", self._faults),
            ("POST", "/faults", self._change_faults),
            ("DELETE", "/faults", self._reset_faults),
            ("GET", "/media/{media_id}", self._picture),
            ("POST", "/reset", self._reset),
            *TemplateControl(self._exchange, _document).paths(),
            *FlowControl(self._exchange).paths(),
            *CallControl(self._exchange).paths(),
            *PreferenceControl(self._exchange).paths(),
            *NumberControl(self._exchange, _document).paths(),
        ]
        return [
            Route(f"/simulator{path}", _explained(call), methods=[method])
            for method, path, call in paths
        ]

    def _person(self, request: Request) -> Person:
        name = request.path_params["contact"]
        person = self._exchange.people.find_or_add(name)
        if person is None:
            raise _Refused(404, f"nobody is called {name!r}: a name, number or user id is needed")
        return person

    def _number(self, phone_number_id: object) -> BusinessNumber:
        number = self._exchange.config.number(str(phone_number_id))
        if number is None:
            raise _Refused(422, f"phone_number_id {phone_number_id!r} is no hosted number")
        return number

    # The phone

    async def _state(self, _: Request) -> Response:
        exchange = self._exchange
        messages = list(exchange.phone.all())[-_SHOWN_MESSAGES:]
        # After a load test there are thousands of strangers: those who wrote last are enough.
        recent = {message.person_id for message in messages}
        cast = {person.id for person in CAST}
        people = [person for person in exchange.people if person.id in cast | recent]
        hosted = exchange.config.numbers
        shown = ("waba_id", "phone_number_id", "display_phone_number", "verified_name", "tenant")
        return JSONResponse(
            {
                "people": [asdict(person) for person in people],
                "numbers": [n.model_dump(include=set(shown)) for n in hosted],
                "webhook_url": exchange.config.webhook_url,
                "faults": exchange.faults.now.model_dump(mode="json"),
                "messages": [exchange.view(message) for message in messages],
                "phone_calls": exchange.calls.all()[-_SHOWN_LOG:],
                "calls": list(exchange.journal.calls)[-_SHOWN_LOG:],
                "webhooks": list(exchange.journal.webhooks)[-_SHOWN_LOG:],
            }
        )

    async def _act(self, request: Request) -> Response:
        document = await _document(request)
        person = self._person(request)
        number = self._number(document.get("phone_number_id"))
        gesture = GESTURE.validate_python(document)
        message = perform(self._exchange, person, number, gesture)
        return JSONResponse(self._exchange.view(message), status_code=201)

    async def _messages(self, request: Request) -> Response:
        person = self._person(request)
        asked = request.query_params.get("phone_number_id")
        hosted = [n.phone_number_id for n in self._exchange.config.numbers]
        messages = [
            message
            for phone_number_id in ([asked] if asked else hosted)
            for message in self._exchange.phone.chat((person.id, phone_number_id))
        ]
        messages.sort(key=lambda message: message.at)
        return JSONResponse({"messages": [self._exchange.view(m) for m in messages]})

    async def _seen(self, request: Request) -> Response:
        document = await _document(request)
        number = self._number(document.get("phone_number_id"))
        seen = self._exchange.show_chat(self._person(request), number)
        return JSONResponse({"read": [message.id for message in seen]})

    async def _window(self, request: Request) -> Response:
        document = await _document(request)
        number = self._number(document.get("phone_number_id"))
        key = (self._person(request).id, number.phone_number_id)
        now = self._exchange.clock()
        self._exchange.phone.set_window(key, now if document.get("open") else 0.0)
        return JSONResponse({"open": self._exchange.phone.window_open(key, now)})

    async def _picture(self, request: Request) -> Response:
        media = self._exchange.media.get(request.path_params["media_id"])
        if media is None or not media.mime_type.startswith("image/"):
            raise _Refused(404, "no such picture")
        # An uploaded SVG must not become a page with scripts.
        headers = {"Content-Security-Policy": "default-src 'none'; sandbox"}
        content = self._exchange.media.read(media)
        return Response(content, media_type=media.mime_type, headers=headers)

    # What happened

    async def _events(self, _: Request) -> Response:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers=headers)

    async def _stream(self) -> AsyncIterator[str]:
        watcher = self._exchange.journal.watch()
        try:
            yield "retry: 1000\nevent: hello\ndata: {}\n\n"
            while True:
                try:
                    event = await asyncio.wait_for(watcher.queue.get(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if event is None:
                    return
                kind, data = event
                yield f"event: {kind}\ndata: {json.dumps(data)}\n\n"
        finally:
            self._exchange.journal.dismiss(watcher)

    async def _requests(self, request: Request) -> Response:
        return JSONResponse({"requests": _newest(request, list(self._exchange.journal.calls))})

    async def _forget_requests(self, _: Request) -> Response:
        self._exchange.journal.clear()
        return Response(status_code=204)

    async def _webhooks(self, request: Request) -> Response:
        attempts = _newest(request, list(self._exchange.journal.webhooks))
        return JSONResponse({"pending": self._exchange.webhooks.pending, "webhooks": attempts})

    async def _flush(self, request: Request) -> Response:
        asked = request.query_params.get("timeout", "10")
        try:
            within = float(asked)
        except ValueError:
            within = math.nan
        if not 0 <= within < math.inf:
            raise _Refused(400, "timeout must be a number of seconds")
        done = await self._exchange.webhooks.flush(within)
        return JSONResponse({"done": done, "pending": self._exchange.webhooks.pending})

    # Switches

    async def _faults(self, _: Request) -> Response:
        return JSONResponse(self._exchange.faults.now.model_dump(mode="json"))

    async def _change_faults(self, request: Request) -> Response:
        return JSONResponse(self._exchange.change_faults(await _document(request)))

    async def _reset_faults(self, _: Request) -> Response:
        return JSONResponse(self._exchange.reset_faults())

    async def _reset(self, _: Request) -> Response:
        self._exchange.forget_everything()
        return Response(status_code=204)


def _explained(
    call: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return await call(request)
        except _Refused as refused:
            return JSONResponse({"error": str(refused)}, status_code=refused.status)
        except (ValidationError, Impossible) as error:
            return JSONResponse({"error": str(error)}, status_code=422)

    return answer


async def _document(request: Request) -> Json:
    try:
        document = json.loads(await request.body())
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise _Refused(422, "the body must be a JSON object")
    return document


def _newest(request: Request, entries: list[Json]) -> list[Json]:
    limit = request.query_params.get("limit", "")
    return entries[-int(limit) :] if limit.isdigit() and int(limit) > 0 else entries
