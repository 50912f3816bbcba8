"""Shared places: eight decimals, the whole range, and nothing beyond it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.databases import ClonedDatabase
from tests.deliveries import NOW, Person, Place, message

ANA = Person("4915551234567")


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def test_a_place_is_kept_with_eight_decimals_beside_its_message(place: Place) -> None:
    number = place.number()
    told = {"latitude": 19.123456789, "longitude": -99.133209, "name": "Zócalo", "address": "Plaza"}

    place.post(message(number, "wamid.1", ANA, kind="location", content=told))

    assert place.rows(
        "select l.latitude, l.longitude, l.name, l.address, l.url, l.occurred_at,"
        " m.wa_message_id, l.conversation_id = m.conversation_id, l.contact_id = m.contact_id"
        " from messaging.user_locations as l"
        " join messaging.whatsapp_messages as m on m.id = l.message_id"
    ) == [
        (
            *(Decimal("19.12345679"), Decimal("-99.13320900"), "Zócalo", "Plaza", None, NOW),
            *("wamid.1", True, True),
        )
    ]


def test_the_ends_of_the_world_are_places_and_what_is_beyond_is_a_message_only(
    place: Place,
) -> None:
    number = place.number()
    ends = [(90, 180), (-90, -180), (0, 0), (89.9999999999, -179.9999999999)]
    beyond = [(90.00000001, 0), (0, -180.5), (-91, 0), ("52.5", "13.4"), (None, 1), (True, 1)]

    place.post(
        *(
            message(
                number,
                f"wamid.{n}",
                ANA,
                kind="location",
                content={"latitude": latitude, "longitude": longitude},
            )
            for n, (latitude, longitude) in enumerate(ends + beyond)
        )
    )

    assert place.rows("select latitude, longitude from messaging.user_locations order by 1, 2") == [
        (Decimal(-90), Decimal(-180)),
        (Decimal(0), Decimal(0)),
        *[(Decimal(90), Decimal(-180)), (Decimal(90), Decimal(180))],
    ]
    assert place.count("whatsapp_messages") == len(ends + beyond)
    assert place.letters() == {}


def test_a_place_that_comes_again_is_one_place(place: Place) -> None:
    number = place.number()
    told = {"latitude": 1.5, "longitude": 2.5}
    update = message(number, "wamid.1", ANA, kind="location", content=told)
    other = message(number, "wamid.2", ANA, kind="location", content=told, group_id="group")

    for updates in ([update], [update, other], [other, update, update]):
        place.post(*updates)

    assert place.count("user_locations") == 2
