"""People put on a list: from JSON or a CSV file, in slices, with a report of what was left out.

Each slice is a transaction of its own. An import that was cut off, or run again, adds nobody twice:
who is on the list already only gets the values of the file, where they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from switchboard.campaigns.audience.csv_lines import (
    LONGEST_NAME,
    MOST_COLUMNS,
    Lines,
    Person,
    read_csv,
    read_person,
    read_value,
    shorten,
)
from switchboard.campaigns.audience.lists import NewMembers, require_list
from switchboard.kernel.csv_rows import LineError
from switchboard.kernel.db import Connection
from switchboard.store import contact_lists as store
from switchboard.store import contacts, identity
from switchboard.tools import Tools
from switchboard.transact import transact

#: People of one transaction; it must be over long before API Gateway gives up.
SLICE, SLICE_MS = 2_000, 10_000
#: Seconds of a request in which slices begin.
REQUEST_S = 20.0
#: Errors that a report repeats; all are counted.
MOST_ERRORS = 1_000


@dataclass(slots=True)
class Imported:
    """What became of the lines; of JSON, the places in its list from 1.

    `added` are new on the list, `updated` were on it with other values, `unchanged` with the same;
    `duplicates` name somebody whom an earlier line names, `wrong` are in `errors` (the first 1,000
    of them). `contacts_made`: nobody had their phone. `stopped_before_line`: the time was over;
    send the file again to go on.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: int = 0
    contacts_made: int = 0
    wrong: int = 0
    stopped_before_line: int | None = None
    errors: list[LineError] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Slice:
    """What one transaction did."""

    people: Mapping[UUID, Person]
    duplicates: int
    added: int
    updated: int
    made: int
    errors: Sequence[LineError]


def import_csv(
    tools: Tools, tenant_id: UUID, list_id: UUID, content: bytes, *, within_s: float | None = None
) -> Imported:
    """Put the people of a CSV file on a list; phones that are nobody's yet become contacts.

    Raises NotFound for the list, Unprocessable for a file that cannot be read at all. `within_s`:
    no slice begins later.
    """
    return _put(tools, tenant_id, list_id, read_csv(content), within_s)


def add_members(tools: Tools, tenant_id: UUID, list_id: UUID, new: NewMembers) -> Imported:
    """Put people on a list, each read by itself. Raises NotFound."""
    lines = Lines()
    for place, given in enumerate(new.members, 1):
        read = _read_member(place, given)
        if isinstance(read, LineError):
            lines.errors.append(read)
        else:
            lines.people.append(read)
    return _put(tools, tenant_id, list_id, lines, None)


def _read_member(place: int, given: Mapping[str, Any]) -> Person | LineError:
    strange = sorted(set(given) - {"phone", "contact_id", "values"})
    if strange:
        return LineError(place, shorten(strange[0]), None, "is not known here")
    values = given.get("values", {})
    if not isinstance(values, dict) or len(values) > MOST_COLUMNS:
        reason = f"must be an object of {MOST_COLUMNS} members at most"
        return LineError(place, "values", None, reason)
    for name, value in values.items():
        if not isinstance(value, str) or not 1 <= len(name) <= LONGEST_NAME:
            return LineError(place, shorten(name), None, "must be a text with a short name")
        unfit = read_value(value)
        if unfit is not None:
            return LineError(place, shorten(name), shorten(value), unfit)
    if ("phone" in given) == ("contact_id" in given):
        return LineError(place, None, None, "names nobody: phone or contact_id is needed")
    column = "phone" if "phone" in given else "contact_id"
    if not isinstance(given[column], str):
        return LineError(place, column, None, "must be a text")
    return read_person(place, column, given[column], values)


def _put(
    tools: Tools, tenant_id: UUID, list_id: UUID, lines: Lines, within_s: float | None
) -> Imported:
    report, errors, seen = Imported(), list(lines.errors), set[UUID]()
    began = tools.clock.monotonic()
    # Of an empty file too the list must be known.
    for people in _slices(lines.people) if lines.people else iter([[]]):
        if within_s is not None and tools.clock.monotonic() - began > within_s:
            report.stopped_before_line = people[0].line
            break
        done = transact(
            tools,
            tenant_id,
            _put_slice(tools, tenant_id, list_id, people, frozenset(seen)),
            statement_timeout_ms=SLICE_MS,
        )
        seen.update(done.people)
        errors += done.errors
        report.added += done.added
        report.updated += done.updated
        report.unchanged += len(done.people) - done.added - done.updated
        report.duplicates += done.duplicates
        report.contacts_made += done.made
    report.wrong = len(errors)
    report.errors = sorted(errors, key=lambda error: error.line)[:MOST_ERRORS]
    return report


def _slices(people: Sequence[Person]) -> Iterator[Sequence[Person]]:
    for start in range(0, len(people), SLICE):
        yield people[start : start + SLICE]


def _put_slice(
    tools: Tools, tenant_id: UUID, list_id: UUID, people: Sequence[Person], seen: frozenset[UUID]
) -> Callable[[Connection], _Slice]:
    def write(connection: Connection) -> _Slice:
        contacts.hold(connection, tenant_id)
        phones = sorted({one.phone for one in people if one.phone is not None})
        known = identity.find_phones(connection, tenant_id, phones)
        missing = [phone for phone in phones if phone not in known]
        made = identity.claim_phones(connection, tenant_id, missing, now=tools.clock.now)
        known.update(made)
        ids = [one.contact_id for one in people if one.contact_id is not None]
        roots = identity.find_roots(connection, tenant_id, ids) if ids else {}
        found: dict[UUID, Person] = {}
        errors, duplicates = [], 0
        for one in people:
            if one.phone is not None:
                contact: UUID | None = known[one.phone]
            else:
                assert one.contact_id is not None
                contact = roots.get(one.contact_id)
            if contact is None:
                errors.append(one.wrong("this contact is not known"))
            elif contact in seen or contact in found:
                duplicates += 1
            else:
                found[contact] = one
        # After the people, in the order of locks.
        require_list(connection, tenant_id, list_id)
        given = {contact: one.given for contact, one in sorted(found.items())}
        added, updated = (0, 0)
        if given:
            added, updated = store.put_members(
                connection, tenant_id, list_id, given, now=tools.clock.now
            )
        return _Slice(found, duplicates, added, updated, len(missing), errors)

    return write
