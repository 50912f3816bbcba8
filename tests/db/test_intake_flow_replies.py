"""A filled-in flow completes its session: once, with the newest answer, in the database's time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import permutations
from uuid import UUID

import psycopg
import pytest

from tests.databases import ClonedDatabase
from tests.deliveries import NOW, SECOND, Json, Number, Person, Place, Update, message

ANA = Person("4915551234567")


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def opened(place: Place, number: Number, token: str, status: str = "pending") -> UUID:
    """Open a session, as a feature that sends flows does."""
    place.post(message(number, f"wamid.first.{token}", ANA))
    session: UUID = place.one(
        "insert into messaging.flow_sessions (tenant_id, account_id, conversation_id, contact_id,"
        " flow_id, flow_token, flow_type, status) select tenant_id, account_id, id, contact_id,"
        " 'flow-1', %s, 'navigate', %s from messaging.whatsapp_conversations"
        " where account_id = %s returning id",
        token,
        status,
        number.account_id,
    )
    return session


def reply(number: Number, wamid: str, answer: Json, offset: int = 0) -> Update:
    content = {
        "type": "nfm_reply",
        "nfm_reply": {"name": "flow", "response_json": json.dumps(answer)},
    }
    return message(number, wamid, ANA, SECOND + offset, kind="interactive", content=content)


SESSION = "select status, response_data, responded_at from messaging.flow_sessions where id = %s"


@pytest.mark.parametrize("together", [True, False], ids=["one body", "many bodies"])
def test_the_newest_answer_stays_in_every_order(place: Place, *, together: bool) -> None:
    answers = [(0, "a"), (7, "b"), (7, "c"), (3, "d")]
    for n, order in enumerate(permutations(answers)):
        number, token = place.number(), f"t-{n}"
        session = opened(place, number, token)
        updates = [
            reply(number, f"wamid.{said}", {"flow_token": token, "said": said}, offset)
            for offset, said in order
        ]
        # The tokens differ between the orders, and with them which of the two of one second wins.
        for batch in [updates] if together else [[update] for update in updates]:
            place.post(*batch)
        ((status, answer, at),) = place.rows(SESSION, session)
        assert (status, at) == ("completed", NOW + timedelta(seconds=7))
        assert answer["said"] in "bc"
        place.post(*updates)
        assert place.rows(SESSION, session) == [(status, answer, at)]


def test_two_answers_of_one_second_end_alike_in_either_order(place: Place) -> None:
    ends = []
    for order in ("bc", "cb"):
        number = place.number()
        session = opened(place, number, "t-1")
        for said in order:
            place.post(reply(number, f"wamid.{said}", {"flow_token": "t-1", "said": said}))
        ends.append(place.rows(SESSION, session))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("status", ["pending", "in_progress", "expired", "failed"])
def test_the_database_says_when_it_was_completed_and_keeps_it(place: Place, status: str) -> None:
    number = place.number()
    session = opened(place, number, "t-1", status)
    assert place.one("select completed_at from messaging.flow_sessions") is None
    before = place.one("select clock_timestamp()")

    place.post(reply(number, "wamid.1", {"flow_token": "t-1"}))
    at = place.one("select completed_at from messaging.flow_sessions where id = %s", session)
    place.post(reply(number, "wamid.2", {"flow_token": "t-1", "again": True}, 60))
    place.everything.execute(
        "update messaging.flow_sessions set completed_at = null, status = 'completed'"
    )

    assert before < at < place.one("select clock_timestamp()")
    assert place.one("select completed_at from messaging.flow_sessions") == at


def test_a_token_of_nobody_of_another_number_or_none_completes_nothing(place: Place) -> None:
    number = place.number()
    session = opened(place, number, "t-1")
    sibling, stranger = place.number(number.tenant_id), place.number()

    place.post(
        reply(sibling, "wamid.1", {"flow_token": "t-1"}),
        reply(stranger, "wamid.1", {"flow_token": "t-1"}),
        reply(number, "wamid.1", {"flow_token": "t-2"}),
        reply(number, "wamid.2", {"flow_token": "unused"}),
        reply(number, "wamid.3", {"stars": 5}),
    )

    assert place.rows(SESSION, session) == [("pending", None, None)]
    assert place.count("user_interactions") == 5
    assert place.letters() == {}


def test_no_session_has_the_token_that_says_none(place: Place) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        opened(place, place.number(), "unused")
