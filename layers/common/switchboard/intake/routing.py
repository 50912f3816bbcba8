"""Who an event belongs to: the tenant and number of each item, remembered for a minute."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID
from weakref import WeakKeyDictionary

from switchboard.store import events
from switchboard.tools import Tools
from switchboard.whatsapp.webhook import Item

#: Seconds for which a number's tenant is taken from memory: a move shows within a minute.
_KEEP_S = 60.0
#: Numbers remembered at most; then memory starts anew.
_KEEP_COUNT = 10_000

_numbers: WeakKeyDictionary[Tools, dict[str, tuple[float, events.Number]]] = WeakKeyDictionary()


def numbers(tools: Tools, items: Sequence[Item]) -> dict[str, events.Number]:
    """Return the numbers of ours that `items` came to, by phone_number_id.

    One query for those not in memory; an unknown number is asked for every time, so that its
    registration is seen at once. Raises Unavailable when the database must be asked and is away.
    """
    kept = _numbers.setdefault(tools, {})
    now = tools.clock.monotonic()
    wanted = {item.phone_number_id for item in items if item.phone_number_id}
    found = {}
    for phone_number_id in wanted:
        known = kept.get(phone_number_id)
        if known is not None and now - known[0] < _KEEP_S:
            found[phone_number_id] = known[1]
    missing = wanted - found.keys()
    if missing:
        resolved = events.resolve_numbers(tools.db.connection(), sorted(missing))
        if len(kept) + len(resolved) > _KEEP_COUNT:
            kept.clear()
        for phone_number_id, number in resolved.items():
            kept[phone_number_id] = (now, number)
        found.update(resolved)
    return found


#: The number or the WABA of ours that an item came to; None: neither is ours.
Owner = events.Number | events.BusinessAccount | None


def owners(
    tools: Tools, items: Sequence[Item], app_id: str | None
) -> dict[UUID, list[tuple[Item, Owner]]]:
    """Group `items` by the tenant they belong to, sorted, each with the number or WABA of ours.

    An item without a number of ours goes to its WABA's tenant, else to the app's, else to the
    system tenant. What is bound to another Meta app than the one that signed goes to the signing
    app's tenant; an owner that comes with it says so by its own `app_id`.
    """
    known = numbers(tools, items)
    lost = {item.waba_id for item in items if item.waba_id and item.phone_number_id not in known}
    wabas = events.resolve_wabas(tools.db.connection(), sorted(lost)) if lost else {}
    grouped: defaultdict[UUID, list[tuple[Item, Owner]]] = defaultdict(list)
    strangers: list[tuple[Item, Owner]] = []
    for item in items:
        number = known.get(item.phone_number_id or "")
        if number is not None and number.app_id == app_id:
            grouped[number.tenant_id].append((item, number))
            continue
        waba = wabas.get(item.waba_id or "")
        if number is None and waba is not None and waba.app_id == app_id:
            grouped[waba.tenant_id].append((item, waba))
        else:
            strangers.append((item, number or waba))
    if strangers:
        grouped[app_tenant(tools, app_id)] += strangers
    return dict(sorted(grouped.items()))


def app_tenant(tools: Tools, app_id: str | None) -> UUID:
    """Return the tenant whose Meta app `app_id` is; the system tenant for the operator's."""
    if app_id is None:
        return events.SYSTEM_TENANT
    app = events.resolve_app(tools.db.connection(), app_id)
    return events.SYSTEM_TENANT if app is None else app.tenant_id
