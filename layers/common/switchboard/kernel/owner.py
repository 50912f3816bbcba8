"""Where the owner of the tables logs in: the migrate function and operators, nobody else."""

from __future__ import annotations

from pydantic import Field

from switchboard.kernel.database_url import database_url
from switchboard.kernel.errors import ConfigurationError
from switchboard.kernel.secrets import Secrets
from switchboard.kernel.settings import Settings


class OwnerSettings(Settings):
    """The settings, and those of the owner."""

    database_owner_url: str | None = Field(
        None, description="libpq URL of the role that owns the tables; local runs and tests"
    )
    database_owner_secret_arn: str | None = Field(
        None, description="secret with username and password of that role"
    )


def owner_url(settings: OwnerSettings, secrets: Secrets, *, fresh: bool) -> str:
    """Return the owner's libpq URL; DATABASE_OWNER_URL wins over DATABASE_OWNER_SECRET_ARN.

    RDS's own master secret holds a user name and a password only: what it lacks of the place is
    taken from the app's secret. Raises ConfigurationError where neither is set.
    """
    if settings.database_owner_url:
        return settings.database_owner_url
    if not settings.database_owner_secret_arn:
        raise ConfigurationError("DATABASE_OWNER_URL or DATABASE_OWNER_SECRET_ARN is not set")
    app = (
        secrets.json(settings.database_secret_arn, fresh=fresh)
        if settings.database_secret_arn
        else {}
    )
    place = {key: value for key, value in app.items() if key not in ("username", "password")}
    return database_url({**place, **secrets.json(settings.database_owner_secret_arn, fresh=fresh)})
