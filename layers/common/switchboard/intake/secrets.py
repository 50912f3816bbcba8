"""The live secrets of a Meta app: the operator's from Secrets Manager, a tenant's own sealed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import psycopg

from switchboard.kernel.errors import ConfigurationError, NotFound, Unavailable
from switchboard.kernel.secrets import REREAD_S
from switchboard.store import events
from switchboard.tools import Tools

#: Seconds for which an app's secrets are taken from memory: a disabled app is refused after that.
_KEEP_S = 60.0
#: The shape of Meta's app ids: what else stands in the path is not worth a question.
_APP_ID = re.compile(r"[0-9]{1,32}")


@dataclass(frozen=True, slots=True)
class AppSecrets:
    """What a delivery may be signed with (current first) and the tokens of the handshake."""

    app_secrets: tuple[str, ...]
    verify_tokens: tuple[str, ...]


_own_apps: WeakKeyDictionary[Tools, dict[str, tuple[float, AppSecrets]]] = WeakKeyDictionary()


def of(tools: Tools, app_id: str | None, *, fresh: bool = False) -> AppSecrets:
    """Return the secrets of the Meta app; `fresh` reads them again (at most once in 10 s).

    Raises NotFound for an app that is unknown or disabled, Unavailable when the database that
    knows a tenant's app is away and the app is not in memory, ConfigurationError when the secret
    cannot be read.
    """
    if app_id is None:
        secret = tools.secrets.json(tools.settings.require("meta_secret_arn"), fresh=fresh)
        return AppSecrets(
            _present(secret.get("app_secret"), secret.get("app_secret_previous")),
            _present(secret.get("verify_token"), secret.get("verify_token_previous")),
        )
    if not _APP_ID.fullmatch(app_id):
        raise NotFound("there is no such app")
    kept = _own_apps.setdefault(tools, {})
    now = tools.clock.monotonic()
    known = kept.get(app_id)
    if known is not None and now - known[0] < (REREAD_S if fresh else _KEEP_S):
        return known[1]
    try:
        found = _read(tools, app_id)
    except NotFound:
        kept.pop(app_id, None)
        raise
    except (Unavailable, ConfigurationError):
        if known is None:
            raise
        # The database or KMS is away: what it said last still holds.
        return known[1]
    kept[app_id] = (now, found)
    return found


def _read(tools: Tools, app_id: str) -> AppSecrets:
    try:
        app = events.resolve_app(tools.db.connection(), app_id)
    except psycopg.OperationalError as error:
        tools.db.drop()
        raise Unavailable("the database that knows the app is away") from error
    if app is None:
        raise NotFound("there is no such app")

    def unseal(sealed: bytes | None, purpose: str) -> str | None:
        if sealed is None:
            return None
        return tools.sealer.unseal(sealed, tenant_id=app.tenant_id, purpose=purpose)

    return AppSecrets(
        _present(
            unseal(app.app_secret_sealed, "app_secret"),
            unseal(app.app_secret_previous_sealed, "app_secret"),
        ),
        _present(unseal(app.verify_token_sealed, "verify_token")),
    )


def _present(*values: object) -> tuple[str, ...]:
    # An empty secret would sign anything: it is no secret.
    return tuple(value for value in values if isinstance(value, str) and value)
