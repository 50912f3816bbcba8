"""Rules: checked by the models of their trigger and action, planned as they are written."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar, get_args
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from switchboard.automation import conditions
from switchboard.automation.actions._kind import ACTIONS
from switchboard.automation.due import named, next_instant
from switchboard.automation.triggers._kind import TRIGGERS
from switchboard.kernel.arguments import Arguments, read
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import NotFound, Unprocessable
from switchboard.kernel.page import Page, Paged, page_of, read_moment
from switchboard.store import automations as store
from switchboard.store.automations import Next, Planned, Rule, Run
from switchboard.tools import Tools
from switchboard.transact import transact

M = TypeVar("M", bound=BaseModel)
Status = Literal["started", "done", "skipped", "failed"]
_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
_Type = Annotated[str, StringConstraints(min_length=1, max_length=100)]
_YEAR_S = 366 * 86_400
_Seconds = Annotated[int, Field(ge=1, le=_YEAR_S, strict=True)]


class NewRule(Arguments):
    """A rule; `trigger_config` and `action_config` are as their types have them."""

    name: _Name = Field(description="what people call it")
    description: str | None = Field(None, max_length=2000, description="what it is for")
    contact_id: UUID | None = Field(
        None, description="the person whose facts alone it looks at; left out: all of the tenant's"
    )
    trigger_type: _Type = Field(description="a trigger, such as trip_start")
    trigger_config: dict[str, Any] = Field(default_factory=dict, description="the trigger's own")
    conditions: dict[str, Any] = Field(
        default_factory=dict, description="what must hold besides; {} is always"
    )
    action_type: _Type = Field(description="an action, such as send_whatsapp")
    action_config: dict[str, Any] = Field(default_factory=dict, description="the action's own")
    is_active: bool = Field(default=True, description="whether it starts anything")
    cool_down_s: _Seconds | None = Field(
        None, description="seconds in which it does not act for the same person again"
    )
    cap_per_contact: int | None = Field(
        None, ge=1, le=1_000_000, strict=True, description="how often it acts for one person in all"
    )
    grace_s: Annotated[int, Field(ge=300, le=_YEAR_S, strict=True)] | None = Field(
        None, description="seconds after which what is late is let pass; left out: the trigger's"
    )
    metadata: dict[str, Any] = Field(default_factory=dict, description="the caller's own")


class RuleChange(Arguments):
    """What to change about a rule; what is left out stays."""

    name: _Name | None = Field(None, description="what people call it")
    description: str | None = Field(None, max_length=2000, description="what it is for")
    contact_id: UUID | None = Field(None, description="the person whose facts alone it looks at")
    trigger_type: _Type | None = Field(None, description="a trigger, such as trip_start")
    trigger_config: dict[str, Any] | None = Field(None, description="the trigger's own")
    conditions: dict[str, Any] | None = Field(None, description="what must hold besides")
    action_type: _Type | None = Field(None, description="an action, such as send_whatsapp")
    action_config: dict[str, Any] | None = Field(None, description="the action's own")
    is_active: bool | None = Field(None, description="whether it starts anything")
    cool_down_s: _Seconds | None = Field(
        None, description="seconds in which it does not act for the same person again"
    )
    cap_per_contact: int | None = Field(
        None, ge=1, le=1_000_000, strict=True, description="how often it acts for one person in all"
    )
    grace_s: Annotated[int, Field(ge=300, le=_YEAR_S, strict=True)] | None = Field(
        None, description="seconds after which what is late is let pass"
    )
    metadata: dict[str, Any] | None = Field(None, description="the caller's own")


class RunFilter(Paged):
    """Which runs of a rule."""

    status: Status | None = Field(
        None, description="started, done, skipped or failed; left out: all"
    )


def list_rules(tools: Tools, tenant_id: UUID, wanted: Paged) -> Page[Rule]:
    """Return rules, the newest first."""

    def find(connection: Connection) -> Page[Rule]:
        rows = store.find_rules(
            connection,
            tenant_id,
            before=read_moment("rules", wanted),
            limit=wanted.limit + 1,
        )
        return page_of("rules", wanted, rows, lambda last: (last.created_at, last.id))

    return transact(tools, tenant_id, find)


def show_rule(tools: Tools, tenant_id: UUID, rule_id: UUID) -> Rule:
    """Return a rule; raises NotFound."""
    return transact(tools, tenant_id, lambda connection: _show(connection, tenant_id, rule_id))


def create_rule(tools: Tools, tenant_id: UUID, new: NewRule) -> Rule:
    """Write a rule, and with it what it is due for.

    Raises Unprocessable that names the member which its trigger or its action does not take,
    NotFound for a contact that is not known.
    """
    rule_id = tools.clock.new_id()  # named once: the work may run twice
    columns, planned = checked(new)

    def write(connection: Connection) -> Rule:
        store.hold_rules(connection, tenant_id, now=tools.clock.now)
        own_contact(connection, tenant_id, columns)
        store.insert_rule(connection, tenant_id, rule_id, columns, planned, now=tools.clock.now)
        _schedule(tools, connection, tenant_id, rule_id, columns)
        return _show(connection, tenant_id, rule_id)

    return transact(tools, tenant_id, write)


def change_rule(tools: Tools, tenant_id: UUID, rule_id: UUID, change: RuleChange) -> Rule:
    """Change a rule: what it is due for is planned anew; what it has run for, it has.

    Raises as `create_rule` does, and NotFound for a rule that is not known.
    """

    def write(connection: Connection) -> Rule:
        store.hold_rules(connection, tenant_id, now=tools.clock.now)
        if not store.lock_rule(connection, tenant_id, rule_id):
            raise _unknown()
        before = _show(connection, tenant_id, rule_id)
        whole = {name: getattr(before, name) for name in NewRule.model_fields}
        changed = {name: getattr(change, name) for name in change.model_fields_set}
        columns, planned = checked(read(NewRule, {**whole, **changed}))
        own_contact(connection, tenant_id, columns)
        store.update_rule(connection, tenant_id, rule_id, columns, planned, now=tools.clock.now)
        if changed.keys() & {"trigger_type", "trigger_config", "is_active"}:
            _schedule(tools, connection, tenant_id, rule_id, columns)
        return _show(connection, tenant_id, rule_id)

    return transact(tools, tenant_id, write)


def delete_rule(tools: Tools, tenant_id: UUID, rule_id: UUID) -> Rule:
    """Forget a rule and its runs, and return it as it was; raises NotFound.

    A run that has begun but not acted does not act any more.
    """
    before: list[Rule] = []

    def write(connection: Connection) -> Rule:
        store.hold_rules(connection, tenant_id, now=tools.clock.now)
        if store.lock_rule(connection, tenant_id, rule_id):
            # Where the link was lost at the commit, the first run has deleted it.
            before[:] = [_show(connection, tenant_id, rule_id)]
            store.delete_rule(connection, tenant_id, rule_id)
        if not before:
            raise _unknown()
        return before[0]

    return transact(tools, tenant_id, write)


def list_runs(tools: Tools, tenant_id: UUID, rule_id: UUID, wanted: RunFilter) -> Page[Run]:
    """Return a rule's runs, the newest first; raises NotFound."""
    # A cursor of one rule's is none of another's.
    name = f"runs {rule_id}"

    def find(connection: Connection) -> Page[Run]:
        _show(connection, tenant_id, rule_id)
        rows = store.find_runs(
            connection,
            tenant_id,
            rule_id,
            states=get_args(Status) if wanted.status is None else (wanted.status,),
            before=read_moment(name, wanted),
            limit=wanted.limit + 1,
        )
        return page_of(name, wanted, rows, lambda last: (last.started_at, last.id))

    return transact(tools, tenant_id, find)


def checked(rule: NewRule) -> tuple[dict[str, Any], Planned]:
    """Return a rule's columns and its plan; raises Unprocessable that names the member."""
    if rule.trigger_type not in TRIGGERS.names():
        raise _none_of("trigger_type", TRIGGERS.names())
    if rule.action_type not in ACTIONS.names():
        raise _none_of("action_type", ACTIONS.names())
    trigger, action = TRIGGERS[rule.trigger_type], ACTIONS[rule.action_type]
    config = _config("trigger_config", trigger.config, rule.trigger_config)
    _config("action_config", action.config, rule.action_config)
    conditions.check(rule.conditions)
    plan = trigger.plan(config)
    columns = {
        **{name: getattr(rule, name) for name in NewRule.model_fields},
        "grace_s": trigger.grace_s if rule.grace_s is None else rule.grace_s,
    }
    return columns, Planned(plan.days, plan.at, plan.delay, plan.percent, plan.listens_to)


def _config(where: str, model: type[M], given: dict[str, Any]) -> M:
    try:
        return read(model, given)
    except Unprocessable as error:
        field = where if error.field is None else f"{where}.{error.field}"
        raise Unprocessable(f"{where}: {error.detail}", field=field) from None


def _none_of(field: str, names: list[str]) -> Unprocessable:
    return Unprocessable(f"{field} must be one of {', '.join(names)}", field=field)


def own_contact(connection: Connection, tenant_id: UUID, columns: dict[str, Any]) -> None:
    """Put the contact that the id stands for now in its place; raises NotFound."""
    if columns["contact_id"] is None:
        return
    found = store.find_contact(connection, tenant_id, columns["contact_id"], None)
    if found is None:
        raise NotFound("this contact is not known", field="contact_id")
    columns["contact_id"] = found


def _schedule(
    tools: Tools,
    connection: Connection,
    tenant_id: UUID,
    rule_id: UUID,
    columns: dict[str, Any],
) -> None:
    """Write the next instant of a schedule; raises Unprocessable where an active one has none."""
    upcoming = None
    if columns["trigger_type"] == "schedule" and columns["is_active"]:
        now = store.read_now(connection, now=tools.clock.now)
        instant = next_instant(columns["trigger_config"], now)
        if instant is None:
            raise Unprocessable("nothing is planned after now", field="trigger_config")
        upcoming = Next(tenant_id, rule_id, named(instant), instant)
    store.write_schedule(connection, tenant_id, rule_id, upcoming)


def _show(connection: Connection, tenant_id: UUID, rule_id: UUID) -> Rule:
    found = store.find_rule(connection, tenant_id, rule_id)
    if found is None:
        raise _unknown()
    return found


def _unknown() -> NotFound:
    return NotFound("this rule is not known")
