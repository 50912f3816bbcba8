"""audiences: how many people a campaign would have."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import BeforeValidator, Field

from switchboard.campaigns.audience import counts
from switchboard.campaigns.audience.counts import Count, CountWanted
from switchboard.campaigns.audience.kinds import Audience
from switchboard.commands._given import as_object
from switchboard.commands._resource import Command, Resource
from switchboard.kernel.arguments import Arguments
from switchboard.tools import Tools

#: Nobody's request waits for a command.
_WITHIN_MS = 300_000


class GivenAudience(Arguments):
    """The audience to count."""

    audience: Annotated[Audience, BeforeValidator(as_object)] = Field(
        description="as JSON, or @ and the path of a file; see docs/audiences.md"
    )


def count_audience(tools: Tools, tenant_id: UUID, given: GivenAudience) -> Count:
    """Count an audience."""
    wanted = CountWanted(audience=given.audience)
    return counts.count_audience(tools, tenant_id, wanted, within_ms=_WITHIN_MS)


KIND = Resource(
    "audiences",
    "how many people a campaign would have",
    (
        Command(
            "count",
            GivenAudience,
            count_audience,
            """--audience '{"type": "tagged", "tags": ["vip"]}'""",
        ),
    ),
)
