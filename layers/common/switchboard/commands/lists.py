"""lists: lists of people that staff made, for campaigns to reach."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from pydantic import Field

from switchboard.campaigns.audience import lists, members
from switchboard.campaigns.audience.lists import Leaving, Left, ListFilter, MemberFilter, NewList
from switchboard.campaigns.audience.members import Imported
from switchboard.commands._resource import Command, Resource
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.errors import Unprocessable
from switchboard.kernel.page import Page
from switchboard.store.contact_lists import ContactList, Member
from switchboard.tools import Tools


class TheList(Arguments):
    """One list."""

    list: UUID = Field(description="the list's id")


class ItsMembers(MemberFilter, TheList):
    """Who is on a list."""


class CsvFile(TheList):
    """A file of people."""

    file: Path = Field(description="a CSV file with a column phone or contact_id; UTF-8")


class LeavingList(Leaving, TheList):
    """Who leaves a list."""


def list_lists(tools: Tools, tenant_id: UUID, wanted: ListFilter) -> Page[ContactList]:
    """List lists, the newest first."""
    return lists.list_lists(tools, tenant_id, wanted)


def create_list(tools: Tools, tenant_id: UUID, new: NewList) -> ContactList:
    """Make a list."""
    return lists.create_list(tools, tenant_id, new)


def show_list(tools: Tools, tenant_id: UUID, which: TheList) -> ContactList:
    """Show a list with the number of its members."""
    return lists.show_list(tools, tenant_id, which.list)


def delete_list(tools: Tools, tenant_id: UUID, which: TheList) -> ContactList:
    """Forget a list, and show it as it was."""
    return lists.delete_list(tools, tenant_id, which.list)


def list_members(tools: Tools, tenant_id: UUID, which: ItsMembers) -> Page[Member]:
    """List who is on a list."""
    wanted = MemberFilter(limit=which.limit, cursor=which.cursor)
    return lists.list_members(tools, tenant_id, which.list, wanted)


def import_file(tools: Tools, tenant_id: UUID, given: CsvFile) -> Imported:
    """Put the people of a CSV file on a list, and report each line that was left out."""
    try:
        content = given.file.read_bytes()
    except OSError as error:
        raise Unprocessable(
            f"the file cannot be read: {type(error).__name__}", field="file"
        ) from None
    return members.import_csv(tools, tenant_id, given.list, content)


def remove_members(tools: Tools, tenant_id: UUID, leaving: LeavingList) -> Left:
    """Take people off a list."""
    who = Leaving(phones=leaving.phones, contact_ids=leaving.contact_ids)
    return lists.remove_members(tools, tenant_id, leaving.list, who)


_ID = "--list 0d5f3c1e-6f0a-4c55-9d0b-1c8a52f0e0aa"
KIND = Resource(
    "lists",
    "lists of people, for campaigns to reach",
    (
        Command(
            "list",
            ListFilter,
            list_lists,
            "",
            ("id", "name", "description", "created_at"),
        ),
        Command("create", NewList, create_list, '--name "Spring fair"'),
        Command("show", TheList, show_list, _ID),
        Command("delete", TheList, delete_list, _ID),
        Command(
            "members",
            ItsMembers,
            list_members,
            _ID,
            ("contact_id", "phone_number", "given", "created_at"),
        ),
        Command("import", CsvFile, import_file, f"{_ID} --file people.csv"),
        Command("remove", LeavingList, remove_members, f"{_ID} --phones +525550001234"),
    ),
)
