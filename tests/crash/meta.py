"""A Meta that keeps a ledger: what it was asked, what it took, and how it fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httpx


class Fault(StrEnum):
    """How a request fails, and whether Meta has taken the message all the same."""

    NONE = "none"
    REFUSED = "refused"
    THROTTLED = "throttled"
    CONNECT = "connect"
    TIMEOUT_BEFORE = "timeout-before"
    TIMEOUT_AFTER = "timeout-after"
    RESET_BEFORE = "reset-before"
    RESET_AFTER = "reset-after"
    BARE_500 = "500-bare"
    BARE_500_AFTER = "500-bare-after"
    ERROR_500 = "500-graph"
    ERROR_500_AFTER = "500-graph-after"
    GARBAGE = "garbage-200"


#: Meta has the message although the answer does not say so.
TAKEN = frozenset(
    {
        Fault.TIMEOUT_AFTER,
        Fault.RESET_AFTER,
        Fault.BARE_500_AFTER,
        Fault.ERROR_500_AFTER,
        Fault.GARBAGE,
    }
)


@dataclass(frozen=True)
class Taken:
    """A message that Meta took."""

    wa_message_id: str
    callback_data: str
    body: dict[str, Any]


class Meta(httpx.BaseTransport):
    """Answers the Graph client; the first request meets `fault`, later ones none.

    `on_taken` runs before the answer: a webhook that overtakes it.
    """

    def __init__(
        self, fault: Fault = Fault.NONE, *, on_taken: Callable[[Taken], None] | None = None
    ) -> None:
        self._fault = fault
        self._on_taken = on_taken
        self.asked: list[dict[str, Any]] = []
        self.taken: list[Taken] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one POST of a message."""
        body = json.loads(request.read())
        self.asked.append(body)
        fault, self._fault = self._fault, Fault.NONE
        if fault is Fault.CONNECT:
            raise httpx.ConnectError("refused")
        if fault is Fault.NONE or fault in TAKEN:
            self._take(body)
        return _answer(fault, self.taken[-1] if self.taken else None)

    def _take(self, body: dict[str, Any]) -> None:
        number = len(self.taken) + 1
        taken = Taken(
            f"wamid.{body['biz_opaque_callback_data']}.{number}",
            body["biz_opaque_callback_data"],
            body,
        )
        self.taken.append(taken)
        if self._on_taken is not None:
            self._on_taken(taken)


def _answer(fault: Fault, taken: Taken | None) -> httpx.Response:
    match fault:
        case Fault.NONE:
            assert taken is not None
            return httpx.Response(
                200,
                json={
                    "messaging_product": "whatsapp",
                    "contacts": [{"input": taken.body["to"], "wa_id": taken.body["to"][1:]}],
                    "messages": [{"id": taken.wa_message_id}],
                },
            )
        case Fault.REFUSED:
            return _error(400, 131009, "Parameter value is not valid")
        case Fault.THROTTLED:
            return _error(400, 130429, "Rate limit hit")
        case Fault.TIMEOUT_BEFORE | Fault.TIMEOUT_AFTER:
            raise httpx.ReadTimeout("no answer")
        case Fault.RESET_BEFORE | Fault.RESET_AFTER:
            raise httpx.RemoteProtocolError("server disconnected")
        case Fault.ERROR_500 | Fault.ERROR_500_AFTER:
            return _error(500, 131000, "Something went wrong")
        case Fault.BARE_500 | Fault.BARE_500_AFTER:
            return httpx.Response(502, text="<html>Bad gateway</html>")
        case Fault.GARBAGE:
            return httpx.Response(200, content=b"\x00\xff garbage")
        case _:
            raise AssertionError(fault)


def _error(status: int, code: int, text: str) -> httpx.Response:
    return httpx.Response(
        status, json={"error": {"message": text, "code": code, "fbtrace_id": "A"}}
    )
