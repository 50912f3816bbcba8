"""Graph's calls about the people that a number has blocked.

Only who wrote to the number in the last 24 hours can be blocked (131047 beside the others); some
taken and some not is 400 with 139100 and both lists. Blocked people's messages reach nobody, and
what is sent to them fails.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.simulator.config import BusinessNumber
from local.simulator.exchange import Exchange
from local.simulator.graph_errors import GraphRefusal, unknown_object
from local.simulator.graph_shapes import unacceptable
from local.simulator.people import Person
from local.simulator.phone import WINDOW_SECONDS

Json = dict[str, Any]
Call = Callable[[Request, Json], Awaitable[Response]]

MOST = 64_000


class GraphBlocks:
    """The calls about blocks. `bearer` tells the accounts that a request's token may use."""

    def __init__(self, exchange: Exchange, bearer: Callable[[Request], set[str]]) -> None:
        self._exchange = exchange
        self._bearer = bearer

    def paths(self) -> list[tuple[str, str, Call]]:
        """Method, path behind the node, call."""
        path = "/block_users"
        return [
            ("GET", path, self._list),
            ("POST", path, self._block),
            ("DELETE", path, self._unblock),
        ]

    async def _list(self, request: Request, _: Json) -> Response:
        number = self._number(request)
        ids = self._exchange.numbers.of(number).blocked
        limit = request.query_params.get("limit", "25")
        after = request.query_params.get("after", "0")
        if not limit.isdigit() or not after.isdigit() or not int(limit):
            raise unacceptable("Param limit and param after must be what a page named.")
        start, end = int(after), int(after) + int(limit)
        people = [self._exchange.people.find(person_id) for person_id in ids[start:end]]
        data = [
            {"messaging_product": "whatsapp", **_names(person)}
            for person in people
            if person is not None
        ]
        paging: Json = {"cursors": {"before": str(start), "after": str(start + len(data))}}
        if end < len(ids):
            paging["next"] = f"{request.url.include_query_params(after=end)}"
        return JSONResponse({"data": data, "paging": paging if data else {}})

    async def _block(self, request: Request, entry: Json) -> Response:
        number, asked = await self._asked(request, entry)
        blocked = self._exchange.numbers.of(number).blocked
        taken: list[Json] = []
        failed: list[Json] = []
        for given, person in asked:
            error = self._refusal(number, person, blocked)
            if error is not None or person is None:
                failed.append({"input": given, **_names(person), "errors": [error]})
                continue
            if person.id not in blocked:
                blocked.append(person.id)
            taken.append({"input": given, **_names(person)})
        self._exchange.numbers.save(number)
        return _answer("added_users", taken, failed)

    async def _unblock(self, request: Request, entry: Json) -> Response:
        number, asked = await self._asked(request, entry)
        standing = self._exchange.numbers.of(number)
        gone = {person.id for _, person in asked if person is not None}
        standing.blocked = [person_id for person_id in standing.blocked if person_id not in gone]
        self._exchange.numbers.save(number)
        taken = [{"input": given, **_names(one)} for given, one in asked if one is not None]
        unknown = GraphRefusal(131009, details="The user is not a valid WhatsApp user.")
        failed = [
            {"input": given, "errors": [_error(unknown)]} for given, one in asked if one is None
        ]
        return _answer("removed_users", taken, failed)

    async def _asked(
        self, request: Request, entry: Json
    ) -> tuple[BusinessNumber, list[tuple[str, Person | None]]]:
        """The number, and each user with the person behind the name; `user` wins over `user_id`."""
        number = self._number(request)
        try:
            body = json.loads(await request.body())
        except ValueError:
            body = None
        if not isinstance(body, dict) or body.get("messaging_product") != "whatsapp":
            raise unacceptable("The parameter messaging_product is required.")
        entry["body"] = body
        users = body.get("block_users")
        if not isinstance(users, list) or not users:
            raise unacceptable("Param block_users must be an array of objects.")
        asked: list[tuple[str, Person | None]] = []
        for index, user in enumerate(users):
            given = (user.get("user") or user.get("user_id")) if isinstance(user, dict) else None
            if not isinstance(given, str):
                raise unacceptable(f"Param block_users[{index}]['user'] is required.")
            asked.append((given, self._exchange.people.find(given)))
        return number, asked

    def _refusal(
        self, number: BusinessNumber, person: Person | None, blocked: list[str]
    ) -> Json | None:
        if person is None:
            return _error(GraphRefusal(131047))
        if person.id in blocked:
            return None
        since = self._exchange.clock() - WINDOW_SECONDS
        chat = self._exchange.phone.chat((person.id, number.phone_number_id))
        if not any(one.author == "person" and one.at > since for one in chat):
            return _error(GraphRefusal(131047))
        if len(blocked) >= MOST:
            return _error(GraphRefusal(139101, message="(#139101) The block list is full"))
        return None

    def _number(self, request: Request) -> BusinessNumber:
        allowed = self._bearer(request)
        number = self._exchange.config.number(request.path_params["node"])
        if number is None or number.waba_id not in allowed:
            raise unknown_object(request.method.lower(), request.path_params["node"])
        return number


def _names(person: Person | None) -> Json:
    if person is None:
        return {}
    names = {"wa_id": person.wa_id, "user_id": person.user_id}
    return {key: value for key, value in names.items() if value is not None}


def _error(refusal: GraphRefusal) -> Json:
    return {
        "code": refusal.code,
        "message": str(refusal),
        "error_data": {"details": refusal.details},
    }


def _answer(kind: str, taken: list[Json], failed: list[Json]) -> Response:
    lists: Json = {kind: taken} if taken else {}
    document: Json = {"messaging_product": "whatsapp", "block_users": lists}
    if not failed:
        return JSONResponse(document)
    lists["failed_users"] = failed
    refusal = GraphRefusal(139100, message="(#139100) Failed to block or unblock some users")
    return JSONResponse({**document, **refusal.body()}, status_code=400)
