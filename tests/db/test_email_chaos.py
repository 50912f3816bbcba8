"""Many mails, workers that die anywhere, an SES that fails, events twice and in any order.

Each mail goes out once at most, none is lost, and what SES has taken is known in the end.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.aws.mail import events_of
from switchboard import mail
from switchboard.mail import events, sending
from switchboard.store import emails as store
from switchboard.tools import Tools
from tests.databases import ClonedDatabase
from tests.mailing import Mailing, mailing_of

MAILS, WORKERS, ROUNDS = 24, 3, 60
#: Of a hundred steps so many are a worker's last.
DEADLY = 6


class Killed(BaseException):
    """A worker's end, as nobody catches it."""


@pytest.fixture
def mailing(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailing]:
    with mailing_of(database, monkeypatch) as made:
        made.rule(expires_in_minutes=43_200)
        yield made


def deadly(dice: random.Random, step: Callable[..., Any]) -> Callable[..., Any]:
    """Return the step with a chance to die before it, or after it."""

    def taken(*given: Any, **named: Any) -> Any:
        if dice.random() * 100 < DEADLY:
            raise Killed
        done = step(*given, **named)
        if dice.random() * 100 < DEADLY:
            raise Killed
        return done

    return taken


def attempt_all(tools: Tools, order: list[dict[str, Any]]) -> None:
    """Attempt mails one after the other; a worker that dies is followed by another."""
    for row in order:
        try:
            mail.attempt(tools, row["tenant_id"], row["id"], unsubscribe=lambda _: None)
        except Killed:
            tools.db.drop()


def work(mailing: Mailing, dice: random.Random) -> None:
    """Let workers attempt what is open, side by side, until nothing is."""
    processes = [mailing.process() for _ in range(WORKERS)]
    for _ in range(ROUNDS):
        waiting = [row for row in mailing.rows() if row["status"] in {"pending", "sending"}]
        threads = [
            threading.Thread(target=attempt_all, args=(tools, dice.sample(waiting, len(waiting))))
            for tools in processes
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        if not waiting:
            return
        mailing.at.turn(minutes=16)
        for tools in processes:
            tools.clock = mailing.place.time.clock()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_mail_goes_twice_and_none_is_lost(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)
    words = ("throttled", "quota", "lost", "broken", "cut", "rejected")
    mailing.server.faults = [dice.choice((*words, "", "", "")) for _ in range(MAILS)]
    for number in range(MAILS):
        mailing.at.trip(mailing.person(f"p{number}@acme.example"), "2031-03-03")
    mailing.queue()
    assert len(mailing.rows()) == MAILS
    with monkeypatch.context() as patch:
        for name in ("find_contact", "lock", "ask", "begin", "settle"):
            patch.setattr(store, name, deadly(dice, getattr(store, name)))
        patch.setattr(sending, "settlement_of", deadly(dice, sending.settlement_of))
        work(mailing, dice)

    taken = Counter(one["Destination"]["ToAddresses"][0] for one in mailing.server.mails)
    assert set(taken.values()) == {1}
    found = {row["address"]: row["status"] for row in mailing.rows()}
    assert {"sent"} <= set(found.values()) <= {"sent", "failed", "unconfirmed"}
    # What counts as sent was taken, what counts as refused was not; of the rest nobody knew.
    assert all(taken[address] for address, status in found.items() if status == "sent")
    assert not any(taken[address] for address, status in found.items() if status == "failed")

    told = [event for one in mailing.server.mails for event in events_of(one)] * 2
    heard = Counter(events.take(mailing.tools(), one) for one in dice.sample(told, len(told)))
    assert heard == {"taken": len(told) // 2, "again": len(told) // 2}
    for row in mailing.rows():
        wanted = {"delivered"} if taken[row["address"]] else {"failed", "unconfirmed"}
        assert row["status"] in wanted
