"""Codes that prove a number: sent by an authentication template, tried a few times, then over.

Of a code the database holds an HMAC under a random key, and of the key only what KMS made of it:
whoever steals the database cannot try the million codes against it, as they could against any hash
that needs nothing else, however slow. The message that carries the code must be stored to be sent;
its parameters are taken out of it as soon as it no longer waits (`hide_code`), and so is what the
thread shows of it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field

from switchboard import outbox
from switchboard.kernel import phones
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import NotFound, TooMany, Unprocessable
from switchboard.outbox import Outgoing
from switchboard.outbox.answers import Answer
from switchboard.outbox.wire import check
from switchboard.store import contacts, identity, jobs
from switchboard.store import verifications as store
from switchboard.store.verifications import ATTEMPTS, PURPOSE, Verification
from switchboard.tools import Tools
from switchboard.transact import transact


class CodeTemplate(Arguments):
    """An authentication template with a button that copies or fills in the code."""

    name: str = Field(min_length=1, max_length=512, description="the template's name")
    language: str = Field(min_length=2, max_length=35, description="its language: es_MX")


class NewVerification(Arguments):
    """Whose number is to be proved, and how."""

    sender: str = Field(
        alias="from", min_length=1, max_length=50, description="phone_number_id of our number"
    )
    to: Annotated[str, AfterValidator(lambda text: phones.recipient(text) and text)] = Field(
        description="the number to be proved, 7 to 15 digits, or the id of its contact"
    )
    template: CodeTemplate = Field(description="an authentication template")
    code_length: int = Field(6, ge=4, le=8, description="digits of the code")
    expires_in: int = Field(600, ge=30, le=900, description="seconds for which it holds")


class CodeGiven(Arguments):
    """What the person typed."""

    code: str = Field(pattern=r"^[0-9]{4,8}$", description="the digits that the person typed")


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether the number is proved now; if not, why: see docs."""

    verified: bool
    attempts_left: int
    reason: str | None


def start_verification(tools: Tools, tenant_id: UUID, new: NewVerification) -> Answer:
    """Send a new code, which ends the person's earlier ones; return 201, or why it was not sent.

    The answer holds the send's own. Raises NotFound for an unknown number or contact, TooMany
    after three codes in ten minutes or ten in a day, Unprocessable.
    """
    code = "".join(secrets.choice("0123456789") for _ in range(new.code_length))
    message, warnings = check(_message(new.template, code))
    key = secrets.token_hex(32)
    verification_id = tools.clock.new_id()  # named once: the work may run twice
    sealed = tools.sealer.seal(key, tenant_id=tenant_id, purpose=PURPOSE)

    def begin(connection: Connection) -> tuple[Verification, str]:
        return _begin(
            tools,
            connection,
            tenant_id,
            new,
            verification_id=verification_id,
            key_sealed=sealed,
            code_hmac=_hmac(key, verification_id, code),
        )

    begun, phone = transact(tools, tenant_id, begin)
    answer = outbox.send(
        tools,
        tenant_id,
        Outgoing(
            phone_number_id=new.sender,
            phone=phone,
            message=message,
            category="authentication",
            expires_at=begun.expires_at,
            origin_id=verification_id,
            warnings=warnings,
        ),
    )

    def end(connection: Connection) -> None:
        store.hide_code(connection, tenant_id, verification_id, now=tools.clock.now)
        if answer.status >= 400:
            store.end_unsent(connection, tenant_id, verification_id)

    transact(tools, tenant_id, end)
    told = {"id": str(verification_id), "expires_at": begun.expires_at.isoformat()}
    if answer.status >= 400:
        unsent = {**told, "status": "unsent"}
        return Answer(answer.status, {**answer.body, "verification": unsent}, answer.headers)
    return Answer(201, {**told, "status": "pending", "message": answer.body})


def check_code(tools: Tools, tenant_id: UUID, verification_id: UUID, given: CodeGiven) -> Checked:
    """Try a code. Each try is counted before it is compared, five of them at most.

    Whoever is right proves the phone: contact and identifier are marked. Raises NotFound.
    """

    def find(connection: Connection) -> Verification:
        found = store.find(connection, tenant_id, verification_id, now=tools.clock.now)
        if found is None:
            raise NotFound("this verification is not known")
        return found

    found = transact(tools, tenant_id, find)
    if found.key_sealed is None:
        return _refused(found)
    key = tools.sealer.unseal(found.key_sealed, tenant_id=tenant_id, purpose=PURPOSE)
    tried = _attempt(tools, tenant_id, verification_id)
    if tried is None:
        return _refused(transact(tools, tenant_id, find))
    left = ATTEMPTS - tried.attempts
    if not hmac.compare_digest(tried.code_hmac, _hmac(key, verification_id, given.code)):
        return Checked(verified=False, attempts_left=left, reason="wrong_code")
    try:
        transact(tools, tenant_id, lambda connection: _verify(tools, connection, tenant_id, found))
    except _EndedError:
        return _refused(transact(tools, tenant_id, find))
    return Checked(verified=True, attempts_left=left, reason=None)


class _EndedError(Exception):
    """The code ended while it was compared."""


def _begin(
    tools: Tools,
    connection: Connection,
    tenant_id: UUID,
    new: NewVerification,
    *,
    verification_id: UUID,
    key_sealed: bytes,
    code_hmac: bytes,
) -> tuple[Verification, str]:
    """Return the verification, and the phone as it is sent to."""
    now = tools.clock.now
    contacts.hold(connection, tenant_id)
    account_id = store.find_number(connection, tenant_id, new.sender)
    if account_id is None:
        raise NotFound("this number is not known", field="from")
    category = store.find_category(
        connection,
        tenant_id,
        account_id,
        name=new.template.name,
        language=new.template.language.replace("-", "_"),
    )
    if category not in (None, "AUTHENTICATION"):
        # An inbox shows what any other template says, and Meta asks for this kind.
        raise Unprocessable(
            f"the template's category is {category}, a code needs AUTHENTICATION", field="template"
        )
    contact_id, phone = _person(tools, connection, tenant_id, new.to)
    wait = store.begin(
        connection,
        tenant_id,
        verification_id,
        account_id=account_id,
        contact_id=contact_id,
        phone=phones.national_variant(phone),
        key_sealed=key_sealed,
        code_hmac=code_hmac,
        lasts=timedelta(seconds=new.expires_in),
        now=now,
    )
    if wait is not None:
        raise TooMany(
            "this person got too many codes: three in ten minutes, ten in a day are the most",
            field="to",
            wait_s=wait.total_seconds(),
        )
    begun = store.find(connection, tenant_id, verification_id, now=now)
    assert begun is not None
    jobs.enqueue(
        connection,
        tenant_id=tenant_id,
        job_type="end_verification",
        args={"verification_id": verification_id},
        unique_key=str(verification_id),
        scheduled_for=begun.expires_at,
        now=now,
    )
    return begun, phone


def _person(tools: Tools, connection: Connection, tenant_id: UUID, to: str) -> tuple[UUID, str]:
    digits, contact_id = phones.recipient(to)
    if digits is not None:
        canonical = phones.national_variant(digits)
        known = identity.claim_phones(connection, tenant_id, [canonical], now=tools.clock.now)
        return known[canonical], digits
    assert contact_id is not None
    root = identity.find_roots(connection, tenant_id, [contact_id]).get(contact_id)
    if root is None:
        raise NotFound("this contact is not known", field="to")
    phone = store.find_phone(connection, tenant_id, root)
    if phone is None:
        raise Unprocessable("the contact has no phone number", field="to")
    return root, phone


def _attempt(tools: Tools, tenant_id: UUID, verification_id: UUID) -> store.Attempt | None:
    """Count a try. Where the link was lost at the commit it may count twice, never not at all."""
    return transact(
        tools,
        tenant_id,
        lambda connection: store.attempt(
            connection, tenant_id, verification_id, now=tools.clock.now
        ),
    )


def _verify(tools: Tools, connection: Connection, tenant_id: UUID, found: Verification) -> None:
    contacts.hold(connection, tenant_id)
    if not store.verify(connection, tenant_id, found.id, now=tools.clock.now):
        raise _EndedError


def _refused(found: Verification) -> Checked:
    reasons = {"verified": "used", "replaced": "replaced", "unsent": "unsent", "expired": "expired"}
    reason = reasons.get(found.status)
    if reason is None:
        reason = "expired" if found.is_over else "too_many_attempts"
    return Checked(verified=False, attempts_left=0, reason=reason)


def _message(template: CodeTemplate, code: str) -> dict[str, Any]:
    """Return Meta's message object: the code as the body's one variable and behind the button."""
    parameters = [{"type": "text", "text": code}]
    button = {"type": "button", "sub_type": "url", "index": "0", "parameters": parameters}
    return {
        "type": "template",
        "template": {
            "name": template.name,
            "language": {"code": template.language},
            "components": [{"type": "body", "parameters": parameters}, button],
        },
    }


def _hmac(key: str, verification_id: UUID, code: str) -> bytes:
    return hmac.digest(bytes.fromhex(key), verification_id.bytes + code.encode(), hashlib.sha256)
