"""Where people come from: the ad or post on their message."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.databases import ClonedDatabase
from tests.deliveries import NOW, Person, Place, message

ANA = Person("4915551234567")
AD = {
    "source_url": "https://fb.example/ad/9",
    "source_id": "120990001",
    "source_type": "ad",
    "headline": "Tazas",
    "body": "A mano",
    "media_type": "video",
    "video_url": "https://video.example/9",
    "ctwa_clid": "AffX-9",
    "welcome_message": {"text": "¡Hola!"},
}


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def test_a_referral_is_found_by_its_ad_and_whole_on_its_message(place: Place) -> None:
    number = place.number()
    tap = {"text": "Hi", "payload": "hi"}
    updates = [
        message(number, "wamid.1", ANA, referral=AD),
        message(number, "wamid.2", ANA, kind="button", content=tap, referral={"source_id": 7}),
        message(number, "wamid.3", ANA, referral="https://fb.example"),
    ]

    place.post(*updates)
    for update in updates:
        place.post(update)

    assert place.rows(
        "select m.metadata -> 'referral', r.source_type, r.source_url, r.headline, r.body,"
        " r.media_type, r.media_url, r.ctwa_clid, r.occurred_at from messaging.referrals as r"
        " join messaging.whatsapp_messages as m on m.id = r.message_id"
        " and m.contact_id = r.contact_id and m.conversation_id = r.conversation_id"
        " where r.source_id = '120990001'"
    ) == [
        (
            *(AD, "ad", "https://fb.example/ad/9", "Tazas", "A mano", "video"),
            *("https://video.example/9", "AffX-9", NOW),
        )
    ]
    assert place.count("referrals") == 2
    assert place.count("whatsapp_messages") == 3


def test_an_id_of_any_length_costs_no_message(place: Place) -> None:
    number = place.number()
    long = "é" * 5000

    place.post(message(number, "wamid.1", ANA, referral={"source_id": long, "ctwa_clid": long}))

    assert place.one("select source_id from messaging.referrals") == long
    assert place.letters() == {}
