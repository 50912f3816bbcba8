"""A filter as one SQL condition. What the caller wrote becomes parameters, never text of SQL.

Every condition is true or false, never null: a value that is missing, or of another type than is
asked for, fulfils nothing, and `is_not` and `not` are the exact contrary of `is` and of what they
hold. So whoever has no country is not in Mexico, and is among those for whom "is MX" does not hold.

The query around it knows the contact as `c`, its conversations' times as `heard`, and the
parameter `now`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, LiteralString, TypeAlias

from psycopg import sql
from psycopg.types.json import Jsonb

from switchboard.campaigns.audience import countries
from switchboard.campaigns.audience.fields import Field, Kind, find_field
from switchboard.campaigns.audience.filters import AllOf, AnyOf, Condition, Filter, Not

#: Begins the names of a filter's parameters: no statement around it uses them.
PREFIX = "filter_"
#: Text of an attribute that is a time: a date, or a time in UTC as JSON writes it, to the second.
#: (A 31st that a month does not have comes after its last day: nothing is cast, nothing fails.)
DATE = "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
TIME = DATE + r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?(?:Z|\+00:00)"
_SECONDS = "%Y-%m-%dT%H:%M:%S"
# Once for the query, so that every row meets the same moment.
_NOW = "(select coalesce(%(now)s::timestamptz, clock_timestamp()))"

Give: TypeAlias = Callable[[Any], sql.Placeholder]


class Parameters:
    """Values by the names that stand for them in the condition."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def give(self, value: Any) -> sql.Placeholder:
        """Take a value and return what stands for it."""
        name = f"{PREFIX}{len(self.values)}"
        self.values[name] = value
        return sql.Placeholder(name)


def compile_filter(wanted: Filter) -> tuple[sql.Composable, dict[str, Any]]:
    """Return the condition that holds for whom the filter finds, and its parameters."""
    parameters = Parameters()
    return _compile(wanted, parameters.give), parameters.values


def _compile(wanted: Filter, give: Give) -> sql.Composable:
    match wanted:
        case AllOf():
            return _joined(" and ", [_compile(one, give) for one in wanted.all])
        case AnyOf():
            return _joined(" or ", [_compile(one, give) for one in wanted.any])
        case Not():
            return sql.Composed([sql.SQL("not "), _compile(wanted.not_, give)])
        case Condition():
            return _compile_condition(wanted, give)


def _joined(word: LiteralString, parts: list[sql.Composable]) -> sql.Composable:
    return sql.Composed([sql.SQL("("), sql.SQL(word).join(parts), sql.SQL(")")])


def _compile_condition(wanted: Condition, give: Give) -> sql.Composable:
    field = find_field(wanted.field)
    assert field is not None
    if wanted.op == "is_not":
        return sql.Composed([sql.SQL("not "), _truly(field, "is", wanted.value, give)])
    there = _truly(field, wanted.op, wanted.value, give)
    if wanted.op == "exists" and wanted.value is False:
        return sql.Composed([sql.SQL("not "), there])
    return there


def _truly(field: Field, op: str, value: Any, give: Give) -> sql.Composable:
    return sql.SQL("(({}) is true)").format(_COMPARERS[field.kind](field, op, value, give))


def _compare_text(field: Field, op: str, value: Any, give: Give) -> sql.Composable:
    column = _column(field)
    match op:
        case "is":
            return sql.SQL("{} = {}::text").format(column, give(value))
        case "in":
            return sql.SQL("{} = any ({}::text[])").format(column, give(value))
        case "contains":
            return sql.SQL("strpos({}, {}::text) > 0").format(column, give(value))
        case "starts_with":
            return sql.SQL("starts_with({}, {}::text)").format(column, give(value))
    return sql.SQL("{} is not null").format(column)


def _compare_country(field: Field, op: str, value: Any, give: Give) -> sql.Composable:
    """What is said of the contact; where nothing is, the country of the phone number."""
    column = _column(field)
    if op == "exists":
        return sql.SQL("{} is not null or c.phone_number ~ {}::text").format(
            column, give(countries.numbers_of_any())
        )
    wanted = value if op == "in" else [value]
    return sql.SQL(
        "case when {0} is null then c.phone_number ~ {1}::text else {0} = any ({2}::text[]) end"
    ).format(column, give(countries.numbers_of(wanted)), give(wanted))


def _compare_time(field: Field, op: str, value: Any, give: Give) -> sql.Composable:
    column = _column(field)
    match op:
        case "before":
            return sql.SQL("{} < {}::timestamptz").format(column, give(value))
        case "after":
            return sql.SQL("{} >= {}::timestamptz").format(column, give(value))
        case "within":
            return sql.SQL("{0} > {1} - {2} * interval '24 hours' and {0} <= {1}").format(
                column, sql.SQL(_NOW), give(value)
            )
    return sql.SQL("{} is not null").format(column)


def _compare_tags(field: Field, op: str, value: Any, give: Give) -> sql.Composable:
    column = _column(field)
    match op:
        case "contains":
            return sql.SQL("{}::text = any ({})").format(give(value), column)
        case "in":
            return sql.SQL("{} && {}::text[]").format(column, give(value))
    return sql.SQL("cardinality({}) > 0").format(column)


def _compare_attribute(field: Field, op: str, value: Any, give: Give) -> sql.Composable:
    """JSON values are compared as such: a number equals no text, and nothing is cast.

    A cast would fail on one contact's odd value and with it for all others.
    """
    given = give(field.key)
    found = sql.SQL("(c.attributes -> {}::text)").format(given)
    text = sql.SQL("(c.attributes ->> {}::text)").format(given)
    match op:
        case "is":
            return sql.SQL("{} = {}::jsonb").format(found, give(Jsonb(value)))
        case "in":
            return sql.SQL("{} = any ({}::jsonb[])").format(
                found, give([Jsonb(one) for one in value])
            )
        case "contains":
            return _contains(found, text, value, give)
        case "starts_with":
            return sql.SQL("jsonb_typeof({}) = 'string' and starts_with({}, {}::text)").format(
                found, text, give(value)
            )
        case "greater" | "less":
            return sql.SQL("jsonb_typeof({0}) = 'number' and {0} {1} {2}::jsonb").format(
                found, sql.SQL(">" if op == "greater" else "<"), give(Jsonb(value))
            )
        case "before" | "after" | "within":
            return _compare_moment(text, op, value, give)
    return sql.SQL("{} is not null").format(text)


def _contains(
    found: sql.Composable, text: sql.Composable, value: Any, give: Give
) -> sql.Composable:
    """A list has the value, or a text has it as a part."""
    in_list = sql.SQL("{} @> jsonb_build_array({}::jsonb)").format(found, give(Jsonb(value)))
    if not isinstance(value, str):
        return in_list
    in_text = sql.SQL("jsonb_typeof({}) = 'string' and strpos({}, {}::text) > 0").format(
        found, text, give(value)
    )
    return sql.SQL("{} or {}").format(in_list, in_text)


def _compare_moment(text: sql.Composable, op: str, value: Any, give: Give) -> sql.Composable:
    """Times of JSON, in UTC and of one shape, sort as texts do."""
    moment = sql.SQL(
        "case when {0} ~ {1} then {0} || 'T00:00:00' when {0} ~ {2} then left({0}, 19) end"
    ).format(text, sql.Literal(f"^{DATE}$"), sql.Literal(f"^{TIME}$"))
    if op == "within":
        written = sql.SQL(
            "to_char(({} - {} * interval '24 hours') at time zone 'UTC',"
            """ 'YYYY-MM-DD"T"HH24:MI:SS')"""
        )
        return sql.SQL('({0}) collate "C" > {1} and ({0}) collate "C" <= {2}').format(
            moment,
            written.format(sql.SQL(_NOW), give(value)),
            written.format(sql.SQL(_NOW), give(0)),
        )
    assert isinstance(value, datetime)
    return sql.SQL('({}) collate "C" {} {}::text').format(
        moment, sql.SQL("<" if op == "before" else ">="), give(value.strftime(_SECONDS))
    )


def _column(field: Field) -> sql.SQL:
    # The table's own text, of this package: not a caller's.
    return sql.SQL(field.column)


_COMPARERS: dict[Kind, Callable[[Field, str, Any, Give], sql.Composable]] = {
    Kind.TEXT: _compare_text,
    Kind.PHONE: _compare_text,
    Kind.LANGUAGE: _compare_text,
    Kind.STATUS: _compare_text,
    Kind.COUNTRY: _compare_country,
    Kind.TIME: _compare_time,
    Kind.TAGS: _compare_tags,
    Kind.ATTRIBUTE: _compare_attribute,
}
