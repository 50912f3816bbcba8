"""Answers that are more than a tap: a filled-in flow or address, a call permission, a payment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from switchboard.whatsapp.storable import is_id, unfit
from switchboard.whatsapp.webhook.payloads._read import (
    Object,
    flag,
    optional_text,
    seconds,
    text,
)


@dataclass(frozen=True, slots=True)
class NfmReply:
    """A filled-in flow, or an address message's form (Webhooks, messages, interactive).

    `name` is Meta's (flow, address_message). `response_json` is the answer as it came: a string of
    JSON that may be invalid, null or a list. `answer` is what it holds where that is an object the
    database can keep, else None. `flow_token` is the one we sent along, None where the flow did not
    hand it back.
    """

    WORDS: ClassVar = ("interactive.nfm_reply",)

    name: str | None
    body: str | None
    response_json: str | None
    answer: dict[str, Any] | None
    flow_token: str | None

    @classmethod
    def read(cls, word: str, content: Object) -> NfmReply:  # noqa: ARG003 - one signature for all
        """Read `nfm_reply: {name?, body?, response_json?}`."""
        raw = optional_text(content, "response_json")
        answer = _object(raw)
        token = None if answer is None else answer.get("flow_token")
        return cls(
            optional_text(content, "name"),
            optional_text(content, "body"),
            raw,
            answer,
            token if is_id(token) else None,
        )


def _object(raw: str | None) -> dict[str, Any] | None:
    """Return the object that `raw` holds, None for anything else."""
    if raw is None:
        return None
    try:
        answer = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return answer if type(answer) is dict and unfit(answer) is None else None


@dataclass(frozen=True, slots=True)
class CallPermissionReply:
    """Whether we may call (Calling API, user call permissions).

    `response` is Meta's word: accept or reject. `expires_at` is in Unix seconds: none for a
    permanent permission and for a rejection. `source` is user_action, or automatic when the person
    called us.
    """

    WORDS: ClassVar = ("interactive.call_permission_reply",)

    response: str
    is_permanent: bool
    expires_at: int | None
    source: str | None

    @classmethod
    def read(cls, word: str, content: Object) -> CallPermissionReply:  # noqa: ARG003
        """Read `{response, is_permanent?, expiration_timestamp?, response_source?}`."""
        return cls(
            text(content, "response"),
            flag(content, "is_permanent"),
            seconds(content, "expiration_timestamp"),
            optional_text(content, "response_source"),
        )


@dataclass(frozen=True, slots=True)
class PaymentMethod:
    """How the person means to pay the order `reference_id` (Payments, payment method)."""

    WORDS: ClassVar = ("interactive.payment_method",)

    method: str | None
    reference_id: str | None

    @classmethod
    def read(cls, word: str, content: Object) -> PaymentMethod:  # noqa: ARG003
        """Read `payment_method: {payment_method?, reference_id?, …}`."""
        return cls(optional_text(content, "payment_method"), optional_text(content, "reference_id"))
