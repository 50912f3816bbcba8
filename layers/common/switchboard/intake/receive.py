"""One webhook delivery: is it Meta's, and is it kept? 200 means that every event of it is."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from switchboard.intake import backlog, secrets
from switchboard.intake.store import store
from switchboard.kernel.errors import Forbidden, Unauthorized, Unavailable
from switchboard.kernel.log import log
from switchboard.tools import Tools
from switchboard.whatsapp import signature


def verify(tools: Tools, query: dict[str, str], app_id: str | None) -> str:
    """Answer Meta's handshake: return the challenge to send back as it is.

    Raises Forbidden unless the mode is `subscribe` and the verify token is the app's
    (Webhooks, verification requests).
    """
    given = query.get("hub.verify_token", "")
    if query.get("hub.mode") == "subscribe" and "hub.challenge" in query:
        if _among(given, secrets.of(tools, app_id).verify_tokens):
            return query["hub.challenge"]
        if _among(given, secrets.of(tools, app_id, fresh=True).verify_tokens):
            return query["hub.challenge"]
    raise Forbidden("the verify token is not this app's")


def receive(tools: Tools, body: bytes, header: str | None, app_id: str | None) -> None:
    """Keep one delivery: its rows are committed, or its body lies in the backlog.

    `header` is X-Hub-Signature-256, `app_id` the Meta app of the path (None: the operator's).
    Raises Unauthorized for a body that the app did not sign, Unavailable when neither the database
    nor the backlog takes it: then Meta delivers it again.
    """
    _check(tools, body, header, app_id)
    try:
        stored = store(tools, body, app_id)
    except Unavailable as error:
        log.warning("webhook.database_away", why=str(error))
    except Exception as error:  # noqa: BLE001
        # A fault of ours must not cost an event: the backlog keeps the body until it is mended.
        log.error("webhook.not_stored", error=error)
    else:
        if stored.nudge:
            tools.nudge()
        return
    backlog.put(tools, body, app_id)


def _check(tools: Tools, body: bytes, header: str | None, app_id: str | None) -> None:
    which = signature.matching(body, header, secrets.of(tools, app_id).app_secrets)
    if which is None and header is not None:
        # The secret may have been rotated since it was read; asked at most once in 10 s.
        which = signature.matching(body, header, secrets.of(tools, app_id, fresh=True).app_secrets)
    if which is None:
        raise Unauthorized("the body is not signed by this app")
    if which > 0:
        log.info("webhook.signed_with_previous_secret", app_id=app_id)


def _among(given: str, tokens: Sequence[str]) -> bool:
    # Every token is compared, in constant time, so that the time tells nothing.
    # surrogatepass: a caller's odd text is no token, and no reason to raise.
    sent = given.encode("utf-8", "surrogatepass")
    equal = [hmac.compare_digest(sent, token.encode("utf-8", "surrogatepass")) for token in tokens]
    return any(equal)
