"""Histories made of the payload files, with malformed neighbours, in bodies of up to 1,000.

The messages and statuses of `tests/payloads/inbound` are templates: each gets an id, a time and a
person of the history. Among them come parts that nobody can read, statuses that the database
refuses, and messages to a number that is registered nowhere. What is left out of the templates is
drawn by `History` itself, whose model knows what it does.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from tests.deliveries import SECOND, Json, Number, Update, message, pack, status
from tests.intake_model import History, Letters
from tests.mutations import BODIES

SYSTEM = UUID(int=0)
#: Not used as templates: why.
LEFT_OUT = {
    "system": "its ids are other people's: drawn by History, whose model merges",
    "edit": "names a message of the same history: drawn by History",
    "revoke": "the same",
    "reaction": "the same",
}
#: Shapes that are kept as they are and read as nothing more: the model says so of their type only.
ODD = ("odd_", "image_failed", "location_out_of_range", "location_as_text", "interactive_not")
#: Interactive answers that History's model tells the effects of.
TAPS = ("button_reply", "list_reply")


def _templates() -> tuple[list[Json], list[Json]]:
    messages: list[Json] = []
    statuses: list[Json] = []
    for name, body in BODIES.items():
        if name.startswith(ODD):
            continue
        for entry in body["entry"]:
            for change in entry.get("changes", []):
                if change.get("field") == "messages":
                    messages += change["value"].get("messages", [])
                    statuses += change["value"].get("statuses", [])
    return (
        [
            part
            for part in messages
            if part.get("type") not in {None, *LEFT_OUT}
            and part.get("interactive", {}).get("type", TAPS[0]) in TAPS
        ],
        [part for part in statuses if part.get("type", "message") == "message"],
    )


MESSAGES, STATUSES = _templates()
#: Of a template, what its history gives it anew.
_OURS = ("from", "from_user_id", "from_parent_user_id", "id", "timestamp", "type")


@dataclass
class Batches(History):
    """A history in which every other message and status is one of the payload files'."""

    odd: list[Update] = field(default_factory=list)
    letters: Letters = field(default_factory=dict)

    def updates(self) -> list[Update]:
        """Draw what happened; what is odd in it goes to `odd`, and `letters` tells its end."""
        drawn = super().updates()
        for n in range(max(5, self.size // 8)):
            self._spoil(n)
        return drawn

    def _message(self, n: int) -> Update:
        if self.chance.random() < 0.5:
            return super()._message(n)
        part = copy.deepcopy(self.chance.choice(MESSAGES))
        kind = part["type"]
        number = self.chance.choice(self.numbers)
        person = self.chance.choice(self.chance.choice(self._people))
        at = SECOND + self.chance.choice([-90_000, -2, 0, 0, 1, 301])
        rest = {key: value for key, value in part.items() if key not in (*_OURS, kind)}
        wamid = f"wamid.file{n}"
        made = message(number, wamid, person, at, kind=kind, content=part.get(kind), **rest)
        if kind not in part:  # a type without an object of its own
            made.part.pop(kind, None)
        return made

    def _status(self, n: int) -> Update | None:
        drawn = super()._status(n)
        if drawn is None or self.chance.random() < 0.5:
            return drawn
        part = copy.deepcopy(self.chance.choice(STATUSES))
        ours = {key: drawn.part[key] for key in ("id", "timestamp")}
        if "biz_opaque_callback_data" in drawn.part:
            ours["biz_opaque_callback_data"] = drawn.part["biz_opaque_callback_data"]
        else:
            part.pop("biz_opaque_callback_data", None)
        return Update(drawn.number, {**part, **ours}, "statuses")

    def _spoil(self, n: int) -> None:
        number = self.chance.choice(self.numbers)
        stranger = Number(uuid4(), uuid4(), "2999", "3999")
        person = self.chance.choice(self.chance.choice(self._people))
        good = message(number, f"wamid.odd{n}", person)
        choices: list[tuple[Update, UUID, str]] = [
            (Update(number, f"text {n}"), number.tenant_id, "malformed"),
            (Update(number, {"id": f"wamid.odd{n}"}), number.tenant_id, "malformed"),
            (
                Update(number, {**good.part, "text": {"body": f"{n}\0"}}, contact=good.contact),
                number.tenant_id,
                "malformed",
            ),
            # Years ago: the tables have no room for it, so the whole body's statement fails.
            (
                status(number, f"wamid.past{n}", "sent", SECOND - 10**8),
                number.tenant_id,
                "refused_by_database",
            ),
            (message(stranger, f"wamid.far{n}", person), SYSTEM, "unknown_number"),
            (status(stranger, f"wamid.far{n}", "sent"), SYSTEM, "unknown_number"),
        ]
        update, tenant, reason = choices[n % len(choices)]
        self.odd.append(update)
        self.letters.setdefault((tenant, reason), set()).add(
            json.dumps(update.part, sort_keys=True)
        )


def batches(updates: Sequence[Update], chance: random.Random, times: int) -> list[bytes]:
    """Return bodies that hold each update `times` times, shuffled, split into 1 to 1,000 each."""
    bodies: list[bytes] = []
    for _ in range(times):
        rest: list[Any] = list(updates)
        chance.shuffle(rest)
        while rest:
            size = chance.choice([1, 2, 8, 40, 200, 1000])
            bodies.append(pack(rest[:size]))
            rest = rest[size:]
    chance.shuffle(bodies)
    return bodies
