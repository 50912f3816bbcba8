"""Figure d: the send road against bare httpx, on the same fast stand-in for Meta.

batch: 200 messages to 200 people through the whole road (ask, reserve, intent, transmit, settle)
against 200 posts of the same body by httpx.Client in as many threads.
single: one message through the whole road against one post and two bare transactions, each BEGIN,
one prepared statement as superuser with all ids known (insert the message row, update it), COMMIT.
Rounds are interleaved; a figure is the median of the rounds' ratios.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from uuid import UUID

import httpx
import orjson
import psycopg

from benchmarks import fast_graph
from benchmarks.figures import Figure, ratio
from switchboard import outbox
from switchboard.kernel.clock import uuid7
from switchboard.kernel.log import log
from switchboard.outbox import Outgoing
from switchboard.outbox.timing import SLICE
from switchboard.tools import Tools
from tests.databases import ClonedDatabase
from tests.sending import Person, Place, Time, connect, make_tools

BATCH, SINGLES = 200, 150
BATCH_ROUNDS, SINGLE_ROUNDS = 11, 9
TEXT = "Your order is on its way and should be with you tomorrow before noon."

_INSERT = """
insert into messaging.whatsapp_messages (tenant_id, id, account_id, conversation_id, contact_id,
    direction, origin, message_type, content, status, status_rank, occurred_at)
values (%s, %s, %s, %s, %s, 'outbound', 'api', 'text', %s, 'sending', 20, clock_timestamp())
"""
_UPDATE = """
update messaging.whatsapp_messages set status = 'accepted', status_rank = 50, wa_message_id = %s,
    accepted_at = clock_timestamp() where tenant_id = %s and id = %s
"""


class _Bench:
    def __init__(self, database: ClonedDatabase, url: str) -> None:
        self.everything = connect(database)
        self.place = Place(self.everything, Time())
        # A number that Meta allows 1,000 a second: its bucket holds more than a round.
        self.place.set_number(throughput="HIGH")
        self.people = [self.place.person(f"49151{n:07d}") for n in range(BATCH)]
        self.everything.execute("analyze")  # as autovacuum does, minutes after a table has grown
        self.tools: Tools = make_tools(database, graph_url=url)
        self.url = f"{url}/v23.0/{self.place.phone_number_id}/messages"
        self.client = httpx.Client(
            limits=httpx.Limits(max_connections=SLICE, max_keepalive_connections=SLICE)
        )
        self.pool = ThreadPoolExecutor(SLICE)
        self.body = orjson.dumps(
            {
                "messaging_product": "whatsapp",
                "recipient_type": "individual",
                "to": f"+{self.people[0].phone}",
                "type": "text",
                "text": {"body": TEXT},
                "biz_opaque_callback_data": f"{uuid7()}.1",
            }
        )

    def close(self) -> None:
        self.pool.shutdown()
        self.client.close()
        self.tools.graph.close()
        self.tools.db.drop()
        self.everything.close()

    def outgoing(self, person: Person) -> Outgoing:
        return Outgoing(
            phone_number_id=self.place.phone_number_id,
            phone=person.phone,
            message={"type": "text", "text": {"body": TEXT}},
        )

    def post(self, _: int = 0) -> str:
        answer = self.client.post(
            self.url,
            content=self.body,
            headers={"authorization": "Bearer token", "content-type": "application/json"},
        )
        return str(answer.json()["messages"][0]["id"])

    def bare_batch(self) -> float:
        return _rate(BATCH, lambda: list(self.pool.map(self.post, range(BATCH))))

    def road_batch(self) -> float:
        items = [self.outgoing(person) for person in self.people]

        def run() -> None:
            answers = outbox.send_many(self.tools, self.place.tenant_id, items)
            assert all(answer.status == 200 for answer in answers)

        return _rate(BATCH, run)

    def bare_singles(self) -> float:
        def run() -> None:
            for n in range(SINGLES):
                person, message_id = self.people[n % BATCH], uuid7()
                self._transaction(
                    _INSERT,
                    self.place.tenant_id,
                    message_id,
                    self.place.account_id,
                    person.conversation_id,
                    person.contact_id,
                    f'{{"body": "{TEXT}"}}',
                )
                wa_message_id = self.post()
                self._transaction(_UPDATE, wa_message_id, self.place.tenant_id, message_id)

        return _rate(SINGLES, run)

    def road_singles(self) -> float:
        items = [self.outgoing(self.people[n % BATCH]) for n in range(SINGLES)]

        def run() -> None:
            for item in items:
                answer = outbox.send(self.tools, self.place.tenant_id, item)
                assert answer.status == 200

        return _rate(SINGLES, run)

    def _transaction(self, statement: str, *values: UUID | str) -> None:
        with self.everything.transaction():
            self.everything.execute(statement.encode(), values, prepare=True)


def _rate(count: int, run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return count / (time.perf_counter() - start)


def run(database: ClonedDatabase) -> list[Figure]:
    """Measure both ratios on `database`, which it fills."""
    log.set_level("CRITICAL")
    with fast_graph.running() as url:
        bench = _Bench(database, url)
        try:
            batch = _rounds(BATCH_ROUNDS, bench.road_batch, bench.bare_batch)
            single = _rounds(SINGLE_ROUNDS, bench.road_singles, bench.bare_singles)
        finally:
            bench.close()
            log.set_level("INFO")
    for name, (road, bare) in {"batch": batch, "single": single}.items():
        print(f"  sends, {name}: {median(road):.0f}/s of {median(bare):.0f}/s bare")
    return [
        Figure("d", "batch", ratio(*batch), 0.75),
        Figure("d", "single", ratio(*single), 0.7),
    ]


def _rounds(
    count: int, road: Callable[[], float], bare: Callable[[], float]
) -> tuple[list[float], list[float]]:
    ours, limit = [], []
    for number in range(count + 1):
        first, second = road(), bare()
        if number:  # the first round warms both up
            ours.append(first)
            limit.append(second)
    return ours, limit


def main() -> None:
    """Run this figure alone: `python -m benchmarks.sends`."""
    import tempfile
    from pathlib import Path

    from local.guardian import Guardian
    from local.postgres import PostgresServer
    from tests.databases import cloned, make_template

    with tempfile.TemporaryDirectory() as name, Guardian() as guardian:
        folder = Path(name)
        folder.chmod(0o711)
        server = PostgresServer(
            folder / "postgres", log=folder / "postgres.log", durable=True, guardian=guardian
        )
        server.start()
        try:
            with cloned(server, make_template(server)) as database:
                for figure in run(database):
                    print(figure)
        except psycopg.Error:
            print((folder / "postgres.log").read_text()[-2000:])
            raise
        finally:
            server.stop()


if __name__ == "__main__":
    main()
