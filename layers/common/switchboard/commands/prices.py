"""prices: what Meta charges, imported by cards."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from pydantic import Field

from switchboard.commands._resource import Command, Resource
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.errors import Unprocessable
from switchboard.kernel.page import Page
from switchboard.prices import table
from switchboard.prices.table import Card, CardRates, Imported, PriceFilter
from switchboard.store.prices import Price
from switchboard.tools import Tools


class PriceFile(Arguments):
    """A price table."""

    file: Path = Field(description="a CSV file, as docs/prices.md has it; UTF-8")


def list_prices(tools: Tools, tenant_id: UUID, wanted: PriceFilter) -> Page[Price]:
    """List rates by category, country, currency, day and volume."""
    return table.list_prices(tools, tenant_id, wanted)


def import_prices(tools: Tools, tenant_id: UUID, given: PriceFile) -> Imported:
    """Make the cards that a file names what it says; a wrong line, and nothing is written."""
    try:
        content = given.file.read_bytes()
    except OSError as error:
        raise Unprocessable(
            f"the file cannot be read: {type(error).__name__}", field="file"
        ) from None
    return table.import_rates(tools, tenant_id, content)


def delete_card(tools: Tools, tenant_id: UUID, card: Card) -> CardRates:
    """Forget all rates of a currency and a day."""
    return table.delete_card(tools, tenant_id, card)


KIND = Resource(
    "prices",
    "what Meta charges, imported by cards",
    (
        Command(
            "list",
            PriceFilter,
            list_prices,
            "--currency EUR --category utility",
            ("category", "country", "currency", "valid_from", "from_volume", "market", "amount"),
        ),
        Command("import", PriceFile, import_prices, "--file prices.csv"),
        Command("delete", Card, delete_card, "--currency EUR --valid-from 2026-10-01"),
    ),
)
