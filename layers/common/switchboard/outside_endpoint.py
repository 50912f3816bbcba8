"""An endpoint of a tenant's own system, which requests will be made to: its address, its secret."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, StringConstraints

from switchboard.kernel.errors import Unprocessable
from switchboard.kernel.signing import new_secret
from switchboard.tools import Tools


def _address(text: str) -> str:
    # As the tables' check; whether anybody would ask there is looked at afterwards.
    if len(text) < 10 or not text.startswith(("https://", "http://")):
        raise ValueError("must be an address like https://acme.example/whatsapp")
    return text


Url = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=2000), AfterValidator(_address)
]


def check_address(tools: Tools, url: str) -> None:
    """Look whether a request would be made to `url`; asks its name, so: before a transaction.

    Raises Unprocessable for an address that is none of the public internet. A name that cannot be
    looked up now may come later: every request looks again.
    """
    # httpx is heavy, and only this needs it.
    from switchboard.kernel.outside import AddressRefused, OutsideFailed

    try:
        tools.outside.check(url)
    except AddressRefused as error:
        raise Unprocessable(f"the address is refused: {error}", field="url") from None
    except OutsideFailed:
        return


def make_secret(tools: Tools, tenant_id: UUID, purpose: str) -> tuple[str, bytes]:
    """Return a new secret, to be shown once, and its seal, to be stored."""
    secret = new_secret()
    return secret, tools.sealer.seal(secret, tenant_id=tenant_id, purpose=purpose)
