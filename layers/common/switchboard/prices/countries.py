"""People by the countries of their numbers: Meta charges by the number alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from switchboard.kernel.phones import country_of

#: The country of whoever has no number, or one that belongs to no country.
NOWHERE = ""


def by_country(groups: Iterable[tuple[str | None, int]]) -> dict[str, int]:
    """Return how many people there are of each country (ISO 3166); `NOWHERE` for the rest.

    A group is the number of one person in it, with or without `+` (or a business-scoped user id),
    and how many they are: those whose numbers are as long and begin with the same seven digits,
    since a country is told from those.
    """
    found: Counter[str] = Counter()
    for sample, people in groups:
        country = None if sample is None else country_of(sample.removeprefix("+"))
        found[country or NOWHERE] += people
    return dict(found)
