"""functions/migrate against a real Postgres and a real HTTP server in CloudFormation's place."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from functions.migrate import app
from switchboard.kernel.errors import ConfigurationError
from tests.databases import SQL_FOLDER, ClonedDatabase

APP_SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:switchboard/database-AbCdEf"
OWNER_SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-1234-AbCdEf"


@dataclass(frozen=True)
class Context:
    """The parts of Lambda's context that the function uses."""

    seconds: float = 840.0
    aws_request_id: str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
    log_stream_name: str = "2026/11/20/[$LATEST]58419525dade4d17a495dceeeed44708"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@dataclass
class Neighbour:
    """An HTTP server on this machine: S3 in CloudFormation's name, and the secrets extension."""

    secrets: dict[str, str] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    puts: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """A response URL of the shape that CloudFormation sends: presigned, with a query."""
        return (
            f"http://127.0.0.1:{self.port}/arn%3Aaws%3Acloudformation%3Aeu-central-1%3A123456789012"
            "%3Astack/switchboard/guid%7CSchema%7C0a1b?X-Amz-Signature=f00d&X-Amz-Expires=7200"
        )

    def status(self) -> int:
        return self.statuses.pop(0) if self.statuses else 200


@pytest.fixture
def neighbour() -> Iterator[Neighbour]:
    state = Neighbour()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            state.puts.append((self.path, dict(self.headers.items()), json.loads(body)))
            self._answer(state.status(), b"")

        def do_GET(self) -> None:
            arn = parse_qs(urlsplit(self.path).query)["secretId"][0]
            self._answer(200, json.dumps({"SecretString": state.secrets[arn]}).encode())

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield state
        server.shutdown()


@pytest.fixture
def cloudformation(neighbour: Neighbour) -> Callable[..., dict[str, Any]]:
    """Build an event as CloudFormation sends it."""

    def event(kind: str, **more: Any) -> dict[str, Any]:
        made = {
            "RequestType": kind,
            "ServiceToken": "arn:aws:lambda:eu-central-1:123456789012:function:switchboard-migrate",
            "ResponseURL": neighbour.url,
            "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/switchboard/guid",
            "RequestId": "0a1b2c3d-0000-4000-8000-000000000000",
            "LogicalResourceId": "Schema",
            "ResourceType": "Custom::DatabaseSchema",
            "ResourceProperties": {"MigrationsHash": "arn:…:layer:switchboard-migrations:7"},
        }
        if kind != "Create":
            made["PhysicalResourceId"] = app.PHYSICAL_ID
        return {**made, **more}

    return event


#: A release's files in small; the role's own file, since roles outlive a test's database.
FILES = {
    "0001_roles.sql": """
        do $$ begin
            if not exists (select from pg_roles where rolname = 'app') then create role app; end if;
        end $$;
    """,
    "0002_tenants.sql": "create table tenants (id int primary key);",
    "0003_contacts.sql": "create table contacts (id int primary key);",
}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A folder of migrations, as the layer brings them."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def schema(
    empty_database: ClonedDatabase,
    release: Path,
    monkeypatch: pytest.MonkeyPatch,
    neighbour: Neighbour,
) -> ClonedDatabase:
    """An empty database that the function is configured for."""
    monkeypatch.setenv("DATABASE_OWNER_URL", empty_database.owner_url)
    monkeypatch.setenv("MIGRATIONS_DIR", str(release))
    monkeypatch.setenv("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", str(neighbour.port))
    monkeypatch.delenv("DATABASE_SECRET_ARN", raising=False)
    return empty_database


def ledger(database: ClonedDatabase) -> list[str]:
    with psycopg.connect(database.superuser_url) as connection:
        rows = connection.execute("select name from public.schema_migrations order by version")
        return [str(name) for (name,) in rows]


def test_create_applies_every_file_and_says_so(
    schema: ClonedDatabase, neighbour: Neighbour, cloudformation: Callable[..., dict[str, Any]]
) -> None:
    app.handler(cloudformation("Create"), Context())

    assert ledger(schema) == list(FILES)
    [(path, headers, answer)] = neighbour.puts
    assert path == neighbour.url.removeprefix(f"http://127.0.0.1:{neighbour.port}")
    # The presigned URL is signed for an empty content type; any other is refused by S3.
    assert {k.lower(): v for k, v in headers.items()}["content-type"] == ""
    assert answer == {
        "Status": "SUCCESS",
        "Reason": "",
        "PhysicalResourceId": "messaging-schema",
        "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/switchboard/guid",
        "RequestId": "0a1b2c3d-0000-4000-8000-000000000000",
        "LogicalResourceId": "Schema",
        "Data": {"Applied": len(list(FILES))},
    }


def test_the_real_schema_is_applied(
    schema: ClonedDatabase,
    cloudformation: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MIGRATIONS_DIR", str(SQL_FOLDER))

    answer = app.handler(cloudformation("Create"), Context())

    assert answer["Status"] == "SUCCESS", answer["Reason"]
    assert ledger(schema) == sorted(path.name for path in SQL_FOLDER.glob("*.sql"))


def test_the_same_event_again_changes_nothing(
    schema: ClonedDatabase, neighbour: Neighbour, cloudformation: Callable[..., dict[str, Any]]
) -> None:
    app.handler(cloudformation("Create"), Context())
    app.handler(cloudformation("Create"), Context())

    assert [answer["Data"]["Applied"] for _, _, answer in neighbour.puts] == [len(list(FILES)), 0]
    assert ledger(schema) == list(FILES)


def test_an_update_with_older_files_is_a_rollback_and_changes_nothing(
    schema: ClonedDatabase,
    neighbour: Neighbour,
    cloudformation: Callable[..., dict[str, Any]],
    release: Path,
) -> None:
    app.handler(cloudformation("Create"), Context())
    (release / "0003_contacts.sql").unlink()

    answer = app.handler(cloudformation("Update", OldResourceProperties={}), Context())

    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] == neighbour.puts[0][2]["PhysicalResourceId"]
    assert ledger(schema) == list(FILES)


def test_an_update_with_an_edited_file_fails(
    schema: ClonedDatabase, cloudformation: Callable[..., dict[str, Any]], release: Path
) -> None:
    app.handler(cloudformation("Create"), Context())
    (release / "0003_contacts.sql").write_text("create table contacts (id bigint primary key);")

    answer = app.handler(cloudformation("Update", OldResourceProperties={}), Context())

    assert answer["Status"] == "FAILED"
    assert "MigrationDrift: 0003_contacts.sql" in answer["Reason"]


def test_delete_keeps_the_data_and_needs_no_database(
    schema: ClonedDatabase,
    neighbour: Neighbour,
    cloudformation: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app.handler(cloudformation("Create"), Context())
    monkeypatch.setenv("DATABASE_OWNER_URL", "postgresql://owner@127.0.0.1:1/gone")

    answer = app.handler(cloudformation("Delete"), Context())

    assert answer["Status"] == "SUCCESS"
    assert ledger(schema) == list(FILES)


def test_a_failing_file_is_answered_with_its_reason_and_leaves_nothing_half_done(
    schema: ClonedDatabase,
    neighbour: Neighbour,
    cloudformation: Callable[..., dict[str, Any]],
    release: Path,
) -> None:
    (release / "0004_bad.sql").write_text("create table half (id int); select * from nowhere;")

    app.handler(cloudformation("Create"), Context())

    [(_, _, answer)] = neighbour.puts
    assert answer["Status"] == "FAILED"
    assert 'relation "nowhere" does not exist' in answer["Reason"]
    assert Context.log_stream_name in answer["Reason"]
    assert ledger(schema) == list(FILES)
    with psycopg.connect(schema.superuser_url) as connection:
        assert connection.execute("select to_regclass('half')").fetchone() == (None,)


def test_a_database_out_of_reach_is_answered_without_its_password(
    schema: ClonedDatabase,
    neighbour: Neighbour,
    cloudformation: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_OWNER_URL", "postgresql://owner:hunter2@127.0.0.1:1/gone")

    app.handler(cloudformation("Create"), Context())

    [(_, _, answer)] = neighbour.puts
    assert answer["Status"] == "FAILED"
    assert "OperationalError" in answer["Reason"]
    assert "hunter2" not in json.dumps(answer)


def test_an_endless_reason_still_fits_into_cloudformations_4096_bytes(
    schema: ClonedDatabase,
    neighbour: Neighbour,
    cloudformation: Callable[..., dict[str, Any]],
    release: Path,
) -> None:
    (release / "0004_bad.sql").write_text(
        "do $$ begin raise exception '%', repeat('ü', 5000); end $$;"
    )

    app.handler(cloudformation("Create"), Context())

    [(_, headers, answer)] = neighbour.puts
    assert answer["Status"] == "FAILED"
    assert int({k.lower(): v for k, v in headers.items()}["content-length"]) <= 4096


def test_before_lambda_ends_the_function_cloudformation_hears_of_it_once(
    schema: ClonedDatabase,
    neighbour: Neighbour,
    cloudformation: Callable[..., dict[str, Any]],
    release: Path,
) -> None:
    (release / "0004_slow.sql").write_text("select pg_sleep(2);")

    app.handler(cloudformation("Create"), Context(seconds=app.MARGIN_S + 0.2))

    [(_, _, answer)] = neighbour.puts
    assert answer["Status"] == "FAILED"
    assert "longer than the function may run" in answer["Reason"]


def test_an_answer_that_is_refused_is_sent_again(
    schema: ClonedDatabase, neighbour: Neighbour, cloudformation: Callable[..., dict[str, Any]]
) -> None:
    neighbour.statuses = [500]

    app.handler(cloudformation("Create"), Context())

    assert [answer["Status"] for _, _, answer in neighbour.puts] == ["SUCCESS", "SUCCESS"]


def test_an_answer_that_never_gets_through_is_an_error_so_that_lambda_tries_again(
    schema: ClonedDatabase,
    cloudformation: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)

    with pytest.raises(OSError, match="does not take the answer: ConnectionRefusedError"):
        app.handler(cloudformation("Create", ResponseURL="http://127.0.0.1:1/x?y"), Context())


def test_the_owner_logs_in_where_the_app_does_and_the_app_gets_its_password(
    schema: ClonedDatabase,
    neighbour: Neighbour,
    cloudformation: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DATABASE_OWNER_URL")
    monkeypatch.setenv("DATABASE_SECRET_ARN", APP_SECRET)
    monkeypatch.setenv("DATABASE_OWNER_SECRET_ARN", OWNER_SECRET)
    place = urlsplit(schema.owner_url)
    neighbour.secrets = {
        APP_SECRET: json.dumps(
            {
                "host": place.hostname,
                "port": place.port,
                "dbname": schema.name,
                "sslmode": "disable",
                "username": "app",
                "password": "s3cret:/?@",
            }
        ),
        # As RDS keeps its master user's: who, but not where.
        OWNER_SECRET: json.dumps({"username": "owner", "password": "a:b/c@d"}),
    }
    before = app_password(schema)

    answer = app.handler(cloudformation("Create"), Context())

    assert answer["Status"] == "SUCCESS", answer["Reason"]
    assert ledger(schema) == list(FILES)
    assert app_password(schema) not in (None, before)


def app_password(database: ClonedDatabase) -> str | None:
    with psycopg.connect(database.superuser_url) as connection:
        row = connection.execute(
            "select rolpassword from pg_authid where rolname = 'app'"
        ).fetchone()
        return row[0] if row else None


def test_an_operator_can_migrate_by_hand(schema: ClonedDatabase) -> None:
    assert app.handler({"migrate": True}, Context()) == {"applied": list(FILES)}
    assert app.handler({"migrate": True}, Context()) == {"applied": []}


@pytest.fixture
def operated(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migrated database on which an operator gives commands."""
    monkeypatch.setenv("DATABASE_OWNER_URL", database.owner_url)


@pytest.mark.usefixtures("operated")
def test_an_operator_creates_a_tenant_and_a_key_which_no_log_ever_sees(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def admin(command: str, **arguments: Any) -> dict[str, Any]:
        return app.handler({"admin": {"command": command, **arguments}}, Context())

    tenant = admin("tenant create", slug="acme", name="Acme Travel")
    key = admin("key create", tenant="acme", name="orders", scopes=["messages:send"])

    assert tenant["slug"] == "acme"
    assert "acme" in [one["slug"] for one in admin("tenant list")["rows"]]
    assert key["key"] not in capsys.readouterr().out


@pytest.mark.usefixtures("operated")
def test_what_a_command_refuses_is_told_without_an_exception() -> None:
    refused = app.handler({"admin": {"command": "tenant create", "slug": "NO"}}, Context())

    assert refused["type"] == "Unprocessable"
    assert "slug" in refused["error"]


@pytest.mark.usefixtures("operated")
def test_an_unknown_command_is_answered_with_the_known_ones() -> None:
    refused = app.handler({"admin": {"command": "help"}}, Context())

    assert refused["type"] == "BadRequest"
    assert "tenant create" in refused["error"]


def test_an_event_of_no_known_kind_is_refused(schema: ClonedDatabase) -> None:
    with pytest.raises(ConfigurationError):
        app.handler({"migrate": "please"}, Context())


def test_a_missing_owner_is_named(
    schema: ClonedDatabase,
    cloudformation: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DATABASE_OWNER_URL")
    monkeypatch.delenv("DATABASE_OWNER_SECRET_ARN", raising=False)

    answer = app.handler(cloudformation("Create"), Context())

    assert answer["Status"] == "FAILED"
    assert "DATABASE_OWNER_SECRET_ARN is not set" in answer["Reason"]
