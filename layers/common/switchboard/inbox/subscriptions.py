"""Subscriptions: the endpoints of a tenant's own systems that are told of events.

A secret leaves here once, with the answer that made it; the database holds it sealed. What is asked
of others (an address's name, the seal) is asked before a transaction is open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

from pydantic import Field, model_validator

from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Conflict, NotFound
from switchboard.kernel.page import Page, Paged, page_of, read_moment
from switchboard.outside_endpoint import Url, check_address, make_secret
from switchboard.store import subscriptions as store
from switchboard.store.subscriptions import PURPOSE, Delivery, Subscription
from switchboard.tools import Tools
from switchboard.transact import transact

#: Subscriptions of one tenant: each event costs a row and a request for every one of them.
MOST = 20

Kind = Literal["message", "status", "echo", "call"]
State = Literal["pending", "delivered", "dead"]


_URL = "https address of the endpoint, on the public internet"
_KINDS = "what it wants to know of: message, status, echo, call"


class NewSubscription(Arguments):
    """An endpoint to tell of new events."""

    url: Url = Field(description=_URL)
    kinds: list[Kind] = Field(min_length=1, max_length=20, description=_KINDS)


class SubscriptionChange(Arguments):
    """What to change about a subscription."""

    url: Url | None = Field(None, description=_URL)
    kinds: list[Kind] | None = Field(None, min_length=1, max_length=20, description=_KINDS)

    @model_validator(mode="after")
    def _something(self) -> SubscriptionChange:
        if self.url is None and self.kinds is None:
            raise ValueError("url or kinds must be given")
        return self


class DeliveryFilter(Paged):
    """Which deliveries of a subscription."""

    state: State | None = Field(None, description="pending, delivered or dead; left out: all")


@dataclass(frozen=True, slots=True)
class SubscriptionSecret:
    """A new secret, shown this once, and the subscription that it signs for."""

    secret: str
    subscription: Subscription


@dataclass(frozen=True, slots=True)
class PutTest:
    """The delivery of a test event: a worker makes it in a moment."""

    delivery_id: UUID


def list_subscriptions(tools: Tools, tenant_id: UUID) -> Page[Subscription]:
    """Return all subscriptions, the oldest first; there are few."""
    found = transact(tools, tenant_id, lambda connection: store.find(connection, tenant_id))
    return Page(found, None)


def show_subscription(tools: Tools, tenant_id: UUID, subscription_id: UUID) -> Subscription:
    """Return a subscription; raises NotFound."""
    return transact(
        tools, tenant_id, lambda connection: _show(connection, tenant_id, subscription_id)
    )


def create_subscription(tools: Tools, tenant_id: UUID, new: NewSubscription) -> SubscriptionSecret:
    """Tell an endpoint of new events from now on.

    Raises Unprocessable for an address that no request would be made to, Conflict where the tenant
    has as many as it may.
    """
    check_address(tools, new.url)
    secret, sealed = make_secret(tools, tenant_id, PURPOSE)
    subscription_id = tools.clock.new_id()  # named once: the work may run twice

    def write(connection: Connection) -> Subscription:
        store.insert(
            connection,
            tenant_id=tenant_id,
            subscription_id=subscription_id,
            url=new.url,
            kinds=sorted(set(new.kinds)),
            secret_sealed=sealed,
            most=MOST,
            now=tools.clock.now,
        )
        found = store.find(connection, tenant_id, subscription_id)
        if not found:
            raise Conflict(f"there are {MOST} subscriptions, and no more are possible: delete one")
        return found[0]

    return SubscriptionSecret(secret, transact(tools, tenant_id, write))


def change_subscription(
    tools: Tools, tenant_id: UUID, subscription_id: UUID, change: SubscriptionChange
) -> Subscription:
    """Change address and kinds; what waits goes to the new address, whatever its kind.

    Raises NotFound, Unprocessable for an address that no request would be made to.
    """
    if change.url is not None:
        check_address(tools, change.url)
    kinds = None if change.kinds is None else sorted(set(change.kinds))

    def write(connection: Connection) -> Subscription:
        store.change(connection, tenant_id, subscription_id, url=change.url, kinds=kinds)
        return _show(connection, tenant_id, subscription_id)

    return transact(tools, tenant_id, write)


def switch_subscription(
    tools: Tools, tenant_id: UUID, subscription_id: UUID, *, is_active: bool
) -> Subscription:
    """Switch a subscription off or on; off, what waits ends undelivered. Raises NotFound."""

    def write(connection: Connection) -> Subscription:
        store.set_active(connection, tenant_id, subscription_id, is_active=is_active)
        return _show(connection, tenant_id, subscription_id)

    return transact(tools, tenant_id, write)


def delete_subscription(tools: Tools, tenant_id: UUID, subscription_id: UUID) -> Subscription:
    """Forget a subscription and return it as it was; what waits ends undelivered.

    Its deliveries are shown to nobody any more and go after 30 days. Raises NotFound.
    """
    before: list[Subscription] = []

    def write(connection: Connection) -> Subscription:
        # Where the link was lost at the commit, the first run has deleted it.
        before[:] = store.find(connection, tenant_id, subscription_id) or before
        if not before:
            raise _unknown()
        store.delete(connection, tenant_id, subscription_id)
        return before[0]

    return transact(tools, tenant_id, write)


def rotate_secret(tools: Tools, tenant_id: UUID, subscription_id: UUID) -> SubscriptionSecret:
    """Make a new secret; for 24 hours it and the present one sign. Raises NotFound."""
    secret, sealed = make_secret(tools, tenant_id, PURPOSE)

    def write(connection: Connection) -> Subscription:
        store.rotate_secret(
            connection, tenant_id, subscription_id, secret_sealed=sealed, now=tools.clock.now
        )
        return _show(connection, tenant_id, subscription_id)

    return SubscriptionSecret(secret, transact(tools, tenant_id, write))


def put_test(tools: Tools, tenant_id: UUID, subscription_id: UUID) -> PutTest:
    """Put in an event that says nothing; its delivery tells what came of it.

    Raises NotFound, Conflict for a subscription that is switched off.
    """

    def write(connection: Connection) -> UUID:
        _show(connection, tenant_id, subscription_id)
        put = store.put_test(connection, tenant_id, subscription_id, now=tools.clock.now)
        if put is None:
            raise Conflict("this subscription is disabled")
        return put

    put = transact(tools, tenant_id, write)
    tools.nudge()
    return PutTest(put)


def list_deliveries(
    tools: Tools, tenant_id: UUID, subscription_id: UUID, wanted: DeliveryFilter
) -> Page[Delivery]:
    """Return deliveries with the result of each attempt, the newest first; raises NotFound."""
    # A cursor of one subscription's is none of another's.
    name = f"deliveries {subscription_id}"

    def read(connection: Connection) -> Page[Delivery]:
        _show(connection, tenant_id, subscription_id)
        rows = store.list_deliveries(
            connection,
            tenant_id,
            subscription_id,
            states=get_args(State) if wanted.state is None else (wanted.state,),
            before=read_moment(name, wanted),
            limit=wanted.limit + 1,
        )
        return page_of(name, wanted, rows, lambda last: (last.created_at, last.id))

    return transact(tools, tenant_id, read)


def _show(connection: Connection, tenant_id: UUID, subscription_id: UUID) -> Subscription:
    found = store.find(connection, tenant_id, subscription_id)
    if not found:
        raise _unknown()
    return found[0]


def _unknown() -> NotFound:
    return NotFound("this subscription is not known")
