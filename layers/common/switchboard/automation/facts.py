"""What a run knows: the person, the trip, the booking; and the paths that name a part of it.

Conditions and parameters name what they look at as `contact.name`, `trip.status`,
`booking.attributes.seat`. A path that can name nothing is refused when the rule is written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, StringConstraints

_NAMES = {
    "contact": (
        "id name profile_name username phone_number country_code email company title locale"
        " timezone tags external_user_id is_business is_verified opt_in_status"
    ).split(),
    "trip": (
        "id external_id title destination status timezone start_date start_time end_date end_time"
        " budget_minor spent_minor currency budget spent spent_percent"
    ).split(),
    "booking": (
        "id external_id kind title status timezone starts_at pending_since amount_minor currency"
        " amount"
    ).split(),
}
_ATTRIBUTE = re.compile(r"(contact|trip|booking)\.attributes\.[^.\s][^.]{0,99}")
#: Money that people read, and the column that holds it in the currency's minor unit.
_MONEY = {"budget": "budget_minor", "spent": "spent_minor", "amount": "amount_minor"}
#: ISO 4217: currencies whose minor unit is no hundredth.
_PLACES = dict.fromkeys(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0
) | dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)


def check_path(path: str) -> str:
    """Return `path`; raises ValueError where nothing goes by that name."""
    whose, _, name = path.partition(".")
    if name in _NAMES.get(whose, ()) or _ATTRIBUTE.fullmatch(path):
        return path
    raise ValueError(
        "must name a fact, such as contact.name, trip.status or booking.attributes.seat"
    )


Path = Annotated[str, StringConstraints(max_length=120), AfterValidator(check_path)]


@dataclass(frozen=True, slots=True)
class Facts:
    """Rows as JSON documents, as they are when the run begins; None where there is none."""

    contact: Mapping[str, Any] | None = None
    trip: Mapping[str, Any] | None = None
    booking: Mapping[str, Any] | None = None

    def value(self, path: str) -> Any:
        """Return what `path` names; None where it is not there."""
        whose, _, name = path.partition(".")
        row: Mapping[str, Any] | None = getattr(self, whose)
        if row is None:
            return None
        if name.startswith("attributes."):
            return (row.get("attributes") or {}).get(name.partition(".")[2])
        if name in _MONEY:
            return _money(row.get(_MONEY[name]), row.get("currency"))
        if name == "spent_percent":
            budget, spent = row.get("budget_minor"), row.get("spent_minor")
            return spent * 100 // budget if budget and spent is not None else None
        if whose == "contact" and name == "name":
            return row.get("name") or row.get("profile_name")
        return row.get(name)

    def text(self, path: str) -> str | None:
        """Return what `path` names as a person reads it; None where it is missing or empty."""
        value = self.value(path)
        if value is None:
            return None
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, list):
            value = ", ".join(map(str, value))
        return str(value).strip() or None


def _money(minor: Any, currency: Any) -> str | None:
    if not isinstance(minor, int) or not isinstance(currency, str):
        return None
    places = _PLACES.get(currency, 2)
    return f"{Decimal(minor).scaleb(-places):.{places}f} {currency}"


def document_of(facts: Facts) -> dict[str, dict[str, Any] | None]:
    """Return all that rules can name of the facts, by whose it is; None where there is none."""
    told: dict[str, dict[str, Any] | None] = {}
    for whose, names in _NAMES.items():
        row = getattr(facts, whose)
        told[whose] = row and {
            **{name: facts.value(f"{whose}.{name}") for name in names},
            "attributes": row.get("attributes") or {},
        }
    return told
