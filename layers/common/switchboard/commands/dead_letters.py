"""dead-letters: what could not be processed, and its replay after a fix."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import Field

from switchboard.commands._resource import Command, Resource
from switchboard.intake import letters
from switchboard.intake.asked import LetterSelection, as_document
from switchboard.intake.letters import LetterFilter
from switchboard.kernel.arguments import Arguments, Nothing
from switchboard.kernel.page import Page
from switchboard.store.letters import Letter
from switchboard.tools import Tools


class TheLetter(Arguments):
    """One letter."""

    letter: UUID = Field(description="the letter's id")


def list_letters(tools: Tools, tenant_id: UUID, wanted: LetterFilter) -> Page[Letter]:
    """List what could not be processed, the newest first."""
    return letters.browse(tools, tenant_id, wanted)


def count_letters(tools: Tools, tenant_id: UUID, _nothing: Nothing) -> dict[str, Any]:
    """Count what is open, by reason and field."""
    return {"data": letters.count(tools, tenant_id)}


def show_letter(tools: Tools, tenant_id: UUID, which: TheLetter) -> dict[str, Any]:
    """Show a letter with its body."""
    return as_document(letters.show(tools, tenant_id, which.letter))


def replay_letter(tools: Tools, tenant_id: UUID, which: TheLetter) -> dict[str, Any]:
    """Take one letter through intake now."""
    return as_document(letters.replay(tools, tenant_id, which.letter))


def replay_letters(tools: Tools, tenant_id: UUID, chosen: LetterSelection) -> dict[str, Any]:
    """Put in the job that replays all that are chosen."""
    return {"job_id": letters.order_replay(tools, tenant_id, chosen.selection())}


_ID = "--letter 0d5f3c1e-6f0a-4c55-9d0b-1c8a52f0e0aa"
KIND = Resource(
    "dead_letters",
    "what could not be processed (of no tenant: --tenant system)",
    (
        Command(
            "list",
            LetterFilter,
            list_letters,
            "--reason unhandled_field",
            ("id", "received_at", "reason", "field", "replays", "resolved_at"),
        ),
        Command("count", Nothing, count_letters, columns=("reason", "field", "letters", "oldest")),
        Command("show", TheLetter, show_letter, _ID),
        Command("replay", TheLetter, replay_letter, _ID),
        Command("replay-all", LetterSelection, replay_letters, "--reason unhandled_field"),
    ),
)
