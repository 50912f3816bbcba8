"""What became of a bill (India, Brazil, Singapore)."""

from __future__ import annotations

from typing import Any, Literal

from switchboard.whatsapp.outbound._base import Part, Word
from switchboard.whatsapp.outbound.interactive._parts import (
    Body,
    Footer,
    Header,
    InteractiveMessage,
)
from switchboard.whatsapp.outbound.interactive.order_details import Open


class NewStatus(Open):
    """`processing`, `partially_shipped`, `shipped`, `completed`, `canceled`, or a later word."""

    status: Word
    description: str | None = None


class OrderStatusParameters(Open):
    """The bill's own reference; its limits were the bill's affair."""

    reference_id: Word
    order: NewStatus | None = None
    payment: dict[str, Any] | None = None


class OrderStatusAction(Part):
    """Meta's name of the action."""

    name: Literal["review_order"] = "review_order"
    parameters: OrderStatusParameters


class OrderStatus(Part):
    """Cloud API Payments, Orders, order_status."""

    type: Literal["order_status"] = "order_status"
    header: Header | None = None
    body: Body
    footer: Footer | None = None
    action: OrderStatusAction


class OrderStatusMessage(InteractiveMessage):
    """News of an order."""

    interactive: OrderStatus


MODEL = OrderStatusMessage
