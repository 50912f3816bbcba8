"""Tenants and what they own: users, Meta apps, business accounts (WABAs), numbers, API keys.

For the operator's admin commands alone: they run as the owner of the tables. The functions' doors
to the same tables are in `store.events`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, LiteralString, TypeVar
from uuid import UUID

from psycopg.rows import class_row

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "tenants")

R = TypeVar("R")

#: What can be switched off and on, and the statement that does it.
Switchable = Literal["user", "app", "business_account", "number"]
_SWITCH: dict[Switchable, LiteralString] = {
    "user": _SQL["set_user_active"],
    "app": _SQL["set_app_active"],
    "business_account": _SQL["set_business_account_active"],
    "number": _SQL["set_number_active"],
}


@dataclass(frozen=True, slots=True)
class Tenant:
    """A business; while `sends_stopped_at` is set, nothing of it is sent.

    One person gets at most `marketing_cap` marketing messages in `marketing_cap_hours`; None: any.
    """

    id: UUID
    slug: str
    name: str
    is_active: bool
    sends_stopped_at: datetime | None
    marketing_cap: int | None
    marketing_cap_hours: int
    email_from: str | None
    email_from_name: str | None
    email_reply_to: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    """A member of a tenant's staff."""

    id: UUID
    email: str
    full_name: str
    role: str
    is_active: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class App:
    """A tenant's own Meta app; its secrets stay sealed in the database."""

    app_id: str
    name: str
    is_active: bool
    has_previous_secret: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class BusinessAccount:
    """A WhatsApp business account (WABA); `app_id` None: the operator's Meta app.

    A pause is what Meta's answers led to; one with a reason and no time has no end of its own.
    """

    waba_id: str
    name: str | None
    portfolio_id: str | None
    app_id: str | None
    is_active: bool
    sends_paused_until: datetime | None
    sends_paused_reason: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Number:
    """A business number; its access token stays sealed in the database.

    `sends_stopped_at` is a person's stop, a pause what Meta's answers led to; one with a reason and
    no time has no end of its own.
    """

    id: UUID
    waba_id: str
    phone_number_id: str
    phone_number: str
    display_name: str
    status: str
    is_active: bool
    sends_stopped_at: datetime | None
    sends_paused_until: datetime | None
    sends_paused_reason: str | None
    has_access_token: bool
    token_expires_at: datetime | None
    auto_mark_read: bool
    acknowledging_reaction: str | None
    confirm_consents: bool
    resend_once: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Key:
    """An API key without the key: only its sha256 is stored, and its first characters."""

    id: UUID
    name: str
    key_prefix: str
    scopes: list[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime


def _find(connection: Connection, row: type[R], statement: str, **parameters: object) -> list[R]:
    with connection.cursor(row_factory=class_row(row)) as cursor:
        return cursor.execute(_SQL[statement], parameters).fetchall()


@contextmanager
def as_door(connection: Connection) -> Iterator[None]:
    """Act as role door until the block ends: FORCE shows the owner no other tenant.

    Raises psycopg.errors.InsufficientPrivilege where the connection is not the owner's.
    """
    connection.execute("set local role door")
    yield
    # Not in a finally: after an error the transaction is rolled back, and the role with it.
    connection.execute("set local role none")


def find_tenants(connection: Connection, wanted: str | None = None) -> list[Tenant]:
    """Return all tenants, or the one whose slug or id is `wanted`; inside a transaction."""
    with as_door(connection):
        return _find(connection, Tenant, "find_tenants", wanted=wanted)


def insert_tenant(connection: Connection, *, tenant_id: UUID, slug: str, name: str) -> bool:
    """Insert a tenant whose id the transaction sees already; False where the slug is taken."""
    parameters = {"id": tenant_id, "slug": slug, "name": name}
    return connection.execute(_SQL["insert_tenant"], parameters).rowcount == 1


def set_tenant_active(connection: Connection, tenant_id: UUID, *, is_active: bool) -> None:
    """Disable or enable a tenant."""
    connection.execute(_SQL["set_tenant_active"], {"tenant_id": tenant_id, "is_active": is_active})


def update_tenant(
    connection: Connection,
    *,
    tenant_id: UUID,
    name: str | None,
    marketing_cap: int | None,
    marketing_cap_hours: int | None,
    email_from: str | None,
    email_from_name: str | None,
    email_reply_to: str | None,
) -> None:
    """Change what is not None; a cap of 0 and an empty text take it away."""
    connection.execute(
        _SQL["update_tenant"],
        {
            "tenant_id": tenant_id,
            "name": name,
            "marketing_cap": marketing_cap,
            "marketing_cap_hours": marketing_cap_hours,
            "email_from": email_from,
            "email_from_name": email_from_name,
            "email_reply_to": email_reply_to,
        },
    )


def set_tenant_stopped(
    connection: Connection, tenant_id: UUID, *, stopped: bool, now: datetime | None
) -> None:
    """Stop or resume everything that a tenant sends."""
    connection.execute(
        _SQL["set_tenant_stopped"], {"tenant_id": tenant_id, "stopped": stopped, "now": now}
    )


def find_users(connection: Connection, tenant_id: UUID, wanted: str | None = None) -> list[User]:
    """Return a tenant's users, or the one whose e-mail or id is `wanted`."""
    return _find(connection, User, "find_users", tenant_id=tenant_id, wanted=wanted)


def insert_user(
    connection: Connection, *, tenant_id: UUID, email: str, full_name: str, role: str
) -> bool:
    """Insert a user; False where the tenant has the e-mail already."""
    parameters = {"tenant_id": tenant_id, "email": email, "full_name": full_name, "role": role}
    return connection.execute(_SQL["insert_user"], parameters).rowcount == 1


def find_apps(connection: Connection, tenant_id: UUID, wanted: str | None = None) -> list[App]:
    """Return a tenant's own Meta apps, or the one with the app id `wanted`."""
    return _find(connection, App, "find_apps", tenant_id=tenant_id, wanted=wanted)


def insert_app(
    connection: Connection,
    *,
    tenant_id: UUID,
    app_id: str,
    name: str,
    app_secret_sealed: bytes,
    verify_token_sealed: bytes,
) -> bool:
    """Insert a Meta app; False where the app id is taken, by whichever tenant."""
    parameters = {
        "tenant_id": tenant_id,
        "app_id": app_id,
        "name": name,
        "app_secret_sealed": app_secret_sealed,
        "verify_token_sealed": verify_token_sealed,
    }
    return connection.execute(_SQL["insert_app"], parameters).rowcount == 1


def update_app(
    connection: Connection,
    *,
    tenant_id: UUID,
    app_id: str,
    name: str | None,
    app_secret_sealed: bytes | None,
    verify_token_sealed: bytes | None,
) -> None:
    """Change what is not None; a new secret keeps the old one as the previous."""
    parameters = {
        "tenant_id": tenant_id,
        "app_id": app_id,
        "name": name,
        "app_secret_sealed": app_secret_sealed,
        "verify_token_sealed": verify_token_sealed,
    }
    connection.execute(_SQL["update_app"], parameters)


def find_business_accounts(
    connection: Connection, tenant_id: UUID, wanted: str | None = None
) -> list[BusinessAccount]:
    """Return a tenant's WABAs, or the one with the id `wanted`."""
    return _find(
        connection, BusinessAccount, "find_business_accounts", tenant_id=tenant_id, wanted=wanted
    )


def insert_business_account(
    connection: Connection,
    *,
    tenant_id: UUID,
    waba_id: str,
    name: str | None,
    portfolio_id: str | None,
    app_id: str | None,
) -> bool:
    """Insert a WABA; False where its id is taken, by whichever tenant."""
    parameters = {
        "tenant_id": tenant_id,
        "waba_id": waba_id,
        "name": name,
        "portfolio_id": portfolio_id,
        "app_id": app_id,
    }
    return connection.execute(_SQL["insert_business_account"], parameters).rowcount == 1


def resume_business_account(
    connection: Connection, *, tenant_id: UUID, waba_id: str, now: datetime | None
) -> None:
    """End what Meta's answers paused for a WABA's numbers, and what they said until now."""
    parameters = {"tenant_id": tenant_id, "waba_id": waba_id, "now": now}
    connection.execute(_SQL["resume_business_account"], parameters)


def find_numbers(
    connection: Connection, tenant_id: UUID, wanted: str | None = None
) -> list[Number]:
    """Return a tenant's numbers, or the one whose phone number id, number or id is `wanted`."""
    return _find(connection, Number, "find_numbers", tenant_id=tenant_id, wanted=wanted)


def insert_number(
    connection: Connection,
    *,
    tenant_id: UUID,
    waba_id: str,
    phone_number_id: str,
    phone_number: str,
    display_name: str,
    access_token_sealed: bytes | None,
    token_expires_at: datetime | None,
    auto_mark_read: bool,
    acknowledging_reaction: str | None,
    confirm_consents: bool,
    resend_once: bool,
) -> bool:
    """Insert a number; False where its phone number id, or in this tenant its number, is taken."""
    parameters = {
        "tenant_id": tenant_id,
        "waba_id": waba_id,
        "phone_number_id": phone_number_id,
        "phone_number": phone_number,
        "display_name": display_name,
        "access_token_sealed": access_token_sealed,
        "token_expires_at": token_expires_at,
        "auto_mark_read": auto_mark_read,
        "acknowledging_reaction": acknowledging_reaction,
        "confirm_consents": confirm_consents,
        "resend_once": resend_once,
    }
    return connection.execute(_SQL["insert_number"], parameters).rowcount == 1


def update_number(
    connection: Connection,
    *,
    tenant_id: UUID,
    number_id: UUID,
    display_name: str | None,
    access_token_sealed: bytes | None,
    token_expires_at: datetime | None,
    auto_mark_read: bool | None,
    acknowledging_reaction: str | None,
    confirm_consents: bool | None,
    resend_once: bool | None,
) -> None:
    """Change what is not None; an empty reaction takes it away."""
    parameters = {
        "tenant_id": tenant_id,
        "id": number_id,
        "display_name": display_name,
        "access_token_sealed": access_token_sealed,
        "token_expires_at": token_expires_at,
        "auto_mark_read": auto_mark_read,
        "acknowledging_reaction": acknowledging_reaction,
        "confirm_consents": confirm_consents,
        "resend_once": resend_once,
    }
    connection.execute(_SQL["update_number"], parameters)


def set_number_stopped(
    connection: Connection,
    *,
    tenant_id: UUID,
    number_id: UUID,
    stopped: bool,
    now: datetime | None,
) -> None:
    """Stop everything that a number sends, or resume it, whatever Meta's answers had paused."""
    parameters = {"tenant_id": tenant_id, "id": number_id, "stopped": stopped, "now": now}
    connection.execute(_SQL["set_number_stopped"], parameters)


def set_active(
    connection: Connection,
    what: Switchable,
    *,
    tenant_id: UUID,
    wanted: UUID | str,
    is_active: bool,
) -> None:
    """Disable or enable what `wanted` (its id, for apps and WABAs Meta's) names in a tenant."""
    parameters = {"tenant_id": tenant_id, "id": wanted, "is_active": is_active}
    connection.execute(_SWITCH[what], parameters)


def find_keys(connection: Connection, tenant_id: UUID, wanted: str | None = None) -> list[Key]:
    """Return a tenant's API keys, or those whose id or first characters are `wanted`."""
    return _find(connection, Key, "find_keys", tenant_id=tenant_id, wanted=wanted)


def insert_key(
    connection: Connection,
    *,
    tenant_id: UUID,
    name: str,
    key_hash: bytes,
    key_prefix: str,
    scopes: list[str],
    expires_at: datetime | None,
) -> UUID:
    """Insert an API key by its sha256 and return its id."""
    parameters = {
        "tenant_id": tenant_id,
        "name": name,
        "key_hash": key_hash,
        "key_prefix": key_prefix,
        "scopes": scopes,
        "expires_at": expires_at,
    }
    row = connection.execute(_SQL["insert_key"], parameters).fetchone()
    assert row is not None
    key_id: UUID = row[0]
    return key_id


def revoke_key(
    connection: Connection, *, tenant_id: UUID, key_id: UUID, now: datetime | None
) -> None:
    """Revoke an API key at once and for good; the first revocation's time stays."""
    connection.execute(_SQL["revoke_key"], {"tenant_id": tenant_id, "id": key_id, "now": now})


def find_owner(
    connection: Connection,
    *,
    phone_number_id: str | None = None,
    waba_id: str | None = None,
    app_id: str | None = None,
) -> UUID | None:
    """Return the tenant that has registered one of Meta's ids; None for a disabled app's."""
    parameters = {"phone_number_id": phone_number_id, "waba_id": waba_id, "app_id": app_id}
    with as_door(connection):
        row = connection.execute(_SQL["find_owner"], parameters).fetchone()
    assert row is not None
    owner: UUID | None = row[0]
    return owner
