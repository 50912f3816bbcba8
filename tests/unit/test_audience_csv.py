"""People in a CSV file: what is read, and what each line is refused for."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from switchboard.campaigns.audience import csv_lines
from switchboard.campaigns.audience.csv_lines import read_csv
from switchboard.kernel.errors import Unprocessable

ID = "0d5f3c1e-6f0a-4c55-9d0b-1c8a52f0e0aa"


def people(text: str | bytes) -> list[tuple[Any, ...]]:
    content = text.encode() if isinstance(text, str) else text
    found = read_csv(content)
    assert found.errors == []
    return [(one.line, one.phone or str(one.contact_id), dict(one.given)) for one in found.people]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_of_any_spreadsheet_reads_alike(mark: bytes, separator: str, end: str) -> None:
    rows = [["phone", "name", "city"], ["+52 1 55 5000-1234", "Ñandú", "Köln"], ["4915550000002"]]
    text = end.join(separator.join(row) for row in rows) + end
    assert people(mark + text.encode()) == [
        (2, "525550001234", {"name": "Ñandú", "city": "Köln"}),
        (3, "4915550000002", {}),
    ]


def test_a_quoted_value_may_hold_the_separator_a_quote_and_a_line_break() -> None:
    text = 'phone,note\n525550001234,"one, ""two""\nthree"\n525550001235,x\n'
    assert people(text) == [
        (2, "525550001234", {"note": 'one, "two"\nthree'}),
        (4, "525550001235", {"note": "x"}),  # lines are those of the file
    ]


def test_the_columns_of_people_have_their_usual_names_and_one_of_two_is_enough() -> None:
    assert people(
        f"Phone_Number;Contact_ID;a\n525550001234;;1\n;{ID};2\n525550001235;{ID};3\n"
    ) == [
        (2, "525550001234", {"a": "1"}),
        (3, ID, {"a": "2"}),
        (4, ID, {"a": "3"}),  # the id says more than a number
    ]
    assert read_csv(f"contact_id\n{ID}".encode()).people[0].contact_id == UUID(ID)


def test_empty_lines_and_values_are_nothing() -> None:
    assert people("phone,a,,\n\n525550001234,,,\n  ,\n525550001235, x \n") == [
        (3, "525550001234", {}),
        (5, "525550001235", {"a": "x"}),
    ]


def test_each_wrong_line_says_where_and_why_and_costs_itself() -> None:
    long = "x" * 1_001
    text = (
        "phone,contact_id,code\n"
        "12,,a\n"
        ",not-an-id,a\n"
        ",,a\n"
        "525550001234,,a,b\n"
        f"525550001234,,{long}\n"
        '525550001234,,a"b\n'
        '525550001234,,"a"b\n'
        "525550001234,,a\0b\n"
        "5.2555E+11,,a\n"
        "525550001239,,good\n"
    )
    found = read_csv(text.encode())
    assert [(one.line, one.phone) for one in found.people] == [
        (7, "525550001234"),  # a quote inside a value that does not begin with one is a letter
        (11, "525550001239"),
    ]
    assert [(one.line, one.column, one.value) for one in found.errors] == [
        (2, "phone", "12"),
        (3, "contact_id", "not-an-id"),
        (4, None, None),
        (5, None, None),
        (6, "code", "x" * 39 + "…"),
        (8, None, None),
        (9, "code", "a\0b"),
        (10, "phone", "5.2555E+11"),
    ]
    assert [one.reason for one in found.errors[:6]] == [
        "must be 7 to 15 digits, with or without +",
        "must be a contact's id",
        "names nobody: phone or contact_id is needed",
        "has more values than the header's 3 names",
        "is longer than 1000 characters",
        "its quotes are wrong: a quote inside a value is written twice",
    ]


def test_a_quote_that_is_never_closed_is_an_error_and_no_person() -> None:
    found = read_csv(b'phone,a\n525550001234,x\n525550001235,"never\n525550001236,y\n')
    assert [one.phone for one in found.people] == ["525550001234"]
    assert [one.line for one in found.errors] == [3]


@pytest.mark.parametrize(
    ("content", "field", "reason"),
    [
        (b"", "line 1", "no header"),
        (b"\n\n", "line 1", "no header"),
        (b"name,city\na,b\n", "line 1", "no column phone"),
        (b"phone,phone_number\n1,2\n", "line 1", "'phone' twice"),
        (b"phone,a,a\n", "line 1", "'a' twice"),
        (b"phone,,a\n525550001234,x,y\n", "line 1", "name of 1 to 100"),
        (b"phone," + b"n" * 101 + b"\n", "line 1", "name of 1 to 100"),
        (b"phone," + b",".join(b"c%d" % n for n in range(51)), "line 1", "more than 50"),
        ("phone,a\n525550001234,ok\n525550001235,Köln\n".encode("latin-1"), "line 3", "not UTF-8"),
        ("phone\n".encode("utf-16"), "line 1", "not UTF-8"),
    ],
)
def test_what_is_no_such_file_is_refused_whole(content: bytes, field: str, reason: str) -> None:
    with pytest.raises(Unprocessable, match=reason) as refused:
        read_csv(content)
    assert refused.value.field == field


def test_a_file_has_as_many_lines_as_are_allowed_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(csv_lines, "MOST_LINES", 3)
    lines = [f"52555000123{n}" for n in range(4)]
    assert len(people("\n".join(["phone", *lines[:3]]))) == 3
    with pytest.raises(Unprocessable, match="more than 3 lines"):
        read_csv("\n".join(["phone", *lines]).encode())
