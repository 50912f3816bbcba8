"""An agent behind an address: POST of the question, signed, answered within seconds.

As subscribers are told (Standard Webhooks): the headers webhook-id (the run's), webhook-timestamp
and webhook-signature, HMAC-SHA256 over `<id>.<timestamp>.<body>` with the secret's bytes. The
address is checked at every request (kernel/outside.py), no redirect is followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import orjson
from pydantic import ValidationError

from switchboard.automation.agents import AgentFailed, AgentReply, AgentRequest
from switchboard.kernel.outside import AddressRefused, Outside, OutsideFailed
from switchboard.kernel.signing import sign

#: Seconds of a whole exchange.
ANSWER_S = 20.0
#: Bytes of an answer.
LONGEST = 65_536
#: Answers after which asking again may help (RFC 9110; RFC 8470 for 425).
_PASSING = frozenset({408, 425, 429})


class HttpAgent:
    """One endpoint, with the secrets that sign (the present one, and the one before for a day)."""

    def __init__(
        self, outside: Outside, url: str, secrets: Sequence[str], *, now: datetime
    ) -> None:
        self._outside = outside
        self._url = url
        self._secrets = secrets
        self._timestamp = int(now.timestamp())

    def ask(self, request: AgentRequest) -> AgentReply:
        """Ask once; see Agent."""
        body = orjson.dumps({"type": "agent.run", "data": request.model_dump(mode="json")})
        event_id = str(request.id)
        headers = {
            "content-type": "application/json",
            "accept": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": str(self._timestamp),
            "webhook-signature": " ".join(
                sign(secret, event_id, self._timestamp, body) for secret in self._secrets
            ),
        }
        try:
            with self._outside.request(
                "POST",
                self._url,
                headers=headers,
                content=body,
                total_s=ANSWER_S,
                most=LONGEST,
            ) as answer:
                status = answer.status
                text = b"".join(answer.chunks) if 200 <= status < 300 else b""
        except AddressRefused:
            raise AgentFailed("address_refused", passing=False) from None
        except OutsideFailed as failed:
            raise AgentFailed(failed.reason, passing=failed.reason != "too_long") from None
        if not 200 <= status < 300:
            raise AgentFailed(f"http_{status}", passing=status in _PASSING or status >= 500)
        if not text.strip():
            return AgentReply()
        try:
            return AgentReply.model_validate(orjson.loads(text))
        except (orjson.JSONDecodeError, ValidationError):
            raise AgentFailed("unreadable_answer", passing=False) from None
