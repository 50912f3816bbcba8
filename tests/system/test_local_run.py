"""`make run`: starts whole, keeps what it had, comes back from kills, and stops clean."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import httpx
import psycopg
import pytest

from local.greeting import GUEST
from local.guardian import Guardian
from local.ports import free_port
from local.settings import LocalSettings
from tests.running_stack import ROOT, RunningStack

NAMED = {
    "API_URL", "GRAPH_API_URL", "SIMULATOR_URL", "DATABASE_URL", "DATABASE_OWNER_URL",
    "META_APP_SECRET", "META_VERIFY_TOKEN",
    *(f"{name}{suffix}" for name in ("API_KEY", "PHONE_NUMBER_ID", "WABA_ID", "TENANT_ID")
      for suffix in ("", "_2", "_3")),
}  # fmt: skip


def _wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _client(service: str, values: dict[str, str]) -> Any:
    override = values.get(f"AWS_ENDPOINT_URL_{service.upper()}", values["AWS_ENDPOINT_URL"])
    return botocore.session.get_session().create_client(
        service,
        region_name=values["AWS_REGION"],
        endpoint_url=override,
        aws_access_key_id=values["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
    )


def _processes_of(folder: Path) -> list[str]:
    shown = subprocess.run(["ps", "-ewwo", "args="], capture_output=True, text=True, check=True)
    return [line for line in shown.stdout.splitlines() if str(folder) in line]


def test_the_env_file_says_what_a_service_needs(stack: dict[str, str]) -> None:
    assert set(stack) >= NAMED
    assert all(stack[name] for name in NAMED)
    assert stack["TENANT_ID"] == stack["TENANT_ID_2"] != stack["TENANT_ID_3"]
    assert stack["API_KEY"] == stack["API_KEY_2"] != stack["API_KEY_3"]
    numbers = {stack[f"PHONE_NUMBER_ID{suffix}"] for suffix in ("", "_2", "_3")}
    assert len(numbers) == 3


def test_the_env_file_is_for_its_owner_only(running_stack: RunningStack) -> None:
    for name in ("env", "made-once.json", "aws/secrets.json", "aws/keys.json"):
        assert (running_stack.folder / name).stat().st_mode & 0o077 == 0, name


def test_the_handshake_goes_through_gateway_and_handler(stack: dict[str, str]) -> None:
    query = {
        "hub.mode": "subscribe",
        "hub.verify_token": stack["META_VERIFY_TOKEN"],
        "hub.challenge": "a1b2",
    }
    url = f"{stack['API_URL']}/webhook"
    answer = httpx.get(url, params=query)
    assert (answer.status_code, answer.text) == (200, "a1b2")
    assert httpx.get(url, params=query | {"hub.verify_token": "x"}).status_code == 403
    assert httpx.get(f"{stack['API_URL']}/nothing").status_code == 404


def test_functions_log_in_as_app_and_the_superuser_is_for_inspection(
    stack: dict[str, str],
) -> None:
    role = "select rolsuper, rolbypassrls from pg_roles where rolname = current_user"
    with psycopg.connect(stack["DATABASE_URL"]) as app:
        assert app.execute(role).fetchone() == (False, False)
        # No tenant is set: row-level security shows nothing.
        assert app.execute("select count(*) from messaging.whatsapp_accounts").fetchone() == (0,)
    with psycopg.connect(stack["DATABASE_OWNER_URL"]) as superuser:
        assert superuser.execute(role).fetchone() == (True, True)
        rows = superuser.execute(
            "select phone_number_id, tenant_id::text, auto_mark_read, acknowledging_reaction "
            "from messaging.whatsapp_accounts order by phone_number_id"
        ).fetchall()
    assert rows == [
        (stack[f"PHONE_NUMBER_ID{suffix}"], stack[f"TENANT_ID{suffix}"], True, "👍")
        for suffix in ("", "_2", "_3")
    ]


def test_the_operators_command_line_works_with_the_env_file(running_stack: RunningStack) -> None:
    listed = subprocess.run(
        [
            *(sys.executable, "-m", "switchboard", "admin", "tenant", "list", "--json"),
            *("--env-file", str(running_stack.folder / "env")),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": "layers/common"},
    )
    assert listed.returncode == 0, listed.stderr
    slugs = {row["slug"] for row in json.loads(listed.stdout)["rows"]}
    assert {"casa-verde", "northwind"} <= slugs


def test_the_banners_command_sends_a_message_as_it_stands(running_stack: RunningStack) -> None:
    told = running_stack.told()
    command = told[told.index("curl -sS") :].partition("\n─")[0]
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, check=False, timeout=30
    )
    answer = json.loads(done.stdout)
    assert answer["status"] in {"accepted", "sent", "delivered", "read"}, answer
    url = f"{running_stack.values['SIMULATOR_URL']}/simulator/phone/{GUEST}/messages"

    def arrived() -> bool:
        chat = httpx.get(url).json()["messages"]
        return any(message["id"] == answer["wa_message_id"] for message in chat)

    _wait_until(arrived)


def test_lambdas_api_answers_the_operators_direct_invocation(stack: dict[str, str]) -> None:
    client = _client("lambda", stack)
    name = stack["PROCESS_JOBS_FUNCTION"].split(":")[0].replace("process-jobs", "migrate")
    payload = json.dumps({"admin": {"command": "tenant list"}})
    answer = client.invoke(FunctionName=name, Payload=payload)
    document = json.loads(answer["Payload"].read())
    client.close()
    assert "FunctionError" not in answer, document
    assert {"casa-verde", "northwind"} <= {row["slug"] for row in document["rows"]}


def test_a_killed_postgres_is_back_within_seconds_on_its_port(
    running_stack: RunningStack,
) -> None:
    url = running_stack.values["DATABASE_URL"]
    for _ in range(2):
        before = running_stack.postgres_pid()
        running_stack.kill_postgres()
        started = time.monotonic()
        _wait_until(lambda: _answers(url))
        assert time.monotonic() - started < 10
        _wait_until(lambda before=before: running_stack.postgres_pid() != before)  # type: ignore[misc]
    assert "starting it again" in running_stack.told()


def test_a_second_run_on_the_same_folder_is_refused_in_one_sentence(
    running_stack: RunningStack, guardian: Guardian
) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "local"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"LOCAL_DIR": str(running_stack.folder)},
    )
    assert refused.returncode == 1
    assert "already runs on" in refused.stderr
    assert str(running_stack.process.pid) in refused.stderr
    assert "Traceback" not in refused.stderr
    assert running_stack.process.poll() is None
    # The env file says that the running one is ready; the refused one must leave it alone.
    assert (running_stack.folder / "env").exists()


@pytest.fixture
def own_stack(
    stack_folder: Path, guardian: Guardian, request: pytest.FixtureRequest
) -> Iterator[RunningStack]:
    """A run of the test's own, to be killed and stopped."""
    folder = stack_folder / request.node.name.removeprefix("test_")[:30]
    stack = RunningStack(folder, guardian, LOCAL_WORKERS="1")
    yield stack
    stack.stop()


def test_a_killed_run_leaves_nothing_running_and_a_second_start_finds_everything(
    own_stack: RunningStack,
) -> None:
    first = dict(own_stack.start())
    s3 = _client("s3", first)
    s3.put_object(Bucket=first["MEDIA_BUCKET"], Key="probe/kept", Body=b"before the kill")
    context = {"tenant_id": "t", "purpose": "access_token"}
    kms = _client("kms", first)
    sealed = kms.encrypt(KeyId=first["KMS_KEY_ID"], Plaintext=b"x", EncryptionContext=context)
    secrets = _client("secretsmanager", first)
    rotated = {"app_secret": "rotated", "verify_token": first["META_VERIFY_TOKEN"]}
    secrets.put_secret_value(SecretId=first["META_SECRET_ARN"], SecretString=json.dumps(rotated))
    with psycopg.connect(first["DATABASE_OWNER_URL"], autocommit=True) as connection:
        connection.execute("create table public.probe as select 7 as kept")
    for client in (s3, kms, secrets):
        client.close()

    assert own_stack.stop(signal.SIGKILL) == -signal.SIGKILL
    _wait_until(lambda: not _processes_of(own_stack.folder))

    started = time.monotonic()
    second = own_stack.start()
    assert time.monotonic() - started < 30
    changed = {name for name in first if first[name] != second[name]}
    assert changed <= {"META_APP_SECRET"}
    assert second["META_APP_SECRET"] == "rotated"
    s3 = _client("s3", second)
    kept = s3.get_object(Bucket=second["MEDIA_BUCKET"], Key="probe/kept")["Body"].read()
    assert kept == b"before the kill"
    kms = _client("kms", second)
    opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context)
    assert opened["Plaintext"] == b"x"
    s3.close()
    kms.close()
    with psycopg.connect(second["DATABASE_OWNER_URL"]) as connection:
        assert connection.execute("select kept from public.probe").fetchone() == (7,)

    started = time.monotonic()
    assert own_stack.stop(signal.SIGINT) == 0
    assert time.monotonic() - started < 10
    _wait_until(lambda: not _processes_of(own_stack.folder))
    assert not (own_stack.folder / "env").exists()


def test_ctrl_c_during_the_start_stops_it_clean(own_stack: RunningStack) -> None:
    own_stack.launch()
    _wait_until((own_stack.folder / "postgres" / "postmaster.pid").exists)
    assert own_stack.stop(signal.SIGINT) == 0
    assert "Traceback" not in own_stack.told().partition("stopping")[2]
    _wait_until(lambda: not _processes_of(own_stack.folder))


def _refusal(folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "local"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"LOCAL_DIR": str(folder)} | environment,
        timeout=60,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


@pytest.mark.parametrize("name", ["PORT", "SIMULATOR_PORT"])
def test_a_port_in_use_is_named_with_the_way_out(tmp_path: Path, name: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        other_name = "SIMULATOR_PORT" if name == "PORT" else "PORT"
        told = _refusal(tmp_path, **{name: port, other_name: str(free_port())})
    assert told.startswith(f"Port {port}, wanted for the")
    assert f"{name}=<number>" in told


def test_a_broken_data_folder_and_missing_programs_are_named(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "notes.txt").write_text("not a database")
    ports = {"PORT": str(free_port()), "SIMULATOR_PORT": str(free_port())}
    assert "is not a Postgres data folder" in _refusal(tmp_path, **ports)
    assert "initdb is not in /nowhere" in _refusal(tmp_path, **ports, PG_BIN="/nowhere")
    assert "PORT=http is not a number" in _refusal(tmp_path, PORT="http")


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for folder in (file, file / "below"):
        told = _refusal(folder)
        assert f"Nothing can be kept in {folder} ({file} is a file, not a folder)" in told
        assert "LOCAL_DIR=<folder>" in told
        assert len(told.splitlines()) == 1
    assert file.read_text() == "mine"


def test_an_edited_migration_is_told_in_words_with_the_way_out(own_stack: RunningStack) -> None:
    with psycopg.connect(own_stack.start()["DATABASE_OWNER_URL"], autocommit=True) as connection:
        connection.execute(
            "update public.schema_migrations set sha256 = repeat('0', 64) where version = 1"
        )
    assert own_stack.stop() == 0
    before = len(own_stack.told())
    own_stack.launch()
    assert own_stack.process.wait(60) == 1
    told = own_stack.told()[before:]
    assert "Traceback" not in told
    assert "[ERROR]" not in told
    assert "MigrationDrift" in (own_stack.folder / "logs" / "migrate.log").read_text()
    assert told.count("differs from what was applied") == 1
    assert f"While developing, {own_stack.folder} can be deleted" in told


def test_defaults_are_the_documented_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    from local.settings import read_settings

    settings: LocalSettings = read_settings({})
    assert (settings.port, settings.simulator_port) == (8080, 8090)
    assert settings.folder == ROOT / ".local"
