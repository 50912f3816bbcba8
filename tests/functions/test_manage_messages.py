"""The messages of a conversation, both directions and both ways, and their files."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.managing import BUSINESS, START, Desk, column

LIST, FILE = "GET /v1/conversations/{id}/messages", "GET /v1/media/{id}"


def add_outbound(
    desk: Desk,
    conversation_id: str,
    minute: int,
    key: str | None,
    *,
    reaction: dict[str, str] | None = None,
    status: str = "sent",
) -> str:
    """Put a message of ours in, as the outbox leaves it before and after Meta has named it."""
    message_id = str(desk.place.time.new_id())
    kind, content = ("reaction", reaction) if reaction else ("text", {"body": "ours"})
    desk.world.everything.execute(
        "insert into messaging.whatsapp_messages (tenant_id, id, account_id, conversation_id,"
        " wa_message_id, direction, origin, message_type, content, metadata, status, status_rank,"
        " decision, occurred_at, sent_at) values (%s, %s, %s, %s, %s, 'outbound', 'api', %s, %s,"
        """ '{"$message": {"biz": 1}, "order": 7}', %s, 60,"""
        """ '[{"verdict": "deferred"}, {"verdict": "allowed"}]', %s, %s)""",
        (
            desk.place.tenant_id,
            message_id,
            desk.place.account_id,
            conversation_id,
            key,
            kind,
            Jsonb(content),
            status,
            START + timedelta(minutes=minute),
            START,
        ),
    )
    return message_id


def test_both_directions_come_newest_first_or_oldest_first(desk: Desk) -> None:
    conversation_id = desk.hear("4915550000001", "one", "two")
    desk.hear("4915550000002", "elsewhere")
    ours = add_outbound(desk, conversation_id, 5, "wamid.OUT")
    rows = desk.ok(LIST, conversation_id)["data"]
    assert column(rows, "direction") == ["outbound", "inbound", "inbound"]
    assert column(rows, "content") == [{"body": "ours"}, {"body": "two"}, {"body": "one"}]
    assert rows[0]["id"] == ours
    assert rows[0]["decision"] == {"verdict": "allowed"}
    assert rows[0]["metadata"] == {"order": 7}
    assert set(rows[0]["timestamps"]) == {"sent_at"}
    assert rows[1]["timestamps"] == {}
    assert (rows[1]["status"], rows[1]["errors"], rows[1]["media"]) == ("received", [], None)
    assert desk.ok(LIST, conversation_id, order="oldest_first")["data"] == rows[::-1]


def test_every_message_is_walked_once_both_ways_whatever_stands_at_one_time(desk: Desk) -> None:
    conversation_id = desk.hear("4915550000001", *"abcde")
    for minute, key in ((2, "wamid.X"), (2, None), (2, None), (2, "wamid.0"), (9, None), (9, "w")):
        add_outbound(desk, conversation_id, minute, key)
    newest = column(desk.ok(LIST, conversation_id, limit=200)["data"], "id")
    assert len(set(newest)) == 11
    for limit in (1, 2, 3, 4, 11):
        assert column(desk.pages(LIST, conversation_id, limit=limit), "id") == newest
        oldest = desk.pages(LIST, conversation_id, limit=limit, order="oldest_first")
        assert column(oldest, "id") == newest[::-1]
    rows = desk.ok(LIST, conversation_id, limit=200, order="oldest_first")["data"]
    # By Meta's id inside one time; what Meta has not named yet comes after it.
    assert [r["wa_message_id"] for r in rows if r["occurred_at"] == rows[2]["occurred_at"]] == [
        "wamid.0",
        "wamid.4915550000001.0002",
        "wamid.X",
        None,
        None,
    ]


def test_a_reaction_and_a_reply_stand_as_they_were_sent(desk: Desk) -> None:
    conversation_id = desk.hear("4915550000001", "one")
    stamp = str(int((START + timedelta(minutes=9)).timestamp()))
    part: dict[str, Any] = {"from": "4915550000001", "timestamp": stamp}
    emoji = {"message_id": "wamid.4915550000001.0000", "emoji": "👍"}
    desk.take({**part, "id": "wamid.R", "type": "reaction", "reaction": emoji}, "4915550000001")
    reply = {"context": {"id": "wamid.4915550000001.0000"}, "type": "text", "text": {"body": "re"}}
    desk.take({**part, "id": "wamid.S", **reply}, "4915550000001")
    rows = {row["wa_message_id"]: row for row in desk.ok(LIST, conversation_id)["data"]}
    assert rows["wamid.R"]["message_type"] == "reaction"
    assert rows["wamid.R"]["content"] == emoji
    assert rows["wamid.S"]["wa_context_id"] == "wamid.4915550000001.0000"


def react(desk: Desk, phone: str, minute: int, target: str, emoji: str | None) -> None:
    """Let a person react; no emoji takes it back."""
    part = {
        "from": phone,
        "id": f"wamid.{phone}.r{minute}",
        "timestamp": str(int((START + timedelta(minutes=minute)).timestamp())),
        "type": "reaction",
        "reaction": {"message_id": target} | ({"emoji": emoji} if emoji else {}),
    }
    desk.take(part, phone)


def take_back(desk: Desk, phone: str, minute: int, target: str) -> None:
    """Let a person delete a message for everyone."""
    part = {
        "from": phone,
        "id": f"wamid.{phone}.x{minute}",
        "timestamp": str(int((START + timedelta(minutes=minute)).timestamp())),
        "type": "revoke",
        "revoke": {"original_message_id": target},
    }
    desk.take(part, phone)


def reactions(desk: Desk, conversation_id: str, **query: Any) -> dict[str, list[tuple[str, str]]]:
    """Return who reacts to what, by the messages' ids at Meta."""
    rows = desk.pages(LIST, conversation_id, **query)
    return {
        row["wa_message_id"]: [(one["direction"], one["emoji"]) for one in row["reactions"]]
        for row in rows
        if row["reactions"]
    }


def test_each_sides_newest_reaction_stands_at_its_message_until_it_is_taken_back(
    desk: Desk,
) -> None:
    phone = "4915550000001"
    one, two = f"wamid.{phone}.0000", f"wamid.{phone}.0001"
    conversation_id = desk.hear(phone, "one", "two")
    add_outbound(desk, conversation_id, 2, "wamid.OUT")
    react(desk, phone, 5, "wamid.OUT", "👍")
    react(desk, phone, 4, "wamid.OUT", "👎")
    react(desk, phone, 6, one, "❤️")
    for minute, key, told, emoji in (
        (7, "wamid.a", one, "🙏"),
        (8, "wamid.b", one, "🎉"),
        (7, "wamid.c", two, "🙏"),
    ):
        how = {"message_id": told, "emoji": emoji}
        add_outbound(desk, conversation_id, minute, key, reaction=how)

    expected = {
        "wamid.OUT": [("inbound", "👍")],
        one: [("inbound", "❤️"), ("outbound", "🎉")],
        two: [("outbound", "🙏")],
    }
    for limit in (1, 2, 50):
        for order in ("newest_first", "oldest_first"):
            assert reactions(desk, conversation_id, limit=limit, order=order) == expected
    (shown,) = (r for r in desk.ok(LIST, conversation_id)["data"] if r["wa_message_id"] == one)
    contact_id = desk.contact_of(conversation_id)
    assert [(r["contact_id"], r["occurred_at"]) for r in shown["reactions"]] == [
        (contact_id, (START + timedelta(minutes=6)).isoformat()),
        (None, (START + timedelta(minutes=8)).isoformat()),
    ]

    react(desk, phone, 9, "wamid.OUT", None)
    how = {"message_id": one, "emoji": ""}
    add_outbound(desk, conversation_id, 9, "wamid.d", reaction=how)
    assert reactions(desk, conversation_id) == {
        one: [("inbound", "❤️")],
        two: [("outbound", "🙏")],
    }


def test_a_reaction_of_ours_counts_once_meta_has_it(desk: Desk) -> None:
    conversation_id = desk.hear("4915550000001", "one")
    told = "wamid.4915550000001.0000"
    seen = {}
    had = ["accepted", "sent", "delivered", "read", "played"]
    not_had = ["pending", "sending", "unconfirmed", "undetermined", "failed", "denied", "expired"]
    for minute, status in enumerate(had + not_had):
        how = {"message_id": told, "emoji": status}
        add_outbound(
            desk, conversation_id, minute + 1, f"wamid.{minute}", reaction=how, status=status
        )
        seen[status] = reactions(desk, conversation_id)[told]
    assert {status: emoji for status, ((_, emoji),) in seen.items()} == {
        **{status: status for status in had},
        **dict.fromkeys(not_had, "played"),
    }


def test_a_reaction_that_was_copied_from_the_phone_counts_too(desk: Desk) -> None:
    phone = "4915550000001"
    conversation_id = desk.hear(phone, "one", "two")
    told = f"wamid.{phone}.0000"
    copies = []
    for sender, key, emoji in ((phone, "wamid.h1", "😀"), (BUSINESS, "wamid.h2", "😎")):
        copies.append(
            {
                "from": sender,
                "to": phone,
                "id": key,
                "timestamp": str(int((START + timedelta(minutes=3)).timestamp())),
                "type": "reaction",
                "reaction": {"message_id": told, "emoji": emoji},
                "history_context": {"status": "READ"},
            }
        )
    thread = {"id": phone, "messages": copies}
    value = {"history": [{"metadata": {"phase": 0}, "threads": [thread]}]}
    desk.tell("history", value)
    assert reactions(desk, conversation_id) == {told: [("inbound", "😀"), ("outbound", "😎")]}
    # The person's newest, whichever way it came.
    react(desk, phone, 4, told, None)
    assert reactions(desk, conversation_id) == {told: [("outbound", "😎")]}


def test_under_a_message_that_was_taken_back_nothing_stands(desk: Desk) -> None:
    phone = "4915550000001"
    conversation_id = desk.hear(phone, "one", "two")
    for index in range(2):
        react(desk, phone, 5 + index, f"wamid.{phone}.000{index}", "👍")
    take_back(desk, phone, 9, f"wamid.{phone}.0000")
    assert reactions(desk, conversation_id) == {f"wamid.{phone}.0001": [("inbound", "👍")]}


def test_who_reacts_from_a_thread_of_their_own_is_named(desk: Desk) -> None:
    conversation_id = desk.hear("4915550000001", "one")
    elsewhere = desk.hear("4915550000002", "two")
    told = "wamid.4915550000001.0000"
    react(desk, "4915550000002", 9, told, "👀")
    (row,) = desk.ok(LIST, conversation_id)["data"]
    assert [(r["contact_id"], r["emoji"]) for r in row["reactions"]] == [
        (desk.contact_of(elsewhere), "👀")
    ]
    # Another number's message may have the same id.
    other = desk.world.place()
    sibling = desk.hear("4915550000001", "one", place=other)
    assert desk.ok(LIST, sibling, key=other.add_key("messages:read"))["data"][0]["reactions"] == []


def test_a_file_is_named_by_its_message_and_shown_without_its_place(desk: Desk) -> None:
    desk.take(
        {
            "from": "4915550000001",
            "id": "wamid.4915550000001.0000",
            "timestamp": str(int(START.timestamp())),
            "type": "image",
            "image": {"id": "777", "mime_type": "image/jpeg", "sha256": "abc", "caption": "look"},
        },
        "4915550000001",
    )
    (row,) = desk.place.rows("media")
    (message,) = desk.ok(LIST, row["conversation_id"])["data"]
    assert message["media"]["id"] == str(row["id"])
    assert message["media"]["mime_type"] == "image/jpeg"
    desk.set("media", row["id"], s3_key="secret/place", thumbnail_s3_key="secret/small")
    shown = desk.ok(FILE, row["id"])
    assert (shown["message_id"], shown["wa_media_id"]) == (message["id"], "777")
    assert (shown["caption"], shown["has_thumbnail"]) == ("look", True)
    assert "secret" not in str(shown)
    assert desk.call(FILE, uuid4())[0] == 404


def test_an_address_is_signed_for_a_file_that_is_here(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "s"), ("REGION", "x-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    image = {"id": "777", "mime_type": "image/jpeg", "sha256": "abc"}
    desk.take(
        {
            "from": "4915550000001",
            "id": "wamid.I",
            "timestamp": str(int(START.timestamp())),
            "type": "image",
            "image": image,
        },
        "4915550000001",
    )
    (row,) = desk.place.rows("media")
    desk.use(media_bucket="files")
    status, problem = desk.call(f"{FILE}/address", row["id"])
    assert (status, problem["detail"]) == (404, "this file is not stored")
    desk.set("media", row["id"], status="stored", s3_key="t/media/x/file")
    made = desk.ok(f"{FILE}/address", row["id"])
    assert "t/media/x/file" in made["address"]
    assert "X-Amz-Signature" in made["address"]
    assert made["expires_in"] == 300
    assert desk.call(f"{FILE}/address", row["id"], thumbnail="true")[0] == 404


def test_what_was_taken_back_is_shown_as_that_and_its_file_to_nobody(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "s"), ("REGION", "x-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    desk.use(media_bucket="files")
    phone = "4915550000001"
    image = {"id": "777", "mime_type": "image/jpeg", "sha256": "abc", "caption": "secret"}
    stamp = str(int(START.timestamp()))
    for key in ("wamid.kept", "wamid.back"):
        part = {"from": phone, "id": key, "timestamp": stamp, "type": "image", "image": image}
        desk.take(part, phone)
    for file in desk.place.rows("media"):
        desk.set("media", file["id"], status="stored", s3_key=f"t/media/{file['id']}/file")

    take_back(desk, phone, 5, "wamid.back")

    conversation_id = desk.place.rows("media")[0]["conversation_id"]
    rows = {row["wa_message_id"]: row for row in desk.ok(LIST, conversation_id)["data"]}
    kept, back = rows["wamid.kept"], rows["wamid.back"]
    assert kept["content"] == image
    assert (kept["edited_at"], kept["revoked_at"]) == (None, None)
    assert (back["message_type"], back["content"], back["media"]) == ("image", {}, None)
    assert back["revoked_at"] == (START + timedelta(minutes=5)).isoformat()
    oldest = desk.ok(LIST, conversation_id, order="oldest_first")["data"]
    assert [row["media"] for row in oldest] == [None, kept["media"], None]
    for file in desk.place.rows("media"):
        expected = 200 if str(file["id"]) == kept["media"]["id"] else 404
        for route in (FILE, f"{FILE}/address"):
            status, shown = desk.call(route, file["id"])
            assert status == expected, route
            assert expected == 200 or "secret" not in str(shown)


def test_an_edited_caption_is_shown_with_the_file(desk: Desk) -> None:
    phone = "4915550000001"
    stamp = str(int(START.timestamp()))
    part: dict[str, Any] = {"from": phone, "timestamp": stamp}
    image = {"id": "777", "mime_type": "image/jpeg", "caption": "before"}
    desk.take({**part, "id": "wamid.I", "type": "image", "image": image}, phone)
    edited = {"original_message_id": "wamid.I"}
    new = {"type": "image", "image": {"caption": "after"}}
    desk.take({**part, "id": "wamid.J", "type": "edit", "edit": {**edited, "message": new}}, phone)
    (file,) = desk.place.rows("media")
    assert desk.ok(FILE, file["id"])["caption"] == "after"


def test_a_cursor_of_one_conversation_says_nothing_in_another(desk: Desk) -> None:
    one, two = (desk.hear(f"491555000000{n}", "a", "b") for n in (1, 2))
    cursor = desk.ok(LIST, one, limit=1)["next_cursor"]
    assert desk.call(LIST, one, cursor=cursor)[0] == 200
    for wrong in ((two, {}), (one, {"order": "oldest_first"})):
        status, problem = desk.call(LIST, wrong[0], cursor=cursor, **wrong[1])
        assert (status, problem["field"]) == (400, "cursor")
    assert desk.call(LIST, one, order="sideways")[1]["field"] == "order"
    assert desk.call(LIST, one, page=2)[1]["field"] == "page"


def test_a_made_up_cursor_is_refused(desk: Desk) -> None:
    conversation_id = desk.hear("4915550000001", "a", "b")
    cursor = desk.ok(LIST, conversation_id, limit=1)["next_cursor"]
    parts = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    for place, wrong in ((1, "yesterday"), (1, "2026-01-01T00:00:00"), (2, "a\0b"), (3, "7")):
        made = json.dumps([*parts[:place], wrong, *parts[place + 1 :]])
        made = base64.urlsafe_b64encode(made.encode()).decode()
        status, problem = desk.call(LIST, conversation_id, cursor=made)
        assert (status, problem["field"]) == (400, "cursor"), wrong


def test_a_number_that_no_reader_expects_keeps_nobody_from_reading(desk: Desk) -> None:
    part = {
        "from": "4915550000001",
        "id": "wamid.1",
        "timestamp": str(int(START.timestamp())),
        "type": "order",
        "order": {
            "catalog_id": "1",
            "product_items": [
                {"product_retailer_id": "p", "quantity": 1, "item_price": 1e23, "currency": "USD"}
            ],
        },
    }
    desk.take(part, "4915550000001")
    (conversation,) = desk.ok("GET /v1/conversations")["data"]
    (row,) = desk.ok(LIST, conversation["id"])["data"]
    assert row["content"] == part["order"]
