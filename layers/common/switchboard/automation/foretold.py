"""What would have become of the occurrences of a rule, one after the other (see `rehearsal`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from switchboard import outbox, prices
from switchboard.automation.actions._kind import Pass, Send, Wanted
from switchboard.automation.engine import consider, facts_of, hold_back, outgoing, person_of
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import ProblemError
from switchboard.outbox.foresee import Foreseen
from switchboard.prices import Cost
from switchboard.store import automations as store
from switchboard.store import rehearsals
from switchboard.store.automations import OpenRun
from switchboard.store.rehearsals import Acted, Occurrence
from switchboard.tools import Tools


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


@dataclass(slots=True)
class Step:
    """One occurrence on its way: what is wanted, or why nothing is; then what the policy says."""

    due: Occurrence
    run: OpenRun
    person: UUID | None
    wanted: Wanted | None = None
    passed: str | None = None
    failure: str | None = None
    foreseen: Foreseen | None = None


def considered(
    connection: Connection, tenant_id: UUID, run: OpenRun, due: Sequence[Occurrence]
) -> Iterator[Step]:
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
        step = Step(one, this, person_of(facts))
        try:
            step.wanted = consider(this, facts)
        except Pass as nothing:
            step.passed = str(nothing)
        except ProblemError as problem:
            step.failure = problem.detail
        yield step


def ask_policy(
    tools: Tools, connection: Connection, tenant_id: UUID, steps: Sequence[Step]
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


def walk(
    connection: Connection,
    tenant_id: UUID,
    run: OpenRun,
    steps: Sequence[Step],
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


def _told(step: Step, acted: Mapping[UUID, Acted]) -> Foretold:
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


def _check_pauses(step: Step, acted: Mapping[UUID, Acted]) -> None:
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


def _outcome(step: Step) -> tuple[str, str | None, str | None, str | None]:
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


def cost_of(
    connection: Connection, tenant_id: UUID, steps: Sequence[Step], told: Sequence[Foretold]
) -> Cost:
    """Return what the messages would have cost, each by the rates of its day."""
    return prices.estimate_each(
        connection,
        tenant_id,
        (
            prices.Planned(foreseen.kind, foreseen.recipient, one.due_at, foreseen.inside_window)
            for step, one in zip(steps, told, strict=True)
            if one.result in {"sent", "deferred"} and (foreseen := step.foreseen) is not None
        ),
    )
