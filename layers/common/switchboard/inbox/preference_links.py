"""Links to a person's own page of preferences: signed, so that nobody guesses one.

A token is a number of its format, the tenant, the contact, the second when it is over, the
generation of the contact's links, and HMAC-SHA256 over all of that; in base64 of URLs. It names
nobody (ids alone), and whoever holds it may do what the person may: it is sent to them and nobody
else. Revoking begins a new generation, so that every link that is out is over at once.
"""

from __future__ import annotations

import base64
import hmac
import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pydantic import Field

from switchboard.inbox.preferences import hold, unknown
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import ConfigurationError, NotFound, Unprocessable
from switchboard.store import contacts
from switchboard.store import preferences as store
from switchboard.tools import Tools
from switchboard.transact import transact

#: The format, tenant, contact, seconds since 1970, generation. With the signature's 32 bytes they
#: fill whole letters: no two texts are one token.
_SHAPE = struct.Struct(">H16s16sQI")
_FORMAT = 1
_TOKEN = re.compile(r"[A-Za-z0-9_-]{104}")
#: What the key signs here, should it ever sign anything else.
_PURPOSE = b"switchboard preferences link\0"


class NewLink(Arguments):
    """How long a link opens the page."""

    days: int = Field(30, ge=1, le=366, description="days for which it opens the page")


@dataclass(frozen=True, slots=True)
class PageLink:
    """An address of a contact's own page, to be sent to that person alone."""

    contact_id: UUID
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Revoked:
    """All links of a contact are over."""

    contact_id: UUID


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a token says that we made and that is not over."""

    tenant_id: UUID
    contact_id: UUID
    generation: int


def make_link(tools: Tools, tenant_id: UUID, contact_id: UUID, wanted: NewLink) -> PageLink:
    """Return a new link to the page of a contact, or of its root; nothing is stored.

    Raises NotFound, Unprocessable where no address is known under which people reach us.
    """

    def read(connection: Connection) -> tuple[UUID, int]:
        root = contacts.find_root(connection, tenant_id, contact_id)
        known = None if root is None else store.read(connection, tenant_id, root)
        if known is None:
            raise unknown()
        return known.contact_id, known.generation

    found, generation = transact(tools, tenant_id, read)
    if tools.settings.public_url is None:
        raise Unprocessable("no links can be made here: PUBLIC_URL is not set")
    expires_at = (tools.clock.wall() + timedelta(days=wanted.days)).replace(microsecond=0)
    seconds = int(expires_at.timestamp())
    said = _SHAPE.pack(_FORMAT, tenant_id.bytes, found.bytes, seconds, generation)
    token = base64.urlsafe_b64encode(said + _sign(_keys(tools)[0], said)).decode()
    return PageLink(found, f"{tools.settings.public_url}/p/{token}", expires_at)


def revoke_links(tools: Tools, tenant_id: UUID, contact_id: UUID) -> Revoked:
    """End all links of a contact that were made so far. Raises NotFound."""

    def write(connection: Connection) -> Revoked:
        known = hold(connection, tenant_id, contact_id)
        store.revoke(connection, tenant_id, known.contact_id)
        return Revoked(known.contact_id)

    return transact(tools, tenant_id, write)


def read_token(tools: Tools, token: str) -> Ticket:
    """Return what a token says.

    Raises NotFound for one that is not ours, was changed or is over: which, nobody is told.
    """
    if not _TOKEN.fullmatch(token):
        raise not_valid()
    raw = base64.urlsafe_b64decode(token)
    said, mac = raw[: _SHAPE.size], raw[_SHAPE.size :]
    # Another environment may know a newer key than we have in memory.
    if not any(
        hmac.compare_digest(_sign(key, said), mac)
        for fresh in (False, True)
        for key in _keys(tools, fresh=fresh)
    ):
        raise not_valid()
    kind, tenant, contact, seconds, generation = _SHAPE.unpack(said)
    if kind != _FORMAT or tools.clock.wall() >= datetime.fromtimestamp(seconds, UTC):
        raise not_valid()
    return Ticket(UUID(bytes=tenant), UUID(bytes=contact), generation)


def not_valid() -> NotFound:
    """Return what is raised for any link that does not open the page."""
    return NotFound("this link is not known, or no longer valid")


def _sign(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, _PURPOSE + said, "sha256")


def _keys(tools: Tools, *, fresh: bool = False) -> list[bytes]:
    """Return the keys that are valid, the one that signs first."""
    arn = tools.settings.require("preferences_secret_arn")
    secret = tools.secrets.json(arn, fresh=fresh)
    given = (secret.get("key"), secret.get("key_previous"))
    # An empty key would sign anything: it is no key.
    keys = [one.encode() for one in given if isinstance(one, str) and one]
    if not keys:
        raise ConfigurationError("the secret of PREFERENCES_SECRET_ARN has no key")
    return keys
