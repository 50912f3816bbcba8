"""Dry run: what a rule would have done in a past stretch of time. Nothing is written.

What was due comes from the plan that writing facts and rules reads, what became of it from the
deciding code of the engine and of the sending policy; both by the facts as they stand now.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, Field

from switchboard import outbox, prices
from switchboard.automation.actions._kind import Pass, Send, Wanted
from switchboard.automation.due import instants, named
from switchboard.automation.engine import consider, facts_of, hold_back, outgoing, person_of
from switchboard.automation.rules import NewRule, checked, own_contact
from switchboard.kernel.arguments import Arguments, read
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import NotFound, ProblemError, Unprocessable
from switchboard.outbox.foresee import Foreseen
from switchboard.prices import Cost, CostShown
from switchboard.store import automations as store
from switchboard.store import rehearsals
from switchboard.store.automations import OpenRun, Planned
from switchboard.store.rehearsals import Acted, Occurrence
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
        None, description="and no later than that; left out: now. At most 31 days after from"
    )
    limit: int = Field(50, ge=1, le=200, description="occurrences that are shown, at most 200")


class NewRuleTried(NewRule, Stretch):
    """A rule that is not written, and the stretch."""


@dataclass(frozen=True, slots=True)
class Foretold:
    """An occurrence and what would have become of it.

    `result`: sent, deferred (to `until`), done (of what is no message), skipped or failed.
    """

    due_at: datetime
    occurrence: str
    subject_id: UUID
    contact_id: UUID | None
    result: str
    reason: str | None = None
    until: str | None = None
    category: str | None = None


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


@dataclass(slots=True)
class _Step:
    """One occurrence on its way: what is wanted, or why nothing is; then what the policy says."""

    due: Occurrence
    run: OpenRun
    person: UUID | None
    wanted: Wanted | None = None
    passed: str | None = None
    failure: str | None = None
    foreseen: Foreseen | None = None


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
    steps = list(_considered(connection, tenant_id, tried.run, due))
    _ask_policy(tools, connection, tenant_id, steps)
    told = list(_walk(connection, tenant_id, tried.run, steps, since))
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
        cost=_cost(connection, tenant_id, steps, told).shown(),
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


def _considered(
    connection: Connection, tenant_id: UUID, run: OpenRun, due: Sequence[Occurrence]
) -> Iterator[_Step]:
    """Ask of each what the engine would ask, but for pauses and the policy."""
    subjects = sorted({one.subject_id for one in due})
    known = rehearsals.find_facts(connection, tenant_id, subjects, whose=run.whose)
    for one in due:
        about = known[one.subject_id]
        this = replace(
            run,
            subject_id=one.subject_id,
            occurrence=one.occurrence,
            contact=about.contact,
            trip=about.trip,
            booking=about.booking,
        )
        facts = facts_of(this)
        step = _Step(one, this, person_of(facts))
        try:
            step.wanted = consider(this, facts)
        except Pass as nothing:
            step.passed = str(nothing)
        except ProblemError as problem:
            step.failure = problem.detail
        yield step


def _ask_policy(
    tools: Tools, connection: Connection, tenant_id: UUID, steps: Sequence[_Step]
) -> None:
    """Fill in what would have become of the messages."""
    sends = [(step, step.wanted) for step in steps if isinstance(step.wanted, Send)]
    people = sorted({wanted.contact_id for _, wanted in sends if wanted.phone_number_id is None})
    numbers = store.find_numbers(connection, tenant_id, people)
    items, asking = [], []
    for step, wanted in sends:
        number = wanted.phone_number_id or numbers.get(wanted.contact_id)
        try:
            item = outgoing(step.run.rule_id, wanted, number, step.due.due_at)
        except ProblemError as problem:
            step.failure = problem.detail
        else:
            items.append((item, step.due.due_at))
            asking.append(step)
    for step, foreseen in zip(
        asking, outbox.foresee(tools, connection, tenant_id, items), strict=True
    ):
        step.foreseen = foreseen
        step.failure = foreseen.problem


def _walk(
    connection: Connection,
    tenant_id: UUID,
    run: OpenRun,
    steps: Sequence[_Step],
    since: datetime,
) -> Iterator[Foretold]:
    """Go through them in their order: what was done for a person holds back what follows."""
    people = sorted({step.person for step in steps if step.person is not None})
    acted: defaultdict[UUID, Acted] = defaultdict(lambda: Acted(0, None))
    if run.cool_down_s is not None or run.cap_per_contact is not None:
        acted.update(rehearsals.find_acted(connection, tenant_id, run.rule_id, people, since=since))
    for step in steps:
        told = _told(step, acted)
        if told.result not in {"skipped", "failed"} and step.person is not None:
            acted[step.person] = Acted(acted[step.person].times + 1, step.due.due_at)
        yield told


def _told(step: _Step, acted: Mapping[UUID, Acted]) -> Foretold:
    reason, result, until, category = step.passed, "skipped", None, None
    if reason is None and step.wanted is not None:
        try:
            _check_pauses(step, acted)
        except Pass as nothing:
            reason = str(nothing)
    if reason is None:
        result, reason, until, category = _outcome(step)
    return Foretold(
        due_at=step.due.due_at,
        occurrence=step.due.occurrence,
        subject_id=step.due.subject_id,
        contact_id=step.wanted.contact_id if isinstance(step.wanted, Send) else step.person,
        result=result,
        reason=reason,
        until=until,
        category=category,
    )


def _check_pauses(step: _Step, acted: Mapping[UUID, Acted]) -> None:
    if step.person is None:
        return
    times, last = acted[step.person]
    cool_down = step.run.cool_down_s
    lately = (
        cool_down is not None
        and last is not None
        and last > step.due.due_at - timedelta(seconds=cool_down)
    )
    hold_back(step.run, times, lately=lately)


def _outcome(step: _Step) -> tuple[str, str | None, str | None, str | None]:
    """Return result, reason, until when and category."""
    if step.failure is not None:
        return "failed", step.failure, None, None
    if not isinstance(step.wanted, Send):
        return "done", None, None, None
    foreseen = step.foreseen
    assert foreseen is not None
    assert foreseen.decision is not None
    verdict, reason = foreseen.decision["verdict"], foreseen.decision.get("reason")
    if verdict == "denied":
        told = f"denied: {reason}: {foreseen.decision.get('hint', '')}"
        return "skipped", told, None, foreseen.kind
    if verdict == "deferred":
        return "deferred", reason, foreseen.decision.get("until"), foreseen.kind
    return "sent", None, None, foreseen.kind


def _cost(
    connection: Connection, tenant_id: UUID, steps: Sequence[_Step], told: Sequence[Foretold]
) -> Cost:
    """Return what the messages would have cost, each by the rates of its day."""
    groups: dict[tuple[str, bool, datetime], Counter[str]] = defaultdict(Counter)
    for step, one in zip(steps, told, strict=True):
        if one.result in {"sent", "deferred"} and step.foreseen is not None:
            day = one.due_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            key = step.foreseen.kind, step.foreseen.inside_window, day
            groups[key].update(prices.by_country([(step.foreseen.recipient, 1)]))
    cost = Cost()
    for (kind, inside, day), counts in sorted(groups.items()):
        cost += prices.estimate(connection, tenant_id, kind, counts, day, inside_window=inside)
    return cost
