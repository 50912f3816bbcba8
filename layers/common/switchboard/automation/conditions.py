"""Conditions of a rule: a small, safe set, read when the rule is written and asked when it runs.

`{}` holds always. Else `{"field": "trip.status", "op": "eq", "value": "active"}`, or
`{"all": […]}`, `{"any": […]}` of such, at most four levels and 50 comparisons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from switchboard.automation.facts import Facts, check_path
from switchboard.kernel.errors import Unprocessable

DEEPEST = 4
MOST = 50
Scalar = str | int | float | bool | None


def check(conditions: Any) -> None:
    """Raise Unprocessable that names the member which is no condition."""
    if conditions == {}:
        return
    if _check(conditions, "conditions", 1) > MOST:
        raise Unprocessable(f"there are more than {MOST} comparisons", field="conditions")


def holds(conditions: Mapping[str, Any], facts: Facts) -> bool:
    """Return whether checked `conditions` are met; values of two kinds never compare."""
    if not conditions:
        return True
    if "all" in conditions:
        return all(holds(one, facts) for one in conditions["all"])
    if "any" in conditions:
        return any(holds(one, facts) for one in conditions["any"])
    return _OPS[conditions["op"]](facts.value(conditions["field"]), conditions.get("value"))


def _check(given: Any, where: str, depth: int) -> int:
    """Return how many comparisons there are."""
    if not isinstance(given, Mapping):
        raise Unprocessable(f"{where} is no object", field=where)
    for word in ("all", "any"):
        if word in given:
            parts = given[word]
            if len(given) > 1:
                raise Unprocessable(f"{where}: nothing may stand beside {word}", field=where)
            if depth == DEEPEST:
                raise Unprocessable(f"{where} is nested too deep", field=where)
            if not isinstance(parts, list) or not parts:
                raise Unprocessable(f"{where}.{word} must be a list", field=f"{where}.{word}")
            return sum(
                _check(part, f"{where}.{word}.{n}", depth + 1) for n, part in enumerate(parts)
            )
    for member in given:
        if member not in {"field", "op", "value"}:
            raise Unprocessable(f"{where}.{member} is not known here", field=f"{where}.{member}")
    _check_field(given.get("field"), f"{where}.field")
    op = given.get("op")
    if not isinstance(op, str) or op not in _OPS:
        raise Unprocessable(f"{where}.op must be one of {', '.join(_OPS)}", field=f"{where}.op")
    _check_value(op, given, f"{where}.value")
    return 1


def _check_field(field: Any, where: str) -> None:
    try:
        check_path(field if isinstance(field, str) else "")
    except ValueError as error:
        raise Unprocessable(f"{where} {error}", field=where) from None


def _check_value(op: str, given: Mapping[str, Any], where: str) -> None:
    value = given.get("value")
    if op in {"exists", "missing"}:
        fits = "value" not in given
    elif op in {"in", "not_in"}:
        fits = isinstance(value, list) and all(isinstance(one, Scalar) for one in value)
    elif op in {"lt", "lte", "gt", "gte"}:
        fits = isinstance(value, (int, float, str)) and not isinstance(value, bool)
    else:
        fits = "value" in given and isinstance(value, Scalar)
    if not fits:
        raise Unprocessable(f"{where} does not fit {op}", field=where)


def _same(one: Any, other: Any) -> bool:
    # In Python true is one and 1 is 1.0; only the second is meant.
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def asked(one: Any, other: Any) -> bool:
        for kind in ((int, float), (str,)):
            if isinstance(one, kind) and isinstance(other, kind):
                return not isinstance(one, bool) and compare(one, other)
        return False

    return asked


def _contains(one: Any, other: Any) -> bool:
    if isinstance(one, list):
        return any(_same(part, other) for part in one)
    return isinstance(one, str) and isinstance(other, str) and other in one


_OPS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": _same,
    "ne": lambda one, other: not _same(one, other),
    "lt": _ordered(lambda one, other: one < other),
    "lte": _ordered(lambda one, other: one <= other),
    "gt": _ordered(lambda one, other: one > other),
    "gte": _ordered(lambda one, other: one >= other),
    "in": lambda one, other: any(_same(one, part) for part in other),
    "not_in": lambda one, other: not any(_same(one, part) for part in other),
    "contains": _contains,
    "exists": lambda one, _: one is not None,
    "missing": lambda one, _: one is None,
}
