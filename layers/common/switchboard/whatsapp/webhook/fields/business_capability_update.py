"""The limits of a business account and its portfolio (field business_capability_update).

A limit is a number, -1 for none, or a word such as TIER_2K; here it becomes a number. The first
key goes (February 2026); all are optional.
"""

from __future__ import annotations

from collections.abc import Iterable

from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._told import limit, told
from switchboard.whatsapp.webhook.items import Item
from switchboard.whatsapp.webhook.payloads._read import Odd

NAME = "business_capability_update"


def _read(change: Change) -> Iterable[Item]:
    limits = {key: limit(value) for key, value in change.value.items() if key.startswith("max_")}
    if not limits:
        raise Odd("no limit is told")
    return [told(change, "business_account", NAME, "LIMITS", {"limits": limits})]


KIND = Field(name=NAME, read=_read, events=("business_account",))
