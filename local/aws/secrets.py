"""Secrets and key material in files, and the extension from which functions read secrets."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from moto.kms.models import kms_backends
from moto.secretsmanager.models import FakeSecret, SecretsManagerBackend, secretsmanager_backends

from local.files import read_json, write_json
from local.template.model import ACCOUNT, REGION

#: Seconds for which the extension serves a secret from its cache, unless asked to look again.
EXTENSION_TTL_S = 300.0


class KeptSecrets:
    """Mirrors moto's Secrets Manager into one file: name → ARN and current value."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._backend: SecretsManagerBackend = secretsmanager_backends[ACCOUNT][REGION]

    def restore(self, wanted: Iterable[Mapping[str, Any]]) -> None:
        """Put the kept secrets back, then those of `wanted` that are missing.

        `wanted`: {"arn", "name", "value", "replace"}; with `replace` the value is set in any case.
        """
        kept: dict[str, dict[str, str]] = read_json(self._path) or {}
        for secret in wanted:
            if secret["replace"] or secret["name"] not in kept:
                kept[secret["name"]] = {"arn": secret["arn"], "value": secret["value"]}
        for name, secret in kept.items():
            self._backend.create_secret(
                name=name,
                secret_string=secret["value"],
                secret_binary=None,
                description=None,
                tags=None,
                kms_key_id=None,
                client_request_token=None,
                replica_regions=[],
                force_overwrite=False,
            )
            made = self._backend.secrets[name]
            made.arn = secret["arn"]
        self.keep()

    def keep(self) -> None:
        """Write all secrets as moto has them now."""
        kept = {}
        for secret in list(dict.values(self._backend.secrets)):
            if isinstance(secret, FakeSecret) and secret.deleted_date is None:
                kept[secret.name] = {"arn": secret.arn, "value": self.value(secret.arn)[0]}
        write_json(self._path, kept)

    def value(self, secret_id: str) -> tuple[str, dict[str, Any]]:
        """Return the current text and moto's whole answer; raises KeyError for an unknown one."""
        if secret_id not in self._backend.secrets:
            raise KeyError(secret_id)
        answer = self._backend.get_secret_value(secret_id, "", "AWSCURRENT")
        return str(answer["SecretString"]), answer


class Extension:
    """The AWS Parameters and Secrets extension's answers, cached as it does.

    Endpoint and members: AWS Secrets Manager user guide, "Use AWS Parameters and Secrets Lambda
    Extension".
    """

    def __init__(self, secrets: KeptSecrets) -> None:
        self._secrets = secrets
        self._cache: dict[str, tuple[float, dict[str, Any]]] = {}

    def get(self, secret_id: str, *, refresh: bool) -> dict[str, Any]:
        """Return the GetSecretValue document; raises KeyError for an unknown secret."""
        now = time.monotonic()
        cached = self._cache.get(secret_id)
        if cached is not None and not refresh and now - cached[0] < EXTENSION_TTL_S:
            return cached[1]
        text, answer = self._secrets.value(secret_id)
        document = {
            "ARN": answer["ARN"],
            "Name": answer["Name"],
            "SecretString": text,
            "VersionId": answer["VersionId"],
            "VersionStages": answer["VersionStages"],
            "CreatedDate": str(answer["CreatedDate"]),
        }
        self._cache[secret_id] = (now, document)
        return document


def restore_keys(path: Path, ids: Iterable[str]) -> None:
    """Make KMS keys of these ids with the material kept in `path`; new material for new ids.

    moto writes the key's id into what it encrypts, so both must stay the same.
    """
    kept: dict[str, str] = read_json(path) or {}
    backend = kms_backends[ACCOUNT][REGION]
    for identity in ids:
        kept.setdefault(identity, base64.b64encode(os.urandom(32)).decode())
        key = backend.create_key(None, "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "local run", None)
        backend.keys.pop(key.id)
        key.id = identity
        key.arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{identity}"
        key.key_material = base64.b64decode(kept[identity])
        backend.keys[identity] = key
    write_json(path, kept)
