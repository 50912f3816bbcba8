"""Blocking people: at Meta on one number, and here for the tenant.

A contact that Meta blocked on any number is `is_blocked`: nothing is sent to the person by any
number of the tenant. Unblocked on one number, the person is unblocked here, whatever other numbers
have blocked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field

from switchboard.accounts._meta import document_of, number_of
from switchboard.kernel import phones
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import NotFound, Unprocessable
from switchboard.kernel.page import Page, Paged, read_cursor, write_cursor
from switchboard.store import blocks as store
from switchboard.store.blocks import Person, Wanted
from switchboard.tools import Tools
from switchboard.transact import transact
from switchboard.whatsapp.blocks import Blocked, Changed, Named, change_blocks, list_blocks
from switchboard.whatsapp.errors import GraphError

#: People of one request.
MOST = 100
_LIST = "blocks"


def _user(text: str) -> str:
    text = text.strip()
    if phones.digits(text) is None:
        try:
            return str(UUID(text))
        except ValueError:
            raise ValueError(
                "must be 7 to 15 digits with or without +, or a contact's id"
            ) from None
    return text


User = Annotated[str, AfterValidator(_user)]


class BlockChange(Arguments):
    """Whom to block or unblock, on which number."""

    sender: str = Field(
        alias="from", min_length=1, max_length=50, description="the number's id at Meta"
    )
    users: list[User] = Field(
        min_length=1, max_length=MOST, description="phone numbers or contact ids"
    )


class BlockFilter(Paged):
    """Whom a number has blocked."""

    sender: str = Field(
        alias="from", min_length=1, max_length=50, description="the number's id at Meta"
    )


@dataclass(frozen=True, slots=True)
class BlockResult:
    """What became of one user: blocked, unblocked, failed (see `error`), unknown.

    unknown: Meta's answer does not name the user. `contact_id` is null for who is no contact here.
    """

    user: str
    status: str
    contact_id: UUID | None
    wa_id: str | None
    user_id: str | None
    error: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class BlockResults:
    """What became of each user, in the order of the request."""

    results: Sequence[BlockResult]


@dataclass(frozen=True, slots=True)
class BlockedUser:
    """A person on a number's list at Meta, and the contact here, if there is one."""

    wa_id: str | None
    user_id: str | None
    contact_id: UUID | None


def change(tools: Tools, tenant_id: UUID, wanted: BlockChange, *, block: bool) -> BlockResults:
    """Block or unblock people at Meta, and mark those that it took here.

    Taken in part is no error: each user's result tells. Both orders and any repetition end as Meta
    has it. Raises NotFound for the number or a contact, Unprocessable for a contact that Meta
    cannot know, and what Meta's answer means where it took nobody.
    """
    number = number_of(tools, tenant_id, wanted.sender)
    users = list(dict.fromkeys(wanted.users))
    given = [_wanted(user) for user in users]
    people = transact(tools, tenant_id, lambda connection: store.find(connection, tenant_id, given))
    asked = [
        _asked(index, user, person)
        for index, (user, person) in enumerate(zip(users, people, strict=True))
    ]
    # One person may have been named twice, by number and by id.
    once = list({frozenset(one.items()): one for one in asked}.values())
    told = change_blocks(tools.graph, number.phone_number_id, number.token, once, block=block)
    if not isinstance(told, Changed):
        document_of(told)
        raise AssertionError("unreachable")
    answered = _Answered(told)
    results = [
        _result(user, person, answered.of(one), block=block)
        for user, person, one in zip(users, people, asked, strict=True)
    ]
    took = [one for named in told.taken for one in _identifiers(named)]
    took += [
        Wanted(contact_id=result.contact_id)
        for result in results
        if result.contact_id is not None and result.status in {"blocked", "unblocked"}
    ]

    def mark(connection: Connection) -> None:
        store.mark(connection, tenant_id, took, blocked=block, now=tools.clock.now)

    transact(tools, tenant_id, mark)
    return BlockResults(results)


def list_blocked(tools: Tools, tenant_id: UUID, wanted: BlockFilter) -> Page[BlockedUser]:
    """Return whom a number has blocked at Meta; raises NotFound and what Meta's answer means."""
    number = number_of(tools, tenant_id, wanted.sender)
    after = read_cursor(_LIST, wanted, 1)
    told = list_blocks(
        tools.graph,
        number.phone_number_id,
        number.token,
        limit=wanted.limit,
        after=after[0] if after else None,
    )
    if not isinstance(told, Blocked):
        document_of(told)
        raise AssertionError("unreachable")
    named = [(_identifiers(one) or [Wanted()])[0] for one in told.people]
    people = transact(tools, tenant_id, lambda connection: store.find(connection, tenant_id, named))
    shown = [
        BlockedUser(one.wa_id, one.user_id, person.contact_id)
        for one, person in zip(told.people, people, strict=True)
    ]
    return Page(shown, None if told.after is None else write_cursor(_LIST, wanted, told.after))


class _Answered:
    """Meta's answer by what was asked with: a phone's digits, or a user id."""

    def __init__(self, told: Changed) -> None:
        self._by_name: dict[str, tuple[Named, GraphError | None]] = {}
        for named, error in [*((one, None) for one in told.taken), *told.failed]:
            for word in (named.wa_id, named.user_id, named.given):
                if word is not None:
                    self._by_name[_plain(word)] = (named, error)

    def of(self, asked: dict[str, str]) -> tuple[Named, GraphError | None] | None:
        return self._by_name.get(_plain(asked.get("user") or asked["user_id"]))


def _plain(word: str) -> str:
    digits = phones.digits(word)
    return word if digits is None else phones.national_variant(digits)


def _wanted(user: str) -> Wanted:
    digits = phones.digits(user)
    if digits is None:
        return Wanted(contact_id=UUID(user))
    return Wanted(kind="phone", value=phones.national_variant(digits))


def _asked(index: int, user: str, person: Person) -> dict[str, str]:
    digits = phones.digits(user)
    if digits is not None:
        return {"user": f"+{digits}"}
    if person.contact_id is None:
        raise NotFound("this contact is not known", field=f"users.{index}")
    if person.phone is not None:
        return {"user": person.phone}
    if person.user_id is not None:
        return {"user_id": person.user_id}
    raise Unprocessable(
        "Meta knows neither phone nor user id of this contact", field=f"users.{index}"
    )


def _result(
    user: str, person: Person, told: tuple[Named, GraphError | None] | None, *, block: bool
) -> BlockResult:
    if told is None:
        return BlockResult(user, "unknown", person.contact_id, None, None, None)
    named, error = told
    if error is None:
        status = "blocked" if block else "unblocked"
        return BlockResult(user, status, person.contact_id, named.wa_id, named.user_id, None)
    document = {"code": error.code, "title": error.title, "details": error.details}
    return BlockResult(user, "failed", person.contact_id, named.wa_id, named.user_id, document)


def _identifiers(named: Named) -> list[Wanted]:
    """Return what finds the contact here of a person that Meta has named."""
    found = []
    for word in (named.wa_id, named.given):
        digits = None if word is None else phones.digits(word)
        if digits is not None:
            found.append(Wanted(kind="phone", value=phones.national_variant(digits)))
    if named.user_id is not None:
        found.append(Wanted(kind="user_id", value=named.user_id))
    return list(dict.fromkeys(found))
