"""A file's signed address: whoever has it may read that one object for a few minutes."""

from __future__ import annotations

from uuid import UUID

from switchboard.kernel import aws
from switchboard.kernel.errors import NotFound
from switchboard.store import media as store
from switchboard.tools import Tools

#: Seconds that an address works.
ADDRESS_S = 300


def media_address(tools: Tools, tenant_id: UUID, media_id: UUID, *, thumbnail: bool = False) -> str:
    """Return an address that reads the tenant's file, or its thumbnail, for five minutes.

    Raises NotFound, also where its message was taken back; with `status` (pending, failed) where
    the file is known but not here, and the reason as `error_code`.
    """
    with tools.db.transaction(tenant_id) as connection:
        row = store.find(connection, tenant_id, media_id)
    if row is None:
        raise NotFound("this file is not known, or was taken back")
    if row["status"] != "stored":
        extra = {"status": row["status"], "error_code": row["error_code"]}
        raise NotFound("this file is not stored", extra=extra)
    key = row["thumbnail_s3_key" if thumbnail else "s3_key"]
    if key is None:
        raise NotFound("this file has no thumbnail")
    address: str = aws.client("s3").generate_presigned_url(
        "get_object",
        Params={"Bucket": tools.settings.require("media_bucket"), "Key": key},
        ExpiresIn=ADDRESS_S,
    )
    return address
