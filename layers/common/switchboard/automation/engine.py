"""Performs a run: looks at the facts as they are now, decides, and writes what the action asks for.

All in the transaction that ends the job: a run acts once or not at all, however often it was tried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from switchboard import outbox
from switchboard.automation.actions._kind import (
    ACTIONS,
    AskAgent,
    ChangeTrip,
    Pass,
    Send,
    SendMail,
    Wanted,
)
from switchboard.automation.conditions import holds
from switchboard.automation.facts import Facts
from switchboard.automation.triggers._kind import TRIGGERS
from switchboard.kernel.arguments import read
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import ProblemError, UnknownKind, Unprocessable
from switchboard.kernel.log import log
from switchboard.outbox import Origin, Outgoing
from switchboard.outbox.wire import check
from switchboard.store import automations as store
from switchboard.store import jobs
from switchboard.store.automations import OpenRun
from switchboard.tools import Tools


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended, as it is kept."""

    status: str
    reason: str | None = None
    result: dict[str, Any] | None = None
    message_id: UUID | None = None


def perform(
    tools: Tools, connection: Connection, tenant_id: UUID, run_id: UUID, *, last_try: bool
) -> None:
    """Perform a run in the open transaction; one that has ended stays as it is.

    What no further try can help ends it as failed. Anything else is raised, so that nothing of it
    stays, but for the `last_try`.
    """
    run = store.open_run(connection, tenant_id, run_id, now=tools.clock.now)
    if run is None:
        return
    end(
        tools,
        connection,
        tenant_id,
        run,
        lambda: _outcome(tools, connection, tenant_id, run, facts_of(run)),
        last_try=last_try,
    )


def end(
    tools: Tools,
    connection: Connection,
    tenant_id: UUID,
    run: OpenRun,
    work: Callable[[], Outcome | None],
    *,
    last_try: bool,
) -> None:
    """Do the work of an open run and end it as that ended; None: it goes on in another job."""
    try:
        # A savepoint: what was written before an error must go, and the run still be ended.
        with connection.transaction():
            outcome = work()
    except Pass as nothing:
        outcome = Outcome("skipped", str(nothing))
    except ProblemError as problem:
        outcome = Outcome("failed", problem.detail)
    except UnknownKind:
        outcome = Outcome("failed", "unknown trigger or action")
    except psycopg.OperationalError:
        raise
    except Exception as error:
        if not last_try:
            raise
        log.error("automation.failed", error=error, run_id=run.id)
        outcome = Outcome("failed", type(error).__name__)
    if outcome is None:
        return
    store.finish_run(
        connection,
        tenant_id,
        run.id,
        status=outcome.status,
        contact_id=person_of(facts_of(run)),
        reason=outcome.reason,
        result=outcome.result,
        message_id=outcome.message_id,
        now=tools.clock.now,
    )


def facts_of(run: OpenRun) -> Facts:
    """Return what the run may see: a rule of one contact that contact's facts alone."""
    contact, trip, booking = run.contact, run.trip, run.booking
    if run.whose is not None:
        whose = contact and contact["id"]
        trip = trip if trip and trip["contact_id"] == whose else None
        booking = booking if booking and booking["contact_id"] == whose else None
    return Facts(contact, trip, booking)


def person_of(facts: Facts) -> UUID | None:
    """Return whom a run is about; None: nobody."""
    return None if facts.contact is None else UUID(str(facts.contact["id"]))


def consider(run: OpenRun, facts: Facts) -> Wanted:
    """Return what a run's action asks for; raises Pass where nothing is to be done."""
    if not run.is_active:
        raise Pass("inactive")
    trigger, action = TRIGGERS[run.trigger_type], ACTIONS[run.action_type]
    if run.started_by == "due" and not trigger.is_so(facts, run.occurrence):
        raise Pass("not so any more")
    if not holds(run.conditions, facts):
        raise Pass("conditions")
    wanted: Wanted = action.act(read(action.config, run.action_config), facts)
    return wanted


def hold_back(run: OpenRun, acted: int, *, lately: bool) -> None:
    """Raise Pass where the rule has `acted` for this person as often, or as lately, as it may."""
    if run.cap_per_contact is not None and acted >= run.cap_per_contact:
        raise Pass("cap_per_contact")
    if lately:
        raise Pass("cool_down")


def outgoing(rule_id: UUID, wanted: Send, number: str | None, at: datetime) -> Outgoing:
    """Return the message that is sent at that time.

    Raises what the caller of a send is told of a message that Meta would refuse, and Unprocessable
    where there is no number.
    """
    if number is None:
        raise Unprocessable("the tenant has no number to send from")
    message, warnings = check(wanted.message)
    return Outgoing(
        phone_number_id=number,
        contact_id=wanted.contact_id,
        message=message,
        warnings=warnings,
        category=wanted.category,
        notification_category=wanted.notification_category,
        expires_at=None if wanted.expires_in is None else at + wanted.expires_in,
        origin=Origin.AUTOMATION,
        origin_id=rule_id,
    )


def _outcome(
    tools: Tools, connection: Connection, tenant_id: UUID, run: OpenRun, facts: Facts
) -> Outcome | None:
    wanted = consider(run, facts)
    check_person(tools, connection, tenant_id, run, facts)
    if isinstance(wanted, ChangeTrip):
        return _change_trip(tools, connection, tenant_id, run, wanted)
    if isinstance(wanted, SendMail):
        return _send_mail(tools, connection, tenant_id, run, wanted)
    if isinstance(wanted, AskAgent):
        # An agent answers over HTTP, for which no transaction waits.
        jobs.enqueue(
            connection,
            tenant_id=tenant_id,
            job_type="ask_agent",
            args={"run_id": str(run.id)},
            now=tools.clock.now,
        )
        return None
    return send(tools, connection, tenant_id, run, wanted)


def check_person(
    tools: Tools, connection: Connection, tenant_id: UUID, run: OpenRun, facts: Facts
) -> None:
    """Raise Pass where the rule must not act for this person now; others of it wait meanwhile."""
    person = person_of(facts)
    if person is None or (run.cool_down_s is None and run.cap_per_contact is None):
        return
    count, lately = store.ran_before(
        connection,
        tenant_id,
        run.rule_id,
        person,
        cool_down_s=run.cool_down_s,
        now=tools.clock.now,
    )
    hold_back(run, count, lately=lately)


def _change_trip(
    tools: Tools, connection: Connection, tenant_id: UUID, run: OpenRun, wanted: ChangeTrip
) -> Outcome:
    changed = store.change_trip(
        connection,
        tenant_id,
        wanted.trip_id,
        wanted.columns,
        wanted.attributes,
        chain=[*run.chain, run.rule_id],
        now=tools.clock.now,
    )
    return Outcome("done") if changed else Outcome("skipped", "no_trip")


def _number_for(connection: Connection, tenant_id: UUID, contact_id: UUID) -> str | None:
    return store.find_numbers(connection, tenant_id, [contact_id]).get(contact_id)


def send(
    tools: Tools,
    connection: Connection,
    tenant_id: UUID,
    run: OpenRun,
    wanted: Send,
    *,
    origin: Origin = Origin.AUTOMATION,
) -> Outcome:
    """Put a message in, and return how that ends the run."""
    at = store.read_now(connection, now=tools.clock.now)
    number = wanted.phone_number_id or _number_for(connection, tenant_id, wanted.contact_id)
    message = replace(outgoing(run.rule_id, wanted, number, at), origin=origin)
    (answer,) = outbox.queue(tools, connection, tenant_id, [message])
    kept = answer.body.get("id")
    message_id = None if kept is None else UUID(str(kept))
    if answer.status < 400:
        return Outcome("done", message_id=message_id)
    denied = message_id is not None
    return Outcome(
        "skipped" if denied else "failed",
        ("denied: " if denied else "") + str(answer.body.get("detail", "")),
        message_id=message_id,
    )


def _send_mail(
    tools: Tools, connection: Connection, tenant_id: UUID, run: OpenRun, wanted: SendMail
) -> Outcome:
    # Few rules send mails, and the evaluators' cold start pays for none.
    from switchboard import mail

    queued = mail.queue(
        tools,
        connection,
        tenant_id,
        mail.Mail(
            contact_id=wanted.contact_id,
            template=wanted.template,
            language=wanted.language,
            values=wanted.values,
            category=wanted.category,
            notification_category=wanted.notification_category,
            expires_in=wanted.expires_in,
            rule_id=run.rule_id,
            run_id=run.id,
        ),
    )
    if queued.email_id is None:
        return Outcome("failed" if queued.status == "refused" else "skipped", queued.reason)
    result = {"email_id": str(queued.email_id)}
    if queued.status == "pending":
        return Outcome("done", result=result)
    return Outcome("skipped", f"denied: {queued.reason}", result)
