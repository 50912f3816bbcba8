"""Whatever signed body comes: the answer is 200, and each part of it is a row or a letter."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.kernel.errors import NotJson
from switchboard.whatsapp.webhook import Item, Malformed, Message, Status, Unhandled, parse
from tests.databases import ClonedDatabase
from tests.deliveries import Place
from tests.mutations import BODIES, dump, examples, mutated_bodies


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    """A tenant that has every number of the payload files."""
    place = Place(database)
    tenant = place.tenant()
    for waba_id, number in sorted(addresses()):
        place.everything.execute(
            "insert into messaging.whatsapp_business_accounts (tenant_id, waba_id) values (%s, %s)"
            " on conflict do nothing",
            (tenant, waba_id),
        )
        place.everything.execute(
            "insert into messaging.whatsapp_accounts (tenant_id, waba_id, phone_number_id,"
            " phone_number, display_name) values (%s, %s, %s, %s, 'N') on conflict do nothing",
            (tenant, waba_id, number, f"+1{number[-13:]}"),
        )
    yield place
    place.close()


def addresses() -> set[tuple[str, str]]:
    return {
        (item.waba_id, item.phone_number_id)
        for body in BODIES.values()
        for item in parse(dump(body))
        if item.waba_id and item.phone_number_id
    }


def is_kept(place: Place, item: Item) -> bool:
    """Whether the item is a row, or a letter that holds its bytes."""
    letters = {body for bodies in place.letters().values() for body in bodies}
    match item:
        case Message():
            known = place.rows(
                "select 1 from messaging.message_keys where wa_message_id = %s", item.id
            )
        case Status():
            known = place.rows(
                "select 1 from messaging.message_status_events where wa_message_id = %s", item.id
            )
        case Malformed():
            return item.body in letters
        case Unhandled():
            known = []
        case _:
            return True  # what an event changes is its own tests' business
    return bool(known) or any(parse(letter) == [item] for letter in letters)


def test_no_mutated_body_is_refused_and_nothing_of_it_is_lost(place: Place) -> None:
    # Rows of earlier examples would answer for later ones.
    tables = "message_keys, message_status_events, webhook_dead_letters, contacts"

    @given(mutated_bodies())
    @examples(120)
    def deliver(body: Any) -> None:
        place.everything.execute(
            "truncate " + ", ".join(f"messaging.{name}" for name in tables.split(", ")) + " cascade"
        )
        raw = dump(body)

        assert place.usual.post(raw) == 200

        for item in parse(raw):
            assert is_kept(place, item), item

    deliver()


def test_no_bytes_are_refused(place: Place) -> None:
    @given(st.sampled_from(sorted(BODIES)), st.data())
    @examples(80)
    def deliver(name: str, data: st.DataObject) -> None:
        body = bytearray(dump(BODIES[name]))
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(body) - 1))
            match data.draw(st.sampled_from(["change", "cut", "insert"])):
                case "change":
                    body[at] = data.draw(st.integers(0, 255))
                case "cut":
                    del body[max(at, 1) :]
                case _:
                    body[at:at] = data.draw(st.binary(min_size=1, max_size=4))
        raw = bytes(body)

        assert place.usual.post(raw) == 200

        try:
            parse(raw)
        except NotJson:
            letters = place.rows(
                "select reason from messaging.webhook_dead_letters where sha256 = %s",
                hashlib.sha256(raw).digest(),
            )
            assert letters == [("not_json",)]

    deliver()
