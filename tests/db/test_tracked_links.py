"""Tracked links in the database: written with their message, counted once, found by nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from switchboard.store import links
from tests.databases import ClonedDatabase
from tests.sending import Person, Place, World

TOKEN = "t" * 32
SHOP = "https://shop.example/sale?x=1#top"


@pytest.fixture
def world(database: ClonedDatabase) -> Iterator[World]:
    with closing(World(database)) as world:
        yield world


def put(place: Place, person: Person, *tokens: str, label: str | None = "Open") -> str:
    """Write links as the transaction does that stores their message; return the message's id."""
    message_id = str(uuid4())
    rows = [
        {
            "m": message_id,
            "a": str(place.account_id),
            "c": str(person.contact_id),
            "v": str(person.conversation_id),
            "d": {"tk": token, "u": SHOP, "la": label},
        }
        for token in tokens
    ]
    with place.everything.transaction():
        place.everything.execute(
            "select messaging.outgoing_effect_tracked_link(%s, %s::jsonb, %s)",
            (place.tenant_id, json.dumps(rows), place.time.now),
        )
    return message_id


def follow(world: World, place: Place, token: str = TOKEN, *, counts: bool = True) -> str | None:
    connection = world.tools().db.connection()
    return links.resolve(connection, token, counts=counts, now=place.time.now)


def link(place: Place) -> dict[str, Any]:
    (row,) = place.rows("tracked_links")
    return row


def test_a_link_is_written_with_its_message_and_followed(world: World) -> None:
    place = world.place()
    person = place.person()
    message_id = put(place, person, TOKEN)
    row = link(place)
    assert (row["url"], row["label"], str(row["message_id"])) == (SHOP, "Open", message_id)
    assert (row["contact_id"], row["conversation_id"], row["account_id"]) == (
        person.contact_id,
        person.conversation_id,
        place.account_id,
    )
    assert (row["tap_count"], row["first_tapped_at"]) == (0, None)
    assert follow(world, place) == SHOP
    (tap,) = place.rows("user_interactions")
    assert (tap["interaction_type"], tap["button_title"], tap["button_url"]) == (
        "cta_button_tap",
        "Open",
        SHOP,
    )
    assert (tap["contact_id"], tap["conversation_id"]) == (
        person.contact_id,
        person.conversation_id,
    )
    assert (tap["message_id"], tap["occurred_at"]) == (None, place.time.now)
    assert tap["metadata"] == {"link_id": str(row["id"]), "message_id": message_id}


def test_one_tap_counts_in_two_seconds(world: World) -> None:
    place = world.place()
    put(place, place.person(), TOKEN)
    first = place.time.now
    for seconds in (0, 1.9, 0.1, 1.5):  # at 0, 1.9, 2 and 3.5
        place.time.turn(seconds=seconds)
        assert follow(world, place) == SHOP
    row = link(place)
    assert (row["tap_count"], row["first_tapped_at"]) == (2, first)
    assert row["last_tapped_at"] == first + timedelta(seconds=2)
    assert len(place.rows("user_interactions")) == 2


def test_taps_at_once_are_one(world: World) -> None:
    place = world.place()
    put(place, place.person(), TOKEN)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: follow(world, place), range(24))) == {SHOP}
    assert link(place)["tap_count"] == 1
    assert len(place.rows("user_interactions")) == 1


def test_who_only_looks_is_not_counted(world: World) -> None:
    place = world.place()
    put(place, place.person(), TOKEN)
    assert follow(world, place, counts=False) == SHOP
    assert link(place)["tap_count"] == 0
    assert place.rows("user_interactions") == []


def test_a_link_ends_after_a_year_and_an_unknown_one_leads_nowhere(world: World) -> None:
    place = world.place()
    put(place, place.person(), TOKEN)
    assert follow(world, place, "T" * 32) is None
    assert follow(world, place, "") is None
    place.time.turn(days=364)
    assert follow(world, place) == SHOP
    place.time.turn(days=2)
    assert follow(world, place) is None
    assert link(place)["tap_count"] == 1


def test_a_token_is_one_link_of_one_tenant(world: World) -> None:
    place, other = world.place(), world.place()
    put(place, place.person(), TOKEN)
    with pytest.raises(psycopg.errors.UniqueViolation):
        put(other, other.person(), TOKEN)


def test_a_link_leads_only_where_a_browser_goes(world: World) -> None:
    place = world.place()
    put(place, place.person(), TOKEN)
    for url in ("javascript:alert(1)", "//evil.example", "https://x/" + "a" * 2000):
        with pytest.raises(psycopg.errors.CheckViolation):
            place.everything.execute("update messaging.tracked_links set url = %s", (url,))


def test_a_merge_takes_links_and_taps_along(world: World) -> None:
    place = world.place()
    winner, loser = place.person(), place.person()
    put(place, loser, TOKEN)
    follow(world, place)
    place.everything.execute(
        "select messaging.merge_contacts(%s, %s::uuid[], 'late_pairing')",
        (place.tenant_id, [winner.contact_id, loser.contact_id]),
    )
    place.time.turn(seconds=10)
    follow(world, place)
    roots = {row["id"] for row in place.rows("contacts") if row["merged_into"] is None}
    assert {link(place)["contact_id"]} == roots
    taps = place.rows("user_interactions")
    assert [{tap["contact_id"]} for tap in taps] == [roots, roots]
    assert {tap["conversation_id"] for tap in taps} == {link(place)["conversation_id"]}


def test_a_tap_waits_for_a_merge_that_is_under_way(world: World) -> None:
    """Else it would name a contact that is no more."""
    place = world.place()
    put(place, place.person(), TOKEN)
    connection = world.tools().db.connection()
    connection.execute("set lock_timeout = '50ms'")
    with psycopg.connect(world.database.superuser_url) as merging:
        merging.execute(
            "select pg_advisory_xact_lock(hashtextextended(%s, 7))", (str(place.tenant_id),)
        )
        with pytest.raises(psycopg.errors.LockNotAvailable):
            links.resolve(connection, TOKEN, counts=True, now=place.time.now)
        assert links.resolve(connection, TOKEN, counts=False, now=place.time.now) == SHOP
    assert link(place)["tap_count"] == 0


def test_a_number_that_goes_takes_its_links_along(world: World) -> None:
    place = world.place()
    put(place, place.person(), TOKEN)
    place.everything.execute("delete from messaging.whatsapp_accounts")
    assert follow(world, place) is None
