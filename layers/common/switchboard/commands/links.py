"""links: links that lead through us."""

from __future__ import annotations

from uuid import UUID

from switchboard.commands._resource import Command, Resource
from switchboard.inbox import links
from switchboard.inbox.links import LinkFilter
from switchboard.kernel.page import Page
from switchboard.store.links import Link
from switchboard.tools import Tools


def list_links(tools: Tools, tenant_id: UUID, wanted: LinkFilter) -> Page[Link]:
    """List tracked links with their taps, the newest first."""
    return links.list_links(tools, tenant_id, wanted)


KIND = Resource(
    "links",
    "tracked links and their taps",
    (
        Command(
            "list",
            LinkFilter,
            list_links,
            "--since 2027-01-31T00:00:00Z",
            ("created_at", "message_id", "label", "url", "tap_count", "last_tapped_at"),
        ),
    ),
)
