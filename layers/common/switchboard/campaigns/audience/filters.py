"""The language of segments: conditions on a contact, joined by all, any and not.

    {"all": [{"field": "contact.country_code", "op": "is", "value": "MX"},
             {"not": {"field": "contact.tags", "op": "contains", "value": "vip"}}]}

A filter is a JSON value of a caller's, and may be a program's mistake or a stranger's: each wrong
member is refused by its path, and depth and size are bounded before anything is read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from switchboard.campaigns.audience import countries
from switchboard.campaigns.audience.fields import ATTRIBUTES, OPERATORS, Kind, find_field
from switchboard.kernel import phones
from switchboard.kernel.arguments import Arguments

#: Levels of all, any and not, with the condition itself; conditions; values of one `in`.
DEEPEST, MOST_CONDITIONS, MOST_VALUES = 8, 100, 500
#: Characters of a text; days of `within`; how far numbers reach, each way.
LONGEST_TEXT, MOST_DAYS, GREATEST = 500, 3_660, 10**15
#: Years of a time.
_YEARS = range(1970, 9999)
Operator = Literal[
    "is",
    "is_not",
    "in",
    "contains",
    "starts_with",
    "before",
    "after",
    "within",
    "exists",
    "greater",
    "less",
]
STATUSES = ("pending", "opted_in", "opted_out")
Scalar: TypeAlias = str | bool | int | float


class Condition(Arguments):
    """One comparison. `value` is checked against field and operator.

    It is stored and compared as it is written here: a phone number in the form under which
    contacts are kept, a country in capitals.
    """

    field: str = Field(max_length=len(ATTRIBUTES) + 100)
    op: Operator
    value: Any = Field(None, validate_default=True)

    @field_validator("field")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if find_field(name) is None:
            raise ValueError("is no field of a contact that a filter can ask for")
        return _storable(name)

    @field_validator("op")
    @classmethod
    def _fits_the_field(cls, op: str, info: ValidationInfo) -> str:
        field = find_field(info.data.get("field", ""))
        if field is not None and op not in OPERATORS[field.kind]:
            known = ", ".join(OPERATORS[field.kind])
            raise ValueError(f"is none of this field's operators: {known}")
        return op

    @field_validator("value")
    @classmethod
    def _fits_both(cls, value: Any, info: ValidationInfo) -> Any:
        field, op = find_field(info.data.get("field", "")), info.data.get("op")
        if field is None or op is None:
            return value  # refused already
        return _read_value(field.kind, op, value)


class AllOf(Arguments):
    """Each of them holds."""

    all: list[Filter] = Field(min_length=1, max_length=MOST_CONDITIONS)


class AnyOf(Arguments):
    """At least one of them holds."""

    any: list[Filter] = Field(min_length=1, max_length=MOST_CONDITIONS)


class Not(Arguments):
    """It does not hold."""

    not_: Filter = Field(alias="not")


_MODELS: dict[str, type[Arguments]] = {"all": AllOf, "any": AnyOf, "not": Not}


def _read(value: Any) -> Any:
    if isinstance(value, (AllOf, AnyOf, Not, Condition)):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("must be an object with all, any or not, or a condition")
    model = next((found for name, found in _MODELS.items() if name in value), Condition)
    return model.model_validate(dict(value))


def _read_root(value: Any) -> Any:
    _measure(value)
    return _read(value)


def _measure(root: Any) -> None:
    """Refuse what is too deep or too much, without recursion: `root` is of any depth."""
    conditions, rest = 0, [(root, 1)]
    while rest:
        value, depth = rest.pop()
        if not isinstance(value, Mapping):
            continue
        if depth > DEEPEST:
            raise ValueError(f"is nested deeper than {DEEPEST} levels")
        inner: list[Any] = []
        for name in ("all", "any"):
            given = value.get(name)
            inner += given if isinstance(given, list) else []
        if "not" in value:
            inner.append(value["not"])
        conditions += not inner
        if conditions > MOST_CONDITIONS or len(inner) > MOST_CONDITIONS:
            raise ValueError(f"has more than {MOST_CONDITIONS} conditions")
        rest += [(one, depth + 1) for one in inner]


def _write(wanted: Arguments) -> dict[str, Any]:
    return wanted.model_dump(mode="json", by_alias=True)


_SCHEMA = WithJsonSchema({"type": "object", "description": "see docs/audiences.md"})
_WRITTEN = PlainSerializer(_write)
#: A filter inside another one.
Filter: TypeAlias = Annotated[
    AllOf | AnyOf | Not | Condition, PlainValidator(_read), _WRITTEN, _SCHEMA
]
#: A whole filter: measured, then read.
Segment: TypeAlias = Annotated[
    AllOf | AnyOf | Not | Condition, PlainValidator(_read_root), _WRITTEN, _SCHEMA
]
for _model in (AllOf, AnyOf, Not):
    _model.model_rebuild()


# --- values ---


def _read_value(kind: Kind, op: str, value: Any) -> Any:
    """Return the value as it is compared; raises ValueError that says what it must be."""
    if op == "exists":
        if value is None or isinstance(value, bool):
            return value is not False
        raise ValueError("must be true or false")
    if op == "in":
        if not isinstance(value, list) or not 1 <= len(value) <= MOST_VALUES:
            raise ValueError(f"must be a list of 1 to {MOST_VALUES} values")
        return [_read_one(kind, one) for one in value]
    if op == "within":
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_DAYS:
            raise ValueError(f"must be a number of days, 1 to {MOST_DAYS}")
        return value
    if op in ("before", "after"):
        return _read_time(value)
    if op in ("greater", "less"):
        return _read_number(value)
    if op == "starts_with":
        text = _read_text(value)
        return "+" + _read_digits(text) if kind is Kind.PHONE else text
    return _read_one(kind, value)


def _read_one(kind: Kind, value: Any) -> Scalar:
    if kind is Kind.ATTRIBUTE:
        if isinstance(value, bool):
            return value
        return _read_number(value) if isinstance(value, (int, float)) else _read_text(value)
    text = _read_text(value)
    if kind is Kind.PHONE:
        digits = phones.digits(text)
        if digits is None:
            raise ValueError("must be 7 to 15 digits, with or without +")
        return "+" + phones.national_variant(digits)
    if kind is Kind.COUNTRY and not countries.is_country(text := text.upper()):
        raise ValueError("must be a country in two letters, as MX")
    if kind is Kind.LANGUAGE:
        text = text.lower()
        if not (2 <= len(text) <= 3 and text.isascii() and text.isalpha()):
            raise ValueError("must be a language in two or three letters, as es")
    if kind is Kind.STATUS and text not in STATUSES:
        raise ValueError(f"must be one of {', '.join(STATUSES)}")
    return text


def _read_text(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_TEXT:
        raise ValueError(f"must be a text of 1 to {LONGEST_TEXT} characters")
    return _storable(value)


def _storable(text: str) -> str:
    """Refuse what Postgres holds in no text: NUL and halves of a surrogate pair."""
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("holds a letter that cannot be stored")
    return text


def _read_digits(text: str) -> str:
    digits = text.removeprefix("+")
    if not (1 <= len(digits) <= 15 and digits.isascii() and digits.isdigit()):
        raise ValueError("must be 1 to 15 digits, with or without +")
    return digits


def _read_number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("must be a number")
    if not math.isfinite(value) or abs(value) > GREATEST:
        raise ValueError(f"must be a number between -{GREATEST} and {GREATEST}")
    return value


def _read_time(value: Any) -> datetime:
    time = value
    if isinstance(value, str):
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            time = None
        if time is not None and time.tzinfo is None and len(value) == len("2027-01-31"):
            time = time.replace(tzinfo=UTC)  # a date: its midnight
    if not isinstance(time, datetime) or time.tzinfo is None or time.year not in _YEARS:
        raise ValueError("must be a date, as 2027-01-31, or a time with its zone")
    return time.astimezone(UTC)
