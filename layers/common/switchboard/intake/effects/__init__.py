"""What a new message brings besides itself: one file a kind, found by folder.

To add an effect:
1. `effect_<name>` in a migration: takes (tenant, messages as jsonb, now); sql/0007, apply_effects,
2. `<name>.py` here with `KIND = Effect(name=…, of=…)`,
3. its test.
"""

from __future__ import annotations

from switchboard.intake.effects._effect import Effect
from switchboard.kernel.registry import Registry

__all__ = ["EFFECTS", "Effect"]

EFFECTS: Registry[Effect] = Registry("switchboard.intake.effects", Effect)
