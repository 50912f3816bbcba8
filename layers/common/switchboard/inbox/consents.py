"""Consents: what people have agreed to and taken back, and what they said elsewhere.

STOP and START come by themselves; what is recorded here was said in a form, on a call, in a shop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID, uuid5

import orjson
from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, model_validator

from switchboard.kernel import phones
from switchboard.kernel.arguments import Arguments, read
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import NotFound, ProblemError
from switchboard.kernel.page import Page, Paged, page_of, read_moment
from switchboard.store import consents as store
from switchboard.store import contacts, identity
from switchboard.store.consents import Consent, Statement
from switchboard.tools import Tools
from switchboard.transact import transact

#: Nobody has agreed to a message before. (Year 1 in another zone is a year 0 that cannot be read.)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
#: Statements of one batch.
MOST = 1000


class ConsentFilter(Paged):
    """Which statements: of one contact, or all."""

    contact_id: UUID | None = Field(None, description="of this contact alone")


def _digits(text: str) -> str:
    digits = phones.digits(text)
    if digits is None:
        raise ValueError("must be 7 to 15 digits, with or without +")
    return digits


class NewConsent(Arguments):
    """What a person said elsewhere about getting messages; whoever it is need not be known yet."""

    contact_id: UUID | None = Field(None, description="the contact's id; or its phone")
    phone: Annotated[str, AfterValidator(_digits)] | None = Field(
        None, description="the number, 7 to 15 digits; a contact is made where there is none"
    )
    state: Literal["given", "withdrawn"] = Field(description="given or withdrawn")
    wording: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)
    ] = Field(description="what they agreed to or said, and where: the proof")
    occurred_at: AwareDatetime | None = Field(
        None, ge=EARLIEST, description="when, as 2027-01-31T00:00:00Z; left out: now"
    )

    @model_validator(mode="after")
    def _names_one(self) -> NewConsent:
        if (self.contact_id is None) == (self.phone is None):
            raise ValueError("either contact_id or phone must be given")
        return self


class ConsentBatch(Arguments):
    """Statements of many people, each read and answered by itself."""

    consents: list[dict[str, Any]] = Field(
        min_length=1, max_length=MOST, description="each as the body of POST /v1/consents"
    )


@dataclass(frozen=True, slots=True)
class BatchResults:
    """What became of each, in order: the statement or the problem, with its `status_code`."""

    results: list[dict[str, Any]]


def list_consents(tools: Tools, tenant_id: UUID, wanted: ConsentFilter) -> Page[Consent]:
    """Return the history, the newest recorded first; of a merged contact that of the root."""

    def read(connection: Connection) -> Page[Consent]:
        contact_id = wanted.contact_id
        if contact_id is not None:
            contact_id = contacts.find_root(connection, tenant_id, contact_id) or contact_id
        rows = store.list_consents(
            connection,
            tenant_id,
            contact_id=contact_id,
            before=read_moment("consents", wanted),
            limit=wanted.limit + 1,
        )
        return page_of("consents", wanted, rows, lambda last: (last.created_at, last.id))

    return transact(tools, tenant_id, read)


def record_consent(tools: Tools, tenant_id: UUID, new: NewConsent) -> Consent:
    """Add a statement; the opt-in state follows the newest one, so an older one changes nothing.

    A phone that is nobody's yet gets a contact. The same statement again, its time named, is the
    row that is there. Raises NotFound for an unknown or deleted contact.
    """
    (found,) = _record(tools, tenant_id, [new])
    if found is None:
        raise _unknown()
    return found


def record_consents(tools: Tools, tenant_id: UUID, batch: ConsentBatch) -> BatchResults:
    """Add the statements that can be added, all in one transaction; a wrong one costs itself."""
    results: list[dict[str, Any]] = []
    good: list[NewConsent] = []
    places: list[int] = []
    for place, given in enumerate(batch.consents):
        try:
            good.append(read(NewConsent, given))
        except ProblemError as error:
            results.append(_told(error))
        else:
            places.append(place)
            results.append({})
    recorded = _record(tools, tenant_id, good) if good else []
    for place, consent in zip(places, recorded, strict=True):
        if consent is None:
            results[place] = _told(_unknown())
        else:
            results[place] = {"status_code": 200, **orjson.loads(orjson.dumps(consent))}
    return BatchResults(results)


def _record(tools: Tools, tenant_id: UUID, news: Sequence[NewConsent]) -> list[Consent | None]:
    """Return the row of each, None where its contact is not known."""
    names = [tools.clock.new_id() for _ in news]  # named once: the work may run twice

    def write(connection: Connection) -> list[Consent | None]:
        contacts.hold(connection, tenant_id)
        numbers = sorted({phones.national_variant(new.phone) for new in news if new.phone})
        people = identity.claim_phones(connection, tenant_id, numbers, now=tools.clock.now)
        ids = [new.contact_id for new in news if new.contact_id]
        roots = identity.find_roots(connection, tenant_id, ids) if ids else {}
        statements: list[Statement | None] = []
        for new, name in zip(news, names, strict=True):
            if new.phone is not None:
                contact: UUID | None = people[phones.national_variant(new.phone)]
            else:
                assert new.contact_id is not None
                contact = roots.get(new.contact_id)
            statements.append(None if contact is None else _statement(new, contact, name))
        known = [one for one in statements if one is not None]
        rows = store.record(connection, tenant_id, known, now=tools.clock.now) if known else {}
        return [None if one is None else rows[one.name] for one in statements]

    return transact(tools, tenant_id, write)


def _statement(new: NewConsent, contact: UUID, name: UUID) -> Statement:
    """Return what is stored: with a time of its own it is named by what it says.

    So an import that is run again adds nothing. Without one, each is a statement of its own.
    """
    if new.occurred_at is not None:
        said = [new.state, new.wording, new.occurred_at.astimezone(UTC).isoformat()]
        name = uuid5(contact, orjson.dumps(said).decode())
    return Statement(name, contact, new.state, new.wording, new.occurred_at)


def _unknown() -> NotFound:
    return NotFound("this contact is not known", field="contact_id")


def _told(error: ProblemError) -> dict[str, Any]:
    named = {} if error.field is None else {"field": error.field}
    return {"status_code": error.status, "title": error.title, "detail": error.detail, **named}
