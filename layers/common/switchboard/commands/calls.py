"""calls: the log of calls, and making, answering and ending one."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from switchboard.accounts import calls, outgoing_calls
from switchboard.accounts.calls import Answered, CallFilter, Taking
from switchboard.accounts.outgoing_calls import CallPermission, NewCall, PermissionWanted
from switchboard.commands._resource import Command, Resource
from switchboard.kernel.arguments import Arguments, read
from switchboard.kernel.page import Page
from switchboard.store.calls import Call
from switchboard.tools import Tools


class TheCall(Arguments):
    """One call."""

    call: UUID = Field(description="the call's id here")


class TakenCall(TheCall):
    """A person's call that is taken."""

    sdp: str = Field(description="the SDP answer")


class Pair(Arguments):
    """A number and a person."""

    number: str = Field(max_length=50, description="phone number id that calls")
    to: str = Field(max_length=50, description="digits, or a contact id")


class CallMade(Pair):
    """A call to make."""

    sdp: str = Field(description="the SDP offer")


def list_calls(tools: Tools, tenant_id: UUID, wanted: CallFilter) -> Page[Call]:
    """List calls, the newest first."""
    return calls.list_calls(tools, tenant_id, wanted)


def show_call(tools: Tools, tenant_id: UUID, which: TheCall) -> Call:
    """Show a call, with the other side's session while it can still be taken."""
    return calls.show_call(tools, tenant_id, which.call)


def permission(tools: Tools, tenant_id: UUID, which: Pair) -> CallPermission:
    """Ask Meta whether a number may call a person."""
    wanted = read(PermissionWanted, {"from": which.number, "to": which.to})
    return outgoing_calls.show_permission(tools, tenant_id, wanted)


def start(tools: Tools, tenant_id: UUID, made: CallMade) -> Call:
    """Call a person; unconfirmed: nobody knows yet whether Meta took it."""
    session = {"sdp_type": "offer", "sdp": made.sdp}
    new = read(NewCall, {"from": made.number, "to": made.to, "session": session})
    return outgoing_calls.start_call(tools, tenant_id, new)


def pre_accept(tools: Tools, tenant_id: UUID, taken: TakenCall) -> Call:
    """Set the media of a person's call up before it is accepted."""
    return calls.pre_accept_call(tools, tenant_id, taken.call, _taking(taken))


def accept(tools: Tools, tenant_id: UUID, taken: TakenCall) -> Call:
    """Take a person's call."""
    return calls.accept_call(tools, tenant_id, taken.call, _taking(taken))


def reject(tools: Tools, tenant_id: UUID, which: TheCall) -> Call:
    """Refuse a person's call."""
    return calls.reject_call(tools, tenant_id, which.call)


def terminate(tools: Tools, tenant_id: UUID, which: TheCall) -> Call:
    """End a call."""
    return calls.terminate_call(tools, tenant_id, which.call)


def _taking(taken: TakenCall) -> Taking:
    return Taking(session=read(Answered, {"sdp_type": "answer", "sdp": taken.sdp}))


_ID = "--call 3b8f1c52-0d7e-4a27-8d11-5a4f6d1c9b20"
_PAIR = "--number 310000000000001 --to +5215550002222"
KIND = Resource(
    "calls",
    "calls of people and of the business",
    (
        Command(
            "list",
            CallFilter,
            list_calls,
            "--status initiated --direction inbound",
            (
                "id",
                "occurred_at",
                "direction",
                "status",
                "end_reason",
                "duration_seconds",
                "phone_number",
                "phone_number_id",
            ),
        ),
        Command("show", TheCall, show_call, _ID),
        Command("permission", Pair, permission, _PAIR),
        Command("start", CallMade, start, f'{_PAIR} --sdp "$(cat offer.sdp)"'),
        Command("pre-accept", TakenCall, pre_accept, f'{_ID} --sdp "$(cat answer.sdp)"'),
        Command("accept", TakenCall, accept, f'{_ID} --sdp "$(cat answer.sdp)"'),
        Command("reject", TheCall, reject, _ID),
        Command("terminate", TheCall, terminate, _ID),
    ),
)
