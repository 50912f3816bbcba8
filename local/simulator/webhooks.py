"""Webhooks on their way to the backend: signed, in Meta's envelope, sent again until answered 200.

Updates of one chat leave in order; a refused webhook is retried on its own, so it holds back its
chat for one attempt only. What was not answered with 200 yet survives a restart.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx

from local.simulator.archive import Archive
from local.simulator.config import Config
from local.simulator.faults import FaultBoard, Signature
from local.simulator.journal import Journal
from local.simulator.payloads import Update, encode, envelope, signature

log = logging.getLogger("simulator")

RETRY_FOR = 7 * 24 * 3600.0
LONGEST_PAUSE = 60.0
# How long updates wait for company when webhooks are batched or shuffled.
GATHER_SECONDS = 0.4
_CONNECTIONS = 32


@dataclass(eq=False)
class _Delivery:
    """One POST body and what it carries; `tried` is set once its first attempt ended."""

    number: int
    updates: list[Update]
    body: bytes
    copy: int
    tried: asyncio.Event = field(default_factory=asyncio.Event)


class Webhooks:
    """Delivers updates. `answered` is told which ones the backend took, once each."""

    def __init__(
        self, config: Config, faults: FaultBoard, journal: Journal, archive: Archive
    ) -> None:
        self._config = config
        self._faults = faults
        self._journal = journal
        self._archive = archive
        self.answered: Callable[[list[Update]], None] = lambda _: None
        self._client: httpx.AsyncClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._resting = 0
        self._waker = asyncio.Event()
        self._hurry = False
        self._gathered: list[Update] = []
        self._tails: dict[str, _Delivery] = {}
        self._count = 0

    async def start(self) -> None:
        """Open the connections, greet the backend, and send what an earlier run left."""
        limits = httpx.Limits(max_connections=_CONNECTIONS)
        # trust_env off: a proxy of the machine has no business between two local processes.
        self._client = httpx.AsyncClient(
            timeout=self._config.webhook_timeout, limits=limits, trust_env=False
        )
        if self._config.greet:
            self.run(self._greet())
        for _, document in list(self._archive.documents("update")):
            self.run(self._hold(Update(**document)))

    async def stop(self) -> None:
        """End everything that is under way; unanswered updates stay in the archive."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    @property
    def pending(self) -> int:
        """Updates that are not answered with 200 yet (those of an earlier run included)."""
        return self._archive.count("update")

    def post(self, update: Update) -> None:
        """Send one update; returns at once."""
        self._archive.put("update", update.id, asdict(update))
        self.run(self._hold(update))

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that `flush` waits for and `stop` ends."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    async def pause(self, seconds: float, *, resting: bool = False) -> None:
        """Wait; `flush` cuts it short. Resting: between two attempts, for `flush` an end."""
        if seconds <= 0 or (self._hurry and not resting):
            return
        self._resting += resting
        try:
            await asyncio.wait_for(self._waker.wait(), seconds)
        except TimeoutError:
            pass
        finally:
            self._resting -= resting

    async def flush(self, within: float) -> bool:
        """Attempt everything now, once, and wait for the answers.

        False when that took longer than `within` seconds. Afterwards `pending` counts what the
        backend did not take.
        """
        deadline = time.monotonic() + within
        self._hurry = True
        try:
            self._waker.set()
            self._waker = asyncio.Event()
            # One turn, so that those who were resting are busy again before they are counted.
            await asyncio.sleep(0.01)
            while len(self._tasks) > self._resting:
                if time.monotonic() > deadline:
                    return False
                await asyncio.sleep(0.01)
            return True
        finally:
            self._hurry = False

    def forget(self) -> None:
        """Drop everything under way, unanswered."""
        for task in list(self._tasks):
            task.cancel()
        self._gathered.clear()
        self._tails.clear()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a webhook task ended with %r", error, exc_info=error)

    async def _hold(self, update: Update) -> None:
        await self.pause(self._faults.now.webhook_delay_ms / 1000)
        faults = self._faults.now
        if faults.batch == 1 and not faults.reorder and not self._gathered:
            self._dispatch([update])
            return
        self._gathered.append(update)
        if len(self._gathered) >= max(faults.batch, 8 if faults.reorder else 1):
            self._release()
        elif len(self._gathered) == 1:
            await self.pause(GATHER_SECONDS)
            self._release()

    def _release(self) -> None:
        faults = self._faults.now
        updates, self._gathered = self._gathered, []
        if faults.reorder:
            random.shuffle(updates)
        for start in range(0, len(updates), faults.batch):
            self._dispatch(updates[start : start + faults.batch])

    def _dispatch(self, updates: list[Update]) -> None:
        numbered = [(self._config.number(u.phone_number_id), u) for u in updates]
        known = [
            (number, update)
            for number, update in numbered
            if number is not None or update.kind == "account"
        ]
        if not known:
            return
        body = encode(envelope(known))
        self._count += 1
        lanes = {update.lane for update in updates}
        for copy in range(1 + self._faults.now.duplicate):
            delivery = _Delivery(self._count, updates, body, copy)
            earlier = [] if copy or self._faults.now.reorder else self._earlier(lanes, delivery)
            self.run(self._deliver(delivery, earlier))

    def _earlier(self, lanes: set[str], delivery: _Delivery) -> list[_Delivery]:
        earlier = [self._tails[lane] for lane in lanes if lane in self._tails]
        self._tails |= dict.fromkeys(lanes, delivery)
        return earlier

    async def _deliver(self, delivery: _Delivery, earlier: list[_Delivery]) -> None:
        for before in earlier:
            await before.tried.wait()
        began = time.monotonic()
        rest = self._config.first_retry
        attempt = 0
        try:
            while time.monotonic() - began < RETRY_FOR:
                attempt += 1
                if await self._attempt(delivery, attempt):
                    self._settle(delivery)
                    return
                self._end_of_lane(delivery)
                await self.pause(rest * random.uniform(0.8, 1.2), resting=True)
                rest = min(rest * 2, LONGEST_PAUSE)
        finally:
            self._end_of_lane(delivery)

    def _settle(self, delivery: _Delivery) -> None:
        if delivery.copy == 0:
            for update in delivery.updates:
                self._archive.remove("update", update.id)
            self.answered(delivery.updates)

    def _end_of_lane(self, delivery: _Delivery) -> None:
        delivery.tried.set()
        for lane in {update.lane for update in delivery.updates}:
            if self._tails.get(lane) is delivery:
                del self._tails[lane]

    async def _attempt(self, delivery: _Delivery, attempt: int) -> bool:
        assert self._client is not None
        how = self._faults.now.signature
        body, headers = sign(delivery.body, self._config.app_secret, how)
        began = time.perf_counter()
        status: int | None = None
        error: str | None = None
        try:
            answer = await self._client.post(
                self._config.webhook_url, content=body, headers=headers
            )
            status = answer.status_code
        except httpx.HTTPError as failure:
            error = f"{type(failure).__name__}: {failure}"
        self._journal.log_webhook(
            {
                "number": delivery.number,
                "copy": delivery.copy,
                "attempt": attempt,
                "at": time.time(),
                "ms": round((time.perf_counter() - began) * 1000, 1),
                "bytes": len(body),
                "signature": how,
                "updates": [_describe(update) for update in delivery.updates[:20]],
                "count": len(delivery.updates),
                "status": status,
                "error": error,
            }
        )
        return status == 200

    async def _greet(self) -> None:
        """Meta's handshake; again and again until the backend is up."""
        assert self._client is not None
        challenge = str(random.randrange(10**9, 10**10))
        query = {
            "hub.mode": "subscribe",
            "hub.challenge": challenge,
            "hub.verify_token": self._config.verify_token,
        }
        rest = 0.5
        while True:
            entry: dict[str, Any] = {"at": time.time(), "handshake": True}
            try:
                answer = await self._client.get(self._config.webhook_url, params=query)
                entry["status"] = answer.status_code
                entry["accepted"] = answer.status_code == 200 and answer.text == challenge
            except httpx.HTTPError as error:
                entry |= {"status": None, "accepted": False, "error": type(error).__name__}
            self._journal.log_webhook(entry)
            if entry["accepted"]:
                log.info("the webhook address passed the handshake")
                return
            if entry["status"] in (401, 403):
                log.warning("the webhook address refused the handshake (%s)", entry["status"])
            await self.pause(rest, resting=True)
            rest = min(rest * 1.5, 15.0)


def sign(body: bytes, secret: str, how: Signature) -> tuple[bytes, dict[str, str]]:
    """Body and headers as they leave; every way but "valid" is a forgery to be refused."""
    headers = {"Content-Type": "application/json", "User-Agent": "facebookexternalua"}
    match how:
        case "valid":
            headers["X-Hub-Signature-256"] = signature(body, secret)
            headers["X-Hub-Signature"] = signature(body, secret, "sha1")
        case "missing":
            pass
        case "wrong":
            headers["X-Hub-Signature-256"] = signature(body, f"not {secret}")
        case "sha1":
            headers["X-Hub-Signature"] = signature(body, secret, "sha1")
        case "tampered":
            headers["X-Hub-Signature-256"] = signature(body, secret)
            body = body.replace(b'"whatsapp"', b'"whatsApp"', 1)
    return body, headers


def _describe(update: Update) -> dict[str, Any]:
    item = update.item
    if update.field == "calls":
        (part,) = item.get("calls") or item["statuses"]
        who = (item["contacts"][0].get("profile") or {}).get("name")
        word = part.get("event") or part["status"]
        return {"kind": "calls", "what": word, "who": who, "id": part["id"]}
    if update.kind == "account":
        name = item.get("message_template_name") or update.waba_id
        return {"kind": update.field, "what": item.get("event"), "who": name, "id": update.id}
    what = item.get("status") if update.kind == "statuses" else item.get("type")
    who = item.get("from") or item.get("from_user_id")
    who = who or item.get("recipient_id") or item.get("recipient_user_id")
    return {"kind": update.kind, "what": what, "who": who, "id": item.get("id")}
