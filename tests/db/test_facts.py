"""Trips and bookings as they are stored: any order, many at once, several writers, one tenant."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import permutations
from random import Random
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from switchboard.facts import bookings, trips
from switchboard.facts.bookings import BookingState
from switchboard.facts.given import TheFact
from switchboard.facts.trips import TripState
from switchboard.kernel.clock import Clock
from switchboard.kernel.errors import NotFound
from switchboard.store import facts as store
from switchboard.store import identity
from switchboard.tools import Tools
from tests.databases import ClonedDatabase
from tests.sending import Place, World, poll

Made = dict[str, Any]

PHONE = "4915550000001"
NOON = datetime(2027, 1, 31, 12, tzinfo=UTC)
#: What is neither the service's word nor the same in another database.
OURS = ("tenant_id", "id", "contact_id", "created_at", "updated_at", "pending_since", "trip_id")


@pytest.fixture
def world(database: ClonedDatabase) -> Iterator[World]:
    with closing(World(database)) as world:
        yield world


@pytest.fixture
def place(world: World) -> Place:
    return world.place()


@pytest.fixture
def tools(world: World) -> Tools:
    return world.tools(Clock(now=NOON))


def at(minutes: int) -> str:
    """Return a time before noon: the later, the greater `minutes`."""
    return (NOON - timedelta(days=1) + timedelta(minutes=minutes)).isoformat()


def trip(external_id: str = "T-1", **more: Any) -> Made:
    return {"external_id": external_id, "phone": PHONE, **more}


def write(tools: Tools, place: Place, *items: Any) -> list[str]:
    return [told["result"] for told in trips.write_trips(tools, place.tenant_id, items).results]


def book(tools: Tools, place: Place, *items: Any) -> list[str]:
    told = bookings.write_bookings(tools, place.tenant_id, items).results
    return [one["result"] for one in told]


def content(rows: list[Made]) -> list[Made]:
    shown = [{k: v for k, v in row.items() if k not in OURS} for row in rows]
    return sorted(shown, key=lambda row: row["external_id"])


# --- order ---


VERSIONS = [
    trip(as_of=at(1), status="planned", title="Lima"),
    trip(as_of=at(2), status="active", title="Lima", spent_minor=5, currency="EUR"),
    trip(as_of=at(3), status="active", title="Lima, Cusco", attributes={"seats": 2}),
    # At one time, and not the same.
    trip(as_of=at(3), status="cancelled", title="Lima, Cusco"),
    trip(as_of=at(3), status="active", title="Lima, Cusco", attributes={"seats": 3}),
]


def test_any_order_of_the_same_facts_ends_in_the_same_row(tools: Tools, world: World) -> None:
    place = world.place()
    for number, order in enumerate(permutations(VERSIONS)):
        for one in order:
            write(tools, place, {**one, "external_id": f"T-{number}"})
    ends = content(place.rows("trips"))
    assert len(ends) == 120
    assert {at_of(end) for end in ends} == {at(3)}
    assert all({**end, "external_id": ""} == {**ends[0], "external_id": ""} for end in ends)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    facts=st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.integers(0, 4),
            st.sampled_from(["pending", "confirmed", "cancelled"]),
            st.sampled_from([None, "flight"]),
        ),
        min_size=1,
        max_size=12,
    ),
    cut=st.integers(1, 12),
    random=st.randoms(use_true_random=False),
)
def test_bookings_end_alike_in_any_order_singly_or_in_bulk(
    tools: Tools,
    world: World,
    facts: list[tuple[str, int, str, str | None]],
    cut: int,
    random: Random,
) -> None:
    """The state that is left is that of the newest; what was refused meanwhile left no trace."""
    items = [
        {"external_id": name, "phone": PHONE, "as_of": at(when), "status": status, "kind": kind}
        for name, when, status, kind in facts
    ]
    one_by_one, in_parts = world.place(), world.place()
    for item in items:
        book(tools, one_by_one, item)
    mixed = [*items]
    random.shuffle(mixed)
    for start in range(0, len(mixed), cut):
        book(tools, in_parts, *mixed[start : start + cut])
    left = content(one_by_one.rows("bookings"))
    assert left == content(in_parts.rows("bookings"))
    for row in left:
        mine = [fact for fact in facts if fact[0] == row["external_id"]]
        assert row["as_of"].isoformat() == at(max(when for _, when, _, _ in mine))
        newest = [(status, kind) for _, when, status, kind in mine if at(when) == at_of(row)]
        assert (row["status"], row["kind"]) in newest


def at_of(row: Made) -> str:
    moment: datetime = row["as_of"]
    return moment.isoformat()


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=10))
def test_it_is_pending_since_the_last_break_of_what_was_taken(
    tools: Tools, world: World, steps: list[tuple[int, bool]]
) -> None:
    place = world.place()
    since: str | None = None
    newest = -1
    for when, pending in steps:
        status = "pending" if pending else "confirmed"
        state = BookingState.model_validate({"phone": PHONE, "as_of": at(when), "status": status})
        told = bookings.put_booking(tools, place.tenant_id, "B-1", state)
        taken = told.booking.status == status and told.result != "stale"
        assert taken == (told.result != "stale")
        if taken and when >= newest:
            newest = when
            since = (since or at(when)) if pending else None
        shown = told.booking.pending_since
        assert (shown and shown.isoformat()) == since


def test_a_booking_that_is_pending_again_has_been_so_since_then(tools: Tools, place: Place) -> None:
    def since(minutes: int, status: str) -> str | None:
        state = {"phone": PHONE, "as_of": at(minutes), "status": status, "title": str(minutes)}
        told = bookings.put_booking(
            tools, place.tenant_id, "B-1", BookingState.model_validate(state)
        )
        moment = told.booking.pending_since
        return moment.isoformat() if moment else None

    assert since(10, "pending") == at(10)
    assert since(20, "pending") == at(10)  # sent again, with another title
    assert since(15, "confirmed") == at(10)  # stale
    assert since(30, "confirmed") is None
    assert since(40, "pending") == at(40)
    assert since(50, "cancelled") is None


def test_each_write_says_what_it_changed(tools: Tools, world: World, place: Place) -> None:
    one = trip(title="Lima", as_of=at(1))
    assert write(tools, place, one) == ["created"]
    assert write(tools, place, one) == ["unchanged"]
    assert write(tools, place, {**one, "title": "Cusco", "as_of": at(0)}) == ["stale"]
    later = world.tools(Clock(now=NOON + timedelta(hours=1)))
    assert write(later, place, {**one, "as_of": at(5)}) == ["unchanged"]
    (row,) = place.rows("trips")
    # Its time is known, so that nothing between passes; its content is as old as it was.
    assert (at_of(row), row["created_at"], row["updated_at"]) == (at(5), NOON, NOON)
    assert write(tools, place, {**one, "title": "Cusco", "as_of": at(4)}) == ["stale"]
    assert write(later, place, {**one, "title": "Cusco", "as_of": at(6)}) == ["updated"]
    (row,) = place.rows("trips")
    assert (row["title"], row["updated_at"]) == ("Cusco", NOON + timedelta(hours=1))


def test_without_a_time_a_fact_is_of_now(tools: Tools, world: World, place: Place) -> None:
    assert write(tools, place, trip(title="one")) == ["created"]
    assert at_of(place.rows("trips")[0]) == NOON.isoformat()
    assert write(tools, place, trip(title="two", as_of=at(9))) == ["stale"]
    real = world.tools(Clock())
    # The database's clock is behind noon of that day, or long after it.
    before = datetime.now(UTC)
    assert write(real, place, trip("T-2")) == ["created"]
    (row,) = place.rows("trips", external_id="T-2")
    assert before - timedelta(seconds=5) < row["as_of"] < before + timedelta(minutes=1)


def test_a_time_may_be_five_minutes_ahead_and_no_more(tools: Tools, place: Place) -> None:
    ahead = [(NOON + timedelta(minutes=5, seconds=s)).isoformat() for s in (0, 1)]
    told = trips.write_trips(
        tools, place.tenant_id, [trip("a", as_of=ahead[0]), trip("b", as_of=ahead[1])]
    ).results
    assert [one["result"] for one in told] == ["created", "refused"]
    assert (told[1]["field"], told[1]["status_code"]) == ("as_of", 422)


def test_what_stands_several_times_in_a_request_is_written_in_its_order(
    tools: Tools, place: Place
) -> None:
    told = book(
        tools,
        place,
        *(
            {"external_id": "B-1", "phone": PHONE, "as_of": at(when), "status": status}
            for when, status in ((1, "pending"), (2, "confirmed"), (1, "cancelled"), (3, "pending"))
        ),
    )
    assert told == ["created", "updated", "stale", "updated"]
    (row,) = place.rows("bookings")
    assert row["pending_since"].isoformat() == at(3)
    many = [trip(title=str(n), as_of=at(n)) for n in range(22)]
    assert write(tools, place, *many) == ["created", *["updated"] * 19, "refused", "refused"]


# --- many ---


def test_a_thousand_are_written_by_one_statement(
    tools: Tools, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of round trips does not depend on how many there are."""
    asked: list[str] = []
    execute = psycopg.Connection.execute

    def listen(self: Any, query: Any, *args: Any, **how: Any) -> Any:
        asked.append(str(query))
        return execute(self, query, *args, **how)

    monkeypatch.setattr(psycopg.Connection, "execute", listen)

    def statements(count: int, start: int) -> tuple[int, int, int]:
        asked.clear()
        facts = [
            trip(f"T-{n}", phone=f"49155500{n % 500:05d}", as_of=at(1))
            for n in range(start, start + count)
        ]
        assert write(tools, place, *facts) == ["created"] * count
        written = len([one for one in asked if "insert into messaging.trips" in one])
        total = len(asked)
        asked.clear()
        assert write(tools, place, *facts) == ["unchanged"] * count
        return written, total, len(asked)

    few, many = statements(10, 0), statements(1000, 2000)
    assert few == many
    assert few[0] == 1
    assert len(place.rows("trips")) == 1010
    assert len(place.rows("contacts")) == 500


def test_what_is_sent_again_writes_nothing(tools: Tools, place: Place) -> None:
    def versions() -> list[Any]:
        rows = []
        for table in ("trips", "contacts", "contact_identifiers"):
            statement = psycopg.sql.SQL(
                "select xmin::text, ctid::text from messaging.{} where tenant_id = %s order by 1, 2"
            ).format(psycopg.sql.Identifier(table))
            rows += place.everything.execute(statement, (place.tenant_id,)).fetchall()
        return rows

    write(tools, place, trip(as_of=at(1)), trip("T-2", as_of=at(1)))
    before = versions()
    assert len(before) == 4
    assert write(tools, place, trip(as_of=at(1)), trip("T-2", as_of=at(0))) == [
        "unchanged",
        "unchanged" if at(0) == at(1) else "stale",
    ]
    assert versions() == before


# --- several writers ---


def fact(external_id: str, contact_id: Any, minutes: int, n: int = 0) -> Made:
    state = TripState.model_validate(
        {"contact_id": contact_id, "as_of": at(minutes), "title": f"as of {minutes}"}
    )
    document = state.model_dump(mode="json", exclude={"phone"})
    return {**document, "place": n, "external_id": external_id}


@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
@pytest.mark.parametrize(
    ("first", "second", "result"),
    [(1, 2, "updated"), (2, 1, "stale"), (2, 2, "unchanged")],
)
def test_of_two_writers_at_once_the_newer_fact_holds(
    world: World, place: Place, *, known: bool, first: int, second: int, result: str
) -> None:
    """The second waits for the first, and compares with what that has written."""
    person = place.person()
    one, other = world.tools(Clock(now=NOON)), world.tools(Clock(now=NOON))
    tenant_id = place.tenant_id
    if known:
        with one.db.transaction(tenant_id) as link:
            store.put_trips(link, tenant_id, [fact("T-1", person.contact_id, 0)], now=NOON)
    pids = [tools.db.connection().info.backend_pid for tools in (one, other)]
    with ThreadPoolExecutor(1) as threads:
        with one.db.transaction(tenant_id) as link:
            store.put_trips(link, tenant_id, [fact("T-1", person.contact_id, first)], now=NOON)

            def late() -> str:
                with other.db.transaction(tenant_id) as theirs:
                    documents = [fact("T-1", person.contact_id, second)]
                    (told,) = store.put_trips(theirs, tenant_id, documents, now=NOON)
                return told.result

            waiting = threads.submit(late)
            poll(
                lambda: (
                    place.everything.execute(
                        "select %s = any (pg_blocking_pids(%s))", pids
                    ).fetchone()
                    == (True,)
                )
            )
        assert waiting.result(10) == result
    (row,) = place.rows("trips")
    assert row["title"] == f"as of {max(first, second)}"
    assert at_of(row) == at(max(first, second))


def test_writers_of_the_same_thousand_end_alike_and_none_fails(world: World, place: Place) -> None:
    """Overlapping requests in any order of their items: locks are taken in one order."""
    names = [f"T-{n}" for n in range(120)]

    def work(seed: int) -> list[str]:
        random = Random(seed)
        mine = world.tools(Clock(now=NOON))
        seen: list[str] = []
        for round_ in range(4):
            chosen = random.sample(names, 90)
            facts = [
                trip(name, title=f"{seed}", phone=f"49155500{n:05d}", as_of=at(seed * 4 + round_))
                for n, name in enumerate(chosen)
            ]
            seen += write(mine, place, *facts)
        return seen

    with ThreadPoolExecutor(6) as threads:
        results = [result for seen in threads.map(work, range(6)) for result in seen]
    assert set(results) <= {"created", "updated", "stale", "unchanged"}
    rows = place.rows("trips")
    assert results.count("created") == len(rows) == len({row["external_id"] for row in rows})
    expected: dict[str, int] = {}
    for seed in range(6):
        random = Random(seed)
        for round_ in range(4):
            for name in random.sample(names, 90):
                expected[name] = max(expected.get(name, 0), seed * 4 + round_)
    assert {row["external_id"]: at_of(row) for row in rows} == {
        name: at(when) for name, when in expected.items()
    }


@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
@pytest.mark.parametrize("kind", ["trips", "bookings"])
def test_rows_are_locked_in_the_order_of_their_ids(
    world: World, place: Place, *, kind: str, known: bool
) -> None:
    """Who waits for one in the middle holds those before it, and none after it."""
    one, other = world.tools(Clock(now=NOON)), world.tools(Clock(now=NOON))
    put = write if kind == "trips" else book
    facts = [trip(f"X-{n}", as_of=at(1)) for n in (9, 5, 7, 1, 3)]
    person = place.person(PHONE)
    if known:
        put(one, place, *facts)
    pids = [tools.db.connection().info.backend_pid for tools in (one, other)]

    def is_held(name: str) -> bool:
        statement = (
            f"select from messaging.{kind} where tenant_id = %s and external_id = %s for update"
            if known
            else f"insert into messaging.{kind} (tenant_id, external_id, contact_id, status, as_of)"
            " select c.tenant_id, i.name, c.id, 'completed', now() from messaging.contacts as c,"
            " (values (%s::uuid, %s)) as i(tenant, name)"
            " where c.tenant_id = i.tenant and c.id = %s"
        )
        parameters = [place.tenant_id, name, *([] if known else [person.contact_id])]
        with psycopg.connect(world.database.superuser_url) as link:
            link.execute("set local lock_timeout = '200ms'")
            try:
                link.execute(statement.encode(), parameters)
            except psycopg.errors.LockNotAvailable:
                return True
            finally:
                link.rollback()
        return False

    with ThreadPoolExecutor(1) as threads:
        with one.db.transaction(place.tenant_id) as link:
            document = {**fact("X-5", person.contact_id, 2), "trip": None}
            (store.put_trips if kind == "trips" else store.put_bookings)(
                link, place.tenant_id, [document | {"status": "completed"}], now=NOON
            )
            waiting = threads.submit(put, other, place, *({**one, "title": "x"} for one in facts))
            poll(
                lambda: (
                    place.everything.execute(
                        "select %s = any (pg_blocking_pids(%s))", pids
                    ).fetchone()
                    == (True,)
                )
            )
            held = [name for name in ("X-1", "X-3", "X-7", "X-9") if is_held(name)]
        waiting.result(10)
    assert held == ["X-1", "X-3"]


# --- tenants, contacts, trips ---


def test_another_tenant_has_its_own_facts_under_the_same_ids(tools: Tools, world: World) -> None:
    one, other = world.place(), world.place()
    write(tools, one, trip(title="ours"))
    with pytest.raises(NotFound):
        trips.show_trip(tools, other.tenant_id, TheFact(external_id="T-1"))
    assert trips.list_trips(tools, other.tenant_id, trips.TripFilter(limit=50)).data == []
    with pytest.raises(NotFound):
        trips.delete_trip(tools, other.tenant_id, TheFact(external_id="T-1"))
    # Their trip is none to book for, and their contact nobody.
    booking = {"external_id": "B-1", "phone": PHONE, "trip": "T-1"}
    (told,) = bookings.write_bookings(tools, other.tenant_id, [booking]).results
    assert (told["result"], told["status_code"], told["field"]) == ("refused", 404, "trip")
    theirs = str(one.rows("contacts")[0]["id"])
    (told,) = trips.write_trips(
        tools, other.tenant_id, [{"external_id": "T-9", "contact_id": theirs}]
    ).results
    assert (told["result"], told["status_code"], told["field"]) == ("refused", 404, "contact_id")
    assert write(tools, other, trip(title="theirs")) == ["created"]
    assert [row["title"] for row in one.rows("trips")] == ["ours"]
    assert [row["title"] for row in other.rows("trips")] == ["theirs"]


def test_a_merge_gives_the_facts_to_the_winner_whose_id_then_answers(
    tools: Tools, place: Place
) -> None:
    one, other = place.person(), place.person()
    write(tools, place, {"external_id": "T-1", "contact_id": str(one.contact_id)})
    write(tools, place, {"external_id": "T-2", "contact_id": str(other.contact_id)})
    for name, person in (("B-1", one), ("B-2", other)):
        book(tools, place, {"external_id": name, "contact_id": str(person.contact_id)})
    both = [one.contact_id, other.contact_id]
    root = identity.merge(
        tools.db.connection(),
        place.tenant_id,
        identity.Strangers(both, "late_pairing", None),
        now=NOON,
    )
    assert root in both
    assert {row["contact_id"] for row in place.rows("trips")} == {root}
    assert {row["contact_id"] for row in place.rows("bookings")} == {root}
    (loser,) = set(both) - {root}
    for wanted in (
        trips.TripFilter(limit=50, contact_id=loser),
        trips.TripFilter(limit=50, contact_id=root),
        trips.TripFilter(limit=50, phone=other.phone),
    ):
        found = trips.list_trips(tools, place.tenant_id, wanted).data
        assert {one.external_id for one in found} == {"T-1", "T-2"}
    # Written under the id that was merged, it is the same fact.
    told = trips.write_trips(
        tools, place.tenant_id, [{"external_id": "T-1", "contact_id": str(loser)}]
    ).results
    assert (told[0]["result"], told[0]["contact_id"]) == ("unchanged", str(root))


def test_a_fact_waits_for_a_merge_and_is_the_winners(
    tools: Tools, world: World, place: Place
) -> None:
    one, other = place.person(), place.person()
    both = [one.contact_id, other.contact_id]
    pid = tools.db.connection().info.backend_pid
    with ThreadPoolExecutor(1) as threads:
        with psycopg.connect(world.database.superuser_url) as merging:
            (row,) = merging.execute(
                "select messaging.merge_contacts(%s, %s, 'late_pairing')", (place.tenant_id, both)
            ).fetchall()
            (loser,) = set(both) - {row[0]}
            item = {"external_id": "T-1", "contact_id": str(loser)}
            waiting = threads.submit(write, tools, place, item)
            poll(
                lambda: (
                    place.everything.execute(
                        "select %s = any (pg_blocking_pids(%s))", (merging.info.backend_pid, pid)
                    ).fetchone()
                    == (True,)
                )
            )
        assert waiting.result(10) == ["created"]
    assert [trip["contact_id"] for trip in place.rows("trips")] == [row[0]]


def test_an_unknown_phone_makes_a_contact_and_a_known_one_finds_it(
    tools: Tools, place: Place
) -> None:
    person = place.person("5215550001234".replace("521", "52", 1))
    told = trips.write_trips(
        tools,
        place.tenant_id,
        [trip("T-1", phone="+4915550000007"), trip("T-2", phone="5215550001234")],
    ).results
    assert told[1]["contact_id"] == str(person.contact_id)
    (made,) = place.rows("contacts", phone_number="+4915550000007")
    assert told[0]["contact_id"] == str(made["id"])


def test_a_trip_that_goes_leaves_its_bookings(tools: Tools, place: Place) -> None:
    write(tools, place, trip())
    book(tools, place, {"external_id": "B-1", "phone": PHONE, "trip": "T-1"})
    trips.delete_trip(tools, place.tenant_id, TheFact(external_id="T-1"))
    booking = bookings.show_booking(tools, place.tenant_id, TheFact(external_id="B-1"))
    assert booking.trip is None
    assert place.rows("trips") == []
    with pytest.raises(NotFound):
        trips.delete_trip(tools, place.tenant_id, TheFact(external_id="T-1"))


def test_a_booking_waits_for_who_deletes_its_trip_and_is_refused_alone(
    world: World, place: Place
) -> None:
    one, other = world.tools(Clock(now=NOON)), world.tools(Clock(now=NOON))
    write(one, place, trip())
    items = [
        {"external_id": name, "phone": PHONE, "trip": trip_id}
        for name, trip_id in (("B-1", "T-1"), ("B-2", None))
    ]
    pids = [tools.db.connection().info.backend_pid for tools in (one, other)]
    with ThreadPoolExecutor(1) as threads:
        with one.db.transaction(place.tenant_id) as link:
            store.delete_trip(link, place.tenant_id, "T-1")
            waiting = threads.submit(book, other, place, *items)
            poll(
                lambda: (
                    place.everything.execute(
                        "select %s = any (pg_blocking_pids(%s))", pids
                    ).fetchone()
                    == (True,)
                )
            )
        assert waiting.result(10) == ["refused", "created"]


def test_a_zone_that_only_the_database_lacks_is_refused_by_it(tools: Tools, place: Place) -> None:
    person = place.person()
    wrong = {**fact("T-1", person.contact_id, 1), "timezone": "Mars/Jezero"}
    with tools.db.transaction(place.tenant_id) as link:
        good = fact("T-2", person.contact_id, 1, n=1)
        told = store.put_trips(link, place.tenant_id, [wrong, good], now=NOON)
    assert [(one.result, one.wrong) for one in told] == [
        ("refused", "timezone"),
        ("created", None),
    ]


def test_a_tenant_takes_its_facts_along(tools: Tools, place: Place) -> None:
    write(tools, place, trip())
    book(tools, place, {"external_id": "B-1", "phone": PHONE, "trip": "T-1"})
    place.everything.execute("delete from messaging.tenants where id = %s", (place.tenant_id,))
    assert place.rows("trips") == place.rows("bookings") == []


def test_nobody_unknown_has_facts(tools: Tools, place: Place) -> None:
    assert write(tools, place, {"external_id": "T-1", "contact_id": str(uuid4())}) == ["refused"]
    assert place.rows("trips") == []
