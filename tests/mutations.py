"""Webhook bodies that Meta never sent: the payload files, mutated. And how many a run draws.

In the suite few, and the same ones every time; with FUZZ set (`make fuzz`) many times as many fresh
ones, from the seed that is printed.
"""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

INBOUND = Path(__file__).parent / "payloads" / "inbound"
BODIES: dict[str, Any] = {
    path.stem: json.loads(path.read_bytes()) for path in sorted(INBOUND.glob("*.json"))
}
#: How many times as many examples a fuzzer's run draws as the suite.
FACTOR = int(os.environ.get("FUZZ", "1"))


def examples(count: int) -> settings:
    """Return the settings of a property that the suite tries `count` times."""
    # Mutating is slow on a loaded machine, and says nothing of what is tested.
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    return settings(max_examples=count * FACTOR, suppress_health_check=slow)


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
    """Return a body as Meta writes JSON (ASCII with escapes)."""
    return json.dumps(body).encode("ascii")
