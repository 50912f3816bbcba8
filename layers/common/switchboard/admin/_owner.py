"""The owner's connection: only the migrate function and an operator's shell have it."""

from __future__ import annotations

from switchboard.kernel.db import Database
from switchboard.kernel.owner import OwnerSettings, owner_url
from switchboard.kernel.secrets import Secrets
from switchboard.tools import Tools


def owner_tools(settings: OwnerSettings | None = None) -> Tools:
    """Return tools whose database connection is the owner's, opened when first used.

    Without DATABASE_OWNER_URL and DATABASE_OWNER_SECRET_ARN, DATABASE_URL is tried: it serves where
    one role does everything.
    """
    known = settings or OwnerSettings()
    secrets = Secrets(known.parameters_secrets_extension_http_port)
    if known.database_url and not known.database_owner_url and not known.database_owner_secret_arn:
        return Tools(known, secrets=secrets)

    def url(*, fresh: bool) -> str:
        return owner_url(known, secrets, fresh=fresh)

    return Tools(known, db=Database(url, prepare_threshold=None), secrets=secrets)
