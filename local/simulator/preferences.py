"""Whether people take marketing from a business: WhatsApp's own switch, told by user_preferences.

It holds for a whole business account. Marketing to who stopped it fails with 131050.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Literal

from local.simulator.archive import Archive
from local.simulator.config import BusinessNumber
from local.simulator.payloads import Update
from local.simulator.people import Person

Json = dict[str, Any]
Preference = Literal["stop", "resume"]


class Preferences:
    """Everybody's, by business account; `post` sends a webhook."""

    def __init__(
        self, archive: Archive, post: Callable[[Update], None], clock: Callable[[], float]
    ) -> None:
        self._archive = archive
        self._post = post
        self._clock = clock
        self._stopped = {key for key, _ in archive.documents("stopped")}

    def has_stopped(self, person: Person, waba_id: str) -> bool:
        """Whether this person takes no marketing of that account."""
        return f"{waba_id}/{person.id}" in self._stopped

    def set(self, person: Person, number: BusinessNumber, value: Preference) -> None:
        """A person decides in the chat with a number; it is told whatever it was before."""
        key, now = f"{number.waba_id}/{person.id}", self._clock()
        if value == "stop":
            self._stopped.add(key)
            self._archive.put("stopped", key, {"at": now})
        else:
            self._stopped.discard(key)
            self._archive.remove("stopped", key)
        contact = person.contact()
        names: Json = {name: contact[name] for name in ("wa_id", "user_id") if name in contact}
        told: Json = {
            **names,
            "detail": f"User requested to {value} marketing messages",
            "category": "marketing_messages",
            "value": value,
            # Not a string, unlike the times of messages.
            "timestamp": int(now),
        }
        metadata = {
            "display_phone_number": number.display_phone_number,
            "phone_number_id": number.phone_number_id,
        }
        value_of_webhook: Json = {
            "messaging_product": "whatsapp",
            "metadata": metadata,
            "contacts": [contact],
            "user_preferences": [told],
        }
        self._post(
            Update(
                id=secrets.token_hex(8),
                phone_number_id="",
                kind="account",
                item=value_of_webhook,
                lane=f"{number.phone_number_id}/{person.id}",
                waba_id=number.waba_id,
                field="user_preferences",
                at=int(now),
            )
        )

    def clear(self) -> None:
        """Everybody takes marketing again; nothing is told."""
        self._stopped.clear()
