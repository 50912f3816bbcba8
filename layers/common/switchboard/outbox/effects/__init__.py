"""What a message brings besides itself when it is sent: one file a kind, found by folder.

Asked once, after the caller's message was checked and before it is stored, so that every try of the
message is the same one. To add an effect:
1. `outgoing_effect_<name>(tenant, rows, now)` in a migration; sql/0023, outgoing_effects,
2. `<name>.py` here with `KIND = Effect(name=…, of=…)`,
3. its test.
"""

from __future__ import annotations

from dataclasses import replace

from switchboard.kernel.registry import Registry
from switchboard.outbox.effects._effect import Effect, Options
from switchboard.outbox.outgoing import Outgoing

__all__ = ["EFFECTS", "Effect", "Options", "with_effects"]

EFFECTS: Registry[Effect] = Registry("switchboard.outbox.effects", Effect)


def with_effects(item: Outgoing, public_url: str | None = None) -> Outgoing:
    """Return the message as it will be stored, with the documents of its effects.

    `public_url` is the setting: where links of ours begin.

    One that has effects already comes back as it is. Raises Unprocessable naming a field.
    """
    if item.effects:
        return item
    options = Options(item.track_links, public_url)
    message, effects = item.message, []
    for effect in EFFECTS:
        message, documents = effect.of(message, options)
        effects += [{"k": effect.name, **document} for document in documents]
    if message is item.message and not effects:
        return item
    return replace(item, message=message, effects=tuple(effects))
