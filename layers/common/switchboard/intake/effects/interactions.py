"""Taps, choices and answers, by kind: what was offered and what became of it."""

from __future__ import annotations

from typing import Any

from switchboard.intake.effects._effect import Effect
from switchboard.whatsapp.webhook import (
    Button,
    ButtonReply,
    CallPermissionReply,
    ListReply,
    Message,
    NfmReply,
    PaymentMethod,
)


def _of(message: Message) -> dict[str, Any] | None:
    match message.payload:
        case Button(payload=payload, text=text):
            return {"k": "button_tap", "i": payload, "ti": text, "x": {"template": True}}
        case ButtonReply(id=id_, title=title):
            return {"k": "button_tap", "i": id_, "ti": title}
        case ListReply(id=id_, title=title):
            return {"k": "list_choice", "i": id_, "ti": title}
        case NfmReply(name=name, answer=answer, flow_token=token):
            # Without an object in it the answer stays where it is whole: in the message.
            return {
                "k": "flow_completion",
                "x": {"name": name, "flow_token": token, "response_data": answer},
            }
        case CallPermissionReply(response=response, is_permanent=permanent, source=source):
            return {
                "k": "call_permission",
                "x": {"response": response, "is_permanent": permanent, "source": source},
            }
        case PaymentMethod(method=method, reference_id=reference):
            return {
                "k": "payment_method",
                "x": {"payment_method": method, "reference_id": reference},
            }
        case _:
            return None


KIND = Effect(
    name="interactions",
    of=_of,
    payloads=(
        Button,
        ButtonReply,
        ListReply,
        NfmReply,
        CallPermissionReply,
        PaymentMethod,
    ),
)
