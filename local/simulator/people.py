"""The people behind the phone, and how Meta writes their numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from local.simulator.archive import Archive


@dataclass(frozen=True, slots=True)
class Person:
    """Someone with WhatsApp.

    `phone` is what one dials, in digits with `+`; `wa_id` is Meta's name for the same line and may
    differ (see `whatsapp_id`). Whoever has a username and never shared a number has neither: the
    business knows them by `user_id` only, their business-scoped user id.
    """

    id: str
    name: str
    about: str = ""
    phone: str | None = None
    wa_id: str | None = None
    user_id: str | None = None
    username: str | None = None

    @property
    def address(self) -> str:
        """What webhooks and limits know this person by."""
        return self.wa_id or self.user_id or self.id

    def contact(self) -> dict[str, Any]:
        """Meta's `contacts[]` entry; what a business may not see is left out, as Meta does."""
        profile = {"name": self.name} | ({"username": self.username} if self.username else {})
        entry: dict[str, Any] = {"profile": profile}
        if self.wa_id:
            entry["wa_id"] = self.wa_id
        if self.user_id:
            entry["user_id"] = self.user_id
        return entry


# Invented people on numbers that nobody can own.
CAST = (
    Person(
        id="ana",
        name="Ana Torres",
        about="Mexico City: dials +52, known to Meta as 521",
        phone="+525550001234",
        wa_id="5215550001234",
        user_id="MX.508176302041297",
    ),
    Person(
        id="ben",
        name="Ben Whitfield",
        about="London",
        phone="+447700900142",
        wa_id="447700900142",
        user_id="GB.713340985526174",
    ),
    Person(
        id="joana",
        name="Joana Prado",
        about="Belo Horizonte: nine digits dialled, eight known to Meta",
        phone="+5531955501234",
        wa_id="553155501234",
        user_id="BR.260457719938813",
    ),
    Person(
        id="sam",
        name="Sam Okafor",
        about="Washington",
        phone="+12025550143",
        wa_id="12025550143",
        user_id="US.889142076635201",
    ),
    Person(
        id="mei",
        name="Mei Lin",
        about="Singapore: a username, no phone number",
        user_id="SG.134921770815460",
        username="mei.lin",
    ),
)


def digits_of(number: str) -> str | None:
    """The digits of a number as people write it, or None when it is not 7 to 15 digits."""
    digits = re.sub(r"[+\s().-]", "", number)
    return digits if re.fullmatch(r"[0-9]{7,15}", digits) else None


def whatsapp_id(digits: str) -> str:
    """Meta's own form of a line, which the answer to a send shows as `wa_id`.

    Mexico's mobiles keep a 1 after 52, Argentina's a 9 after 54, and Brazil's lines outside the
    São Paulo, Rio and Espírito Santo areas are known without the ninth digit.
    """
    if digits.startswith("52") and len(digits) == 12:
        return "521" + digits[2:]
    if digits.startswith("54") and len(digits) == 12:
        return "549" + digits[2:]
    if digits.startswith("55") and len(digits) == 13 and digits[4] == "9" and digits[2:4] > "30":
        return digits[:4] + digits[5:]
    return digits


class People:
    """Everyone the phone can be: the cast, and whoever was written to or played besides."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._people: dict[str, Person] = {person.id: person for person in CAST}
        for _, document in archive.documents("person"):
            person = Person(**document)
            self._people[person.id] = person

    def __iter__(self) -> Iterator[Person]:
        return iter(self._people.values())

    def find(self, name: str) -> Person | None:
        """By id, number in any national form, or business-scoped user id."""
        if name in self._people:
            return self._people[name]
        digits = digits_of(name)
        if digits is not None:
            wanted = whatsapp_id(digits)
            # Whoever is not of the cast has the number itself as id.
            found = self._people.get(wanted)
            return found or next((p for p in self._people.values() if p.wa_id == wanted), None)
        return next((p for p in self._people.values() if p.user_id == name), None)

    def find_or_add(self, name: str) -> Person | None:
        """As `find`; a new number or user id becomes a new person. None when it is neither."""
        found = self.find(name)
        if found is not None:
            return found
        digits = digits_of(name)
        if digits is not None:
            wa_id = whatsapp_id(digits)
            person = Person(id=wa_id, name=f"+{digits}", phone=f"+{digits}", wa_id=wa_id)
        elif re.fullmatch(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}", name):
            person = Person(id=name, name=name, user_id=name)
        else:
            return None
        self._people[person.id] = person
        self._archive.put("person", person.id, asdict(person))
        return person

    def clear(self) -> None:
        """Only the cast remains."""
        self._people = {person.id: person for person in CAST}
