"""/v1/blocks: people that a number has blocked at Meta."""

from __future__ import annotations

from functools import partial

from switchboard.access import Caller, Guarded
from switchboard.accounts import blocks
from switchboard.kernel.arguments import LIMIT, read, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools


def get_blocks(tools: Tools, caller: Caller, request: Request) -> Response:
    """List whom a number has blocked, as Meta has it now."""
    wanted = read_query(blocks.BlockFilter, request.query)
    return reply(200, blocks.list_blocked(tools, caller.tenant_id, wanted))


def _change(tools: Tools, caller: Caller, request: Request, *, block: bool) -> Response:
    wanted = read(blocks.BlockChange, request.json(LIMIT))
    return reply(200, blocks.change(tools, caller.tenant_id, wanted, block=block))


ROUTES = {
    "GET /v1/blocks": Guarded("blocks:read", get_blocks),
    "POST /v1/blocks": Guarded("blocks:write", partial(_change, block=True)),
    "DELETE /v1/blocks": Guarded("blocks:write", partial(_change, block=False)),
}
