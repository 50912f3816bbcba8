"""/v1/dead-letters: what could not be processed, and its replay after a fix."""

from __future__ import annotations

from switchboard.access import Caller, Guarded
from switchboard.intake import letters
from switchboard.intake.asked import LetterSelection, as_document
from switchboard.intake.letters import LetterFilter
from switchboard.kernel.arguments import LIMIT, Nothing, read, read_id, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools

_WHAT = "this dead letter"


def get_letters(tools: Tools, caller: Caller, request: Request) -> Response:
    """List letters, the newest first, without their bodies."""
    wanted = read_query(LetterFilter, request.query)
    return reply(200, letters.browse(tools, caller.tenant_id, wanted))


def get_letter(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show a letter with its body."""
    shown = letters.show(tools, caller.tenant_id, read_id(request.path, _WHAT))
    return reply(200, as_document(shown))


def post_replay(tools: Tools, caller: Caller, request: Request) -> Response:
    """Take one letter through intake now."""
    letter_id = read_id(request.path, _WHAT)
    read(Nothing, request.json(LIMIT) if request.body(LIMIT).strip() else {})
    letter = letters.replay(tools, caller.tenant_id, letter_id)
    return reply(200, as_document(letter))


def post_replays(tools: Tools, caller: Caller, request: Request) -> Response:
    """Put in the job that replays all that are chosen; `job_id` null: the same replay waits."""
    chosen = read(LetterSelection, request.json(LIMIT))
    job_id = letters.order_replay(tools, caller.tenant_id, chosen.selection())
    return reply(202, {"job_id": job_id})


ROUTES = {
    "GET /v1/dead-letters": Guarded("dead_letters:read", get_letters),
    "GET /v1/dead-letters/{id}": Guarded("dead_letters:read", get_letter),
    "POST /v1/dead-letters/{id}/replay": Guarded("dead_letters:write", post_replay),
    "POST /v1/dead-letters/replay": Guarded("dead_letters:write", post_replays),
}
