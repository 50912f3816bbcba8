"""Meta's review of a business account (field account_review_update)."""

from __future__ import annotations

from collections.abc import Iterable

from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._told import told, word
from switchboard.whatsapp.webhook.items import Item

NAME = "account_review_update"


def _read(change: Change) -> Iterable[Item]:
    decision = word(change.value, "decision")
    return [told(change, "business_account", NAME, decision, {"review": decision})]


KIND = Field(name=NAME, read=_read, events=("business_account",))
