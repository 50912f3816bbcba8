"""/v1/lists: lists of people that staff made, for campaigns to reach."""

from __future__ import annotations

from switchboard.access import Caller, Guarded
from switchboard.campaigns.audience import lists
from switchboard.kernel.arguments import LIMIT, Nothing, read, read_id, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools

_WHAT = "this list"
#: Bytes of people: what Lambda takes of a body, and API Gateway may have written in base64.
MEMBERS_LIMIT = 4_500_000


def get_lists(tools: Tools, caller: Caller, request: Request) -> Response:
    """List lists, the newest first."""
    wanted = read_query(lists.ListFilter, request.query)
    return reply(200, lists.list_lists(tools, caller.tenant_id, wanted))


def post_list(tools: Tools, caller: Caller, request: Request) -> Response:
    """Make a list."""
    new = read(lists.NewList, request.json(LIMIT))
    return reply(201, lists.create_list(tools, caller.tenant_id, new))


def get_list(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show a list with the number of its members."""
    return reply(200, lists.show_list(tools, caller.tenant_id, read_id(request.path, _WHAT)))


def delete_list(tools: Tools, caller: Caller, request: Request) -> Response:
    """Forget a list, and show it as it was."""
    list_id = read_id(request.path, _WHAT)
    read(Nothing, request.json(LIMIT) if request.body(LIMIT).strip() else {})
    return reply(200, lists.delete_list(tools, caller.tenant_id, list_id))


def get_members(tools: Tools, caller: Caller, request: Request) -> Response:
    """List who is on a list."""
    list_id = read_id(request.path, _WHAT)
    wanted = read_query(lists.MemberFilter, request.query)
    return reply(200, lists.list_members(tools, caller.tenant_id, list_id, wanted))


def post_members(tools: Tools, caller: Caller, request: Request) -> Response:
    """Put people on a list: JSON, or a CSV file as text/csv."""
    # Reads phones and files: a cold start for the rest does not pay for it.
    from switchboard.campaigns.audience import members

    list_id = read_id(request.path, _WHAT)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "text/csv":
        content = request.body(MEMBERS_LIMIT)
        done = members.import_csv(
            tools, caller.tenant_id, list_id, content, within_s=members.REQUEST_S
        )
    else:
        new = read(lists.NewMembers, request.json(MEMBERS_LIMIT))
        done = members.add_members(tools, caller.tenant_id, list_id, new)
    return reply(200, done)


def delete_members(tools: Tools, caller: Caller, request: Request) -> Response:
    """Take people off a list."""
    list_id = read_id(request.path, _WHAT)
    leaving = read(lists.Leaving, request.json(LIMIT))
    return reply(200, lists.remove_members(tools, caller.tenant_id, list_id, leaving))


_ONE = "/v1/lists/{id}"
ROUTES = {
    "GET /v1/lists": Guarded("audiences:read", get_lists),
    "POST /v1/lists": Guarded("audiences:write", post_list),
    f"GET {_ONE}": Guarded("audiences:read", get_list),
    f"DELETE {_ONE}": Guarded("audiences:write", delete_list),
    f"GET {_ONE}/members": Guarded("audiences:read", get_members),
    f"POST {_ONE}/members": Guarded("audiences:write", post_members),
    f"DELETE {_ONE}/members": Guarded("audiences:write", delete_members),
}
