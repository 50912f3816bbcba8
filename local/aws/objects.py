"""S3's objects as files: `<folder>/<bucket>/<sha256 of the key>`, a line of JSON, then the body."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moto.s3.models import FakeKey, S3Backend, s3_backends

from local.files import write_whole
from local.template.model import ACCOUNT, REGION


class KeptObjects:
    """Mirrors moto's buckets into `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._backend: S3Backend = s3_backends[ACCOUNT]["aws"]

    def restore(self, buckets: Iterable[str]) -> None:
        """Make the buckets and put the kept objects back into them."""
        for bucket in buckets:
            self._backend.create_bucket(bucket, REGION)
            for path in sorted((self._folder / bucket).glob("[0-9a-f]*")):
                self._put_back(bucket, path)

    def keep(self, bucket: str, key: str) -> None:
        """Write the object as moto has it now, or remove its file if moto has it no more."""
        found = self._backend.buckets[bucket].keys.get(key)
        path = self._path(bucket, key)
        if not isinstance(found, FakeKey):  # a delete marker counts as gone
            path.unlink(missing_ok=True)
            return
        head = {
            "key": key,
            "metadata": dict(found.metadata),
            "modified": found.last_modified.replace(tzinfo=UTC).timestamp(),
        }
        write_whole(path, json.dumps(head).encode() + b"\n" + found.value)

    def keep_bucket(self, bucket: str) -> None:
        """Do the same for all objects of a bucket (a deletion of many at once)."""
        known = self._backend.buckets.get(bucket)
        keys = [] if known is None else [str(key) for key in known.keys.keys()]  # noqa: SIM118
        wanted = {self._path(bucket, key).name for key in keys}
        for path in (self._folder / bucket).glob("[0-9a-f]*"):
            if path.name not in wanted:
                path.unlink(missing_ok=True)
        for key in keys:
            self.keep(bucket, key)

    def _put_back(self, bucket: str, path: Path) -> None:
        line, _, body = path.read_bytes().partition(b"\n")
        head: dict[str, Any] = json.loads(line)
        stored = self._backend.put_object(bucket, head["key"], body, disable_notification=True)
        stored.set_metadata(head["metadata"], replace=True)
        stored.last_modified = datetime.fromtimestamp(head["modified"], UTC).replace(tzinfo=None)

    def _path(self, bucket: str, key: str) -> Path:
        return self._folder / bucket / hashlib.sha256(key.encode()).hexdigest()
