"""A dead letter goes through intake again after a fix: once, in slices, even when cut short."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from switchboard import worker
from switchboard.intake import letters
from switchboard.intake.asked import as_document
from switchboard.intake.letters import LetterFilter, Selection
from switchboard.jobs import replay_dead_letters
from switchboard.kernel.errors import BadRequest, NotFound, Unavailable
from switchboard.kernel.http import reply
from switchboard.store import letters as store
from switchboard.store.events import SYSTEM_TENANT
from tests.databases import ClonedDatabase
from tests.db.jobs_worker import Kinds, NoSends
from tests.deliveries import NOW, SECOND, Number, Person, Place, Stopwatch, Update, message, status

ANA = Person("4915551234567", name="Ana")


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def register(place: Place, number: Number) -> None:
    """Put a number in, as an operator does after its first webhooks came."""
    place.everything.execute(
        "insert into messaging.whatsapp_business_accounts (tenant_id, waba_id) values (%s, %s)"
        " on conflict do nothing",
        (number.tenant_id, number.waba_id),
    )
    place.everything.execute(
        "insert into messaging.whatsapp_accounts (tenant_id, id, waba_id, phone_number_id,"
        " phone_number, display_name) values (%s, %s, %s, %s, %s, 'N')",
        (
            *(number.tenant_id, number.account_id, number.waba_id, number.phone_number_id),
            f"+1555{number.phone_number_id[-7:]}",
        ),
    )


def stranger(place: Place) -> Number:
    """Return a number that is not registered yet."""
    digits = uuid4().int % 10**12
    return Number(place.tenant(), uuid4(), f"2{digits:014d}", f"3{digits:014d}")


def run_jobs(place: Place) -> list[dict[str, Any]]:
    """Let a worker run what is due; return the results of the replays, in their order."""
    kinds = Kinds(replay_dead_letters.KIND)
    tools = place.usual.tools
    worker.drain(tools, tools.clock.monotonic() + 100, kinds=kinds, sends=NoSends())
    rows = place.rows(
        "select result from messaging.scheduled_jobs where job_type = 'replay_dead_letters'"
        " and status = 'completed' order by id"
    )
    return [result for (result,) in rows]


def stands(place: Place) -> list[tuple[UUID, str, int, bool]]:
    return place.rows(
        "select tenant_id, reason, replays, resolved_at is not null"
        " from messaging.webhook_dead_letters order by received_at, reason"
    )


def test_what_waited_for_its_registration_is_the_tenants_after_a_replay(place: Place) -> None:
    number = stranger(place)
    place.post(message(number, "wamid.1", ANA), status(number, "wamid.2", "sent"))
    letters.order_replay(place.usual.tools, SYSTEM_TENANT, Selection("unknown_number"))
    assert run_jobs(place) == [{"stored": 0, "kept": 2, "more": False}]
    assert stands(place) == [(SYSTEM_TENANT, "unknown_number", 1, False)] * 2

    register(place, number)
    letters.order_replay(place.usual.tools, SYSTEM_TENANT, Selection("unknown_number"))

    assert run_jobs(place)[1:] == [{"stored": 2, "kept": 0, "more": False}]
    assert stands(place) == [(SYSTEM_TENANT, "unknown_number", 2, True)] * 2
    assert place.rows("select tenant_id, wa_message_id from messaging.whatsapp_messages") == [
        (number.tenant_id, "wamid.1")
    ]
    assert place.count("message_status_events") == 1


def test_what_is_stored_already_is_stored_once(place: Place) -> None:
    number = stranger(place)
    update = message(number, "wamid.1", ANA)
    place.post(update)
    register(place, number)
    place.post(update)  # Meta delivers it again
    before = place.snapshot()

    for _ in range(2):
        letters.order_replay(place.usual.tools, SYSTEM_TENANT, Selection())
        run_jobs(place)

    after = place.snapshot()
    mine = ("webhook_dead_letters", "scheduled_jobs")
    assert {k: v for k, v in before.items() if k not in mine} == {
        k: v for k, v in after.items() if k not in mine
    }
    assert stands(place) == [(SYSTEM_TENANT, "unknown_number", 1, True)]


def test_a_part_that_could_not_be_read_is_stored_once_the_reader_can(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from switchboard.whatsapp.webhook import messages, values

    number = place.number()
    odd = message(number, "wamid.1", ANA)
    late = Update(number, {**odd.part, "timestamp": "2026-11-21T11:00:00Z"}, contact=odd.contact)
    place.post(late, message(number, "wamid.2", ANA))
    assert stands(place) == [(number.tenant_id, "malformed", 0, False)]
    real = values.seconds
    monkeypatch.setattr(
        messages, "seconds", lambda value: SECOND if str(value).endswith("Z") else real(value)
    )

    letters.order_replay(place.usual.tools, number.tenant_id, Selection("malformed"))

    assert run_jobs(place) == [{"stored": 1, "kept": 0, "more": False}]
    assert sorted(place.rows("select wa_message_id from messaging.whatsapp_messages")) == [
        ("wamid.1",),
        ("wamid.2",),
    ]
    assert place.rows("select profile_name from messaging.contacts") == [("Ana",)]


def test_a_whole_body_gives_way_to_letters_of_what_is_still_odd(place: Place) -> None:
    from switchboard.intake.store import keep_body
    from tests.deliveries import pack

    number = place.number()
    body = pack([message(number, "wamid.1", ANA), Update(number, {"id": "wamid.odd"})])
    keep_body(place.usual.tools, body, None, "backlog_failed", "Timeout")

    letters.order_replay(place.usual.tools, SYSTEM_TENANT, Selection("backlog_failed"))

    assert run_jobs(place) == [{"stored": 1, "kept": 0, "more": False}]
    assert set(stands(place)) == {
        (SYSTEM_TENANT, "backlog_failed", 1, True),
        (number.tenant_id, "malformed", 0, False),
    }
    (kept,) = place.letters()[number.tenant_id, "malformed"]
    assert b"wamid.odd" in kept
    assert b"wamid.1" not in kept


def test_a_letter_that_stays_tells_the_reason_of_now(place: Place) -> None:
    number = stranger(place)
    place.post(status(number, "wamid.1", "sent", SECOND - 10**8))
    register(place, number)

    letters.order_replay(place.usual.tools, SYSTEM_TENANT, Selection())
    run_jobs(place)

    # It belongs to the tenant now, whose database has no room for a status of years ago.
    assert set(stands(place)) == {
        (SYSTEM_TENANT, "unknown_number", 1, True),
        (number.tenant_id, "refused_by_database", 0, False),
    }
    letters.order_replay(place.usual.tools, number.tenant_id, Selection())
    run_jobs(place)
    assert (number.tenant_id, "refused_by_database", 1, False) in stands(place)


def test_only_the_reason_the_times_and_the_ids_asked_for_are_replayed(place: Place) -> None:
    number = place.number()
    place.post(*(Update(number, {"id": f"wamid.{n}"}) for n in range(4)))
    place.post(message(Number(number.tenant_id, uuid4(), number.waba_id, "399"), "wamid.n", ANA))
    ids = [row[0] for row in place.rows("select id from messaging.webhook_dead_letters order by 1")]
    for hour, letter_id in enumerate(ids):
        place.everything.execute(
            "update messaging.webhook_dead_letters set received_at = %s where id = %s",
            (NOW + timedelta(hours=hour), letter_id),
        )

    def replayed(selection: Selection) -> set[UUID]:
        before = dict(place.rows("select id, replays from messaging.webhook_dead_letters"))
        letters.order_replay(place.usual.tools, number.tenant_id, selection)
        run_jobs(place)
        after = dict(place.rows("select id, replays from messaging.webhook_dead_letters"))
        return {letter_id for letter_id in before if after[letter_id] == before[letter_id] + 1}

    hours = [NOW + timedelta(hours=hour) for hour in range(6)]
    assert replayed(Selection()) == set(ids)
    assert replayed(Selection(since=hours[1], until=hours[3])) == set(ids[1:3])
    assert replayed(Selection(ids=(ids[4], uuid4()))) == {ids[4]}
    assert len(replayed(Selection("malformed"))) == 4
    assert len(replayed(Selection("unknown_number"))) == 1
    assert replayed(Selection("unknown_number", until=hours[0])) == set()


def test_another_tenants_letters_are_neither_seen_nor_replayed(place: Place) -> None:
    mine, other = place.number(), place.number()
    place.post(Update(mine, {"id": "wamid.1"}), Update(other, {"id": "wamid.2"}))
    (theirs,) = place.rows(
        "select id from messaging.webhook_dead_letters where tenant_id = %s", other.tenant_id
    )
    tools = place.usual.tools

    letters.order_replay(tools, mine.tenant_id, Selection(ids=(theirs[0],)))

    assert run_jobs(place) == [{"stored": 0, "kept": 0, "more": False}]
    assert len(letters.browse(tools, mine.tenant_id, LetterFilter()).data) == 1
    with pytest.raises(NotFound):
        letters.show(tools, mine.tenant_id, theirs[0])
    with pytest.raises(NotFound):
        letters.replay(tools, mine.tenant_id, theirs[0])


def test_a_long_replay_goes_on_in_slices_and_counts_all_of_them(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = place.number()
    watch = Stopwatch()
    environment = place.environment(now=NOW, stopwatch=watch)
    assert environment.post([Update(number, {"id": f"wamid.{n}"}) for n in range(7)]) == 200
    real = vars(letters)["store"]

    def slow(*arguments: Any) -> Any:
        watch.seconds += 2.0
        return real(*arguments)

    monkeypatch.setattr(letters, "store", slow)
    letters.order_replay(environment.tools, number.tenant_id, Selection())
    worker.drain(
        environment.tools,
        watch.seconds + 1000,
        kinds=Kinds(replay_dead_letters.KIND),
        sends=NoSends(),
    )

    assert run_jobs(place) == [
        {"stored": 0, "kept": 3, "more": True},
        {"stored": 0, "kept": 6, "more": True},
        {"stored": 0, "kept": 7, "more": False},
    ]
    assert {replays for _, _, replays, _ in stands(place)} == {1}


def test_a_letter_at_which_intake_fails_does_not_hold_up_those_behind_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = stranger(place)
    for n in range(3):
        place.post(message(number, f"wamid.{n}", ANA))
    register(place, number)
    real = vars(letters)["store"]

    def faulty(tools: Any, body: bytes, app_id: str | None) -> Any:
        if b"wamid.1" in body:
            raise ZeroDivisionError
        return real(tools, body, app_id)

    monkeypatch.setattr(letters, "store", faulty)
    letters.order_replay(place.usual.tools, SYSTEM_TENANT, Selection())

    assert run_jobs(place) == [{"stored": 2, "kept": 1, "more": False}]
    rows = place.rows(
        "select reason, detail from messaging.webhook_dead_letters where resolved_at is null"
    )
    assert rows == [("not_stored", "ZeroDivisionError")]


def test_a_run_that_is_cut_short_leaves_what_it_settled_and_the_next_goes_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = stranger(place)
    for n in range(4):
        place.post(message(number, f"wamid.{n}", ANA))
    register(place, number)
    real = vars(letters)["store"]
    taken: list[bytes] = []

    def lost(tools: Any, body: bytes, app_id: str | None) -> Any:
        taken.append(body)
        if len(taken) == 3:
            raise Unavailable("the database was lost")
        return real(tools, body, app_id)

    monkeypatch.setattr(letters, "store", lost)
    with pytest.raises(Unavailable):
        letters.replay_some(place.usual.tools, SYSTEM_TENANT, Selection(), None, lambda: True)
    assert [resolved for *_, resolved in stands(place)].count(True) == 2

    replayed, rest = letters.replay_some(
        place.usual.tools, SYSTEM_TENANT, Selection(), None, lambda: True
    )

    assert (replayed.stored, replayed.kept, rest) == (2, 0, None)
    assert len(taken) == 5
    assert place.count("whatsapp_messages") == 4


def test_the_same_replay_waits_once(place: Place) -> None:
    def order(**of: Any) -> int | None:
        return letters.order_replay(place.usual.tools, SYSTEM_TENANT, Selection(**of))

    assert order(reason="not_json") is not None
    assert order(reason="not_json") is None
    assert order(reason="malformed") is not None
    assert order(reason="malformed", since=NOW) is not None
    assert len(run_jobs(place)) == 3
    assert order(reason="not_json") is not None


def test_a_letter_that_is_forgotten_meanwhile_does_not_hold_up_those_behind_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = stranger(place)
    place.post(message(number, "wamid.1", ANA), message(number, "wamid.2", ANA))
    register(place, number)
    listed = store.list_open

    def list_and_forget(*args: Any, **how: Any) -> Any:
        found = listed(*args, **how)
        place.everything.execute(
            "delete from messaging.webhook_dead_letters where id = %s", (found[0].id,)
        )
        return found

    monkeypatch.setattr(store, "list_open", list_and_forget)
    letters.order_replay(place.usual.tools, SYSTEM_TENANT, Selection())
    assert run_jobs(place) == [{"stored": 1, "kept": 0, "more": False}]


def test_one_letter_is_replayed_at_once_and_a_worker_is_woken(place: Place) -> None:
    number = stranger(place)
    place.post(message(number, "wamid.1", ANA))
    register(place, number)
    (letter,) = letters.browse(place.usual.tools, SYSTEM_TENANT, LetterFilter()).data
    before = place.usual.nudges

    after = letters.replay(place.usual.tools, SYSTEM_TENANT, letter.id)

    assert after.resolved_at is not None
    assert after.replays == 1
    assert place.usual.nudges == before + 1
    assert letters.replay(place.usual.tools, SYSTEM_TENANT, letter.id) == after


def test_what_comes_again_after_it_was_resolved_is_an_open_letter_again(place: Place) -> None:
    number = place.number()
    later = place.environment(now=NOW + timedelta(days=29))
    odd = Update(number, {"id": "wamid.1"})
    place.post(odd)
    (letter,) = letters.browse(place.usual.tools, number.tenant_id, LetterFilter()).data
    place.everything.execute("update messaging.webhook_dead_letters set resolved_at = %s", (NOW,))

    assert later.post([odd]) == 200

    (again,) = letters.browse(place.usual.tools, number.tenant_id, LetterFilter()).data
    assert (again.id, again.resolved_at) == (letter.id, None)
    assert again.received_at == NOW + timedelta(days=29)


# Looking.


def test_letters_are_listed_newest_first_page_by_page_and_each_once(place: Place) -> None:
    number = place.number()
    place.post(*(Update(number, {"id": f"wamid.{n}"}) for n in range(7)))
    tools = place.usual.tools
    seen: list[UUID] = []
    times: list[datetime] = []
    cursor: str | None = None
    pages = 0
    while True:
        page = letters.browse(tools, number.tenant_id, LetterFilter(limit=3, cursor=cursor))
        seen += [letter.id for letter in page.data]
        times += [letter.received_at for letter in page.data]
        cursor, pages = page.next_cursor, pages + 1
        if cursor is None:
            break
    assert pages == 3
    assert len(set(seen)) == 7
    assert times == sorted(times, reverse=True)
    with pytest.raises(BadRequest):
        letters.browse(tools, number.tenant_id, LetterFilter(cursor="made up"))


def test_letters_are_found_by_reason_field_time_and_state(place: Place) -> None:
    number = place.number()
    place.post(Update(number, {"id": "wamid.1"}))
    change = {"field": "tomorrows_field", "value": {"x": 1}}
    body = json.dumps({"entry": [{"id": number.waba_id, "changes": [change]}]}).encode()
    assert place.usual.post(body) == 200
    tools, tenant = place.usual.tools, number.tenant_id

    def reasons(**filters: Any) -> list[str]:
        page = letters.browse(tools, tenant, LetterFilter(**filters))
        return [letter.reason for letter in page.data]

    assert sorted(reasons()) == ["malformed", "unhandled_field"]
    assert reasons(reason="malformed") == ["malformed"]
    assert reasons(field="tomorrows_field") == ["unhandled_field"]
    assert reasons(until=NOW) == []
    assert len(reasons(since=NOW)) == 2
    assert reasons(state="resolved") == []
    place.everything.execute(
        "update messaging.webhook_dead_letters set resolved_at = %s where reason = 'malformed'",
        (NOW,),
    )
    assert reasons() == ["unhandled_field"]
    assert reasons(state="resolved") == ["malformed"]
    assert len(reasons(state="all")) == 2
    (count,) = letters.count(tools, tenant)
    assert (count.reason, count.field, count.letters) == ("unhandled_field", "tomorrows_field", 1)


def test_a_body_is_shown_as_text_or_else_as_base64(place: Place) -> None:
    for body in (b"not JSON \xf0\x9f\x8c\xb5", b"\xff\xfe", b"a\0b"):
        assert place.usual.post(body) == 200
    tools = place.usual.tools
    shown = [
        letters.show(tools, SYSTEM_TENANT, letter.id)
        for letter in letters.browse(tools, SYSTEM_TENANT, LetterFilter()).data
    ]
    assert {one.text for one in shown if one.text} == {"not JSON 🌵"}
    assert {one.base64 for one in shown if one.base64} == {"//4=", "YQBi"}
    assert {one.letter.reason for one in shown} == {"not_json"}


def test_the_longest_body_of_a_webhook_fits_into_the_answer_of_a_lambda(place: Place) -> None:
    body = b'"' * 4_000_000
    place.usual.post(body)
    (letter,) = letters.browse(place.usual.tools, SYSTEM_TENANT, LetterFilter()).data
    shown = letters.show(place.usual.tools, SYSTEM_TENANT, letter.id)
    assert b64decode(shown.base64 or "") == body
    assert len(orjson.dumps(reply(200, as_document(shown)))) < 6_000_000
