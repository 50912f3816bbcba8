"""The commands of staff: the same use cases as the routes, as the functions' role."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shlex import split
from typing import Any
from uuid import UUID, uuid4

import pytest

from local.ports import free_port
from switchboard import commands
from switchboard.__main__ import DONE, REFUSED, UNREACHABLE, WRONG_ARGUMENTS
from switchboard.kernel import aws
from tests.commanding import CommandLine
from tests.databases import ClonedDatabase
from tests.managing import Desk, column

PHONE = "4915550000001"


@pytest.fixture
def clients() -> Iterator[None]:
    """Clients of AWS made in the test, by its own settings, and forgotten with it."""
    aws.client.cache_clear()
    yield
    aws.client.cache_clear()


def test_a_tenant_is_named_by_slug_or_id_and_sees_its_own(desk: Desk, call: CommandLine) -> None:
    conversation_id = desk.hear("4915550000001")
    other = desk.world.place()
    for tenant in (desk.place.tenant_id, f"t-{desk.place.tenant_id}"):
        code, out, _ = call("conversations", "list", "--tenant", tenant, "--json")
        assert code == DONE
        assert column(json.loads(out)["data"], "id") == [conversation_id]
    code, out, _ = call("conversations", "list", "--tenant", other.tenant_id, "--json")
    assert (code, json.loads(out)) == (DONE, {"data": [], "next_cursor": None})
    code, _, err = call(
        "conversations", "show", "--tenant", other.tenant_id, "--conversation", conversation_id
    )
    assert (code, err) == (REFUSED, "error: this conversation is not known\n")
    code, _, err = call("conversations", "list", "--tenant", "nobody")
    assert (code, err) == (REFUSED, "error: there is no tenant 'nobody'\n")


def test_a_reader_that_has_seen_enough_is_no_error(desk: Desk, database: ClonedDatabase) -> None:
    reader, pipe = os.pipe()
    os.close(reader)
    words = ["conversations", "list", "--tenant", str(desk.place.tenant_id)]
    done = subprocess.run(
        [sys.executable, "-m", "switchboard", *words],
        stdout=pipe,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        env={**os.environ, "DATABASE_URL": database.app_url},
        check=False,
    )
    os.close(pipe)
    assert (done.returncode, done.stderr) == (DONE, "")


def test_a_thread_is_worked_on_by_command(desk: Desk, call: CommandLine) -> None:
    conversation_id = desk.hear("4915550000001", "one", "two")
    desk.user("ana@acme.example")
    which = ("--tenant", desk.place.tenant_id, "--conversation", conversation_id)

    def done(verb: str, *words: object) -> dict[str, Any]:
        code, out, err = call("conversations", verb, *which, *words, "--json")
        assert (code, err) == (DONE, "")
        made: dict[str, Any] = json.loads(out)
        return made

    assert done("assign", "--user", "ana@acme.example")["assigned_user_id"] is not None
    assert done("assign", "--user", "none")["assigned_user_id"] is None
    assert done("tag", "--add", "vip", "new")["tags"] == ["new", "vip"]
    assert done("tag", "--remove", "new")["tags"] == ["vip"]
    assert done("update", "--priority", "high", "--is-pinned")["is_pinned"] is True
    assert done("update", "--no-is-pinned")["priority"] == "high"
    # No Graph answers: what is logged of it does not get into the document.
    assert done("read")["conversation"]["unread_count"] == 0
    states = {"pending": "pending", "resolve": "resolved", "reopen": "open", "spam": "spam"}
    for verb, state in {**states, "close": "closed"}.items():
        assert done(verb)["status"] == state
    assert done("archive")["archived_at"] is not None
    assert done("unarchive")["archived_at"] is None
    assert done("show") == desk.ok("GET /v1/conversations/{id}", conversation_id)
    rows = done("messages", "--order", "oldest_first")["data"]
    assert column(rows, "content") == [{"body": "one"}, {"body": "two"}]


def test_a_contact_is_found_and_changed_by_command(desk: Desk, call: CommandLine) -> None:
    contact_id = desk.contact_of(desk.hear("4915550000001", name="Ana"))
    tenant = ("--tenant", desk.place.tenant_id)
    code, out, _ = call("contacts", "list", *tenant, "--phone", "+4915550000001")
    assert code == DONE
    assert out.splitlines()[0].split() == list(
        next(c for c in commands.RESOURCES["contacts"].commands if c.verb == "list").columns
    )
    assert contact_id in out
    which = (*tenant, "--contact", contact_id)
    code, out, _ = call(
        "contacts", "update", *which, "--name", "Ana Ruiz", "--attributes", '{"plan": "gold"}'
    )
    assert code == DONE
    assert re.search(r"^name +Ana Ruiz$", out, re.MULTILINE)
    call("contacts", "update", *which, "--name", "", "--is-blocked", "--tags", "a", "b")
    shown = desk.ok("GET /v1/contacts/{id}", contact_id)
    assert (shown["name"], shown["is_blocked"], shown["tags"]) == (None, True, ["a", "b"])
    assert shown["attributes"] == {"plan": "gold"}


def test_a_subscription_is_kept_by_command(
    desk: Desk, call: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "app_tools", desk.world.tools)
    tenant = ("--tenant", desk.place.tenant_id)
    given = ("--url", "https://127.0.0.1/hook", "--kinds", "message", "echo")
    code, out, err = call("subscriptions", "create", *tenant, *given)
    assert (code, err) == (DONE, "")
    secret, _, shown = out.partition("\n\n")
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
    assert shown.startswith("This is the only time it is shown.")
    (row,) = desk.place.rows("event_subscriptions")
    assert re.search(rf"^id +{row['id']}$", shown, re.MULTILINE)
    which = (*tenant, "--subscription", row["id"])

    def done(verb: str, *words: object) -> dict[str, Any]:
        code, out, err = call("subscriptions", verb, *which, *words, "--json")
        assert (code, err) == (DONE, "")
        made: dict[str, Any] = json.loads(out)
        return made

    assert done("update", "--kinds", "call")["kinds"] == ["call"]
    assert done("rotate")["secret"] not in {secret, ""}
    delivery_id = done("test")["delivery_id"]
    (delivery,) = done("deliveries", "--state", "pending", "--limit", "1")["data"]
    assert delivery["id"] == delivery_id
    assert done("disable")["disabled_reason"] == "by_hand"
    assert done("enable")["is_active"] is True
    assert done("show") == desk.ok("GET /v1/subscriptions/{id}", row["id"])
    code, out, _ = call("subscriptions", "list", *tenant)
    assert (str(row["id"]) in out, "whsec_" in out) == (True, False)
    assert done("delete")["id"] == str(row["id"])
    code, _, err = call("subscriptions", "show", *which)
    assert (code, err) == (REFUSED, "error: this subscription is not known\n")


def test_a_list_tells_how_to_go_on(desk: Desk, call: CommandLine) -> None:
    made = [desk.hear(f"491555000000{n}", minute=n) for n in range(3)]
    words = ["conversations", "list", "--tenant", desk.place.tenant_id, "--limit", 2]
    code, out, _ = call(*words)
    assert code == DONE
    assert (made[2] in out, made[1] in out, made[0] in out) == (True, True, False)
    cursor = out.splitlines()[-1].removeprefix("more: --cursor ")
    code, out, _ = call(*words, "--cursor", cursor)
    assert made[0] in out
    assert "more:" not in out
    assert call(*words, "--cursor", "nonsense")[0] == REFUSED


def test_exit_codes_tell_what_went_wrong(
    desk: Desk, call: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tenant = ("--tenant", desk.place.tenant_id)
    assert call("contacts", "list", *tenant, "--limit", "lots")[0] == WRONG_ARGUMENTS
    assert call("contacts", "update", *tenant, "--contact", uuid4())[0] == REFUSED
    code, _, err = call("contacts", "update", *tenant, "--contact", uuid4(), "--attributes", "{no")
    assert (code, err) == (
        WRONG_ARGUMENTS,
        "error: attributes: must be a JSON object\n",
    )
    code, _, err = call("conversations", "tag", *tenant, "--conversation", uuid4())
    assert (code, err) == (WRONG_ARGUMENTS, "error: add or remove must name a tag\n")
    assert call("contacts", "list", "--tenant", "acme\udcff")[0] == REFUSED
    (odd := tmp_path / "env").write_bytes(b"\x7fELF\xff")
    assert call("contacts", "list", *tenant, "--env-file", odd)[0] == WRONG_ARGUMENTS
    assert call("contacts", "list")[0] == 2
    assert call("contacts", "fly", *tenant)[0] == 2
    monkeypatch.setenv("DATABASE_URL", f"postgresql://app@127.0.0.1:{free_port()}/x")
    assert call("contacts", "list", *tenant)[0] == UNREACHABLE
    # A database, but none of Switchboard's.
    monkeypatch.setenv("DATABASE_URL", desk.world.database.server.url(database="postgres"))
    code, _, err = call("contacts", "list", *tenant)
    assert (code, err.count("\n")) == (UNREACHABLE, 1)


@pytest.mark.usefixtures("clients")
def test_a_bucket_that_is_away_is_told(
    desk: Desk, call: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKLOG_BUCKET", "backlog")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "eu-central-1")
    for verb in ("list", "replay"):
        code, _, err = call("backlog", verb, "--tenant", "system")
        assert code == UNREACHABLE
        assert err.startswith("error: the bucket of the backlog cannot be reached: ")


@pytest.mark.usefixtures("clients")
def test_without_a_right_to_the_bucket_no_address_is_signed(
    desk: Desk, call: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = {"from": PHONE, "id": "wamid.1", "timestamp": "1700000000", "type": "image"}
    desk.take({**part, "image": {"id": "7", "mime_type": "image/png"}}, PHONE)
    (file,) = desk.place.rows("media")
    desk.set("media", file["id"], status="stored", s3_key="x")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "MEDIA_BUCKET": "media",
    }.items():
        monkeypatch.setenv(name, value)
    words = ("media", "address", "--tenant", desk.place.tenant_id, "--media", file["id"])
    code, _, err = call(*words)
    assert (code, err.count("\n")) == (UNREACHABLE, 1)


def test_what_strangers_write_neither_steers_the_terminal_nor_breaks_a_table(
    desk: Desk, call: CommandLine
) -> None:
    desk.hear("4915550000001", "a\nb\x1b[2J\u202ec", name="A\x1b]0;x\x07\rna 👩\u200d💻")
    _, threads, _ = call("conversations", "list", "--tenant", desk.place.tenant_id)
    _, people, _ = call("contacts", "list", "--tenant", desk.place.tenant_id)
    assert [len(out.splitlines()) for out in (threads, people)] == [2, 2]
    assert "a\\nb\\x1b[2J\\u202ec" in threads
    assert "A\\x1b]0;x\\x07\\rna 👩\u200d💻" in people


def test_every_command_has_help_and_an_example_that_is_read(call: CommandLine) -> None:
    names = set()
    for resource in commands.RESOURCES:
        _, out, _ = call(resource.word, "--help")
        assert resource.what[1:] in " ".join(out.split())
        for command in resource.commands:
            names.add(f"{resource.word} {command.verb}")
            code, out, _ = call(resource.word, command.verb, "--help")
            assert code == DONE
            assert command.summary
            assert command.summary.rstrip(".") in " ".join(out.split())
            assert f"python -m switchboard {resource.word} {command.verb} --tenant acme" in out
            assert all(field.description for field in command.arguments.model_fields.values())
            fields = {f.alias or n: f for n, f in command.arguments.model_fields.items()}
            required = {name for name, field in fields.items() if field.is_required()}
            words = re.findall(r"(?<!\S)--([a-z-]+)", command.example)
            named = {word.replace("-", "_") for word in words}
            assert required <= named <= {*fields, *(f"no_{name}" for name in fields)}
            assert all(f"--{name.replace('_', '-')}" in out for name in fields)
            # The whole example is taken, up to the tenant that is not there.
            code, _, err = call(
                *(resource.word, command.verb, "--tenant", "nobody", *split(command.example))
            )
            assert (code, err) == (REFUSED, "error: there is no tenant 'nobody'\n")
    assert {"contacts list", "conversations messages", "media show"} <= names


def test_the_folder_of_commands_is_the_list() -> None:
    assert {"contacts", "conversations", "media"} <= set(commands.RESOURCES.names())


def test_the_functions_role_learns_a_tenants_id_and_nothing_else(
    desk: Desk, database: ClonedDatabase
) -> None:
    tools = desk.world.tools()
    connection = tools.db.connection()
    (row,) = connection.execute(
        "select * from messaging.resolve_tenant(%s)", (f"t-{desk.place.tenant_id}",)
    )
    assert row == (desk.place.tenant_id,)
    assert isinstance(row[0], UUID)
    assert connection.execute("select * from messaging.tenants").fetchall() == []


def test_a_message_is_decided_sent_and_shown_by_command(desk: Desk, call: CommandLine) -> None:
    place = desk.place
    reached, closed = place.person(), place.person(window=None)
    which = ("--tenant", place.tenant_id, "--json")
    number = ("--number", place.phone_number_id)

    def sent(*words: object) -> dict[str, Any]:
        code, out, err = call("messages", "send", *which, *number, *words)
        assert (code, err) == (DONE, ""), err
        document: dict[str, Any] = json.loads(out)
        return document

    told = sent("--to", reached.phone, "--text", "Hello", "--dry-run")
    assert (told["status_code"], told["status"]) == (200, "allowed")
    assert place.rows("whatsapp_messages") == []
    denied = sent("--to", closed.phone, "--body", '{"type": "text", "text": {"body": "Hello"}}')
    assert (denied["status_code"], denied["decision"]["reason"]) == (422, "window_closed")
    code, out, _ = call("messages", "show", *which, "--message", denied["id"])
    shown = json.loads(out)
    assert (code, shown["status"], shown["id"]) == (DONE, "denied", denied["id"])
    code, _, err = call("messages", "send", *which, *number, "--to", reached.phone)
    assert (code, "text or body" in err) == (REFUSED, True)


def test_what_a_command_lists_or_shows_is_text_too(desk: Desk, call: CommandLine) -> None:
    contact_id = desk.contact_of(conversation_id := desk.hear(PHONE))
    which = ("--tenant", desk.place.tenant_id)
    commands_of = {
        (resource.word, c.verb): c for resource in commands.RESOURCES for c in resource.commands
    }
    listed = [
        words
        for words, command in commands_of.items()
        if command.columns
        and words[0] not in {"blocks", "backlog"}  # Meta's, and a bucket's
        and not any(field.is_required() for field in command.arguments.model_fields.values())
    ]
    assert len(listed) > 8
    for words in listed:
        code, out, err = call(*words, *which)
        assert (code, err) == (DONE, ""), words
        assert out.strip(), words
    shown = {
        ("conversations", "show", "--conversation", conversation_id): conversation_id,
        ("conversations", "messages", "--conversation", conversation_id): "hello",
        ("contacts", "show", "--contact", contact_id): PHONE,
        ("numbers", "show", "--number", desk.place.phone_number_id): desk.place.phone_number_id,
    }
    for (word, verb, *which_one), expected in shown.items():
        code, out, err = call(word, verb, *which, *which_one)
        assert (code, err) == (DONE, "")
        assert expected in out
