"""Two looks of a new person in one body, and what shows that they are one: all of it is stored."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from switchboard.kernel import aws
from tests.databases import ClonedDatabase
from tests.deliveries import (
    SECOND,
    Json,
    Number,
    Place,
    aws_at_hand,
    body_of,
    waiting,
)

ANA, USER = "525550100301", "MX.9001"
US = "15550001111"


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    with aws_at_hand():
        place = Place(database)
        yield place
        place.close()


def change(number: Number, field: str, **parts: object) -> Json:
    metadata = {"display_phone_number": US, "phone_number_id": number.phone_number_id}
    return {"field": field, "value": {"metadata": metadata, **parts}}


def post(place: Place, number: Number, *changes: Json) -> None:
    """Deliver the changes in one body; nothing of it may wait in the backlog or be a letter."""
    assert place.usual.post(body_of([{"id": number.waba_id, "changes": list(changes)}])) == 200
    assert waiting(aws.client("s3")) == []
    assert place.letters() == {}


def one_person(place: Place, number: Number, messages: int) -> None:
    assert place.rows(
        "select kind, value from messaging.contact_identifiers where tenant_id = %s order by 1",
        number.tenant_id,
    ) == [("phone", ANA), ("user_id", USER)]
    assert place.rows(
        "select count(distinct contact_id), count(distinct conversation_id), count(*)"
        " from messaging.whatsapp_messages where tenant_id = %s",
        number.tenant_id,
    ) == [(1, 1, messages)]


def said(n: int, **sender: str) -> Json:
    part = {"id": f"wamid.{n}", "timestamp": str(SECOND + n), "type": "text"}
    return {**part, "text": {"body": str(n)}, **sender}


LOOKS = ({"to": ANA}, {"to_user_id": USER}, {"to": ANA, "to_user_id": USER})


def test_echoes_to_a_number_to_a_user_id_and_to_both_in_every_order(place: Place) -> None:
    for order in itertools.permutations(LOOKS):
        number = place.number()
        echoes = [{"from": US, **said(n, **look)} for n, look in enumerate(order)]
        post(place, number, change(number, "smb_message_echoes", message_echoes=echoes))
        one_person(place, number, 3)


def test_messages_of_two_looks_and_a_change_that_joins_them(place: Place) -> None:
    number = place.number()
    update = {"wa_id": ANA, "user_id": {"current": USER}, "timestamp": str(SECOND)}
    messages = [said(0, **{"from": ANA}), said(1, from_user_id=USER)]
    # Among many others, so that the body is cut more than once.
    others = [said(n, **{"from": f"4915550100{n}"}) for n in range(100, 140)]
    post(
        place,
        number,
        change(number, "messages", messages=[*others, *messages, *others]),
        change(number, "user_id_update", user_id_update=[update]),
    )
    assert place.count("whatsapp_messages") == 42
    assert place.rows(
        "select count(*), max(v.message_count) from messaging.contact_identifiers as i"
        " join messaging.whatsapp_conversations as v using (tenant_id, contact_id)"
        " where i.value in (%s, %s)",
        *(ANA, USER),
    ) == [(2, 2)]


def test_a_body_that_joins_many_pairs_of_known_contacts(place: Place) -> None:
    number = place.number()
    pairs = [(f"4915550100{n}", f"DE.{n}") for n in range(100, 112)]
    for phone, user in pairs:
        messages = [said(0, **{"from": phone}), said(1, from_user_id=user)]
        for part in messages:
            part["id"] += phone
        post(place, number, change(number, "messages", messages=messages))
    updates = [
        {"wa_id": phone, "user_id": {"current": user}, "timestamp": str(SECOND)}
        for phone, user in pairs
    ]
    post(place, number, change(number, "user_id_update", user_id_update=updates))
    assert place.one("select count(*) from messaging.contacts where merged_into is null") == 12
    assert place.count("identity_changes") == 12
