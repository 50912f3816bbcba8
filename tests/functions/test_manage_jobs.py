"""/v1/jobs: what waits, runs or has ended, and what people do about it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from switchboard.inbox import jobs
from switchboard.store import jobs as worker
from switchboard.store import jobs_by_hand as by_hand
from switchboard.store.jobs import Claimed, Ended
from tests.managing import Desk, Made, column

LIST, ONE = "GET /v1/jobs", "GET /v1/jobs/{id}"
CANCEL, RETRY = "POST /v1/jobs/{id}/cancel", "POST /v1/jobs/{id}/retry"
SNOOZE = "POST /v1/jobs/{id}/snooze"


def put(desk: Desk, job_type: str = "work", **columns: Any) -> int:
    """Put a job in by hand and return its id."""
    names = ["tenant_id", "job_type", *columns]
    (row,) = desk.world.everything.execute(
        psycopg.sql.SQL(
            "insert into messaging.scheduled_jobs ({}) values ({}) returning id"
        ).format(
            psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, names)),
            psycopg.sql.SQL(", ").join(psycopg.sql.Placeholder() * len(names)),
        ),
        (desk.place.tenant_id, job_type, *columns.values()),
    )
    return int(row[0])


def claim(desk: Desk, token: uuid.UUID) -> list[Claimed]:
    """Lease what is due, as a worker does."""
    return worker.claim(
        desk.made.db.connection(),
        kinds={"work": 3},
        limit=10,
        lease=timedelta(seconds=60),
        token=token,
        now=None,
    )


def finish(desk: Desk, token: uuid.UUID, job: Claimed, outcome: Any = "completed") -> bool:
    """Record how a job ended, as its worker does; False where its lease is gone."""
    ended = Ended(job.tenant_id, job.id, outcome, {"sent": 1}, "Boom")
    return job.id in worker.finish(desk.made.db.connection(), token, [ended], now=None)


def failed(desk: Desk, **columns: Any) -> int:
    """Let a job fail and return its id."""
    job = put(desk, **columns)
    token = uuid.uuid4()
    (claimed,) = claim(desk, token)
    assert finish(desk, token, claimed, "failed")
    return job


def refused(desk: Desk, route: str, job: int, body: Made | None = None) -> str:
    """Call a route that must answer 409 and change nothing; return what it says."""
    before = desk.place.rows("scheduled_jobs")
    status, problem = desk.call(route, job, body=body)
    assert status == 409, problem
    assert desk.place.rows("scheduled_jobs") == before
    return str(problem["detail"])


def test_a_job_is_shown_whole_with_its_result_and_its_error(desk: Desk) -> None:
    due = datetime(2027, 3, 4, 12, 0, tzinfo=UTC)
    job = put(
        desk, lane="a", unique_key="k", priority=10, scheduled_for=due, args='{"campaign_id": "7"}'
    )
    shown = desk.ok(ONE, job)
    created = shown.pop("created_at")
    assert datetime.fromisoformat(created) <= datetime.now(UTC)
    assert shown == {
        "id": job,
        "type": "work",
        "status": "pending",
        "priority": 10,
        "lane": "a",
        "unique_key": "k",
        "period_key": None,
        "args": {"campaign_id": "7"},
        "attempts": 0,
        "max_attempts": 8,
        "scheduled_for": "2027-03-04T12:00:00+00:00",
        "executed_at": None,
        "lease_until": None,
        "finished_at": None,
        "result": None,
        "error": None,
    }
    desk.set("scheduled_jobs", job, scheduled_for=datetime(2026, 1, 1, tzinfo=UTC))
    token = uuid.uuid4()
    (claimed,) = claim(desk, token)
    running = desk.ok(ONE, job)
    assert (running["status"], running["attempts"], running["unique_key"]) == ("running", 1, None)
    assert running["lease_until"] > running["executed_at"]
    assert "token" not in str(running)
    assert finish(desk, token, claimed)
    ended = desk.ok(ONE, job)
    assert (ended["status"], ended["result"], ended["error"]) == ("completed", {"sent": 1}, "Boom")
    assert ended["finished_at"] is not None


def test_jobs_are_listed_newest_first_a_page_at_a_time(desk: Desk) -> None:
    made = [put(desk) for _ in range(7)]
    first = desk.ok(LIST, limit=3)
    assert column(first["data"], "id") == made[:3:-1]
    late = put(desk)
    second = desk.ok(LIST, limit=3, cursor=first["next_cursor"])
    assert column(second["data"], "id") == made[3:0:-1]
    assert column(desk.pages(LIST, limit=3), "id") == [late, *reversed(made)]
    assert desk.call(LIST, limit=3, status="failed", cursor=first["next_cursor"])[0] == 400
    assert desk.call(LIST, cursor="x")[0] == 400


def test_each_filter_leaves_what_fits_it(desk: Desk) -> None:
    dead = failed(desk, lane="a")
    waits = put(desk, lane="a", unique_key="k")
    other = put(desk, "another", lane="b", unique_key="k")

    def found(**filters: Any) -> list[int]:
        return column(desk.pages(LIST, **filters), "id")

    assert found() == [other, waits, dead]
    assert found(status="failed") == [dead]
    assert found(status="pending") == [other, waits]
    assert found(status="completed") == []
    assert found(type="work") == [waits, dead]
    assert found(type="another") == [other]
    assert found(lane="a") == [waits, dead]
    assert found(unique_key="k") == [other, waits]
    assert found(unique_key="k", type="work") == [waits]
    assert found(status="failed", type="another") == []
    assert found(status="failed", lane="a", type="work") == [dead]
    assert found(status="failed", lane="b") == []
    assert found(status="failed", unique_key="k") == []
    assert desk.call(LIST, status="dead")[0] == 400


@pytest.mark.parametrize("status", ["failed", "pending"])
def test_a_page_looks_at_a_bounded_number_and_goes_on_behind_them(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    monkeypatch.setattr(jobs, "WALK", 3)
    values: Made = {"finished_at": datetime.now(UTC)} if status == "failed" else {}
    fitting = [put(desk, status=status, **values)]
    for _ in range(5):
        put(desk, "another", status=status, **values)
    fitting.append(put(desk, status=status, **values))
    first = desk.ok(LIST, status=status, type="work")
    assert column(first["data"], "id") == fitting[1:]
    second = desk.ok(LIST, status=status, type="work", cursor=first["next_cursor"])
    assert second["data"] == []
    third = desk.ok(LIST, status=status, type="work", cursor=second["next_cursor"])
    assert column(third["data"], "id") == fitting[:1]
    assert third["next_cursor"] is None


def test_failed_jobs_are_found_at_once_behind_many_that_went_well(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "WALK", 3)
    dead = failed(desk)
    for _ in range(9):
        put(desk, status="completed", finished_at=datetime.now(UTC))
    assert column(desk.ok(LIST, status="failed")["data"], "id") == [dead]


def test_a_waiting_job_is_cancelled_and_nobody_runs_it(desk: Desk) -> None:
    first, second = put(desk, lane="a"), put(desk, lane="a")
    cancelled = desk.ok(CANCEL, first)
    assert (cancelled["id"], cancelled["status"]) == (first, "cancelled")
    assert cancelled["finished_at"] is not None
    # Nothing waits for it.
    assert [job.id for job in claim(desk, uuid.uuid4())] == [second]
    # It stays so, and a second cancel says the same.
    assert desk.ok(CANCEL, first) == cancelled


def test_what_a_cancelled_job_would_have_written_is_not_written(desk: Desk) -> None:
    job = put(desk, lane="a")
    token = uuid.uuid4()
    (claimed,) = claim(desk, token)
    cancelled = desk.ok(CANCEL, job)
    assert (cancelled["status"], cancelled["lease_until"]) == ("cancelled", None)
    assert not finish(desk, token, claimed)
    assert desk.ok(ONE, job) == cancelled


def test_a_job_that_has_ended_is_not_cancelled(desk: Desk) -> None:
    job = put(desk)
    token = uuid.uuid4()
    (claimed,) = claim(desk, token)
    finish(desk, token, claimed)
    assert refused(desk, CANCEL, job) == "a job that is completed cannot be cancelled"
    assert refused(desk, CANCEL, failed(desk)) == "a job that is failed cannot be cancelled"


def test_a_failed_job_is_retried_at_once_with_all_its_attempts(desk: Desk) -> None:
    job = failed(desk)
    nudges: list[None] = []
    desk.made.nudge = lambda: nudges.append(None)  # type: ignore[method-assign]
    retried = desk.ok(RETRY, job)
    assert (retried["status"], retried["attempts"]) == ("pending", 0)
    assert (retried["result"], retried["error"], retried["finished_at"]) == (None, None, None)
    assert len(nudges) == 1
    token = uuid.uuid4()
    (claimed,) = claim(desk, token)
    assert (claimed.id, claimed.attempt) == (job, 1)
    assert finish(desk, token, claimed)


def test_a_cancelled_job_is_retried_under_the_place_that_it_had(desk: Desk) -> None:
    job = put(desk, unique_key="k")
    desk.ok(CANCEL, job)
    retried = desk.ok(RETRY, job)
    assert (retried["status"], retried["unique_key"]) == ("pending", "k")


def test_a_retry_makes_no_second_job_wait_under_a_key(desk: Desk) -> None:
    job = put(desk, unique_key="k")
    desk.ok(CANCEL, job)
    put(desk, unique_key="k")
    assert "unique_key" in refused(desk, RETRY, job)


def test_only_what_has_failed_or_was_cancelled_is_retried(desk: Desk) -> None:
    job = put(desk)
    assert refused(desk, RETRY, job) == "a job that is pending cannot be retried"
    token = uuid.uuid4()
    (claimed,) = claim(desk, token)
    assert refused(desk, RETRY, job) == "a job that is running cannot be retried"
    assert finish(desk, token, claimed)
    assert refused(desk, RETRY, job) == "a job that is completed cannot be retried"


def test_a_snoozed_job_waits_until_then_and_its_lane_with_it(desk: Desk) -> None:
    first, _behind, free = put(desk, lane="a"), put(desk, lane="a"), put(desk)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=365)
    snoozed = desk.ok(SNOOZE, first, body={"until": until.isoformat()})
    assert (snoozed["status"], snoozed["attempts"]) == ("pending", 0)
    assert datetime.fromisoformat(snoozed["scheduled_for"]) == until
    assert [job.id for job in claim(desk, uuid.uuid4())] == [free]
    # A time that is over lets it be due.
    desk.ok(SNOOZE, first, body={"until": "2026-01-01T00:00:00Z"})
    assert [job.id for job in claim(desk, uuid.uuid4())] == [first]


def test_only_what_waits_is_snoozed(desk: Desk) -> None:
    body = {"until": "2026-12-31T00:00:00Z"}
    job = put(desk)
    claim(desk, uuid.uuid4())
    said = refused(desk, SNOOZE, job, body)
    assert said == "a job that is running cannot be put off"
    assert refused(desk, SNOOZE, failed(desk), body) == "a job that is failed cannot be put off"


@pytest.mark.parametrize(
    "until",
    ["9999-12-31T23:59:59-12:00", "2027-01-31T09:00:00", "tomorrow", None],
)
def test_a_snooze_is_until_a_time_within_a_year(desk: Desk, until: str | None) -> None:
    job = put(desk)
    before = desk.ok(ONE, job)
    status, problem = desk.call(SNOOZE, job, body={"until": until})
    assert (status, problem["field"]) == (422, "until")
    assert desk.ok(ONE, job) == before


@pytest.mark.parametrize("wrong", ["0", "-1", "1.5", "²", "9" * 18, "9" * 19, "9" * 5000])
def test_an_id_that_no_job_has_is_not_known(desk: Desk, wrong: str) -> None:
    put(desk)
    for route in (ONE, CANCEL, RETRY):
        assert desk.call(route, wrong)[0] == 404, route


def test_a_job_that_is_being_finished_is_finished(desk: Desk) -> None:
    """Whoever comes second sees what the first has done: a cancel is no half of a completion."""
    job = put(desk)
    token = uuid.uuid4()
    claim(desk, token)
    with psycopg.connect(desk.world.database.app_url) as held:
        worker.finish(held, token, [Ended(desk.place.tenant_id, job, "completed")], now=None)
        with desk.made.db.transaction(desk.place.tenant_id) as connection:
            connection.execute("set local lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable), connection.transaction():
                by_hand.cancel(connection, desk.place.tenant_id, job, now=None)
    assert refused(desk, CANCEL, job) == "a job that is completed cannot be cancelled"
