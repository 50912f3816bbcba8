"""rules: automation rules, and what they ran."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import Field

from switchboard.automation import rehearsal, rules
from switchboard.automation.rehearsal import NewRuleTried, Rehearsal, Stretch
from switchboard.automation.rules import NewRule, RuleChange, RunFilter
from switchboard.commands._given import Object
from switchboard.commands._resource import Command, Resource
from switchboard.kernel.arguments import Arguments, read
from switchboard.kernel.errors import Unprocessable
from switchboard.kernel.page import Page, Paged
from switchboard.store.automations import Rule, Run
from switchboard.tools import Tools

_JSON = "as JSON, or @ and the path of a file"


class TheRule(Arguments):
    """One rule."""

    rule: UUID = Field(description="the rule's id")


class GivenRule(NewRule):
    """A rule, its documents as JSON or in files."""

    trigger_config: Object = Field({}, description=f"the trigger's own, {_JSON}")
    conditions: Object = Field({}, description=f"what must hold besides, {_JSON}")
    action_config: Object = Field({}, description=f"the action's own, {_JSON}")
    metadata: Object = Field({}, description=f"the caller's own, {_JSON}")


class GivenChange(RuleChange, TheRule):
    """What to change about a rule, its documents as JSON or in files."""

    trigger_config: Object | None = Field(None, description=f"the trigger's own, {_JSON}")
    conditions: Object | None = Field(None, description=f"what must hold besides, {_JSON}")
    action_config: Object | None = Field(None, description=f"the action's own, {_JSON}")
    metadata: Object | None = Field(None, description=f"the caller's own, {_JSON}")


class TheTriedRule(Stretch):
    """A rule that is made, or the document of one that is not, and the stretch."""

    rule: UUID | None = Field(None, description="the rule's id")
    document: Object | None = Field(
        None, description=f"in its place a rule as the route that makes one takes it, {_JSON}"
    )


class ItsRuns(RunFilter, TheRule):
    """The runs of a rule."""


def list_rules(tools: Tools, tenant_id: UUID, wanted: Paged) -> Page[Rule]:
    """List rules, the newest first."""
    return rules.list_rules(tools, tenant_id, wanted)


def show_rule(tools: Tools, tenant_id: UUID, which: TheRule) -> Rule:
    """Show a rule."""
    return rules.show_rule(tools, tenant_id, which.rule)


def create_rule(tools: Tools, tenant_id: UUID, new: GivenRule) -> Rule:
    """Make a rule, and plan what it is due for."""
    return rules.create_rule(tools, tenant_id, new)


def update_rule(tools: Tools, tenant_id: UUID, given: GivenChange) -> Rule:
    """Change a rule; what it has run for it does not run for again."""
    named = given.model_fields_set - {"rule"}
    change = RuleChange(**{name: getattr(given, name) for name in named})
    return rules.change_rule(tools, tenant_id, given.rule, change)


def delete_rule(tools: Tools, tenant_id: UUID, which: TheRule) -> Rule:
    """Forget a rule and its runs, and show it as it was."""
    return rules.delete_rule(tools, tenant_id, which.rule)


def list_runs(tools: Tools, tenant_id: UUID, which: ItsRuns) -> Page[Run]:
    """List what a rule started and let pass, with reasons, the newest first."""
    wanted = RunFilter(status=which.status, limit=which.limit, cursor=which.cursor)
    return rules.list_runs(tools, tenant_id, which.rule, wanted)


def rehearse(tools: Tools, tenant_id: UUID, given: TheTriedRule) -> Rehearsal:
    """Say what a rule would have done in a past week, and write nothing."""
    times: dict[str, Any] = {"from": given.from_, "until": given.until, "limit": given.limit}
    if (given.rule is None) == (given.document is None):
        raise Unprocessable("exactly one of rule and document must be given", field="rule")
    if given.rule is not None:
        return rehearsal.rehearse_rule(tools, tenant_id, given.rule, read(Stretch, times))
    new = read(NewRuleTried, {**(given.document or {}), **times})
    return rehearsal.rehearse_new(tools, tenant_id, new)


_ID = "--rule 6f1d7c52-7f7e-4f27-9d11-3a4f6d1c9b10"
KIND = Resource(
    "rules",
    "automation rules, and what they ran",
    (
        Command(
            "list",
            Paged,
            list_rules,
            columns=("id", "name", "trigger_type", "action_type", "is_active", "last_triggered_at"),
        ),
        Command("show", TheRule, show_rule, _ID),
        Command(
            "create",
            GivenRule,
            create_rule,
            "--name Reminder --trigger-type trip_start --trigger-config '{\"days_before\": 1}'"
            ' --action-type send_whatsapp --action-config \'{"template": "trip_reminder"}\'',
        ),
        Command("update", GivenChange, update_rule, f"{_ID} --no-is-active"),
        Command("delete", TheRule, delete_rule, _ID),
        Command("dry-run", TheTriedRule, rehearse, f"{_ID} --until 2027-01-31T00:00:00Z"),
        Command(
            "runs",
            ItsRuns,
            list_runs,
            f"{_ID} --status skipped",
            ("started_at", "occurrence", "status", "reason", "contact_id", "message_id"),
        ),
    ),
)
