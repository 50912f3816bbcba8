"""Uploads a file to Meta, once per number: Meta keeps it for 30 days and so do we its id.

No transaction is open while the file goes out, so two that upload the same file at once get two
ids, both good; one of them stays.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, ClassVar
from uuid import UUID

from switchboard.kernel.errors import NotFound, ProblemError, RefusedByMeta, TooLarge
from switchboard.store import media as store
from switchboard.store import outbox
from switchboard.tools import Tools
from switchboard.whatsapp.client import File, Rejected
from switchboard.whatsapp.media import LARGEST, upload_media


class NotUploaded(ProblemError):
    """Meta did not take the file this time; trying again is harmless."""

    status: ClassVar[int] = 503
    title: ClassVar[str] = "Not uploaded"


@dataclass(frozen=True, slots=True)
class Uploaded:
    """Meta's id of a file, until when Meta keeps it, and whether it was there already."""

    id: str
    expires_at: datetime
    reused: bool
    size: int


def upload(
    tools: Tools,
    tenant_id: UUID,
    account_id: UUID,
    content: BinaryIO,
    *,
    mime_type: str,
    file_name: str = "file",
) -> str:
    """Return Meta's id of a file, for messages of this number; see `upload_once`."""
    done = upload_once(
        tools, tenant_id, account_id, content, mime_type=mime_type, file_name=file_name
    )
    return done.id


def upload_once(
    tools: Tools,
    tenant_id: UUID,
    account_id: UUID,
    content: BinaryIO,
    *,
    mime_type: str,
    file_name: str = "file",
) -> Uploaded:
    """Return Meta's id of a file, for messages of this number; uploads it only where needed.

    `content` is read twice from its start; the id is good for at least another day. Raises
    TooLarge over 100 MB, NotFound where the number cannot send, RefusedByMeta, NotUploaded.
    """
    sha256, size = _digest(content)
    with tools.db.transaction(tenant_id) as connection:
        known = store.find_upload(
            connection,
            tenant_id,
            account_id,
            sha256=sha256,
            mime_type=mime_type,
            now=tools.clock.now,
        )
        number = None if known else outbox.number(connection, tenant_id, account_id)
    if known is not None:
        return Uploaded(known[0], known[1], reused=True, size=size)
    if number is None:
        raise NotFound("this number cannot send")
    token = tools.sealer.unseal(number[1], tenant_id=tenant_id, purpose="access_token")
    content.seek(0)
    outcome = upload_media(tools.graph, number[0], token, File(file_name, mime_type, content))
    if isinstance(outcome, Rejected):
        raise RefusedByMeta(outcome.title, extra={"code": outcome.code})
    if not isinstance(outcome, str):
        raise NotUploaded("Meta did not take the file, try again")
    with tools.db.transaction(tenant_id) as connection:
        expires_at = store.keep_upload(
            connection,
            tenant_id,
            account_id,
            sha256=sha256,
            mime_type=mime_type,
            wa_media_id=outcome,
            size=size,
            now=tools.clock.now,
        )
    return Uploaded(outcome, expires_at, reused=False, size=size)


def _digest(content: BinaryIO) -> tuple[bytes, int]:
    digest, size = hashlib.sha256(), 0
    content.seek(0)
    while chunk := content.read(1 << 20):
        size += len(chunk)
        if size > LARGEST:
            raise TooLarge(f"the file is over {LARGEST} bytes")
        digest.update(chunk)
    return digest.digest(), size
