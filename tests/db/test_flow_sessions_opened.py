"""A message with a Flow carries a token and opens its session; a caller's used token is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from switchboard import outbox
from switchboard.kernel.clock import uuid7
from switchboard.kernel.errors import Unprocessable
from switchboard.outbox.effects import with_effects
from switchboard.outbox.outgoing import Outgoing
from switchboard.outbox.request import read
from tests.crash.meta import Meta
from tests.databases import ClonedDatabase
from tests.sending import Person, Place, World

Json = dict[str, Any]


@pytest.fixture
def world(database: ClonedDatabase) -> Iterator[World]:
    with closing(World(database)) as world:
        yield world


@pytest.fixture
def place(world: World) -> Place:
    return world.place()


def flow(**more: Any) -> Json:
    parameters = {"flow_message_version": "3", "flow_id": "66", "flow_cta": "Book", **more}
    return {
        "type": "interactive",
        "interactive": {
            "type": "flow",
            "body": {"text": "Book a slot"},
            "action": {"name": "flow", "parameters": parameters},
        },
    }


def template(*components: Json) -> Json:
    return {
        "type": "template",
        "template": {"name": "invite", "language": {"code": "en"}, "components": list(components)},
    }


def asked(message: Json, **more: Any) -> Outgoing:
    return read({"from": "1", "to": "4915551234567", "message": message, **more})


def token_of(item: Outgoing) -> Any:
    return item.message["interactive"]["action"]["parameters"]["flow_token"]


def test_a_flow_without_a_token_gets_an_unguessable_one_of_its_own() -> None:
    for given in ({}, {"flow_token": "unused"}):
        tokens = {token_of(asked(flow(**given))) for _ in range(50)}
        assert len(tokens) == 50
        assert min(map(len, tokens)) >= 22  # 128 bits in base64
    item = asked(flow(flow_action="data_exchange"))
    # All else stands as it was asked for.
    assert item.message == flow(flow_action="data_exchange", flow_token=token_of(item))
    (effect,) = item.effects
    assert (effect["k"], effect["tk"], effect["own"]) == ("flow_session", token_of(item), False)


def test_a_callers_own_token_is_kept_and_its_request_stays_the_same_request() -> None:
    item = asked(flow(flow_token="t-1"), idempotency_key="k")
    assert item.message == flow(flow_token="t-1")
    assert [effect["own"] for effect in item.effects] == [True]
    # The digest is the caller's body's, not that of a message with a token of ours.
    both = [asked(flow(), idempotency_key="k") for _ in range(2)]
    assert both[0].sha256 == both[1].sha256
    assert token_of(both[0]) != token_of(both[1])


@pytest.mark.parametrize("token", ["x" * 201])
def test_a_token_that_no_session_can_hold_names_its_field(token: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        asked(flow(flow_token=token))
    assert refused.value.field == "message.interactive.action.parameters.flow_token"


def test_a_template_with_the_button_of_a_flow_gets_a_token_in_the_button() -> None:
    body = {"type": "body", "parameters": [{"type": "text", "text": "Ana"}]}
    bare = {"type": "button", "sub_type": "flow", "index": "0"}
    data = {"flow_action_data": {"seats": 2}}
    full = {**bare, "index": "1", "parameters": [{"type": "action", "action": data}]}
    given = template(body, bare, full)
    before = json.dumps(given)

    item = with_effects(Outgoing(phone_number_id="1", phone="4915551234567", message=given))

    first, second = (effect["tk"] for effect in item.effects)
    assert first != second
    filled = {"type": "action", "action": {**data, "flow_token": second}}
    assert item.message == template(
        body,
        {**bare, "parameters": [{"type": "action", "action": {"flow_token": first}}]},
        {**full, "parameters": [filled]},
    )
    assert [effect["x"] for effect in item.effects] == [{}, {"seats": 2}]
    assert json.dumps(given) == before  # the caller's own object is left alone


def test_other_messages_pass_as_they_are() -> None:
    for message in (
        {"type": "text", "text": {"body": "hi"}},
        template({"type": "button", "sub_type": "url", "index": "0", "parameters": []}),
        {"type": "template", "template": {"name": "n", "language": {"code": "en"}}},
    ):
        item = Outgoing(phone_number_id="1", phone="4915551234567", message=message)
        assert with_effects(item) is item


def test_effects_are_made_once() -> None:
    item = asked(flow())
    assert with_effects(item) is item


# --- in the database ---


def row(place: Place, person: Person, message_id: UUID, *effects: Json) -> Json:
    """Return what messaging.reserve_sends says of a message it has stored."""
    return {
        "m": str(message_id),
        "a": str(place.account_id),
        "c": str(person.contact_id),
        "v": str(person.conversation_id),
        "e": list(effects),
    }


def apply(world: World, place: Place, *rows: Json) -> None:
    """Apply effects as messaging.reserve_sends does, in the tenant's transaction."""
    with world.tools().db.transaction(place.tenant_id) as connection:
        connection.execute(
            "select messaging.outgoing_effects(%s, %s, %s)",
            (place.tenant_id, json.dumps(rows), place.time.now),
        )


def test_each_stored_message_opens_its_session(world: World, place: Place) -> None:
    people = [place.person() for _ in range(3)]
    items = [
        asked(flow(flow_action_payload={"screen": "START", "data": {"name": "Ana"}})),
        asked(flow(flow_id=None, flow_name="booking", flow_action="data_exchange")),
        with_effects(
            Outgoing(
                phone_number_id="1",
                phone="4915551234567",
                message=template({"type": "button", "sub_type": "flow", "index": "0"}),
            )
        ),
    ]
    ids = [uuid7() for _ in items]

    apply(
        world,
        place,
        *(
            row(place, person, message_id, *item.effects)
            for person, message_id, item in zip(people, ids, items, strict=True)
        ),
    )

    shown = {
        found["message_id"]: (
            found["flow_id"],
            found["flow_name"],
            found["template_name"],
            found["flow_type"],
            found["session_data"],
        )
        for found in place.rows("flow_sessions")
    }
    first = {"screen": "START", "data": {"name": "Ana"}}
    assert shown == {
        ids[0]: ("66", None, None, "navigate", first),
        ids[1]: (None, "booking", None, "data_exchange", {}),
        ids[2]: (None, None, "invite", "navigate", {}),
    }
    for person, message_id, item in zip(people, ids, items, strict=True):
        (found,) = place.rows("flow_sessions", message_id=message_id)
        assert found["flow_token"] == item.effects[0]["tk"]
        assert (found["account_id"], found["contact_id"], found["conversation_id"]) == (
            place.account_id,
            person.contact_id,
            person.conversation_id,
        )
        assert found["status"] == "pending"
        assert found["created_at"] == place.time.now
        assert found["expires_at"] == place.time.now + timedelta(hours=24)


@pytest.mark.parametrize(
    ("components", "end"),
    [
        ([{"type": "BODY"}, {"type": "BUTTONS", "buttons": [
            {"type": "QUICK_REPLY"},
            {"type": "FLOW", "flow_id": "77", "flow_action": "DATA_EXCHANGE"},
        ]}], ("77", "data_exchange")),
        ([{"type": "buttons", "buttons": [{}, {"type": "FLOW", "flow_id": 78}]}],
         ("78", "navigate")),
        ([{"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY"}]}], (None, "navigate")),
        ([{"type": "BUTTONS", "buttons": 7}, 8, None, {"type": 9}], (None, "navigate")),
        ({"odd": True}, (None, "navigate")),
        (None, (None, "navigate")),
    ],
)  # fmt: skip
def test_which_flow_a_template_opens_is_told_by_the_template(
    world: World, place: Place, components: Any, end: Any
) -> None:
    for waba_id, language in ((place.waba_id, "en"), (place.waba_id, "de")):
        place.everything.execute(
            "insert into messaging.whatsapp_templates (tenant_id, waba_id, name, language,"
            " components) values (%s, %s, 'invite', %s, %s)",
            (
                place.tenant_id,
                waba_id,
                language,
                json.dumps(components if language == "en" else [{"type": "BODY"}]),
            ),
        )
    message = template({"type": "button", "sub_type": "flow", "index": "1"})
    item = with_effects(Outgoing(phone_number_id="1", phone="4915551234567", message=message))
    apply(world, place, row(place, place.person(), uuid7(), *item.effects))
    (found,) = place.rows("flow_sessions")
    assert (found["flow_id"], found["flow_type"]) == end
    assert found["template_name"] == "invite"


def test_a_token_that_was_used_keeps_its_first_message(world: World, place: Place) -> None:
    person, other = place.person(), world.place()
    (effect,) = asked(flow(flow_token="t-1")).effects
    first, second = uuid7(), uuid7()
    for message_id in (first, second):
        apply(world, place, row(place, person, message_id, effect))
    # Another tenant's tokens are its own.
    apply(world, other, row(other, other.person(), uuid7(), effect))

    assert [found["message_id"] for found in place.rows("flow_sessions")] == [first]
    assert len(other.rows("flow_sessions")) == 1


# --- on the road ---


def send(world: World, place: Place, *tokens: str, key: str | None = None) -> list[tuple[int, Any]]:
    """Send Flows to one person; return status and the field that a problem names."""
    tools = world.tools(place.time.clock(), transport=Meta())
    person = place.person()
    items = [
        read(
            {
                "from": place.phone_number_id,
                "to": person.phone,
                "message": flow(flow_token=token),
            },
            key=key,
        )
        for token in tokens
    ]
    answers = outbox.send_many(tools, place.tenant_id, items)
    return [(answer.status, answer.body.get("field")) for answer in answers]


FIELD = "message.interactive.action.parameters.flow_token"


def used(world: World, place: Place, token: str) -> None:
    """Put a session in, as a send does."""
    (effect,) = asked(flow(flow_token=token)).effects
    apply(world, place, row(place, place.person(), uuid7(), effect))


def test_a_used_token_is_refused_and_its_neighbours_go_out(world: World, place: Place) -> None:
    used(world, place, "t-1")
    assert send(world, place, "t-0", "t-1", "t-2") == [(200, None), (409, FIELD), (200, None)]
    assert len(place.rows("whatsapp_messages")) == 2
    assert send(world, place, "t-1") == [(409, FIELD)]


def test_one_token_in_two_messages_of_a_call_is_the_first_ones(world: World, place: Place) -> None:
    assert send(world, place, "t-1", "t-1") == [(200, None), (409, FIELD)]


def test_another_tenants_token_is_free(world: World, place: Place) -> None:
    used(world, world.place(), "t-1")
    assert send(world, place, "t-1") == [(200, None)]


def test_a_request_that_comes_again_is_answered_by_its_key(world: World, place: Place) -> None:
    person = place.person()
    tools = world.tools(place.time.clock(), transport=Meta())
    body = {"from": place.phone_number_id, "to": person.phone, "message": flow(flow_token="t-1")}
    first = outbox.send(tools, place.tenant_id, read(body, key="k"))
    again = outbox.send(tools, place.tenant_id, read(body, key="k"))
    assert (again.status, again.body) == (first.status, first.body)
    other = outbox.send(tools, place.tenant_id, read(body, key="another"))
    assert (other.status, other.body["field"]) == (409, FIELD)


def test_what_is_sent_and_what_is_stored_have_one_token(world: World, place: Place) -> None:
    meta = Meta()
    tools = world.tools(place.time.clock(), transport=meta)
    body = {"from": place.phone_number_id, "to": place.person().phone, "message": flow()}
    answer = outbox.send(tools, place.tenant_id, read(body))
    ((sent,),) = [meta.asked]
    stored = place.message(answer.body["id"])["content"]
    assert sent["interactive"] == stored
    assert len(stored["action"]["parameters"]["flow_token"]) >= 22


def test_what_a_job_says_opens_sessions_too(world: World, place: Place) -> None:
    tools = world.tools(place.time.clock())
    item = Outgoing(
        phone_number_id=place.phone_number_id, phone=place.person().phone, message=flow()
    )
    with tools.db.transaction(place.tenant_id) as connection:
        (answer,) = outbox.queue(tools, connection, place.tenant_id, [item])
    stored = place.message(answer.body["id"])["content"]
    assert len(stored["action"]["parameters"]["flow_token"]) >= 22


def test_what_is_stored_opens_its_session_and_what_is_denied_does_not(
    world: World, place: Place
) -> None:
    tools = world.tools(place.time.clock(), transport=Meta())
    people = [place.person(), place.person(), place.person(window=None)]
    bodies = [
        {"from": place.phone_number_id, "to": person.phone, "message": flow()} for person in people
    ]
    alone = outbox.send(tools, place.tenant_id, read(bodies[0]))
    together = outbox.send_many(tools, place.tenant_id, [read(body) for body in bodies])
    assert [answer.status for answer in (alone, *together)] == [200, 200, 200, 422]
    with tools.db.transaction(place.tenant_id) as connection:
        item = Outgoing(
            phone_number_id=place.phone_number_id, phone=people[1].phone, message=flow()
        )
        (queued,) = outbox.queue(tools, connection, place.tenant_id, [item])
    opened = {str(found["message_id"]): found for found in place.rows("flow_sessions")}
    assert opened.keys() == {answer.body["id"] for answer in (alone, *together[:2], queued)}
    for message_id, found in opened.items():
        content = place.message(message_id)["content"]
        assert found["flow_token"] == content["action"]["parameters"]["flow_token"]
