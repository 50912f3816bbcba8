"""Shared places, with 8 decimals: about a millimetre."""

from __future__ import annotations

from typing import Any

from switchboard.intake.effects._effect import Effect
from switchboard.whatsapp.webhook import Location, Message


def _of(message: Message) -> dict[str, Any] | None:
    match message.payload:
        case Location(latitude=latitude, longitude=longitude, name=name, address=address, url=url):
            return {"lat": latitude, "lon": longitude, "n": name, "ad": address, "u": url}
        case _:
            return None


KIND = Effect(name="locations", of=_of, payloads=(Location,))
