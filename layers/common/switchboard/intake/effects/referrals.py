"""The ad or post that led a person to write, on whatever type of message."""

from __future__ import annotations

from typing import Any

from switchboard.intake.effects._effect import Effect
from switchboard.whatsapp.webhook import Message, referral_of


def _of(message: Message) -> dict[str, Any] | None:
    referral = referral_of(message.extra) if message.extra else None
    if referral is None:
        return None
    return {
        "ty": referral.source_type,
        "i": referral.source_id,
        "u": referral.source_url,
        "h": referral.headline,
        "b": referral.body,
        "mt": referral.media_type,
        "mu": referral.media_url,
        "cl": referral.ctwa_clid,
    }


KIND = Effect(name="referrals", of=_of)
