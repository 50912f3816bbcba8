"""A solution shared with a partner (field partner_solutions).

Its entry names a business portfolio and no business account. Several accounts, of several tenants,
may share one, and Meta does not say which it means: so the event is kept as a dead letter, with a
reason of its own. Where the id is a business account of ours after all, it is that account's event.
"""

from __future__ import annotations

from collections.abc import Iterable

from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._told import identifier, told, word
from switchboard.whatsapp.webhook.items import Item

NAME = "partner_solutions"


def _read(change: Change) -> Iterable[Item]:
    value = change.value
    event = word(value, "event")
    states = {f"solution:{identifier(value, 'solution_id')}": value.get("solution_status")}
    return [told(change, "business_account", NAME, event, states)]


KIND = Field(name=NAME, read=_read, events=("business_account",))
