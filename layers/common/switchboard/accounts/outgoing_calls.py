"""Calling a person from here, and asking whether they allow it.

A call of ours has its row before Meta is asked, and Meta gets the row's key: whatever becomes of
the answer, the call's webhooks find the row. Nothing is asked for a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import orjson
from pydantic import Field, field_validator

from switchboard.accounts._meta import NotAnswered, number_of
from switchboard.accounts.calls import Session, problem_of, show_call
from switchboard.kernel import phones
from switchboard.kernel.arguments import Arguments, read_recipient
from switchboard.kernel.errors import NotFound, Unavailable, Unprocessable
from switchboard.store import calls as store
from switchboard.store.calls import Call, Callee
from switchboard.tools import Tools
from switchboard.transact import transact
from switchboard.whatsapp import calls as meta
from switchboard.whatsapp.client import NotSent, Rejected, Throttled, Unconfirmed

#: Bytes of a call's metadata.
LONGEST_METADATA = 4_000
_OFF = frozenset({"disconnected", "suspended"})
_HINT = "the person has not allowed calls: send a call_permission_request message first"


class Offer(Session):
    """The session of a call that is made."""

    sdp_type: Literal["offer"] = Field(description="offer")


class NewCall(Arguments):
    """A call to make."""

    sender: str = Field(
        alias="from", min_length=1, max_length=50, description="phone number id that calls"
    )
    to: str = Field(
        min_length=1,
        max_length=50,
        description="7 to 15 digits, with or without +, or a contact id",
    )
    session: Offer = Field(description='{"sdp_type": "offer", "sdp": …}')
    metadata: dict[str, Any] = Field(
        default={}, description="kept with the call, 4,000 bytes of JSON at most"
    )

    @field_validator("metadata")
    @classmethod
    def _short(cls, metadata: dict[str, Any]) -> dict[str, Any]:
        if len(orjson.dumps(metadata)) > LONGEST_METADATA:
            raise ValueError(f"is over {LONGEST_METADATA} bytes")
        return metadata


class PermissionWanted(Arguments):
    """Whether a number may call a person."""

    sender: str = Field(
        alias="from", min_length=1, max_length=50, description="phone number id that would call"
    )
    to: str = Field(
        min_length=1,
        max_length=50,
        description="7 to 15 digits, with or without +, or a contact id",
    )


@dataclass(frozen=True, slots=True)
class CallPermission:
    """What Meta says of a permission.

    `status` is temporary, permanent, granted or no, `meta_status` Meta's own word. `actions` is
    Meta's list: `action_name`, `can_perform_action`, `limits`.
    """

    phone_number_id: str
    contact_id: UUID | None
    status: str
    meta_status: str | None
    expires_at: datetime | None
    actions: list[dict[str, Any]]


def show_permission(tools: Tools, tenant_id: UUID, wanted: PermissionWanted) -> CallPermission:
    """Ask Meta whether a number may call a person, and keep the answer with a known contact.

    Raises NotFound, Unprocessable, and what Meta did not answer.
    """
    phone, contact_id = read_recipient(wanted.to)
    number = number_of(tools, tenant_id, wanted.sender)
    callee = _find_callee(tools, tenant_id, wanted.sender, phone, contact_id)
    to, is_user_id = _address(callee, phone)
    told = meta.ask_permission(
        tools.graph, number.phone_number_id, number.token, to=to, is_user_id=is_user_id
    )
    if not isinstance(told, meta.Permission):
        raise problem_of(told)
    _keep(tools, tenant_id, callee, told)
    return CallPermission(
        number.phone_number_id,
        callee.contact_id,
        told.status,
        told.word,
        told.expires_at,
        told.actions,
    )


def start_call(tools: Tools, tenant_id: UUID, new: NewCall) -> Call:
    """Call a person and return the call: initiated, or unconfirmed where Meta's answer is missing.

    Raises NotFound, Unprocessable with the reason where this call may not be made, and what Meta
    did not do: each of these names the call by `id`.
    """
    phone, contact_id = read_recipient(new.to)
    callee = _find_callee(tools, tenant_id, new.sender, phone, contact_id)
    to, is_user_id = _address(callee, phone)
    _check(tools, callee, None if is_user_id else to)
    assert callee.access_token is not None
    token = tools.sealer.unseal(callee.access_token, tenant_id=tenant_id, purpose="access_token")
    call_id = tools.clock.new_id()  # named once: the work may run twice
    transact(
        tools,
        tenant_id,
        lambda connection: store.start(
            connection,
            tenant_id=tenant_id,
            call_id=call_id,
            account_id=callee.account_id,
            contact_id=callee.contact_id,
            phone=phones.national_variant(phone) if phone else None,
            metadata=new.metadata,
            now=tools.clock.now,
        ),
    )
    told = meta.connect(
        tools.graph,
        new.sender,
        token,
        to=to,
        is_user_id=is_user_id,
        sdp=new.session.sdp,
        key=store.key_of(call_id),
    )
    try:
        if not isinstance(told, Unconfirmed):
            _settle(tools, tenant_id, call_id, told)
        if isinstance(told, str | Unconfirmed):
            # What is unconfirmed is settled by its webhooks: until then it is what it says.
            return show_call(tools, tenant_id, call_id)
    except Unavailable as error:
        raise NotAnswered(
            "the database was lost after Meta was asked: the call may be under way",
            extra={"id": str(call_id)},
        ) from error
    is_forbidden = isinstance(told, Rejected) and told.code == meta.NO_PERMISSION
    raise problem_of(told, _HINT if is_forbidden else None, id=str(call_id))


def _settle(
    tools: Tools, tenant_id: UUID, call_id: UUID, told: str | Rejected | Throttled | NotSent
) -> None:
    """Keep Meta's id of the call, or why there is none."""
    errors = [] if isinstance(told, str) else [_error(told)]
    transact(
        tools,
        tenant_id,
        lambda connection: store.settle(
            connection,
            tenant_id,
            call_id,
            wa_call_id=told if isinstance(told, str) else None,
            errors=errors,
            now=tools.clock.now,
        ),
    )


def _keep(tools: Tools, tenant_id: UUID, callee: Callee, told: meta.Permission) -> None:
    """Keep what Meta said with a known contact: who is only asked about becomes none."""
    contact_id = callee.contact_id
    if contact_id is None:
        return
    # Meta's times are whole seconds: what the person says in the second of the question may be
    # newer than the answer, and must win.
    told_at = callee.at.replace(microsecond=0) - timedelta(microseconds=1)
    transact(
        tools,
        tenant_id,
        lambda connection: store.keep_permission(
            connection,
            tenant_id=tenant_id,
            account_id=callee.account_id,
            contact_id=contact_id,
            response="accept" if told.holds else told.word or "no_permission",
            is_permanent=told.status == "permanent",
            expires_at=told.expires_at if told.holds else None,
            told_at=told_at,
            now=tools.clock.now,
        ),
    )


def _find_callee(
    tools: Tools, tenant_id: UUID, sender: str, phone: str | None, contact_id: UUID | None
) -> Callee:
    found = transact(
        tools,
        tenant_id,
        lambda connection: store.find_callee(
            connection,
            tenant_id,
            sender,
            phone=phones.national_variant(phone) if phone else None,
            contact_id=contact_id,
            now=tools.clock.now,
        ),
    )
    if found is None:
        raise NotFound("this number is not known", field="from")
    if contact_id is not None and found.contact_id is None:
        raise NotFound("this contact is not known", field="to")
    return found


def _address(callee: Callee, phone: str | None) -> tuple[str, bool]:
    """Return what Meta reaches the person by, and whether it is a business-scoped user id."""
    if phone is not None or callee.known_phone is not None:
        return str(phone or callee.known_phone), False
    if callee.known_user_id is None:
        raise Unprocessable("the contact has neither a phone number nor a user id", field="to")
    return callee.known_user_id, True


def _check(tools: Tools, callee: Callee, phone: str | None) -> None:
    """Raise Unprocessable with the reason why this call may not be made, a `reason` among it."""
    for reason, speaks_against, text in (
        ("tenant_inactive", not callee.is_tenant_active, "the tenant is disabled"),
        ("number_inactive", not callee.is_number_active, "the number is disabled"),
        (
            f"number_{callee.number_status}",
            callee.number_status in _OFF,
            f"the number is {callee.number_status}: it must be connected again first",
        ),
        ("token_missing", callee.access_token is None, "the number has no access token"),
        ("stopped", callee.is_stopped, "sending is stopped, and so are calls"),
        ("paused", callee.is_paused, _pause_of(callee)),
        (
            "recipient_not_allowed",
            not _is_allowed(tools, phone),
            "this deployment calls its allow-list only",
        ),
        ("contact_blocked", callee.is_blocked, "unblock the contact first"),
    ):
        if speaks_against:
            raise Unprocessable(text, extra={"reason": reason})


def _pause_of(callee: Callee) -> str:
    reason = f": {callee.paused_reason}" if callee.paused_reason else ""
    return f"the number is paused{reason}"


def _is_allowed(tools: Tools, phone: str | None) -> bool:
    """Return whether the staging allow-list, where there is one, has the number."""
    allowed = tools.settings.recipient_allow_list
    known = {phones.national_variant(number) for number in allowed}
    return not allowed or (phone is not None and phones.national_variant(phone) in known)


def _error(told: Rejected | Throttled | NotSent) -> Mapping[str, Any]:
    """Return an error as a call's row keeps it."""
    if isinstance(told, NotSent):
        return {"title": "Meta was not reached", "details": told.reason}
    return {"code": told.code, "title": told.title, "details": told.details}
