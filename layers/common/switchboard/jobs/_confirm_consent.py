"""Tells a person once that their STOP or START has been heard."""

from __future__ import annotations

from collections.abc import Sequence

from switchboard.intake.effects.consent_words import confirmation
from switchboard.jobs._reaction import Seen
from switchboard.kernel.db import Connection
from switchboard.outbox import Origin, Outgoing
from switchboard.store import consents as store
from switchboard.tools import Tools

#: Types whose messages may be such a word (intake/effects/consent_words).
_SPOKEN = frozenset({"text", "button", "interactive"})


def confirm_consent(tools: Tools, connection: Connection, seen: Seen) -> Sequence[Outgoing]:
    """Answer the message that changed the opt-in state, where the number does so.

    A reply to what the person just wrote: the policy lets it through after STOP, and denies it
    where the message came so late that its window is over.
    """
    contact_id = seen.conversation.contact_id
    if contact_id is None or not (
        seen.conversation.confirm_consents and seen.conversation.is_active
    ):
        return ()
    if not any(message.message_type in _SPOKEN for message in seen.messages):
        return ()
    change = store.confirm(
        connection,
        seen.tenant_id,
        contact_id,
        [message.id for message in seen.messages],
        now=tools.clock.now,
    )
    if change is None:
        return ()
    text = confirmation(
        change.state, language=change.language, locale=change.locale, phone=change.phone
    )
    return (
        Outgoing(
            phone_number_id=seen.conversation.phone_number_id,
            contact_id=contact_id,
            message={"type": "text", "text": {"body": text}},
            origin=Origin.AUTOMATION,
            origin_id=change.id,
            confirms_consent=True,
        ),
    )
