"""What a filter may say: wrong members are refused by their path, values are read into one form."""

from __future__ import annotations

from typing import Any

import phonenumbers
import pytest

from switchboard.campaigns.audience import countries
from switchboard.campaigns.audience.filters import DEEPEST, MOST_CONDITIONS, MOST_VALUES
from switchboard.campaigns.audience.kinds import Audience
from switchboard.kernel import phones
from switchboard.kernel.arguments import Arguments, read
from switchboard.kernel.errors import Unprocessable

Json = dict[str, Any]


class Asked(Arguments):
    """A body with an audience."""

    audience: Audience


def condition(field: str, op: str, value: Any = None) -> Json:
    return {"field": f"contact.{field}", "op": op, "value": value}


def segment(wanted: Any) -> Json:
    return {"audience": {"type": "segment", "filter": wanted}}


def nested(levels: int) -> Json:
    wanted = condition("name", "exists")
    for _ in range(levels - 1):
        wanted = {"not": wanted}
    return wanted


GOOD = condition("tags", "contains", "vip")


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (
            {"all": [GOOD, {"not": {"any": [condition("colour", "is", "x")]}}]},
            "all.1.not.any.0.field",
        ),
        ({"all": [GOOD, condition("name", "is")]}, "all.1.value"),
        (condition("created_at", "is", "2026-01-01"), "op"),
        (condition("name", "regex", "x"), "op"),
        (condition("created_at", "before", "2026-01-01T00:00:00"), "value"),  # no zone
        (condition("created_at", "before", "1066-01-01"), "value"),
        (condition("created_at", "after", 5), "value"),
        (condition("created_at", "within", 0), "value"),
        (condition("created_at", "within", True), "value"),
        (condition("created_at", "within", 3_661), "value"),
        (condition("country_code", "is", "UK"), "value"),
        (condition("country_code", "in", ["MX", "Mexico"]), "value"),
        (condition("language", "is", "es_MX"), "value"),
        (condition("opt_in_status", "is", "maybe"), "value"),
        (condition("phone", "is", "12345"), "value"),
        (condition("phone", "starts_with", "+52 55"), "value"),
        (condition("phone", "contains", "55"), "op"),
        (condition("name", "is", 5), "value"),
        (condition("name", "is", ""), "value"),
        (condition("name", "is", "x" * 501), "value"),
        (condition("name", "in", []), "value"),
        (condition("name", "in", ["x"] * (MOST_VALUES + 1)), "value"),
        (condition("name", "exists", "yes"), "value"),
        (condition("attributes.n", "greater", "5"), "value"),
        (condition("attributes.n", "greater", float("inf")), "value"),
        (condition("attributes.n", "less", 10**16), "value"),
        (condition("attributes.n", "is", {"a": 1}), "value"),
        (condition("attributes.n", "is", None), "value"),
        (condition("attributes.", "is", "x"), "field"),
        (condition(f"attributes.{'k' * 101}", "is", "x"), "field"),
        ({"field": "contact.name", "op": "is", "value": "x", "case": "any"}, "case"),
        ({"all": []}, "all"),
        ({"all": "x"}, "all"),
        ({"all": [GOOD], "any": [GOOD]}, "any"),
        ({"not": [GOOD]}, "not"),
        ({}, "field"),
    ],
)
def test_a_wrong_member_is_refused_by_its_path(wanted: Json, field: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        read(Asked, segment(wanted))
    assert refused.value.field == f"audience.filter.{field}"


@pytest.mark.parametrize("wanted", [5, "x", None, [GOOD]])
def test_what_is_no_object_is_refused(wanted: Any) -> None:
    with pytest.raises(Unprocessable) as refused:
        read(Asked, segment(wanted))
    assert refused.value.field == "audience.filter"


def test_depth_and_size_are_bounded_before_anything_is_read() -> None:
    read(Asked, segment(nested(DEEPEST)))
    read(Asked, segment({"all": [GOOD] * MOST_CONDITIONS}))
    half = {"any": [GOOD] * (MOST_CONDITIONS // 2)}
    read(Asked, segment({"all": [half, half]}))
    for wanted in (
        nested(DEEPEST + 1),
        {"all": [GOOD] * (MOST_CONDITIONS + 1)},
        {"all": [half, half, GOOD]},
    ):
        with pytest.raises(Unprocessable, match=r"deeper than 8|more than 100"):
            read(Asked, segment(wanted))
    deep: Json = {}
    for _ in range(100_000):
        deep = {"not": deep}
    # Refused without recursion: the reader of bodies would have stopped it at 32 levels.
    with pytest.raises(ValueError, match="deeper than 8"):
        Asked.model_validate(segment(deep))
    while deep:
        deep = deep.pop("not")


@pytest.mark.parametrize(
    ("field", "op", "given", "kept"),
    [
        ("country_code", "is", "mx", "MX"),
        ("country_code", "in", ["mx", "DE"], ["MX", "DE"]),
        ("language", "is", "ES", "es"),
        ("phone", "is", "5215550001234", "+525550001234"),
        ("phone", "starts_with", "52", "+52"),
        ("created_at", "before", "2026-11-01", "2026-11-01T00:00:00Z"),
        ("created_at", "after", "2026-11-01T00:00:00+02:00", "2026-10-31T22:00:00Z"),
        ("name", "exists", None, True),
        ("attributes.n", "is", True, True),
    ],
)
def test_values_are_kept_in_the_form_that_is_compared(
    field: str, op: str, given: Any, kept: Any
) -> None:
    once = read(Asked, segment({"not": condition(field, op, given)}))
    written = once.model_dump(mode="json", by_alias=True)
    assert written == segment({"not": condition(field, op, kept)})
    # What was stored with a campaign is read again as the same.
    assert read(Asked, written) == once


@pytest.mark.parametrize(
    ("audience", "field"),
    [
        ({"type": "everybody"}, "audience"),
        ({}, "audience"),
        ({"type": ["all_contacts"]}, "audience"),
        ({"type": "all_contacts", "tags": ["vip"]}, "audience.tags"),
        ({"type": "tagged", "tags": []}, "audience.tags"),
        ({"type": "tagged", "tags": ["vip"], "match": "most"}, "audience.match"),
        ({"type": "custom_list"}, "audience"),
        ({"type": "custom_list", "phones": ["x"]}, "audience.phones.0"),
        ({"type": "custom_list", "contact_ids": ["x"]}, "audience.contact_ids.0"),
        (
            {
                "type": "custom_list",
                "phones": ["+525550001234"],
                "list_id": "0d5f3c1e-6f0a-4c55-9d0b-1c8a52f0e0aa",
            },
            "audience",
        ),
    ],
)
def test_an_audience_is_one_of_four_kinds(audience: Json, field: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        read(Asked, {"audience": audience})
    assert refused.value.field == field


def test_each_countrys_numbers_are_its_own() -> None:
    """Against phonenumbers itself, for the numbers that it gives as examples of each country."""
    import re

    #: These share their numbers' beginnings with a larger country and are told by the whole number.
    shared = {"GG": "GB", "JE": "GB", "YT": "RE", "BL": "GP", "MF": "GP", "CC": "AU", "CX": "AU"}
    patterns = {
        country: re.compile(countries.numbers_of([country]))
        for country in phonenumbers.SUPPORTED_REGIONS
    }
    anybody = re.compile(countries.numbers_of_any())
    tried = 0
    for country in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE):
            example = phonenumbers.example_number_for_type(country, kind)
            if example is None:
                continue
            number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
            truth = phones.country_of(number.removeprefix("+"))
            assert truth is not None
            expected = shared.get(truth, truth)
            assert [one for one, fits in patterns.items() if fits.match(number)] == [expected]
            assert anybody.match(number)
            tried += 1
    assert tried > 400
    assert not anybody.match("+80012345678")  # international freephone
