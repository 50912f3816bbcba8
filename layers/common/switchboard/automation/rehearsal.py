"""Dry run: what a rule would have done in a past stretch of time. Nothing is written.

What was due comes from the plan that writing facts and rules reads, what became of it from the
deciding code of the engine and of the sending policy; both by the facts as they stand now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, Field

from switchboard.automation.due import instants, named
from switchboard.automation.foretold import Foretold, ask_policy, considered, cost_of, walk
from switchboard.automation.rules import NewRule, checked, own_contact
from switchboard.kernel.arguments import Arguments, read
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import NotFound, Unprocessable
from switchboard.prices import CostShown
from switchboard.store import automations as store
from switchboard.store import rehearsals
from switchboard.store.automations import OpenRun, Planned
from switchboard.store.rehearsals import Occurrence
from switchboard.tools import Tools
from switchboard.transact import transact

#: Longest stretch, and the one that is meant where none is given.
LONGEST, WEEK = timedelta(days=31), timedelta(days=7)
#: Occurrences that are decided; how many there are besides is told.
MOST = 5_000
#: Longest that a statement may take.
STATEMENT_MS = 10_000


class Stretch(Arguments):
    """A stretch of past time, and how much of what is found is shown."""

    from_: AwareDatetime | None = Field(
        None, alias="from", description="what came due after it; left out: 7 days before until"
    )
    until: AwareDatetime | None = Field(
        None,
        ge=datetime(1970, 1, 1, tzinfo=UTC),
        description="and no later than that; left out: now. At most 31 days after from",
    )
    limit: int = Field(50, ge=1, le=200, description="occurrences that are shown, at most 200")


class NewRuleTried(NewRule, Stretch):
    """A rule that is not written, and the stretch."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a rule would have done between two moments.

    `occurrences` came due; the first `decided` of them were looked at, and of these tell the rest.
    `messages` would have gone out, `deferred` of them later, to `people`; `others` are acts that
    are no message of WhatsApp (a changed trip, an e-mail). `skipped` and `failed` count by reasons.
    `data` are the first, by the time at which they came due.
    """

    starts_at: datetime
    ends_at: datetime
    occurrences: int
    decided: int
    messages: int
    deferred: int
    people: int
    others: int
    skipped: Mapping[str, int]
    failed: Mapping[str, int]
    cost: CostShown
    data: Sequence[Foretold]


@dataclass(frozen=True, slots=True)
class _Tried:
    """A rule: as its runs see it, and what the plan needs; `planned` None where it is in force."""

    run: OpenRun
    columns: Mapping[str, Any]
    planned: Planned | None


def rehearse_rule(tools: Tools, tenant_id: UUID, rule_id: UUID, stretch: Stretch) -> Rehearsal:
    """Say what a rule would have done, were it active; raises NotFound, Unprocessable."""

    def work(connection: Connection) -> Rehearsal:
        found = store.find_rule(connection, tenant_id, rule_id)
        if found is None:
            raise NotFound("this rule is not known")
        columns, planned = checked(
            read(NewRule, {name: getattr(found, name) for name in NewRule.model_fields})
        )
        run = _run_of(rule_id, columns)
        tried = _Tried(run, columns, None if found.is_active else planned)
        return _rehearse(tools, connection, tenant_id, tried, stretch)

    return transact(tools, tenant_id, work, statement_timeout_ms=STATEMENT_MS)


def rehearse_new(tools: Tools, tenant_id: UUID, given: NewRuleTried) -> Rehearsal:
    """Say what a rule would have done that is not written; raises as `create_rule` does."""
    whole = {name: getattr(given, name) for name in NewRule.model_fields}
    columns, planned = checked(read(NewRule, whole))
    stretch = Stretch(**{"from": given.from_}, until=given.until, limit=given.limit)
    rule_id = tools.clock.new_id()

    def work(connection: Connection) -> Rehearsal:
        own = dict(columns)
        own_contact(connection, tenant_id, own)
        tried = _Tried(_run_of(rule_id, own), own, planned)
        return _rehearse(tools, connection, tenant_id, tried, stretch)

    return transact(tools, tenant_id, work, statement_timeout_ms=STATEMENT_MS)


def _run_of(rule_id: UUID, columns: Mapping[str, Any]) -> OpenRun:
    """Return the run that every occurrence of the rule would have, but for what it is about."""
    return OpenRun(
        id=rule_id,
        rule_id=rule_id,
        subject_id=rule_id,
        occurrence="",
        started_by="due",
        chain=(),
        is_active=True,
        trigger_type=columns["trigger_type"],
        trigger_config=columns["trigger_config"],
        conditions=columns["conditions"],
        action_type=columns["action_type"],
        action_config=columns["action_config"],
        cool_down_s=columns["cool_down_s"],
        cap_per_contact=columns["cap_per_contact"],
        whose=columns["contact_id"],
        contact=None,
        trip=None,
        booking=None,
    )


def _rehearse(
    tools: Tools, connection: Connection, tenant_id: UUID, tried: _Tried, stretch: Stretch
) -> Rehearsal:
    since, until = _bounds(store.read_now(connection, now=tools.clock.now), stretch)
    due, total = _due(tools, connection, tenant_id, tried, since=since, until=until)
    steps = list(considered(connection, tenant_id, tried.run, due))
    ask_policy(tools, connection, tenant_id, steps)
    told = list(walk(connection, tenant_id, tried.run, steps, since))
    results = Counter(one.result for one in told)
    reasons: dict[str, Counter[str]] = {"skipped": Counter(), "failed": Counter()}
    for one in told:
        if one.result in reasons:
            reasons[one.result][one.reason or ""] += 1
    sent = [one for one in told if one.result in {"sent", "deferred"}]
    return Rehearsal(
        starts_at=since,
        ends_at=until,
        occurrences=total,
        decided=len(told),
        messages=len(sent),
        deferred=results["deferred"],
        people=len({one.contact_id for one in sent}),
        others=results["done"],
        skipped=dict(reasons["skipped"]),
        failed=dict(reasons["failed"]),
        cost=cost_of(connection, tenant_id, steps, told).shown(),
        data=told[: stretch.limit],
    )


def _bounds(now: datetime, stretch: Stretch) -> tuple[datetime, datetime]:
    until = stretch.until or now
    since = stretch.from_ or until - WEEK
    if until > now:
        raise Unprocessable("until must not be later than now", field="until")
    if since >= until or until - since > LONGEST:
        raise Unprocessable("from must be before until, by 31 days at most", field="from")
    return since, until


def _due(
    tools: Tools,
    connection: Connection,
    tenant_id: UUID,
    tried: _Tried,
    *,
    since: datetime,
    until: datetime,
) -> tuple[list[Occurrence], int]:
    """Return the first of what came due, and how many they are."""
    rule_id, trigger = tried.run.rule_id, tried.run.trigger_type
    if trigger == "event":
        raise Unprocessable(
            "what an event starts is told from outside: nobody can say when it would have been",
            field="trigger_type",
        )
    if trigger == "schedule":
        planned = instants(tried.run.trigger_config, since, until)
        first = [Occurrence(rule_id, named(one), one) for one in islice(planned, MOST)]
        return first, len(first) + sum(1 for _ in planned)
    if tried.planned is None:
        return rehearsals.find_planned(
            connection, tenant_id, rule_id, since=since, until=until, limit=MOST
        )
    return rehearsals.find_planned_of(
        connection,
        tenant_id,
        tools.clock.new_id(),
        tried.columns,
        tried.planned,
        since=since,
        until=until,
        limit=MOST,
    )
