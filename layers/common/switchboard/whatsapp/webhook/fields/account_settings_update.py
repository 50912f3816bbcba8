"""The settings that Meta holds for a number, such as calling (field account_settings_update)."""

from __future__ import annotations

from collections.abc import Iterable

from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._numbers import KIND as NUMBER
from switchboard.whatsapp.webhook.fields._numbers import number_event
from switchboard.whatsapp.webhook.fields._told import identifier, optional_object, told, word
from switchboard.whatsapp.webhook.items import Item
from switchboard.whatsapp.webhook.values import seconds

NAME = "account_settings_update"


def _read(change: Change) -> Iterable[Item]:
    value = change.value
    kind = word(value, "type")
    at = seconds(value.get("timestamp"))
    settings = optional_object(value, kind)
    if settings is None or "phone_number_id" not in settings:
        return [told(change, "account_event", NAME, kind, at=at)]
    # These values have no metadata: the settings name their number themselves.
    change = change._replace(phone_number_id=identifier(settings, "phone_number_id"))
    said = {key: part for key, part in settings.items() if key != "phone_number_id"}
    return [number_event(change, NAME, kind, {f"settings:{kind}": said}, at=at)]


KIND = Field(name=NAME, read=_read, events=(NUMBER, "account_event"))
