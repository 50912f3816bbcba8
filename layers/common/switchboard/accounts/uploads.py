"""Uploading files to Meta for messages of a number, once each, and deleting them there.

Limits by type: Cloud API, Supported media types. Pictures, sounds and films of any other type are
refused, since no message could carry them; whatever is none of these is a document.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, BinaryIO
from urllib.parse import unquote, urlsplit
from uuid import UUID

from pydantic import Field, StringConstraints

from switchboard.accounts._meta import document_of, number_of
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.errors import NotFound, TooLarge, Unprocessable
from switchboard.media.upload import upload_once
from switchboard.store import media as store
from switchboard.tools import Tools
from switchboard.transact import transact
from switchboard.whatsapp.client import Rejected
from switchboard.whatsapp.media import LARGEST, Downloaded, Gone, delete_media, download
from switchboard.whatsapp.media import TooLarge as Over

#: Bytes of a file in the body of a request: a Lambda's event holds 6 MB, in base64.
RAW_MOST = 4_500_000
_MB = 1024 * 1024
_LIMITS = {
    **dict.fromkeys(("image/jpeg", "image/png"), 5 * _MB),
    **dict.fromkeys(("video/mp4", "video/3gpp"), 16 * _MB),
    **dict.fromkeys(("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"), 16 * _MB),
}
_STICKER = "image/webp"
_STATIC, _ANIMATED = 100 * 1024, 500 * 1024
_MIME_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,100}")
#: Seconds that fetching a link may take: API Gateway waits 30 in all.
_FETCH_S = 15.0

FileName = Annotated[str, StringConstraints(min_length=1, max_length=240)]
_NUMBER = "the number's id at Meta"
_NAME = "the file's name at Meta"


class UploadWanted(Arguments):
    """What the address of an upload says; the body is the file, its type the content-type."""

    sender: str = Field(alias="from", min_length=1, max_length=50, description=_NUMBER)
    filename: FileName | None = Field(None, description=_NAME)


class LinkUpload(Arguments):
    """A file that lies somewhere on the public internet."""

    sender: str = Field(alias="from", min_length=1, max_length=50, description=_NUMBER)
    link: str = Field(max_length=2000, description="https address of the file, up to 100 MB")
    filename: FileName | None = Field(None, description=f"{_NAME}; left out: the link's")
    mime_type: str | None = Field(
        None, max_length=200, description="its type; left out: what its server says"
    )


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file at Meta: `id` is for messages of the number, until `expires_at`.

    `reused`: the number had uploaded the same bytes as the same type before.
    """

    id: str
    expires_at: datetime
    reused: bool
    mime_type: str
    size: int


@dataclass(frozen=True, slots=True)
class DeletedUpload:
    """An upload that neither Meta nor this knows any more."""

    id: str


def upload_file(
    tools: Tools,
    tenant_id: UUID,
    phone_number_id: str,
    content: BinaryIO,
    *,
    mime_type: str | None,
    file_name: str | None,
    field: str = "content-type",
) -> UploadedFile:
    """Upload a file for messages of a number, unless it has been.

    `field` is what named the type. Raises NotFound, Unprocessable for a type that no message can
    carry, TooLarge over its limit, RefusedByMeta, NotUploaded.
    """
    number = number_of(tools, tenant_id, phone_number_id)
    kind = _check(content, mime_type, field)
    done = upload_once(
        tools,
        tenant_id,
        number.account_id,
        content,
        mime_type=kind,
        file_name=file_name or "file",
    )
    return UploadedFile(done.id, done.expires_at, done.reused, kind, done.size)


def upload_link(tools: Tools, tenant_id: UUID, wanted: LinkUpload) -> UploadedFile:
    """Fetch a file and upload it; raises Unprocessable for a link that gives none, and as above."""
    number_of(tools, tenant_id, wanted.sender)  # before anybody is asked for the file
    with tempfile.TemporaryFile() as content:
        told = download(
            tools.outside, wanted.link, token=None, into=content, limit=LARGEST, total_s=_FETCH_S
        )
        if isinstance(told, Over):
            raise Unprocessable(f"the file is over {LARGEST} bytes", field="link")
        if not isinstance(told, Downloaded):
            reason = f"HTTP {told.status}" if isinstance(told, Gone) else told.reason
            raise Unprocessable(f"the file could not be fetched: {reason}", field="link")
        return upload_file(
            tools,
            tenant_id,
            wanted.sender,
            content,
            mime_type=wanted.mime_type or told.mime_type,
            file_name=wanted.filename or _name_in(wanted.link),
            field="mime_type",
        )


def delete_upload(tools: Tools, tenant_id: UUID, media_id: str) -> DeletedUpload:
    """Delete an upload at Meta, then here; one that Meta has forgotten is deleted here.

    Raises NotFound for what was not uploaded from here, and what Meta's answer means.
    """
    sender = transact(
        tools, tenant_id, lambda connection: store.number_of_upload(connection, tenant_id, media_id)
    )
    if sender is None:
        raise NotFound("this upload is not known")
    number = number_of(tools, tenant_id, sender, member=None)
    told = delete_media(tools.graph, media_id, number.token)
    if told is not None and not _is_gone(told):
        document_of(told)
    transact(
        tools, tenant_id, lambda connection: store.forget_upload(connection, tenant_id, media_id)
    )
    return DeletedUpload(media_id)


def _is_gone(told: object) -> bool:
    # Graph's words for an object that does not exist.
    return isinstance(told, Rejected) and (told.code, told.subcode) == (100, 33)


def _check(content: BinaryIO, mime_type: str | None, field: str) -> str:
    """Return the type without its parameters; raises Unprocessable, TooLarge."""
    kind = (mime_type or "").partition(";")[0].strip().lower()
    if not _MIME_TYPE.fullmatch(kind):
        raise Unprocessable("the file's type must be given, such as image/jpeg", field=field)
    limit = _LIMITS.get(kind, LARGEST)
    if kind == _STICKER:
        content.seek(0)
        limit = _ANIMATED if _is_animated(content.read(21)) else _STATIC
    elif kind not in _LIMITS and kind.partition("/")[0] in {"image", "audio", "video"}:
        known = ", ".join([*_LIMITS, _STICKER])
        raise Unprocessable(f"no message can carry {kind}: use one of {known}", field=field)
    size = content.seek(0, 2)
    if size == 0:
        raise Unprocessable("the file is empty", field="file")
    if size > limit:
        raise TooLarge(f"{kind} may have {limit} bytes, this file has {size}", field="file")
    return kind


def _is_animated(head: bytes) -> bool:
    """Return whether a WebP file's header says that it moves (VP8X, flag 2)."""
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) > 20 and head[20] & 2 > 0


def _name_in(link: str) -> str | None:
    name = unquote(PurePosixPath(urlsplit(link).path).name)
    return name[:240] if name.isprintable() and name else None
