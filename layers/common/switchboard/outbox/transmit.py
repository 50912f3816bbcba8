"""The requests of a slice: HTTP with no transaction open, in at most 32 threads.

httpx becomes slower with more than 32 threads (measured), and one dead worker may put no more than
a slice in doubt. Postgres is the main thread's alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from queue import Empty, SimpleQueue
from uuid import UUID

from switchboard.kernel.errors import ConfigurationError
from switchboard.kernel.log import log
from switchboard.outbox.ready import Ready
from switchboard.outbox.timing import SLICE
from switchboard.outbox.wire import body
from switchboard.tools import Tools
from switchboard.whatsapp.client import NotSent, Outcome, Unconfirmed

Landed = tuple[Ready, Outcome]


class Flights:
    """What is on its way to Meta; its length is how many have not been taken by `land`."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._tokens: dict[tuple[UUID, bytes | None], str | NotSent] = {}
        self._landed: SimpleQueue[Landed] = SimpleQueue()
        self._out = 0

    def __len__(self) -> int:
        return self._out

    def prepare(self, attempts: Sequence[Ready]) -> list[str | NotSent]:
        """Return their tokens, each opened once whether it can be or not.

        To be asked for before the intent: KMS may take its time, and a lease begins with the
        intent.
        """
        for ready in attempts:
            key = (ready.tenant_id, ready.access_token)
            if key not in self._tokens:
                self._tokens[key] = _token(self._tools, ready)
        return [self._tokens[ready.tenant_id, ready.access_token] for ready in attempts]

    def launch(self, attempts: Sequence[Ready], *, here: bool = False) -> None:
        """Put `attempts` on the wire, one thread each; `here`: a single one without a thread."""
        tokens = self.prepare(attempts)
        self._out += len(attempts)
        if here and len(attempts) == 1:
            # A thread would cost more than it saves.
            self._fly(attempts[0], tokens[0])
            return
        # Made here: threads must not make the client twice.
        assert self._tools.graph is not None
        for ready, token in zip(attempts, tokens, strict=True):
            _pool().submit(self._fly, ready, token)

    def land(self, most: int, wait_s: float | None, gather_s: float) -> list[Landed]:
        """Return at most `most` outcomes, as they come; none where nothing came in `wait_s`.

        Waits `gather_s` after the first for others, since they are settled by one commit: whoever
        is slow keeps nobody else. Seconds are real ones: threads know no other.
        """
        try:
            landed = [self._landed.get(timeout=wait_s)]
        except Empty:
            return []
        until = time.monotonic() + gather_s
        while len(landed) < min(most, self._out):
            try:
                landed.append(self._landed.get(timeout=max(0.0, until - time.monotonic())))
            except Empty:
                break
        self._out -= len(landed)
        return landed

    def _fly(self, ready: Ready, token: str | NotSent) -> None:
        outcome: Outcome = Unconfirmed("the thread ended")
        try:
            outcome = transmit(self._tools, ready, token)
        finally:
            # Whatever ended it: who waits for it must not wait for ever.
            self._landed.put((ready, outcome))


def transmit(tools: Tools, ready: Ready, token: str | NotSent) -> Outcome:
    """Send one attempt; whatever happens is an outcome."""
    if isinstance(token, NotSent):
        return token
    try:
        document = body(ready)
    except Exception as error:  # noqa: BLE001 - one message's fault is that message's only
        log.error("outbox.no_body", error=error, message_id=ready.message_id)
        return NotSent(type(error).__name__)
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
