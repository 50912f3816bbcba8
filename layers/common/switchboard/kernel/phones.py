"""Phone numbers as Meta writes them: digits, without `+`, in one form per person."""

from __future__ import annotations

import re
from functools import lru_cache
from uuid import UUID

#: The only shape that is checked: Meta's own ids, such as 5215550001234, are numbers that
#: phonenumbers calls impossible.
_SHAPE = re.compile(r"\+?([1-9][0-9]{6,14})")
#: Brazil without the ninth digit: area code, then eight digits, of which a mobile's begin with 6 to
#: 9. Those that begin with 2 to 5 are fixed lines (Anatel's plan), and numbers of their own.
_BRAZIL_SHORT = re.compile(r"55([1-9][1-9])([6-9][0-9]{7})")

#: Countries of several zones: the one where most people live (tz database, zone1970.tab).
MOST_PEOPLE = {
    "AR": "America/Argentina/Buenos_Aires",
    "AU": "Australia/Sydney",
    "BR": "America/Sao_Paulo",
    "CA": "America/Toronto",
    "CD": "Africa/Kinshasa",
    "CL": "America/Santiago",
    "CN": "Asia/Shanghai",
    "CY": "Asia/Nicosia",
    "DE": "Europe/Berlin",
    "EC": "America/Guayaquil",
    "ES": "Europe/Madrid",
    "ID": "Asia/Jakarta",
    "KZ": "Asia/Almaty",
    "MN": "Asia/Ulaanbaatar",
    "MX": "America/Mexico_City",
    "MY": "Asia/Kuala_Lumpur",
    "NZ": "Pacific/Auckland",
    "PG": "Pacific/Port_Moresby",
    "PS": "Asia/Hebron",
    "PT": "Europe/Lisbon",
    "RU": "Europe/Moscow",
    "UA": "Europe/Kyiv",
    "US": "America/New_York",
    "UZ": "Asia/Tashkent",
}


def digits(text: str) -> str | None:
    """Return the digits of 7 to 15, with or without `+`; None for any other text."""
    match = _SHAPE.fullmatch(text)
    return match[1] if match else None


def recipient(text: str) -> tuple[str | None, UUID | None]:
    """Return whom a caller means: digits as `digits` reads them, or a contact's id.

    Raises ValueError for any other text.
    """
    number = digits(text)
    if number is not None:
        return number, None
    # UUID reads braces, `urn:uuid:` and 32 digits too: an id is written in one way here.
    if len(text) == 36:
        try:
            return None, UUID(text)
        except ValueError:
            pass
    raise ValueError("must be 7 to 15 digits, with or without +, or a contact id")


def national_variant(number: str) -> str:
    """Return the one form under which a number is kept where Meta writes several.

    Mexico's mobile 521 + ten digits is 52 + the same ten, always. Brazil's mobiles get their ninth
    digit where it is missing and the shorter form is no valid fixed line. Argentina's 549 and 54
    may be two people: only Meta's own answer tells (`told_alike`).
    """
    if number[:2] == "52":
        if len(number) == 13 and number[2] == "1":
            return "52" + number[3:]
    elif number[:2] == "55" and len(number) == 12:
        match = _BRAZIL_SHORT.fullmatch(number)
        if match is not None:
            return f"55{match[1]}9{match[2]}"
    return number


def told_alike(asked: str, answered: str) -> bool:
    """Return whether Meta's answer to a send, `input` -> `wa_id`, makes two forms one person's.

    Only Argentina's mobile prefix is learned in this way: 549 + ten digits and 54 + the same ten.
    Whatever else Meta may answer (another number altogether) says nothing of who it is.
    """
    short, long = sorted((asked.removeprefix("+"), answered), key=len)
    return len(short) == 12 and short.startswith("54") and long == "549" + short[2:]


def country_of(recipient: str) -> str | None:
    """Return the country (ISO 3166, two letters) of digits or of a business-scoped user id.

    None where the number belongs to no country. Numbers beginning with 1 are told apart by their
    area code.
    """
    if "." in recipient:
        return recipient[:2]
    # Heavy, and only some gates of the policy ask.
    import phonenumbers

    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(f"+{recipient}"))
    except phonenumbers.NumberParseException:
        return None


@lru_cache(maxsize=4096)
def zone_of(recipient: str) -> str | None:
    """Return the time zone of digits or of a business-scoped user id, None where nobody can tell.

    By the number's area where it has one, else where most people of its country live.
    """
    import phonenumbers
    from phonenumbers import timezone

    country = country_of(recipient)
    if "." in recipient:
        code = phonenumbers.country_code_for_region(recipient[:2])
        number = phonenumbers.PhoneNumber(country_code=code, national_number=0)
    else:
        try:
            number = phonenumbers.parse(f"+{national_variant(recipient)}")
        except phonenumbers.NumberParseException:
            return None
    zones = timezone.time_zones_for_geographical_number(number)
    if len(zones) == 1 and zones[0] != timezone.UNKNOWN_TIMEZONE:
        return zones[0]
    country = country or phonenumbers.region_code_for_country_code(number.country_code or 0)
    known = MOST_PEOPLE.get(country)
    return known or next((zone for zone in zones if zone != timezone.UNKNOWN_TIMEZONE), None)
