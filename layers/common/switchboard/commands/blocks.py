"""blocks: people that a number has blocked at Meta."""

from __future__ import annotations

from uuid import UUID

from switchboard.accounts import blocks
from switchboard.accounts.blocks import BlockChange, BlockedUser, BlockFilter, BlockResults
from switchboard.commands._resource import Command, Resource
from switchboard.kernel.page import Page
from switchboard.tools import Tools


def list_blocked(tools: Tools, tenant_id: UUID, wanted: BlockFilter) -> Page[BlockedUser]:
    """List whom a number has blocked, as Meta has it now."""
    return blocks.list_blocked(tools, tenant_id, wanted)


def block(tools: Tools, tenant_id: UUID, wanted: BlockChange) -> BlockResults:
    """Block people who wrote in the last 24 hours; nothing is sent to them any more."""
    return blocks.change(tools, tenant_id, wanted, block=True)


def unblock(tools: Tools, tenant_id: UUID, wanted: BlockChange) -> BlockResults:
    """Unblock people."""
    return blocks.change(tools, tenant_id, wanted, block=False)


_FROM = "--from 106540352242922"
_WHO = f"{_FROM} --users +525550001234 6f1d7c52-7f7e-4f27-9d11-3a4f6d1c9b10"
KIND = Resource(
    "blocks",
    "people that a number has blocked",
    (
        Command("list", BlockFilter, list_blocked, _FROM, ("wa_id", "user_id", "contact_id")),
        Command("add", BlockChange, block, _WHO),
        Command("remove", BlockChange, unblock, _WHO),
    ),
)
