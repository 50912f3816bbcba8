"""Whether a number may call a person, until when, and how that came about."""

from __future__ import annotations

from typing import Any

from switchboard.intake.effects._effect import Effect
from switchboard.whatsapp.webhook import CallPermissionReply, Message


def _of(message: Message) -> dict[str, Any] | None:
    match message.payload:
        case CallPermissionReply(
            response=response, is_permanent=permanent, expires_at=expires_at, source=source
        ):
            return {"r": response, "p": permanent, "x": expires_at, "s": source}
        case _:
            return None


KIND = Effect(name="call_permissions", of=_of, payloads=(CallPermissionReply,))
