"""Each guard of the send road is needed: without it one of the sweep's histories goes wrong.

A mutant is the migrated function with one guard taken out, in the test's own database.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from switchboard.kernel.log import log
from switchboard.outbox import outcome, road
from switchboard.outbox.ready import Ready
from switchboard.whatsapp.client import NotSent, Unconfirmed
from tests.crash.cases import Case, Road, Then
from tests.crash.guards import going_wrong, take_out, the_sweep_accepts
from tests.crash.meta import Fault
from tests.crash.webhooks import Webhooks
from tests.databases import ClonedDatabase
from tests.sending import World


@pytest.fixture
def world(database: ClonedDatabase) -> Iterator[World]:
    log.set_level("CRITICAL")
    with closing(World(database)) as world:
        yield world
    log.set_level("INFO")


@dataclass(frozen=True)
class Guard:
    """A guard, the history that needs it, what is wrong without it.

    `parts`: function, text, what stands there instead.
    """

    name: str
    case: Case
    wrong: str
    parts: tuple[tuple[str, str, str], ...]

    def __str__(self) -> str:
        return self.name


#: Meta has it, the worker dies with the answer in hand, no webhook tells.
_ANSWER_IN_HAND = Case(Road.CALLER, Fault.NONE, Webhooks.LOST, point=6)

GUARDS = (
    Guard(
        "the intent stands before the bytes leave",
        _ANSWER_IN_HAND,
        "doubled",
        (
            ("reserve_send", "case when i.leased then i.state else 'pending' end", "'pending'"),
            (
                "reserve_send",
                "if not i.leased then\n            i.state := 'pending';",
                "if true then\n            i.state := 'pending';",
            ),
        ),
    ),
    Guard(
        "the sweep frees only what has no intent",
        _ANSWER_IN_HAND,
        "stuck",
        (
            (
                "sweep_sends",
                "set lease_token = null, lease_until = null",
                "set lease_token = null, lease_until = null, phase = 'pending'",
            ),
            ("sweep_sends", "and s.lease_until <= v_now and s.phase = 'pending'", ""),
        ),
    ),
    Guard(
        "only a number that allows it sends once more",
        Case(Road.RESEND, Fault.NONE, Webhooks.LOST, prior=Fault.TIMEOUT_AFTER),
        "doubled",
        (("recover_sends", "n.resend_once and a.attempt = 1", "a.attempt = 1"),),
    ),
    Guard(
        "nothing is sent once more before webhooks are known to arrive",
        Case(
            Road.RESEND,
            Fault.NONE,
            Webhooks.LOST,
            prior=Fault.TIMEOUT_AFTER,
            resend=True,
            watermark=False,
        ),
        "doubled",
        (
            (
                "recover_sends",
                "and least(later.sent_at, later.delivered_at, later.read_at) is not null",
                "",
            ),
        ),
    ),
    Guard(
        "nothing is sent a third time",
        Case(
            Road.RESEND,
            Fault.TIMEOUT_BEFORE,
            Webhooks.AFTER,
            prior=Fault.TIMEOUT_BEFORE,
            resend=True,
        ),
        "3 attempts",
        (("recover_sends", "and a.attempt = 1 and", "and"),),
    ),
    Guard(
        "the ladder only climbs",
        Case(Road.CALLER, Fault.TIMEOUT_AFTER, Webhooks.BEFORE),
        "unconfirmed|undetermined|accepted",
        (("moves", "((rank < target) OR (falls AND (rank <= 20)))", "true"),),
    ),
    Guard(
        "what is told climbs as well",
        Case(Road.CALLER, Fault.NONE, Webhooks.REVERSED),
        "instead of read",
        (
            (
                "fold_statuses",
                "case when f.top > m.status_rank then f.word else m.status end",
                "f.word",
            ),
            ("fold_statuses", "greatest(m.status_rank, f.top)", "f.top"),
        ),
    ),
    Guard(
        "a key belongs to the first that takes it",
        Case(Road.CALLER, Fault.NONE, Webhooks.AFTER, point=3, then=Then.SECOND),
        "2 rows",
        (("reserve_send", "where k.expires_at <= p_now", ""),),
    ),
    Guard(
        "a status that overtook the answer waits under Meta's id",
        Case(Road.CALLER, Fault.NONE, Webhooks.BARE_BEFORE),
        "accepted instead of delivered",
        (("settle_send", "if v_stood then", "if false then"),),
    ),
    Guard(
        "what Meta held up keeps its lane",
        Case(Road.BATCH, Fault.THROTTLED, Webhooks.BEFORE, point=10, then=Then.SECOND),
        "went first",
        (("holds_lane", "((o).intent_at IS NOT NULL)", "false"),),
    ),
    Guard(
        "the pair is asked at the booking",
        Case(Road.WORKER, Fault.PAIR_FULL, Webhooks.AFTER),
        "before the limit",
        (("book_sends", "c.message_count >= 30", "false"),),
    ),
)


@pytest.mark.parametrize("guard", GUARDS, ids=str)
def test_without_its_guard_the_sweep_finds_a_history_wrong(world: World, guard: Guard) -> None:
    the_sweep_accepts(world, guard.case)
    for function, text, instead in guard.parts:
        take_out(world, function, text, instead)
    with going_wrong(guard.wrong):
        the_sweep_accepts(world, guard.case)


def test_what_is_in_doubt_is_not_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(Road.CALLER, Fault.TIMEOUT_AFTER, Webhooks.LOST)
    the_sweep_accepts(world, case)

    def naive(ready: Ready, answer: object) -> dict[str, object]:
        again = NotSent("so it seems") if isinstance(answer, Unconfirmed) else answer
        return outcome.settlement(ready, again)  # type: ignore[arg-type]

    monkeypatch.setattr(road, "settlement", naive)
    with going_wrong("doubled"):
        the_sweep_accepts(world, case)


def test_two_attempts_bear_two_keys(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(Road.RESEND, Fault.NONE, Webhooks.LOST, prior=Fault.TIMEOUT_AFTER, resend=True)
    the_sweep_accepts(world, case)
    monkeypatch.setattr(Ready, "callback_data", property(lambda ready: f"{ready.message_id}.1"))
    with going_wrong("bear one key"):
        the_sweep_accepts(world, case)
