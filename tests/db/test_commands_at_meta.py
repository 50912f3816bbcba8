"""Commands that ask Meta: what they ask, and their answer as text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from switchboard import commands
from switchboard.__main__ import DONE
from tests.commanding import CommandLine
from tests.graph_calls import graph_calls
from tests.managing import Desk
from tests.meta_files import serving_files

PHONE = "4915550000001"


def test_a_message_is_sent_and_shown_as_text(
    desk: Desk, call: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision has a gate of the name `key`, which is no new API key."""
    place = desk.place
    which = ("--tenant", place.tenant_id)
    with graph_calls() as graph:
        monkeypatch.setattr(commands, "app_tools", lambda: desk.world.tools(graph_url=graph.url))
        graph.say({"messages": [{"id": "wamid.1"}]})
        words = ("--number", place.phone_number_id, "--to", place.person().phone)
        code, out, err = call("messages", "send", *which, *words, "--text", "Hi")
        assert (code, err) == (DONE, "")
        assert re.search(r"^wa_message_id +wamid\.1$", out, re.MULTILINE)
        (row,) = place.rows("whatsapp_messages")
        code, out, err = call("messages", "show", *which, "--message", row["id"])
        assert (code, err) == (DONE, "")
        assert re.search(rf"^id +{row['id']}$", out, re.MULTILINE)


def test_a_code_is_sent_by_command(
    desk: Desk, call: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = desk.place
    which = ("--tenant", place.tenant_id)
    with graph_calls() as graph:
        monkeypatch.setattr(commands, "app_tools", lambda: desk.world.tools(graph_url=graph.url))
        graph.say({"messages": [{"id": "wamid.1"}]})
        given = ("--to", PHONE, "--template", "login_code", "--language", "en")
        words = ("--from", place.phone_number_id, *given)
        code, out, err = call("verifications", "start", *which, *words)
        assert (code, err) == (DONE, "")
        (row,) = place.rows("phone_verifications")
        assert re.search(rf"^id +{row['id']}$", out, re.MULTILINE)
        assert [asked.body["to"] for asked in graph.asked] == [f"+{PHONE}"]


def test_people_are_blocked_by_command(
    desk: Desk, call: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, person = desk.place, desk.place.person()
    words = ("--tenant", place.tenant_id, "--from", place.phone_number_id)
    with graph_calls() as graph:
        monkeypatch.setattr(commands, "app_tools", lambda: desk.world.tools(graph_url=graph.url))
        user = {"input": f"+{person.phone}", "wa_id": person.phone}
        for verb, kind in (("add", "added_users"), ("remove", "removed_users")):
            graph.say({"block_users": {kind: [user]}})
            code, out, err = call("blocks", verb, *words, "--users", person.phone)
            assert (code, err) == (DONE, "")
            assert str(person.contact_id) in out
            (row,) = place.rows("contacts")
            assert row["is_blocked"] == (verb == "add")
        graph.say({"data": [{"messaging_product": "whatsapp", "wa_id": person.phone}]})
        code, out, err = call("blocks", "list", *words)
        assert (code, err) == (DONE, "")
        assert person.phone in out
    asked = [(one.method, one.path) for one in graph.asked]
    path = f"{place.phone_number_id}/block_users"
    assert asked == [(method, path) for method in ("POST", "DELETE", "GET")]


def test_a_file_is_uploaded_by_command(
    desk: Desk, call: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (file := tmp_path / "logo.png").write_bytes(content := b"\x89PNG\r\n\x1a\n" + bytes(100))
    place = desk.place
    with serving_files() as meta:
        monkeypatch.setattr(commands, "app_tools", lambda: desk.world.tools(graph_url=meta.url))
        words = ("--tenant", place.tenant_id, "--from", place.phone_number_id, "--file", file)
        code, out, err = call("media", "upload", *words)
    assert (code, err) == (DONE, "")
    (row,) = place.rows("media_uploads")
    assert re.search(rf"^id +{row['wa_media_id']}$", out, re.MULTILINE)
    assert meta.uploads == [(f"/v23.0/{place.phone_number_id}/media", "image/png", content)]
