"""Edits, taking back, reactions: what holds now, whatever came first and whatever never comes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import psycopg
import pytest

from switchboard.intake.document import build
from switchboard.kernel.clock import uuid7
from switchboard.whatsapp.webhook import Message, parse
from tests.databases import ClonedDatabase
from tests.deliveries import SECOND, Number, Person, Place, Update, message, pack, until

ANA, BEN = Person("4915551234567"), Person("4915557654321")


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def at(offset: int) -> datetime:
    return datetime.fromtimestamp(SECOND + offset, UTC)


def edit(number: Number, wamid: str, offset: int, content: Any, kind: str = "text") -> Update:
    told = {"original_message_id": "wamid.0", "message": {"type": kind, kind: content}}
    return message(number, wamid, ANA, SECOND + offset, kind="edit", content=told)


def revoke(number: Number, wamid: str, offset: int) -> Update:
    told = {"original_message_id": "wamid.0"}
    return message(number, wamid, ANA, SECOND + offset, kind="revoke", content=told)


def deliver(place: Place, updates: list[Update], *, together: bool) -> None:
    for batch in [updates] if together else [[update] for update in updates]:
        place.post(*batch)


ROW = (
    "select content, original_content, edited_at, revoked_at from messaging.whatsapp_messages"
    " where account_id = %s and wa_message_id = %s"
)
together_or_not = pytest.mark.parametrize(
    "together", [True, False], ids=["one body", "many bodies"]
)


@together_or_not
def test_the_newest_edit_shows_and_the_original_is_kept_in_every_order(
    place: Place, *, together: bool
) -> None:
    for order in permutations(range(4)):
        number = place.number()
        updates = [
            message(number, "wamid.0", ANA),
            edit(number, "wamid.e1", 5, {"body": "first"}),
            edit(number, "wamid.e2", 9, {"body": "second"}),
            # Of one second, the greater id.
            edit(number, "wamid.e3", 9, {"body": "third"}),
        ]

        deliver(place, [updates[n] for n in order], together=together)
        place.post(*updates)

        assert place.rows(ROW, number.account_id, "wamid.0") == [
            ({"body": "third"}, {"body": "text of wamid.0"}, at(9), None)
        ]
        assert place.rows(
            "select last_message_preview, unread_count, message_count"
            " from messaging.whatsapp_conversations where account_id = %s",
            number.account_id,
        ) == [("third", 1, 4)]


@together_or_not
def test_what_was_taken_back_shows_nowhere_and_is_told_in_every_order(
    place: Place, *, together: bool
) -> None:
    for order in permutations(range(3)):
        number = place.number()
        # All of one second: the preview must not show it for an accident of ids.
        updates = [
            message(number, "wamid.0", ANA, SECOND),
            edit(number, "wamid.z", 0, {"body": "secret, too"}),
            revoke(number, "wamid.1", 0),
        ]

        deliver(place, [updates[n] for n in order], together=together)
        place.post(*updates)

        assert place.rows(ROW, number.account_id, "wamid.0") == [
            ({}, {"body": "text of wamid.0"}, at(0), at(0))
        ]
        ((content, original, edited, revoked),) = place.rows(ROW, number.account_id, "wamid.z")
        assert (content, edited, revoked) == ({}, None, at(0))
        assert original["message"]["text"] == {"body": "secret, too"}
        assert place.rows(
            "select last_message_key, last_message_preview from messaging.whatsapp_conversations"
            " where account_id = %s",
            number.account_id,
        ) == [("wamid.z", "[edit]")]


def test_the_preview_of_what_was_taken_back_goes_although_newer_rows_came_before(
    place: Place,
) -> None:
    number = place.number()
    place.post(message(number, "wamid.0", ANA, SECOND + 60))
    place.post(revoke(number, "wamid.1", 0))
    assert place.rows(
        "select last_message_key, last_message_preview from messaging.whatsapp_conversations"
    ) == [("wamid.0", "[text]")]


def test_an_edited_caption_keeps_the_file(place: Place) -> None:
    number = place.number()
    picture = {"id": "img", "mime_type": "image/jpeg", "caption": "old"}

    place.post(message(number, "wamid.0", ANA, kind="image", content=picture))
    place.post(edit(number, "wamid.e", 5, {"caption": "new"}, kind="image"))

    assert place.rows(ROW, number.account_id, "wamid.0") == [
        ({**picture, "caption": "new"}, picture, at(5), None)
    ]


def test_an_edit_into_another_type_shows_the_original_in_every_order(place: Place) -> None:
    for order in permutations(range(3)):
        number = place.number()
        updates = [
            message(number, "wamid.0", ANA),
            edit(number, "wamid.e", 3, {"body": "x"}),
            edit(number, "wamid.f", 5, {"id": "i"}, "image"),
        ]

        deliver(place, [updates[n] for n in order], together=False)

        original = {"body": "text of wamid.0"}
        assert place.rows(ROW, number.account_id, "wamid.0") == [(original, original, at(5), None)]


def test_a_change_of_what_never_comes_or_came_to_another_number_waits(place: Place) -> None:
    number = place.number()
    sibling, stranger = place.number(number.tenant_id), place.number()
    place.post(message(sibling, "wamid.0", ANA), message(stranger, "wamid.0", ANA))

    place.post(revoke(number, "wamid.1", 5), edit(number, "wamid.2", 3, {"body": "x"}))

    for other in (sibling, stranger):
        assert place.rows(ROW, other.account_id, "wamid.0") == [
            ({"body": "text of wamid.0"}, None, None, None)
        ]
    assert place.rows(
        "select tenant_id, account_id, message_id from messaging.message_keys"
        " where wa_message_id = 'wamid.0' and message_id is null"
    ) == [(number.tenant_id, number.account_id, None)]
    assert place.count("message_changes") == 2


@pytest.mark.parametrize("first", [0, 1], ids=["original first", "change first"])
@pytest.mark.parametrize("others", [0, 1], ids=["alone", "among others"])
def test_an_original_and_its_change_that_come_at_once_meet(
    place: Place, first: int, others: int
) -> None:
    number = place.number()
    place.post(message(number, "wamid.before", ANA, SECOND - 60))
    more = [message(number, f"wamid.x{n}", BEN) for n in range(others)]
    both = [[message(number, "wamid.0", ANA), *more], [revoke(number, "wamid.1", 5)]]
    take = "select messaging.take(%s, %s::jsonb, null)"
    url = place.database.app_url
    documents = []
    for updates in (both[first], both[1 - first]):
        items = [item for item in parse(pack(updates)) if isinstance(item, Message)]
        documents.append(build([(item, number.account_id) for item in items], uuid7))
    with psycopg.connect(url) as one, psycopg.connect(url, autocommit=True) as two:
        one.execute(take, (number.tenant_id, documents[0]))
        waiting = threading.Thread(
            target=lambda: two.execute(take, (number.tenant_id, documents[1]))
        )
        waiting.start()
        pids = (one.info.backend_pid, two.info.backend_pid)
        until(lambda: place.one("select %s = any (pg_blocking_pids(%s))", *pids))
        one.commit()
        waiting.join()

    ((content, _, _, revoked),) = place.rows(ROW, number.account_id, "wamid.0")
    assert (content, revoked) == ({}, at(5))


REACTIONS = (
    "select r.emoji, r.occurred_at, c.phone_number"
    " from messaging.reactions_to(%s, %s, array['wamid.ours']) as r"
    " join messaging.contacts as c on c.id = r.contact_id order by 3"
)


@together_or_not
def test_each_person_has_one_reaction_their_newest_in_every_order(
    place: Place, *, together: bool
) -> None:
    told = [(ANA, 1, "👍"), (ANA, 5, "🎉"), (ANA, 3, None), (BEN, 2, "❤️"), (BEN, 4, None)]
    for order in list(permutations(range(5)))[:: 1 if together else 7]:
        number = place.number()
        updates = [
            message(
                number,
                f"wamid.{n}",
                person,
                SECOND + offset,
                kind="reaction",
                content={"message_id": "wamid.ours"} | ({"emoji": emoji} if emoji else {}),
            )
            for n, (person, offset, emoji) in enumerate(told)
        ]

        deliver(place, [updates[n] for n in order], together=together)

        found = place.rows(REACTIONS, number.tenant_id, number.account_id)
        assert found == [("🎉", at(5), f"+{ANA.phone}")]
