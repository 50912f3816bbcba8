"""One form per person, where a country writes a number in several."""

from __future__ import annotations

from uuid import UUID

import phonenumbers
import pytest
from phonenumbers import PhoneNumberType

from switchboard.kernel.phones import digits, national_variant, recipient, told_alike


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("5215550001234", "525550001234"),
        ("525550001234", "525550001234"),
        ("52155500012345", "52155500012345"),
        ("551187654321", "5511987654321"),
        ("5511987654321", "5511987654321"),
        ("551161234567", "5511961234567"),
        # A fixed line, and the mobile that only looks like it with a nine before it.
        ("551134567890", "551134567890"),
        ("5511934567890", "5511934567890"),
        # No area code of Brazil, and no number of Brazil.
        ("551087654321", "551087654321"),
        ("155118765432", "155118765432"),
        ("541155501234", "541155501234"),
        ("5491155501234", "5491155501234"),
    ],
)
def test_a_number_is_kept_in_one_form(written: str, kept: str) -> None:
    assert national_variant(written) == kept
    assert national_variant(kept) == kept


@pytest.mark.parametrize("first", "23456789")
def test_brazils_short_form_is_completed_exactly_where_it_is_no_fixed_line(first: str) -> None:
    short = f"5511{first}1234567"
    is_fixed = (
        phonenumbers.number_type(phonenumbers.parse("+" + short)) == PhoneNumberType.FIXED_LINE
    )
    assert (national_variant(short) == short) == is_fixed


def test_argentinas_forms_are_one_only_when_meta_says_so() -> None:
    assert told_alike("541155501234", "5491155501234")
    assert told_alike("+5491155501234", "541155501234")
    assert not told_alike("541155501234", "541155501234")
    assert not told_alike("541155501234", "5491155501235")
    assert not told_alike("525550001234", "5215550001234")


@pytest.mark.parametrize("text", ["", "+", "0155512345", "123456", "1" * 16, "49 155", "٤٩١٥٥٥١"])
def test_what_is_no_number_has_no_digits(text: str) -> None:
    assert digits(text) is None


def test_a_number_has_seven_to_fifteen_digits_with_or_without_a_plus() -> None:
    assert digits("+4915551234567") == digits("4915551234567") == "4915551234567"


def test_a_recipient_is_a_number_or_a_contacts_id() -> None:
    contact_id = "7f8b0000-0000-7000-8000-000000000001"
    assert recipient("+4915551234567") == ("4915551234567", None)
    assert recipient(contact_id) == (None, UUID(contact_id))
    assert recipient(contact_id.upper()) == (None, UUID(contact_id))


@pytest.mark.parametrize(
    "text",
    [
        "nobody",
        "123456",
        "7f8b0000000070008000000000000001",
        "{7f8b0000-0000-7000-8000-000000000001}",
        "urn:uuid:7f8b0000-0000-7000-8000-000000000001",
        "7f8b0000-0000-7000-8000-00000000000x",
    ],
)
def test_a_recipient_written_in_any_other_way_is_nobody(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be 7 to 15 digits, with or without"):
        recipient(text)
