"""Fetches a message's file from Meta and lays it into S3, or says why it cannot.

Ids of webhooks live 7 days and addresses 5 minutes, so the address is asked for right before it is
used. What may pass is tried again at growing distances until the id is dead: a token that an
operator renews on the third day still brings the files of the first.
"""

from __future__ import annotations

import base64
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from tempfile import TemporaryFile
from typing import BinaryIO
from urllib.parse import quote
from uuid import UUID

from switchboard.kernel import aws
from switchboard.kernel.log import log
from switchboard.kernel.outside import Outside
from switchboard.media.thumbnail import MIME_TYPE, PICTURES, make_thumbnail
from switchboard.store.media import Kept, Wanted
from switchboard.tools import Tools
from switchboard.whatsapp.client import Rejected, Throttled
from switchboard.whatsapp.errors import Action
from switchboard.whatsapp.media import (
    LARGEST,
    Blocked,
    Downloaded,
    Failed,
    Found,
    Gone,
    NoAnswer,
    TooLarge,
    digest_of,
    download,
    find_media,
)

#: Days that an id which came in a webhook lives.
LIFE = timedelta(days=7)
#: Within this time "there is no such object" may also mean that the token may not see it yet.
MAYBE_UNSEEN = timedelta(days=1)
#: Seconds of one download.
DOWNLOAD_S = 60.0
#: Seconds kept for S3 after a download.
KEEP_S = 15.0

#: The next try is half of the file's age away: some twenty tries in seven days.
_SOONEST, _LATEST = timedelta(seconds=30), timedelta(hours=6)
#: Times in a run that a fresh address is asked for, after a dead one or bytes that do not fit.
_ROUNDS = 2
#: Meta's subcode for an object that does not exist, or that the token may not see.
_NO_SUCH_OBJECT = 33

_MIME = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
#: Shown in a browser as they are. Everything else is handed out as a download: a page or a drawing
#: with a script in it must not run under the bucket's name.
_SHOWN = re.compile(r"image/(jpeg|png|webp|gif)|(audio|video)/[a-z0-9.+-]+")


@dataclass(frozen=True, slots=True)
class Stored:
    """It lies in S3."""

    kept: Kept


@dataclass(frozen=True, slots=True)
class Lost:
    """It will never be here: expired, too_large, hash_mismatch, refused_by_meta, blocked_address.

    `message` says more, for a person: Meta's code and title, the limit, the trouble before.
    """

    code: str
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Later:
    """Not this time; `until` is when to come again, by the database's clock."""

    code: str
    message: str | None
    until: datetime


def fetch(
    tools: Tools,
    tenant_id: UUID,
    wanted: Wanted,
    *,
    time_left: Callable[[], float],
    thumbnails: bool = True,
    outside: Outside | None = None,
) -> Stored | Lost | Later:
    """Bring one file; needs no transaction and may be cut short at any line.

    `time_left` returns the seconds until the run must have ended. `outside` replaces the network.
    """
    if wanted.at >= wanted.created_at + LIFE:
        return Lost("expired", wanted.error_code and f"the last trouble: {wanted.error_code}")
    if wanted.wa_media_id is None:
        return Lost("refused_by_meta", "the message names no file")
    if wanted.phone_number_id is None or wanted.access_token_sealed is None:
        return _later(wanted, "number_inactive")
    try:
        token = tools.sealer.unseal(
            wanted.access_token_sealed, tenant_id=tenant_id, purpose="access_token"
        )
    except Exception as error:  # noqa: BLE001 - whatever it was, the token may be there tomorrow
        log.error("media.no_token", error=error, media_id=wanted.id)
        return _later(wanted, "token_unreadable", type(error).__name__)
    base = tools.settings.graph_api_url
    # Only a local run's base is without TLS: the template takes none.
    outside = outside or Outside(trusted=(base,) if base.startswith("http://") else ())
    errand = _Errand(tools, tenant_id, wanted, token, outside)
    with TemporaryFile() as file:
        return errand.run(file, time_left, thumbnails=thumbnails)


class _Errand:
    """One run for one file."""

    def __init__(
        self, tools: Tools, tenant_id: UUID, wanted: Wanted, token: str, outside: Outside
    ) -> None:
        self._tools = tools
        self._tenant_id = tenant_id
        self._wanted = wanted
        self._token = token
        self._outside = outside

    def run(
        self, file: BinaryIO, time_left: Callable[[], float], *, thumbnails: bool
    ) -> Stored | Lost | Later:
        wanted = self._wanted
        media_id, number = str(wanted.wa_media_id), str(wanted.phone_number_id)
        ended: Lost | Later = _later(wanted, "timeout")
        for _ in range(_ROUNDS):
            found = find_media(self._tools.graph, media_id, number, self._token)
            if not isinstance(found, Found):
                return _unanswered(wanted, found)
            if found.size is not None and found.size > LARGEST:
                return Lost("too_large", f"over {LARGEST} bytes")
            came = download(
                self._outside,
                found.url,
                token=self._token,
                into=file,
                limit=LARGEST,
                total_s=min(DOWNLOAD_S, time_left() - KEEP_S),
                also=(self._tools.settings.graph_api_url,),
            )
            if isinstance(came, Downloaded):
                if _fits(wanted, found, came):
                    return self._keep(found, came, file, thumbnails=thumbnails)
                ended = _other_bytes(wanted, found, came)
            else:
                ended = _not_downloaded(wanted, came)
                if not isinstance(came, Gone):
                    break
        return ended

    def _keep(
        self, found: Found, came: Downloaded, file: BinaryIO, *, thumbnails: bool
    ) -> Stored | Later:
        wanted = self._wanted
        mime_type = _mime_type(found.mime_type, wanted.mime_type, came.mime_type)
        key, small = file_key(self._tenant_id, wanted.id), None
        digest = base64.b64encode(came.digest).decode()
        try:
            bucket = self._tools.settings.require("media_bucket")
            s3 = aws.client("s3")
            file.seek(0)
            s3.put_object(
                Bucket=bucket,
                Key=key,
                Body=file,
                ContentLength=came.size,
                ContentType=mime_type,
                ContentDisposition=_disposition(mime_type, wanted.file_name),
                ChecksumSHA256=digest,
            )
            picture = None
            if thumbnails and wanted.media_type in PICTURES:
                picture = make_thumbnail(file)
            if picture is not None:
                small = thumbnail_key(self._tenant_id, wanted.id)
                s3.put_object(Bucket=bucket, Key=small, Body=picture, ContentType=MIME_TYPE)
        except Exception as error:  # noqa: BLE001 - S3 comes back, and so do we
            log.error("media.not_kept", error=error, media_id=wanted.id)
            return _later(wanted, "not_kept", type(error).__name__)
        return Stored(Kept(key, small, came.size, mime_type, digest))


def file_key(tenant_id: UUID, media_id: UUID) -> str:
    """Return the S3 key of a file."""
    return f"{tenant_id}/media/{media_id}/file"


def thumbnail_key(tenant_id: UUID, media_id: UUID) -> str:
    """Return the S3 key of a file's thumbnail."""
    return f"{tenant_id}/media/{media_id}/thumbnail"


def _unanswered(wanted: Wanted, answer: NoAnswer) -> Lost | Later:
    """Decide about a file whose address Meta did not tell."""
    if isinstance(answer, Rejected) and answer.code is not None:
        said = f"{answer.code}: {answer.title}"[:500]
        unseen = answer.subcode == _NO_SUCH_OBJECT and wanted.at < wanted.created_at + MAYBE_UNSEEN
        if answer.action in {Action.FIX, Action.NEVER} and not unseen:
            return Lost("refused_by_meta", said)
        # What pauses a number or an app (a dead token, a lock) is put right by somebody.
        return _later(wanted, "refused_by_meta", said)
    if isinstance(answer, Throttled):
        return _later(wanted, "throttled", str(answer.code), at_least=answer.retry_after_s or 0)
    if isinstance(answer, Rejected):
        return _later(wanted, "no_answer", f"HTTP {answer.http_status}")
    return _later(wanted, "no_answer", type(answer).__name__)


def _later(wanted: Wanted, code: str, message: str | None = None, *, at_least: float = 0) -> Later:
    age = wanted.at - wanted.created_at
    # Jitter: those who failed together do not come back together.
    wait = min(max(age / 2, _SOONEST), _LATEST) * random.uniform(0.75, 1.25)
    until = wanted.at + max(wait, timedelta(seconds=min(at_least, 86_400)))
    return Later(code, message, min(until, wanted.created_at + LIFE))


def _not_downloaded(wanted: Wanted, came: TooLarge | Blocked | Gone | Failed) -> Lost | Later:
    match came:
        case TooLarge(limit=limit):
            return Lost("too_large", f"over {limit} bytes")
        case Blocked(reason=reason):
            return Lost("blocked_address", reason)
        case Gone(status=status):
            return _later(wanted, "not_downloaded", f"HTTP {status}")
        case Failed(reason=reason):
            return _later(wanted, "not_downloaded", reason)


def _other_bytes(wanted: Wanted, found: Found, came: Downloaded) -> Lost | Later:
    """Decide about bytes that do not fit: what is cut off, or is some gateway's page, may pass."""
    if found.size not in (None, came.size):
        return _later(wanted, "not_downloaded", f"{came.size} of {found.size} bytes came")
    return Lost("hash_mismatch", f"{came.size} bytes came")


def _fits(wanted: Wanted, found: Found, came: Downloaded) -> bool:
    """Whether the bytes are those of the webhook, or else those that Graph names."""
    expected = digest_of(wanted.sha256) or digest_of(found.sha256)
    if expected is not None:
        return came.digest == expected
    return found.size is None or found.size == came.size


def _mime_type(*said: str | None) -> str:
    """Return the first that is a media type, without its parameters."""
    for text in said:
        plain = (text or "").partition(";")[0].strip().lower()
        if _MIME.fullmatch(plain):
            return plain
    return "application/octet-stream"


def _disposition(mime_type: str, file_name: str | None) -> str:
    how = "inline" if _SHOWN.fullmatch(mime_type) else "attachment"
    if not file_name:
        return how
    # RFC 6266, 4.3, with the name as RFC 8187 writes it: a header is ASCII.
    return f"{how}; filename*=UTF-8''{quote(file_name[:100], safe='')}"
