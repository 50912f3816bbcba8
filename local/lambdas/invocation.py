"""One call of a function, and how it can end."""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from dataclasses import dataclass, field

from local.faults import LocalError

#: Lambda's quotas: request and answer of a synchronous call, event of an asynchronous one (bytes).
SYNCHRONOUS_LIMIT = 6 * 1024 * 1024
ASYNCHRONOUS_LIMIT = 1024 * 1024
#: Seconds that a synchronous call waits for a worker: API Gateway gives an integration no longer.
QUEUE_SECONDS = 30.0


class UnknownFunction(LocalError):
    """No function of that name."""


class Throttled(LocalError):
    """The function is switched off, or no worker was free for the call in time."""


class PayloadTooLarge(LocalError):
    """The event is over Lambda's limit."""


@dataclass(frozen=True, slots=True)
class Result:
    """A call's end: `error` is None, or Lambda's word for the X-Amz-Function-Error header."""

    payload: bytes
    error: str | None = None


def failure(kind: str, message: str) -> Result:
    """Return the result of a call that Lambda itself ended (time-out, crash)."""
    document = {"errorType": kind, "errorMessage": message}
    return Result(json.dumps(document).encode(), "Unhandled")


def _trace_id() -> str:
    # X-Ray's format: version, seconds of the epoch, 96 random bits; never sampled here.
    root = f"1-{int(time.time()):08x}-{os.urandom(12).hex()}"
    return f"Root={root};Parent={os.urandom(8).hex()};Sampled=0"


@dataclass(slots=True, eq=False)
class Invocation:
    """One call under way; `result` is set once, by whoever ends it first."""

    payload: bytes
    result: asyncio.Future[Result]
    client_context: str | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    trace_id: str = field(default_factory=_trace_id)

    def end(self, result: Result) -> None:
        """Set the result unless the call has ended already (a late answer after a time-out)."""
        if not self.result.done():
            self.result.set_result(result)

    def refuse(self, reason: Throttled) -> None:
        """Raise `reason` where the call is waited for, unless that is over already."""
        if not self.result.done():
            self.result.set_exception(reason)
