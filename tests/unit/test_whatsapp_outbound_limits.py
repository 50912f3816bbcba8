"""How lengths are counted: refused is what every way of counting is over, doubtful what one is."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from switchboard.whatsapp.outbound import InvalidMessage, read
from switchboard.whatsapp.outbound._limits import graphemes, utf16_units

FAMILY = "👩‍👩‍👧‍👦"  # 7 code points, 11 UTF-16 units, one to people
FLAG = "🇲🇽"  # 2 code points, 4 units
ACCENT = "e\u0301"  # 2 of both
COOK = "👩🏽‍🍳"  # a skin tone and a joiner: 4 code points, 7 units


def text(body: str) -> dict[str, Any]:
    return {"type": "text", "text": {"body": body}}


def refusal(message: Any) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        read(message)
    return caught.value


@pytest.mark.parametrize(
    ("one", "points", "units"),
    [("a", 1, 1), ("🙂", 1, 2), (ACCENT, 2, 2), (FLAG, 2, 4), (COOK, 4, 7), (FAMILY, 7, 11)],
)
def test_a_character_is_what_people_see(one: str, points: int, units: int) -> None:
    assert (len(one), utf16_units(one), graphemes(one)) == (points, units, 1)
    assert graphemes(one * 7) == 7


@pytest.mark.parametrize("one", ["🙂", ACCENT, FLAG, COOK, FAMILY])
def test_a_body_over_by_some_ways_of_counting_goes_out_with_a_warning(one: str) -> None:
    checked = read(text(one * 4_096))
    assert checked.body() == text(one * 4_096)
    (warning,) = checked.warnings
    units = utf16_units(one) * 4_096
    assert warning == (
        f"message.text.body has {units} UTF-16 units, and the strictest limit known is 4096"
    )


@pytest.mark.parametrize("one", ["x", "é", "🙂", ACCENT, FLAG, COOK, FAMILY])
def test_a_body_over_by_every_way_of_counting_is_refused(one: str) -> None:
    error = refusal(text(one * 4_097))
    assert error.field == "message.text.body"
    assert error.detail == "message.text.body has 4097 characters, the limit is 4096"
    assert error.extra["errors"] == [
        {"field": error.field, "detail": error.detail, "limit": 4_096, "length": 4_097}
    ]


def test_the_last_unit_inside_the_limit_is_no_warning() -> None:
    assert read(text("🙂" * 2_048)).warnings == ()
    assert len(read(text("🙂" * 2_048 + "x")).warnings) == 1


def test_nothing_that_counts_graphemes_is_imported_for_a_text_inside_its_limit() -> None:
    # A cold start pays for every import.
    script = (
        "import sys; sys.path.insert(0, 'layers/common');"
        "from switchboard.whatsapp.outbound import read;"
        "read({'type': 'text', 'text': {'body': 'é' * 4096}});"
        "import json; print(json.dumps([name for name in sys.modules if name == 'regex'"
        " or name.startswith('switchboard.whatsapp.outbound.')]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    package = "switchboard.whatsapp.outbound"
    expected = [
        f"{package}.{name}" for name in ("_base", "_limits", "unchecked", "request", "text")
    ]
    assert sorted(json.loads(done.stdout)) == sorted(expected)
