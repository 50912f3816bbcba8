"""How lengths are counted: refused is what every way of counting is over, doubtful what one is."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.whatsapp.outbound import InvalidMessage, read
from switchboard.whatsapp.outbound._limits import graphemes, utf16_units

OUTBOUND = Path(__file__).resolve().parents[1] / "payloads" / "outbound"
SET_BY_US = {"messaging_product", "recipient_type", "to", "biz_opaque_callback_data"}

FAMILY = "👩‍👩‍👧‍👦"  # 7 code points, 11 UTF-16 units, one to people
FLAG = "🇲🇽"  # 2 code points, 4 units
ACCENT = "e\u0301"  # 2 of both
COOK = "👩🏽‍🍳"  # a skin tone and a joiner: 4 code points, 7 units

# What people see as one character, each by itself whatever stands beside it.
SEEN = ["a", "é", "ñ", "语", "🙂", ACCENT, FLAG, COOK, FAMILY, "क्षि", "각"]


class Limit(NamedTuple):
    """A text of a payload file, and the most characters that Meta's sources allow it."""

    name: str
    path: str
    loosest: int
    strictest: int

    def message(self, words: str) -> dict[str, Any]:
        """Return the file's message with `words` there."""
        body = json.loads((OUTBOUND / f"{self.name}.json").read_bytes())
        message = {key: part for key, part in body.items() if key not in SET_BY_US}
        node: Any = message
        *inside, last = self.path.split(".")
        for part in inside:
            node = node[int(part)] if isinstance(node, list) else node[part]
        node[last] = words
        return message


def limits(name: str, **paths: int | tuple[int, int]) -> list[Limit]:
    """Return the limits of one file; a path has `__` for its dots."""
    made = []
    for path, most in paths.items():
        loosest, strictest = most if isinstance(most, tuple) else (most, most)
        made.append(Limit(name, path.replace("__", "."), loosest, strictest))
    return made


def interactive(kind: str, **paths: int | tuple[int, int]) -> list[Limit]:
    return [
        each._replace(path=f"interactive.{each.path}")
        for each in limits(f"interactive_{kind}", **paths)
    ]


#: Cloud API, the page of each type; where Meta's OpenAPI file differs, both.
LIMITS = [
    *limits("text", text__body=4_096),
    *limits("image", image__caption=1_024),
    *limits("video", video__caption=1_024),
    *limits("document", document__caption=1_024),
    *interactive(
        "button",
        body__text=1_024,
        footer__text=60,
        action__buttons__0__reply__id=256,
        action__buttons__0__reply__title=20,
    ),
    *interactive("button_text_header", header__text=60, header__sub_text=60),
    *interactive(
        "list",
        header__text=60,
        body__text=(4_096, 1_024),
        footer__text=60,
        action__button=20,
        action__sections__0__title=24,
        action__sections__0__rows__0__id=200,
        action__sections__0__rows__0__title=24,
        action__sections__0__rows__0__description=72,
    ),
    *interactive("cta_url", body__text=1_024, footer__text=60, action__parameters__display_text=20),
    *interactive("location_request_message", body__text=1_024),
    *interactive("call_permission_request", body__text=1_024),
    *interactive(
        "voice_call",
        body__text=1_024,
        action__parameters__display_text=20,
        action__parameters__payload=512,
    ),
    *interactive("product", body__text=1_024, footer__text=60),
    *interactive(
        "product_list",
        header__text=60,
        body__text=1_024,
        footer__text=60,
        action__sections__0__title=24,
    ),
    *interactive("catalog_message", body__text=1_024, footer__text=60),
    *interactive(
        "flow",
        header__text=60,
        body__text=1_024,
        footer__text=60,
        action__parameters__flow_cta=(30, 20),
    ),
    *interactive("address_message", body__text=1_024, footer__text=60),
    *interactive("request_contact_info", body__text=1_024),
    *interactive(
        "carousel",
        body__text=1_024,
        action__cards__0__body__text=160,
        action__cards__0__action__parameters__display_text=20,
    ),
    *interactive(
        "carousel_quick_replies",
        action__cards__0__action__buttons__0__quick_reply__id=256,
        action__cards__0__action__buttons__0__quick_reply__title=20,
    ),
    *interactive(
        "order_details",
        body__text=1_024,
        footer__text=60,
        action__parameters__order__items__0__name=60,
        action__parameters__order__shipping__description=60,
        action__parameters__order__expiration__description=120,
    ),
    *interactive("order_status", body__text=1_024),
]


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


@pytest.mark.parametrize("limit", LIMITS, ids=lambda each: f"{each.name} {each.path}")
def test_every_text_has_its_limits(limit: Limit) -> None:
    field = f"message.{limit.path}"
    assert read(limit.message("x" * limit.strictest)).warnings == ()
    if limit.loosest > limit.strictest:
        (warning,) = read(limit.message("x" * (limit.strictest + 1))).warnings
        assert warning.startswith(f"{field} has {limit.strictest + 1} UTF-16 units")
        assert len(read(limit.message("x" * limit.loosest)).warnings) == 1
    for one in ("x", "🙂", ACCENT, COOK):
        over = refusal(limit.message(one * (limit.loosest + 1)))
        assert over.extra["errors"] == [
            {
                "field": field,
                "detail": f"{field} has {limit.loosest + 1} characters,"
                f" the limit is {limit.loosest}",
                "limit": limit.loosest,
                "length": limit.loosest + 1,
            }
        ]


@settings(deadline=None, max_examples=300)
@given(
    limit=st.sampled_from(LIMITS),
    seen=st.lists(st.sampled_from(SEEN), min_size=1, max_size=6),
    past=st.integers(-3, 3),
    share=st.sampled_from([0.1, 0.4, 0.5, 1.0]),
    strictly=st.booleans(),
)
def test_a_text_is_refused_beyond_the_loosest_reading_and_doubted_beyond_the_strictest(
    limit: Limit, seen: list[str], past: int, share: float, strictly: bool
) -> None:
    edge = limit.strictest if strictly else limit.loosest
    length = max(1, int(edge * share) + past)
    words = "".join(islice(cycle(seen), length))
    message = limit.message(words)
    field = f"message.{limit.path}"
    assert graphemes(words) == length <= len(words) <= utf16_units(words)
    if length > limit.loosest:
        (told,) = refusal(message).extra["errors"]
        assert (told["field"], told["limit"], told["length"]) == (field, limit.loosest, length)
        return
    checked = read(message)
    assert checked.body() == message
    warned = [warning.partition(" ")[0] for warning in checked.warnings]
    assert warned == ([field] if utf16_units(words) > limit.strictest else [])


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
