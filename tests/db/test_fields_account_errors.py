"""Errors of an account are kept for people to read: once a delivery, however often it comes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from switchboard.store.events import SYSTEM_TENANT
from tests.databases import ClonedDatabase
from tests.deliveries import NOW, SECOND, Environment, Number, Person, Place, body_of, message
from tests.field_changes import Json, entry, payload, post

RATE = {"code": 130429, "title": "Rate limit hit"}
#: The beginning of an hour: what comes within it is told apart from what comes in the next.
HOUR = NOW.replace(minute=0, second=0)


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def told(number: Number, *errors: Json, at: int | None = None, **beside: Any) -> bytes:
    value = {"errors": list(errors), **beside}
    return body_of([entry(number, "messages", value, at, metadata=True)])


def text(number: Number, wamid: str) -> Json:
    part: Json = message(number, wamid, Person("4915550000001")).part
    return part


def logged(place: Place) -> list[tuple[Any, ...]]:
    return place.rows(
        "select field, event, n.phone_number_id, occurred_at"
        " from messaging.whatsapp_account_events as e"
        " left join messaging.whatsapp_accounts as n on n.id = e.account_id"
        " order by e.created_at, event"
    )


def at(place: Place, minutes: int) -> Environment:
    return place.environment(now=HOUR + timedelta(minutes=minutes))


def test_errors_are_events_of_the_number_they_came_to(place: Place) -> None:
    number = place.number()
    post(place, *payload("account_errors_several", place, number))
    assert [row[:3] for row in logged(place)] == [
        ("account_errors", code, number.phone_number_id) for code in ("131000", "131016", "unknown")
    ]
    detail = place.one(
        "select detail from messaging.whatsapp_account_events where event = '131016'"
    )
    assert detail["errors"] == [{"code": "131016", "title": "Service unavailable"}]
    assert detail["contacts"][0]["wa_id"] == "5215550100301"


def test_errors_beside_a_message_do_not_hold_it_up(place: Place) -> None:
    number = place.number()
    post(place, *payload("interactive_not_serialised", place, number))
    assert place.count("whatsapp_messages") == 1
    assert place.one("select detail -> 'beside' from messaging.whatsapp_account_events") == [
        "wamid.IN0044"
    ]


def test_what_comes_again_at_once_is_the_same_and_what_comes_later_is_not(place: Place) -> None:
    number = place.number()
    for minutes in (0, 1, 59):
        assert at(place, minutes).post(told(number, RATE)) == 200
    assert place.count("whatsapp_account_events") == 1
    for minutes in (60, 61, 600):
        assert at(place, minutes).post(told(number, RATE)) == 200
    assert place.count("whatsapp_account_events") == 3


def test_with_the_entrys_time_it_is_the_same_for_ever(place: Place) -> None:
    number = place.number()
    for minutes, second in ((0, SECOND), (600, SECOND), (600, SECOND + 1)):
        assert at(place, minutes).post(told(number, RATE, at=second)) == 200
    assert [int(row[3].timestamp()) for row in logged(place)] == [SECOND, SECOND + 1]


def test_two_deliveries_with_messages_of_their_own_are_two(place: Place) -> None:
    number = place.number()
    for wamid in ("wamid.1", "wamid.2", "wamid.2"):
        body = told(number, RATE, messages=[text(number, wamid)])
        assert at(place, 0).post(body) == 200
    assert place.count("whatsapp_account_events") == 2
    assert place.count("whatsapp_messages") == 2


def test_any_news_without_a_time_is_news_again_in_another_hour(place: Place) -> None:
    number = place.number()
    security = body_of([entry(number, "security", {"event": "PIN_CHANGED"}, None)])
    for minutes in (0, 59, 60):
        assert at(place, minutes).post(security) == 200
    assert [row[:2] for row in logged(place)] == [("security", "PIN_CHANGED")] * 2


def test_errors_of_a_number_that_nobody_has_wait_for_its_registration(place: Place) -> None:
    number = place.number()
    stranger = Number(number.tenant_id, number.account_id, "299999999999999", "399999999999999")
    body = told(stranger, RATE, messages=[text(number, "wamid.1")])
    assert at(place, 0).post(body) == 200
    ((tenant, reason),) = place.letters()
    assert (tenant, reason) == (SYSTEM_TENANT, "unknown_number")
    place.everything.execute(
        "update messaging.whatsapp_accounts set phone_number_id = %s", (stranger.phone_number_id,)
    )
    for letter in place.letters()[tenant, reason]:
        assert at(place, 600).post(letter) == 200
    assert place.count("whatsapp_messages") == 1
    assert [row[:3] for row in logged(place)] == [
        ("account_errors", "130429", stranger.phone_number_id)
    ]


def test_errors_without_a_number_are_the_accounts(place: Place) -> None:
    number = place.number()
    post(place, entry(number, "messages", {"errors": [RATE]}))
    assert [row[1:3] for row in logged(place)] == [("130429", None)]
