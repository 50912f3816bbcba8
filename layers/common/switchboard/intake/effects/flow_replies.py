"""A filled-in flow completes the session that was opened when it was sent."""

from __future__ import annotations

from typing import Any

from switchboard.intake.effects._effect import Effect
from switchboard.whatsapp.webhook import Message, NfmReply

#: What Meta takes for a flow sent without a token: it names no session.
_NO_TOKEN = "unused"  # nosec B105


def _of(message: Message) -> dict[str, Any] | None:
    match message.payload:
        case NfmReply(flow_token=str(token), answer=answer) if token != _NO_TOKEN:
            return {"tk": token, "x": answer}
        case _:
            return None


KIND = Effect(name="flow_replies", of=_of, payloads=(NfmReply,))
