"""Whom a number has blocked. Cloud API, Block users: per number, 64,000 people at most.

Only who wrote to the number in the last 24 hours can be blocked. Their messages do not arrive any
more, and sends to them fail. To block or unblock again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from switchboard.whatsapp.client import (
    Answer,
    GraphClient,
    NotSent,
    Rejected,
    Throttled,
    Unconfirmed,
)
from switchboard.whatsapp.errors import GraphError, read_error
from switchboard.whatsapp.storable import is_id, unfit

#: Meta gave no answer to work with; each says whether and when asking again makes sense.
NoAnswer = Rejected | Throttled | NotSent | Unconfirmed

_SAID_NOTHING = GraphError(139100, None, "Meta did not say why", None, None)


@dataclass(frozen=True, slots=True)
class Named:
    """A person as Meta's answer names them; `given` is what was asked with."""

    given: str | None
    wa_id: str | None
    user_id: str | None


@dataclass(frozen=True, slots=True)
class Changed:
    """Whom Meta took, and whom it did not, each with its reason."""

    taken: Sequence[Named]
    failed: Sequence[tuple[Named, GraphError]]


@dataclass(frozen=True, slots=True)
class Blocked:
    """A page of a number's list; `after` is where the next begins, None at the end."""

    people: Sequence[Named]
    after: str | None


def change_blocks(
    client: GraphClient,
    phone_number_id: str,
    token: str,
    people: Sequence[Mapping[str, str]],
    *,
    block: bool,
) -> Changed | NoAnswer:
    """Block or unblock people: {"user": "+525550001234"} or {"user_id": "MX.9001"} each.

    Taken in part is HTTP 400 with error 139100 and the lists beside it. POST and DELETE
    /{phone_number_id}/block_users
    """
    answer = client.call(
        "POST" if block else "DELETE",
        f"{quote(phone_number_id, safe='')}/block_users",
        token,
        body={"messaging_product": "whatsapp", "block_users": [dict(one) for one in people]},
    )
    if isinstance(answer, Answer):
        lists: Any = (answer.document or {}).get("block_users")
        status = answer.status
    elif isinstance(answer, Rejected) and isinstance(answer.document.get("block_users"), Mapping):
        lists, status = answer.document["block_users"], answer.http_status
    else:
        return answer
    if not isinstance(lists, Mapping):
        return Unconfirmed("the answer has no lists", http_status=status)
    return Changed(
        [_named(one) for one in _objects(lists.get("added_users" if block else "removed_users"))],
        [(_named(one), _reason(one)) for one in _objects(lists.get("failed_users"))],
    )


def list_blocks(
    client: GraphClient, phone_number_id: str, token: str, *, limit: int, after: str | None
) -> Blocked | NoAnswer:
    """Return a page of whom a number has blocked. GET /{phone_number_id}/block_users."""
    params = {"limit": str(limit), **({"after": after} if after is not None else {})}
    path = f"{quote(phone_number_id, safe='')}/block_users"
    answer = client.call("GET", path, token, params=params)
    if not isinstance(answer, Answer):
        return answer
    document = answer.document or {}
    people: list[Named] = []
    entries = _objects(document.get("data"))
    for entry in entries:
        # Meta's pages show two nestings.
        inner = entry.get("block_users")
        people += map(_named, _objects(inner) if inner is not None else [entry])
    paging = document.get("paging")
    paging = paging if isinstance(paging, dict) else {}
    cursors = paging.get("cursors")
    onward = _word(cursors.get("after")) if isinstance(cursors, dict) else None
    # Not every answer tells the next address: a page that is not full is the last one.
    more = bool(paging.get("next")) or len(people) >= limit
    return Blocked(people, onward if more and people else None)


def _named(one: Mapping[str, Any]) -> Named:
    return Named(_word(one.get("input")), _word(one.get("wa_id")), _word(one.get("user_id")))


def _reason(one: Mapping[str, Any]) -> GraphError:
    errors = _objects(one.get("errors"))
    return (read_error(errors[0]) if errors else None) or _SAID_NOTHING


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _word(value: object) -> str | None:
    return value if is_id(value) and unfit(value) is None else None
