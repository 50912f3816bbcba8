"""The signature of Meta's webhooks: `X-Hub-Signature-256` over the raw bytes of the body.

Rule (Webhooks, Validating Payloads): `sha256=` and the lower-case hex HMAC-SHA256 of the body,
keyed by the app secret. Meta signs the bytes as sent: never parse a body and dump it again first.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence


def sign(body: bytes, secret: str) -> str:
    """Return the header value Meta would send for `body`: `sha256=<64 hex>`."""
    # surrogatepass: a secret that is no proper text is still only a key, never a reason to raise.
    return "sha256=" + hmac.digest(secret.encode("utf-8", "surrogatepass"), body, "sha256").hex()


def matching(body: bytes, header: str | None, secrets: Sequence[str]) -> int | None:
    """Return the index of the first secret that signed `body` with `header`, None if none did.

    Fails closed (no header, no secret, an empty secret, another prefix or case: None), never raises
    on what a caller may send, compares in constant time and computes every candidate, so that the
    time taken does not tell which secret matched.
    """
    given = header if isinstance(header, str) and header.isascii() else ""
    found: int | None = None
    for index, secret in enumerate(secrets):
        equal = hmac.compare_digest(sign(body, secret), given)
        if equal and secret and found is None:
            found = index
    return found
