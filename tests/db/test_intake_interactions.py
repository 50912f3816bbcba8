"""Taps, choices and answers, each one row by its kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.databases import ClonedDatabase
from tests.deliveries import NOW, Json, Person, Place, Update, message

ANA = Person("4915551234567")


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def answer(kind: str, content: Json) -> Json:
    return {"type": kind, kind: content}


def test_every_answer_is_an_interaction_of_its_kind_once(place: Place) -> None:
    number = place.number()
    about: Json = {"context": {"from": "1", "id": "wamid.ours"}}
    flow = {"name": "flow", "response_json": '{"flow_token": "t-1", "stars": 5}'}
    permission = {"response": "reject", "response_source": "user_action"}
    payment = {"payment_method": "offsite_card_pay", "reference_id": "ord-9"}
    told = [
        ("button", {"payload": "STOP-42", "text": "Not me"}),
        ("interactive", answer("button_reply", {"id": "ok", "title": "OK"})),
        ("interactive", answer("list_reply", {"id": "row", "title": "Nine", "description": "…"})),
        ("interactive", answer("nfm_reply", flow)),
        ("interactive", answer("call_permission_reply", permission)),
        ("interactive", answer("payment_method", payment)),
    ]
    updates: list[Update] = [
        message(number, f"wamid.{n}", ANA, kind=kind, content=content, **about)
        for n, (kind, content) in enumerate(told)
    ]

    place.post(*updates)
    for update in reversed(updates):
        place.post(update)

    rows = place.rows(
        "select m.wa_message_id, i.interaction_type, i.button_id, i.button_title, i.metadata,"
        " i.wa_context_id, i.occurred_at from messaging.user_interactions as i"
        " join messaging.whatsapp_messages as m on m.id = i.message_id"
        " and m.contact_id = i.contact_id and m.conversation_id = i.conversation_id"
        " and m.account_id = i.account_id order by 1"
    )
    response = {"flow_token": "t-1", "stars": 5}
    assert [row[:5] for row in rows] == [
        ("wamid.0", "button_tap", "STOP-42", "Not me", {"template": True}),
        ("wamid.1", "button_tap", "ok", "OK", {}),
        ("wamid.2", "list_choice", "row", "Nine", {}),
        (
            *("wamid.3", "flow_completion", None, None),
            {"name": "flow", "flow_token": "t-1", "response_data": response},
        ),
        (
            *("wamid.4", "call_permission", None, None),
            {"response": "reject", "is_permanent": False, "source": "user_action"},
        ),
        ("wamid.5", "payment_method", None, None, payment),
    ]
    assert {row[5:] for row in rows} == {("wamid.ours", NOW)}


def test_what_is_no_answer_is_no_interaction(place: Place) -> None:
    number = place.number()

    place.post(
        message(number, "wamid.1", ANA),
        message(number, "wamid.2", ANA, kind="interactive", content={"type": "button_reply"}),
        message(number, "wamid.3", ANA, kind="interactive", content=answer("tomorrow", {})),
    )

    assert place.count("user_interactions") == 0
    assert place.count("whatsapp_messages") == 3


@pytest.mark.parametrize("raw", ["[1, {", "null", "[1, 2]", '"text"', '{"a": "\\u0000"}', "", None])
def test_an_answer_that_is_no_object_is_kept_as_it_came(place: Place, raw: str | None) -> None:
    number = place.number()
    content = answer("nfm_reply", {"name": "flow", "response_json": raw})

    place.post(message(number, "wamid.1", ANA, kind="interactive", content=content))

    assert place.one("select content from messaging.whatsapp_messages") == content
    assert place.one("select metadata from messaging.user_interactions") == {
        "name": "flow",
        "flow_token": None,
        "response_data": None,
    }
    assert place.letters() == {}
