"""From a database secret to a libpq URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from switchboard.kernel.errors import ConfigurationError


def database_url(secret: Mapping[str, Any]) -> str:
    """Return the libpq URL of a secret {host, port?, dbname?, username, password, sslmode?}.

    The names are those of Secrets Manager's own RDS secrets; TLS is required unless `sslmode` says
    otherwise. Raises ConfigurationError that names what is missing, never what is there.
    """
    missing = [name for name in ("host", "username", "password") if not secret.get(name)]
    if missing:
        raise ConfigurationError(f"the database secret lacks {', '.join(missing)}")
    user, password = (
        quote(str(secret["username"]), safe=""),
        quote(str(secret["password"]), safe=""),
    )
    name = quote(str(secret.get("dbname") or "switchboard"), safe="")
    return (
        f"postgresql://{user}:{password}@{secret['host']}:{secret.get('port') or 5432}/{name}"
        f"?sslmode={secret.get('sslmode') or 'require'}"
    )
