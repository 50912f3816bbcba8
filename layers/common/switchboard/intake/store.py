"""Writes one delivery: a round trip per tenant (and kind of event), and nothing of it is lost.

Passing trouble (deadlock, serialization, lock and statement timeouts) is tried again. A data error
halves the failing set until the culprits stand alone; each becomes a dead letter, its neighbours
are stored. Everything else is the caller's: the raw body goes to the backlog.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar
from uuid import UUID

import psycopg
from psycopg import errors as pg

from switchboard.intake import routing
from switchboard.intake.document import build
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import NotJson, Unavailable
from switchboard.kernel.log import log
from switchboard.store import events, identity
from switchboard.store.events import DeadLetter, Number, Taken
from switchboard.tools import Tools
from switchboard.whatsapp.storable import dump
from switchboard.whatsapp.webhook import (
    Event,
    Item,
    Malformed,
    Message,
    Status,
    Unhandled,
    parse,
    rebuild,
)

#: Passing trouble: 40001, 40P01, 55P03, 57014.
_PASSING = (
    pg.SerializationFailure,
    pg.DeadlockDetected,
    pg.LockNotAvailable,
    pg.QueryCanceled,
)
_TRIES = 4
#: Seconds after which passing trouble is not tried again: the function must answer before its end.
_TRY_FOR_S = 3.5
#: Items of one statement, which has 3 s: Meta sends up to 1,000 updates in a body, but any number
#: of messages of a history.
_AT_ONCE = 1_000
#: Events of one statement: a call or a new person takes some milliseconds each.
_EVENTS_AT_ONCE = 200
#: The link is gone, the server refuses, is full, or has become a replica.
_AWAY = (psycopg.OperationalError, pg.ReadOnlySqlTransaction)
#: How often contacts are merged for one statement.
_MERGES = 8
#: SQLSTATE classes 22, 23 and 54 (a value beyond the server's limits): the data is at fault.
_DATA = (
    pg.DataError,
    pg.IntegrityError,
    pg.ProgramLimitExceeded,
    pg.StatementTooComplex,
    pg.TooManyColumns,
    pg.TooManyArguments,
)

#: Fields whose entry names a business portfolio: nobody can register that.
_OF_PORTFOLIOS = frozenset({"partner_solutions"})

#: An item and the account (number) it came to; None: it is its WABA's.
Placed = tuple[Message | Status | Event, UUID | None]
T = TypeVar("T")


@dataclass(slots=True)
class Stored:
    """What became of a body: whether to nudge a worker, and what of it is only kept, by tenant."""

    nudge: bool = False
    letters: list[tuple[UUID, DeadLetter]] = field(default_factory=list)


def store(tools: Tools, body: bytes, app_id: str | None) -> Stored:
    """Commit every event of `body`.

    What cannot be read or stored is committed as a dead letter. Raises Unavailable when the
    database is away or lost; then parts may be committed, and storing again is harmless.
    """
    with _database_away(tools):
        return _store(tools, body, app_id)


@contextmanager
def _database_away(tools: Tools) -> Iterator[None]:
    """Raise what says that the database is away as Unavailable: what was committed is not known."""
    try:
        yield
    except _PASSING:
        raise
    except _AWAY as error:
        tools.db.drop()
        raise Unavailable("the database was lost") from error


def _store(tools: Tools, body: bytes, app_id: str | None) -> Stored:
    try:
        items = parse(body)
    except NotJson as error:
        return keep_body(tools, body, app_id, "not_json", str(error))
    stored = Stored()
    counts = [0, 0, 0]
    until = tools.clock.monotonic() + _TRY_FOR_S
    for tenant_id, placed in routing.owners(tools, items, app_id).items():
        known: list[Placed] = []
        letters: list[DeadLetter] = []
        for item, owner in placed:
            bound = owner is not None and owner.app_id == app_id
            if bound and isinstance(owner, Number) and isinstance(item, Message | Status | Event):
                known.append((item, owner.account_id))
            elif bound and isinstance(item, Event) and item.phone_number_id is None:
                known.append((item, None))
            else:
                letters.append(
                    _letter(item, "unknown_number" if bound or not owner else "another_app")
                )
        for part in _parts(known):
            for taken in _take(tools, tenant_id, part, letters, until):
                stored.nudge = stored.nudge or taken.nudge
                counts[0] += taken.messages
                counts[1] += taken.events
        failed = [
            (item, account)
            for item, account in known
            if isinstance(item, Status) and item.status == "failed" and account is not None
        ]
        if failed:
            _follow(tools, tenant_id, failed, until)
        if letters:
            _keep(tools, tenant_id, letters, app_id, until)
            stored.letters += [(tenant_id, letter) for letter in letters]
            counts[2] += len(letters)
    log.info("webhook.stored", items=len(items), new=counts[0], events=counts[1], dead=counts[2])
    return stored


def _parts(known: Sequence[Placed]) -> Iterator[Sequence[Placed]]:
    """Yield what one transaction takes: messages and statuses, or the events of one kind.

    Each of these locks contacts, then threads, then messages. Two of them in one transaction would
    go back to contacts with threads in hand, and meet whoever holds the ones and wants the others.
    """
    kinds: dict[str, list[Placed]] = {}
    for one in known:
        item = one[0]
        kinds.setdefault(item.kind if isinstance(item, Event) else "", []).append(one)
    for kind, part in sorted(kinds.items()):
        size = _EVENTS_AT_ONCE if kind else _AT_ONCE
        for first in range(0, len(part), size):
            yield part[first : first + size]


def keep_body(
    tools: Tools, body: bytes, app_id: str | None, reason: str, detail: str | None
) -> Stored:
    """Keep a whole body as one dead letter of the app's tenant (the operator's: the system's)."""
    letters = [DeadLetter(body, reason, detail)]
    until = tools.clock.monotonic() + _TRY_FOR_S
    with _database_away(tools):
        tenant_id = routing.app_tenant(tools, app_id)
        _keep(tools, tenant_id, letters, app_id, until)
    return Stored(letters=[(tenant_id, letter) for letter in letters])


def _take(
    tools: Tools,
    tenant_id: UUID,
    placed: Sequence[Placed],
    letters: list[DeadLetter],
    until: float,
) -> list[Taken]:
    """Store `placed`, halving on data errors; the culprits are added to `letters`.

    Halved as well where contacts cannot be merged, since items of `placed` itself bring them: what
    stands in the first half is here when the second is written.
    """
    document = build(placed, tools.clock.new_id)
    try:
        return [_write(tools, tenant_id, document, until)]
    except _DATA as error:
        if len(placed) == 1:
            item = placed[0][0]
            letters.append(
                DeadLetter(
                    dump(rebuild(item)),
                    "refused_by_database",
                    f"{error.sqlstate or type(error).__name__}: {error.diag.message_primary}",
                    _field_of(item),
                    item.waba_id,
                    item.phone_number_id,
                )
            )
            return []
    except psycopg.DatabaseError as error:
        if len(placed) == 1 or not identity.strangers_of(error):
            raise
    middle = len(placed) // 2
    return _take(tools, tenant_id, placed[:middle], letters, until) + _take(
        tools, tenant_id, placed[middle:], letters, until
    )


def _write(tools: Tools, tenant_id: UUID, document: str, until: float) -> Taken:
    """Write `document`, merging contacts that it shows to be one person and writing again.

    A merge is a transaction of its own: one that is not followed by the write is harmless, the
    delivery comes again.
    """

    def take(connection: Connection) -> Taken:
        return events.take(connection, tenant_id, document, tools.clock.now)

    for _ in range(_MERGES):
        try:
            return _tried(tools, until, take)
        except psycopg.DatabaseError as error:
            groups = identity.strangers_of(error)
            if not groups:
                raise
            if not all(_merge(tools, tenant_id, strangers, until) for strangers in groups):
                raise
    return _tried(tools, until, take)


def _merge(tools: Tools, tenant_id: UUID, strangers: identity.Strangers, until: float) -> bool:
    """Return whether the contacts are one now."""

    def merge(connection: Connection) -> UUID | None:
        return identity.merge(connection, tenant_id, strangers, now=tools.clock.now)

    winner = _tried(tools, until, merge)
    if winner is None:
        return False
    log.info(
        "contacts.merged",
        tenant_id=tenant_id,
        contact_id=winner,
        contacts=len(strangers.contact_ids),
        reason=strangers.reason,
    )
    return True


def _follow(
    tools: Tools, tenant_id: UUID, failed: Sequence[tuple[Status, UUID]], until: float
) -> None:
    """Apply what the errors of `failed`, stored already, lead to."""
    # Few deliveries have a failure: the others need not pay for the import.
    from switchboard.intake.consequences import items_of
    from switchboard.store import consequences

    items = items_of(failed)
    for first in range(0, len(items), _EVENTS_AT_ONCE):
        part = items[first : first + _EVENTS_AT_ONCE]
        try:
            alerts = _tried(
                tools,
                until,
                partial(consequences.apply, tenant_id=tenant_id, items=part, now=tools.clock.now),
            )
        except _DATA as error:
            # The statuses are stored: Meta need not send them again.
            log.error("webhook.consequences_lost", tenant_id=tenant_id, sqlstate=error.sqlstate)
            continue
        for alert in alerts:
            log.error(
                "meta.alert",
                tenant_id=tenant_id,
                phone_number_id=alert.phone_number_id,
                code=alert.code,
                meaning=alert.meaning,
            )


def _tried(tools: Tools, until: float, write: Callable[[Connection], T]) -> T:
    """Return what `write` returns, trying again through passing trouble."""
    for attempt in range(1, _TRIES):
        try:
            return write(tools.db.connection())
        except _PASSING:
            if tools.clock.monotonic() > until:
                raise
            # Full jitter: whoever collided does not meet again.
            time.sleep(random.uniform(0, 0.02 * 2**attempt))
    return write(tools.db.connection())


def _letter(item: Item, why_not_taken: str) -> DeadLetter:
    where = (item.waba_id, item.phone_number_id)
    match item:
        case Malformed(reason=reason, body=body):
            return DeadLetter(body, "malformed", reason, None, *where)
        case Unhandled(field=name):
            return DeadLetter(dump(rebuild(item)), "unhandled_field", name, name, *where)
        case Message() | Status() | Event():
            name = _field_of(item)
            if why_not_taken == "unknown_number" and name in _OF_PORTFOLIOS:
                why_not_taken = "unknown_portfolio"
            return DeadLetter(dump(rebuild(item)), why_not_taken, None, name, *where)


def _field_of(item: Message | Status | Event) -> str:
    return str(item.change["field"]) if isinstance(item, Event) else "messages"


def _keep(
    tools: Tools, tenant_id: UUID, letters: list[DeadLetter], app_id: str | None, until: float
) -> None:
    # The details may quote what a person wrote; they stay in the row.
    reasons = Counter(letter.reason for letter in letters)
    log.warning(
        "webhook.dead_letters", tenant_id=tenant_id, count=len(letters), reasons=dict(reasons)
    )
    _tried(
        tools,
        until,
        lambda connection: events.keep_dead_letters(
            connection, tenant_id, letters, app_id=app_id, now=tools.clock.now
        ),
    )
