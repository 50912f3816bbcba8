"""Which phone numbers are a country's, as one regular expression for the database.

Most contacts have a number and nobody has said their country. Plans of numbering are phonenumbers'
own; its regular expressions mean the same to Postgres.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

#: North America shares the code 1. Canada alone of those without leading digits of their own is
#: told from the United States, by its area codes.
_NORTH_AMERICA = 1


def is_country(code: str) -> bool:
    """Return whether there are phone numbers in the country (ISO 3166, two capitals)."""
    import phonenumbers

    return code in phonenumbers.SUPPORTED_REGIONS


def numbers_of(countries: Iterable[str]) -> str:
    """Return a regular expression of the numbers (`+` and digits) of these countries.

    A territory that shares a code and has no leading digits of its own (Guernsey, Jersey, Mayotte)
    has no numbers here: they count as the larger country's.
    """
    found = sorted(filter(None, map(_digits, countries)))
    return f"^\\+(?:{'|'.join(found)})" if found else "^$"


def numbers_of_any() -> str:
    """Return a regular expression of the numbers that belong to some country."""
    import phonenumbers

    codes = (
        str(code)
        for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()
        if regions != ("001",)
    )
    return f"^\\+(?:{'|'.join(sorted(codes))})"


@lru_cache(maxsize=512)
def _digits(country: str) -> str:
    """Return the beginning of a country's numbers, without `+`; nothing where they have none."""
    import phonenumbers

    code = phonenumbers.country_code_for_region(country)
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code, ())
    if country not in regions:
        return ""
    own = _leading(code, country)
    if own is not None:
        return f"{code}(?:{own})"
    if country != regions[0]:
        return ""
    others = [found for other in regions if (found := _leading(code, other)) is not None]
    return f"{code}(?!{'|'.join(others)})" if others else str(code)


@lru_cache(maxsize=512)
def _leading(code: int, country: str) -> str | None:
    """Return what tells a country's numbers from those of others with the same code."""
    from phonenumbers.phonemetadata import PhoneMetadata

    metadata = PhoneMetadata.metadata_for_region(country)
    if metadata is None:
        return None
    if code == _NORTH_AMERICA and country == "CA" and metadata.fixed_line is not None:
        return "|".join(_area_codes(metadata.fixed_line.national_number_pattern or ""))
    found: str | None = metadata.leading_digits
    return found


def _area_codes(pattern: str) -> list[str]:
    import re

    fits = re.compile(pattern)
    return [str(area) for area in range(200, 1000) if fits.fullmatch(f"{area}2345678")]
