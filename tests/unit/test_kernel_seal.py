"""Sealed values: bound to tenant and purpose, unsealed once a minute."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from switchboard.kernel import aws
from switchboard.kernel.errors import ConfigurationError
from switchboard.kernel.seal import KEEP_S, Sealer


class Kms:
    """Answers like KMS: what is decrypted under another context is refused."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.error: Exception | None = None

    def encrypt(self, *, KeyId: str, Plaintext: bytes, EncryptionContext: Any) -> Any:  # noqa: N803
        self.calls.append("encrypt")
        if self.error is not None:
            raise self.error
        blob = json.dumps([KeyId, Plaintext.decode(), EncryptionContext]).encode()
        return {"CiphertextBlob": blob}

    def decrypt(self, *, CiphertextBlob: bytes, EncryptionContext: Any) -> Any:  # noqa: N803
        self.calls.append("decrypt")
        _, plain, context = json.loads(CiphertextBlob)
        if context != EncryptionContext:
            raise ClientError({"Error": {"Code": "InvalidCiphertextException"}}, "Decrypt")
        return {"Plaintext": plain.encode()}


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Kms:
    made = Kms()
    monkeypatch.setattr(aws, "client", lambda service: made)
    return made


def test_what_is_sealed_for_a_tenant_and_purpose_opens_for_them(kms: Kms) -> None:
    sealer = Sealer("key")
    sealed = sealer.seal("tökén", tenant_id="a", purpose="access_token")
    assert sealer.unseal(sealed, tenant_id="a", purpose="access_token") == "tökén"


@pytest.mark.parametrize(
    ("tenant", "purpose"), [("b", "access_token"), ("a", "app_secret"), ("a", "")]
)
def test_it_opens_for_no_other(kms: Kms, tenant: str, purpose: str) -> None:
    sealer = Sealer("key")
    sealed = sealer.seal("token", tenant_id="a", purpose="access_token")
    sealer.unseal(sealed, tenant_id="a", purpose="access_token")  # kept in memory now
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        sealer.unseal(sealed, tenant_id=tenant, purpose=purpose)


def test_an_opened_value_is_kept_for_a_minute(kms: Kms) -> None:
    now = [0.0]
    sealer = Sealer("key", monotonic=lambda: now[0])
    sealed = sealer.seal("token", tenant_id="a", purpose="access_token")
    for at in (0.0, KEEP_S - 1, KEEP_S):
        now[0] = at
        assert sealer.unseal(sealed, tenant_id="a", purpose="access_token") == "token"
    assert kms.calls.count("decrypt") == 2


def test_without_a_key_nothing_is_sealed() -> None:
    with pytest.raises(ConfigurationError, match="KMS_KEY_ID is not set"):
        Sealer(None).seal("token", tenant_id="a", purpose="access_token")


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "AccessDeniedException"}}, "Encrypt"),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
    ],
)
def test_a_kms_that_refuses_or_is_away_is_told(kms: Kms, error: Exception) -> None:
    kms.error = error
    with pytest.raises(ConfigurationError, match="KMS cannot seal the access_token") as caught:
        Sealer("key").seal("hunter2", tenant_id="a", purpose="access_token")
    assert "hunter2" not in str(caught.value)
