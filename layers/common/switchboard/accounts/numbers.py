"""A tenant's numbers: what is known of them, our settings of each, and asking Meta anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from switchboard.accounts._meta import Number, document_of, number_of
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import NotFound
from switchboard.kernel.page import Page, Paged, page_of, read_cursor
from switchboard.store import numbers as store
from switchboard.store.numbers import BusinessNumber
from switchboard.tools import Tools
from switchboard.transact import transact
from switchboard.whatsapp.numbers import NoAnswer, fetch_states

_LIST = "numbers"
Emoji = Annotated[str, StringConstraints(min_length=1, max_length=16)]


@dataclass(frozen=True, slots=True)
class Asked:
    """When Meta was asked, and what stood in the way; None: what it told is taken up.

    It counts as told when it was asked, so what a webhook of a later second has brought stays.
    """

    asked_at: datetime
    refused: NoAnswer | None


class NumberFilter(Paged):
    """Which numbers: all of them."""


class NumberChange(Arguments):
    """Our settings of a number; what is left out stays as it is."""

    auto_mark_read: bool = Field(
        default=False, description="mark each inbound message as read when it is stored"
    )
    acknowledging_reaction: Emoji | None = Field(
        None, description="the emoji that answers each inbound message; null: none"
    )
    resend_once: bool = Field(
        default=False,
        description="send a utility message or an in-window reply once more when nobody knows"
        " whether Meta took it",
    )
    confirm_consents: bool = Field(
        default=True, description="answer STOP and START with a word of confirmation"
    )

    @model_validator(mode="after")
    def _something(self) -> NumberChange:
        if not self.model_fields_set:
            raise ValueError("at least one setting must be given")
        return self


def list_numbers(tools: Tools, tenant_id: UUID, wanted: NumberFilter) -> Page[BusinessNumber]:
    """Return the tenant's numbers in the order of their ids at Meta."""

    def read(connection: Connection) -> Page[BusinessNumber]:
        after = read_cursor(_LIST, wanted, 1)
        rows = store.shown(
            connection,
            tenant_id,
            after=(after[0] or "") if after else "",
            limit=wanted.limit + 1,
            now=tools.clock.now,
        )
        return page_of(_LIST, wanted, rows, lambda last: (last.phone_number_id,))

    return transact(tools, tenant_id, read)


def show_number(tools: Tools, tenant_id: UUID, phone_number_id: str) -> BusinessNumber:
    """Return a number; raises NotFound."""
    return transact(
        tools, tenant_id, lambda connection: _show(tools, connection, tenant_id, phone_number_id)
    )


def change_number(
    tools: Tools, tenant_id: UUID, phone_number_id: str, change: NumberChange
) -> BusinessNumber:
    """Change our settings of a number; raises NotFound."""
    settings = change.model_dump(exclude_unset=True)

    def write(connection: Connection) -> BusinessNumber:
        store.change(connection, tenant_id, phone_number_id, settings)
        return _show(tools, connection, tenant_id, phone_number_id)

    return transact(tools, tenant_id, write)


def sync_number(tools: Tools, tenant_id: UUID, phone_number_id: str) -> BusinessNumber:
    """Ask Meta what it knows of a number, and return it.

    Raises NotFound, Unprocessable without a token, and what Meta's answer means (`document_of`).
    """
    number = number_of(tools, tenant_id, phone_number_id, member=None)
    refused = _fetch(tools, tenant_id, number).refused
    if refused is not None:
        document_of(refused)
    return show_number(tools, tenant_id, phone_number_id)


def sync_by_id(tools: Tools, tenant_id: UUID, account_id: UUID) -> Asked | None:
    """Ask Meta what it knows of an active number; None where there is none with a token."""
    found = transact(
        tools, tenant_id, lambda connection: store.find_by_id(connection, tenant_id, account_id)
    )
    if found is None or found.access_token is None:
        return None
    token = tools.sealer.unseal(found.access_token, tenant_id=tenant_id, purpose="access_token")
    number = Number(found.account_id, found.waba_id, found.phone_number_id, token)
    return _fetch(tools, tenant_id, number)


def _fetch(tools: Tools, tenant_id: UUID, number: Number) -> Asked:
    asked_at = transact(tools, tenant_id, lambda connection: _clock(tools, connection))
    told = fetch_states(tools.graph, number.phone_number_id, number.token)
    if not isinstance(told, dict):
        return Asked(asked_at, told)
    transact(
        tools,
        tenant_id,
        lambda connection: store.keep_fetched(
            connection, tenant_id, number.account_id, told, asked_at=asked_at
        ),
    )
    return Asked(asked_at, None)


def _clock(tools: Tools, connection: Connection) -> datetime:
    return store.clock(connection, now=tools.clock.now)


def _show(
    tools: Tools, connection: Connection, tenant_id: UUID, phone_number_id: str
) -> BusinessNumber:
    found = store.shown(connection, tenant_id, phone_number_id, now=tools.clock.now)
    if not found:
        raise NotFound("this number is not known")
    return found[0]
