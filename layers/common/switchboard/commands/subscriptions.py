"""subscriptions: endpoints that are told of events."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from switchboard.commands._resource import Command, Resource
from switchboard.inbox import subscriptions
from switchboard.inbox.subscriptions import (
    DeliveryFilter,
    NewSubscription,
    PutTest,
    SubscriptionChange,
    SubscriptionSecret,
)
from switchboard.kernel.arguments import Arguments, Nothing
from switchboard.kernel.page import Page
from switchboard.store.subscriptions import Delivery, Subscription
from switchboard.tools import Tools


class TheSubscription(Arguments):
    """One subscription."""

    subscription: UUID = Field(description="the subscription's id")


class ChangedSubscription(SubscriptionChange, TheSubscription):
    """What to change about a subscription."""


class ItsDeliveries(DeliveryFilter, TheSubscription):
    """The deliveries of a subscription."""


def list_subscriptions(tools: Tools, tenant_id: UUID, _: Nothing) -> Page[Subscription]:
    """List subscriptions, with what waits and what died."""
    return subscriptions.list_subscriptions(tools, tenant_id)


def show_subscription(tools: Tools, tenant_id: UUID, which: TheSubscription) -> Subscription:
    """Show a subscription."""
    return subscriptions.show_subscription(tools, tenant_id, which.subscription)


def create_subscription(tools: Tools, tenant_id: UUID, new: NewSubscription) -> SubscriptionSecret:
    """Tell an endpoint of new events; its secret is shown this once."""
    return subscriptions.create_subscription(tools, tenant_id, new)


def update_subscription(tools: Tools, tenant_id: UUID, given: ChangedSubscription) -> Subscription:
    """Change address and kinds; what waits goes to the new address."""
    change = SubscriptionChange(url=given.url, kinds=given.kinds)
    return subscriptions.change_subscription(tools, tenant_id, given.subscription, change)


def put_test(tools: Tools, tenant_id: UUID, which: TheSubscription) -> PutTest:
    """Send an event that says nothing; see the deliveries for what came of it."""
    return subscriptions.put_test(tools, tenant_id, which.subscription)


def list_deliveries(tools: Tools, tenant_id: UUID, which: ItsDeliveries) -> Page[Delivery]:
    """List deliveries with the result of each attempt, the newest first."""
    wanted = DeliveryFilter(state=which.state, limit=which.limit, cursor=which.cursor)
    return subscriptions.list_deliveries(tools, tenant_id, which.subscription, wanted)


def rotate_secret(tools: Tools, tenant_id: UUID, which: TheSubscription) -> SubscriptionSecret:
    """Make a new secret, shown this once; for 24 hours it and the present one sign."""
    return subscriptions.rotate_secret(tools, tenant_id, which.subscription)


def disable_subscription(tools: Tools, tenant_id: UUID, which: TheSubscription) -> Subscription:
    """Tell an endpoint nothing from now on; what waits for it ends undelivered."""
    return subscriptions.switch_subscription(tools, tenant_id, which.subscription, is_active=False)


def enable_subscription(tools: Tools, tenant_id: UUID, which: TheSubscription) -> Subscription:
    """Tell an endpoint of new events again."""
    return subscriptions.switch_subscription(tools, tenant_id, which.subscription, is_active=True)


def delete_subscription(tools: Tools, tenant_id: UUID, which: TheSubscription) -> Subscription:
    """Forget a subscription, and show it as it was; what waits for it ends undelivered."""
    return subscriptions.delete_subscription(tools, tenant_id, which.subscription)


_ID = "--subscription 6f1d7c52-7f7e-4f27-9d11-3a4f6d1c9b10"
KIND = Resource(
    "subscriptions",
    "endpoints that are told of events",
    (
        Command(
            "list",
            Nothing,
            list_subscriptions,
            columns=("id", "url", "kinds", "is_active", "disabled_reason", "pending", "dead"),
        ),
        Command("show", TheSubscription, show_subscription, _ID),
        Command(
            "create",
            NewSubscription,
            create_subscription,
            "--url https://acme.example/whatsapp --kinds message status",
        ),
        Command("update", ChangedSubscription, update_subscription, f"{_ID} --kinds message call"),
        Command("test", TheSubscription, put_test, _ID),
        Command(
            "deliveries",
            ItsDeliveries,
            list_deliveries,
            f"{_ID} --state dead",
            ("created_at", "id", "kind", "state", "status", "next_attempt_at", "finished_at"),
        ),
        Command("rotate", TheSubscription, rotate_secret, _ID),
        Command("disable", TheSubscription, disable_subscription, _ID),
        Command("enable", TheSubscription, enable_subscription, _ID),
        Command("delete", TheSubscription, delete_subscription, _ID),
    ),
)
