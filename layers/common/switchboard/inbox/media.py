"""Files of messages: what is known of them."""

from __future__ import annotations

from uuid import UUID

from switchboard.inbox._transaction import transact
from switchboard.kernel.errors import NotFound
from switchboard.store import messages as store
from switchboard.store.messages import Media
from switchboard.tools import Tools


def show_media(tools: Tools, tenant_id: UUID, media_id: UUID) -> Media:
    """Return a file's record; raises NotFound."""
    found = transact(
        tools, tenant_id, lambda connection: store.find_media(connection, tenant_id, media_id)
    )
    if found is None:
        raise NotFound("this file is not known")
    return found
