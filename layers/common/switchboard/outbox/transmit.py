"""The requests of a slice: HTTP with no transaction open, in at most 32 threads.

httpx becomes slower with more than 32 threads (measured), and one dead worker may put no more than
a slice in doubt. Postgres is the main thread's alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

from switchboard.kernel.errors import ConfigurationError
from switchboard.kernel.log import log
from switchboard.outbox.ready import Ready
from switchboard.outbox.timing import SLICE
from switchboard.outbox.wire import body
from switchboard.tools import Tools
from switchboard.whatsapp.client import NotSent, Outcome, Unconfirmed


class Flight:
    """Attempts on the wire; `land` waits for their outcomes."""

    def __init__(self, attempts: Sequence[Ready], futures: Sequence[Future[Outcome]]) -> None:
        self.attempts = attempts
        self._futures = futures

    def land(self) -> list[Outcome]:
        """Return the outcomes in the order of `attempts`."""
        return [future.result() for future in self._futures]


class Errand(Flight):
    """A single attempt: a thread would cost more than it saves."""

    def __init__(self, tools: Tools, ready: Ready) -> None:
        super().__init__([ready], [])
        self._tools = tools

    def land(self) -> list[Outcome]:
        """Send it here and now."""
        (ready,) = self.attempts
        return [transmit(self._tools, ready, _token(self._tools, ready))]


def launch(tools: Tools, attempts: Sequence[Ready]) -> Flight:
    """Put `attempts` on the wire, one thread each."""
    # Made and opened here, one after another: threads must not make the client twice, and KMS is
    # asked once per number.
    graph = tools.graph
    tokens = [_token(tools, ready) for ready in attempts]
    assert graph is not None
    pool = _pool()
    return Flight(
        attempts,
        [
            pool.submit(transmit, tools, ready, token)
            for ready, token in zip(attempts, tokens, strict=True)
        ],
    )


def transmit(tools: Tools, ready: Ready, token: str | NotSent) -> Outcome:
    """Send one attempt; whatever happens is an outcome."""
    if isinstance(token, NotSent):
        return token
    document = body(ready)
    try:
        return tools.graph.send(ready.phone_number_id, token, document)
    except Exception as error:  # noqa: BLE001 - a byte may have left: never tried again blindly
        log.error("outbox.client_failed", error=error)
        return Unconfirmed(type(error).__name__)


def _token(tools: Tools, ready: Ready) -> str | NotSent:
    if ready.access_token is None:
        return NotSent("the number has no access token")
    try:
        return tools.sealer.unseal(
            ready.access_token, tenant_id=ready.tenant_id, purpose="access_token"
        )
    except ConfigurationError as error:
        log.error("outbox.token_sealed", error=error, phone_number_id=ready.phone_number_id)
        return NotSent("the access token cannot be opened")


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=SLICE, thread_name_prefix="send")
