"""Whatever Meta may send: parse raises nothing but NotJson, and nothing of a body vanishes."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.kernel.errors import NotJson
from switchboard.whatsapp.webhook import Event, Malformed, Message, Status, parse, rebuild

INBOUND = Path(__file__).resolve().parents[1] / "payloads" / "inbound"
BODIES: dict[str, Any] = {
    path.stem: json.loads(path.read_bytes()) for path in sorted(INBOUND.glob("*.json"))
}

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(), max_size=12)
    | st.sampled_from(["messages", "text", "interactive", "\0", "\ud800", "1790000000", "-1"])
)
KEYS = st.text(alphabet=st.characters(), max_size=6) | st.sampled_from(
    [
        *("entry", "changes", "field", "value", "messages", "statuses", "contacts", "errors"),
        *("id", "type", "from", "timestamp", "metadata", "phone_number_id", "status", "context"),
    ]
)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every part below the root."""
    parts: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        parts = list(value.items())
    elif isinstance(value, list):
        parts = list(enumerate(value))
    return [found for key, part in parts for found in [(*path, key), *paths(part, (*path, key))]]


@st.composite
def mutated_bodies(draw: st.DrawFn) -> Any:
    """Draw a payload file's body with up to four parts deleted, replaced, nested or doubled."""
    body = copy.deepcopy(BODIES[draw(st.sampled_from(sorted(BODIES)))])
    for _ in range(draw(st.integers(1, 4))):
        found = paths(body)
        if not found:
            break
        *way, last = draw(st.sampled_from(found))
        parent = body
        for key in way:
            parent = parent[key]
        match draw(st.sampled_from(["delete", "replace", "nest", "unwrap", "double", "add"])):
            case "delete":
                del parent[last]
            case "replace":
                parent[last] = draw(ANY_JSON)
            case "nest":
                parent[last] = draw(st.sampled_from([[parent[last]], {"a": parent[last]}]))
            case "unwrap" if isinstance(parent[last], list) and parent[last]:
                parent[last] = parent[last][0]
            case "double" if isinstance(parent, list):
                parent.append(copy.deepcopy(parent[last]))
            case "add" if isinstance(parent[last], dict):
                parent[last][draw(KEYS)] = draw(ANY_JSON)
            case _:
                pass
    return body


def dump(body: Any) -> bytes:
    return json.dumps(body).encode("ascii")


def count_of_items(body: Any) -> int:
    """Count what must come out, told independently of how it is read."""
    entries = body.get("entry")
    if not isinstance(entries, list):
        return 1
    return sum(map(count_of_entry, entries))


def count_of_entry(entry: Any) -> int:
    if isinstance(entry, dict) and isinstance(entry.get("changes"), list):
        return sum(map(count_of_change, entry["changes"]))
    if isinstance(entry, dict) and ("field" in entry or "value" in entry):
        return count_of_change({key: entry[key] for key in ("field", "value") if key in entry})
    return 1


def count_of_change(change: Any) -> int:
    value = change.get("value") if isinstance(change, dict) else None
    if not isinstance(value, dict) or field_of(change, value) != "messages":
        return 1
    count = rest = 0
    for key, part in value.items():
        if not part or key in {"messaging_product", "metadata"}:
            continue
        if key in {"messages", "statuses"}:
            count += len(part) if isinstance(part, list) else 1
        elif key != "contacts" or not isinstance(part, list):
            rest = 1
    return max(count + (rest if count else 0), 1)


def field_of(change: Any, value: Any) -> Any:
    for field in (change.get("field"), value.get("field")):
        if isinstance(field, str) and (field or field is value.get("field")):
            return field
    return "messages" if "messages" in value or "statuses" in value else ""


@given(mutated_bodies())
@settings(max_examples=500, deadline=None)
def test_every_part_of_a_mutated_body_comes_out_as_one_item(body: Any) -> None:
    assert len(parse(dump(body))) == count_of_items(body)


@given(mutated_bodies())
@settings(max_examples=200, deadline=None)
def test_whatever_is_not_malformed_can_be_stored_as_jsonb(body: Any) -> None:
    for item in parse(dump(body)):
        if isinstance(item, Malformed):
            assert item.reason
            assert isinstance(item.raw, bytes)
            assert item.raw
            continue
        kept = json.dumps([item.change, item.detail] if isinstance(item, Event) else item.raw)
        kept.encode("utf-8")
        assert "\\u0000" not in kept.replace("\\\\", "")
        if isinstance(item, Message):
            assert 0 < len(item.id) <= 1_000
            assert item.sender.wa_id or item.sender.user_id
            json.dumps([item.content, item.extra, item.sender, item.contact]).encode("utf-8")
        if isinstance(item, Status):
            assert 0 < len(item.id) <= 1_000
            assert 0 < len(item.status) <= 100


@given(mutated_bodies())
@settings(max_examples=200, deadline=None)
def test_whatever_is_rebuilt_parses_to_the_same_item(body: Any) -> None:
    for item in parse(dump(body)):
        if not isinstance(item, Malformed):
            assert parse(dump(rebuild(item))) == [item]
            continue
        again = parse(item.body)
        assert item.body in {other.body for other in again if isinstance(other, Malformed)}


@given(ANY_JSON)
@settings(max_examples=500, deadline=None)
def test_any_json_parses_or_is_told_to_be_no_object(body: Any) -> None:
    try:
        items = parse(dump(body))
    except NotJson:
        assert not isinstance(body, dict)
    else:
        assert len(items) == count_of_items(body)


@given(st.binary(max_size=300))
@settings(max_examples=500, deadline=None)
def test_any_bytes_parse_or_are_told_to_be_no_json(body: bytes) -> None:
    try:
        parse(body)
    except NotJson:
        pass
    else:
        assert isinstance(json.loads(body), dict)


@given(st.sampled_from(sorted(BODIES)), st.data())
@settings(max_examples=200, deadline=None)
def test_a_body_cut_or_with_a_byte_changed_never_raises_anything_else(
    name: str, data: st.DataObject
) -> None:
    body = bytearray(dump(BODIES[name]))
    place = data.draw(st.integers(0, len(body) - 1))
    if data.draw(st.booleans()):
        body[place] = data.draw(st.integers(0, 255))
    else:
        del body[place:]
    with suppress(NotJson):
        parse(bytes(body))
