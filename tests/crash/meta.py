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
    # What holds up more than the message, and ends by itself or by a person.
    TOKEN_DEAD = "190"
    UNPAID = "131042"
    MAINTENANCE = "131057"
    SPAM = "131048"
    ACCOUNT_RATE = "80007"
    PAIR_RATE = "131056"
    # Refused for good, each with a consequence of its own.
    UNDELIVERABLE = "131026"
    WINDOW_OVER = "131047"
    TOMORROW = "131049"
    TEMPLATE_PAUSED = "132015"
    # Not Meta's: what the booking or the policy finds before any byte leaves.
    PAIR_FULL = "pair-full"
    BUCKET_EMPTY = "bucket-empty"
    NUMBER_PAUSED = "number-paused"


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
#: Meta has nothing, and does not say so either.
SILENT = frozenset({Fault.TIMEOUT_BEFORE, Fault.RESET_BEFORE, Fault.BARE_500, Fault.ERROR_500})
#: Meta says that it does not take the message.
REFUSED = frozenset(
    {
        Fault.REFUSED,
        Fault.UNDELIVERABLE,
        Fault.WINDOW_OVER,
        Fault.TOMORROW,
        Fault.TEMPLATE_PAUSED,
    }
)
#: Found on our side: the request itself goes well, later.
OURS = frozenset({Fault.PAIR_FULL, Fault.BUCKET_EMPTY, Fault.NUMBER_PAUSED})
#: Held up, and sent when that is over.
PASSING = OURS | {
    Fault.THROTTLED,
    Fault.CONNECT,
    Fault.TOKEN_DEAD,
    Fault.UNPAID,
    Fault.MAINTENANCE,
    Fault.SPAM,
    Fault.ACCOUNT_RATE,
    Fault.PAIR_RATE,
}
#: HTTP status and code of Meta's error bodies.
_CODES = {
    Fault.REFUSED: (400, 131009),
    Fault.THROTTLED: (400, 130429),
    Fault.ERROR_500: (500, 131000),
    Fault.ERROR_500_AFTER: (500, 131000),
    Fault.TOKEN_DEAD: (401, 190),
    Fault.MAINTENANCE: (500, 131057),
}


@dataclass(frozen=True)
class Taken:
    """A message that Meta took; `at` is when, in seconds."""

    wa_message_id: str
    callback_data: str
    body: dict[str, Any]
    at: int = 0


class Meta(httpx.BaseTransport):
    """Answers the Graph client: the first requests meet `faults`, later ones none.

    `on_taken` runs before the answer: a webhook that overtakes it. `now` tells the time.
    """

    def __init__(
        self,
        *faults: Fault,
        on_taken: Callable[[Taken], None] | None = None,
        now: Callable[[], int] = lambda: 0,
    ) -> None:
        self._faults = list(faults)
        self._on_taken = on_taken
        self._now = now
        self.asked: list[dict[str, Any]] = []
        self.taken: list[Taken] = []

    def fail_with(self, *faults: Fault) -> None:
        """Let the next requests meet these."""
        self._faults = list(faults)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one POST of a message."""
        body = json.loads(request.read())
        self.asked.append(body)
        fault = self._faults.pop(0) if self._faults else Fault.NONE
        if fault is Fault.CONNECT:
            raise httpx.ConnectError("refused")
        if fault is Fault.NONE or fault in TAKEN or fault in OURS:
            taken = self._take(body)
            return _accepted(taken) if fault not in TAKEN else _failure(fault)
        return _failure(fault)

    def _take(self, body: dict[str, Any]) -> Taken:
        key = body["biz_opaque_callback_data"]
        taken = Taken(f"wamid.{key}.{len(self.taken) + 1}", key, body, self._now())
        self.taken.append(taken)
        if self._on_taken is not None:
            self._on_taken(taken)
        return taken


def _accepted(taken: Taken) -> httpx.Response:
    return httpx.Response(
        200,
        json={
            "messaging_product": "whatsapp",
            "contacts": [{"input": taken.body["to"], "wa_id": taken.body["to"][1:]}],
            "messages": [{"id": taken.wa_message_id}],
        },
    )


def _failure(fault: Fault) -> httpx.Response:
    match fault:
        case Fault.TIMEOUT_BEFORE | Fault.TIMEOUT_AFTER:
            raise httpx.ReadTimeout("no answer")
        case Fault.RESET_BEFORE | Fault.RESET_AFTER:
            raise httpx.RemoteProtocolError("server disconnected")
        case Fault.BARE_500 | Fault.BARE_500_AFTER:
            return httpx.Response(502, text="<html>Bad gateway</html>")
        case Fault.GARBAGE:
            return httpx.Response(200, content=b"\x00\xff garbage")
        case _:
            status, code = _CODES.get(fault) or (400, int(fault.value))
            return httpx.Response(
                status, json={"error": {"message": fault.name, "code": code, "fbtrace_id": "A"}}
            )
