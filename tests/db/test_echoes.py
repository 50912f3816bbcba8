"""What somebody types in the phone's app is an outbound message, once, and quietly."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.databases import ClonedDatabase
from tests.deliveries import (
    NOW,
    SECOND,
    Json,
    Number,
    Person,
    Place,
    body_of,
    failure,
    message,
    status,
)

ANA = "5215550100301"
ROW = (
    "select direction, origin, message_type, content, status, status_rank, occurred_at, sent_at,"
    " delivered_at, read_at, failed_at, error_code, wa_context_id, edited_at, revoked_at"
    " from messaging.whatsapp_messages where account_id = %s and wa_message_id = %s"
)
THREAD = (
    "select unread_count, message_count, window_expires_at, last_inbound_at, last_message_at,"
    " last_message_key, last_message_preview, last_message_direction, answered_on_phone_at"
    " from messaging.whatsapp_conversations where account_id = %s"
)


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def at(offset: int) -> Any:
    return NOW + timedelta(seconds=offset)


def text(name: str, body: str, offset: int, **keys: Any) -> Json:
    return {
        "from": "15550001111",
        "to": ANA,
        "id": name,
        "timestamp": str(SECOND + offset),
        "type": "text",
        "text": {"body": body},
        **keys,
    }


def changed(name: str, kind: str, original: str, offset: int, **keys: Any) -> Json:
    part = text(name, "", offset, type=kind)
    del part["text"]
    return {**part, kind: {"original_message_id": original, **keys}}


def body(number: Number, *echoes: Json, field: str = "smb_message_echoes") -> bytes:
    value = {
        "metadata": {
            "display_phone_number": "15550001111",
            "phone_number_id": number.phone_number_id,
        },
        "message_echoes": list(echoes),
    }
    return body_of([{"id": number.waba_id, "changes": [{"field": field, "value": value}]}])


def post(place: Place, number: Number, *echoes: Json) -> None:
    assert place.usual.post(body(number, *echoes)) == 200


def test_an_echo_is_an_outbound_message_that_disturbs_nobody(place: Place) -> None:
    for field in ("smb_message_echoes", "message_echoes"):
        number = place.number()
        delivery = body(number, text("wamid.1", "hola", 0, to_user_id="MX.1"), field=field)

        assert [place.usual.post(delivery) for _ in range(2)] == [200, 200]

        ((*row,),) = place.rows(ROW, number.account_id, "wamid.1")
        assert row[:7] == ["outbound", "phone_app", "text", {"body": "hola"}, "accepted", 50, at(0)]
        assert place.rows(THREAD, number.account_id) == [
            (0, 1, None, None, at(0), "wamid.1", "hola", "outbound", at(0))
        ]
        assert place.rows(
            "select kind, value from messaging.contact_identifiers where tenant_id = %s order by 1",
            number.tenant_id,
        ) == [("phone", "525550100301"), ("user_id", "MX.1")]
    assert place.count("scheduled_jobs") == 0
    assert place.count("webhook_dead_letters") == 0
    assert place.usual.nudges == 0


def test_statuses_of_an_echo_apply_whether_they_come_first_or_last(place: Place) -> None:
    rows = set()
    orders = list(itertools.permutations(("echo", "sent", "delivered", "failed", "read")))
    for order in orders[::4]:
        number = place.number()
        for step in order:
            if step == "echo":
                post(place, number, text("wamid.1", "hola", 0))
            else:
                when = SECOND + ("sent", "delivered", "read", "failed").index(step)
                extra: Json = {"errors": failure(131026)} if step == "failed" else {}
                place.post(status(number, "wamid.1", step, when, **extra))
        rows.add(repr(place.rows(ROW, number.account_id, "wamid.1")))
    assert len(rows) == 1
    assert "'read', 80" in rows.pop()


def test_a_thread_shows_the_newest_of_echoes_and_answers_in_every_order(place: Place) -> None:
    rows = set()
    for order in itertools.permutations(range(4)):
        number = place.number()
        for step in order:
            if step == 0:
                place.post(message(number, "wamid.in", Person(ANA), SECOND + 5))
            else:
                post(place, number, text(f"wamid.{step}", f"echo {step}", step * 3))
        rows.add(repr(place.rows(THREAD, number.account_id)))
    assert rows == {
        repr(
            [(1, 4, at(86_405), at(5), at(9), "wamid.3", "echo 3", "outbound", at(9))],
        )
    }


def test_edits_and_revokes_change_the_echo_they_name_in_every_order(place: Place) -> None:
    for last, shown in (("edit", {"body": "new"}), ("revoke", {})):
        echoes = [
            text("wamid.1", "old", 0),
            changed(
                "wamid.2",
                "edit",
                "wamid.1",
                5,
                message={"type": "text", "text": {"body": "new"}},
            ),
        ]
        if last == "revoke":
            echoes.append(changed("wamid.3", "revoke", "wamid.1", 9))
        rows = set()
        for together, order in itertools.product((True, False), itertools.permutations(echoes)):
            number = place.number()
            if together:
                post(place, number, *order)
            else:
                for echo in order:
                    post(place, number, echo)
            ((*row,),) = place.rows(ROW, number.account_id, "wamid.1")
            assert row[3] == shown
            rows.add(repr((row, place.rows(THREAD, number.account_id))))
        assert len(rows) == 1


def test_a_file_typed_there_is_fetched_once(place: Place) -> None:
    number = place.number()
    part = text("wamid.1", "", 0, type="image", image={"id": "77", "mime_type": "image/png"})
    del part["text"]
    for _ in range(2):
        post(place, number, part)
    assert place.rows("select direction, media_type, wa_media_id from messaging.media") == [
        ("outbound", "image", "77")
    ]
    assert place.rows("select job_type from messaging.scheduled_jobs") == [("fetch_media",)]


def test_a_message_of_ours_is_not_replaced_by_its_copy(place: Place) -> None:
    number = place.number()
    (sent,) = place.sent_messages(number, ["wamid.1"])
    before = place.rows("select m::text from messaging.whatsapp_messages as m where id = %s", sent)
    post(place, number, text("wamid.1", "something else", 0))
    assert place.count("whatsapp_messages") == 1
    after = place.rows("select m::text from messaging.whatsapp_messages as m where id = %s", sent)
    assert after == before


def test_an_echo_to_a_group_stays_in_the_group(place: Place) -> None:
    number = place.number()
    post(place, number, text("wamid.1", "hola", 0, to="Y2FwaV9n", recipient_type="group"))
    assert place.rows("select group_id, contact_id from messaging.whatsapp_conversations") == [
        ("Y2FwaV9n", None)
    ]
    assert place.count("contacts") == 0


def test_an_echo_that_names_both_of_two_contacts_makes_them_one(place: Place) -> None:
    number = place.number()
    place.post(message(number, "wamid.a", Person(ANA), SECOND))
    place.post(message(number, "wamid.b", Person(user_id="MX.1"), SECOND + 1))
    assert place.count("whatsapp_conversations") == 2

    post(place, number, text("wamid.1", "hola", 5, to_user_id="MX.1"))

    assert place.one("select count(*) from messaging.contacts where merged_into is null") == 1
    assert place.rows("select message_count from messaging.whatsapp_conversations") == [(3,)]
    assert place.count("webhook_dead_letters") == 0
