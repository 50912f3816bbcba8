"""The environment as one frozen model, read once and lazily, never at import."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from switchboard.kernel.errors import ConfigurationError


def _numbers(value: Any) -> Any:
    """Read a comma-separated list of numbers; a `+` in front is the same number."""
    if isinstance(value, str):
        return frozenset(part.strip().lstrip("+") for part in value.split(",") if part.strip())
    return value


def _address(value: str | None) -> str | None:
    """Check that it is the beginning of an address; a slash at its end is the same one."""
    if value is not None and not value.startswith(("https://", "http://")):
        raise ValueError("must begin with https://")
    return value and value.rstrip("/")


class Settings(BaseSettings):
    """Everything a deployment may set; `docs/configuration.md` has a row for each."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    database_url: str | None = Field(
        None, description="libpq URL of the app role; local runs and tests"
    )
    database_secret_arn: str | None = Field(
        None, description="secret with host, port, dbname, username, password of the app role"
    )
    meta_secret_arn: str | None = Field(
        None, description="secret of the operator's Meta app: app_secret, verify_token"
    )
    preferences_secret_arn: str | None = Field(
        None, description="secret whose key signs links to people's own preferences"
    )
    graph_api_url: str = Field("https://graph.facebook.com", description="Meta's Graph API")
    graph_api_version: str = Field("v23.0", description="version in the path of every Graph call")
    backlog_bucket: str | None = Field(
        None, description="bucket that keeps raw bodies while Postgres is away"
    )
    media_bucket: str | None = Field(None, description="bucket of the media files")
    process_jobs_function: str | None = Field(
        None, description="function name or ARN that a nudge invokes"
    )
    ses_configuration_set: str | None = Field(
        None, description="SES configuration set of mails: it makes SES tell what became of them"
    )
    public_url: Annotated[str | None, AfterValidator(_address)] = Field(
        None, description="address under which people reach the API: links to it begin with it"
    )
    kms_key_id: str | None = Field(None, description="KMS key that seals tokens and secrets")
    recipient_allow_list: Annotated[frozenset[str], NoDecode, BeforeValidator(_numbers)] = Field(
        frozenset(),
        description="numbers to which alone anything is sent (staging); empty: everyone",
    )
    dead_letter_days: int = Field(
        180, ge=1, description="days after which a dead letter that nobody resolved is deleted"
    )
    job_days: int = Field(14, ge=1, description="days after which a job that has ended is deleted")
    run_days: int = Field(
        365, ge=1, description="days after which a run of a rule that has ended is deleted"
    )
    email_days: int = Field(
        365, ge=30, description="days after which a mail is deleted; SES tells of some after weeks"
    )
    stage: str = Field("local", description="local, dev, staging or prod")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    parameters_secrets_extension_http_port: int = Field(
        2773, description="port of the AWS Parameters and Secrets extension"
    )

    def require(self, name: str) -> str:
        """Return the setting `name`, or raise ConfigurationError that says which one is missing."""
        value = getattr(self, name)
        if not value:
            raise ConfigurationError(f"{name.upper()} is not set")
        return str(value)


@cache
def settings() -> Settings:
    """Return the process's settings, read from the environment at the first call."""
    return Settings()
