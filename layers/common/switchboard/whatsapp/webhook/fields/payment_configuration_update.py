"""A payment configuration of a business account (field payment_configuration_update)."""

from __future__ import annotations

from collections.abc import Iterable

from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._told import told, word
from switchboard.whatsapp.webhook.items import Item
from switchboard.whatsapp.webhook.values import seconds

NAME = "payment_configuration_update"


def _read(change: Change) -> Iterable[Item]:
    value = change.value
    name = word(value, "configuration_name")
    said = {key: value.get(key) for key in ("provider_name", "provider_mid", "status")}
    at = seconds(value.get("updated_timestamp"))
    event = value["status"] if type(value.get("status")) is str else "CONFIGURATION"
    states = {f"payment:{name}": said}
    return [told(change, "business_account", NAME, event, states, at=at)]


KIND = Field(name=NAME, read=_read, events=("business_account",))
