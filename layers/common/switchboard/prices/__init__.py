"""What messages cost: rates from an imported table, beforehand and after Meta has told.

`estimate` says what messages would cost, `actual` what those cost that went out; both answer a
`Cost`, in which what nobody knows is counted and never zero. `by_country` counts people by the
countries of their numbers.
"""

from switchboard.prices.charges import actual
from switchboard.prices.cost import Cost, CostShown, Spent
from switchboard.prices.countries import by_country
from switchboard.prices.estimates import estimate
from switchboard.prices.free import free_type

__all__ = ["Cost", "CostShown", "Spent", "actual", "by_country", "estimate", "free_type"]
