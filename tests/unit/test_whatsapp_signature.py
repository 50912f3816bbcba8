"""The signature of Meta's webhooks: only the exact header of a live secret opens the door."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.whatsapp.signature import matching, sign

BODY = b'{"object":"whatsapp_business_account","entry":[]}'
SECRET = "current-app-secret"
PREVIOUS = "previous-app-secret"


def test_a_signature_is_the_hex_hmac_of_the_raw_body_behind_its_prefix() -> None:
    expected = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    assert sign(BODY, SECRET) == f"sha256={expected}"


def test_the_index_tells_which_secret_signed() -> None:
    assert matching(BODY, sign(BODY, SECRET), [SECRET, PREVIOUS]) == 0
    assert matching(BODY, sign(BODY, PREVIOUS), [SECRET, PREVIOUS]) == 1


def test_of_two_equal_secrets_the_first_is_named() -> None:
    assert matching(BODY, sign(BODY, SECRET), [SECRET, SECRET]) == 0


GOOD = sign(BODY, SECRET)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        GOOD.removeprefix("sha256="),
        GOOD.upper(),
        "sha256=" + GOOD.removeprefix("sha256=").upper(),
        GOOD.replace("sha256=", "SHA256="),
        GOOD.replace("sha256=", "sha1="),
        "sha1=" + hmac.new(SECRET.encode(), BODY, hashlib.sha1).hexdigest(),
        GOOD[:-1],
        GOOD + "0",
        f" {GOOD}",
        f"{GOOD} ",
        f"{GOOD},{GOOD}",
        f"{GOOD}\n",
        GOOD.replace("sha256=", "sha256=ü"),
        "sha256=" + "é" * 64,
        "\ud800",
    ],
)
def test_any_other_header_is_refused(header: str | None) -> None:
    assert matching(BODY, header, [SECRET]) is None


def test_without_a_secret_nothing_is_signed() -> None:
    assert matching(BODY, GOOD, []) is None


def test_an_empty_secret_is_no_secret() -> None:
    assert matching(BODY, sign(BODY, ""), ["", SECRET]) is None


def test_another_type_than_text_is_refused_and_does_not_raise() -> None:
    for header in (GOOD.encode(), 7, [GOOD], {"sha256": GOOD}):
        assert matching(BODY, header, [SECRET]) is None  # type: ignore[arg-type]


def test_every_flipped_bit_of_the_body_is_refused() -> None:
    for position in range(len(BODY) * 8):
        forged = bytearray(BODY)
        forged[position // 8] ^= 1 << position % 8
        assert matching(bytes(forged), GOOD, [SECRET]) is None


def test_every_flipped_bit_of_the_header_is_refused() -> None:
    for position in range(len(GOOD) * 8):
        forged = bytearray(GOOD.encode())
        forged[position // 8] ^= 1 << position % 8
        assert matching(BODY, forged.decode("latin-1"), [SECRET]) is None


@settings(deadline=None)
@given(st.binary(max_size=200), st.text(min_size=1, max_size=40))
def test_what_was_signed_matches_and_only_whole(body: bytes, secret: str) -> None:
    header = sign(body, secret)
    assert matching(body, header, [secret]) == 0
    assert matching(body + b"\0", header, [secret]) is None
    assert matching(body, header, [secret + "x"]) is None


@settings(deadline=None)
@given(
    st.binary(max_size=200),
    st.none() | st.text(max_size=90),
    st.lists(st.text(alphabet=st.characters(), max_size=20), max_size=3),
)
def test_it_never_raises(body: bytes, header: str | None, secrets: list[str]) -> None:
    # 256 bits are not guessed: whatever matches here would be a hole.
    assert matching(body, header, secrets) is None


def test_a_secret_that_is_no_proper_text_is_a_key_like_another() -> None:
    odd = "\ud800secret"
    assert matching(BODY, sign(BODY, odd), [SECRET, odd]) == 1
