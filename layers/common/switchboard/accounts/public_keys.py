"""The public key that a number's Flows encrypt with for our endpoint."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from switchboard.accounts._meta import document_of, number_of
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.errors import Unprocessable
from switchboard.tools import Tools
from switchboard.whatsapp import flows as meta

#: Bits of the key (Implementing endpoints for Flows, Generate a key pair).
BITS = 2048

Id = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{1,50}$")]


class KeyOf(Arguments):
    """Whose key."""

    sender: Id = Field(alias="from", description="the number's phone number id")


class NewPublicKey(Arguments):
    """A key to encrypt with; who has the other half can read what people fill in."""

    business_public_key: str = Field(
        min_length=1,
        max_length=5_000,
        description="RSA key of 2048 bits as PEM: -----BEGIN PUBLIC KEY-----",
    )


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A number's key as Meta has it; None where it has none.

    `status`: VALID, or MISMATCH after the number was registered anew: upload it again.
    `sha256` of the key itself (its DER form), to compare two whatever their line ends.
    """

    phone_number_id: str
    business_public_key: str | None
    status: str | None
    sha256: str | None


def show_public_key(tools: Tools, tenant_id: UUID, which: KeyOf) -> PublicKey:
    """Ask Meta for a number's key; raises NotFound, and what `document_of` raises."""
    number = number_of(tools, tenant_id, which.sender)
    told = meta.read_public_key(tools.graph, number.phone_number_id, number.token)
    if not isinstance(told, meta.PublicKey):
        document_of(told)
        raise AssertionError("only an answer has a document")
    der = None if told.pem is None else _der(told.pem)
    digest = None if der is None else hashlib.sha256(der).hexdigest()
    return PublicKey(number.phone_number_id, told.pem, told.status, digest)


def upload_public_key(tools: Tools, tenant_id: UUID, which: KeyOf, new: NewPublicKey) -> PublicKey:
    """Set a number's key and return what Meta has then.

    Raises Unprocessable for what is no public RSA key of 2048 bits (a private key above all:
    nobody else may ever have it), NotFound, and what `document_of` raises.
    """
    pem = _checked(new.business_public_key)
    number = number_of(tools, tenant_id, which.sender)
    document_of(meta.upload_public_key(tools.graph, number.phone_number_id, number.token, pem))
    return show_public_key(tools, tenant_id, which)


def _checked(text: str) -> str:
    """Return the key as PEM of one form; no word of it stands in an error."""
    # Heavy, and only this needs it.
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_public_key,
    )

    field = "business_public_key"
    if "PRIVATE KEY" in text:
        raise Unprocessable(
            "this is a private key: keep it to yourself, make a new pair, and send the public one",
            field=field,
        )
    try:
        key = load_pem_public_key(text.strip().encode())
    except Exception:  # noqa: BLE001 - whatever a reader of keys says of what is none
        raise Unprocessable("this is no public key as PEM", field=field) from None
    if not isinstance(key, RSAPublicKey) or key.key_size != BITS:
        raise Unprocessable(f"the key must be an RSA key of {BITS} bits", field=field)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _der(pem: str) -> bytes | None:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_public_key,
    )

    try:
        key = load_pem_public_key(pem.encode())
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception:  # noqa: BLE001 - it is shown as Meta tells it, readable or not
        return None
