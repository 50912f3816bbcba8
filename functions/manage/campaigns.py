"""/v1/campaigns: a template to many people, and how far it has come."""

from __future__ import annotations

from uuid import UUID

from switchboard.access import Caller, Guarded
from switchboard.campaigns import control, costs, drafts, people
from switchboard.kernel.arguments import LIMIT, Nothing, read, read_id, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools


def get_campaigns(tools: Tools, caller: Caller, request: Request) -> Response:
    """List campaigns, the newest first."""
    wanted = read_query(drafts.CampaignFilter, request.query)
    return reply(200, drafts.list_campaigns(tools, caller.tenant_id, wanted))


def post_campaign(tools: Tools, caller: Caller, request: Request) -> Response:
    """Make a draft."""
    new = read(drafts.NewCampaign, request.json(LIMIT))
    return reply(201, drafts.create_campaign(tools, caller.tenant_id, new))


def get_campaign(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show a campaign with its progress."""
    return reply(200, drafts.show_campaign(tools, caller.tenant_id, _id(request)))


def patch_campaign(tools: Tools, caller: Caller, request: Request) -> Response:
    """Change a campaign."""
    wanted, change = _id(request), read(drafts.CampaignChange, request.json(LIMIT))
    return reply(200, drafts.change_campaign(tools, caller.tenant_id, wanted, change))


def post_schedule(tools: Tools, caller: Caller, request: Request) -> Response:
    """Let it begin at its time."""
    wanted, when = _id(request), read(control.CampaignSchedule, _body(request))
    return reply(200, control.schedule_campaign(tools, caller.tenant_id, wanted, when))


def post_start(tools: Tools, caller: Caller, request: Request) -> Response:
    """Let it begin now."""
    wanted = _bare(request)
    return reply(200, control.start_campaign(tools, caller.tenant_id, wanted))


def post_pause(tools: Tools, caller: Caller, request: Request) -> Response:
    """Pause it."""
    wanted, pause = _id(request), read(control.CampaignPause, _body(request))
    return reply(200, control.pause_campaign(tools, caller.tenant_id, wanted, pause))


def post_resume(tools: Tools, caller: Caller, request: Request) -> Response:
    """Let it go on."""
    wanted = _bare(request)
    return reply(200, control.resume_campaign(tools, caller.tenant_id, wanted))


def post_cancel(tools: Tools, caller: Caller, request: Request) -> Response:
    """End it for good."""
    wanted = _bare(request)
    return reply(200, control.cancel_campaign(tools, caller.tenant_id, wanted))


def post_retry(tools: Tools, caller: Caller, request: Request) -> Response:
    """Send again what has failed."""
    wanted = _bare(request)
    return reply(202, control.retry_failed(tools, caller.tenant_id, wanted))


def get_recipients(tools: Tools, caller: Caller, request: Request) -> Response:
    """List its recipients in the order of their turns."""
    wanted, which = _id(request), read_query(people.RecipientFilter, request.query)
    return reply(200, people.list_recipients(tools, caller.tenant_id, wanted, which))


def get_cost(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show what it will cost, and what it has cost."""
    read_query(Nothing, request.query)
    return reply(200, costs.show_cost(tools, caller.tenant_id, _id(request)))


def post_preview(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show what one person would get."""
    wanted, whose = _id(request), read(people.PreviewFor, request.json(LIMIT))
    return reply(200, people.preview(tools, caller.tenant_id, wanted, whose))


def _id(request: Request) -> UUID:
    return read_id(request.path, "this campaign")


def _body(request: Request) -> object:
    """Return the body; none at all is an empty object."""
    return request.json(LIMIT) if request.body(LIMIT).strip() else {}


def _bare(request: Request) -> UUID:
    wanted = _id(request)
    read(Nothing, _body(request))
    return wanted


_ONE = "/v1/campaigns/{id}"
ROUTES = {
    "GET /v1/campaigns": Guarded("campaigns:read", get_campaigns),
    "POST /v1/campaigns": Guarded("campaigns:write", post_campaign),
    f"GET {_ONE}": Guarded("campaigns:read", get_campaign),
    f"PATCH {_ONE}": Guarded("campaigns:write", patch_campaign),
    f"POST {_ONE}/schedule": Guarded("campaigns:write", post_schedule),
    f"POST {_ONE}/start": Guarded("campaigns:write", post_start),
    f"POST {_ONE}/pause": Guarded("campaigns:write", post_pause),
    f"POST {_ONE}/resume": Guarded("campaigns:write", post_resume),
    f"POST {_ONE}/cancel": Guarded("campaigns:write", post_cancel),
    f"POST {_ONE}/retry-failed": Guarded("campaigns:write", post_retry),
    f"GET {_ONE}/recipients": Guarded("campaigns:read", get_recipients),
    f"GET {_ONE}/cost": Guarded("campaigns:read", get_cost),
    f"POST {_ONE}/preview": Guarded("campaigns:read", post_preview),
}
