"""Who calls /v1: an API key becomes a caller with a tenant and scopes; and who works by command.

The key comes as `Authorization: Bearer <key>` or, where IAM takes that header to sign, as
`X-Api-Key`; two that differ are refused. It holds 256 random bits, so its sha256 is stored and
looked up; the comparison is constant in time all the same.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

import psycopg

from switchboard.kernel.errors import Forbidden, NotFound, Unauthorized, Unavailable
from switchboard.kernel.http import Request, Response
from switchboard.store import api_keys
from switchboard.tools import Tools

#: What a key may be allowed, and what that opens.
SCOPES: dict[str, str] = {
    "messages:send": "send messages, and ask what became of them",
    "messages:urgent": "send urgent utility messages, which pass opt-outs and quiet hours",
    "messages:read": "read messages",
    "contacts:read": "list and read contacts",
    "contacts:write": "change contacts",
    "preferences:read": "read what contacts want to be told of",
    "preferences:write": "change it, and make links to the contact's own page of it",
    "conversations:read": "list and read conversations",
    "conversations:write": "assign, tag, close, archive conversations, mark them as read",
    "media:read": "read what is known of files, and fetch them",
    "media:write": "upload files to Meta, and delete them there",
    "numbers:read": "list and read numbers, their profiles and callback overrides",
    "numbers:write": "change them, and ask Meta anew",
    "blocks:read": "list whom a number has blocked",
    "blocks:write": "block and unblock people",
    "calls:read": "list and read calls, and ask whether a person may be called",
    "calls:write": "call people, take, refuse and end calls",
    "consents:read": "read consents",
    "consents:write": "record consents",
    "verifications:write": "send codes that prove a number, and check them",
    "interactions:read": "read tracked links and their taps",
    "templates:read": "list and read message templates",
    "templates:write": "sync templates; submit, edit, delete and unpause them at Meta",
    "flows:read": "list and read flows, flow sessions with their answers, and public keys",
    "flows:write": "make, change, publish, retire and delete flows; set a number's public key",
    "catalog:read": "list products",
    "catalog:write": "write and delete products",
    "facts:read": "list and read trips and bookings",
    "facts:write": "write and delete them",
    "rules:read": "list and read automation rules, and what they ran",
    "rules:write": "make, change and delete automation rules",
    "prices:read": "list what Meta charges",
    "prices:write": "import price tables, and delete cards of them",
    "emails:read": "list and read e-mails, their templates, addresses that get none",
    "emails:write": "make, change and delete templates of e-mails; let an address get mails again",
    "agents:read": "list and read the endpoints that automations ask",
    "agents:write": "make, change and delete them",
    "audiences:read": "list and read lists of people, and count audiences",
    "audiences:write": "make, fill and delete lists of people",
    "campaigns:read": "list and read campaigns, their recipients and progress",
    "campaigns:write": "make, change, start, pause and cancel campaigns, send again what failed",
    "account_events:read": "read what Meta told about accounts, and copies of other apps' messages",
    "subscriptions:read": "list and read subscriptions, and what became of their deliveries",
    "subscriptions:write": "subscribe endpoints to events, change and delete subscriptions",
    "jobs:read": "list and read jobs",
    "jobs:write": "cancel, retry and put off jobs",
    "dead_letters:read": "list and read what could not be processed",
    "dead_letters:write": "replay it",
}

#: No key is longer; a megabyte of header is not worth a digest.
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever calls: a tenant's API key with its scopes.

    `scopes` None: no key, since something else guards the call (IAM on a direct invocation).
    """

    tenant_id: UUID
    key_id: UUID | None = None
    scopes: frozenset[str] | None = None

    def require(self, *scopes: str) -> None:
        """Raise Forbidden unless the caller has one of `scopes`."""
        if self.scopes is not None and not self.scopes.intersection(scopes):
            raise Forbidden(f"the key lacks the scope {' or '.join(scopes)}")


@dataclass(frozen=True, slots=True)
class Guarded:
    """A route of /v1: the scope that its caller needs, and what answers it."""

    scope: str
    run: Callable[[Tools, Caller, Request], Response]

    def __call__(self, tools: Tools, request: Request) -> Response:
        """Answer the request of a caller whose key has the scope.

        Raises Unauthorized, Forbidden and what the route raises.
        """
        caller = identify(tools, request.headers)
        caller.require(self.scope)
        return self.run(tools, caller, request)


def act_for(tools: Tools, tenant: str) -> Caller:
    """Return the caller at a command line, who works for the tenant with this slug or id.

    No key guards it: who may run commands has the database's password. Raises NotFound.
    """
    # A name with a letter that Postgres cannot hold is nobody's.
    known = tenant.isprintable()
    tenant_id = api_keys.resolve_tenant(tools.db.connection(), tenant) if known else None
    if tenant_id is None:
        raise NotFound(f"there is no tenant {tenant!r}", field="tenant")
    return Caller(tenant_id)


def identify(tools: Tools, headers: Mapping[str, str]) -> Caller:
    """Return the caller that `headers` (names in lower case) name.

    Raises Unauthorized for no key and for one that is unknown, revoked or expired: the answer does
    not say which. Unavailable when the database is away.
    """
    key = _key(headers)
    digest = hashlib.sha256(key.encode()).digest()
    try:
        found = api_keys.resolve(tools.db.connection(), digest)
    except psycopg.OperationalError:
        # The link may have died since the last call: once more on a new one.
        tools.db.drop()
        try:
            found = api_keys.resolve(tools.db.connection(), digest)
        except psycopg.OperationalError as error:
            raise Unavailable("the database was lost") from error
    if found is None or not hmac.compare_digest(found.key_hash, digest):
        raise _refusal("the API key is not valid")
    return Caller(found.tenant_id, found.key_id, found.scopes)


def _key(headers: Mapping[str, str]) -> str:
    given = headers.get("x-api-key", "").strip()
    # Another scheme is IAM's signature and none of ours.
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    bearer = rest.strip() if scheme.lower() == "bearer" else ""
    if given and bearer and given != bearer:
        raise _refusal("Authorization and X-Api-Key hold different keys: send one of them")
    key = given or bearer
    if not key or len(key) > _LONGEST or not key.isascii():
        raise _refusal("an API key is needed: Authorization: Bearer <key>")
    return key


def _refusal(detail: str) -> Unauthorized:
    return Unauthorized(detail, headers={"www-authenticate": "Bearer"})
