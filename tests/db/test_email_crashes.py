"""A mail and its dangers: whatever is cut short wherever, no mail goes twice and none is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from switchboard import mail
from switchboard.kernel import aws
from switchboard.kernel.errors import Unavailable
from switchboard.mail import sending
from switchboard.ses import client as ses
from switchboard.store import emails as store
from switchboard.tools import Tools
from tests.databases import ClonedDatabase
from tests.mailing import Mailing, mailing_of


class Killed(BaseException):
    """A worker's end, as nobody catches it."""


@pytest.fixture
def mailing(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailing]:
    with mailing_of(database, monkeypatch) as made:
        made.rule()
        yield made


def attempt(mailing: Mailing, row: dict[str, Any], tools: Tools | None = None) -> mail.Attempted:
    return mail.attempt(
        tools or mailing.tools(), row["tenant_id"], row["id"], unsubscribe=lambda _: None
    )


def statuses(mailing: Mailing) -> list[str]:
    return [log[3] for log in mailing.logs()]


# ------------------------------------------------------------------------------- killed at a step


@pytest.mark.parametrize("step", ["find_contact", "lock", "ask", "begin"])
def test_killed_before_the_intent_it_goes_out_once_later(
    mailing: Mailing, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = mailing.put(mailing.person())
    with monkeypatch.context() as patch:
        patch.setattr(store, step, _killed)
        with pytest.raises(Killed):
            attempt(mailing, row)
    mailing.tools().db.drop()
    assert (mailing.row()["status"], mailing.server.requests) == ("pending", 0)
    assert attempt(mailing, row).status == "sent"
    assert len(mailing.server.mails) == 1


def test_killed_between_the_intent_and_the_request_it_is_unconfirmed_and_not_repeated(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = mailing.put(mailing.person())
    with monkeypatch.context() as patch:
        patch.setattr(ses.SesClient, "send", _killed)
        with pytest.raises(Killed):
            attempt(mailing, row)
    ended(mailing, row, taken=0)


def test_killed_after_the_request_it_is_unconfirmed_and_not_repeated(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = mailing.put(mailing.person())
    with monkeypatch.context() as patch:
        patch.setattr(sending, "settlement_of", _killed)
        with pytest.raises(Killed):
            attempt(mailing, row)
    ended(mailing, row, taken=1)


def test_killed_while_it_settles_it_is_unconfirmed_and_not_repeated(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = mailing.put(mailing.person())
    with monkeypatch.context() as patch:
        patch.setattr(store, "settle", _killed)
        with pytest.raises(Killed):
            attempt(mailing, row)
    mailing.tools().db.drop()
    ended(mailing, row, taken=1)


def test_killed_after_it_settled_nothing_is_left_to_do(mailing: Mailing) -> None:
    row = mailing.put(mailing.person())
    assert attempt(mailing, row).status == "sent"
    # The job was not recorded as completed, so it is run again.
    assert attempt(mailing, row).status == "sent"
    assert len(mailing.server.mails) == 1
    assert statuses(mailing) == ["accepted"]


def ended(mailing: Mailing, row: dict[str, Any], *, taken: int) -> None:
    """The dead worker's mail: nobody takes it up in its time, and nobody sends it afterwards."""
    assert mailing.row()["status"] == "sending"
    again = attempt(mailing, row)
    assert (again.status, again.again_at) == ("sending", mailing.row()["lease_until"])
    mailing.at.turn(seconds=61)
    assert attempt(mailing, row) == mail.Attempted("unconfirmed")
    assert attempt(mailing, row) == mail.Attempted("unconfirmed")
    assert len(mailing.server.mails) == taken
    assert statuses(mailing) == ["unconfirmed"]
    assert mailing.row()["reason"] == "worker_lost"
    # SES tells what became of it.
    if taken:
        mailing.take(mailing.event(mailing.row(), "Send", "2031-03-03T12:00:05Z"))
        assert mailing.row()["status"] == "sent"


def test_a_lost_link_at_the_intent_s_commit_loses_nothing(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The intent was committed, but nobody heard: the same attempt goes on."""
    row = mailing.put(mailing.person())
    real = store.begin
    calls: list[int] = []

    def begin(connection: Any, *given: Any, **named: Any) -> int:
        number = real(connection, *given, **named)
        if not calls:
            connection.execute("commit")
            connection.close()
            calls.append(1)
            raise psycopg.OperationalError("gone")
        return number

    monkeypatch.setattr(store, "begin", begin)
    assert attempt(mailing, row).status == "sent"
    assert (len(mailing.server.mails), mailing.row()["attempt"]) == (1, 1)


def test_a_lost_link_at_the_settlement_s_commit_writes_one_log_row(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = mailing.put(mailing.person())
    real = store.settle
    calls: list[int] = []

    def settle(connection: Any, *given: Any, **named: Any) -> Any:
        settled = real(connection, *given, **named)
        if not calls:
            connection.execute("commit")
            connection.close()
            calls.append(1)
            raise psycopg.OperationalError("gone")
        return settled

    monkeypatch.setattr(store, "settle", settle)
    assert attempt(mailing, row).status == "sent"
    assert statuses(mailing) == ["accepted"]


def test_the_database_gone_at_the_settlement_leaves_it_unconfirmed(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = mailing.put(mailing.person())

    def away(*_: Any, **__: Any) -> Any:
        raise Unavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(store, "settle", away)
        with pytest.raises(Unavailable):
            attempt(mailing, row)
    ended(mailing, row, taken=1)


# ------------------------------------------------------------------------------- what SES answers


@pytest.mark.parametrize("fault", ["lost", "broken", "cut"])
def test_an_answer_that_says_nothing_is_unconfirmed_and_asked_for_once(
    mailing: Mailing, fault: str
) -> None:
    mailing.server.faults = [fault]
    mailing.say(mailing.person())
    mailing.work(hours=1)
    assert mailing.row()["status"] == "unconfirmed"
    assert mailing.server.requests == 1
    assert statuses(mailing) == ["unconfirmed"]


def test_an_answer_that_is_late_is_unconfirmed_and_asked_for_once(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ses, "ANSWER_S", 0.3)
    aws.client.cache_clear()
    mailing.server.faults = ["late"]
    mailing.say(mailing.person())
    assert mailing.row()["status"] == "unconfirmed"
    assert mailing.row()["reason"] == "ReadTimeoutError"
    mailing.work(hours=1)
    assert mailing.server.requests == 1


@pytest.mark.parametrize("fault", ["throttled", "quota", "paused", "forbidden"])
def test_what_was_not_sent_for_certain_goes_out_later(mailing: Mailing, fault: str) -> None:
    mailing.server.faults = [fault]
    mailing.say(mailing.person())
    row = mailing.row()
    assert (row["status"], row["lease_token"]) == ("pending", None)
    held = fault in {"paused", "forbidden"}
    wait = (row["due_at"] - mailing.at.now).total_seconds()
    assert wait == 900 if held else 2.5 <= wait <= 5
    mailing.work(seconds=1)
    assert mailing.server.requests == 1
    mailing.work(minutes=16)
    assert (mailing.row()["status"], mailing.row()["attempt"]) == ("sent", 2)
    assert statuses(mailing) == ["deferred", "accepted"]
    assert len(mailing.server.mails) == 1


def test_each_time_ses_is_busy_it_is_asked_later(mailing: Mailing) -> None:
    mailing.server.faults = ["throttled"] * 12
    row = mailing.put(mailing.person())
    waits = []
    for _ in range(12):
        again = attempt(mailing, row)
        assert again.again_at is not None
        wait = (again.again_at - mailing.at.now).total_seconds()
        waits.append(wait)
        mailing.at.turn(seconds=wait)
    assert waits[0] <= 5 < waits[3] < waits[7]
    assert max(waits) <= 900
    assert attempt(mailing, row).status == "sent"


def test_a_server_that_is_not_there_was_not_asked(mailing: Mailing) -> None:
    mailing.server.close()
    mailing.say(mailing.person())
    assert mailing.row()["status"] == "pending"
    assert statuses(mailing) == ["deferred"]


@pytest.mark.parametrize("fault", ["rejected", "unverified"])
def test_a_refusal_is_the_end(mailing: Mailing, fault: str) -> None:
    mailing.server.faults = [fault]
    mailing.say(mailing.person())
    mailing.work(hours=1)
    row = mailing.row()
    assert (row["status"], mailing.server.requests) == ("failed", 1)
    (log,) = mailing.logs()
    assert log[3:] == ("failed", row["reason"])


# ------------------------------------------------------------------------------- two workers


def test_two_workers_at_one_mail_send_it_once(mailing: Mailing) -> None:
    row = mailing.put(mailing.person())
    first, second = mailing.process(), mailing.process()
    here, go = threading.Event(), threading.Event()

    def wait() -> None:
        here.set()
        assert go.wait(10)

    mailing.server.before = wait
    told: list[mail.Attempted] = []
    thread = threading.Thread(target=lambda: told.append(attempt(mailing, row, first)))
    thread.start()
    assert here.wait(10)
    # No transaction is open while SES is asked: the second one need not wait to see it.
    began = time.monotonic()
    assert attempt(mailing, row, second).status == "sending"
    assert time.monotonic() - began < 2
    go.set()
    thread.join(10)
    assert [one.status for one in told] == ["sent"]
    assert mailing.server.requests == 1


@pytest.mark.parametrize(
    ("fault", "status"), [(None, "sent"), ("rejected", "failed"), ("throttled", "unconfirmed")]
)
def test_a_late_worker_tells_what_it_knows_but_lets_nothing_out_again(
    mailing: Mailing, fault: str | None, status: str
) -> None:
    """Its lease was over when SES answered: what it knows for certain still counts."""
    row = mailing.put(mailing.person())
    late, other = mailing.process(), mailing.process()
    mailing.server.faults = [fault] if fault else []

    def overtaken() -> None:
        mailing.at.turn(seconds=61)
        other.clock = mailing.place.time.clock()
        assert attempt(mailing, row, other).status == "unconfirmed"

    mailing.server.before = overtaken
    assert attempt(mailing, row, late).status == status
    assert mailing.row()["status"] == status
    mailing.server.before = lambda: None
    mailing.work(hours=1)
    assert mailing.server.requests == 1


def test_a_run_that_is_performed_again_has_its_mail_already(mailing: Mailing) -> None:
    mailing.put(mailing.person())
    (run,) = mailing.place.rows("automation_runs")
    with pytest.raises(psycopg.errors.UniqueViolation):
        mailing.sql(
            "insert into messaging.emails"
            " select t.* from messaging.emails as m, jsonb_populate_record(null::messaging.emails,"
            " to_jsonb(m) || jsonb_build_object('id', gen_random_uuid())) as t"
            " where m.run_id = %s",
            run["id"],
        )


def _killed(*_: Any, **__: Any) -> Any:
    raise Killed
