"""A bill to be paid in WhatsApp (India, Brazil, Singapore)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from switchboard.whatsapp.outbound._base import Part, Word
from switchboard.whatsapp.outbound._limits import at_most
from switchboard.whatsapp.outbound.interactive._parts import (
    Body,
    Footer,
    Header,
    InteractiveMessage,
)

ReferenceId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=35)]
"""The business's own word for the order: English letters, digits, underscores, dashes, dots."""


class Open(Part):
    """An object that differs between countries: what is not named here passes as it is."""

    model_config = ConfigDict(extra="allow")


class Amount(Open):
    """`value` divided by `offset` is the sum: 1234 of 100 is 12.34."""

    value: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=1)]
    description: Annotated[str, at_most(60)] | None = None


class OrderItem(Open):
    """One line, its name up to 60 characters."""

    name: Annotated[str, Field(min_length=1), at_most(60)]
    amount: Amount
    quantity: Annotated[int, Field(ge=1)]
    retailer_id: Word | None = None
    sale_amount: Amount | None = None


class Expiration(Open):
    """When the bill is void; Meta wants the time as a string of Unix seconds."""

    timestamp: Word
    description: Annotated[str, at_most(120)] | None = None


class Order(Open):
    """The lines and the sums that make the total; Meta adds them up."""

    status: Literal["pending"]
    items: Annotated[list[OrderItem], Field(min_length=1)]
    subtotal: Amount
    tax: Amount | None = None
    shipping: Amount | None = None
    discount: Amount | None = None
    catalog_id: Word | None = None
    expiration: Expiration | None = None


class OrderDetailsParameters(Open):
    """Without `order`, Brazil's short form: a sum and how it is paid."""

    reference_id: ReferenceId
    type: Literal["digital-goods", "physical-goods"]
    payment_type: Word | None = None
    payment_configuration: Annotated[str, at_most(60)] | None = None
    payment_settings: list[dict[str, Any]] | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    total_amount: Amount
    order: Order | None = None


class OrderDetailsAction(Part):
    """Meta's name of the action."""

    name: Literal["review_and_pay"] = "review_and_pay"
    parameters: OrderDetailsParameters


class OrderDetails(Part):
    """Cloud API Payments, Orders, order_details."""

    type: Literal["order_details"] = "order_details"
    header: Header | None = None
    body: Body
    footer: Footer | None = None
    action: OrderDetailsAction


class OrderDetailsMessage(InteractiveMessage):
    """A bill."""

    interactive: OrderDetails


MODEL = OrderDetailsMessage
