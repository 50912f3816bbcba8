"""The contract of a webhook field: its name and how a change of it becomes items."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from switchboard.whatsapp.storable import dump
from switchboard.whatsapp.webhook.bodies import body_of
from switchboard.whatsapp.webhook.items import Event, Item, Malformed
from switchboard.whatsapp.webhook.payloads._read import Object, Odd

__all__ = ["Change", "Field", "Odd", "change_with", "event", "odd"]


class Change(NamedTuple):
    """One change of a webhook: where it came from and what it says.

    `entry_time` is in Unix seconds where the entry has one (management fields usually do).
    """

    waba_id: str | None
    phone_number_id: str | None
    field: str
    value: Object
    entry_time: int | None


@dataclass(frozen=True)
class Field:
    """A webhook field.

    `read` gives the items of one change: nothing of it is left out, what is odd is `odd(…)`. Where
    the whole change is of a shape that is not Meta's it raises `Odd`. `is_mine` recognises a value
    of this field under another field's name (Meta's own samples carry wrong ones). `events` are the
    kinds of events it may give: each is a function `event_<kind>` in sql/. `is_apart` says that
    each event carries a change of its own: where the whole holds what cannot be stored, only the
    events that hold it are odd.
    """

    name: str
    read: Callable[[Change], Iterable[Item]]
    events: tuple[str, ...] = ()
    is_mine: Callable[[Object], bool] = lambda _: False
    is_apart: bool = False


def event(
    change: Change,
    kind: str,
    detail: dict[str, Any],
    *,
    at: int | None = None,
    part: dict[str, Any] | None = None,
) -> Event:
    """Return an event of `change`; `part` is what of the value it was made from (default: all).

    Without a time of its own (`at`, Unix seconds) it has its entry's.
    """
    return Event(
        change.waba_id,
        change.phone_number_id,
        kind,
        change.entry_time if at is None else at,
        detail,
        {"field": change.field, "value": change.value}
        if part is None
        else change_with(change, part),
        change.entry_time,
    )


def odd(change: Change, part: Any, reason: str) -> Malformed:
    """Return a part of `change` that is not of Meta's shape, kept with its reason."""
    held = change.value
    if type(part) is dict:  # only a container is told apart from its equals
        for key, value in change.value.items():
            if type(value) is list and any(each is part for each in value):
                held = {key: [part]}
    body = body_of(change.waba_id, change_with(change, held), change.entry_time)
    return Malformed(change.waba_id, change.phone_number_id, reason, dump(part), dump(body))


def change_with(change: Change, part: dict[str, Any]) -> Object:
    """Return the change with only `part` of its value, and its address: what a replay needs."""
    address = {
        key: change.value[key]
        for key in ("messaging_product", "metadata", "contacts")
        if key in change.value
    }
    return {"field": change.field, "value": address | part}
