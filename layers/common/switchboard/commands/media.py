"""media: files of messages; files for messages, uploaded to Meta."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from uuid import UUID

from pydantic import Field, model_validator

from switchboard.accounts import uploads
from switchboard.accounts.uploads import DeletedUpload, LinkUpload, UploadedFile
from switchboard.commands._aws import bucket_at_hand
from switchboard.commands._resource import Command, Resource
from switchboard.inbox import media
from switchboard.inbox.media import Address, AddressWanted
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.errors import Unprocessable
from switchboard.store.messages import Media
from switchboard.tools import Tools


class TheFile(Arguments):
    """One file."""

    media: UUID = Field(description="the file's id, as its message names it")


class TheObject(AddressWanted, TheFile):
    """One file, or its thumbnail."""


class Upload(Arguments):
    """A file for messages of a number: one of this machine, or one behind a link."""

    sender: str = Field(
        alias="from", min_length=1, max_length=50, description="the number's id at Meta"
    )
    file: Path | None = Field(None, description="a file of this machine, up to 100 MB")
    link: str | None = Field(None, max_length=2000, description="https address of the file")
    filename: uploads.FileName | None = Field(
        None, description="the file's name at Meta; left out: its own"
    )
    mime_type: str | None = Field(
        None, max_length=200, description="its type; left out: by its name, or as its server says"
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> Upload:
        if (self.file is None) == (self.link is None):
            raise ValueError("exactly one of file and link must be given")
        return self


class TheUpload(Arguments):
    """One upload."""

    upload: str = Field(min_length=1, max_length=50, description="the file's id at Meta")


def show_media(tools: Tools, tenant_id: UUID, which: TheFile) -> Media:
    """Show what is known of a file."""
    return media.show_media(tools, tenant_id, which.media)


def sign_address(tools: Tools, tenant_id: UUID, which: TheObject) -> Address:
    """Sign an address that reads the file for some minutes, without a key."""
    wanted = AddressWanted(thumbnail=which.thumbnail)
    with bucket_at_hand("files"):
        return media.sign_address(tools, tenant_id, which.media, wanted)


def upload(tools: Tools, tenant_id: UUID, given: Upload) -> UploadedFile:
    """Upload a file to Meta for messages of a number, unless it has been."""
    if given.file is None:
        assert given.link is not None
        wanted = LinkUpload(
            **{"from": given.sender},
            link=given.link,
            filename=given.filename,
            mime_type=given.mime_type,
        )
        return uploads.upload_link(tools, tenant_id, wanted)
    try:
        with given.file.open("rb") as content:
            return uploads.upload_file(
                tools,
                tenant_id,
                given.sender,
                content,
                mime_type=given.mime_type or mimetypes.guess_type(given.file.name)[0],
                file_name=given.filename or given.file.name[:240],
                field="mime_type",
            )
    except OSError as error:
        raise Unprocessable(f"the file cannot be read: {error.strerror}", field="file") from None


def delete_upload(tools: Tools, tenant_id: UUID, which: TheUpload) -> DeletedUpload:
    """Delete an upload at Meta and here."""
    return uploads.delete_upload(tools, tenant_id, which.upload)


_ID = "--media 0d5f3c1e-6f0a-4c55-9d0b-1c8a52f0e0aa"
KIND = Resource(
    "media",
    "files of messages",
    (
        Command("show", TheFile, show_media, _ID),
        Command("address", TheObject, sign_address, _ID),
        Command("upload", Upload, upload, "--from 106540352242922 --file menu.pdf"),
        Command("delete-upload", TheUpload, delete_upload, "--upload 1037543291543636"),
    ),
)
