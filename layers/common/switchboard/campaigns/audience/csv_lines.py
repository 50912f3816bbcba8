"""People in a CSV file: a header, then a line for each, with a phone or an id of a contact."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from switchboard.campaigns.audience.kinds import read_phone
from switchboard.kernel import csv_rows
from switchboard.kernel.csv_rows import LineError
from switchboard.kernel.errors import Unprocessable

#: Lines of a file; columns besides phone and contact_id; characters of a name and of a value.
MOST_LINES, MOST_COLUMNS, LONGEST_NAME, LONGEST_VALUE = 100_000, 50, 100, 1_000
#: Characters of a wrong value that a report repeats.
_SHOWN = 40
_PHONE = ("phone", "phone_number")
_CONTACT = "contact_id"
#: What people and spreadsheets write between the digits of a number, and before them.
_BETWEEN = re.compile(r"^'|[\s().\-/\u00a0\u2010\u2011]")


@dataclass(frozen=True, slots=True)
class Person:
    """A line that can be read: whom it names, one of the two, and what it gives for them."""

    line: int
    column: str
    phone: str | None
    contact_id: UUID | None
    given: Mapping[str, str]

    def wrong(self, reason: str) -> LineError:
        """Return the error that blames whom the line names."""
        return LineError(self.line, self.column, str(self.phone or self.contact_id), reason)


@dataclass(slots=True)
class Lines:
    """What a file holds: people, and the lines that are none."""

    people: list[Person] = field(default_factory=list)
    errors: list[LineError] = field(default_factory=list)


def read_csv(content: bytes) -> Lines:
    """Read a whole file.

    Raises Unprocessable for what is no such file: not UTF-8, a header that names nobody or a
    column twice, too many lines.
    """
    text = csv_rows.decode(content)
    rows = csv_rows.rows(text, text.lstrip("\r\n").partition("\n")[0])
    header = next(rows, None)
    if header is None or isinstance(header[1], LineError):
        raise Unprocessable("the file has no header line", field="line 1")
    names = _read_header(header[1])
    found = Lines()
    for count, (line, cells) in enumerate(rows, 1):
        if count > MOST_LINES:
            raise Unprocessable(f"the file has more than {MOST_LINES} lines: divide it")
        read = cells if isinstance(cells, LineError) else _read_line(line, names, cells)
        if isinstance(read, LineError):
            found.errors.append(read)
        else:
            found.people.append(read)
    return found


def read_value(text: str) -> str | None:
    """Return why a value cannot be kept, None if it can."""
    if "\0" in text:
        return "holds a letter that cannot be stored"
    if len(text) > LONGEST_VALUE:
        return f"is longer than {LONGEST_VALUE} characters"
    return None


def shorten(value: str) -> str:
    """Return a value as a report repeats it."""
    return value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"


def _read_header(cells: Sequence[str]) -> list[str]:
    names = list(cells)
    while names and not names[-1]:
        names.pop()  # separators at a line's end
    lowered = [name.lower() for name in names]
    for index, name in enumerate(lowered):
        if name in _PHONE or name == _CONTACT:
            names[index] = _CONTACT if name == _CONTACT else _PHONE[0]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Unprocessable(f"the header names {shorten(twice[0])!r} twice", field="line 1")
    if not {_PHONE[0], _CONTACT} & set(names):
        raise Unprocessable("the header names no column phone or contact_id", field="line 1")
    for name in names:
        if not 1 <= len(name) <= LONGEST_NAME or "\0" in name:
            raise Unprocessable(
                f"each column needs a name of 1 to {LONGEST_NAME} characters", field="line 1"
            )
    if len(set(names) - {_PHONE[0], _CONTACT}) > MOST_COLUMNS:
        raise Unprocessable(f"the header names more than {MOST_COLUMNS} values", field="line 1")
    return names


def _read_line(line: int, names: Sequence[str], cells: Sequence[str]) -> Person | LineError:
    if any(cells[len(names) :]):
        return LineError(line, None, None, f"has more values than the header's {len(names)} names")
    row = dict(zip(names, cells, strict=False))
    given = {}
    for name, value in row.items():
        if name in (_PHONE[0], _CONTACT) or not value:
            continue
        reason = read_value(value)
        if reason is not None:
            return LineError(line, name, shorten(value), reason)
        given[name] = value
    if row.get(_CONTACT):
        return read_person(line, _CONTACT, row[_CONTACT], given)
    if row.get(_PHONE[0]):
        return read_person(line, _PHONE[0], row[_PHONE[0]], given)
    return LineError(line, None, None, "names nobody: phone or contact_id is needed")


def read_person(line: int, column: str, value: str, given: Mapping[str, str]) -> Person | LineError:
    """Return whom a value of the column phone or contact_id names."""
    try:
        if column == _CONTACT:
            return Person(line, column, None, UUID(value), given)
        return Person(line, column, read_phone(_BETWEEN.sub("", value)), None, given)
    except ValueError as error:
        reason = "must be a contact's id" if column == _CONTACT else str(error)
        return LineError(line, column, shorten(value), reason)
