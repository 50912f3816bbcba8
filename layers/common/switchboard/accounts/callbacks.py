"""Callback overrides: a number's or a business account's webhooks of messages go elsewhere.

Of several the number's wins, then the account's, then the app's own address. Meta shakes hands
with an address before it takes it, with the token given here, which is kept sealed and never
shown. What Switchboard does with messages ends where their webhooks no longer come to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from switchboard.accounts._meta import BusinessAccount, account_of, document_of, number_of
from switchboard.kernel.arguments import Arguments
from switchboard.store import numbers as store
from switchboard.tools import Tools
from switchboard.transact import transact
from switchboard.whatsapp.numbers import (
    Overrides,
    Subscribed,
    read_overrides,
    read_subscriptions,
    remove_override,
    subscribe,
    write_override,
)

PURPOSE = "verify_token"


def _https(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme == "https" and parts.hostname is not None and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is none
        good = False
    if not good or " " in text or not text.isprintable():
        raise ValueError("must be an https address")
    return text


class Callback(Arguments):
    """Where the webhooks of messages go instead."""

    url: Annotated[str, StringConstraints(max_length=200), AfterValidator(_https)] = Field(
        description="https address, at most 200 characters; Meta shakes hands with it at once"
    )
    verify_token: Annotated[str, StringConstraints(min_length=1, max_length=1000)] = Field(
        description="what Meta shows when it shakes hands; kept sealed, never shown", repr=False
    )


@dataclass(frozen=True, slots=True)
class NumberCallback:
    """Where a number's webhooks go: `url` is its own override, the others come after it."""

    phone_number_id: str
    url: str | None
    account_url: str | None
    app_url: str | None


@dataclass(frozen=True, slots=True)
class CallbackSet:
    """The override that Meta holds from now on; null: none."""

    url: str | None


@dataclass(frozen=True, slots=True)
class AccountCallback:
    """Where a business account's webhooks go; `url` null: to the app's own address.

    `apps` are all that get its webhooks, each with an address of its own or null.
    """

    waba_id: str
    url: str | None
    apps: Sequence[Subscribed]


def show_callback(tools: Tools, tenant_id: UUID, phone_number_id: str) -> NumberCallback:
    """Ask Meta where a number's webhooks go; raises NotFound and what Meta's answer means."""
    number = number_of(tools, tenant_id, phone_number_id, member=None)
    told = read_overrides(tools.graph, number.phone_number_id, number.token)
    if not isinstance(told, Overrides):
        document_of(told)
        raise AssertionError("unreachable")
    return NumberCallback(number.phone_number_id, told.number, told.account, told.app)


def set_callback(
    tools: Tools, tenant_id: UUID, phone_number_id: str, callback: Callback
) -> CallbackSet:
    """Let a number's webhooks go to another address; raises as `show_callback` does."""
    number = number_of(tools, tenant_id, phone_number_id, member=None)
    sealed = tools.sealer.seal(callback.verify_token, tenant_id=tenant_id, purpose=PURPOSE)
    told = write_override(
        tools.graph, number.phone_number_id, number.token, callback.url, callback.verify_token
    )
    if told is not None:
        document_of(told)
    _keep(tools, tenant_id, phone_number_id, callback.url, sealed)
    return CallbackSet(callback.url)


def remove_callback(tools: Tools, tenant_id: UUID, phone_number_id: str) -> CallbackSet:
    """Let a number's webhooks go where its account's go; raises as `show_callback` does."""
    number = number_of(tools, tenant_id, phone_number_id, member=None)
    told = remove_override(tools.graph, number.phone_number_id, number.token)
    if told is not None:
        document_of(told)
    _keep(tools, tenant_id, phone_number_id, None, None)
    return CallbackSet(None)


def show_account_callback(tools: Tools, tenant_id: UUID, waba_id: str) -> AccountCallback:
    """Ask Meta where an account's webhooks go; raises NotFound and what Meta's answer means."""
    account = account_of(tools, tenant_id, waba_id)
    told = read_subscriptions(tools.graph, account.waba_id, account.token)
    if not isinstance(told, list):
        document_of(told)
        raise AssertionError("unreachable")
    return AccountCallback(waba_id, _own_url(tools, tenant_id, account, told), told)


def set_account_callback(
    tools: Tools, tenant_id: UUID, waba_id: str, callback: Callback
) -> CallbackSet:
    """Let an account's webhooks go to another address; raises as `show_account_callback` does."""
    account = account_of(tools, tenant_id, waba_id)
    sealed = tools.sealer.seal(callback.verify_token, tenant_id=tenant_id, purpose=PURPOSE)
    override = (callback.url, callback.verify_token)
    told = subscribe(tools.graph, waba_id, account.token, override=override)
    if told is not None:
        document_of(told)
    _keep_account(tools, tenant_id, waba_id, callback.url, sealed)
    return CallbackSet(callback.url)


def remove_account_callback(tools: Tools, tenant_id: UUID, waba_id: str) -> CallbackSet:
    """Let an account's webhooks go to the app's own address; the app stays subscribed."""
    account = account_of(tools, tenant_id, waba_id)
    told = subscribe(tools.graph, waba_id, account.token)
    if told is not None:
        document_of(told)
    _keep_account(tools, tenant_id, waba_id, None, None)
    return CallbackSet(None)


def _own_url(
    tools: Tools, tenant_id: UUID, account: BusinessAccount, apps: Sequence[Subscribed]
) -> str | None:
    """Return our app's address: Meta names apps by id, and the operator's is not known here."""
    if account.app_id is not None:
        return next((app.url for app in apps if app.app_id == account.app_id), None)
    if len(apps) <= 1:
        return apps[0].url if apps else None
    kept = transact(
        tools,
        tenant_id,
        lambda connection: store.account_override(connection, tenant_id, account.waba_id),
    )
    return kept if any(app.url == kept for app in apps) else None


def _keep(
    tools: Tools, tenant_id: UUID, phone_number_id: str, url: str | None, sealed: bytes | None
) -> None:
    transact(
        tools,
        tenant_id,
        lambda connection: store.set_override(
            connection,
            tenant_id,
            phone_number_id,
            url=url,
            verify_token=sealed,
            now=tools.clock.now,
        ),
    )


def _keep_account(
    tools: Tools, tenant_id: UUID, waba_id: str, url: str | None, sealed: bytes | None
) -> None:
    transact(
        tools,
        tenant_id,
        lambda connection: store.set_account_override(
            connection, tenant_id, waba_id, url=url, verify_token=sealed
        ),
    )
