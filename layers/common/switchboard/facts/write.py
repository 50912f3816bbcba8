"""Writes facts, each for itself: a wrong one costs itself alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from switchboard.facts.given import Fact, check_external_id, is_external_id
from switchboard.kernel.arguments import Arguments, read
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import BadRequest, NotFound, ProblemError, Unprocessable
from switchboard.store import contacts, identity
from switchboard.store.facts import Outcome
from switchboard.tools import Tools
from switchboard.transact import transact

#: Facts of one request.
MOST = 1_000
#: How often one fact may stand in a request: each time costs a statement.
TURNS = 20

#: What a member is refused for that only the database can tell.
_WRONG = {
    "as_of": "is more than five minutes ahead",
    "timezone": "is a zone that the database does not know",
    "trip": "there is no trip with this external id: write the trip first",
}
N = TypeVar("N", bound=Fact)


class Put(Protocol):
    """A statement of the store that writes facts."""

    def __call__(
        self,
        connection: Connection,
        tenant_id: UUID,
        facts: Sequence[dict[str, Any]],
        /,
        *,
        now: datetime | None,
    ) -> list[Outcome]: ...


@dataclass(frozen=True, slots=True)
class WriteResults:
    """What became of each, in order, with its `result` and `status_code`."""

    results: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Named(Generic[N]):
    """A fact under the service's own id."""

    external_id: str
    fact: N


def name(external_id: str, fact: N) -> Named[N]:
    """Return a fact under its id; raises Unprocessable where it can be none."""
    try:
        return Named(check_external_id(external_id), fact)
    except ValueError as error:
        raise Unprocessable(f"external_id: {error}", field="external_id") from None


def read_items(model: type[Arguments], member: str, body: Any) -> list[Any]:
    """Return the list `member` of a request's body, unread: each item is read for itself.

    Raises Unprocessable for another member, for no items and for too many; BadRequest.
    """
    items = body.get(member) if isinstance(body, Mapping) else None
    if isinstance(items, list):
        read(model, {**body, member: [None] * len(items)})
        return items
    read(model, body)
    raise AssertionError("unreachable: the model asks for a list")


def write_each(
    tools: Tools,
    tenant_id: UUID,
    items: Sequence[Any],
    read_one: Callable[[Any], Named[Any]],
    put: Put,
) -> list[dict[str, Any]]:
    """Write what can be written of `items`, all in one transaction; return a result for each."""
    problems: dict[int, ProblemError] = {}
    facts: dict[int, Named[Any]] = {}
    seen: Counter[str] = Counter()
    for place, item in enumerate(items):
        try:
            if not isinstance(item, Mapping):
                raise BadRequest("must be a JSON object")
            named = read_one(item)
            if seen[named.external_id] == TURNS:
                raise Unprocessable(
                    f"stands more than {TURNS} times in one request", field="external_id"
                )
        except ProblemError as error:
            problems[place] = error
            continue
        seen[named.external_id] += 1
        facts[place] = named
    outcomes: dict[int, Outcome | ProblemError] = {**problems}
    if facts:
        outcomes |= transact(
            tools, tenant_id, lambda connection: put_all(tools, connection, tenant_id, facts, put)
        )
    return [_told(items[place], outcomes[place]) for place in range(len(items))]


def put_one(
    tools: Tools, connection: Connection, tenant_id: UUID, named: Named[Any], put: Put
) -> Outcome:
    """Write one fact; raises what it is refused for."""
    (done,) = put_all(tools, connection, tenant_id, {0: named}, put).values()
    if isinstance(done, ProblemError):
        raise done
    return done


def put_all(
    tools: Tools,
    connection: Connection,
    tenant_id: UUID,
    facts: Mapping[int, Named[Any]],
    put: Put,
) -> dict[int, Outcome | ProblemError]:
    """Write facts by place, one statement for all; return what became of each.

    A fact that stands several times is written in its order, a statement for each time.
    """
    contacts.hold(connection, tenant_id)
    owners = _owners(tools, connection, tenant_id, [named.fact for named in facts.values()])
    done: dict[int, Outcome | ProblemError] = {}
    turns: list[list[dict[str, Any]]] = []
    seen: Counter[str] = Counter()
    for place, named in facts.items():
        owner = owners.get(named.fact.phone or str(named.fact.contact_id))
        if owner is None:
            done[place] = NotFound("this contact is not known", field="contact_id")
            continue
        turn = seen[named.external_id]
        seen[named.external_id] += 1
        if turn == len(turns):
            turns.append([])
        document = named.fact.model_dump(mode="json", exclude={"phone"})
        own = {"place": place, "external_id": named.external_id, "contact_id": owner}
        turns[turn].append({**document, **own})
    for documents in turns:
        for outcome in put(connection, tenant_id, documents, now=tools.clock.now):
            done[outcome.place] = outcome if outcome.wrong is None else _refusal(outcome.wrong)
    return done


def _owners(
    tools: Tools, connection: Connection, tenant_id: UUID, facts: Sequence[Fact]
) -> dict[str, UUID]:
    """Return the contact of each phone and the root of each id; make what phones lack."""
    numbers = sorted({fact.phone for fact in facts if fact.phone is not None})
    ids = sorted({fact.contact_id for fact in facts if fact.contact_id is not None})
    known = identity.find_phones(connection, tenant_id, numbers) if numbers else {}
    missing = [number for number in numbers if number not in known]
    made = identity.claim_phones(connection, tenant_id, missing, now=tools.clock.now)
    roots = identity.find_roots(connection, tenant_id, ids) if ids else {}
    return {**known, **made, **{str(contact_id): root for contact_id, root in roots.items()}}


def _refusal(wrong: str) -> ProblemError:
    kind = NotFound if wrong == "trip" else Unprocessable
    return kind(f"{wrong}: {_WRONG[wrong]}", field=wrong)


def _told(item: Any, outcome: Outcome | ProblemError) -> dict[str, Any]:
    given = item.get("external_id") if isinstance(item, Mapping) else None
    if isinstance(outcome, Outcome):
        return {
            "external_id": given,
            "result": outcome.result,
            "status_code": 200,
            "id": str(outcome.id),
            "contact_id": str(outcome.contact_id),
            "as_of": outcome.as_of.isoformat(),
        }
    external_id = given if isinstance(given, str) and is_external_id(given) else None
    named = {} if outcome.field is None else {"field": outcome.field}
    return {
        "external_id": external_id,
        "result": "refused",
        "status_code": outcome.status,
        "title": outcome.title,
        "detail": outcome.detail,
        **named,
    }
