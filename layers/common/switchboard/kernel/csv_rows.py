"""A CSV file that somebody uploads, row by row; a row that is none costs itself.

UTF-8 with or without a byte order mark, separated by `,` or `;` as its first line is (what
spreadsheets write where the comma is a decimal point), quoted as RFC 4180 says.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from switchboard.kernel.errors import Unprocessable


@dataclass(frozen=True, slots=True)
class LineError:
    """Why a line was left out; `column` and `value` where one of them is to blame."""

    line: int
    column: str | None
    value: str | None
    reason: str


def decode(content: bytes) -> str:
    """Return a file's text; raises Unprocessable for what is not UTF-8, naming the line."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        where = f"line {number}"
        raise Unprocessable(
            f"the file is not UTF-8: {where} holds another encoding's letter", field=where
        ) from None


def rows(text: str, first: str) -> Iterator[tuple[int, list[str] | LineError]]:
    """Yield each row that is not empty with the number of its first line; `first` is the header."""
    separator = ";" if first.count(";") > first.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            reason = "its quotes are wrong: a quote inside a value is written twice"
            yield line, LineError(line, None, None, reason)
            continue
        if any(cell.strip() for cell in cells):
            yield line, [cell.strip() for cell in cells]
