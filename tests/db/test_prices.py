"""Prices: cards are replaced whole, and messages cost what Meta said by the rates of then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from switchboard import prices
from switchboard.kernel.clock import uuid7
from switchboard.kernel.errors import BadRequest, NotFound, Unprocessable
from switchboard.prices import Cost, Spent, table
from switchboard.prices.table import Card, CardRates, PriceFilter
from switchboard.tools import Tools
from tests.databases import ClonedDatabase
from tests.sending import Person, Place, World, deliver

HEADER = "currency,valid_from,category,market,countries,from_volume,amount"
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "prices-invented.csv"


class Till:
    """One tenant with a table of prices, and messages that Meta names prices of."""

    def __init__(self, database: ClonedDatabase) -> None:
        self.world = World(database)
        self.place: Place = self.world.place()
        # Statuses are of these months alone; a fixed day of the present one.
        month = datetime.now(UTC).replace(day=1, hour=12, minute=0, second=0, microsecond=0)
        self.place.time.now = month
        self.day = month.date()

    def tools(self) -> Tools:
        """Return tools at the present time."""
        return self.world.tools(self.place.time.clock())

    def load(self, *lines: str) -> table.Imported:
        """Import a table."""
        content = "\n".join((HEADER, *lines)).encode()
        return table.import_rates(self.tools(), self.place.tenant_id, content)

    def rates(self) -> list[tuple[Any, ...]]:
        """Return the table as it stands."""
        names = "currency valid_from category country from_volume market amount".split()
        rows = self.place.rows("price_rates")
        return sorted(tuple(row[name] for name in names) for row in rows)

    def message(
        self,
        person: Person,
        status: str = "delivered",
        *,
        category: str = "utility",
        kind: str = "template",
        at: datetime | None = None,
    ) -> tuple[UUID, str]:
        """Put a message of ours in, as the send road leaves it; returns its ids."""
        at = at or self.place.time.now
        message_id = uuid7(int(at.timestamp() * 1000))
        wa_id = f"wamid.{message_id.hex}"
        everything = self.place.everything
        everything.execute(
            "insert into messaging.whatsapp_messages (tenant_id, id, account_id, conversation_id,"
            " contact_id, wa_message_id, direction, origin, message_type, content, category,"
            " status, status_rank, occurred_at) values (%s, %s, %s, %s, %s, %s, 'outbound', 'api',"
            " %s, '{}', %s, 'accepted', messaging.status_rank('accepted'), %s)",
            (
                self.place.tenant_id,
                message_id,
                self.place.account_id,
                person.conversation_id,
                person.contact_id,
                wa_id,
                kind,
                category,
                at,
            ),
        )
        everything.execute(
            "insert into messaging.message_keys (account_id, wa_message_id, tenant_id, message_id)"
            " values (%s, %s, %s, %s)",
            (self.place.account_id, wa_id, self.place.tenant_id, message_id),
        )
        if status != "accepted":
            self.tell(wa_id, status, None, at)
        return message_id, wa_id

    def tell(
        self, wa_id: str, status: str, pricing: dict[str, Any] | None, at: datetime | None = None
    ) -> None:
        """Let Meta say what became of a message, and what it charges."""
        at = at or self.place.time.now
        told: dict[str, Any] = {
            "id": wa_id,
            "status": status,
            "timestamp": str(int(at.timestamp())),
            "recipient_id": "4915550001",
            **({"pricing": pricing} if pricing else {}),
        }
        value = {
            "messaging_product": "whatsapp",
            "metadata": {
                "phone_number_id": self.place.phone_number_id,
                "display_phone_number": "1",
            },
            "statuses": [told],
        }
        change = {"field": "messages", "value": value}
        entry = {"id": self.place.waba_id, "changes": [change]}
        body = {"object": "whatsapp_business_account", "entry": [entry]}
        deliver(self.tools(), json.dumps(body).encode())

    def priced(
        self,
        person: Person,
        status: str = "delivered",
        at: datetime | None = None,
        **pricing: Any,
    ) -> UUID:
        """Put a message in that Meta named a price of."""
        known = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "utility"}
        message_id, wa_id = self.message(person, "accepted", at=at)
        told = {name: value for name, value in {**known, **pricing}.items() if value is not None}
        self.tell(wa_id, status, told, at)
        return message_id

    def actual(self, *messages: UUID) -> Cost:
        """Return what they cost."""
        with self.tools().db.transaction(self.place.tenant_id) as connection:
            return prices.actual(connection, self.place.tenant_id, messages)

    def estimate(self, category: str, counts: dict[str, int], **how: Any) -> Cost:
        """Return what they would cost."""
        with self.tools().db.transaction(self.place.tenant_id) as connection:
            return prices.estimate(
                connection, self.place.tenant_id, category, counts, self.place.time.now, **how
            )


@pytest.fixture
def till(database: ClonedDatabase) -> Iterator[Till]:
    made = Till(database)
    yield made
    made.world.close()


class TestImport:
    """A file makes the cards that it names what it says; the rest stays."""

    def test_the_same_file_again_writes_nothing(self, till: Till) -> None:
        lines = ("EUR,2026-10-01,utility,MX,,,0.0085", "EUR,2026-10-01,utility,other,,,0.1")
        first = till.load(*lines)
        assert (first.rates, first.added, first.changed, first.removed) == (2, 2, 0, 0)
        written = till.place.rows("price_rates")
        second = till.load(*lines)
        assert (second.added, second.changed, second.unchanged, second.removed) == (0, 0, 2, 0)
        assert till.place.rows("price_rates") == written

    def test_a_card_is_replaced_whole_and_others_stay(self, till: Till) -> None:
        till.load(
            "EUR,2026-10-01,utility,MX,,,1",
            "EUR,2026-10-01,utility,CO,,,2",
            "EUR,2027-01-01,utility,MX,,,3",
            "USD,2026-10-01,utility,MX,,,4",
        )
        done = till.load("EUR,2026-10-01,utility,MX,,,5", "EUR,2026-10-01,marketing,MX,,,6")
        assert (done.added, done.changed, done.unchanged, done.removed) == (1, 1, 0, 1)
        assert done.cards == [CardRates("EUR", date(2026, 10, 1), 2)]
        assert [(row[0], row[1].year, row[2], row[3], row[6]) for row in till.rates()] == [
            ("EUR", 2026, "marketing", "MX", 6),
            ("EUR", 2026, "utility", "MX", 5),
            ("EUR", 2027, "utility", "MX", 3),
            ("USD", 2026, "utility", "MX", 4),
        ]

    def test_a_file_with_a_wrong_line_changes_nothing_and_names_each(self, till: Till) -> None:
        till.load("EUR,2026-10-01,utility,MX,,,1")
        before = till.rates()
        with pytest.raises(Unprocessable) as refused:
            till.load("EUR,2026-10-01,utility,MX,,,2", "EUR,x,utility,MX,,,2", "EUR,,,,,,")
        assert refused.value.extra["wrong"] == 2
        assert [(one.line, one.column) for one in refused.value.extra["errors"]] == [
            (3, "valid_from"),
            (4, "valid_from"),
        ]
        assert refused.value.field == "line 3"
        assert till.rates() == before

    def test_an_amount_is_kept_to_its_last_digit(self, till: Till) -> None:
        till.load("EUR,2026-10-01,utility,MX,,,0.1234567891")
        page = table.list_prices(till.tools(), till.place.tenant_id, PriceFilter(limit=5))
        assert [one.amount for one in page.data] == ["0.1234567891"]

    def test_a_word_that_meta_has_not_had_is_taken_and_pointed_out(self, till: Till) -> None:
        assert till.load("EUR,2026-10-01,utilty,MX,,,1").strange == ["utilty"]

    def test_no_amount_that_is_none_gets_in_by_any_way(self, till: Till) -> None:
        for amount in ("NaN", "Infinity", "-1"):
            with pytest.raises((psycopg.DataError, psycopg.IntegrityError)):
                till.place.everything.execute(
                    "insert into messaging.price_rates (tenant_id, currency, valid_from, category,"
                    " country, market, amount) values (%s, 'EUR', '2026-10-01', 'utility', 'MX',"
                    " 'MX', %s::numeric)",
                    (till.place.tenant_id, amount),
                )

    def test_the_example_is_one_and_says_that_it_is_invented(self, till: Till) -> None:
        content = EXAMPLE.read_bytes()
        done = table.import_rates(till.tools(), till.place.tenant_id, content)
        assert done.added == done.rates > 10
        assert done.strange == []
        assert b"INVENTED" in content.splitlines()[0]


class TestList:
    """Pages in the order of the key, of one tenant's rates."""

    def test_pages_are_cut_and_filtered(self, till: Till) -> None:
        till.load(
            *(
                f"{currency},2026-10-01,{category},MX,,{volume},1"
                for currency in ("EUR", "USD")
                for category in ("utility", "marketing")
                for volume in (0, 9, 10)
            )
        )
        found: list[tuple[str, str, int]] = []
        wanted = PriceFilter(limit=5)
        while True:
            page = table.list_prices(till.tools(), till.place.tenant_id, wanted)
            found += [(one.category, one.currency, one.from_volume) for one in page.data]
            if page.next_cursor is None:
                break
            wanted = PriceFilter(limit=5, cursor=page.next_cursor)
        assert found == sorted(found)
        assert len(found) == 12
        only = PriceFilter(currency="USD", category="utility")
        assert len(table.list_prices(till.tools(), till.place.tenant_id, only).data) == 3
        with pytest.raises(BadRequest):
            table.list_prices(
                till.tools(),
                till.place.tenant_id,
                PriceFilter(currency="USD", cursor=wanted.cursor),
            )

    def test_another_tenant_sees_and_deletes_none(self, till: Till) -> None:
        till.load("EUR,2026-10-01,utility,MX,,,1")
        other = till.world.place().tenant_id
        assert table.list_prices(till.tools(), other, PriceFilter()).data == []
        card = Card(currency="EUR", valid_from=date(2026, 10, 1))
        with pytest.raises(NotFound):
            table.delete_card(till.tools(), other, card)
        assert len(till.rates()) == 1
        assert table.delete_card(till.tools(), till.place.tenant_id, card).rates == 1
        assert till.rates() == []


class TestEstimate:
    """Beforehand: exact where there is a rate, counted as unknown where there is none."""

    def test_no_rate_is_unknown_and_never_zero(self, till: Till) -> None:
        cost = till.estimate("UTILITY", {"MX": 3, "CO": 2})
        assert cost == Cost(messages=5, unknown=5)
        till.load(f"EUR,{till.day},utility,MX,,,0.1", f"USD,{till.day},utility,CO,,,0.3")
        cost = till.estimate("UTILITY", {"MX": 3, "CO": 2, "FR": 1, "": 1})
        assert (cost.messages, cost.unknown) == (7, 2)
        assert cost.by_currency == {
            "EUR": Spent(Decimal("0.3"), 3),
            "USD": Spent(Decimal("0.6"), 2),
        }
        assert cost.unknown_in("EUR") == 4

    def test_the_window_makes_free_what_meta_said_until_it_ended_that(self, till: Till) -> None:
        till.load("EUR,2020-01-01,utility,MX,,,0.1")
        till.place.time.now = datetime(2026, 9, 30, 12, tzinfo=UTC)
        inside = till.estimate("utility", {"MX": 3}, inside_window=True)
        assert inside == Cost(messages=3, free=3)
        assert till.estimate("reply", {"MX": 3}) == Cost(messages=3, free=3)
        till.place.time.now = datetime(2026, 10, 1, tzinfo=UTC)
        charged = till.estimate("utility", {"MX": 3}, inside_window=True)
        assert charged.by_currency == {"EUR": Spent(Decimal("0.3"), 3)}
        assert till.estimate("reply", {"MX": 3}) == Cost(messages=3, unknown=3)

    def test_tiers_go_on_from_what_the_month_has_had_in_that_market(self, till: Till) -> None:
        till.load(
            f"EUR,{till.day},utility,America,MX CO,,1",
            f"EUR,{till.day},utility,America,MX CO,3,0.5",
        )
        mexican, chilean = till.place.person("525512345678"), till.place.person("56912345678")
        for _ in range(2):
            till.message(mexican)
        till.message(chilean)  # of another market
        till.message(mexican, "failed")
        till.message(mexican, category="marketing")
        till.message(mexican, kind="text")
        till.message(mexican, at=till.place.time.now - timedelta(days=3))  # last month
        till.place.time.turn(minutes=1)
        # The third of the month's market at the first price, the rest at the second.
        cost = till.estimate("utility", {"MX": 2, "CO": 2})
        assert cost.by_currency == {"EUR": Spent(Decimal("2.5"), 4)}

    def test_another_tenants_rates_are_none_of_ours(self, till: Till) -> None:
        till.load(f"EUR,{till.day},utility,MX,,,0.1")
        other = till.world.place().tenant_id
        with till.tools().db.transaction(other) as connection:
            cost = prices.estimate(connection, other, "utility", {"MX": 1}, till.place.time.now)
        assert cost == Cost(messages=1, unknown=1)


class TestActual:
    """Afterwards: what Meta said of each message, by the rates of that day."""

    @pytest.fixture(autouse=True)
    def _rates(self, till: Till) -> None:
        till.load(
            f"EUR,{till.day},utility,DE,,,0.07",
            f"EUR,{till.day},marketing,DE,,,0.11",
            f"EUR,{till.day + timedelta(days=1)},utility,DE,,,0.5",
            f"EUR,{till.day},service,DE,,,0.01",
        )

    def test_what_arrived_costs_its_rate(self, till: Till) -> None:
        person = till.place.person()
        ids = [till.priced(person), till.priced(person, "read", category="marketing")]
        assert till.actual(*ids).by_currency == {"EUR": Spent(Decimal("0.18"), 2)}

    def test_the_rate_is_that_of_the_day(self, till: Till) -> None:
        person = till.place.person()
        first = till.priced(person)
        second = till.priced(person, at=till.place.time.now + timedelta(days=1))
        assert till.actual(first).spent("EUR").amount == Decimal("0.07")
        assert till.actual(second).spent("EUR").amount == Decimal("0.5")
        assert till.actual(first, second).spent("EUR").amount == Decimal("0.57")

    @pytest.mark.parametrize(
        ("pricing", "kind"),
        [
            ({"billable": False, "type": "free_customer_service", "category": "service"}, "free"),
            ({"billable": None, "type": "free_entry_point", "category": "marketing"}, "free"),
            ({"billable": False, "type": None}, "free"),
            ({"billable": None}, "charged"),
            ({"billable": True, "type": "tomorrow"}, "charged"),
            ({"billable": None, "type": "tomorrow"}, "unknown"),
            ({"billable": None, "type": None}, "unknown"),
            ({"category": "tomorrow"}, "unknown"),
            ({"category": None}, "unknown"),
            ({"pricing_model": "CBP"}, "unknown"),
        ],
    )
    def test_what_meta_said_decides(self, till: Till, pricing: dict[str, Any], kind: str) -> None:
        cost = till.actual(till.priced(till.place.person(), **pricing))
        assert cost.messages == 1
        assert (cost.free, cost.unknown) == (kind == "free", kind == "unknown")
        assert bool(cost.by_currency) == (kind == "charged")

    def test_a_status_without_a_price_is_unknown_and_what_did_not_arrive_costs_nothing(
        self, till: Till
    ) -> None:
        person = till.place.person()
        silent, _ = till.message(person, "delivered")
        lost, _ = till.message(person, "failed")
        waiting = till.priced(person, "sent")
        cost = till.actual(silent, lost, waiting, uuid4())
        assert cost == Cost(messages=4, undelivered=2, unknown=2)

    def test_one_in_two_statuses_is_charged_once(self, till: Till) -> None:
        message_id, wa_id = till.message(till.place.person(), "accepted")
        pricing = {"billable": True, "type": "regular", "category": "utility"}
        till.tell(wa_id, "sent", pricing)
        till.tell(wa_id, "delivered", pricing)
        assert till.actual(message_id) == Cost(
            messages=1, by_currency={"EUR": Spent(Decimal("0.07"), 1)}
        )

    def test_countries_are_told_by_the_persons_number(self, till: Till) -> None:
        ids = [till.priced(till.place.person(phone)) for phone in ("4915112345678", "33612345678")]
        cost = till.actual(*ids)
        assert (cost.messages, cost.unknown, cost.spent("EUR").messages) == (2, 1, 1)

    def test_who_has_no_number_is_of_the_country_that_the_id_begins_with(self, till: Till) -> None:
        person = till.place.person("4915112345678")
        till.place.everything.execute(
            "update messaging.contacts set phone_number = null where id = %s", (person.contact_id,)
        )
        assert till.actual(till.priced(person)).unknown == 1
        till.place.everything.execute(
            "insert into messaging.contact_identifiers (tenant_id, kind, value, contact_id)"
            " values (%s, 'user_id', 'DE.77', %s)",
            (till.place.tenant_id, person.contact_id),
        )
        assert till.actual(till.priced(person)).spent("EUR").messages == 1

    def test_tiers_go_on_from_the_months_messages_before(self, till: Till) -> None:
        till.load(
            f"USD,{till.day},utility,DE,,,1",
            f"USD,{till.day},utility,DE,,3,0.5",
        )
        person = till.place.person()
        early = [till.priced(person) for _ in range(2)]
        till.place.time.turn(minutes=1)
        late = [till.priced(person) for _ in range(2)]
        assert till.actual(*late).spent("USD") == Spent(Decimal("1.5"), 2)
        assert till.actual(*early).spent("USD") == Spent(Decimal(2), 2)

    def test_another_tenants_messages_are_unknown(self, till: Till) -> None:
        message = till.priced(till.place.person())
        other = till.world.place().tenant_id
        with till.tools().db.transaction(other) as connection:
            assert prices.actual(connection, other, [message]) == Cost(messages=1, unknown=1)

    def test_slices_of_messages_add_up(self, till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("switchboard.prices.charges.SLICE", 2)
        person = till.place.person()
        cost = till.actual(*(till.priced(person) for _ in range(5)))
        assert cost == Cost(messages=5, by_currency={"EUR": Spent(Decimal("0.35"), 5)})
