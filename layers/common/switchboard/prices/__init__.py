"""What messages cost: rates from an imported table, beforehand and after Meta has told.

`estimate` says what messages would cost, `actual` what those cost that went out; both answer a
`Cost`, in which what nobody knows is counted and never zero. What is too much for one go is counted
piece by piece (`count`), added up and then priced (`priced`). `by_country` counts people by the
countries of their numbers.
"""

from switchboard.prices.charges import Counted, actual, count, priced
from switchboard.prices.cost import Cost, CostShown, Spent
from switchboard.prices.countries import by_country
from switchboard.prices.estimates import Planned, estimate, estimate_each
from switchboard.prices.free import free_type

__all__ = [
    "Cost",
    "CostShown",
    "Counted",
    "Planned",
    "Spent",
    "actual",
    "by_country",
    "count",
    "estimate",
    "estimate_each",
    "free_type",
    "priced",
]
