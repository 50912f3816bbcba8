"""Files at Meta: where one lies, what it must be, its bytes; uploading and deleting one.

Ids that came in webhooks live 7 days, those of our uploads 30; an address lives 5 minutes and wants
the number's token (Cloud API, Media). The token goes to Meta's own hosts alone, whatever an address
or a redirect says.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, NamedTuple
from urllib.parse import quote

import httpx

from switchboard.kernel.outside import AddressRefused, Incoming, Outside, OutsideFailed
from switchboard.whatsapp.client import (
    Answer,
    File,
    GraphClient,
    NotSent,
    Rejected,
    Throttled,
    Unconfirmed,
)
from switchboard.whatsapp.storable import is_id, unfit

#: Bytes of one file of any type: Meta takes no larger one. The limits by type are for sending; what
#: a person sends may be larger (Cloud API, webhooks, error 131052: over 100 MB).
LARGEST = 100 * 1024 * 1024

#: Redirects that are followed, each checked like the first address.
_HOPS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Meta's hosts for files. Names end in one of these.
_METAS = ("fbsbx.com", "fbcdn.net", "whatsapp.net")
#: Seconds that an upload may take: the file goes out, then Meta looks at it.
_UPLOAD_S = 90.0

#: Meta gave no answer to work with; each says whether and when asking again makes sense.
NoAnswer = Rejected | Throttled | NotSent | Unconfirmed


@dataclass(frozen=True, slots=True)
class Found:
    """A file at Meta. `sha256` as Meta writes it (see `digest_of`), `size` in bytes."""

    url: str
    mime_type: str | None
    sha256: str | None
    size: int | None


class Downloaded(NamedTuple):
    """What came: the SHA-256 of the bytes, how many they are, the type the server named."""

    digest: bytes
    size: int
    mime_type: str | None


class TooLarge(NamedTuple):
    """The file is over its limit, by its header or while it came."""

    limit: int


class Blocked(NamedTuple):
    """The address, or one it redirects to, is none that may be fetched."""

    reason: str


class Gone(NamedTuple):
    """404 or 410: the address is over, a fresh one may work."""

    status: int


class Failed(NamedTuple):
    """It did not work this time: a word, or the HTTP status."""

    reason: str


def find_media(
    client: GraphClient, media_id: str, phone_number_id: str, token: str
) -> Found | NoAnswer:
    """Ask where a file lies; the address lives 5 minutes. GET /{media_id}?phone_number_id=."""
    answer = client.call(
        "GET", quote(media_id, safe=""), token, params={"phone_number_id": phone_number_id}
    )
    if not isinstance(answer, Answer):
        return answer
    document = answer.document or {}
    url = document.get("url")
    if not isinstance(url, str) or not url:
        return Unconfirmed("the answer has no address", http_status=answer.status)
    size = str(document.get("file_size"))  # a string or a number
    return Found(
        url,
        _word(document.get("mime_type")),
        _word(document.get("sha256")),
        int(size) if len(size) <= 15 and size.isascii() and size.isdigit() else None,
    )


def delete_media(client: GraphClient, media_id: str, token: str) -> NoAnswer | None:
    """Delete a file at Meta; None when it is done. DELETE /{media_id}."""
    answer = client.call("DELETE", quote(media_id, safe=""), token)
    if not isinstance(answer, Answer):
        return answer
    if (answer.document or {}).get("success") is True:
        return None
    return Unconfirmed("the answer does not say so", http_status=answer.status)


def upload_media(
    client: GraphClient, phone_number_id: str, token: str, file: File
) -> str | NoAnswer:
    """Upload a file and return its id, good for 30 days and this number.

    POST /{phone_number_id}/media. Unconfirmed is harmless here: a second upload is a second id.
    """
    path = f"{quote(phone_number_id, safe='')}/media"
    form = {"messaging_product": "whatsapp", "type": file.mime_type}
    answer = client.call("POST", path, token, file=replace(file, form=form), longest_s=_UPLOAD_S)
    if not isinstance(answer, Answer):
        return answer
    media_id = (answer.document or {}).get("id")
    if not is_id(media_id) or unfit(media_id) is not None:
        return Unconfirmed("the answer has no id", http_status=answer.status)
    return str(media_id)


def download(
    outside: Outside,
    url: str,
    *,
    token: str | None,
    into: BinaryIO,
    limit: int,
    total_s: float,
    also: Sequence[str] = (),
) -> Downloaded | TooLarge | Blocked | Gone | Failed:
    """Fetch a file into `into`, from its start, within `total_s` seconds and `limit` bytes.

    At most three redirects are followed; every address is checked and connected to as `outside`
    does it. A token goes to Meta's hosts over TLS and to the origins `also`, to nobody else.
    Never raises for what the other side does.
    """
    end = time.monotonic() + total_s
    for _ in range(_HOPS + 1):
        left = end - time.monotonic()
        if left <= 0:
            return Failed("timeout")
        try:
            headers = {"accept": "*/*"}
            if token is not None and _may_know_the_token(httpx.URL(url), also):
                headers["authorization"] = f"Bearer {token}"
            with outside.request("GET", url, headers=headers, total_s=left, most=limit) as answer:
                if answer.status not in _REDIRECTS or not answer.headers.get("location"):
                    return _receive(answer, into, limit)
                url = str(httpx.URL(url).join(answer.headers["location"]))
        except (httpx.InvalidURL, UnicodeError):
            # UnicodeError: an international name that is none.
            return Blocked("it is no address")
        except AddressRefused as error:
            return Blocked(str(error))
        except OutsideFailed as error:
            return TooLarge(limit) if error.reason == "too_long" else Failed(error.reason)
    return Blocked("it redirects too often")


def _receive(answer: Incoming, into: BinaryIO, limit: int) -> Downloaded | TooLarge | Gone | Failed:
    if answer.status in {404, 410}:
        return Gone(answer.status)
    if answer.status != 200:
        return Failed(f"HTTP {answer.status}")
    length = answer.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > limit:
        return TooLarge(limit)
    into.seek(0)
    into.truncate()
    digest, size = hashlib.sha256(), 0
    for chunk in answer.chunks:
        into.write(chunk)
        digest.update(chunk)
        size += len(chunk)
    return Downloaded(digest.digest(), size, answer.headers.get("content-type"))


def digest_of(sha256: str | None) -> bytes | None:
    """Return the 32 bytes of Meta's `sha256`: base64 today, hex in old webhooks and in Graph.

    None where it is absent or neither.
    """
    text = (sha256 or "").strip()
    try:
        if len(text) == 64:
            return bytes.fromhex(text)
        plain = text.rstrip("=").replace("-", "+").replace("_", "/")
        found = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        return None
    return found if len(found) == 32 else None


def _may_know_the_token(url: httpx.URL, also: Sequence[str]) -> bool:
    if any(_origin(url) == _origin(httpx.URL(known)) for known in also):
        return True
    return url.scheme == "https" and any(
        url.host == known or url.host.endswith(f".{known}") for known in _METAS
    )


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _word(value: object) -> str | None:
    return value if is_id(value) and unfit(value) is None else None
