"""A filter finds in SQL whom it finds in plain Python, whatever it asks and whoever there is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from local.postgres import PostgresServer
from switchboard.campaigns.audience.fields import FIELDS, OPERATORS, Kind, find_field
from switchboard.campaigns.audience.kinds import InSegment, select_people
from tests.audience_oracle import Json, Person, holds
from tests.databases import cloned

TENANT, STRANGER = UUID(int=1), UUID(int=2)
NOW = datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC)
Link = psycopg.Connection[Any]

SEED = """
insert into messaging.tenants (id, slug, name) values (%(tenant)s, %(slug)s, 'T');
insert into messaging.whatsapp_business_accounts (tenant_id, waba_id) values (%(tenant)s, %(slug)s);
insert into messaging.whatsapp_accounts (tenant_id, id, waba_id, phone_number_id, phone_number,
    display_name) select %(tenant)s, ('00000000-0000-0000-0000-00000000000' || n)::uuid, %(slug)s,
    %(slug)s || n, '+1555000111' || n, 'N' from generate_series(1, 2) as n;
"""


@pytest.fixture(scope="module")
def link(template: str, postgres: PostgresServer) -> Iterator[Link]:
    """A connection as `app`, which sees TENANT, and a tenant beside it with people of its own."""
    with cloned(postgres, template) as database:
        with psycopg.connect(database.superuser_url, autocommit=True) as superuser:
            for tenant, slug in ((TENANT, "one"), (STRANGER, "two")):
                for statement in SEED.split(";\n"):
                    if statement.strip():
                        superuser.execute(statement.encode(), {"tenant": tenant, "slug": slug})
            superuser.execute(
                "insert into messaging.contacts (tenant_id, id, name, tags)"
                " values (%s, %s, 'ana', '{vip}')",
                (STRANGER, uuid4()),
            )
        with psycopg.connect(database.app_url) as link:
            link.execute("select set_config('switchboard.tenant_id', %s, false)", (str(TENANT),))
            # Answers are compared, and not plans: none is worth a compilation.
            link.execute("set jit = off")
            link.commit()
            yield link


def insert(link: Link, people: list[Person]) -> list[UUID]:
    ids = [UUID(int=number) for number in range(1, len(people) + 1)]
    for contact_id, person in zip(ids, people, strict=True):
        columns = {
            **person.columns,
            "tags": person.tags,
            "attributes": Jsonb(person.attributes),
            "tenant_id": TENANT,
            "id": contact_id,
        }
        link.execute(
            psycopg.sql.SQL("insert into messaging.contacts ({}) values ({})").format(
                psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, columns)),
                psycopg.sql.SQL(", ").join(map(psycopg.sql.Placeholder, columns)),
            ),
            columns,
        )
        for number, (inbound, last) in enumerate(person.heard, 1):
            link.execute(
                "insert into messaging.whatsapp_conversations (tenant_id, id, account_id,"
                " contact_id, last_inbound_at, last_message_at) values (%s, %s, %s, %s, %s, %s)",
                (TENANT, uuid4(), UUID(int=number), contact_id, inbound, last),
            )
    return ids


def found(link: Link, wanted: Json, *, now: datetime | None = NOW) -> list[UUID]:
    people = select_people(InSegment.model_validate({"type": "segment", "filter": wanted}))
    rows = link.execute(people.text, {**people.parameters, "tenant_id": TENANT, "now": now})
    return sorted(row[0] for row in rows)


@pytest.fixture
def clean(link: Link) -> Iterator[Link]:
    with link.transaction(force_rollback=True):
        yield link


def who(link: Link, people: dict[str, Person], wanted: Json) -> set[str]:
    """Insert people by name and return the names of those found."""
    names = dict(zip(insert(link, list(people.values())), people, strict=True))
    return {names[one] for one in found(link, wanted)}


# --- the property ---

#: Few words, so that filters and people meet; among them what a pattern or a quote would break on.
WORDS = ["ana", "Ana", "a", "na", "100%", "a_b", "o'neil", "{}", "\\", "ÑU", "日本", "2026-11-01"]
TEXTS = ("name", "profile_name", "username", "email", "company", "title")
words = st.sampled_from(WORDS)
PHONES = ["525550001234", "14155550123", "16135550123", "4915123456789", "79123456789",
          "77012345678", "5511961234567"]  # fmt: skip
COUNTRIES = ["MX", "US", "CA", "DE", "RU", "KZ", "BR", "mx"]
TIMES = [
    NOW,
    NOW - timedelta(days=3),
    NOW + timedelta(microseconds=1),
    datetime(2026, 11, 15, tzinfo=UTC),
]
times = st.sampled_from(TIMES)
WRITTEN = [
    *(time.isoformat() for time in TIMES),
    *("2026-11-15", "2026-11-01", "2026-11-15T00:00:00+02:00", "2026-11-15T00:00:01Z"),
]
written = st.sampled_from(WRITTEN)
NUMBERS = [0, 1, -1, 2.5, 1.0, 10**12]
numbers = st.sampled_from(NUMBERS)
scalars = words | numbers | st.booleans()
KEYS = ["plan", "o'key", "a.b", "%s", "n"]
#: What an attribute may hold, odd things among it.
STORED: list[Any] = [
    *WORDS,
    *WRITTEN,
    *("2026-11-15T00:00:00Z", "2026-11-15T00:00:00.9Z", "2026-11-20T12:00:00Z", "2026-02-31"),
    *(
        "15.11.2026",
        "2026-13-01",
        "2026-11-15T25:00:00Z",
        "2026-11-15 00:00:00",
        "２０２６-11-15",
        "2026-11-15T00:00:00+00:00",
    ),
    *NUMBERS,
    *(True, False, None),
    *([], ["ana", 1], [1.0, True], [["ana"]], {"ana": 1}, {}),
]
stored = st.sampled_from(STORED)
people = st.builds(
    Person,
    columns=st.fixed_dictionaries(
        {"created_at": times, "opt_in_status": st.sampled_from(["pending", "opted_in"])},
        optional={
            **dict.fromkeys(TEXTS, words),
            "locale": st.sampled_from(["es_MX", "en", "PT-br", "deu_DE"]),
            "timezone": st.sampled_from(["America/Mexico_City", "Europe/Berlin"]),
            "country_code": st.sampled_from(["MX", "GB", "US"]),
            "phone_number": st.sampled_from(PHONES).map("+{}".format),
            "opted_in_at": times,
            "opted_out_at": times,
        },
    ),
    tags=st.lists(words, max_size=3, unique=True),
    attributes=st.dictionaries(st.sampled_from(KEYS), stored, max_size=3),
    heard=st.lists(st.tuples(st.none() | times, st.none() | times), max_size=2),
)


def values_of(kind: Kind, op: str) -> st.SearchStrategy[Any]:
    one: st.SearchStrategy[Any] = {
        Kind.TEXT: words | st.sampled_from(["es_MX", "America/Mexico_City"]),
        Kind.PHONE: st.sampled_from([*PHONES, "+525550001234", "5215550001234", "551161234567"]),
        Kind.COUNTRY: st.sampled_from(COUNTRIES),
        Kind.LANGUAGE: st.sampled_from(["es", "EN", "pt", "deu"]),
        Kind.STATUS: st.sampled_from(["pending", "opted_in", "opted_out"]),
        Kind.TAGS: words,
        Kind.TIME: written,
        Kind.ATTRIBUTE: scalars,
    }[kind]
    match op:
        case "in":
            return st.lists(one, min_size=1, max_size=3)
        case "exists":
            return st.booleans() | st.none()
        case "within":
            return st.integers(1, 12)
        case "before" | "after":
            return written
        case "greater" | "less":
            return numbers
        case "starts_with" if kind is Kind.PHONE:
            return st.sampled_from(["5", "+52", "1", "14155550123"])
        case "starts_with":
            return words
    return one


@st.composite
def conditions(draw: st.DrawFn) -> Json:
    kind = draw(st.sampled_from([Kind.ATTRIBUTE, *Kind]))
    names = [*FIELDS, *(f"contact.attributes.{key}" for key in KEYS)]
    fields = [one for name in names if (one := find_field(name)) and one.kind is kind]
    field = draw(st.sampled_from(fields))
    op = draw(st.sampled_from(OPERATORS[field.kind]))
    return {"field": field.name, "op": op, "value": draw(values_of(field.kind, op))}


filters = st.recursive(
    conditions(),
    lambda inner: (
        st.builds(lambda some: {"all": some}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda some: {"any": some}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda one: {"not": one}, inner)
    ),
    max_leaves=5,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=filters, persons=st.lists(people, min_size=1, max_size=5))
def test_sql_and_python_find_the_same_people(
    link: Link, wanted: Json, persons: list[Person]
) -> None:
    with link.transaction(force_rollback=True):
        ids = insert(link, persons)
        expected = [one for one, p in zip(ids, persons, strict=True) if holds(wanted, p, NOW)]
        assert found(link, wanted) == expected


def test_every_comparison_of_an_attribute_with_everything_that_one_can_hold(clean: Link) -> None:
    persons = [Person(attributes={"plan": value}) for value in STORED] + [Person()]
    ids = insert(clean, persons)
    texts, scalars = [*WORDS, "2026-11-15"], [*WORDS, "2026-11-15", *NUMBERS, True, False]
    asked: dict[str, list[Any]] = {
        **dict.fromkeys(("is", "is_not", "contains"), scalars),
        "in": [[one] for one in scalars] + [["ana", 1, True]],
        "starts_with": texts,
        **dict.fromkeys(("before", "after"), WRITTEN),
        "within": [1, 3, 5, 6, 12],
        "exists": [True, False],
        **dict.fromkeys(("greater", "less"), NUMBERS),
    }
    assert asked.keys() == set(OPERATORS[Kind.ATTRIBUTE])
    for op, values in asked.items():
        for value in values:
            wanted = {"field": "contact.attributes.plan", "op": op, "value": value}
            expected = [one for one, p in zip(ids, persons, strict=True) if holds(wanted, p, NOW)]
            assert found(clean, wanted) == expected, wanted


def test_every_comparison_of_a_time_at_its_borders(clean: Link) -> None:
    near = [time + timedelta(microseconds=by) for time in TIMES for by in (-1, 0, 1)]
    persons = [Person({"created_at": time}) for time in near]
    ids = insert(clean, persons)
    asked = [(op, value) for op in ("before", "after") for value in WRITTEN]
    for op, value in [*asked, *(("within", days) for days in (1, 3, 5, 6))]:
        wanted = {"field": "contact.created_at", "op": op, "value": value}
        expected = [one for one, p in zip(ids, persons, strict=True) if holds(wanted, p, NOW)]
        assert found(clean, wanted) == expected, wanted


def test_every_operator_of_every_field_is_one_that_the_database_plans(clean: Link) -> None:
    """Each alone, on a person with nothing: none is null, so that `not` finds whom it does not."""
    insert(clean, [Person()])
    samples: dict[str, Any] = {
        "in": ["ana"],
        "exists": True,
        "within": 3,
        "before": "2026-11-01",
        "after": "2026-11-01",
        "greater": 1,
        "less": 1,
    }
    kinds = {
        Kind.COUNTRY: "MX",
        Kind.LANGUAGE: "es",
        Kind.STATUS: "opted_in",
        Kind.PHONE: PHONES[0],
    }
    for field in (*FIELDS.values(), find_field("contact.attributes.plan")):
        assert field is not None
        for op in OPERATORS[field.kind]:
            one = kinds.get(field.kind, "ana")
            value = [one] if op == "in" else samples.get(op, one)
            condition = {"field": field.name, "op": op, "value": value}
            assert len(found(clean, condition)) + len(found(clean, {"not": condition})) == 1


# --- what a reader of the docs may hold us to ---


def test_a_missing_value_fulfils_nothing_and_is_not_is_the_contrary_of_is(clean: Link) -> None:
    people = {
        "ana": Person({"company": "Acme"}),
        "ben": Person({"company": "Byte"}),
        "eve": Person(),
    }
    names = dict(zip(insert(clean, list(people.values())), people, strict=True))

    def ask(op: str, value: Any = None) -> set[str]:
        wanted = {"field": "contact.company", "op": op, "value": value}
        return {names[one] for one in found(clean, wanted)}

    assert ask("is", "Acme") == {"ana"}
    assert ask("is_not", "Acme") == {"ben", "eve"}
    assert ask("exists") == {"ana", "ben"}
    assert ask("exists", value=False) == {"eve"}
    nobody = {"field": "contact.company", "op": "contains", "value": "e"}
    assert {names[one] for one in found(clean, {"not": nobody})} == {"eve"}


def test_the_country_is_what_was_said_and_else_the_phone_numbers(clean: Link) -> None:
    people = {
        "said": Person({"country_code": "MX", "phone_number": "+14155550123"}),
        "by phone": Person({"phone_number": "+525550001234"}),
        "canadian": Person({"phone_number": "+16135550123"}),
        "american": Person({"phone_number": "+14155550123"}),
        "unknown": Person({"name": "ana"}),
    }
    names = dict(zip(insert(clean, list(people.values())), people, strict=True))

    def ask(op: str, value: Any) -> set[str]:
        wanted = {"field": "contact.country_code", "op": op, "value": value}
        return {names[one] for one in found(clean, wanted)}

    assert ask("is", "MX") == {"said", "by phone"}
    assert ask("is", "US") == {"american"}
    assert ask("in", ["CA", "MX"]) == {"said", "by phone", "canadian"}
    assert ask("is_not", "US") == {"said", "by phone", "canadian", "unknown"}
    assert ask("exists", False) == {"unknown"}
    assert ask("is", "GG") == set()  # shares its numbers with Great Britain, see countries


def test_one_odd_attribute_costs_its_contact_only(clean: Link) -> None:
    people = {
        "good": Person(attributes={"last_order_at": "2026-11-15"}),
        "no such day": Person(attributes={"last_order_at": "2026-02-31"}),
        "words": Person(attributes={"last_order_at": "yesterday"}),
        "number": Person(attributes={"last_order_at": 20261115}),
        "huge": Person(attributes={"last_order_at": 10**300}),
    }
    within = {"field": "contact.attributes.last_order_at", "op": "within", "value": 30}
    assert who(clean, people, within) == {"good"}
    greater = {"field": "contact.attributes.last_order_at", "op": "greater", "value": 5}
    assert len(found(clean, greater)) == 2


def test_the_times_of_all_the_tenants_numbers_count(clean: Link) -> None:
    old, new = NOW - timedelta(days=40), NOW - timedelta(days=2)
    people = {
        "lately on one of two": Person(heard=[(old, old), (new, new)]),
        "long ago": Person(heard=[(old, new)]),
        "never": Person(),
    }
    within = {"field": "contact.last_inbound_at", "op": "within", "value": 30}
    assert who(clean, people, within) == {"lately on one of two"}
    before = {"field": "contact.last_inbound_at", "op": "before", "value": "2026-11-01"}
    assert found(clean, before) == [UUID(int=2)]
    assert found(clean, {"field": "contact.last_inbound_at", "op": "exists", "value": False}) == [
        UUID(int=3)
    ]
    lately = {"field": "contact.last_message_at", "op": "within", "value": 30}
    assert len(found(clean, lately)) == 2


def test_without_a_time_of_its_own_a_filter_asks_the_databases_clock(clean: Link) -> None:
    today = Person({"created_at": datetime.now(UTC) - timedelta(hours=1)})
    (one, _) = insert(clean, [today, Person({"created_at": NOW - timedelta(days=900)})])
    assert found(clean, {"field": "contact.created_at", "op": "within", "value": 1}, now=None) == [
        one
    ]


@pytest.mark.parametrize(
    "text", ["'; drop table messaging.contacts; --", "%(tenant_id)s", "%s", "{0}", '"', "$1", "\\'"]
)
def test_what_a_caller_writes_is_no_text_of_sql(clean: Link, text: str) -> None:
    (one,) = insert(clean, [Person({"name": text}, tags=[text], attributes={text: text})])
    for field in ("contact.name", "contact.tags", f"contact.attributes.{text}"):
        assert found(clean, {"field": field, "op": "contains", "value": text}) == [one]
    people = select_people(
        InSegment.model_validate(
            {
                "type": "segment",
                "filter": {"field": f"contact.attributes.{text}", "op": "is", "value": text},
            }
        )
    )
    if len(text) > 5:
        assert text not in people.text.as_string(clean).replace("%(tenant_id)s", "")
