"""Whether we may call a person: what they said last, in whatever order it came."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from tests.databases import ClonedDatabase
from tests.deliveries import SECOND, Number, Person, Place, Update, message

PHONE, USER = "4915551234567", "DE.9001aB"
PERMISSION = (
    "select response, is_permanent, expires_at, source, told_at"
    " from messaging.call_permissions where account_id = %s"
)


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def reply(
    number: Number, wamid: str, offset: int, said: dict[str, Any], person: Person | None = None
) -> Update:
    content = {"type": "call_permission_reply", "call_permission_reply": said}
    sender = person or Person(PHONE)
    return message(number, wamid, sender, SECOND + offset, kind="interactive", content=content)


SAID: list[tuple[int, dict[str, Any]]] = [
    (1, {"response": "accept", "is_permanent": True}),
    (9, {"response": "reject", "response_source": "user_action"}),
    (9, {"response": "accept", "expiration_timestamp": "1790604800", "response_source": "auto"}),
    (5, {"response": "reject"}),
]


@pytest.mark.parametrize("together", [True, False], ids=["one body", "many bodies"])
def test_what_was_said_last_holds_in_every_order(place: Place, *, together: bool) -> None:
    ends = set()
    for order in permutations(SAID):
        number = place.number()
        updates = [reply(number, f"wamid.{SAID.index(said)}", said[0], said[1]) for said in order]
        for batch in [updates] if together else [[update] for update in updates]:
            place.post(*batch)
        place.post(*updates)
        ((*end,),) = place.rows(PERMISSION, number.account_id)
        ends.add(tuple(end))
    # Of the two of one second it is always the same one.
    assert len(ends) == 1
    assert ends.pop()[4] == datetime.fromtimestamp(SECOND + 9, UTC)


def test_a_permission_has_its_end_as_a_string_or_a_number_and_a_permanent_one_none(
    place: Place,
) -> None:
    end = datetime.fromtimestamp(1_790_604_800, UTC)
    for said, expected in (
        ({"expiration_timestamp": "1790604800"}, (False, end)),
        ({"expiration_timestamp": 1790604800}, (False, end)),
        ({"is_permanent": True}, (True, None)),
        ({}, (False, None)),
    ):
        number = place.number()
        place.post(reply(number, "wamid.1", 0, {"response": "accept", **said}))
        assert place.rows(PERMISSION, number.account_id)[0][:3] == ("accept", *expected)


def test_each_number_has_its_own_permission(place: Place) -> None:
    first = place.number()
    second = place.number(first.tenant_id)

    place.post(
        reply(first, "wamid.1", 0, {"response": "accept", "is_permanent": True}),
        reply(second, "wamid.1", 0, {"response": "reject"}),
    )

    assert place.rows(PERMISSION, first.account_id)[0][0] == "accept"
    assert place.rows(PERMISSION, second.account_id)[0][0] == "reject"


@pytest.mark.parametrize("newest", [0, 1])
@pytest.mark.parametrize("others", [0, 1])
def test_two_who_turn_out_to_be_one_have_what_was_said_last(
    place: Place, newest: int, others: int
) -> None:
    number = place.number()
    sibling = place.number(number.tenant_id)
    looks = [Person(PHONE), Person(None, USER)]
    for n, look in enumerate(looks):
        offset = 10 if n == newest else 0
        place.post(reply(number, f"wamid.{n}", offset, {"response": f"said {n}"}, look))
    place.post(reply(sibling, "wamid.s", 0, {"response": "only"}, looks[others]))

    place.post(message(number, "wamid.2", Person(PHONE, USER)))

    (winner,) = place.rows("select id from messaging.contacts where merged_into is null")
    assert place.rows(
        "select account_id, contact_id, response from messaging.call_permissions order by response"
    ) == [
        (sibling.account_id, *winner, "only"),
        (number.account_id, *winner, f"said {newest}"),
    ]
