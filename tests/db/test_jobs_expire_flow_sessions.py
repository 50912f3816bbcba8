"""Flow sessions end when their time is over; an answer that comes later completes them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from switchboard.jobs import _retire, expire_flow_sessions
from switchboard.kernel.clock import uuid7
from switchboard.store import flow_sessions
from tests.databases import ClonedDatabase, part_with
from tests.db.jobs_at_hand import START, opened
from tests.db.jobs_worker import Bench, Kinds
from tests.deliveries import until
from tests.sending import Place, Time

KINDS = Kinds(expire_flow_sessions.KIND)
SECOND = timedelta(seconds=1)


@pytest.fixture
def bench(database: ClonedDatabase) -> Iterator[Bench]:
    with opened(database) as jobs:
        bench = Bench(jobs)
        yield bench
        part_with(bench.tools.db)


def number(bench: Bench) -> Place:
    return Place(bench.jobs.everything, Time())


def session(
    place: Place, token: str, ends: datetime, status: str = "pending", message: UUID | None = None
) -> None:
    person = place.person()
    place.everything.execute(
        "insert into messaging.flow_sessions (tenant_id, account_id, conversation_id, contact_id,"
        " message_id, flow_id, flow_token, flow_type, status, expires_at)"
        " values (%s, %s, %s, %s, %s, '66', %s, 'navigate', %s, %s)",
        (
            place.tenant_id,
            place.account_id,
            person.conversation_id,
            person.contact_id,
            message,
            token,
            status,
            ends,
        ),
    )


def sent(place: Place, status: str, *, waits_until: datetime | None = None) -> UUID:
    """Store a message of this status; one that waits has an attempt."""
    person, message = place.person(), uuid7()
    place.everything.execute(
        "insert into messaging.whatsapp_messages (tenant_id, id, account_id, conversation_id,"
        " contact_id, direction, origin, message_type, content, status, status_rank, occurred_at)"
        " values (%s, %s, %s, %s, %s, 'outbound', 'api', 'interactive', '{}', %s,"
        " messaging.status_rank(%s), %s)",
        (
            place.tenant_id,
            message,
            place.account_id,
            person.conversation_id,
            person.contact_id,
            status,
            status,
            START,
        ),
    )
    if waits_until is not None:
        place.everything.execute(
            "insert into messaging.send_attempts (tenant_id, message_id, account_id, contact_id,"
            " conversation_id, lane, kind, priority, due_at, recipient, recipient_kind)"
            " values (%s, %s, %s, %s, %s, %s, 'reply', 10, %s, %s, 'phone')",
            (
                place.tenant_id,
                message,
                place.account_id,
                person.contact_id,
                person.conversation_id,
                person.conversation_id,
                waits_until,
                person.phone,
            ),
        )
    return message


def states(*places: Place) -> dict[str, str]:
    return {
        row["flow_token"]: row["status"] for place in places for row in place.rows("flow_sessions")
    }


def results(bench: Bench) -> list[Any]:
    rows = bench.jobs.everything.execute(
        "select result from messaging.scheduled_jobs where job_type = 'expire_flow_sessions'"
        " and status = 'completed' order by id"
    ).fetchall()
    return [result for (result,) in rows]


def test_what_is_open_when_its_time_is_over_expires_in_every_tenant(bench: Bench) -> None:
    one, other = number(bench), number(bench)
    session(one, "over", START)
    session(one, "in progress", START - SECOND, "in_progress")
    session(one, "young", START + SECOND)
    session(one, "done", START - SECOND, "completed")
    session(one, "broken", START - SECOND, "failed")
    session(other, "other's", START - SECOND)

    bench.drain(KINDS)

    assert states(one, other) == {
        "over": "expired",
        "in progress": "expired",
        "young": "pending",
        "done": "completed",
        "broken": "failed",
        "other's": "expired",
    }
    assert results(bench) == [{"ended": 3}]
    bench.later(600)
    bench.drain(KINDS)
    assert states(one)["young"] == "expired"


@pytest.mark.parametrize(
    ("message", "end"),
    [
        ("failed", "failed"),
        ("cancelled", "failed"),
        ("expired", "expired"),
        ("delivered", "expired"),
        ("undetermined", "expired"),
    ],
)
def test_how_a_session_ends_depends_on_its_message(bench: Bench, message: str, end: str) -> None:
    place = number(bench)
    session(place, "t", START, message=sent(place, message))
    bench.drain(KINDS)
    assert states(place) == {"t": end}


@pytest.mark.parametrize("hours", [-1, 5])
def test_a_message_that_still_waits_has_its_day_before_it(bench: Bench, hours: int) -> None:
    place = number(bench)
    due = START + timedelta(hours=hours)
    session(place, "t", START, message=sent(place, "pending", waits_until=due))

    bench.drain(KINDS)

    (found,) = place.rows("flow_sessions")
    assert found["status"] == "pending"
    assert found["expires_at"] == max(due, START) + timedelta(hours=24)


def test_many_end_in_small_transactions(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_retire, "_BATCH", 3)
    places = [number(bench) for _ in range(3)]
    for n in range(10):
        session(places[n % 3], f"{n}", START - n * SECOND)
    session(places[0], "young", START + SECOND)

    bench.drain(KINDS)

    found = states(*places)
    assert found.pop("young") == "pending"
    assert set(found.values()) == {"expired"}
    assert results(bench) == [{"ended": 10}]


def test_an_answer_that_comes_while_a_session_is_ended_stays(bench: Bench) -> None:
    place = number(bench)
    session(place, "t", START)
    seen: list[int] = []
    database = bench.jobs.database
    with (
        psycopg.connect(database.superuser_url) as answering,
        psycopg.connect(database.app_url, autocommit=True) as ending,
    ):
        answering.execute("update messaging.flow_sessions set status = 'completed'")
        waiter = threading.Thread(
            target=lambda: seen.append(flow_sessions.expire(ending, limit=10, now=START))
        )
        waiter.start()
        pids = (answering.info.backend_pid, ending.info.backend_pid)
        until(
            lambda: (
                bench.jobs.everything.execute(
                    "select %s = any (pg_blocking_pids(%s))", pids
                ).fetchone()
                == (True,)
            )
        )
        answering.commit()
        waiter.join()
    assert seen == [0]
    assert states(place) == {"t": "completed"}


def test_a_late_answer_completes_an_expired_session(bench: Bench) -> None:
    place = number(bench)
    session(place, "t", START)
    bench.drain(KINDS)
    told = [
        {
            "a": str(place.account_id),
            "at": START.isoformat(),
            "d": {"tk": "t", "x": {"flow_token": "t", "said": "yes"}},
        }
    ]
    with bench.tools.db.transaction(place.tenant_id) as connection:
        connection.execute(
            "select messaging.effect_flow_replies(%s, %s, %s)",
            (place.tenant_id, json.dumps(told), START),
        )
    (found,) = place.rows("flow_sessions")
    assert found["status"] == "completed"
    assert found["response_data"]["said"] == "yes"
    bench.later(600)
    bench.drain(KINDS)
    assert states(place) == {"t": "completed"}
