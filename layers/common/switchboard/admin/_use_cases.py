"""The operator's use cases, each one transaction as the owner of the tables.

Row-level security is forced on the owner too, so each names the tenant it works for. All return
what then stands in the database; none returns a secret but `create_key`, once.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg
from pydantic import SecretStr

from switchboard.admin._arguments import (
    ChangedApp,
    ChangedNumber,
    ChangedTenant,
    NewApp,
    NewBusinessAccount,
    NewKey,
    NewNumber,
    NewTenant,
    NewUser,
    Nothing,
    TheApp,
    TheBusinessAccount,
    TheKey,
    TheNumber,
    TheTenant,
    TheUser,
)
from switchboard.kernel.db import Connection, set_tenant
from switchboard.kernel.errors import ConfigurationError, Conflict, NotFound, Unprocessable
from switchboard.store import tenants as store
from switchboard.store.tenants import App, BusinessAccount, Key, Number, Tenant, User
from switchboard.tools import Tools

R = TypeVar("R", Tenant, User, App, BusinessAccount, Number, Key)

#: The tenant of what belongs to nobody yet; sql/0002 inserts it.
SYSTEM = UUID(int=0)
#: Before the 43 random characters, so that a leaked key is recognised for what it is.
KEY_PREFIX = "sb_"


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A key's row and, this once, the key itself: only its sha256 is stored."""

    key: str
    row: Key


@dataclass(frozen=True, slots=True)
class Holdings:
    """A tenant with everything registered for it."""

    tenant: Tenant
    users: list[User]
    apps: list[App]
    wabas: list[BusinessAccount]
    numbers: list[Number]
    keys: list[Key]


@contextmanager
def owners_transaction(tools: Tools) -> Iterator[Connection]:
    """Open a transaction, and say in one sentence what is wrong with the database."""
    try:
        with tools.db.transaction() as connection:
            yield connection
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            "this needs the role that owns the tables: set DATABASE_OWNER_URL or "
            "DATABASE_OWNER_SECRET_ARN"
        ) from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedObject) as error:
        raise ConfigurationError(
            "this database does not hold Switchboard's tables: apply the migrations first"
        ) from error


@contextmanager
def _within(tools: Tools, tenant: str) -> Iterator[tuple[Connection, Tenant]]:
    """Open a transaction that sees one tenant; raises NotFound for an unknown one."""
    with owners_transaction(tools) as connection:
        found = _only(store.find_tenants(connection, tenant), f"tenant {tenant!r}")
        if found.id == SYSTEM:
            raise Unprocessable(
                "the system tenant keeps what belongs to nobody yet; nothing is registered for it",
                field="tenant",
            )
        set_tenant(connection, found.id)
        yield connection, found


def _only(rows: Sequence[R], what: str) -> R:
    """Return the one row; raises NotFound for none, Conflict where `what` fits several."""
    if not rows:
        raise NotFound(f"there is no {what}")
    if len(rows) > 1:
        raise Conflict(f"{what} fits {len(rows)} rows: name it by its id")
    return rows[0]


def _taken(what: str, existing: Sequence[R], elsewhere: Tenant | None = None) -> Conflict:
    """Say what stands in the way of creating `what`."""
    if existing:
        return Conflict(f"{what} exists already", extra={"existing": asdict(existing[0])})
    if elsewhere is not None:
        return Conflict(f"{what} is registered already for the tenant {elsewhere.slug}")
    return Conflict(f"{what} is registered already for another tenant")


def _elsewhere(connection: Connection, **ids: str) -> Tenant | None:
    owner = store.find_owner(connection, **ids)
    rows = store.find_tenants(connection, str(owner)) if owner is not None else []
    return rows[0] if rows else None


def _sealed(tools: Tools, value: SecretStr, tenant: Tenant, purpose: str) -> bytes:
    return tools.sealer.seal(value.get_secret_value(), tenant_id=tenant.id, purpose=purpose)


def _sealed_or_none(
    tools: Tools, value: SecretStr | None, tenant: Tenant, purpose: str
) -> bytes | None:
    return None if value is None else _sealed(tools, value, tenant, purpose)


# ----------------------------------------------------------------------------------------- tenants


def create_tenant(tools: Tools, new: NewTenant) -> Tenant:
    """Create a tenant; raises Conflict where its slug or id is taken."""
    tenant_id = new.id or uuid4()
    with owners_transaction(tools) as connection:
        # The policy compares the row's own id, so the transaction becomes the new tenant's first.
        set_tenant(connection, tenant_id)
        if store.find_tenants(connection, str(tenant_id)):
            raise Conflict(f"tenant {tenant_id} exists already")
        if not store.insert_tenant(connection, tenant_id=tenant_id, slug=new.slug, name=new.name):
            existing = store.find_tenants(connection, new.slug)
            raise _taken(f"tenant {new.slug}", existing)
        return _only(store.find_tenants(connection, str(tenant_id)), f"tenant {new.slug}")


def list_tenants(tools: Tools, _: Nothing | None = None) -> list[Tenant]:
    """Return all tenants, the system tenant too."""
    with owners_transaction(tools) as connection:
        return store.find_tenants(connection)


def show_tenant(tools: Tools, which: TheTenant) -> Holdings:
    """Return a tenant with its users, Meta apps, WABAs, numbers and keys."""
    with _within(tools, which.tenant) as (connection, tenant):
        return Holdings(
            tenant,
            store.find_users(connection, tenant.id),
            store.find_apps(connection, tenant.id),
            store.find_business_accounts(connection, tenant.id),
            store.find_numbers(connection, tenant.id),
            store.find_keys(connection, tenant.id),
        )


def update_tenant(tools: Tools, changed: ChangedTenant) -> Tenant:
    """Change a tenant's name, how much marketing one may get, or whose address its mails have."""
    with _within(tools, changed.tenant) as (connection, tenant):
        store.update_tenant(
            connection,
            tenant_id=tenant.id,
            name=changed.name,
            marketing_cap=changed.marketing_cap,
            marketing_cap_hours=changed.marketing_cap_hours,
            email_from=changed.email_from,
            email_from_name=changed.email_from_name,
            email_reply_to=changed.email_reply_to,
        )
        return store.find_tenants(connection, str(tenant.id))[0]


def _switch_tenant(tools: Tools, which: TheTenant, *, is_active: bool) -> Tenant:
    with _within(tools, which.tenant) as (connection, tenant):
        store.set_tenant_active(connection, tenant.id, is_active=is_active)
        return store.find_tenants(connection, str(tenant.id))[0]


def disable_tenant(tools: Tools, which: TheTenant) -> Tenant:
    """Shut a tenant out: its keys stop working and nothing of it is sent."""
    return _switch_tenant(tools, which, is_active=False)


def enable_tenant(tools: Tools, which: TheTenant) -> Tenant:
    """Let a tenant in again."""
    return _switch_tenant(tools, which, is_active=True)


def _stop_tenant(tools: Tools, which: TheTenant, *, stopped: bool) -> Tenant:
    with _within(tools, which.tenant) as (connection, tenant):
        store.set_tenant_stopped(connection, tenant.id, stopped=stopped, now=tools.clock.now)
        return store.find_tenants(connection, str(tenant.id))[0]


def stop_tenant(tools: Tools, which: TheTenant) -> Tenant:
    """Stop all sends of a tenant, in one update; what is due waits."""
    return _stop_tenant(tools, which, stopped=True)


def resume_tenant(tools: Tools, which: TheTenant) -> Tenant:
    """Resume the sends of a tenant, in one update."""
    return _stop_tenant(tools, which, stopped=False)


# ------------------------------------------------------------------------------------------- users


def create_user(tools: Tools, new: NewUser) -> User:
    """Create a member of staff; raises Conflict where the tenant has the e-mail already."""
    with _within(tools, new.tenant) as (connection, tenant):
        inserted = store.insert_user(
            connection,
            tenant_id=tenant.id,
            email=new.email,
            full_name=new.full_name,
            role=new.role,
        )
        rows = store.find_users(connection, tenant.id, new.email)
        if not inserted:
            raise _taken(f"user {new.email}", rows)
        return _only(rows, f"user {new.email}")


def list_users(tools: Tools, which: TheTenant) -> list[User]:
    """Return a tenant's users."""
    return _list(tools, which, store.find_users)


def _switch_user(tools: Tools, which: TheUser, *, is_active: bool) -> User:
    with _within(tools, which.tenant) as (connection, tenant):
        row = _only(store.find_users(connection, tenant.id, which.user), f"user {which.user!r}")
        store.set_active(
            connection, "user", tenant_id=tenant.id, wanted=row.id, is_active=is_active
        )
        return store.find_users(connection, tenant.id, str(row.id))[0]


def disable_user(tools: Tools, which: TheUser) -> User:
    """Shut a user out; what they did keeps their name."""
    return _switch_user(tools, which, is_active=False)


def enable_user(tools: Tools, which: TheUser) -> User:
    """Let a user in again."""
    return _switch_user(tools, which, is_active=True)


# --------------------------------------------------------------------------------------- Meta apps


def create_app(tools: Tools, new: NewApp) -> App:
    """Register a tenant's own Meta app, secrets sealed; raises Conflict where its id is taken."""
    with _within(tools, new.tenant) as (connection, tenant):
        inserted = store.insert_app(
            connection,
            tenant_id=tenant.id,
            app_id=new.app_id,
            name=new.name,
            app_secret_sealed=_sealed(tools, new.app_secret, tenant, "app_secret"),
            verify_token_sealed=_sealed(tools, new.verify_token, tenant, "verify_token"),
        )
        rows = store.find_apps(connection, tenant.id, new.app_id)
        if not inserted:
            elsewhere = _elsewhere(connection, app_id=new.app_id)
            raise _taken(f"Meta app {new.app_id}", rows, elsewhere)
        return _only(rows, f"Meta app {new.app_id}")


def list_apps(tools: Tools, which: TheTenant) -> list[App]:
    """Return a tenant's own Meta apps."""
    return _list(tools, which, store.find_apps)


def update_app(tools: Tools, changed: ChangedApp) -> App:
    """Change a Meta app; a new secret keeps the present one valid as the previous one."""
    with _within(tools, changed.tenant) as (connection, tenant):
        what = f"Meta app {changed.app!r}"
        row = _only(store.find_apps(connection, tenant.id, changed.app), what)
        store.update_app(
            connection,
            tenant_id=tenant.id,
            app_id=row.app_id,
            name=changed.name,
            app_secret_sealed=_sealed_or_none(tools, changed.app_secret, tenant, "app_secret"),
            verify_token_sealed=_sealed_or_none(
                tools, changed.verify_token, tenant, "verify_token"
            ),
        )
        return store.find_apps(connection, tenant.id, row.app_id)[0]


def _switch_app(tools: Tools, which: TheApp, *, is_active: bool) -> App:
    with _within(tools, which.tenant) as (connection, tenant):
        row = _only(store.find_apps(connection, tenant.id, which.app), f"Meta app {which.app!r}")
        store.set_active(
            connection, "app", tenant_id=tenant.id, wanted=row.app_id, is_active=is_active
        )
        return store.find_apps(connection, tenant.id, row.app_id)[0]


def disable_app(tools: Tools, which: TheApp) -> App:
    """Refuse a Meta app's webhooks from now on."""
    return _switch_app(tools, which, is_active=False)


def enable_app(tools: Tools, which: TheApp) -> App:
    """Take a Meta app's webhooks again."""
    return _switch_app(tools, which, is_active=True)


# ------------------------------------------------------------------------------- business accounts


def create_waba(tools: Tools, new: NewBusinessAccount) -> BusinessAccount:
    """Register a WABA; raises Conflict where its id is taken, NotFound for an unknown app."""
    with _within(tools, new.tenant) as (connection, tenant):
        if new.app_id is not None:
            _only(store.find_apps(connection, tenant.id, new.app_id), f"Meta app {new.app_id!r}")
        inserted = store.insert_business_account(
            connection,
            tenant_id=tenant.id,
            waba_id=new.waba_id,
            name=new.name,
            portfolio_id=new.portfolio_id,
            app_id=new.app_id,
        )
        rows = store.find_business_accounts(connection, tenant.id, new.waba_id)
        if not inserted:
            elsewhere = _elsewhere(connection, waba_id=new.waba_id)
            raise _taken(f"WABA {new.waba_id}", rows, elsewhere)
        return _only(rows, f"WABA {new.waba_id}")


def list_wabas(tools: Tools, which: TheTenant) -> list[BusinessAccount]:
    """Return a tenant's WABAs."""
    return _list(tools, which, store.find_business_accounts)


def _switch_waba(tools: Tools, which: TheBusinessAccount, *, is_active: bool) -> BusinessAccount:
    with _within(tools, which.tenant) as (connection, tenant):
        what = f"WABA {which.waba!r}"
        row = _only(store.find_business_accounts(connection, tenant.id, which.waba), what)
        store.set_active(
            connection,
            "business_account",
            tenant_id=tenant.id,
            wanted=row.waba_id,
            is_active=is_active,
        )
        return store.find_business_accounts(connection, tenant.id, row.waba_id)[0]


def disable_waba(tools: Tools, which: TheBusinessAccount) -> BusinessAccount:
    """Stop using a WABA: nothing is sent through its numbers."""
    return _switch_waba(tools, which, is_active=False)


def enable_waba(tools: Tools, which: TheBusinessAccount) -> BusinessAccount:
    """Use a WABA again."""
    return _switch_waba(tools, which, is_active=True)


def resume_waba(tools: Tools, which: TheBusinessAccount) -> BusinessAccount:
    """Let a WABA go on that Meta's answers have paused, such as after a payment."""
    with _within(tools, which.tenant) as (connection, tenant):
        what = f"WABA {which.waba!r}"
        row = _only(store.find_business_accounts(connection, tenant.id, which.waba), what)
        store.resume_business_account(
            connection, tenant_id=tenant.id, waba_id=row.waba_id, now=tools.clock.now
        )
        return store.find_business_accounts(connection, tenant.id, row.waba_id)[0]


# ----------------------------------------------------------------------------------------- numbers


def create_number(tools: Tools, new: NewNumber) -> Number:
    """Register a business number, its token sealed.

    Raises NotFound for an unknown WABA, Conflict where the phone number id or number is taken.
    """
    with _within(tools, new.tenant) as (connection, tenant):
        _only(
            store.find_business_accounts(connection, tenant.id, new.waba_id),
            f"WABA {new.waba_id!r} of {tenant.slug}; register it first",
        )
        inserted = store.insert_number(
            connection,
            tenant_id=tenant.id,
            waba_id=new.waba_id,
            phone_number_id=new.phone_number_id,
            phone_number=new.phone_number,
            display_name=new.display_name,
            access_token_sealed=_sealed_or_none(tools, new.access_token, tenant, "access_token"),
            token_expires_at=new.token_expires_at,
            auto_mark_read=new.auto_mark_read,
            acknowledging_reaction=new.acknowledging_reaction,
            confirm_consents=new.confirm_consents,
            resend_once=new.resend_once,
        )
        rows = store.find_numbers(connection, tenant.id, new.phone_number_id)
        if not inserted:
            existing = rows or store.find_numbers(connection, tenant.id, new.phone_number)
            elsewhere = _elsewhere(connection, phone_number_id=new.phone_number_id)
            taken = new.phone_number_id if rows or not existing else new.phone_number
            raise _taken(f"number {taken}", existing, elsewhere)
        return _only(rows, f"number {new.phone_number_id}")


def list_numbers(tools: Tools, which: TheTenant) -> list[Number]:
    """Return a tenant's numbers."""
    return _list(tools, which, store.find_numbers)


@contextmanager
def _number(tools: Tools, which: TheNumber) -> Iterator[tuple[Connection, Tenant, Number]]:
    with _within(tools, which.tenant) as (connection, tenant):
        rows = store.find_numbers(connection, tenant.id, which.number)
        yield connection, tenant, _only(rows, f"number {which.number!r}")


def update_number(tools: Tools, changed: ChangedNumber) -> Number:
    """Change a number: its token, sealed, or how it answers.

    A new token ends the pause that Meta's refusals of the old one brought.
    """
    with _number(tools, changed) as (connection, tenant, number):
        store.update_number(
            connection,
            tenant_id=tenant.id,
            number_id=number.id,
            display_name=changed.display_name,
            access_token_sealed=_sealed_or_none(
                tools, changed.access_token, tenant, "access_token"
            ),
            token_expires_at=changed.token_expires_at,
            auto_mark_read=changed.auto_mark_read,
            acknowledging_reaction=changed.acknowledging_reaction,
            confirm_consents=changed.confirm_consents,
            resend_once=changed.resend_once,
        )
        return store.find_numbers(connection, tenant.id, str(number.id))[0]


def _switch_number(tools: Tools, which: TheNumber, *, is_active: bool) -> Number:
    with _number(tools, which) as (connection, tenant, number):
        store.set_active(
            connection, "number", tenant_id=tenant.id, wanted=number.id, is_active=is_active
        )
        return store.find_numbers(connection, tenant.id, str(number.id))[0]


def disable_number(tools: Tools, which: TheNumber) -> Number:
    """Stop using a number; what still comes in for it is kept."""
    return _switch_number(tools, which, is_active=False)


def enable_number(tools: Tools, which: TheNumber) -> Number:
    """Use a number again."""
    return _switch_number(tools, which, is_active=True)


def _stop_number(tools: Tools, which: TheNumber, *, stopped: bool) -> Number:
    with _number(tools, which) as (connection, tenant, number):
        store.set_number_stopped(
            connection,
            tenant_id=tenant.id,
            number_id=number.id,
            stopped=stopped,
            now=tools.clock.now,
        )
        return store.find_numbers(connection, tenant.id, str(number.id))[0]


def stop_number(tools: Tools, which: TheNumber) -> Number:
    """Stop all sends of a number, in one update; what is due waits."""
    return _stop_number(tools, which, stopped=True)


def resume_number(tools: Tools, which: TheNumber) -> Number:
    """Resume the sends of a number, also those that Meta's answers have paused, in one update."""
    return _stop_number(tools, which, stopped=False)


# ---------------------------------------------------------------------------------------- API keys


def create_key(tools: Tools, new: NewKey) -> CreatedKey:
    """Create an API key and return it, this once."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    with _within(tools, new.tenant) as (connection, tenant):
        key_id = store.insert_key(
            connection,
            tenant_id=tenant.id,
            name=new.name,
            key_hash=hashlib.sha256(key.encode()).digest(),
            key_prefix=key[: len(KEY_PREFIX) + 8],
            scopes=sorted(set(new.scopes)),
            expires_at=new.expires_at,
        )
        return CreatedKey(key, store.find_keys(connection, tenant.id, str(key_id))[0])


def list_keys(tools: Tools, which: TheTenant) -> list[Key]:
    """Return a tenant's API keys, revoked ones too, without the keys themselves."""
    return _list(tools, which, store.find_keys)


def revoke_key(tools: Tools, which: TheKey) -> Key:
    """Revoke an API key, at once and for good."""
    with _within(tools, which.tenant) as (connection, tenant):
        row = _only(store.find_keys(connection, tenant.id, which.key), f"key {which.key!r}")
        store.revoke_key(connection, tenant_id=tenant.id, key_id=row.id, now=tools.clock.now)
        return store.find_keys(connection, tenant.id, str(row.id))[0]


def _list(tools: Tools, which: TheTenant, find: Callable[[Connection, UUID], list[R]]) -> list[R]:
    with _within(tools, which.tenant) as (connection, tenant):
        return find(connection, tenant.id)


def as_document(result: Any) -> dict[str, Any]:
    """Return what a use case returned as one JSON object; a list stands under `rows`."""
    if isinstance(result, list):
        return {"rows": [asdict(row) for row in result]}
    return asdict(result)
