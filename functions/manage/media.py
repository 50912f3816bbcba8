"""/v1/media: files of messages."""

from __future__ import annotations

from switchboard.access import Caller, Guarded
from switchboard.inbox import media
from switchboard.kernel.arguments import read_id, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools


def get_media(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show what is known of a file."""
    media_id = read_id(request.path, "this file")
    return reply(200, media.show_media(tools, caller.tenant_id, media_id))


def get_address(tools: Tools, caller: Caller, request: Request) -> Response:
    """Sign an address that reads the file for some minutes, without a key."""
    media_id = read_id(request.path, "this file")
    wanted = read_query(media.AddressWanted, request.query)
    return reply(200, media.sign_address(tools, caller.tenant_id, media_id, wanted))


ROUTES = {
    "GET /v1/media/{id}": Guarded("media:read", get_media),
    "GET /v1/media/{id}/address": Guarded("media:read", get_address),
}
