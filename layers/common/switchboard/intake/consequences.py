"""What the errors of failed statuses lead to (whatsapp.errors), as the database takes it.

Applied after the statuses are stored, in a transaction of its own, since it locks people before
threads anew. A delivery that dies in between was not answered and comes again; whatever comes
twice, or in another order, ends in the same rows (sql/0027).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from switchboard.kernel import phones
from switchboard.whatsapp.consequences import consequences_of
from switchboard.whatsapp.errors import read_error
from switchboard.whatsapp.webhook import Status


def items_of(failed: Iterable[tuple[Status, UUID]]) -> list[dict[str, Any]]:
    """Return the items of messaging.apply_consequences for `failed`, each with its account."""
    return [item for status, account in failed for item in _items(status, account)]


def _items(status: Status, account: UUID) -> list[dict[str, Any]]:
    items = []
    for said in status.errors:
        error = read_error(said)
        if error is not None:
            words = {"d": error.details or error.title}
            items += [consequence | words for consequence in consequences_of(error.code)]
    if items:
        where = {"a": account, "w": status.id, "t": status.timestamp} | _person(status)
        for item in items:
            item.update(where)
    return items


def _person(status: Status) -> dict[str, str]:
    """Return whom the message went to, for one that is not here; nobody of a group."""
    if status.participant or status.raw.get("recipient_type") == "group":
        return {}
    person = {}
    digits = phones.digits(status.recipient_id) if status.recipient_id else None
    if digits is not None:
        person["p"] = phones.national_variant(digits)
    if status.recipient is not None and status.recipient.user_id:
        person["u"] = status.recipient.user_id
    return person
