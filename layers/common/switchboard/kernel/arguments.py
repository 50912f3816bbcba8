"""What callers bring, as models: an unknown or wrong member is refused by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from switchboard.kernel import phones
from switchboard.kernel.errors import BadRequest, NotFound, Unprocessable

#: Bytes of a body of /v1 other than a message's.
LIMIT = 65_536
#: Characters of an id of Meta's objects; they are digits today.
LONGEST_META_ID = 50
#: Levels of a JSON value; far below what Postgres and orjson carry.
DEEPEST = 32
M = TypeVar("M", bound=BaseModel)


class Arguments(BaseModel):
    """Base of what a route or a command takes; no value is quoted in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Nothing(Arguments):
    """No arguments."""


def read(model: type[M], given: Any, *, unreadable: bool = False) -> M:
    """Return `given` (a JSON object) as `model`.

    Raises Unprocessable that names the first wrong member, all of them in `problems`; BadRequest
    instead where `unreadable` says so (parameters of an address), and where `given` is no object.
    """
    if not isinstance(given, Mapping):
        raise BadRequest("the body must be a JSON object")
    kind = BadRequest if unreadable else Unprocessable
    for name, value in given.items():
        reason = _unfit(name, 1) or _unfit(value, 1)
        if reason is not None:
            field = name if _unfit(name, 1) is None else None
            raise kind(f"{field or 'a name'} {reason}", field=field)
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        problems = [
            {"field": ".".join(map(str, one["loc"])), "problem": _sentence(one)}
            for one in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise kind(
            "; ".join(": ".join(filter(None, one.values())) for one in problems[:5]),
            field=problems[0]["field"] or None,
            extra={"problems": problems[:20]},
        ) from None


def read_query(model: type[M], query: Mapping[str, str]) -> M:
    """Return the parameters of an address as `model`; raises BadRequest that names the wrong one.

    An empty one counts as not given.
    """
    return read(model, {name: value for name, value in query.items() if value}, unreadable=True)


def read_id(path: Mapping[str, str], what: str) -> UUID:
    """Return the `{id}` of an address; what is no id is not known, as is another tenant's."""
    try:
        return UUID(path.get("id", ""))
    except ValueError:
        raise NotFound(f"{what} is not known") from None


def read_number(path: Mapping[str, str], what: str) -> int:
    """Return the `{id}` of an address as a number of 63 bits; what is none is not known."""
    given = path.get("id", "")
    if not given.isascii() or not given.isdigit() or len(given) > 19 or int(given) >= 2**63:
        raise NotFound(f"{what} is not known")
    return int(given)


def read_meta_id(path: Mapping[str, str], what: str) -> str:
    """Return the `{id}` of an address as an id of Meta's; what can be none is not known."""
    given = path.get("id", "")
    if not given.isascii() or not given.isalnum() or len(given) > LONGEST_META_ID:
        raise NotFound(f"{what} is not known")
    return given


def read_recipient(to: str) -> tuple[str | None, UUID | None]:
    """Return whom `to` means: digits, or a contact's id; raises Unprocessable."""
    try:
        return phones.recipient(to)
    except ValueError as error:
        raise Unprocessable(f"to {error}", field="to") from None


def _sentence(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "is not known here"
    return str(error["msg"]).removeprefix("Value error, ")


def _unfit(value: Any, depth: int) -> str | None:
    """Return why Postgres would refuse `value`, None if it will not."""
    if isinstance(value, str):
        if "\0" in value:
            return "holds \\u0000, which cannot be stored"
        try:
            value.encode()
        except UnicodeEncodeError:
            return "holds a lone surrogate, which cannot be stored"
        return None
    if depth > DEEPEST:
        return f"is nested deeper than {DEEPEST} levels"
    if isinstance(value, dict):
        inner = [*value, *value.values()]
    elif isinstance(value, (list, tuple)):
        inner = list(value)
    else:
        return None
    return next(filter(None, (_unfit(one, depth + 1) for one in inner)), None)
