"""When something is wrong: with the data, with the moment, with the database, with the bucket."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from switchboard.intake import backlog
from switchboard.intake.backlog import Drained
from switchboard.intake.store import Stored, store
from switchboard.kernel.errors import Unavailable
from switchboard.tools import Tools
from tests.cut_link import CutLink
from tests.databases import ClonedDatabase
from tests.deliveries import (
    BUCKET,
    Environment,
    Number,
    Person,
    Place,
    Stopwatch,
    aws_at_hand,
    digest,
    in_threads,
    message,
    pack,
    status,
    waiting,
)

ANA = Person("4915551234567", name="Ana")
NOWHERE = "postgresql://app@127.0.0.1:1/none"


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


@pytest.fixture
def s3() -> Iterator[Any]:
    with aws_at_hand() as s3:
        yield s3


def trouble(
    place: Place, sqlstate: str, times: int = 10**9, table: str = "message_keys"
) -> Callable[[], int]:
    """Make the database refuse new rows of `table`, `times` times; return who counts the tries."""
    place.everything.execute("create sequence if not exists trouble")
    place.everything.execute("alter sequence trouble restart")
    place.everything.execute("grant usage on sequence trouble to app")
    # The sequence counts on although the transaction is rolled back.
    place.everything.execute(
        "create or replace function trouble() returns trigger language plpgsql as $$ begin"
        f" if nextval('public.trouble') <= {times} then"
        f" raise exception 'injected' using errcode = '{sqlstate}'; end if; return new; end $$"
    )
    place.everything.execute(
        f"create or replace trigger trouble before insert on messaging.{table}"
        " for each row execute function trouble()"
    )
    count = "select case when is_called then last_value else 0 end from trouble"
    return lambda: int(place.one(count))


def no_more_trouble(place: Place) -> None:
    place.everything.execute("drop trigger trouble on messaging.message_keys")


# The data is at fault.


def test_culprits_are_found_by_halving_and_their_neighbours_live(place: Place, s3: Any) -> None:
    number = place.number()
    culprits = {0, 31, 32, 77, 99}
    updates = [
        message(number, f"wamid.{n}", Person(user_id="x" * 201 if n in culprits else f"DE.{n}"))
        for n in range(100)
    ]
    updates += [status(number, f"wamid.s{n}", "sent") for n in range(100)]

    assert place.usual.post(updates) == 200

    assert place.count("whatsapp_messages") == 95
    assert place.count("message_status_events") == 100
    assert place.count("contacts") == 95
    ((where, bodies),) = place.letters().items()
    assert where == (number.tenant_id, "refused_by_database")
    # Each letter is a body that holds just its item: what a replay is fed with.
    kept = [json.loads(body)["entry"][0]["changes"][0]["value"]["messages"] for body in bodies]
    assert sorted(only["id"] for (only,) in kept) == sorted(f"wamid.{n}" for n in culprits)
    assert {
        detail[:5] for (detail,) in place.rows("select detail from messaging.webhook_dead_letters")
    } == {"23514"}
    assert waiting(s3) == []


def test_a_check_of_the_operators_own_costs_only_whom_it_refuses(place: Place) -> None:
    number = place.number()
    place.everything.execute(
        "alter table messaging.whatsapp_messages"
        " add constraint polite check (content ->> 'body' <> 'damn')"
    )
    bodies = ["hi", "damn", "hello"]

    place.post(
        *(message(number, f"wamid.{n}", ANA, content={"body": b}) for n, b in enumerate(bodies))
    )

    assert place.count("whatsapp_messages") == 2
    assert place.one("select message_count from messaging.whatsapp_conversations") == 2
    assert place.count("webhook_dead_letters") == 1


def test_a_body_of_culprits_alone_is_answered_200_and_kept_item_by_item(place: Place) -> None:
    number = place.number()
    place.post(*(message(number, f"wamid.{n}", Person(user_id="x" * 300)) for n in range(17)))

    assert place.count("webhook_dead_letters") == 17
    for table in ("whatsapp_messages", "message_keys", "contacts", "contact_identifiers"):
        assert place.count(table) == 0


# The moment is bad.


def test_passing_trouble_is_tried_again_three_times(place: Place, s3: Any) -> None:
    number = place.number()
    states = ["40001", "40P01", "55P03", "57014"]
    for n, sqlstate in enumerate(states):
        tries = trouble(place, sqlstate, 3)

        assert place.usual.post([message(number, f"wamid.{n}", ANA)]) == 200

        assert tries() == 4
        assert place.count("whatsapp_messages") == n + 1
    assert (place.letters(), waiting(s3)) == ({}, [])


def test_trouble_that_does_not_pass_sends_the_body_to_the_backlog(place: Place, s3: Any) -> None:
    tries = trouble(place, "40P01")
    number = place.number()

    assert place.usual.post([message(number, "wamid.1", ANA)]) == 200

    assert tries() == 4
    assert place.letters() == {}, "a moment's trouble is no fault of the data"
    assert len(waiting(s3)) == 1


def test_trouble_is_not_tried_for_longer_than_the_function_has(place: Place, s3: Any) -> None:
    class Slow(Stopwatch):
        def __call__(self) -> float:
            self.seconds += 2
            return self.seconds

    tries = trouble(place, "57014")
    number = place.number()
    environment = place.environment(stopwatch=Slow())

    assert environment.post([message(number, "wamid.1", ANA)]) == 200

    assert 1 <= tries() <= 2
    assert len(waiting(s3)) == 1


def test_passing_trouble_with_dead_letters_is_tried_again(place: Place, s3: Any) -> None:
    tries = trouble(place, "40P01", 2, "webhook_dead_letters")

    assert place.usual.post(b"not JSON") == 200

    assert tries() == 3
    assert place.count("webhook_dead_letters") == 1
    assert waiting(s3) == []


# The database is away.


def drain(environment: Environment) -> Drained:
    return backlog.drain(environment.tools, lambda: True)


def test_while_the_database_is_away_bodies_wait_and_then_take_the_same_road(
    place: Place, s3: Any
) -> None:
    number = place.number()
    bodies = [pack([message(number, f"wamid.{n}", ANA)]) for n in range(3)]
    away = Environment(NOWHERE)

    # The second one twice.
    assert [away.post(body) for body in (*bodies, bodies[1])] == [200] * 4

    day = datetime.now(UTC).strftime("%Y-%m-%d")
    assert sorted(waiting(s3)) == sorted(f"{day}/{digest(body)}" for body in bodies)
    for body in bodies:
        got = s3.get_object(Bucket=BUCKET, Key=f"{day}/{digest(body)}")
        assert got["Body"].read() == body, "the bytes as they came"
    assert away.nudges == 0
    drained = drain(place.usual)
    assert (drained.stored, drained.failed, drained.nudge) == (3, 0, True)
    assert place.count("whatsapp_messages") == 3
    assert waiting(s3) == []


def test_after_a_failed_connect_the_next_five_seconds_go_straight_to_the_backlog(
    place: Place, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = place.number()
    connects: list[str] = []
    wall = Stopwatch()
    really = psycopg.connect
    url = NOWHERE

    def connect(*args: Any, **options: Any) -> Any:
        connects.append(url)
        if url == NOWHERE:
            # A server that swallows packets: the connect itself takes three seconds.
            wall.seconds += 3
            raise psycopg.OperationalError("connection timeout expired")
        return really(url, **options)

    monkeypatch.setattr(psycopg, "connect", connect)
    environment = place.environment(wall=wall)

    def post(n: int) -> None:
        assert environment.post([message(number, f"wamid.{n}", ANA)]) == 200

    for n in range(5):
        post(n)
    assert len(connects) == 1
    wall.seconds += 4.9
    post(5)
    assert len(connects) == 1
    wall.seconds += 0.2
    post(6)
    assert len(connects) == 2
    assert len(waiting(s3)) == 7
    assert place.count("whatsapp_messages") == 0
    wall.seconds += 5.1
    url = place.database.app_url
    post(7)
    assert len(connects) == 3
    assert len(waiting(s3)) == 7
    assert place.count("whatsapp_messages") == 1


@pytest.mark.parametrize("committed", [True, False], ids=["answer lost", "statement lost"])
def test_a_link_cut_during_the_commit_costs_nothing_and_doubles_nothing(
    place: Place, s3: Any, *, committed: bool
) -> None:
    number = place.number()
    with CutLink(place.database.server.port) as link:
        environment = Environment(link.through(place.database.app_url))
        assert environment.post([message(number, "wamid.0", ANA)]) == 200
        link.cut("wamid.1", after_answer=committed)

        assert environment.post([message(number, "wamid.1", ANA)]) == 200

        assert link.was_cut
        assert len(waiting(s3)) == 1
        assert place.count("whatsapp_messages") == (2 if committed else 1)
        # The environment heals by itself, and what waits is stored once.
        assert environment.post([message(number, "wamid.2", ANA)]) == 200
        assert drain(environment).stored == 1
        environment.close()
    assert place.count("whatsapp_messages") == 3
    assert place.rows(
        "select message_count, unread_count from messaging.whatsapp_conversations"
    ) == [(3, 3)]
    assert waiting(s3) == []


def test_a_database_that_cannot_write_sends_the_body_to_the_backlog(place: Place, s3: Any) -> None:
    number = place.number()
    states = "53100 53200 53300 57P01 57P03 58030 25006 XX000 42501".split()
    for n, sqlstate in enumerate(states):
        trouble(place, sqlstate)
        updates = [message(number, f"wamid.{n}.{m}", ANA) for m in range(3)]

        assert place.usual.post(updates) == 200

        assert place.letters() == {}, "nothing is wrong with the data"
        assert len(waiting(s3)) == 1
        no_more_trouble(place)
        assert drain(place.usual).stored == 1
        assert place.count("whatsapp_messages") == 3 * n + 3


def test_a_new_primary_is_found_after_the_old_one_has_become_a_replica(
    place: Place, s3: Any
) -> None:
    number = place.number()
    environment = place.environment()
    environment.post([message(number, "wamid.1", ANA)])
    backend = environment.tools.db.connection().info.backend_pid
    environment.tools.db.connection().execute("set default_transaction_read_only = on")

    assert environment.post([message(number, "wamid.2", ANA)]) == 200
    assert environment.post([message(number, "wamid.3", ANA)]) == 200

    assert environment.tools.db.connection().info.backend_pid != backend
    assert place.rows("select wa_message_id from messaging.whatsapp_messages order by 1") == [
        ("wamid.1",),
        ("wamid.3",),
    ]
    assert len(waiting(s3)) == 1


def test_a_number_that_must_be_looked_up_while_the_link_breaks_goes_to_the_backlog(
    place: Place, s3: Any
) -> None:
    environment = place.environment()
    environment.post([message(place.number(), "wamid.1", ANA)])
    place.everything.execute(
        "select pg_terminate_backend(%s)", (environment.tools.db.connection().info.backend_pid,)
    )

    assert environment.post([message(place.number(), "wamid.2", ANA)]) == 200

    assert len(waiting(s3)) == 1
    assert drain(environment).stored == 1
    assert place.count("whatsapp_messages") == 2


def test_when_the_bucket_is_gone_too_meta_is_asked_to_come_again(place: Place, s3: Any) -> None:
    s3.delete_bucket(Bucket=BUCKET)
    number = place.number()
    body = pack([message(number, "wamid.1", ANA)])

    assert Environment(NOWHERE).post(body) == 503

    # It does, and finds the database.
    assert place.usual.post(body) == 200
    assert place.count("whatsapp_messages") == 1


# The drain.


def lay(number: Number, *names: str) -> None:
    """Put one body per name into the backlog, as a delivery does while the database is away."""
    away = Environment(NOWHERE)
    for name in names:
        content = {"body": "poison" if "poison" in name else "hi"}
        assert away.post([message(number, name, ANA, content=content)]) == 200


def poison(place: Place) -> None:
    """Make a message of this text a fault of ours: neither the data's nor the moment's."""
    place.everything.execute(
        "create function poison() returns trigger language plpgsql as $$ begin"
        " if new.content ->> 'body' = 'poison' then"
        " raise exception 'a fault of ours' using errcode = 'XX000'; end if; return new; end $$"
    )
    place.everything.execute(
        "create trigger poison before insert on messaging.whatsapp_messages"
        " for each row execute function poison()"
    )


def test_a_body_is_deleted_only_after_its_commit(
    place: Place, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = place.number()
    lay(number, "wamid.1")
    seen: list[int] = []

    def delete(**_: Any) -> None:
        seen.append(place.count("whatsapp_messages"))
        raise ConnectionError("the bucket is away")

    with monkeypatch.context() as patch:
        patch.setattr(s3, "delete_object", delete)
        with pytest.raises(ConnectionError):
            drain(place.usual)
    assert seen == [1]
    assert len(waiting(s3)) == 1

    assert drain(place.usual).stored == 1
    assert place.count("whatsapp_messages") == 1
    assert waiting(s3) == []


def test_two_drainers_at_once_store_each_body_once(place: Place, s3: Any) -> None:
    number = place.number()
    lay(number, *(f"wamid.{n}" for n in range(20)))
    environments = [place.environment() for _ in range(2)]

    drained = in_threads(2, lambda n: drain(environments[n]))

    assert sum(one.failed for one in drained) == 0
    assert place.count("whatsapp_messages") == 20
    assert place.one("select message_count from messaging.whatsapp_conversations") == 20
    assert waiting(s3) == []


def test_a_body_that_fails_five_times_moves_aside_and_never_holds_up_the_rest(
    place: Place, s3: Any
) -> None:
    poison(place)
    number = place.number()
    lay(number, "wamid.poison", "wamid.1", "wamid.2")

    first = drain(place.usual)

    assert (first.stored, first.failed, first.given_up) == (2, 1, 0)
    for _ in range(3):
        later = drain(place.usual)
        assert (later.stored, later.failed, later.given_up) == (0, 1, 0)
    (key,) = waiting(s3)
    last = drain(place.usual)
    assert (last.stored, last.failed, last.given_up) == (0, 0, 1)
    assert waiting(s3) == [f"failed/{key}"]
    ((where, (letter,)),) = place.letters().items()
    assert where[1] == "backlog_failed"
    assert b'"wamid.poison"' in letter
    assert place.count("whatsapp_messages") == 2
    # It stays there: the next drain does not look at it.
    assert drain(place.usual) == Drained()


def test_a_database_that_goes_away_during_the_drain_counts_against_no_body(
    place: Place, s3: Any
) -> None:
    poison(place)
    number = place.number()
    lay(number, "wamid.1", "wamid.2")
    keys = waiting(s3)

    assert drain(Environment(NOWHERE)) == Drained()
    tries = trouble(place, "53100")
    assert drain(place.usual) == Drained()

    assert tries() == 1
    assert waiting(s3) == keys
    for key in keys:
        assert s3.head_object(Bucket=BUCKET, Key=key)["Metadata"] == {}
    no_more_trouble(place)
    assert drain(place.usual).stored == 2


def test_a_link_that_breaks_during_the_drain_is_opened_again(place: Place, s3: Any) -> None:
    poison(place)
    lay(place.number(), "wamid.1", "wamid.2")
    lost = place.environment()
    place.everything.execute(
        "select pg_terminate_backend(%s)", (lost.tools.db.connection().info.backend_pid,)
    )
    assert drain(lost).stored == 2


def test_a_body_that_takes_its_backend_down_counts_and_the_rest_is_stored(
    place: Place, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(place)
    lay(place.number(), "wamid.1", "wamid.2")
    bad = waiting(s3)[0]
    whole = s3.get_object(Bucket=BUCKET, Key=bad)["Body"].read()
    usual = store

    def deadly(tools: Tools, body: bytes, app_id: str | None) -> Stored:
        if body == whole:
            raise Unavailable("the database was lost") from psycopg.OperationalError("closed")
        return usual(tools, body, app_id)

    monkeypatch.setattr(backlog, "store", deadly)
    drained = drain(place.usual)
    assert (drained.stored, drained.failed) == (1, 1)
    assert waiting(s3) == [bad]


def test_the_drain_stops_when_its_time_is_over(place: Place, s3: Any) -> None:
    number = place.number()
    lay(number, *(f"wamid.{n}" for n in range(4)))
    asked = iter([True, True, False])

    drained = backlog.drain(place.usual.tools, lambda: next(asked))

    assert drained.stored == 2
    assert len(waiting(s3)) == 2


def test_deliveries_and_a_drain_at_the_same_time_store_everything_once(
    place: Place, s3: Any
) -> None:
    number = place.number()
    bodies = [pack([message(number, f"wamid.{n}", ANA)]) for n in range(30)]
    away = Environment(NOWHERE)
    for body in bodies:
        away.post(body)
    environments = [place.environment() for _ in range(4)]
    done = threading.Event()

    def work(n: int) -> None:
        if n == 0:
            while waiting(s3) and not done.is_set():
                drain(environments[0])
        else:
            for body in bodies[::n]:
                assert environments[n].post(body) == 200

    in_threads(4, work)

    assert place.count("whatsapp_messages") == 30
    assert place.one("select message_count from messaging.whatsapp_conversations") == 30
