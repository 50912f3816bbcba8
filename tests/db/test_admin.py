"""The operator's commands: as the plain owner, seen by the functions' role, shown once."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from local.ports import free_port
from switchboard import admin
from switchboard.__main__ import DONE, REFUSED, UNREACHABLE, WRONG_ARGUMENTS, main
from switchboard.kernel.clock import Clock
from switchboard.kernel.db import Database, set_tenant
from switchboard.kernel.errors import (
    BadRequest,
    ConfigurationError,
    Conflict,
    NotFound,
    Unavailable,
    Unprocessable,
)
from switchboard.kernel.owner import OwnerSettings
from switchboard.kernel.seal import Sealer
from switchboard.tools import Tools
from tests.databases import ClonedDatabase

Run = Callable[..., dict[str, Any]]

WABA, NUMBER, PHONE = "100000000000001", "310000000000001", "+15550001111"


class Wax(Sealer):
    """Seals readably, so that a test sees for whom and for what."""

    def seal(self, plain: str, *, tenant_id: UUID | str, purpose: str) -> bytes:
        return f"{tenant_id}/{purpose}/{plain[::-1]}".encode()


def tools_for(url: str) -> Tools:
    tools = Tools(OwnerSettings(), db=Database(url), clock=Clock())
    tools.sealer = Wax("key")
    return tools


@pytest.fixture
def tools(database: ClonedDatabase) -> Iterator[Tools]:
    tools = tools_for(database.owner_url)
    yield tools
    tools.db.drop()


@pytest.fixture
def run(tools: Tools) -> Run:
    """Run a command: run("tenant create", slug="acme", name="Acme")."""

    def run(command: str, **arguments: Any) -> dict[str, Any]:
        return admin.run(command, arguments, tools=tools)

    return run


@pytest.fixture
def acme(run: Run) -> str:
    """A tenant with a WABA and a number; returns its id."""
    tenant = run("tenant create", slug="acme", name="Acme Travel")
    run("waba create", tenant="acme", waba_id=WABA)
    run(
        "number create",
        tenant="acme",
        waba_id=WABA,
        phone_number_id=NUMBER,
        phone_number=PHONE,
        display_name="Acme",
        access_token="token",
    )
    return str(tenant["id"])


@pytest.fixture
def app(database: ClonedDatabase) -> Iterator[psycopg.Connection[Any]]:
    """What the functions see."""
    with psycopg.connect(database.app_url, autocommit=True) as link:
        yield link


def seen(app: psycopg.Connection[Any], tenant: str, query: str) -> list[Any]:
    with app.transaction():
        set_tenant(app, tenant)
        return app.execute(query).fetchall()


# --- creating ---


def test_a_tenant_comes_with_what_it_is_given(run: Run, app: psycopg.Connection[Any]) -> None:
    made = run("tenant create", slug="acme", name="  Acme Travel ")
    assert made["name"] == "Acme Travel"
    assert made["is_active"] is True
    assert made["sends_stopped_at"] is None
    assert seen(app, made["id"], "select slug, name from messaging.tenants") == [
        ("acme", "Acme Travel")
    ]


def test_the_same_slug_again_says_what_exists(run: Run, acme: str) -> None:
    with pytest.raises(Conflict, match="tenant acme exists already") as caught:
        run("tenant create", slug="acme", name="Another")
    assert str(caught.value.extra["existing"]["id"]) == acme
    assert caught.value.extra["existing"]["name"] == "Acme Travel"
    assert len(run("tenant list")["rows"]) == 2  # the system tenant too


def test_a_tenant_may_bring_its_id_once(run: Run) -> None:
    wanted = "0193c2a0-0000-7000-8000-000000000001"
    assert run("tenant create", slug="one", name="One", id=wanted)["id"] == wanted
    with pytest.raises(Conflict):
        run("tenant create", slug="two", name="Two", id=wanted)


def test_everything_of_a_tenant_is_shown_and_nothing_sealed(run: Run, acme: str) -> None:
    run("user create", tenant="acme", email="Ana@Acme.example", full_name="Ana", role="admin")
    run("app create", tenant=acme, app_id="9", app_secret="s3cret", verify_token="v3rify")
    key = run("key create", tenant="acme", name="orders", scopes=["messages:send"])["key"]
    shown = run("tenant show", tenant="acme")
    assert shown["tenant"]["slug"] == "acme"
    assert [user["email"] for user in shown["users"]] == ["ana@acme.example"]
    assert [one["app_id"] for one in shown["apps"]] == ["9"]
    assert [one["waba_id"] for one in shown["wabas"]] == [WABA]
    assert [one["phone_number_id"] for one in shown["numbers"]] == [NUMBER]
    assert shown["numbers"][0]["has_access_token"] is True
    text = json.dumps(shown)
    for secret in ("s3cret", "v3rify", "token/", key, key[14:]):
        assert secret not in text.replace("has_access_token", "")


def test_secrets_are_sealed_for_their_tenant_and_purpose(
    run: Run, acme: str, database: ClonedDatabase
) -> None:
    run("app create", tenant="acme", app_id="9", app_secret="abc", verify_token="xyz")
    with psycopg.connect(database.superuser_url) as link:
        (app_secret, previous, verify), *_ = link.execute(
            "select app_secret_sealed, app_secret_previous_sealed, verify_token_sealed"
            " from messaging.meta_apps"
        ).fetchall()
        token = link.execute("select access_token_sealed from messaging.whatsapp_accounts")
        assert token.fetchall() == [(f"{acme}/access_token/nekot".encode(),)]
    assert (app_secret, previous, verify) == (
        f"{acme}/app_secret/cba".encode(),
        None,
        f"{acme}/verify_token/zyx".encode(),
    )


def test_a_new_app_secret_keeps_the_old_one_as_the_previous(
    run: Run, acme: str, database: ClonedDatabase
) -> None:
    run("app create", tenant="acme", app_id="9", app_secret="old", verify_token="xyz")
    changed = run("app update", tenant="acme", app="9", app_secret="new")
    assert changed["has_previous_secret"] is True
    run("app update", tenant="acme", app="9", name="renamed")
    with psycopg.connect(database.superuser_url) as link:
        row = link.execute(
            "select name, app_secret_sealed, app_secret_previous_sealed from messaging.meta_apps"
        ).fetchone()
    assert row == (
        "renamed",
        f"{acme}/app_secret/wen".encode(),
        f"{acme}/app_secret/dlo".encode(),
    )


def test_a_number_without_a_token_waits_and_with_one_is_connected(run: Run, acme: str) -> None:
    second = {"tenant": "acme", "waba_id": WABA, "display_name": "Two", "phone_number_id": "32"}
    made = run("number create", **second, phone_number="+15550001112")
    assert (made["status"], made["has_access_token"]) == ("pending", False)
    until = "2027-01-31T00:00:00+00:00"
    made = run(
        "number update", tenant="acme", number="32", access_token="t", token_expires_at=until
    )
    assert (made["status"], made["has_access_token"]) == ("connected", True)
    assert made["token_expires_at"] == until


def test_what_a_number_does_is_changed_one_by_one(run: Run, acme: str) -> None:
    change = {"tenant": "acme", "number": PHONE}
    assert run("number update", **change, auto_mark_read=True)["auto_mark_read"] is True
    made = run("number update", **change, acknowledging_reaction="👍")
    assert made["acknowledging_reaction"] == "👍"
    assert made["auto_mark_read"] is True
    assert run("number update", **change, resend_once=True)["acknowledging_reaction"] == "👍"
    assert (
        run("number update", **change, acknowledging_reaction="")["acknowledging_reaction"] is None
    )
    assert run("number update", **change, auto_mark_read=False)["auto_mark_read"] is False
    made = run("number update", **change, confirm_consents=False)
    assert (made["confirm_consents"], made["resend_once"]) == (False, True)


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        (
            "waba create",
            {"waba_id": WABA},
            f"WABA {WABA} is registered already for the tenant acme",
        ),
        (
            "number create",
            {
                "waba_id": "77",
                "phone_number_id": NUMBER,
                "phone_number": "+15559990000",
                "display_name": "Mine",
            },
            f"number {NUMBER} is registered already for the tenant acme",
        ),
        (
            "app create",
            {"app_id": "9", "app_secret": "x", "verify_token": "y"},
            "Meta app 9 is registered already for the tenant acme",
        ),
    ],
)
def test_metas_ids_belong_to_one_tenant(
    run: Run, acme: str, command: str, arguments: dict[str, Any], said: str
) -> None:
    run("app create", tenant="acme", app_id="9", app_secret="x", verify_token="y")
    run("tenant create", slug="other", name="Other")
    run("waba create", tenant="other", waba_id="77")
    with pytest.raises(Conflict, match=said):
        run(command, tenant="other", **arguments)


def test_the_same_again_in_one_tenant_says_what_exists(run: Run, acme: str) -> None:
    number = {"tenant": "acme", "waba_id": WABA, "display_name": "Acme"}
    with pytest.raises(Conflict, match=f"number {NUMBER} exists already") as caught:
        run("number create", **number, phone_number_id=NUMBER, phone_number="+15559990000")
    assert caught.value.extra["existing"]["phone_number"] == PHONE
    with pytest.raises(Conflict, match=re.escape(f"number {PHONE} exists already")) as caught:
        run("number create", **number, phone_number_id="55", phone_number=PHONE)
    assert caught.value.extra["existing"]["phone_number_id"] == NUMBER
    with pytest.raises(Conflict, match=f"WABA {WABA} exists already"):
        run("waba create", tenant="acme", waba_id=WABA)
    run("user create", tenant="acme", email="ana@acme.example", full_name="Ana")
    with pytest.raises(Conflict, match=r"user ana@acme\.example exists already"):
        run("user create", tenant="acme", email="ANA@acme.example", full_name="Ana")


def test_what_is_unknown_is_named(run: Run, acme: str) -> None:
    number = {"phone_number_id": "5", "phone_number": "+15559990000", "display_name": "x"}
    for command, arguments, said in (
        ("tenant show", {"tenant": "nobody"}, "tenant 'nobody'"),
        ("number stop", {"tenant": "acme", "number": "5"}, "number '5'"),
        ("user disable", {"tenant": "acme", "user": "x@y"}, "user 'x@y'"),
        ("key revoke", {"tenant": "acme", "key": "sb_"}, "key 'sb_'"),
        ("waba disable", {"tenant": "acme", "waba": "5"}, "WABA '5'"),
        ("app disable", {"tenant": "acme", "app": "5"}, "Meta app '5'"),
        ("waba create", {"tenant": "acme", "waba_id": "5", "app_id": "6"}, "Meta app '6'"),
        ("number create", {"tenant": "acme", "waba_id": "6", **number}, "WABA '6' of acme"),
    ):
        with pytest.raises(NotFound, match=f"there is no {re.escape(said)}"):
            run(command, **arguments)


def test_one_tenants_things_are_nothing_to_another(run: Run, acme: str) -> None:
    run("tenant create", slug="other", name="Other")
    with pytest.raises(NotFound):
        run("number stop", tenant="other", number=NUMBER)
    assert run("number list", tenant="other") == {"rows": []}


def test_nothing_is_registered_for_the_system_tenant(run: Run) -> None:
    for command, arguments in (
        ("waba create", {"waba_id": WABA}),
        ("key create", {"name": "x", "scopes": ["messages:send"]}),
        ("tenant disable", {}),
    ):
        with pytest.raises(Unprocessable, match="system tenant"):
            run(command, tenant="system", **arguments)


# --- keys ---


def test_a_key_is_shown_once_and_stored_as_its_digest(
    run: Run, acme: str, database: ClonedDatabase, app: psycopg.Connection[Any]
) -> None:
    made = run(
        "key create",
        tenant="acme",
        name="orders",
        scopes=["messages:send", "media:read", "media:read"],
    )
    key = made["key"]
    assert re.fullmatch(r"sb_[A-Za-z0-9_-]{43}", key)
    assert made["row"]["scopes"] == ["media:read", "messages:send"]
    assert made["row"]["key_prefix"] == key[:11]
    digest = hashlib.sha256(key.encode()).digest()
    row = app.execute(
        "select tenant_id::text, scopes from messaging.resolve_api_key(%s)", (digest,)
    )
    assert row.fetchall() == [(acme, ["media:read", "messages:send"])]
    with psycopg.connect(database.superuser_url) as link:
        stored = link.execute("select to_jsonb(k)::text from messaging.api_keys as k").fetchall()
    assert key not in str(stored)
    assert run("key list", tenant="acme") == {"rows": [made["row"]]}


def test_a_revoked_key_opens_nothing_from_then_on(
    run: Run, acme: str, app: psycopg.Connection[Any]
) -> None:
    made = run("key create", tenant="acme", name="orders", scopes=["messages:send"])
    query = "select 1 from messaging.resolve_api_key(%s)"
    digest = hashlib.sha256(made["key"].encode()).digest()
    assert app.execute(query, (digest,)).fetchone() == (1,)
    first = run("key revoke", tenant="acme", key=made["row"]["key_prefix"])
    assert app.execute(query, (digest,)).fetchone() is None
    again = run("key revoke", tenant="acme", key=made["row"]["id"])
    assert again["revoked_at"] == first["revoked_at"] is not None


def test_an_expired_key_and_one_of_a_disabled_tenant_open_nothing(
    run: Run, acme: str, app: psycopg.Connection[Any]
) -> None:
    scopes = ["messages:send"]
    expired = run(
        "key create", tenant="acme", name="x", scopes=scopes, expires_at="2020-01-01T00:00:00Z"
    )
    good = run("key create", tenant="acme", name="x", scopes=scopes)
    query = "select 1 from messaging.resolve_api_key(%s)"

    def opens(made: dict[str, Any]) -> bool:
        digest = hashlib.sha256(made["key"].encode()).digest()
        return app.execute(query, (digest,)).fetchone() is not None

    assert not opens(expired)
    assert opens(good)
    run("tenant disable", tenant="acme")
    assert not opens(good)
    run("tenant enable", tenant="acme")
    assert opens(good)


def test_two_keys_never_match(run: Run, acme: str) -> None:
    keys = {
        run("key create", tenant="acme", name="x", scopes=["media:read"])["key"] for _ in range(20)
    }
    assert len(keys) == 20


# --- stopping and disabling ---


def test_sends_of_a_tenant_are_stopped_and_resumed_by_one_update(run: Run, acme: str) -> None:
    first = run("tenant stop", tenant="acme")["sends_stopped_at"]
    assert first is not None
    assert run("tenant stop", tenant=acme)["sends_stopped_at"] == first
    assert run("tenant resume", tenant="acme")["sends_stopped_at"] is None
    assert run("tenant resume", tenant="acme")["sends_stopped_at"] is None


def test_sends_of_a_number_are_stopped_and_resumed_alone(run: Run, acme: str) -> None:
    other = {"waba_id": WABA, "phone_number_id": "32", "phone_number": "+15550001112"}
    run("number create", tenant="acme", display_name="Two", **other)
    assert run("number stop", tenant="acme", number=NUMBER)["sends_stopped_at"] is not None
    stopped = {
        one["phone_number_id"]: one["sends_stopped_at"] is not None
        for one in run("number list", tenant="acme")["rows"]
    }
    assert stopped == {NUMBER: True, "32": False}
    assert run("number resume", tenant="acme", number=PHONE)["sends_stopped_at"] is None


@pytest.mark.parametrize(
    ("what", "which"),
    [
        ("tenant", {}),
        ("user", {"user": "ana@acme.example"}),
        ("app", {"app": "9"}),
        ("waba", {"waba": WABA}),
        ("number", {"number": NUMBER}),
    ],
)
def test_everything_can_be_disabled_and_enabled(
    run: Run, acme: str, what: str, which: dict[str, str]
) -> None:
    run("user create", tenant="acme", email="ana@acme.example", full_name="Ana")
    run("app create", tenant="acme", app_id="9", app_secret="x", verify_token="y")
    for _ in range(2):
        assert run(f"{what} disable", tenant="acme", **which)["is_active"] is False
    for _ in range(2):
        assert run(f"{what} enable", tenant="acme", **which)["is_active"] is True


def test_a_disabled_app_of_a_tenant_is_resolved_by_nobody(
    run: Run, acme: str, app: psycopg.Connection[Any]
) -> None:
    run("app create", tenant="acme", app_id="9", app_secret="x", verify_token="y")
    query = "select count(*) from messaging.resolve_app('9')"
    assert app.execute(query).fetchone() == (1,)
    run("app disable", tenant="acme", app="9")
    assert app.execute(query).fetchone() == (0,)


# --- arguments ---


@pytest.mark.parametrize(
    ("command", "arguments", "field"),
    [
        ("tenant create", {"slug": "Acme", "name": "x"}, "slug"),
        ("tenant create", {"slug": "acme", "name": "   "}, "name"),
        ("tenant create", {"slug": "acme"}, "name"),
        ("tenant create", {"slug": "acme", "name": "x", "colour": "red"}, "colour"),
        ("user create", {"tenant": "a", "email": "nobody", "full_name": "x"}, "email"),
        ("user create", {"tenant": "a", "email": "a@b", "full_name": "x", "role": "king"}, "role"),
        ("waba create", {"tenant": "a", "waba_id": "WABA"}, "waba_id"),
        ("key create", {"tenant": "a", "name": "x", "scopes": []}, "scopes"),
        ("key create", {"tenant": "a", "name": "x", "scopes": ["Send All"]}, "scopes.0"),
        ("key create", {"tenant": "a", "name": "x", "scopes": ["messages:sent"]}, "scopes.0"),
        (
            "key create",
            {
                "tenant": "a",
                "name": "x",
                "scopes": ["media:read"],
                "expires_at": "2027-01-31T00:00:00",
            },
            "expires_at",
        ),
        (
            "app create",
            {"tenant": "a", "app_id": "9", "app_secret": "", "verify_token": "y"},
            "app_secret",
        ),
    ],
)
def test_a_wrong_argument_is_named(
    run: Run, command: str, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises((Unprocessable, BadRequest)) as caught:
        run(command, **arguments)
    assert caught.value.field == field


@pytest.mark.parametrize("phone", ["15550001111", "+0555000111", "+1555", "+1 555 000 1111", ""])
def test_a_phone_number_is_written_in_one_way(run: Run, acme: str, phone: str) -> None:
    number = {"waba_id": WABA, "phone_number_id": "5", "display_name": "x"}
    with pytest.raises(Unprocessable, match="phone_number"):
        run("number create", tenant="acme", phone_number=phone, **number)


def test_a_refusal_quotes_no_secret(run: Run) -> None:
    secret = "x" * 5000
    with pytest.raises((Unprocessable, BadRequest)) as caught:
        run("app create", tenant="a", app_id="9", app_secret=secret, verify_token="y" * 5000)
    assert "xxxx" not in str(caught.value)
    assert "xxxx" not in str(caught.value.extra)
    assert caught.value.__cause__ is None


def test_an_unknown_command_lists_the_known(run: Run) -> None:
    with pytest.raises(BadRequest, match=r"unknown command 'tenant drop'.*tenant create"):
        run("tenant drop")


# --- the role ---


def test_the_functions_role_administers_nothing(database: ClonedDatabase, acme: str) -> None:
    tools = tools_for(database.app_url)
    for command, arguments in (
        ("tenant list", {}),
        ("tenant create", {"slug": "x", "name": "x"}),
        ("tenant stop", {"tenant": "acme"}),
    ):
        with pytest.raises(ConfigurationError, match="role that owns the tables"):
            admin.run(command, arguments, tools=tools)
    tools.db.drop()


def test_an_empty_database_and_one_that_is_away_are_told(empty_database: ClonedDatabase) -> None:
    tools = tools_for(empty_database.owner_url)
    with pytest.raises(ConfigurationError, match="apply the migrations first"):
        admin.run("tenant create", {"slug": "x", "name": "x"}, tools=tools)
    tools.db.drop()
    away = tools_for(f"postgresql://owner@127.0.0.1:{free_port()}/x")
    with pytest.raises(Unavailable):
        admin.run("tenant list", {}, tools=away)


# --- the command line ---


@pytest.fixture
def command_line(
    database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run `python -m switchboard admin …`; returns exit code, output and errors."""
    for name in OwnerSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATABASE_OWNER_URL", database.owner_url)
    monkeypatch.setattr(admin, "owner_tools", lambda: tools_for(database.owner_url))

    def call(*words: str) -> tuple[int, str, str]:
        try:
            code = main(["admin", *words])
        except SystemExit as ending:  # argparse's own way out
            code = int(str(ending.code or 0))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


CommandLine = Callable[..., tuple[int, str, str]]


def test_the_command_line_sets_up_a_tenant(command_line: CommandLine, tmp_path: Path) -> None:
    token = tmp_path / "token.txt"
    token.write_text("s3cret-token\n")
    steps = (
        ("tenant", "create", "--slug", "acme", "--name", "Acme Travel"),
        ("waba", "create", "--tenant", "acme", "--waba-id", WABA),
        (
            *("number", "create", "--tenant", "acme", "--waba-id", WABA),
            *("--phone-number-id", NUMBER, "--phone-number", PHONE, "--display-name", "Acme"),
            *("--access-token", f"@{token}", "--auto-mark-read"),
        ),
        ("number", "update", "--tenant", "acme", "--number", NUMBER, "--no-auto-mark-read"),
    )
    for step in steps:
        code, out, error = command_line(*step)
        assert (code, error) == (DONE, ""), step
        assert "s3cret" not in out
    code, out, _ = command_line(
        *("key", "create", "--tenant", "acme", "--name", "orders"),
        *("--scopes", "messages:send", "messages:read"),
    )
    assert code == DONE
    assert re.match(r"sb_[\w-]{43}\n\nThis is the only time it is shown", out)
    key = out.split("\n", 1)[0]
    code, out, _ = command_line("tenant", "show", "--tenant", "acme")
    assert "messages:read messages:send" in out
    assert re.search(rf"{NUMBER}\s+\{PHONE}", out)
    assert key not in out


def test_json_is_for_programs(command_line: CommandLine) -> None:
    _, out, _ = command_line("tenant", "create", "--slug", "acme", "--name", "Acme", "--json")
    assert json.loads(out)["slug"] == "acme"
    _, out, _ = command_line("tenant", "list", "--json")
    assert [row["slug"] for row in json.loads(out)["rows"]] == ["system", "acme"]
    _, out, _ = command_line("user", "list", "--tenant", "acme")
    assert out == "(none)\n"


def test_a_secret_may_come_from_standard_input(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch, database: ClonedDatabase
) -> None:
    command_line("tenant", "create", "--slug", "acme", "--name", "Acme")
    monkeypatch.setattr("sys.stdin", io.StringIO("abc\n"))
    code, _, _ = command_line(
        *("app", "create", "--tenant", "acme", "--app-id", "9"),
        *("--app-secret", "-", "--verify-token", "xyz"),
    )
    assert code == DONE
    with psycopg.connect(database.superuser_url) as link:
        (sealed,) = link.execute("select app_secret_sealed from messaging.meta_apps").fetchall()
    assert bytes(sealed[0]).endswith(b"/app_secret/cba")


def test_exit_codes_tell_what_went_wrong(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = ("tenant", "create", "--slug", "acme", "--name", "Acme")
    assert command_line(*create)[0] == DONE
    code, out, error = command_line(*create)
    assert (code, out) == (REFUSED, "")
    assert error.startswith("error: tenant acme exists already\n")
    assert command_line("tenant", "show", "--tenant", "nobody")[0] == REFUSED
    code, _, error = command_line("tenant", "create", "--slug", "A!", "--name", "x")
    assert code == WRONG_ARGUMENTS
    assert error.startswith("error: slug: ")
    assert command_line("tenant", "create", "--slug", "x")[0] == WRONG_ARGUMENTS
    assert command_line("tenant", "drop")[0] == WRONG_ARGUMENTS
    absent = ("--app-id", "9", "--app-secret", "@/no/such/file", "--verify-token", "x")
    assert command_line("app", "create", "--tenant", "acme", *absent)[0] == WRONG_ARGUMENTS


def test_a_database_that_is_not_set_or_away_is_one_sentence(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    for name in OwnerSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    code, _, error = command_line("tenant", "list")
    assert code == UNREACHABLE
    assert error == "error: DATABASE_OWNER_URL or DATABASE_OWNER_SECRET_ARN is not set\n"
    port = free_port()
    monkeypatch.setenv("DATABASE_OWNER_URL", f"postgresql://owner:hunter2@127.0.0.1:{port}/x")
    code, _, error = command_line("tenant", "list")
    assert code == UNREACHABLE
    assert error.count("\n") == 1
    assert f"port {port} failed" in error
    assert "hunter2" not in error


def test_settings_may_come_from_a_file_that_the_environment_overrules(
    command_line: CommandLine,
    database: ClonedDatabase,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.undo()
    # Set and removed: what the command sets from the file is undone after the test.
    for name in ("DATABASE_OWNER_URL", "STAGE"):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)
    env = tmp_path / "env"
    env.write_text(f"# local\nDATABASE_OWNER_URL={database.owner_url}\nSTAGE='local'\n\n")
    code, out, _ = command_line("tenant", "list", "--env-file", str(env))
    assert code == DONE
    assert "system" in out
    monkeypatch.setenv("DATABASE_OWNER_URL", f"postgresql://owner@127.0.0.1:{free_port()}/x")
    assert command_line("tenant", "list", "--env-file", str(env))[0] == UNREACHABLE


def test_every_command_has_help_and_an_example_that_parses(command_line: CommandLine) -> None:
    for command in admin.COMMANDS.values():
        resource, verb = command.name.split(" ")
        code, out, _ = command_line(resource, verb, "--help")
        assert code == DONE
        assert command.summary.rstrip(".") in " ".join(out.split())
        assert f"python -m switchboard admin {command.name}" in out
        required = {
            name for name, field in command.arguments.model_fields.items() if field.is_required()
        }
        named = {word.replace("-", "_") for word in re.findall(r"--([a-z-]+)", command.example)}
        assert required <= named <= command.arguments.model_fields.keys()


def test_the_functions_of_the_package_are_the_commands() -> None:
    """Whoever imports the package can do what the command line can."""
    for command in admin.COMMANDS.values():
        assert getattr(admin, command.run.__name__) is command.run


def test_a_cap_of_marketing_is_set_changed_and_taken_away(run: Run) -> None:
    run("tenant create", slug="acme", name="Acme")
    changed = run("tenant update", tenant="acme", marketing_cap=4)
    assert (changed["marketing_cap"], changed["marketing_cap_hours"]) == (4, 168)
    changed = run("tenant update", tenant="acme", marketing_cap_hours=24, name="Acme Travel")
    assert (changed["marketing_cap"], changed["marketing_cap_hours"]) == (4, 24)
    assert changed["name"] == "Acme Travel"
    assert run("tenant update", tenant="acme", marketing_cap=0)["marketing_cap"] is None
    assert run("tenant show", tenant="acme")["tenant"]["marketing_cap_hours"] == 24


def test_whose_address_a_tenant_s_mails_have_is_the_operator_s_to_say(run: Run) -> None:
    run("tenant create", slug="acme", name="Acme")
    given = {
        "email_from": "Trips@ACME.example",
        "email_from_name": "Acme, Travel",
        "email_reply_to": "desk@büro.example",
    }
    changed = run("tenant update", tenant="acme", **given)
    assert {name: changed[name] for name in given} == {
        "email_from": "Trips@acme.example",
        "email_from_name": "Acme, Travel",
        "email_reply_to": "desk@xn--bro-hoa.example",
    }
    assert run("tenant update", tenant="acme", name="A")["email_from"] == "Trips@acme.example"
    cleared = run("tenant update", tenant="acme", **dict.fromkeys(given, ""))
    assert [cleared[name] for name in given] == [None, None, None]
    for wrong in ({"email_from": "a,b@acme.example"}, {"email_from_name": "A\r\nBcc: x"}):
        with pytest.raises((Unprocessable, BadRequest)):
            run("tenant update", tenant="acme", **wrong)
