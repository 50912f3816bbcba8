"""Calls: the log, and what is done about one that is there: taking, refusing, ending it.

Where Meta would say that it is done already, so do we: the answer is the call as it stands.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, field_validator

from switchboard.accounts._meta import document_of, number_of
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Conflict, NotFound, ProblemError
from switchboard.kernel.page import WALK, Page, Paged, as_id, as_time, read_cursor, write_cursor
from switchboard.store import calls as store
from switchboard.store import contacts as store_of_contacts
from switchboard.store.calls import Call
from switchboard.tools import Tools
from switchboard.transact import transact
from switchboard.whatsapp import calls as meta
from switchboard.whatsapp.client import Rejected

_OVER = frozenset({"ended", "rejected", "failed"})


class CallFilter(Paged):
    """Which calls: those that fit everything given."""

    number: str | None = Field(
        None, max_length=50, description="of this number: its phone number id, or its id here"
    )
    contact: UUID | None = Field(None, description="with this contact")
    direction: Literal["inbound", "outbound"] | None = Field(
        None, description="inbound: the person called; outbound: the business did"
    )
    status: (
        Literal["unconfirmed", "initiated", "accepted", "ended", "rejected", "failed"] | None
    ) = Field(None, description="unconfirmed, initiated, accepted, ended, rejected or failed")
    since: AwareDatetime | None = Field(None, description="begun then or later")
    until: AwareDatetime | None = Field(None, description="begun before")


class Session(Arguments):
    """A description of the media, as the caller's WebRTC client made it (RFC 8866)."""

    sdp_type: str = Field(description="offer for a new call, answer for a person's")
    sdp: str = Field(description=f"the SDP, at most {meta.LONGEST_SDP} bytes")

    @field_validator("sdp")
    @classmethod
    def _looks_like_one(cls, sdp: str) -> str:
        fault = meta.sdp_fault(sdp)
        if fault is not None:
            raise ValueError(fault)
        return sdp


class Answered(Session):
    """The session of a call that is taken."""

    sdp_type: Literal["answer"] = Field(description="answer")


class Taking(Arguments):
    """The answer to a person's call; the same in pre-accept and accept."""

    session: Answered = Field(description='{"sdp_type": "answer", "sdp": …}')


def list_calls(tools: Tools, tenant_id: UUID, wanted: CallFilter) -> Page[Call]:
    """Return calls, the newest first."""

    def read(connection: Connection) -> Page[Call]:
        position = read_cursor("calls", wanted, 2)
        contact_id = wanted.contact
        if contact_id is not None:
            # A merged contact's calls are the root's.
            contact_id = store_of_contacts.find_root(connection, tenant_id, contact_id)
            if contact_id is None:
                return Page([], None)
        steps = store.walk(
            connection,
            tenant_id,
            after=(as_time(position[0]), as_id(position[1])) if position else None,
            # Only what stands above the walk makes it longer than a page.
            walk=WALK if _filters(wanted) else wanted.limit + 1,
            limit=wanted.limit,
            number=wanted.number,
            contact_id=contact_id,
            direction=wanted.direction,
            status=wanted.status,
            since=wanted.since,
            until=wanted.until,
        )
        fitting = [step.call for step in steps if step.matches]
        shown = fitting[: wanted.limit]
        if len(fitting) > len(shown):
            last = shown[-1]
        elif steps and steps[-1].place == WALK:
            last = steps[-1].call
        else:
            return Page(shown, None)
        return Page(shown, write_cursor("calls", wanted, last.occurred_at, last.id))

    return transact(tools, tenant_id, read)


def show_call(tools: Tools, tenant_id: UUID, call_id: UUID) -> Call:
    """Return a call with the other side's session; raises NotFound."""
    found = transact(
        tools, tenant_id, lambda connection: store.load(connection, tenant_id, call_id)
    )
    if found is None:
        raise NotFound("this call is not known")
    return found


def pre_accept_call(tools: Tools, tenant_id: UUID, call_id: UUID, how: Taking) -> Call:
    """Let Meta set the media up before a person's call is accepted.

    Raises NotFound, Conflict for a call that cannot be taken, and what Meta did not do.
    """
    call = _takeable(tools, tenant_id, call_id)
    if call.status == "initiated":
        _ask(tools, tenant_id, call, "pre_accept", how.session.sdp)
    return show_call(tools, tenant_id, call_id)


def accept_call(tools: Tools, tenant_id: UUID, call_id: UUID, how: Taking) -> Call:
    """Take a person's call; one that is taken already stays so. Raises as pre_accept_call."""
    call = _takeable(tools, tenant_id, call_id)
    if call.status == "initiated":
        _ask(tools, tenant_id, call, "accept", how.session.sdp)
        _keep_answer(tools, tenant_id, call_id, accepted=True)
    return show_call(tools, tenant_id, call_id)


def reject_call(tools: Tools, tenant_id: UUID, call_id: UUID) -> Call:
    """Refuse a person's call; one that is over stays as it is.

    Raises NotFound, Conflict for a call of ours or one that was taken, and what Meta did not do.
    """
    call = show_call(tools, tenant_id, call_id)
    if call.status in _OVER:
        return call
    if call.direction != "inbound" or call.status != "initiated":
        raise Conflict("only a person's call that nobody has taken can be rejected: terminate it")
    if _ask(tools, tenant_id, call, "reject"):
        _keep_answer(tools, tenant_id, call_id, accepted=False)
    return show_call(tools, tenant_id, call_id)


def terminate_call(tools: Tools, tenant_id: UUID, call_id: UUID) -> Call:
    """End a call; one that is over stays as it is. Its webhook tells the end.

    Raises NotFound, Conflict for a call whose id at Meta is not known yet, what Meta did not do.
    """
    call = show_call(tools, tenant_id, call_id)
    if call.status in _OVER:
        return call
    if call.wa_call_id is None:
        raise Conflict("Meta's id of this call is not known yet: try again when it rings")
    _ask(tools, tenant_id, call, "terminate")
    return show_call(tools, tenant_id, call_id)


def problem_of(told: meta.NoAnswer, detail: str | None = None, **more: str) -> ProblemError:
    """Return what a caller is told of what Meta did not do, with `more` members.

    `detail` instead of Meta's own words.
    """
    try:
        document_of(told)
    except ProblemError as problem:
        problem.detail = detail or problem.detail
        problem.extra.update(more)
        return problem
    raise AssertionError("unreachable")


def _takeable(tools: Tools, tenant_id: UUID, call_id: UUID) -> Call:
    call = show_call(tools, tenant_id, call_id)
    if call.direction != "inbound":
        raise Conflict("only a person's call can be accepted")
    if call.status in _OVER:
        raise Conflict(f"the call is over: {call.status}")
    return call


def _ask(
    tools: Tools, tenant_id: UUID, call: Call, verb: meta.Verb, sdp: str | None = None
) -> bool:
    """Ask Meta; return whether it did so. False: the call was over before, as its row tells now."""
    number = number_of(tools, tenant_id, call.phone_number_id)
    assert call.wa_call_id is not None
    told = meta.act(
        tools.graph, number.phone_number_id, number.token, verb, call.wa_call_id, sdp=sdp
    )
    if told is None:
        return True
    may_be_over = verb in {"reject", "terminate"} and isinstance(told, Rejected)
    # Whoever ended it first: its webhook may have come meanwhile.
    if may_be_over and show_call(tools, tenant_id, call.id).status in _OVER:
        return False
    raise problem_of(told, id=str(call.id))


def _keep_answer(tools: Tools, tenant_id: UUID, call_id: UUID, *, accepted: bool) -> None:
    transact(
        tools,
        tenant_id,
        lambda connection: store.answer(
            connection, tenant_id, call_id, accepted=accepted, now=tools.clock.now
        ),
    )


def _filters(wanted: CallFilter) -> bool:
    return any((wanted.number, wanted.direction, wanted.status))
