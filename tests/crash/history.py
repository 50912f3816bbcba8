"""One history: messages on their way, a fault, a disturbance at a boundary, webhooks in some order.

Then other workers come, time passes, people mend what needs them, and the ledger is read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from switchboard import outbox
from switchboard.outbox import Answer, Outgoing
from switchboard.store import tenants
from switchboard.tools import Tools
from tests.crash.cases import Case, Road, Then
from tests.crash.meta import Fault, Meta, Taken
from tests.crash.processes import Boundaries, Crash, Processes, in_turn, watched
from tests.crash.webhooks import ORDERS, PAUSING_ORDERS, Moment, Word, status
from tests.sending import Person, Place, deliver


@dataclass
class Sent:
    """What became of one message: its rows, and what Meta knows of it."""

    rows: list[dict[str, Any]]
    attempts_left: int
    logs: list[tuple[int, str]]
    asked: list[str]
    taken: list[Taken]
    answers: list[Answer]
    told: dict[str, list[Word]]


@dataclass
class Ledger:
    """What a history came to. `trace`: the boundaries up to the disturbance."""

    sent: list[Sent]
    trace: list[str]
    order: list[int]
    #: The second in which it began.
    began: int

    def brief(self) -> str:
        """Return what somebody wants to see of it who looks for the fault."""
        parts = [
            f"{[(row['status'], row['error_code']) for row in sent.rows]} logs {sent.logs}"
            f" asked {len(sent.asked)} taken {len(sent.taken)}"
            f" answered {[answer.status for answer in sent.answers]}"
            for sent in self.sent
        ]
        return f"{parts}, order {self.order}, {self.trace}"


class History:
    """Runs one history in a place of its own."""

    def __init__(self, processes: Processes, place: Place, case: Case) -> None:
        self._processes = processes
        self._place = place
        self.case = case
        self.boundaries = Boundaries(case.point, self._disturb)
        faults = [case.fault] if case.prior is None else [case.prior, case.fault]
        self._meta = Meta(*faults, on_taken=self._overtake, now=self._second)
        first = place.person()
        batch = case.road is Road.BATCH
        self._people = [first, place.person(), first] if batch else [first]
        self._witness = place.person() if case.resend or case.prior else None
        self._told: dict[str, list[Word]] = {}
        self._orders_told: dict[str, int] = {}
        self._began = self._second()
        self._answers: list[list[Answer]] = [[] for _ in self._people]
        processes.meet(place.time, self._meta)

    def run(self) -> Ledger:
        """Send, be disturbed, recover, and read what stands at the end."""
        self._place.set_number(resend_once=self.case.resend)
        if self.case.road is Road.WORKER:
            self._queue(self._processes.first)
        # After the policy has allowed what is queued: the booking finds it.
        self._prepare()
        with in_turn():
            self._first_process()
            self._tell(Moment.CRASH)
            # A lease and a tick later another worker comes by, and whoever asked asks again.
            self._place.time.turn(seconds=40)
            self._recover(self._processes.worker)
            self._ask_again(self._processes.worker)
            self._tell(Moment.RECOVERED)
            if self._witness is not None:
                self._send_witness()
            self._mend()
            # The settle time is over, then the longest pause.
            for minutes in (20, 70, 20):
                self._place.time.turn(minutes=minutes)
                self._recover(self._processes.worker)
                self._tell(Moment.LATE)
            self._recover(self._processes.worker)
        return self._read()

    # ------------------------------------------------------------------------ what happens

    def _first_process(self) -> None:
        tools = self._processes.first
        if self.case.road is Road.RESEND:
            outbox.send(tools, self._place.tenant_id, self._item(0))
            self._tell(Moment.CRASH)
            self._place.time.turn(minutes=1)
            self._send_witness()
            self._place.time.turn(minutes=16)
        with watched(self.boundaries, tools):
            match self.case.road:
                case Road.CALLER | Road.BATCH:
                    self._call(tools)
                case Road.WORKER:
                    outbox.run_due(tools, tools.clock.monotonic() + 60)
                case Road.QUEUE:
                    self._queue(tools, self.boundaries)
                case Road.RESEND:
                    outbox.sweep(tools)
                    outbox.run_due(tools, tools.clock.monotonic() + 60)

    def _disturb(self) -> None:
        if self.case.then is Then.CRASH:
            raise Crash
        if self.case.then is Then.SECOND_LATE:
            self._place.time.turn(seconds=40)
        self._recover(self._processes.second)
        if self.case.road is not Road.QUEUE:
            self._ask_again(self._processes.second)

    def _call(self, tools: Tools) -> None:
        items = [self._item(n) for n in range(len(self._people))]
        answers = outbox.send_many(tools, self._place.tenant_id, items)
        for n, answer in enumerate(answers):
            self._answers[n].append(answer)

    def _queue(self, tools: Tools, boundaries: Boundaries | None = None) -> None:
        boundaries = boundaries or Boundaries()
        with tools.db.transaction(self._place.tenant_id) as connection:
            outbox.queue(tools, connection, self._place.tenant_id, [self._item(0)])
            boundaries.reach("before commit")
        boundaries.reach("after commit")

    def _recover(self, tools: Tools) -> None:
        outbox.sweep(tools)
        outbox.run_due(tools, tools.clock.monotonic() + 60)

    def _ask_again(self, tools: Tools) -> None:
        if self.case.road in {Road.CALLER, Road.BATCH}:
            # With the same keys, as callers do.
            self._call(tools)
        elif self.case.road is Road.QUEUE and not self._place.rows(
            "whatsapp_messages", direction="outbound", origin="api"
        ):
            # The job was not finished: it runs again.
            self._queue(tools)
            self._recover(tools)

    def _send_witness(self) -> None:
        """Send a later message of the number."""
        assert self._witness is not None
        meta = Meta(now=self._second)
        self._processes.meet(self._place.time, meta)
        item = self._outgoing(self._witness, "witness", None)
        outbox.send(self._processes.worker, self._place.tenant_id, item)
        for taken in meta.taken if self.case.watermark else ():
            self._deliver(taken, [Word("sent")])
        self._processes.meet(self._place.time, self._meta)

    def _item(self, n: int) -> Outgoing:
        keyed = self.case.road in {Road.CALLER, Road.BATCH}
        return self._outgoing(self._people[n], f"hello {n}", f"key {n}" if keyed else None)

    def _outgoing(self, person: Person, text: str, key: str | None) -> Outgoing:
        return Outgoing(
            phone_number_id=self._place.phone_number_id,
            phone=person.phone,
            message={"type": "text", "text": {"body": text}},
            key=key,
            sha256=b"\1" * 32 if key else b"",
        )

    # ------------------------------------------------------------------------ what Meta tells

    def _second(self) -> int:
        return int(self._place.time.now.timestamp())

    def _overtake(self, taken: Taken) -> None:
        self._orders_told[taken.wa_message_id] = 0
        self._tell_of(taken, Moment.REQUEST)

    def _tell(self, moment: Moment) -> None:
        for taken in self._meta.taken:
            self._tell_of(taken, moment)

    def _tell_of(self, taken: Taken, until: Moment) -> None:
        """Tell what of the order has not been told of this message by now."""
        for moment, words in ORDERS[self.case.webhooks][self._orders_told[taken.wa_message_id] :]:
            if moment > until:
                return
            self._orders_told[taken.wa_message_id] += 1
            self._deliver(taken, words)
            self._told.setdefault(taken.wa_message_id, []).extend(words)

    def _deliver(self, taken: Taken, words: Sequence[Word]) -> None:
        # Each status is a delivery of its own, as Meta does it.
        for word in words:
            value = {
                "messaging_product": "whatsapp",
                "metadata": {
                    "phone_number_id": self._place.phone_number_id,
                    "display_phone_number": "1",
                },
                "statuses": [status(word, taken.wa_message_id, taken.callback_data, taken.at)],
            }
            change = {"field": "messages", "value": value}
            body = {
                "object": "whatsapp_business_account",
                "entry": [{"id": self._place.waba_id, "changes": [change]}],
            }
            deliver(self._processes.intake, json.dumps(body).encode())

    # ------------------------------------------------------------------------ what is in the way

    def _prepare(self) -> None:
        now = self._place.time.now
        match self.case.fault:
            case Fault.PAIR_FULL:
                self._fill_pair(self._people[0])
            case Fault.BUCKET_EMPTY:
                self._place.everything.execute(
                    "insert into messaging.send_limits (tenant_id, account_id, paid_until)"
                    " values (%s, %s, %s)",
                    (self._place.tenant_id, self._place.account_id, now + timedelta(seconds=5)),
                )
            case Fault.NUMBER_PAUSED:
                self._place.set_number(
                    sends_paused_until=now + timedelta(seconds=30), sends_paused_reason="a test"
                )

    def _fill_pair(self, person: Person) -> None:
        self._place.everything.execute(
            "insert into messaging.whatsapp_messages (tenant_id, id, account_id, conversation_id,"
            " contact_id, direction, origin, message_type, content, status, status_rank,"
            " occurred_at, accepted_at)"
            " select %(t)s, messaging.new_id(%(at)s), %(a)s, %(v)s, %(c)s, 'outbound', 'chatbot',"
            " 'text', '{}', 'delivered', messaging.status_rank('delivered'), %(at)s, %(at)s"
            " from generate_series(1, 44)",
            {
                "t": self._place.tenant_id,
                "a": self._place.account_id,
                "v": person.conversation_id,
                "c": person.contact_id,
                "at": self._place.time.now - timedelta(seconds=10),
            },
        )
        self._place.everything.execute(
            "update messaging.whatsapp_conversations set message_count = 44 where id = %s",
            (person.conversation_id,),
        )

    def _mend(self) -> None:
        """Do what only people can."""
        now = self._place.time.now
        if self.case.fault is Fault.TOKEN_DEAD:
            self._update_token(b"another-token")
        elif self.case.fault is Fault.UNPAID or self.case.webhooks in PAUSING_ORDERS:
            with self._processes.worker.db.transaction(self._place.tenant_id) as connection:
                tenants.resume_business_account(
                    connection,
                    tenant_id=self._place.tenant_id,
                    waba_id=self._place.waba_id,
                    now=now,
                )

    def _update_token(self, token: bytes) -> None:
        tools = self._processes.worker
        with tools.db.transaction(self._place.tenant_id) as connection:
            tenants.update_number(
                connection,
                tenant_id=self._place.tenant_id,
                number_id=self._place.account_id,
                access_token_sealed=token,
                display_name=None,
                token_expires_at=None,
                auto_mark_read=None,
                acknowledging_reaction=None,
                confirm_consents=None,
                resend_once=None,
            )

    # ------------------------------------------------------------------------ what stands there

    def _read(self) -> Ledger:
        messages = self._place.rows("whatsapp_messages", direction="outbound", origin="api")
        logs = self._place.rows("delivery_logs")
        attempts = self._place.rows("send_attempts")
        sent = []
        for n in range(len(self._people)):
            text = f"hello {n}"
            rows = [row for row in messages if row["content"].get("body") == text]
            ids = {row["id"] for row in rows}
            taken = [one for one in self._meta.taken if one.body["text"]["body"] == text]
            sent.append(
                Sent(
                    rows=rows,
                    attempts_left=sum(row["message_id"] in ids for row in attempts),
                    logs=sorted(
                        (log["attempt"], log["status"]) for log in logs if log["message_id"] in ids
                    ),
                    asked=[
                        body["biz_opaque_callback_data"]
                        for body in self._meta.asked
                        if body["text"]["body"] == text
                    ],
                    taken=taken,
                    answers=self._answers[n],
                    told={
                        one.wa_message_id: self._told.get(one.wa_message_id, []) for one in taken
                    },
                )
            )
        # A witness that had to wait is no part of it.
        texts = [one.body["text"]["body"] for one in self._meta.taken]
        numbers = [int(text.split()[1]) for text in texts if text.startswith("hello")]
        return Ledger(sent, self.boundaries.trace, numbers, self._began)
