"""/v1/audiences: how many people a campaign would have."""

from __future__ import annotations

from switchboard.access import Caller, Guarded
from switchboard.campaigns.audience import counts
from switchboard.kernel.arguments import LIMIT, read
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools


def post_count(tools: Tools, caller: Caller, request: Request) -> Response:
    """Count an audience."""
    wanted = read(counts.CountWanted, request.json(LIMIT))
    return reply(200, counts.count_audience(tools, caller.tenant_id, wanted))


ROUTES = {"POST /v1/audiences/count": Guarded("audiences:read", post_count)}
