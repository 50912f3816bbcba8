"""Webhook bodies that hold just one item: what a replay is fed with."""

from __future__ import annotations

from typing import Any

from switchboard.whatsapp.webhook.items import Event, Message, Status, Unhandled
from switchboard.whatsapp.webhook.payloads._read import Object


def rebuild(item: Message | Status | Event | Unhandled) -> dict[str, Any]:
    """Return the smallest webhook body that parses to just `item`: what a replay is fed with."""
    if isinstance(item, Unhandled):
        change = item.raw
    elif isinstance(item, Event):
        change = item.change
    else:
        value: Object = {"metadata": {"phone_number_id": item.phone_number_id}}
        if isinstance(item, Status):
            value["statuses"] = [item.raw]
        else:
            value["messages"] = [item.raw]
            if item.contact is not None:
                value["contacts"] = [item.contact]
        change = {"field": "messages", "value": value}
    return body_of(
        item.waba_id, change, item.entry_time if isinstance(item, Event | Unhandled) else None
    )


def body_of(waba_id: str | None, change: Any, entry_time: int | None = None) -> Object:
    """Return the webhook body that holds just `change`."""
    entry: Object = {"changes": [change]}
    if waba_id is not None:
        entry["id"] = waba_id
    if entry_time is not None:
        entry["time"] = entry_time
    return {"object": "whatsapp_business_account", "entry": [entry]}
