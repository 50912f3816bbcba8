"""Pictures and files: what either side uploaded, kept beside the chats."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from local.simulator.archive import Archive

MAX_BYTES = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Media:
    """One stored file. `sha256` is base64, as Meta's current payloads write it."""

    id: str
    phone_number_id: str
    mime_type: str
    sha256: str
    size: int


class MediaShelf:
    """Files by media id; the bytes lie in a folder, or in memory without one."""

    def __init__(self, archive: Archive, folder: Path | None) -> None:
        self._archive = archive
        self._folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._media: dict[str, Media] = {}
        self._bytes: dict[str, bytes] = {}
        for _, document in archive.documents("media"):
            self._media[document["id"]] = Media(**document)

    def store(self, content: bytes, *, mime_type: str, phone_number_id: str) -> Media:
        """Keep a file under a new id of Meta's shape (digits)."""
        media = Media(
            id=str(secrets.randbelow(9 * 10**14) + 10**14),
            phone_number_id=phone_number_id,
            mime_type=mime_type,
            sha256=base64.b64encode(hashlib.sha256(content).digest()).decode(),
            size=len(content),
        )
        if self._folder is None:
            self._bytes[media.id] = content
        else:
            (self._folder / media.id).write_bytes(content)
        self._media[media.id] = media
        self._archive.put("media", media.id, asdict(media))
        return media

    def get(self, media_id: str) -> Media | None:
        """What is known of a file, or None."""
        return self._media.get(media_id)

    def read(self, media: Media) -> bytes:
        """A file's bytes."""
        if self._folder is None:
            return self._bytes[media.id]
        return (self._folder / media.id).read_bytes()

    def delete(self, media: Media) -> None:
        """Forget a file."""
        self._media.pop(media.id, None)
        self._bytes.pop(media.id, None)
        self._archive.remove("media", media.id)
        if self._folder is not None:
            (self._folder / media.id).unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget every file."""
        for media in list(self._media.values()):
            self.delete(media)


def parse_form(content_type: str, body: bytes) -> dict[str, tuple[bytes, str | None]]:
    """A multipart/form-data body as name -> (bytes, part's content type). Empty when it is none.

    Binary safe and small on purpose: uploads of one file and a few short fields.
    """
    boundary: Any = None
    for parameter in content_type.split(";")[1:]:
        key, _, value = parameter.strip().partition("=")
        if key.lower() == "boundary":
            boundary = value.strip('"').encode()
    if not content_type.lower().startswith("multipart/form-data") or not boundary:
        return {}
    form: dict[str, tuple[bytes, str | None]] = {}
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:]:
        head, found, content = part.partition(b"\r\n\r\n")
        if not found:
            continue
        name = kind = None
        for line in head.decode("utf-8", "replace").split("\r\n"):
            header, _, value = line.partition(":")
            if header.lower() == "content-type":
                kind = value.strip()
            elif header.lower() == "content-disposition":
                for item in value.split(";"):
                    key, _, quoted = item.strip().partition("=")
                    if key.lower() == "name":
                        name = quoted.strip('"')
        if name:
            form[name] = (content, kind)
    return form
