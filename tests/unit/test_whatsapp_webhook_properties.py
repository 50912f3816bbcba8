"""Whatever Meta may send: parse raises nothing but NotJson, and nothing of a body vanishes.

In the suite the same examples every time; `make fuzz` draws many times as many fresh ones.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from switchboard.kernel.errors import NotJson
from switchboard.whatsapp.webhook import (
    Event,
    Item,
    Malformed,
    Message,
    Status,
    Unhandled,
    parse,
    rebuild,
)
from tests.mutations import ANY_JSON, BODIES, dump, examples, mutated_bodies, paths


def count_of_items(body: Any) -> int:
    """Count what must come out, told independently of how it is read.

    Of a change of another field than messages it is one at least: its reader may make more of it.
    """
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
        elif key == "errors" and isinstance(part, list):
            count += sum(isinstance(error, dict) for error in part)
            rest = 1 if any(not isinstance(error, dict) for error in part) else rest
        elif key != "contacts" or not isinstance(part, list):
            rest = 1
    return max(count + (rest if count else 0), 1)


def field_of(change: Any, value: Any) -> Any:
    for field in (change.get("field"), value.get("field")):
        if isinstance(field, str) and (field or field is value.get("field")):
            return field
    return "messages" if "messages" in value or "statuses" in value else ""


def is_right_count(items: list[Item], body: Any) -> bool:
    others = any(
        isinstance(item, Event)
        or (isinstance(item, Malformed) and b'"field":"messages"' not in item.body)
        for item in items
    )
    wanted = count_of_items(body)
    return len(items) >= wanted if others else len(items) == wanted


@given(mutated_bodies())
@examples(500)
def test_every_part_of_a_mutated_body_comes_out_as_one_item(body: Any) -> None:
    assert is_right_count(parse(dump(body)), body)


@given(mutated_bodies())
@examples(200)
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
@examples(200)
def test_whatever_is_rebuilt_parses_to_the_same_item(body: Any) -> None:
    for item in parse(dump(body)):
        if not isinstance(item, Malformed):
            rebuilt = rebuild(item)
            again = parse(dump(rebuilt))
            if isinstance(item, Unhandled) and isinstance(again[0], Malformed):
                # What stood beside a field's own keys is, alone, a field without them.
                assert [json.loads(again[0].body), *again[1:]] == [rebuilt]
            else:
                assert again == [item]
            continue
        again = parse(item.body)
        assert item.body in [other.body for other in again if isinstance(other, Malformed)]


@given(ANY_JSON)
@examples(500)
def test_any_json_parses_or_is_told_to_be_no_object(body: Any) -> None:
    try:
        items = parse(dump(body))
    except NotJson:
        assert not isinstance(body, dict)
    else:
        assert is_right_count(items, body)


@given(st.binary(max_size=300))
@examples(500)
def test_any_bytes_parse_or_are_told_to_be_no_json(body: bytes) -> None:
    try:
        parse(body)
    except NotJson:
        pass
    else:
        assert isinstance(json.loads(body), dict)


@given(st.sampled_from(sorted(BODIES)), st.data())
@examples(200)
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


CANARY = "the canary in 1 value"


def kept(item: Item) -> str:
    """Return all that a row or a letter of `item` would hold."""
    if isinstance(item, Malformed):
        return json.dumps([json.loads(item.raw), json.loads(item.body)])
    return json.dumps(rebuild(item))


@given(mutated_bodies(), st.data())
@examples(500)
def test_whatever_stands_in_a_value_is_kept_somewhere(body: Any, data: st.DataObject) -> None:
    # Around the values, and beside the lists in one, there are addresses only.
    inside = [
        path
        for path in paths(body)
        if len(path) >= 5
        and (path[0], path[2], path[4]) == ("entry", "changes", "value")
        and path[5:6] not in {("metadata",), ("messaging_product",), ("contacts",)}
    ]
    if not inside:
        return
    *way, last = data.draw(st.sampled_from(inside))
    parent = body
    for key in way:
        parent = parent[key]
    parent[last] = CANARY

    assert any(CANARY in kept(item) for item in parse(dump(body)))


@given(st.integers(-(10**30), 10**30) | st.sampled_from([2**64, 2**64 - 1, -(2**63), -(2**63) - 1]))
@examples(200)
def test_a_whole_number_is_read_the_same_whatever_stands_beside_it(number: int) -> None:
    alone = {"object": "whatsapp_business_account", "entry": [{"changes": [{"n": number}]}]}
    beside = {**alone, "entry": [*alone["entry"], {"changes": ["\ud800"]}]}
    assert parse(json.dumps(alone).encode()) == parse(json.dumps(beside).encode())[:1]
