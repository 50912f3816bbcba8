"""The chats of the phone's app are stored as they were: no window, nothing unread, no reaction."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from random import Random
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
    aws_at_hand,
    body_of,
    message,
    pack,
    status,
)

ANA = "5215550100301"
US = "15550001111"
ROW = (
    "select direction, origin, message_type, content, metadata, status, status_rank, occurred_at,"
    " sent_at, is_forwarded from messaging.whatsapp_messages"
    " where account_id = %s and wa_message_id = %s"
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


def theirs(name: str, offset: int, word: str = "DELIVERED", **keys: Any) -> Json:
    return {
        "from": ANA,
        "id": name,
        "timestamp": str(SECOND + offset),
        "type": "text",
        "text": {"body": name},
        "history_context": {"status": word},
        **keys,
    }


def ours(name: str, offset: int, word: str = "READ", **keys: Any) -> Json:
    return theirs(name, offset, word, **{"from": US, "to": ANA, **keys})


def chunk(*messages: Json, thread: str = ANA, **metadata: int) -> Json:
    told = {"phase": 0, "chunk_order": 1, "progress": 50, **metadata}
    return {
        "history": [{"metadata": told, "threads": [{"id": thread, "messages": list(messages)}]}]
    }


def post(place: Place, number: Number, *values: Json, field: str = "history") -> None:
    metadata = {"metadata": {"display_phone_number": US, "phone_number_id": number.phone_number_id}}
    changes = [{"field": field, "value": metadata | value} for value in values]
    body = body_of([{"id": number.waba_id, "changes": changes}])
    assert place.usual.post(body) == 200


def test_a_chunk_is_stored_as_it_was(place: Place) -> None:
    number = place.number()
    words = ("SENT", "DELIVERED", "READ", "PLAYED", "ERROR", "PENDING", "SPARKLING")
    for _ in range(2):
        post(
            place,
            number,
            chunk(
                theirs("wamid.in", -100, "DELIVERED"),
                *(ours(f"wamid.{word}", n, word) for n, word in enumerate(words)),
            ),
        )

    rows = place.rows(
        "select wa_message_id, direction, origin, status, occurred_at, sent_at is null"
        " from messaging.whatsapp_messages order by occurred_at"
    )
    outcomes = ("sent", "delivered", "read", "played", "failed", "accepted", "accepted")
    assert rows == [
        ("wamid.in", "inbound", "history", "read", at(-100), True),
        *(
            (f"wamid.{word}", "outbound", "history", outcome, at(n), True)
            for n, (word, outcome) in enumerate(zip(words, outcomes, strict=True))
        ),
    ]
    assert place.rows(THREAD, number.account_id) == [
        (0, 8, None, at(-100), at(6), "wamid.SPARKLING", "wamid.SPARKLING", "outbound", None)
    ]
    assert place.count("scheduled_jobs") == 0
    assert place.rows("select phase, chunk_order, progress from messaging.history_chunks") == [
        (0, 1, 50)
    ]


@pytest.mark.parametrize(
    ("shown", "sender"),
    [
        ("+52 1 555 010 0111", "525550100111"),
        ("525550100111", "5215550100111"),
        ("+55 11 8765 4321", "5511987654321"),
        ("+54 9 11 5550 1234", "541155501234"),
    ],
)
def test_what_the_business_wrote_is_its_own_in_whatever_form_its_number_stands(
    place: Place, shown: str, sender: str
) -> None:
    number = place.number()
    messages = (ours("wamid.out", 0, **{"from": sender, "to": ANA}), theirs("wamid.in", 1))
    metadata = {"display_phone_number": shown, "phone_number_id": number.phone_number_id}
    value = {"metadata": metadata, **chunk(*messages)}
    change = {"field": "history", "value": value}
    assert place.usual.post(body_of([{"id": number.waba_id, "changes": [change]}])) == 200
    assert place.rows(
        "select m.wa_message_id, m.direction, i.value from messaging.whatsapp_messages as m"
        " join messaging.contact_identifiers as i using (tenant_id, contact_id) order by 1"
    ) == [("wamid.in", "inbound", "525550100301"), ("wamid.out", "outbound", "525550100301")]


def test_what_a_history_says_of_a_message_of_ours_changes_nothing(place: Place) -> None:
    number = place.number()
    (sent,) = place.sent_messages(number, ["wamid.1"])
    post(place, number, chunk(ours("wamid.1", 0, "READ")))
    assert place.rows(
        "select origin, content, status from messaging.whatsapp_messages where id = %s", sent
    ) == [("api", {"body": "hello"}, "accepted")]


def placeholder() -> Json:
    part = theirs("wamid.pic", 3, type="media_placeholder")
    del part["text"]
    return chunk(theirs("wamid.old", 0), part)


def file() -> Json:
    part = theirs("wamid.pic", 3, type="image", image={"id": "77", "caption": "the menu"})
    del part["text"], part["history_context"]
    return {
        "messages": [part],
        "contacts": [{"profile": {"name": "Ana"}, "wa_id": ANA, "user_id": "MX.1"}],
    }


def test_the_file_takes_its_placeholders_place_in_every_order(place: Place) -> None:
    rows = set()
    for n, order in enumerate(itertools.permutations([placeholder(), file()] * 2)):
        number = place.number()
        if n % 2:
            post(place, number, *order)
        else:
            for value in order:
                post(place, number, value)
        rows.add(
            repr(
                (
                    place.rows(ROW, number.account_id, "wamid.pic"),
                    place.rows(THREAD, number.account_id),
                    place.rows(
                        "select kind, value from messaging.contact_identifiers"
                        " where tenant_id = %s order by 1",
                        number.tenant_id,
                    ),
                    place.rows(
                        "select media_type, wa_media_id, status from messaging.media"
                        " where account_id = %s",
                        number.account_id,
                    ),
                    place.rows(
                        "select count(*) from messaging.scheduled_jobs where tenant_id = %s",
                        number.tenant_id,
                    ),
                )
            )
        )
    (row,) = rows
    assert "'inbound', 'history', 'image'" in row
    assert "'the menu', 'inbound'" in row


def test_history_echoes_and_statuses_of_one_message_are_one_row_in_every_order(
    place: Place,
) -> None:
    rows = set()
    for order in itertools.permutations(("history", "echo", "delivered", "sent")):
        number = place.number()
        for step in order:
            if step == "history":
                post(place, number, chunk(ours("wamid.1", 0, "SENT")))
            elif step == "echo":
                echo = ours("wamid.1", 0)
                del echo["history_context"]
                value = {"message_echoes": [echo]}
                post(place, number, value, field="smb_message_echoes")
            else:
                place.post(status(number, "wamid.1", step, SECOND + 1))
        rows.add(
            repr(
                (
                    place.rows(ROW, number.account_id, "wamid.1"),
                    place.rows(THREAD, number.account_id),
                )
            )
        )
    (row,) = rows
    assert "'outbound', 'phone_app', 'text'" in row
    assert "'delivered', 70" in row


def test_a_message_that_also_comes_as_itself_is_the_same_whichever_was_first(place: Place) -> None:
    rows = set()
    steps = ("history", "live", "other", "status")
    for n, order in enumerate(itertools.permutations(steps)):
        number = place.number()
        for step in order:
            if step == "history":
                post(place, number, chunk(theirs("wamid.1", 5), theirs("wamid.0", -9)))
            elif step == "live":
                live = message(number, "wamid.1", Person(ANA, name="Ana"), SECOND + 5)
                # Alone it takes another road than beside others.
                place.post(live, *([live] if n % 2 else []))
            elif step == "other":
                place.post(message(number, "wamid.2", Person(ANA), SECOND + 2))
            else:
                place.post(status(number, "wamid.1", "read"))
        rows.add(
            repr(
                (
                    place.rows(ROW, number.account_id, "wamid.1"),
                    place.rows(THREAD, number.account_id),
                    place.one(
                        "select jsonb_array_length(args -> 'message_ids')"
                        " from messaging.scheduled_jobs where tenant_id = %s",
                        number.tenant_id,
                    ),
                )
            )
        )
    (row,) = rows
    assert "'inbound', 'person', 'text', {'body': 'text of wamid.1'}" in row
    thread = (2, 3, at(86_405), at(5), at(5), "wamid.1", "text of wamid.1", "inbound", None)
    assert repr(thread) in row
    assert row.endswith(", 2)")


def test_the_progress_of_each_chunk_is_the_greatest_that_was_told(place: Place) -> None:
    number = place.number()
    for phase, order, progress in ((0, 1, 20), (1, 1, 55), (0, 1, 10), (2, 7, 100)):
        value = chunk(phase=phase, chunk_order=order, progress=progress)
        post(place, number, value)
    assert place.rows(
        "select phase, chunk_order, progress from messaging.history_chunks order by 1, 2"
    ) == [(0, 1, 20), (1, 1, 55), (2, 7, 100)]


def test_who_did_not_share_is_known_even_without_a_number(place: Place) -> None:
    number = place.number()
    errors = [{"code": 2593109, "title": "off"}]
    post(place, number, {"history": [{"errors": errors}]})
    value = {"history": [{"errors": errors}]}
    change = {"field": "history", "value": value}
    bare = body_of([{"id": number.waba_id, "changes": [change]}])
    for _ in range(2):
        assert place.usual.post(bare) == 200
    assert place.rows(
        "select waba_id, phone_number_id, error_code, errors from messaging.history_refusals"
        " order by 2"
    ) == [
        (number.waba_id, "", "2593109", errors),
        (number.waba_id, number.phone_number_id, "2593109", errors),
    ]
    assert place.count("webhook_dead_letters") == 0


def test_thousands_of_messages_of_many_threads_in_one_webhook(place: Place) -> None:
    number = place.number()
    threads = [
        {
            "id": f"52155501{person:05d}",
            "messages": [
                theirs(f"wamid.{person}.{n}", -n, **{"from": f"52155501{person:05d}"})
                if n % 2
                else ours(f"wamid.{person}.{n}", -n, to=f"52155501{person:05d}")
                for n in range(10)
            ],
        }
        for person in range(300)
    ]
    value = {"history": [{"metadata": {"phase": 1, "progress": 9}, "threads": threads}]}

    post(place, number, value)

    assert place.count("whatsapp_messages") == 3000
    assert place.count("contacts") == 300
    assert place.rows(
        "select distinct unread_count, message_count, window_expires_at, last_message_at"
        " from messaging.whatsapp_conversations"
    ) == [(0, 10, None, at(0))]


def test_one_bad_message_costs_itself_only(place: Place) -> None:
    number = place.number()
    bad = theirs("wamid.bad", 1, text={"body": "\0"})
    post(
        place, number, chunk(theirs("wamid.1", 0), bad, {"id": "wamid.nobody"}, ours("wamid.2", 2))
    )
    assert place.count("whatsapp_messages") == 2
    letters = [json.loads(letter) for found in place.letters().values() for letter in found]
    assert len(letters) == 2


def test_copies_calls_and_statuses_delivered_by_many_at_once_end_as_one_by_one(
    place: Place,
) -> None:
    def bodies(number: Number, seed: int) -> list[bytes]:
        echoes = {"message_echoes": [ours(f"wamid.{n}", n) for n in range(6)]}
        of_call = {"id": "wacid.1", "from": ANA, "to": US, "direction": "USER_INITIATED"}
        calls = [
            {**of_call, "event": word, "timestamp": str(SECOND + n)}
            for n, word in enumerate(("connect", "terminate"))
        ]
        values: list[tuple[str, Json]] = [
            ("history", chunk(*(theirs(f"wamid.{n}", n) for n in range(10, 16)))),
            ("history", chunk(*(ours(f"wamid.{n}", n, "SENT") for n in range(6)))),
            ("history", placeholder()),
            ("history", file()),
            ("smb_message_echoes", echoes),
            *(("calls", {"calls": [call]}) for call in calls),
        ]
        metadata = {
            "metadata": {"display_phone_number": US, "phone_number_id": number.phone_number_id}
        }
        packed = [
            body_of(
                [{"id": number.waba_id, "changes": [{"field": field, "value": metadata | value}]}]
            )
            for field, value in values
        ]
        packed += [
            pack([status(number, f"wamid.{n}", word, SECOND + 60)])
            for n in range(6)
            for word in ("sent", "delivered")
        ]
        Random(seed).shuffle(packed)
        return packed

    def ended(number: Number) -> str:
        tables = {
            "whatsapp_messages": "wa_message_id, origin, message_type, content, status,"
            " delivered_at",
            "whatsapp_conversations": "message_count, unread_count, window_expires_at,"
            " last_message_key, last_message_preview, last_message_at, answered_on_phone_at",
            "call_logs": "status, end_reason, occurred_at, terminated_at",
            "media": "wa_media_id",
        }
        return repr(
            [
                place.rows(
                    f"select {columns} from messaging.{table} where account_id = %s order by 1",
                    number.account_id,
                )
                for table, columns in tables.items()
            ]
        )

    alone = place.number()
    for body in bodies(alone, 0):
        assert place.usual.post(body) == 200
    together = place.number()
    clients = [place.environment(now=NOW) for _ in range(4)]
    with aws_at_hand(), ThreadPoolExecutor(len(clients)) as pool:
        answers = pool.map(
            lambda client: {client[1].post(body) for body in bodies(together, client[0])},
            enumerate(clients),
        )
        assert all(answer == {200} for answer in answers)
        place.drain()
    assert ended(together) == ended(alone)
    assert place.count("webhook_dead_letters") == 0


NEW: Json = {
    "type": "edit",
    "edit": {
        "original_message_id": "wamid.1",
        "message": {"type": "text", "text": {"body": "new"}},
    },
}


def test_an_edit_shows_nothing_once_its_message_was_taken_back_whichever_copy_comes_last(
    place: Place,
) -> None:
    revoke: Json = {"type": "revoke", "revoke": {"original_message_id": "wamid.1"}}
    plain: Json = {"history_context": None, "text": None}
    rows = set()
    for order in itertools.permutations(range(4)):
        number = place.number()
        for step in order:
            if step == 0:
                post(place, number, chunk(ours("wamid.1", 0), ours("wamid.2", 1, text=None, **NEW)))
            else:
                part = [
                    ours("wamid.1", 0, history_context=None),
                    ours("wamid.2", 1, **plain, **NEW),
                    ours("wamid.3", 2, **plain, **revoke),
                ][step - 1]
                value = {"message_echoes": [part]}
                post(place, number, value, field="smb_message_echoes")
        rows.add(
            repr(
                place.rows(
                    "select wa_message_id, origin, content, status, revoked_at"
                    " from messaging.whatsapp_messages where account_id = %s order by 1",
                    number.account_id,
                )
            )
        )
    (row,) = rows
    assert row.count("'phone_app', {}, 'read'") == 2
    assert "new" not in row


def test_an_edit_that_also_comes_as_itself_is_one_change(place: Place) -> None:
    edit = theirs("wamid.2", 1, text=None, **NEW)
    live = message(
        place.number(), "wamid.2", Person(ANA), SECOND + 1, kind="edit", content=NEW["edit"]
    )
    for order in itertools.permutations(("history", "live", "edited")):
        number = place.number()
        for step in order:
            if step == "history":
                post(place, number, chunk(theirs("wamid.1", 0), edit))
            elif step == "live":
                place.post(replace(live, number=number))
            else:
                place.post(message(number, "wamid.1", Person(ANA), SECOND))
        assert place.rows(
            "select c.wa_change_id, m.wa_message_id from messaging.message_changes as c"
            " left join messaging.whatsapp_messages as m on m.id = c.message_id"
            " where c.account_id = %s",
            number.account_id,
        ) == [("wamid.2", "wamid.2")]
        assert place.rows(
            "select content from messaging.whatsapp_messages"
            " where account_id = %s and wa_message_id = 'wamid.1'",
            number.account_id,
        ) == [({"body": "new"},)]
