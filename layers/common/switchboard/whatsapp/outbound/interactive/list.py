"""A list of up to ten rows; a choice comes back as `interactive.list_reply`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from switchboard.whatsapp.outbound._base import Part
from switchboard.whatsapp.outbound._limits import at_most, rule
from switchboard.whatsapp.outbound.interactive._parts import (
    Footer,
    InteractiveMessage,
    Label,
    TextHeader,
    too_many,
    twice,
)

_ROWS = 10


class ListBody(Part):
    """Up to 4,096 characters (the page of list messages) or 1,024 (Meta's OpenAPI file)."""

    text: Annotated[str, Field(min_length=1), at_most(4_096, strictest=1_024)]


class Row(Part):
    """What comes back (up to 200 characters) and what is shown (up to 24 and 72)."""

    id: Annotated[str, Field(min_length=1), at_most(200)]
    title: Annotated[str, Field(min_length=1), at_most(24)]
    description: Annotated[str, at_most(72)] | None = None


class Section(Part):
    """Rows under a title of up to 24 characters, which only a single section may lack."""

    title: Annotated[str, at_most(24)] | None = None
    rows: Annotated[list[Row], Field(min_length=1)]


def _together(sections: list[Section]) -> list[Section]:
    rows = [row for section in sections for row in section.rows]
    if len(rows) > _ROWS:
        raise too_many(len(rows), _ROWS, "rows")
    if twice(row.id for row in rows):
        raise rule("have one row id twice")
    if len(sections) > 1 and not all(section.title for section in sections):
        raise rule("need a title each where there are several")
    return sections


class ListAction(Part):
    """The button that opens the list, and up to ten sections with ten rows in all."""

    button: Label
    sections: Annotated[
        list[Section], Field(min_length=1, max_length=10), AfterValidator(_together)
    ]


class List(Part):
    """Cloud API, Interactive list messages; the header is text."""

    type: Literal["list"] = "list"
    header: TextHeader | None = None
    body: ListBody
    footer: Footer | None = None
    action: ListAction


class ListMessage(InteractiveMessage):
    """A question with a list of answers."""

    interactive: List


MODEL = ListMessage
