"""media: files of messages."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from switchboard.commands._aws import bucket_at_hand
from switchboard.commands._resource import Command, Resource
from switchboard.inbox import media
from switchboard.inbox.media import Address, AddressWanted
from switchboard.kernel.arguments import Arguments
from switchboard.store.messages import Media
from switchboard.tools import Tools


class TheFile(Arguments):
    """One file."""

    media: UUID = Field(description="the file's id, as its message names it")


class TheObject(AddressWanted, TheFile):
    """One file, or its thumbnail."""


def show_media(tools: Tools, tenant_id: UUID, which: TheFile) -> Media:
    """Show what is known of a file."""
    return media.show_media(tools, tenant_id, which.media)


def sign_address(tools: Tools, tenant_id: UUID, which: TheObject) -> Address:
    """Sign an address that reads the file for some minutes, without a key."""
    wanted = AddressWanted(thumbnail=which.thumbnail)
    with bucket_at_hand("files"):
        return media.sign_address(tools, tenant_id, which.media, wanted)


_ID = "--media 0d5f3c1e-6f0a-4c55-9d0b-1c8a52f0e0aa"
KIND = Resource(
    "media",
    "files of messages",
    (
        Command("show", TheFile, show_media, _ID),
        Command("address", TheObject, sign_address, _ID),
    ),
)
