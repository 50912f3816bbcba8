"""The four audiences: who is in each, who is in none, and how their queries stand in others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from switchboard.campaigns.audience.kinds import Audience, select_people
from switchboard.kernel.arguments import Arguments
from switchboard.store import contact_lists
from switchboard.store.audiences import People
from tests.databases import ClonedDatabase
from tests.sending import Place, World

Link = psycopg.Connection[Any]
OUT = ("merged", "deleted", "blocked")


class Asked(Arguments):
    """Reads an audience."""

    audience: Audience


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    with closing(World(database)) as world:
        yield world.place()


@pytest.fixture
def link(place: Place, database: ClonedDatabase) -> Iterator[Link]:
    """A connection of `app`, which sees the place's tenant."""
    with psycopg.connect(database.app_url, autocommit=True) as link:
        link.execute(
            "select set_config('switchboard.tenant_id', %s, false)", (str(place.tenant_id),)
        )
        yield link


def people_of(place: Place, audience: dict[str, Any]) -> People:
    return select_people(Asked.model_validate({"audience": audience}).audience)


def contacts(place: Place, audience: dict[str, Any], link: Link) -> set[UUID]:
    people = people_of(place, audience)
    parameters = {**people.parameters, "tenant_id": place.tenant_id, "now": None}
    rows = link.execute(people.text, parameters).fetchall()
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0] for row in rows}


def add(
    place: Place, *, tags: list[str] | None = None, phone: str | None = None, **how: Any
) -> UUID:
    """Add a contact that is reachable unless `how` says merged, deleted or blocked."""
    contact_id = uuid4()
    place.everything.execute(
        "insert into messaging.contacts (tenant_id, id, tags, is_blocked, deleted_at, merged_into)"
        " values (%s, %s, %s, %s, case when %s then now() end, %s)",
        (
            place.tenant_id,
            contact_id,
            tags or [],
            how.get("blocked", False),
            how.get("deleted", False),
            how.get("merged"),
        ),
    )
    if phone is not None:
        place.everything.execute(
            "insert into messaging.contact_identifiers (tenant_id, kind, value, contact_id)"
            " values (%s, 'phone', %s, %s)",
            (place.tenant_id, phone, contact_id),
        )
    return contact_id


def test_all_contacts_but_those_merged_deleted_or_blocked(place: Place, link: Link) -> None:
    one, two = add(place), add(place)
    add(place, merged=one)
    add(place, deleted=True)
    add(place, blocked=True)
    assert contacts(place, {"type": "all_contacts"}, link) == {one, two}


def test_tagged_with_any_or_with_all(place: Place, link: Link) -> None:
    both, vip, other = (add(place, tags=t) for t in (["beta", "vip"], ["vip"], ["other"]))
    for how in ({"merged": both}, {"deleted": True}, {"blocked": True}):
        add(place, tags=["vip", "beta"], **how)
    wanted = {"type": "tagged", "tags": ["vip", "beta"]}
    assert contacts(place, wanted, link) == {both, vip}
    assert contacts(place, {**wanted, "match": "all"}, link) == {both}
    assert contacts(place, {"type": "tagged", "tags": ["VIP"]}, link) == set()
    assert other not in contacts(place, wanted, link)


def test_a_segment_finds_nobody_who_is_merged_deleted_or_blocked(place: Place, link: Link) -> None:
    one = add(place)
    for how in ({"merged": one}, {"deleted": True}, {"blocked": True}):
        add(place, **how)
    # A condition that holds for everybody, and one whose `or` must not escape its brackets.
    nobody = {"field": "contact.tags", "op": "exists", "value": True}
    for wanted in ({"not": nobody}, {"any": [nobody, {"not": nobody}]}):
        assert contacts(place, {"type": "segment", "filter": wanted}, link) == {one}


def test_a_list_given_by_phones_and_ids_is_each_known_person_once(place: Place, link: Link) -> None:
    ana = add(place, phone="525550001234")
    ben, root = add(place), add(place)
    old = add(place, merged=root)
    out = [add(place, deleted=True), add(place, blocked=True)]
    add(place, merged=root, phone="4915550000008")
    wanted = {
        "type": "custom_list",
        "phones": ["+5215550001234", "4915550000009", "4915550000008"],
        "contact_ids": [str(one) for one in (ana, ben, old, *out, uuid4())],
    }
    assert contacts(place, wanted, link) == {ana, ben, root}


def test_a_stored_list_brings_what_it_gives_for_each(place: Place, link: Link) -> None:
    ana, ben = add(place), add(place)
    out = [add(place, blocked=True), add(place, deleted=True), add(place, merged=ana)]
    list_id = uuid4()
    contact_lists.insert(
        link, tenant_id=place.tenant_id, list_id=list_id, name="L", description=None, now=None
    )
    given: dict[UUID, dict[str, str]] = {
        ana: {"code": "A1"},
        ben: {},
        **{one: {"code": "X"} for one in out},
    }
    assert contact_lists.put_members(link, place.tenant_id, list_id, given, now=None) == (5, 0)
    people = people_of(place, {"type": "custom_list", "list_id": str(list_id)})
    rows = link.execute(
        people.text, {**people.parameters, "tenant_id": place.tenant_id, "now": None}
    ).fetchall()
    assert dict(rows) == {ana: {"code": "A1"}, ben: {}}


def test_another_tenants_people_are_in_none_of_them(
    place: Place, link: Link, database: ClonedDatabase
) -> None:
    with closing(World(database)) as world:
        stranger = world.place()
        theirs = add(stranger, tags=["vip"], phone="525550001234")
        for audience in (
            {"type": "all_contacts"},
            {"type": "tagged", "tags": ["vip"]},
            {
                "type": "segment",
                "filter": {"field": "contact.tags", "op": "contains", "value": "vip"},
            },
            {
                "type": "custom_list",
                "phones": ["525550001234"],
                "contact_ids": [str(theirs)],
            },
        ):
            assert contacts(place, audience, link) == set()
            # Each names the tenant itself, also where no policy stands before it.
            people = people_of(place, audience)
            rows = database.superuser_url
            with psycopg.connect(rows) as superuser:
                everything = {**people.parameters, "tenant_id": place.tenant_id, "now": None}
                assert superuser.execute(people.text, everything).fetchall() == []


def test_a_query_of_people_stands_in_another_statement(place: Place, link: Link) -> None:
    """As a campaign freezes its audience: in one statement, with parameters of its own beside."""
    one = add(place, tags=["vip"])
    condition = {"field": "contact.tags", "op": "contains", "value": "vip"}
    people = people_of(place, {"type": "segment", "filter": condition})
    statement = sql.Composed(
        [
            sql.SQL("select people.contact_id, %(slice)s::integer from ("),
            people.text,
            sql.SQL(") as people order by people.contact_id"),
        ]
    )
    parameters = {**people.parameters, "tenant_id": place.tenant_id, "now": None, "slice": 3}
    assert link.execute(statement, parameters).fetchall() == [(one, 3)]


def test_conversations_are_read_only_for_filters_that_ask_for_them(
    place: Place, link: Link
) -> None:
    def plan(field: str) -> str:
        people = people_of(
            place,
            {"type": "segment", "filter": {"field": field, "op": "exists", "value": True}},
        )
        parameters = {**people.parameters, "tenant_id": place.tenant_id, "now": None}
        text = sql.Composed([sql.SQL("explain "), people.text])
        return "\n".join(row[0] for row in link.execute(text, parameters))

    assert "whatsapp_conversations" in plan("contact.last_inbound_at")
    assert "whatsapp_conversations" not in plan("contact.name")
