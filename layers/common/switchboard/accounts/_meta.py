"""Asks Meta on behalf of a number or a business account, and says plainly what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

from switchboard.kernel.errors import (
    MetaAway,
    NotFound,
    ProblemError,
    RefusedByMeta,
    Unprocessable,
)
from switchboard.store import numbers as store
from switchboard.tools import Tools
from switchboard.transact import transact
from switchboard.whatsapp.client import Answer, NotSent, Rejected, Throttled, Unconfirmed

#: What GraphClient.call returns.
Told = Answer | Throttled | Rejected | NotSent | Unconfirmed


class NotAnswered(ProblemError):
    """Meta gave no clear answer: what was asked for may have been done."""

    status: ClassVar[int] = 504
    title: ClassVar[str] = "No clear answer from Meta"


@dataclass(frozen=True, slots=True)
class Number:
    """A number of the tenant, and the token that speaks for it."""

    account_id: UUID
    waba_id: str
    phone_number_id: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class BusinessAccount:
    """A WhatsApp business account of the tenant, and the token of one of its numbers."""

    waba_id: str
    app_id: str | None
    token: str = field(repr=False)


def number_of(
    tools: Tools, tenant_id: UUID, phone_number_id: str, *, member: str | None = "from"
) -> Number:
    """Return the tenant's number; raises NotFound, Unprocessable where it has no token.

    `member` is what named it in the request, None where the address did.
    """
    found = transact(
        tools, tenant_id, lambda connection: store.find(connection, tenant_id, phone_number_id)
    )
    if found is None:
        raise NotFound("this number is not known", field=member)
    return Number(
        found.account_id,
        found.waba_id,
        found.phone_number_id,
        _open(tools, tenant_id, found.access_token),
    )


def account_of(tools: Tools, tenant_id: UUID, waba_id: str) -> BusinessAccount:
    """Return the tenant's business account; raises NotFound, Unprocessable without any token.

    The token is that of its newest active number that has one.
    """
    found = transact(
        tools, tenant_id, lambda connection: store.find_account(connection, tenant_id, waba_id)
    )
    if found is None:
        raise NotFound("this business account is not known", field="waba_id")
    return BusinessAccount(found.waba_id, found.app_id, _open(tools, tenant_id, found.access_token))


def document_of(told: Told) -> dict[str, Any]:
    """Return Meta's document; raises what the caller is told where Meta did not do as asked.

    RefusedByMeta (502) carries Meta's code, title and details; Unavailable (503) says that trying
    again is harmless and when; NotAnswered (504) that it may have been done.
    """
    match told:
        case Answer():
            return told.document or {}
        case Rejected():
            raise RefusedByMeta(
                told.details or told.title,
                extra={
                    "error": {
                        "code": told.code,
                        "title": told.title,
                        "details": told.details,
                        "trace_id": told.trace_id,
                    }
                },
            )
        case Throttled():
            wait = max(1, round(told.retry_after_s or 1))
            raise MetaAway(
                f"Meta is busy: {told.title}",
                headers={"retry-after": str(wait)},
                extra={"error": {"code": told.code, "title": told.title}},
            )
        case NotSent():
            raise MetaAway(f"Meta was not reached: {told.reason}")
        case Unconfirmed():
            raise NotAnswered(
                f"Meta gave no clear answer, it may have been done: {told.reason}",
                extra={"error": {"code": told.code}} if told.code is not None else {},
            )


def _open(tools: Tools, tenant_id: UUID, sealed: bytes | None) -> str:
    if sealed is None:
        raise Unprocessable("no number here has an access token: seal one with the admin command")
    return tools.sealer.unseal(sealed, tenant_id=tenant_id, purpose="access_token")
