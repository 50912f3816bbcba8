"""Many clients at once: no deadlock surfaces, nothing is lost, and a status may race its send."""

from __future__ import annotations

import itertools
import json
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from switchboard.intake.document import build
from switchboard.kernel.clock import uuid7
from switchboard.kernel.db import Connection
from switchboard.store import events
from switchboard.whatsapp.webhook import Message, Status, parse
from tests.databases import ClonedDatabase
from tests.deliveries import (
    NOW,
    SECOND,
    Environment,
    Json,
    Number,
    Person,
    Place,
    Update,
    aws_at_hand,
    body_of,
    failure,
    in_threads,
    message,
    pack,
    report,
    seed,
    status,
    until,
)
from tests.intake_model import History, assert_equal, expected

CLIENTS = 16
Step = Callable[[Connection], None]


@pytest.fixture
def place(new_database: ClonedDatabase) -> Iterator[Place]:
    with aws_at_hand():
        place = Place(new_database)
        yield place
        place.close()


def test_sixteen_clients_with_overlapping_batches_lose_nothing_and_never_deadlock(
    place: Place,
) -> None:
    overlap(place, rounds=1, size=150)


@pytest.mark.soak
def test_sixteen_clients_with_overlapping_batches_many_times(place: Place) -> None:
    report("overlapping batches", **overlap(place, rounds=20, size=400), deadlocks=0, different=0)


def overlap(place: Place, *, rounds: int, size: int) -> dict[str, int]:
    """Deliver overlapping batches in different orders from all clients at once."""
    counts = {"clients": CLIENTS, "updates": 0, "bodies": 0}
    told: list[Update] = []
    outbound = []
    environments = [place.environment(now=NOW) for _ in range(CLIENTS)]
    for n in range(rounds):
        chance = random.Random(seed() * 1000 + n)
        history = History(place, chance, size)
        updates = history.updates()
        told += updates
        outbound += history.outbound
        # Each client brings most of them, in an order of its own.
        shares = []
        for _ in range(CLIENTS):
            mine = [update for update in updates if chance.random() < 0.7]
            chance.shuffle(mine)
            shares.append([mine[at : at + 60] for at in range(0, len(mine), 60)])
        brought = {pack([u]) for share in shares for batch in share for u in batch}
        assert len(brought) == len(updates)

        def deliver(client: int, shares: list[list[list[Update]]] = shares) -> None:
            for batch in shares[client]:
                assert environments[client].post(batch) == 200

        in_threads(CLIENTS, deliver)
        counts["updates"] += len(updates)
        counts["bodies"] += sum(map(len, shares))
        place.drain()
        assert_equal(place, expected(told, outbound, SECOND))
        # Histories number their people and messages alike, on numbers of their own.
    assert deadlocks(place, environments) == 0
    return counts


def deadlocks(place: Place, environments: list[Environment]) -> int:
    """Return how many deadlocks there were, those a retry has healed included; closes all."""
    for environment in (*environments, place.usual):
        environment.close()
    # What a session has counted is told at its end.
    until(lambda: connections(place) == 1)
    counted: int = place.one(
        "select deadlocks from pg_stat_database where datname = current_database()"
    )
    return counted


def connections(place: Place) -> int:
    counted: int = place.one(
        "select count(*) from pg_stat_activity where datname = current_database()"
    )
    return counted


def test_different_messages_of_the_same_new_people_do_not_deadlock(place: Place) -> None:
    # No message twice: nothing makes one body wait for another but the people themselves.
    same_people(place, rounds=4)


@pytest.mark.soak
def test_different_messages_of_the_same_new_people_many_times(place: Place) -> None:
    report("same people", clients=CLIENTS, messages=same_people(place, rounds=60), deadlocks=0)


def same_people(place: Place, *, rounds: int) -> int:
    """Let every client bring messages of its own of the same people, in an order of its own."""
    number = place.number()
    environments = [place.environment(now=NOW) for _ in range(CLIENTS)]
    for n in range(rounds):
        people = [
            Person(f"4915{n:03d}{m:05d}", f"DE.{n}.{m}", name=f"Person {m}") for m in range(40)
        ]

        def deliver(client: int, n: int = n, people: list[Person] = people) -> None:
            mine = [
                message(number, f"wamid.{client}.{n}.{m}", person, SECOND + client)
                for m, person in enumerate(people)
            ]
            random.Random(client).shuffle(mine)
            assert environments[client].post(mine) == 200

        in_threads(CLIENTS, deliver)
    place.drain()
    assert deadlocks(place, environments) == 0
    assert place.count("contacts") == rounds * 40
    told = place.rows("select distinct message_count from messaging.whatsapp_conversations")
    assert told == [(CLIENTS,)]
    assert place.letters() == {}
    return rounds * 40 * CLIENTS


def address_book(phone: str, name: str) -> Json:
    """Return the change in which the phone's address book names somebody."""
    contact = {"full_name": name, "phone_number": phone}
    told = {"type": "contact", "action": "add", "contact": contact}
    return {
        "field": "smb_app_state_sync",
        "value": {"state_sync": [{**told, "metadata": {"timestamp": str(SECOND)}}]},
    }


def with_changes(number: Number, updates: list[Update], *changes: Json) -> bytes:
    """Return a body of `updates` and, behind them, changes of other fields."""
    entries = json.loads(pack(updates))["entry"]
    for change in changes:
        metadata = {"metadata": {"phone_number_id": number.phone_number_id}}
        value = {"messaging_product": "whatsapp", **metadata, **change["value"]}
        entries[0]["changes"].append({**change, "value": value})
    return body_of(entries)


def test_a_message_and_an_address_book_in_one_body_do_not_deadlock_with_other_messages(
    place: Place,
) -> None:
    number = place.number()
    ana, ben = Person("4915551234567", name="Ana"), Person("4915557654321", name="Ben")
    place.post(message(number, "wamid.a1", ana, SECOND - 9))
    place.post(message(number, "wamid.b1", ben, SECOND - 9))
    thread = place.one(
        "select conversation_id from messaging.whatsapp_messages where wa_message_id = 'wamid.a1'"
    )
    first, second = (place.environment(now=NOW) for _ in range(2))
    pids = [each.tools.db.connection().info.backend_pid for each in (first, second)]
    named = with_changes(
        number, [message(number, "wamid.a2", ana)], address_book("4915557654321", "Benjamin")
    )
    # Ben's contact, then Ana's thread.
    others = [
        message(number, "wamid.b2", Person("4915557654321", name="B.")),
        message(number, "wamid.a3", ana),
    ]
    with psycopg.connect(place.database.superuser_url) as holding, ThreadPoolExecutor(2) as pool:
        # The first has written Ana's thread when it comes to the job that is held.
        holding.execute(
            "select from messaging.scheduled_jobs where lane = %s::text for update", (thread,)
        )
        answers = [pool.submit(first.post, named)]
        held_by = (holding.info.backend_pid, pids[0])
        until(lambda: place.one("select %s = any (pg_blocking_pids(%s))", *held_by))
        answers.append(pool.submit(second.post, others))
        until(lambda: place.one("select %s = any (pg_blocking_pids(%s))", *pids))
        holding.commit()
        assert [answer.result() for answer in answers] == [200, 200]

    assert place.count("whatsapp_messages") == 5
    assert place.rows("select name, profile_name from messaging.contacts order by 1") == [
        ("Benjamin", "B."),
        (None, "Ana"),
    ]
    assert deadlocks(place, [first, second]) == 0


def test_each_kind_of_event_is_written_by_itself(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = place.number()
    written = []

    def note_and_take(connection: Connection, tenant: UUID, document: str, *rest: Any) -> Any:
        parts = json.loads(document)
        written.append((len(parts["m"]), len(parts["s"]), [e["k"] for e in parts.get("e", ())]))
        return take(connection, tenant, document, *rest)

    take = events.take
    monkeypatch.setattr(events, "take", note_and_take)
    preference = {"wa_id": "4915557654321", "category": "marketing_messages", "value": "stop"}
    body = with_changes(
        number,
        [message(number, "wamid.1", Person("4915551234567")), status(number, "wamid.2", "sent")],
        address_book("4915557654321", "Ben"),
        {
            "field": "user_preferences",
            "value": {"user_preferences": [{**preference, "timestamp": SECOND}]},
        },
        address_book("4915551234567", "Ana"),
    )

    assert place.usual.post(body) == 200

    assert written == [
        (1, 1, []),
        (0, 0, ["address_book", "address_book"]),
        (0, 0, ["user_preferences"]),
    ]
    assert place.count("consents") == 1


def test_different_statuses_of_the_same_messages_do_not_deadlock(place: Place) -> None:
    same_messages(place, rounds=4)


@pytest.mark.soak
def test_different_statuses_of_the_same_messages_many_times(place: Place) -> None:
    report("same messages", clients=8, statuses=same_messages(place, rounds=100), deadlocks=0)


def same_messages(place: Place, *, rounds: int) -> int:
    """Let every client bring statuses of its own of the same messages, in an order of its own.

    Half of them also bring ids of Meta's that nobody knows, with the attempt's key: they adopt.
    Meanwhile somebody locks the messages in their order, as the send road's recovery does.
    """
    number = place.number()
    environments = [place.environment(now=NOW) for _ in range(8)]
    for n in range(rounds):
        same_messages_once(place, number, environments, n)
    assert deadlocks(place, environments) == 0
    assert place.letters() == {}
    return rounds * 70 * len(environments)


def same_messages_once(
    place: Place, number: Number, environments: list[Environment], n: int
) -> None:
    known = [f"wamid.{n}.{m}" for m in range(60)]
    messages = place.sent_messages(number, known)
    lost = place.sent_messages(number, [None] * 20)
    over = threading.Event()
    left = itertools.count(1)

    def deliver(client: int) -> None:
        at = SECOND + client
        mine = [status(number, wamid, "delivered", at) for wamid in known]
        if client % 2 == 0:
            mine += [
                status(number, f"wamid.{n}.{m}.{client}", "delivered", at, key=f"{sent}.1")
                for m, sent in enumerate(lost)
            ]
        random.Random(client).shuffle(mine)
        try:
            assert environments[client].post(mine) == 200
        finally:
            if next(left) == len(environments):
                over.set()

    def recover() -> None:
        with psycopg.connect(place.database.superuser_url) as connection:
            while not over.is_set():
                connection.execute(
                    "select from messaging.whatsapp_messages where id = any (%s)"
                    " order by id for no key update",
                    (messages + lost,),
                )
                connection.commit()

    clients = len(environments)
    in_threads(clients + 1, lambda client: recover() if client == clients else deliver(client))
    place.drain()
    told = place.rows(
        "select status, delivered_at, count(*) from messaging.whatsapp_messages"
        " where id = any (%s) group by 1, 2",
        messages + lost,
    )
    assert told == [("delivered", NOW, 80)]


# A status that arrives before, while and after its send is settled: with the send road's own
# statement, held open between its work and its commit.


@dataclass
class Sending:
    """A message whose request went out a moment ago: intent committed, lease held."""

    place: Place
    number: Number
    sent: UUID
    token: UUID
    wamid: str

    def settle(self, connection: Connection) -> None:
        """Do what the worker does with Meta's answer."""
        settled = {
            "id": str(self.sent),
            "account": str(self.number.account_id),
            "result": "accepted",
            "wamid": self.wamid,
        }
        steps = connection.execute(
            "select step from messaging.advance_sends(%s, %s, %s::jsonb, '[]', '{}',"
            " interval '1 minute', %s)",
            (self.number.tenant_id, self.token, json.dumps([settled]), NOW),
        ).fetchall()
        assert steps == [("settled",)]

    def told_status(self, word: str, offset: int, *, with_key: bool) -> Step:
        """Return what intake does with a status of this message."""
        update = status(
            self.number,
            self.wamid,
            word,
            SECOND + offset,
            key=f"{self.sent}.1" if with_key else None,
            errors=failure(131026) if word == "failed" else [],
        )
        items = [item for item in parse(pack([update])) if isinstance(item, Message | Status)]
        document = build([(item, self.number.account_id) for item in items], uuid7)

        def run(connection: Connection) -> None:
            connection.execute(
                "select messaging.take(%s, %s::jsonb, %s)", (self.number.tenant_id, document, NOW)
            )

        return run

    def row(self) -> Any:
        """Return what is left in the end."""
        (row,) = self.place.rows(
            "select status, status_rank, wa_message_id = %s, accepted_at, sent_at, delivered_at,"
            " read_at, failed_at, errors, (select count(*) from messaging.send_attempts"
            " where message_id = m.id) from messaging.whatsapp_messages as m where id = %s",
            self.wamid,
            self.sent,
        )
        return row


def sending(place: Place, number: Number) -> Sending:
    (sent,) = place.sent_messages(number, [None], status="sending")
    token = uuid4()
    place.everything.execute(
        "insert into messaging.send_attempts (tenant_id, message_id, account_id, contact_id,"
        " conversation_id, lane, kind, priority, phase, lease_token, lease_until, due_at,"
        " intent_at, recipient, recipient_kind) select tenant_id, id, account_id, contact_id,"
        " conversation_id, conversation_id, 'reply', 10, 'sending', %s, %s + interval '1 minute',"
        " %s, %s, '4915551234567', 'phone' from messaging.whatsapp_messages where id = %s",
        (token, NOW, NOW, NOW, sent),
    )
    return Sending(place, number, sent, token, f"wamid.{sent}")


def overtake(
    place: Place, connections: tuple[Connection, Connection], first: Step, second: Step
) -> bool:
    """Run `second` while `first` has done its work and not committed; return whether it waited."""
    one, two = connections
    waited = False
    first(one)
    with ThreadPoolExecutor(1) as other:
        running = other.submit(second, two)

        def met() -> bool:
            nonlocal waited
            pids = one.info.backend_pid, two.info.backend_pid
            waited = place.one("select %s = any (pg_blocking_pids(%s))", *pids)
            return waited or running.done()

        until(met)
        one.commit()
        running.result()
    return waited


@pytest.mark.parametrize("with_key", [False, True], ids=["by Meta's id", "by the attempt's key"])
def test_statuses_before_during_and_after_the_settle_end_in_the_same_row(
    place: Place, *, with_key: bool
) -> None:
    settle_among_statuses(place, (1, 2), with_key=with_key)


@pytest.mark.soak
def test_all_orders_of_four_statuses_around_the_settle_end_in_the_same_row(place: Place) -> None:
    counts = [settle_among_statuses(place, (1, 2, 3, 4), with_key=key) for key in (False, True)]
    report(
        "settle among statuses",
        sends=sum(sends for sends, _ in counts),
        waited=sum(waits for _, waits in counts),
        different=0,
    )


def settle_among_statuses(
    place: Place, lengths: Iterable[int], *, with_key: bool
) -> tuple[int, int]:
    """Settle before, within and after all orders of statuses; return how many and how many waited.

    Within: either side holds its transaction open when the other comes.
    """
    number = place.number()
    rows: dict[frozenset[tuple[str, int]], set[str]] = {}
    sends = waits = 0
    words = [("sent", 0), ("delivered", 1), ("read", 2), ("failed", 3)]
    url = place.database.app_url
    with psycopg.connect(url) as one, psycopg.connect(url, autocommit=True) as two:
        for length in lengths:
            for chosen in itertools.permutations(words, length):
                for where, race in itertools.product(range(length + 1), RACES):
                    send = sending(place, number)
                    told = [send.told_status(*word, with_key=with_key) for word in chosen]
                    waits += play(place, (one, two), send, told, where=where, race=race)
                    sends += 1
                    rows.setdefault(frozenset(chosen), set()).add(repr(send.row()))
    assert {repr(key): found for key, found in rows.items() if len(found) != 1} == {}
    assert waits > sends // 4, "the pauses are really in the way of the other"
    assert place.one("select count(*) from messaging.message_keys where message_id is null") == 0
    return sends, waits


RACES = ("none", "settle first", "status first")


def play(
    place: Place,
    connections: tuple[Connection, Connection],
    send: Sending,
    told: list[Step],
    *,
    where: int,
    race: str,
) -> bool:
    """Settle at place `where` among the statuses, as `race` says; return whether one waited."""
    alone = connections[1]
    for step in told[:where]:
        step(alone)
    if race == "none" or where == len(told):
        send.settle(alone)
        waited, rest = False, told[where:]
    else:
        pair = (send.settle, told[where])
        first, second = pair if race == "settle first" else reversed(pair)
        waited, rest = overtake(place, connections, first, second), told[where + 1 :]
    for step in rest:
        step(alone)
    return waited
