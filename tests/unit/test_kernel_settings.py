"""The environment as one model."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from switchboard.kernel.database_url import database_url
from switchboard.kernel.errors import ConfigurationError
from switchboard.kernel.owner import OwnerSettings, owner_url
from switchboard.kernel.secrets import Secrets
from switchboard.kernel.settings import Settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OwnerSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings()
    assert settings.graph_api_url == "https://graph.facebook.com"
    assert settings.graph_api_version == "v23.0"
    assert settings.database_url is None
    assert settings.recipient_allow_list == frozenset()


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPH_API_VERSION", "")
    monkeypatch.setenv("BACKLOG_BUCKET", "")
    settings = Settings()
    assert settings.graph_api_version == "v23.0"
    assert settings.backlog_bucket is None


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("15550001111", {"15550001111"}),
        ("+15550001111", {"15550001111"}),
        (" +15550001111, 447700900142 ,", {"15550001111", "447700900142"}),
        (",", set()),
    ],
)
def test_the_allow_list_is_a_list_of_digits(
    monkeypatch: pytest.MonkeyPatch, text: str, numbers: set[str]
) -> None:
    monkeypatch.setenv("RECIPIENT_ALLOW_LIST", text)
    assert Settings().recipient_allow_list == numbers


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().stage = "prod"  # type: ignore[misc]


def test_what_is_needed_and_missing_is_named() -> None:
    with pytest.raises(ConfigurationError, match="BACKLOG_BUCKET is not set"):
        Settings().require("backlog_bucket")
    assert Settings(stage="dev").require("stage") == "dev"


def test_reading_the_environment_waits_until_it_is_asked() -> None:
    """An import that reads settings would break tools and tests that only import."""
    source = (
        Path(__file__).parents[2] / "layers/common/switchboard/kernel/settings.py"
    ).read_text()
    assert "@cache\ndef settings()" in source


# --- the database's URL ---


def test_a_secret_becomes_a_url_with_tls_required() -> None:
    secret = {"host": "db.internal", "username": "app", "password": "p"}
    assert database_url(secret) == "postgresql://app:p@db.internal:5432/switchboard?sslmode=require"


def test_a_password_of_any_characters_survives_the_url() -> None:
    secret = {
        "host": "db.internal",
        "port": 6543,
        "dbname": "my db",
        "username": "app/one",
        "password": "a:b/c@d?e#f%g",
        "sslmode": "disable",
    }
    assert database_url(secret) == (
        "postgresql://app%2Fone:a%3Ab%2Fc%40d%3Fe%23f%25g@db.internal:6543/my%20db?sslmode=disable"
    )


def test_what_a_secret_lacks_is_named_and_what_it_has_is_not() -> None:
    with pytest.raises(ConfigurationError) as caught:
        database_url({"password": "hunter2"})
    assert "host, username" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def secrets_of(**values: str) -> Secrets:
    def fetch(arn: str, *, fresh: bool) -> str:
        return values[arn]

    return Secrets(fetch=fetch)


def test_the_owners_secret_takes_the_place_from_the_apps() -> None:
    """RDS's own master secret holds a user name and a password only."""
    secrets = secrets_of(
        app='{"host": "db", "port": 5433, "username": "app", "password": "x"}',
        rds='{"username": "master", "password": "y"}',
        own='{"username": "master", "password": "y", "host": "other"}',
    )
    settings = OwnerSettings(database_secret_arn="app", database_owner_secret_arn="rds")
    assert owner_url(settings, secrets, fresh=False) == (
        "postgresql://master:y@db:5433/switchboard?sslmode=require"
    )
    settings = OwnerSettings(database_secret_arn="app", database_owner_secret_arn="own")
    assert "@other:5433/" in owner_url(settings, secrets, fresh=False)


def test_the_owners_url_wins_and_one_of_the_two_is_needed() -> None:
    settings = OwnerSettings(database_owner_url="postgresql://o", database_owner_secret_arn="rds")
    assert owner_url(settings, secrets_of(), fresh=False) == "postgresql://o"
    with pytest.raises(ConfigurationError, match="DATABASE_OWNER_URL"):
        owner_url(OwnerSettings(), secrets_of(), fresh=False)
