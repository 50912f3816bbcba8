"""A thousand updates in one body: what can be read is stored, the rest is kept, once for all."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.databases import ClonedDatabase
from tests.deliveries import (
    NOW,
    SECOND,
    Number,
    Person,
    Place,
    Update,
    aws_at_hand,
    in_threads,
    message,
    pack,
    report,
    status,
)
from tests.intake_model import Outbound, expected, found

CLIENTS = 16


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    with aws_at_hand():
        place = Place(database)
        yield place
        place.close()


def malformed(number: Number) -> list[Update]:
    """Return ten parts that cannot be read or stored, each another way."""
    ana = Person("4915559999999", name="Ana")
    base = message(number, "wamid.bad", ana).part
    sent = status(number, "wamid.bad", "sent").part
    parts = [
        Update(number, {**base, "text": {"body": "nul \0 in it"}}, contact=ana.contact),
        Update(number, {**base, "text": {"body": "half \ud83d of one"}}, contact=ana.contact),
        Update(number, {key: value for key, value in base.items() if key != "id"}),
        Update(number, {**base, "timestamp": "yesterday"}),
        Update(number, {key: value for key, value in base.items() if key != "from"}),
        Update(number, "no object"),
        Update(number, {**sent, "biz_opaque_callback_data": "\0"}, "statuses"),
        Update(number, {**sent, "status": 7}, "statuses"),
        Update(number, {**sent, "timestamp": "0"}, "statuses"),
        Update(number, [1, 2, 3], "statuses"),
    ]
    assert len({json.dumps(part.part) for part in parts}) == 10
    return parts


def thousand(place: Place, size: int = 1000) -> tuple[list[Update], list[Update], list[Outbound]]:
    """Return `size` updates for numbers of two tenants: the ten malformed and the good ones."""
    first = place.number()
    numbers = [first, place.number(first.tenant_id), place.number()]
    known = [Person(f"49155500{n:05d}", name=f"Person {n}") for n in range(40)]
    place.post(*(message(number, f"wamid.before{p.phone}", p) for number in numbers for p in known))
    outbound = []
    good: list[Update] = []
    half = size // 2
    for n in range(half):
        new = Person(f"49155511{n:05d}", f"DE.{n}", name=f"New {n}")
        person = known[n % 40] if n % 3 else new
        good.append(message(numbers[n % 3], f"wamid.in{n}", person, SECOND + n % 50))
    for n in range(size - half - 10):
        # Six of one message, every fifth of a message that something else sent.
        number, which = numbers[n // 6 % 3], n - n % 6
        if n == which:
            (sent,) = place.sent_messages(number, [f"wamid.out{n}"])
            outbound.append(Outbound(number, sent, f"wamid.out{n}"))
        word = ("sent", "delivered", "read", "failed", "sent", "read")[n % 6]
        wamid = f"wamid.far{n}" if n % 5 == 0 else f"wamid.out{which}"
        good.append(status(number, wamid, word, SECOND + n))
    bad = [part for n in range(10) for part in malformed(numbers[n % 3])[n : n + 1]]
    assert len(good) + len(bad) == size
    return good, bad, outbound


def mixed(good: list[Update], bad: list[Update]) -> bytes:
    """Return one body in which bad and good ones stand side by side."""
    updates = list(good)
    for n, part in enumerate(bad):
        updates.insert(n * (len(good) // len(bad)) + 7, part)
    return pack(updates)


def assert_kept(place: Place, good: list[Update], bad: list[Update]) -> None:
    messages = sum(update.list_name == "messages" for update in good)
    stored = place.one(
        "select count(*) from messaging.whatsapp_messages where direction = 'inbound'"
        " and wa_message_id not like 'wamid.before%'"
    )
    assert stored == messages
    assert place.count("message_status_events") == len(good) - messages
    letters = place.letters()
    assert {reason for _, reason in letters} == {"malformed"}
    # As bytes, each whole, in the tenant whose number it came to.
    kept = [(tenant, body) for (tenant, _), bodies in letters.items() for body in bodies]
    told = [(part.number.tenant_id, part.part) for part in bad]
    assert len(kept) == len(bad)
    for tenant, body in kept:
        (change,) = json.loads(body)["entry"][0]["changes"]
        value = change["value"]
        (part,) = value.get("messages") or value["statuses"]
        assert (tenant, part) in told
    reasons = place.rows("select detail from messaging.webhook_dead_letters")
    assert len({reason for (reason,) in reasons}) >= 8


def test_a_thousand_mixed_updates_are_stored_once_and_ten_are_kept_with_reasons(
    place: Place,
) -> None:
    good, bad, outbound = thousand(place)
    body = mixed(good, bad)

    assert place.usual.post(body) == 200

    assert_kept(place, good, bad)
    before = place.snapshot()

    environments = [place.environment(now=NOW) for _ in range(CLIENTS)]
    answers = in_threads(CLIENTS, lambda n: [environments[n].post(body) for _ in range(3)])

    assert answers == [[200] * 3] * CLIENTS
    place.drain()
    assert place.snapshot() == before
    assert outbound


def test_sixteen_clients_bring_it_first_at_the_same_moment_and_it_is_stored_once(
    place: Place,
) -> None:
    sixteen_at_once(place, 240)


@pytest.mark.soak
def test_sixteen_clients_bring_a_thousand_first_at_the_same_moment(place: Place) -> None:
    sixteen_at_once(place, 1000)
    report("same body", clients=CLIENTS, updates=1000, times=3, changed=0)


def sixteen_at_once(place: Place, size: int) -> None:
    good, bad, outbound = thousand(place, size)
    body = mixed(good, bad)
    environments = [place.environment(now=NOW) for _ in range(CLIENTS)]

    answers = in_threads(CLIENTS, lambda n: [environments[n].post(body) for _ in range(3)])

    assert answers == [[200] * 3] * CLIENTS
    place.drain()
    assert_kept(place, good, bad)
    really = found(place)
    model = expected(good, outbound, SECOND)
    assert really["outbound"] == model["outbound"]
    assert really["events"] == model["events"]
    assert sum(row[1] for row in really["conversations"].values()) == 120 + len(model["messages"])
