"""Files of messages: what is known of them, and an address to fetch them from."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from pydantic import Field

from switchboard.kernel.arguments import Arguments
from switchboard.kernel.errors import NotFound
from switchboard.store import messages as store
from switchboard.store.messages import Media
from switchboard.tools import Tools
from switchboard.transact import transact


class AddressWanted(Arguments):
    """Of which object."""

    thumbnail: bool = Field(default=False, description="of the thumbnail instead of the file")


@dataclass(frozen=True, slots=True)
class Address:
    """An address that whoever has it may read; it ends after `expires_in` seconds."""

    address: str
    expires_in: int


def show_media(tools: Tools, tenant_id: UUID, media_id: UUID) -> Media:
    """Return a file's record; raises NotFound, also where its message was taken back."""
    found = transact(
        tools, tenant_id, lambda connection: store.find_media(connection, tenant_id, media_id)
    )
    if found is None:
        raise NotFound("this file is not known, or was taken back")
    return found


def sign_address(tools: Tools, tenant_id: UUID, media_id: UUID, wanted: AddressWanted) -> Address:
    """Return an address of the file.

    Raises NotFound, also for one that is not stored (yet) and for one that was taken back.
    """
    # boto3 is heavy, and only this needs it.
    from switchboard.media.address import ADDRESS_S, media_address

    address = media_address(tools, tenant_id, media_id, thumbnail=wanted.thumbnail)
    return Address(address, ADDRESS_S)
