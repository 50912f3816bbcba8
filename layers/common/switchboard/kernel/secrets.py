"""Secrets through the AWS Parameters and Secrets extension, cached and re-read on demand.

The extension is a local HTTP server beside the function, so reading a secret needs no AWS SDK
(166 ms of import) and no signature. AWS documents the endpoint `/secretsmanager/get`, its token
header and `refreshNow`.
"""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import quote

from switchboard.kernel.errors import ConfigurationError

#: Seconds for which a secret is served from memory.
KEEP_S = 300.0
#: A forced re-read happens at most this often per secret: forged requests must not become a load.
REREAD_S = 10.0


class Fetch(Protocol):
    """Reads a secret by ARN from where it is kept; `fresh` past every cache."""

    def __call__(self, arn: str, *, fresh: bool) -> str:
        """Return the secret's string; raises OSError when it cannot be had."""


class Secrets:
    """Reads secrets by ARN. `fetch` may be replaced (tests, local tools)."""

    def __init__(
        self,
        port: int = 2773,
        *,
        fetch: Fetch | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port = port
        self._fetch: Fetch = fetch or self._from_extension
        self._monotonic = monotonic
        self._kept: dict[str, tuple[float, str]] = {}
        self._reread: dict[str, float] = {}

    def text(self, arn: str, *, fresh: bool = False) -> str:
        """Return the secret's string; raises ConfigurationError when it cannot be read.

        `fresh` asks for a new read (a rotation is suspected); it is honoured at most once in 10 s.
        When a read fails and an older value is known, the older value is served.
        """
        now = self._monotonic()
        kept = self._kept.get(arn)
        if fresh and now - self._reread.get(arn, -REREAD_S) < REREAD_S:
            fresh = False
        if kept is not None and not fresh and now - kept[0] < KEEP_S:
            return kept[1]
        if fresh:
            self._reread[arn] = now
        try:
            value = self._fetch(arn, fresh=fresh)
        except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
            if kept is not None:
                # Asked again in 10 s: each failing read may take as long as its timeout.
                self._kept[arn] = (now - KEEP_S + REREAD_S, kept[1])
                return kept[1]
            raise ConfigurationError(f"secret cannot be read: {type(error).__name__}") from error
        self._kept[arn] = (now, value)
        return value

    def json(self, arn: str, *, fresh: bool = False) -> dict[str, Any]:
        """Return the secret as the JSON object that it holds.

        Raises ConfigurationError when it is none, without quoting it.
        """
        try:
            value = json.loads(self.text(arn, fresh=fresh))
        except ValueError:
            raise ConfigurationError("the secret is not JSON") from None
        if not isinstance(value, dict):
            raise ConfigurationError("the secret is not a JSON object")
        return value

    def _from_extension(self, arn: str, *, fresh: bool) -> str:
        connection = http.client.HTTPConnection("localhost", self._port, timeout=5)
        try:
            path = f"/secretsmanager/get?secretId={quote(arn, safe='')}"
            connection.request(
                "GET",
                path + ("&refreshNow=true" if fresh else ""),
                headers={"X-Aws-Parameters-Secrets-Token": os.environ.get("AWS_SESSION_TOKEN", "")},
            )
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise OSError(f"the secrets extension answered {answer.status}")
            return str(json.loads(body)["SecretString"])
        finally:
            connection.close()
