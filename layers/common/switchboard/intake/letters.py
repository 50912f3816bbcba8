"""Dead letters as a tool: look at them, and take them through intake again once the cause is gone.

A letter's body is a webhook body, so a replay is a delivery: duplicates of what is stored already
change nothing. Afterwards the letter is resolved (all of it is stored, or kept in smaller letters),
or it stays open with the reason of now. What waited for its number's registration with the operator
is the tenant's from then on.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

import orjson
from pydantic import AwareDatetime, Field

from switchboard.intake.store import Stored, store
from switchboard.kernel.errors import NotFound, Unavailable
from switchboard.kernel.log import log
from switchboard.kernel.page import Page, Paged, as_id, as_time, read_cursor, write_cursor
from switchboard.store import jobs, letters
from switchboard.store.letters import Letter, OpenCount, Place, WholeLetter
from switchboard.tools import Tools

#: Why a letter is one; docs/operations.md says what to do about each.
Reason = Literal[
    "another_app",
    "backlog_failed",
    "email_event",
    "malformed",
    "not_json",
    "not_stored",
    "refused_by_database",
    "unhandled_field",
    "unknown_number",
    "unknown_portfolio",
]
REASONS: tuple[str, ...] = get_args(Reason)
_RESOLVED = {"open": False, "resolved": True, "all": None}
#: Bytes of a body that is shown as text. As JSON in JSON in a Lambda's answer, which has 6 MB, each
#: quote takes four; as base64 any body that came in has its room there.
LONGEST_TEXT = 800_000
#: Letters looked up at once by a replay.
_BATCH = 100


class LetterFilter(Paged):
    """Which letters to list."""

    reason: Reason | None = Field(None, description="why they are letters")
    field: str | None = Field(None, max_length=100, description="of this webhook field")
    state: Literal["open", "resolved", "all"] = Field("open", description="open, resolved or all")
    since: AwareDatetime | None = Field(None, description="received then or later")
    until: AwareDatetime | None = Field(None, description="received before")


@dataclass(frozen=True, slots=True)
class Shown:
    """A letter and its body: `text` where that is short UTF-8 for a screen, else `base64`."""

    letter: Letter
    text: str | None
    base64: str | None


@dataclass(slots=True)
class Replayed:
    """What a replay did: letters stored, and letters that stay open; whether to nudge."""

    stored: int = 0
    kept: int = 0
    nudge: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """Which open letters: of one reason, received in [since, until), or just these ids."""

    reason: Reason | None = None
    since: datetime | None = None
    until: datetime | None = None
    ids: tuple[UUID, ...] | None = None


def browse(tools: Tools, tenant_id: UUID, wanted: LetterFilter) -> Page[Letter]:
    """Return letters by (received_at, id), newest first, without their bodies."""
    after = read_cursor("dead letters", wanted, 2)
    with tools.db.transaction(tenant_id) as connection:
        found = letters.list_letters(
            connection,
            tenant_id,
            reason=wanted.reason,
            field=wanted.field,
            resolved=_RESOLVED[wanted.state],
            since=wanted.since,
            until=wanted.until,
            before=None if after is None else Place(as_time(after[0]), as_id(after[1])),
            limit=wanted.limit + 1,
        )
    shown = found[: wanted.limit]
    if len(found) == len(shown):
        return Page(shown, None)
    last = shown[-1]
    return Page(shown, write_cursor("dead letters", wanted, last.received_at, last.id))


def count(tools: Tools, tenant_id: UUID) -> Sequence[OpenCount]:
    """Return how many of the tenant's letters are open, by reason and field, most first."""
    with tools.db.transaction(tenant_id) as connection:
        return letters.count_open(connection, tenant_id)


def show(tools: Tools, tenant_id: UUID, letter_id: UUID) -> Shown:
    """Return one letter with its body. Raises NotFound for an id that the tenant has none of."""
    with tools.db.transaction(tenant_id) as connection:
        letter = letters.find(connection, tenant_id, letter_id)
    if letter is None:
        raise NotFound("there is no such dead letter")
    try:
        text = letter.body.decode()
    except UnicodeDecodeError:
        text = None
    if text is None or "\0" in text or len(letter.body) > LONGEST_TEXT:
        return Shown(letter, None, base64.b64encode(letter.body).decode("ascii"))
    return Shown(letter, text, None)


def replay(tools: Tools, tenant_id: UUID, letter_id: UUID) -> Letter:
    """Take one letter through intake now and return it as it is afterwards.

    Raises NotFound, and Unavailable when the database is away: then nothing of the letter changed.
    One that is resolved stays as it is.
    """
    replayed = Replayed()
    _replay(tools, tenant_id, letter_id, replayed)
    if replayed.nudge:
        tools.nudge()
    return show(tools, tenant_id, letter_id).letter


def order_replay(tools: Tools, tenant_id: UUID, selection: Selection) -> int | None:
    """Put in the job that replays the open letters of `selection`, and return its id.

    It takes those that are there when it runs; None: the same replay waits already.
    """
    args = {
        "reason": selection.reason,
        "since": selection.since,
        "until": selection.until,
        "ids": selection.ids,
    }
    with tools.db.transaction(tenant_id) as connection:
        job = jobs.enqueue(
            connection,
            tenant_id=tenant_id,
            job_type="replay_dead_letters",
            args=args,
            lane="replay_dead_letters",
            unique_key=hashlib.sha256(orjson.dumps(args)).hexdigest(),
            priority=jobs.BULK,
            now=tools.clock.now,
        )
    tools.nudge()
    return job


def replay_some(
    tools: Tools,
    tenant_id: UUID,
    selection: Selection,
    after: Place | None,
    enough_time: Callable[[], bool],
) -> tuple[Replayed, Place | None]:
    """Replay the letters of `selection` behind `after`, oldest first, while there is `enough_time`.

    Returns what was done and where to go on (None: all are done). Each letter's outcome is
    committed before the next one is begun. Raises Unavailable when the database is away.
    """
    replayed = Replayed()
    while True:
        with tools.db.transaction(tenant_id) as connection:
            found = letters.list_open(
                connection,
                tenant_id,
                ids=selection.ids,
                reason=selection.reason,
                since=selection.since,
                until=selection.until,
                after=after,
                limit=_BATCH,
            )
        for place in found:
            # At least one letter a call, so that every call gets on.
            if replayed.stored + replayed.kept and not enough_time():
                return replayed, after
            _replay(tools, tenant_id, place.id, replayed)
            after = place
        if len(found) < _BATCH:
            return replayed, None


def _replay(tools: Tools, tenant_id: UUID, letter_id: UUID, replayed: Replayed) -> None:
    with tools.db.transaction(tenant_id) as connection:
        letter = letters.find(connection, tenant_id, letter_id)
    if letter is None or letter.resolved_at is not None:
        # Stored by another replay, or forgotten, since it was listed.
        return
    try:
        why = _again(tools, tenant_id, letter, replayed)
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001 - one letter must not hold up those behind it
        log.error("dead_letters.not_stored", error=error, letter_id=letter_id)
        why = ("not_stored", type(error).__name__)
    if why is None:
        with tools.db.transaction(tenant_id) as connection:
            letters.resolve(connection, tenant_id, letter_id, now=tools.clock.now)
        replayed.stored += 1
        return
    with tools.db.transaction(tenant_id) as connection:
        letters.keep(connection, tenant_id, letter_id, reason=why[0], detail=why[1])
    replayed.kept += 1


def _again(
    tools: Tools, tenant_id: UUID, letter: WholeLetter, replayed: Replayed
) -> tuple[str, str | None] | None:
    """Take a letter in, where it came from; return why it stays one, None where it is stored."""
    if letter.reason == "email_event":
        # Few letters are about mails.
        from switchboard.mail.events import take_again

        detail = take_again(tools, letter.body)
        return None if detail is None else ("email_event", detail)
    stored = store(tools, letter.body, letter.app_id)
    replayed.nudge = replayed.nudge or stored.nudge
    return _itself(stored, tenant_id, letter.body)


def _itself(stored: Stored, tenant_id: UUID, body: bytes) -> tuple[str, str | None] | None:
    """Return why the letter is the same letter again; None: it is stored, or in smaller ones."""
    for owner, letter in stored.letters:
        if owner == tenant_id and letter.body == body:
            return letter.reason, letter.detail
    return None
