"""The composition root: where the database is, and a nudge that never stands in the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from switchboard.kernel import aws
from switchboard.kernel.errors import ConfigurationError
from switchboard.kernel.secrets import Secrets
from switchboard.kernel.settings import Settings
from switchboard.tools import NUDGE_S, Tools

SECRET = '{"host": "db", "username": "app", "password": "p/w", "sslmode": "disable"}'


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


class Vault:
    """A place of secrets that notes how it is asked."""

    def __init__(self) -> None:
        self.asked: list[bool] = []

    def __call__(self, arn: str, *, fresh: bool) -> str:
        self.asked.append(fresh)
        return SECRET


def url_of(tools: Tools, *, fresh: bool = False) -> str:
    return tools._database_url(fresh=fresh)


def test_a_url_in_the_environment_wins() -> None:
    settings = Settings(database_url="postgresql://here", database_secret_arn="arn")
    assert url_of(Tools(settings)) == "postgresql://here"


def test_a_secret_says_where_the_database_is_and_is_read_anew_when_it_was_refused() -> None:
    vault = Vault()
    tools = Tools(Settings(database_secret_arn="arn"), secrets=Secrets(fetch=vault))
    for fresh in (False, False, True):
        assert (
            url_of(tools, fresh=fresh)
            == "postgresql://app:p%2Fw@db:5432/switchboard?sslmode=disable"
        )
    assert vault.asked == [False, True]


def test_a_deployment_that_names_no_database_is_told() -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL or DATABASE_SECRET_ARN"):
        url_of(Tools(Settings()))


def test_building_tools_connects_to_nothing_and_imports_no_client() -> None:
    """A cold start pays for what it uses."""
    program = (
        "import sys\n"
        "from switchboard.kernel.settings import Settings\n"
        "from switchboard.tools import Tools\n"
        "Tools(Settings(database_url='postgresql://nowhere.invalid/x'))\n"
        "print(*({'httpx', 'botocore', 'boto3', 'switchboard.whatsapp.client'} & set(sys.modules)))"
    )
    path = str(Path(__file__).parents[2] / "layers" / "common")
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == []


class Lambda:
    """Lambda's Invoke, or its failure."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[dict[str, Any]] = []

    def invoke(self, **call: Any) -> None:
        self.calls.append(call)
        if self.error is not None:
            raise self.error


def test_a_nudge_is_an_asynchronous_invoke(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Lambda()

    def client(service: str, *, read_s: float, tries: int) -> Lambda:
        assert service == "lambda"
        # The connection's 2 seconds, the answer's, and a pause of 1 between tries (kernel/aws.py).
        assert tries * (2 + read_s) + (tries - 1) <= NUDGE_S
        return made

    monkeypatch.setattr(aws, "client", client)
    Tools(Settings(process_jobs_function="process-jobs:live")).nudge()
    assert made.calls == [
        {
            "FunctionName": "process-jobs:live",
            "InvocationType": "Event",
            "Payload": b'{"source":"nudge"}',
        }
    ]


def test_a_lost_nudge_is_logged_and_nothing_more(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    made = Lambda(RuntimeError("away"))
    monkeypatch.setattr(aws, "client", lambda service, **_: made)
    Tools(Settings(process_jobs_function="process-jobs")).nudge()
    assert b"nudge.lost" in capfdbinary.readouterr().out


def test_without_a_function_nobody_is_nudged(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Lambda()
    monkeypatch.setattr(aws, "client", lambda service, **_: made)
    Tools(Settings()).nudge()
    assert made.calls == []
