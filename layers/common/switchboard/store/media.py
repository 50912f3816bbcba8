"""Files of messages: what is to be fetched, what became of it; uploads that Meta still keeps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import class_row, dict_row

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "media")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to fetch: what the webhook said of it, the number's way to it, and the time there.

    `phone_number_id` is None where the number is not active, `error_code` the trouble so far.
    """

    id: UUID
    media_type: str
    wa_media_id: str | None
    mime_type: str | None
    sha256: str | None
    file_name: str | None
    error_code: str | None
    created_at: datetime
    at: datetime
    phone_number_id: str | None
    access_token_sealed: bytes | None


class Kept(NamedTuple):
    """Where a file lies now, and what it is. `sha256` counts where Meta named none."""

    key: str
    thumbnail: str | None
    size: int
    mime_type: str
    sha256: str


def find_wanted(
    connection: Connection, tenant_id: UUID, message_id: UUID, *, now: datetime | None
) -> Wanted | None:
    """Return the message's file if it is still to be fetched."""
    with connection.cursor(row_factory=class_row(Wanted)) as cursor:
        return cursor.execute(
            _SQL["find_wanted"], {"tenant": tenant_id, "message": message_id, "now": now}
        ).fetchone()


def note_trouble(
    connection: Connection, tenant_id: UUID, media_id: UUID, code: str, message: str | None
) -> None:
    """Say why a pending file is not here yet."""
    connection.execute(
        _SQL["note_trouble"],
        {"tenant": tenant_id, "id": media_id, "code": code, "message": message},
    )


def settle_stored(connection: Connection, tenant_id: UUID, media_id: UUID, kept: Kept) -> bool:
    """Mark a pending file as stored; returns whether it was pending."""
    done = connection.execute(
        _SQL["settle_stored"], {"tenant": tenant_id, "id": media_id, **kept._asdict()}
    )
    return done.rowcount == 1


def settle_failed(
    connection: Connection, tenant_id: UUID, media_id: UUID, code: str, message: str | None
) -> bool:
    """Mark a pending file as failed for good; returns whether it was pending."""
    done = connection.execute(
        _SQL["settle_failed"],
        {"tenant": tenant_id, "id": media_id, "code": code, "message": message},
    )
    return done.rowcount == 1


def find(connection: Connection, tenant_id: UUID, media_id: UUID) -> dict[str, Any] | None:
    """Return a file's row as a caller sees it, with its keys in S3.

    None where there is none, or its message was taken back.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_SQL["find"], {"tenant": tenant_id, "id": media_id}).fetchone()


def find_upload(
    connection: Connection,
    tenant_id: UUID,
    account_id: UUID,
    *,
    sha256: bytes,
    mime_type: str,
    now: datetime | None,
) -> tuple[str, datetime] | None:
    """Return Meta's id of a file that this number has uploaded, and its end, if a day is left."""
    row = connection.execute(
        _SQL["find_upload"],
        {
            "tenant": tenant_id,
            "account": account_id,
            "sha256": sha256,
            "mime_type": mime_type,
            "now": now,
        },
    ).fetchone()
    return None if row is None else (str(row[0]), row[1])


def keep_upload(
    connection: Connection,
    tenant_id: UUID,
    account_id: UUID,
    *,
    sha256: bytes,
    mime_type: str,
    wa_media_id: str,
    size: int,
    now: datetime | None,
) -> datetime:
    """Remember an upload for the 30 days that Meta keeps it; return when they end."""
    row = connection.execute(
        _SQL["keep_upload"],
        {
            "tenant": tenant_id,
            "account": account_id,
            "sha256": sha256,
            "mime_type": mime_type,
            "wa_media_id": wa_media_id,
            "size": size,
            "now": now,
        },
    ).fetchone()
    assert row is not None
    end: datetime = row[0]
    return end


def number_of_upload(connection: Connection, tenant_id: UUID, wa_media_id: str) -> str | None:
    """Return the phone_number_id of the number that has uploaded this file, or None."""
    row = connection.execute(
        _SQL["number_of_upload"], {"tenant": tenant_id, "wa_media_id": wa_media_id}
    ).fetchone()
    return None if row is None else str(row[0])


def forget_upload(connection: Connection, tenant_id: UUID, wa_media_id: str) -> None:
    """Forget an upload that Meta has no more."""
    connection.execute(_SQL["forget_upload"], {"tenant": tenant_id, "wa_media_id": wa_media_id})


def retire_uploads(connection: Connection, *, limit: int, now: datetime | None) -> int:
    """Delete up to `limit` uploads of all tenants that Meta has forgotten; return how many."""
    row = connection.execute(_SQL["retire_uploads"], {"limit": limit, "now": now}).fetchone()
    assert row is not None
    return int(row[0])
