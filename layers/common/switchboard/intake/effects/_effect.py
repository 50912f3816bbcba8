"""The contract of an effect: its name, and its document for a message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from switchboard.whatsapp.webhook import Message, Payload


@dataclass(frozen=True)
class Effect:
    """One kind of effect; `effect_<name>` in sql/ applies it, once, when the message is new.

    `of` returns its document (JSON values) for a message, None where there is nothing to do. It is
    asked for messages with one of these `payloads` only; None: for every message.
    """

    name: str
    of: Callable[[Message], dict[str, Any] | None]
    payloads: tuple[type[Payload], ...] | None = None
