"""The contract of an outgoing effect: its name, and what it makes of a message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: A message (the given one itself where nothing changes) and the documents of its effects.
Made = tuple[dict[str, Any], tuple[dict[str, Any], ...]]


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for besides the message, and what the deployment says to it.

    `public_url` has no slash at its end; None: nobody outside can reach us.
    """

    track_links: bool = False
    public_url: str | None = None


@dataclass(frozen=True)
class Effect:
    """One kind of effect; `outgoing_effect_<name>` in sql/ applies its documents (JSON values).

    `of` gets a checked message and never changes it in place. It runs before the message is
    decided, so nothing outside of it may be touched: a message that is denied has no effects.
    """

    name: str
    of: Callable[[dict[str, Any], Options], Made]
