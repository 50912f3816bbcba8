"""/v1/rules: automation rules, and what they ran."""

from __future__ import annotations

from uuid import UUID

from switchboard.access import Caller, Guarded
from switchboard.automation import rules
from switchboard.kernel.arguments import LIMIT, Nothing, read, read_id, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.kernel.page import Paged
from switchboard.tools import Tools


def get_rules(tools: Tools, caller: Caller, request: Request) -> Response:
    """List rules."""
    wanted = read_query(Paged, request.query)
    return reply(200, rules.list_rules(tools, caller.tenant_id, wanted))


def post_rule(tools: Tools, caller: Caller, request: Request) -> Response:
    """Make a rule, and plan what it is due for."""
    new = read(rules.NewRule, request.json(LIMIT))
    return reply(201, rules.create_rule(tools, caller.tenant_id, new))


def get_rule(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show a rule."""
    return reply(200, rules.show_rule(tools, caller.tenant_id, _id(request)))


def patch_rule(tools: Tools, caller: Caller, request: Request) -> Response:
    """Change a rule."""
    wanted, change = _id(request), read(rules.RuleChange, request.json(LIMIT))
    return reply(200, rules.change_rule(tools, caller.tenant_id, wanted, change))


def delete_rule(tools: Tools, caller: Caller, request: Request) -> Response:
    """Forget a rule and its runs, and show it as it was."""
    if request.body(LIMIT).strip():
        read(Nothing, request.json(LIMIT))
    return reply(200, rules.delete_rule(tools, caller.tenant_id, _id(request)))


def get_runs(tools: Tools, caller: Caller, request: Request) -> Response:
    """List the runs of a rule."""
    wanted, which = _id(request), read_query(rules.RunFilter, request.query)
    return reply(200, rules.list_runs(tools, caller.tenant_id, wanted, which))


def post_dry_run(tools: Tools, caller: Caller, request: Request) -> Response:
    """Say what a rule would have done that is not made."""
    # Asks the policy and the prices: a cold start for the rest does not pay for it.
    from switchboard.automation import rehearsal

    given = read(rehearsal.NewRuleTried, request.json(LIMIT))
    return reply(200, rehearsal.rehearse_new(tools, caller.tenant_id, given))


def post_rule_dry_run(tools: Tools, caller: Caller, request: Request) -> Response:
    """Say what a rule would have done in a past week."""
    from switchboard.automation import rehearsal

    wanted = _id(request)
    given = request.json(LIMIT) if request.body(LIMIT).strip() else {}
    stretch = read(rehearsal.Stretch, given)
    return reply(200, rehearsal.rehearse_rule(tools, caller.tenant_id, wanted, stretch))


def _id(request: Request) -> UUID:
    return read_id(request.path, "this rule")


_ONE = "/v1/rules/{id}"
ROUTES = {
    "GET /v1/rules": Guarded("rules:read", get_rules),
    "POST /v1/rules": Guarded("rules:write", post_rule),
    "POST /v1/rules/dry-run": Guarded("rules:read", post_dry_run),
    f"POST {_ONE}/dry-run": Guarded("rules:read", post_rule_dry_run),
    f"GET {_ONE}": Guarded("rules:read", get_rule),
    f"PATCH {_ONE}": Guarded("rules:write", patch_rule),
    f"DELETE {_ONE}": Guarded("rules:write", delete_rule),
    f"GET {_ONE}/runs": Guarded("rules:read", get_runs),
}
