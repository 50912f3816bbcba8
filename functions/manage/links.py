"""/v1/links: links that lead through us, and how often they were tapped."""

from __future__ import annotations

from switchboard.access import Caller, Guarded
from switchboard.inbox import links
from switchboard.kernel.arguments import read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools


def get_links(tools: Tools, caller: Caller, request: Request) -> Response:
    """List links."""
    wanted = read_query(links.LinkFilter, request.query)
    return reply(200, links.list_links(tools, caller.tenant_id, wanted))


ROUTES = {"GET /v1/links": Guarded("interactions:read", get_links)}
