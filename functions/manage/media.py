"""/v1/media: files of messages; files for messages, uploaded to Meta.

What uploads is imported where it is used: most requests read, and a cold start pays for imports.
"""

from __future__ import annotations

import io

from switchboard.access import Caller, Guarded
from switchboard.inbox import media
from switchboard.kernel.arguments import (
    LIMIT,
    Nothing,
    read,
    read_id,
    read_meta_id,
    read_query,
)
from switchboard.kernel.errors import BadRequest, TooLarge
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


def post_media(tools: Tools, caller: Caller, request: Request) -> Response:
    """Upload a file to Meta: the body itself where the address names the number, else its link."""
    from switchboard.accounts import uploads

    if "from" not in request.query:
        if request.query:
            raise BadRequest("the file's number must be named: ?from=", field="from")
        wanted = read(uploads.LinkUpload, request.json(LIMIT))
        return reply(201, uploads.upload_link(tools, caller.tenant_id, wanted))
    asked = read_query(uploads.UploadWanted, request.query)
    try:
        content = request.body(uploads.RAW_MOST)
    except TooLarge as error:
        raise TooLarge(f"{error.detail}: of a larger file give its link", field="file") from None
    done = uploads.upload_file(
        tools,
        caller.tenant_id,
        asked.sender,
        io.BytesIO(content),
        mime_type=request.headers.get("content-type"),
        file_name=asked.filename,
    )
    return reply(201, done)


def delete_upload(tools: Tools, caller: Caller, request: Request) -> Response:
    """Delete an upload at Meta and here."""
    from switchboard.accounts import uploads

    read(Nothing, request.json(LIMIT) if request.body(LIMIT).strip() else {})
    wanted = read_meta_id(request.path, "this upload")
    return reply(200, uploads.delete_upload(tools, caller.tenant_id, wanted))


ROUTES = {
    "GET /v1/media/{id}": Guarded("media:read", get_media),
    "GET /v1/media/{id}/address": Guarded("media:read", get_address),
    "POST /v1/media": Guarded("media:write", post_media),
    "DELETE /v1/media/uploads/{id}": Guarded("media:write", delete_upload),
}
