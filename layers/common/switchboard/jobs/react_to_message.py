"""Reacts to new messages of one conversation: where chatbots and automations hook in.

Intake puts one waiting job in per conversation and lets later messages join it; the conversation is
the lane. Marking as read is a request outside the transaction, at least once and never in the way;
whatever is said goes to the outbox in the transaction that completes the job. To somebody blocked
nothing is said, Meta is told nothing, and what they write does not count as unread.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from switchboard import outbox
from switchboard.jobs._confirm_consent import confirm_consent
from switchboard.jobs._kind import Args, Context, Effects, JobKind
from switchboard.jobs._reaction import Reaction, Seen
from switchboard.kernel.db import Connection
from switchboard.outbox import Origin, Outgoing
from switchboard.store import reactions as store
from switchboard.tools import Tools

#: Types that a person means as something said or shown. Not their reactions (a reaction to a
#: reaction is noise), nothing of the system, nothing that we cannot read.
_ACKNOWLEDGED = frozenset(
    "text image video audio voice document sticker location contacts button interactive"
    " order".split()
)


class ReactToMessage(Args):
    """The conversation and its messages that nobody has reacted to yet."""

    conversation_id: UUID
    message_ids: tuple[UUID, ...]


def acknowledge(_tools: Tools, _connection: Connection, seen: Seen) -> Sequence[Outgoing]:
    """Answer each message with the number's emoji, where it has one.

    Its origin is `automation`: a setting asks for it, no person and no service. A group has no
    single addressee, and gets none.
    """
    emoji = seen.conversation.acknowledging_reaction
    contact_id = seen.conversation.contact_id
    if not emoji or contact_id is None or not seen.conversation.is_active:
        return ()
    return [
        Outgoing(
            phone_number_id=seen.conversation.phone_number_id,
            contact_id=contact_id,
            message={
                "type": "reaction",
                "reaction": {"message_id": message.wa_message_id, "emoji": emoji},
            },
            origin=Origin.AUTOMATION,
        )
        for message in seen.messages
        if message.message_type in _ACKNOWLEDGED
    ]


#: In this order. Chatbots and automations join here.
REACTIONS: tuple[Reaction, ...] = (confirm_consent, acknowledge)


def run(context: Context, args: ReactToMessage) -> Effects:
    """Mark the newest message as read where the number asks for it; the rest is an effect."""
    tools, tenant_id = context.tools, context.tenant_id
    with tools.db.transaction(tenant_id) as connection:
        conversation = store.find_conversation(
            connection, tenant_id, args.conversation_id, lock=False
        )
        messages = store.load_messages(
            connection, tenant_id, args.conversation_id, args.message_ids
        )
    if conversation is None or not messages:
        return Effects(result={"messages": 0})
    if conversation.is_blocked:

        def clear(connection: Connection) -> None:
            store.clear_unread(connection, tenant_id, args.conversation_id, now=tools.clock.now)

        return Effects(writes=(clear,), result={"messages": len(messages), "blocked": True})
    is_read = conversation.auto_mark_read and outbox.mark_read(
        tools,
        tenant_id=tenant_id,
        account_id=conversation.account_id,
        wa_message_id=messages[-1].wa_message_id,
    )

    def react(connection: Connection) -> None:
        locked = store.find_conversation(connection, tenant_id, args.conversation_id, lock=True)
        if locked is None or locked.is_blocked:
            return
        if is_read:
            store.mark_read(
                connection, tenant_id, args.conversation_id, messages, now=tools.clock.now
            )
        seen = Seen(tenant_id, args.conversation_id, locked, messages)
        said = [item for reaction in REACTIONS for item in reaction(tools, connection, seen)]
        if said:
            outbox.queue(tools, connection, tenant_id, said)

    return Effects(writes=(react,), result={"messages": len(messages), "marked_read": is_read})


KIND = JobKind(name="react_to_message", args=ReactToMessage, run=run, needs_s=20.0)
