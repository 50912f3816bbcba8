"""Seals short secrets (access tokens, app secrets) by KMS, bound to their tenant and purpose.

KMS encrypts up to 4 kB itself; the encryption context makes a sealed value of one tenant or
purpose useless for another, and IAM policies can demand it (AWS KMS, encryption context).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

from switchboard.kernel import aws
from switchboard.kernel.errors import ConfigurationError

#: Seconds for which an unsealed value is kept in memory: a rotated token is seen within a minute.
KEEP_S = 60.0
#: Unsealed values kept at most.
_KEEP_COUNT = 1000


class Sealer:
    """Seals and unseals with one KMS key."""

    def __init__(
        self, key_id: str | None, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._key_id = key_id
        self._monotonic = monotonic
        self._kept: dict[tuple[bytes, str, str], tuple[float, str]] = {}

    def seal(self, plain: str, *, tenant_id: UUID | str, purpose: str) -> bytes:
        """Return the ciphertext blob of `plain` (at most 4,096 bytes in UTF-8).

        Raises ConfigurationError when there is no key, or KMS cannot be reached or refuses.
        """
        if not self._key_id:
            raise ConfigurationError("KMS_KEY_ID is not set")
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = aws.client("kms").encrypt(
                KeyId=self._key_id,
                Plaintext=plain.encode(),
                EncryptionContext={"tenant_id": str(tenant_id), "purpose": purpose},
            )
        except (BotoCoreError, ClientError) as error:
            raise ConfigurationError(f"KMS cannot seal the {purpose}: {error}") from error
        return bytes(answer["CiphertextBlob"])

    def unseal(self, sealed: bytes, *, tenant_id: UUID | str, purpose: str) -> str:
        """Return what was sealed for this tenant and purpose; kept in memory for a minute.

        Raises ConfigurationError when KMS refuses, e.g. because the context is another.
        """
        kept_as = (bytes(sealed), str(tenant_id), purpose)
        now = self._monotonic()
        kept = self._kept.get(kept_as)
        if kept is not None and now - kept[0] < KEEP_S:
            return kept[1]
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = aws.client("kms").decrypt(
                CiphertextBlob=bytes(sealed),
                EncryptionContext={"tenant_id": str(tenant_id), "purpose": purpose},
            )
        except (BotoCoreError, ClientError) as error:
            raise ConfigurationError(f"a sealed {purpose} cannot be opened") from error
        if len(self._kept) >= _KEEP_COUNT:
            self._kept.clear()
        plain: str = answer["Plaintext"].decode()
        self._kept[kept_as] = (now, plain)
        return plain
