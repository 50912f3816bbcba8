"""/v1/consents: what people have agreed to and taken back."""

from __future__ import annotations

from switchboard.access import Caller, Guarded
from switchboard.inbox import consents
from switchboard.kernel.arguments import LIMIT, read, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools

#: Bytes of a batch: a thousand statements of the longest wording, in letters of four bytes.
BATCH_LIMIT = 4_000_000


def get_consents(tools: Tools, caller: Caller, request: Request) -> Response:
    """List statements."""
    wanted = read_query(consents.ConsentFilter, request.query)
    return reply(200, consents.list_consents(tools, caller.tenant_id, wanted))


def post_consent(tools: Tools, caller: Caller, request: Request) -> Response:
    """Record a statement that was made elsewhere."""
    new = read(consents.NewConsent, request.json(LIMIT))
    return reply(200, consents.record_consent(tools, caller.tenant_id, new))


def post_batch(tools: Tools, caller: Caller, request: Request) -> Response:
    """Record up to 1,000 statements; each is answered by itself."""
    batch = read(consents.ConsentBatch, request.json(BATCH_LIMIT))
    return reply(200, consents.record_consents(tools, caller.tenant_id, batch))


ROUTES = {
    "GET /v1/consents": Guarded("consents:read", get_consents),
    "POST /v1/consents": Guarded("consents:write", post_consent),
    "POST /v1/consents/batch": Guarded("consents:write", post_batch),
}
