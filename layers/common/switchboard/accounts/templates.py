"""Templates of a tenant's business accounts: listed here, made, edited and deleted at Meta.

What Meta answers is kept as if a webhook had told it, with the time of the question. After each
change the template is read again; where that fails, or nobody knows whether Meta made the change, a
sync is put in.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from switchboard.accounts._meta import account_of, document_of
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Conflict, NotFound, Unavailable, Unprocessable
from switchboard.kernel.log import log
from switchboard.kernel.page import WALK, Page, Paged, read_cursor, write_cursor
from switchboard.store import jobs
from switchboard.store import templates as store
from switchboard.store.templates import Template
from switchboard.tools import Tools
from switchboard.transact import transact
from switchboard.whatsapp import templates_api as meta
from switchboard.whatsapp.client import NotSent, Rejected, Throttled, Unconfirmed
from switchboard.whatsapp.template_limits import Fault, check_components, check_name, check_ttl
from switchboard.whatsapp.templates_api import Found

#: What Meta lets be edited (Cloud API, Message templates).
EDITABLE = ("APPROVED", "REJECTED", "PAUSED")
_MOST_COMPONENTS = 20
#: What the columns are called to callers, and the position of a row in its list.
_LIST = "templates"
R = TypeVar("R")


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _underscored(value: str) -> str:
    return value.replace("-", "_")


Word = Annotated[str, BeforeValidator(_upper), Field(min_length=1, max_length=50)]
Language = Annotated[str, AfterValidator(_underscored), Field(min_length=2, max_length=20)]
Category = Annotated[Literal["AUTHENTICATION", "MARKETING", "UTILITY"], BeforeValidator(_upper)]
Components = Annotated[list[dict[str, Any]], Field(min_length=1, max_length=_MOST_COMPONENTS)]
_COMPONENTS = "the template's components in Meta's shape: BODY, and HEADER, FOOTER, BUTTONS, …"
_TTL = "for how many seconds Meta tries to deliver a message; -1: 30 days"


class TemplateFilter(Paged):
    """Which templates: those that fit all of it."""

    waba_id: str | None = Field(None, max_length=50, description="of this business account")
    status: Word | None = Field(None, description="APPROVED, PENDING, REJECTED, PAUSED, …")
    category: Word | None = Field(None, description="AUTHENTICATION, MARKETING or UTILITY")
    name: str | None = Field(None, max_length=512, description="with this name")
    language: Language | None = Field(None, description="in this language, as es_MX")
    quality: Word | None = Field(None, description="GREEN, YELLOW, RED or UNKNOWN")


class NewTemplate(Arguments):
    """A template to submit."""

    waba_id: str = Field(max_length=50, description="the business account that it is for")
    name: str = Field(description="small letters, digits and underscores, at most 512")
    category: Category = Field(description="AUTHENTICATION, MARKETING or UTILITY")
    language: Language = Field(description="as es_MX")
    components: Components = Field(description=_COMPONENTS)
    parameter_format: Annotated[Literal["POSITIONAL", "NAMED"] | None, BeforeValidator(_upper)] = (
        Field(None, description="POSITIONAL ({{1}}, the default) or NAMED ({{first_name}})")
    )
    message_send_ttl_seconds: int | None = Field(None, description=_TTL)
    allow_category_change: bool | None = Field(
        None, description="whether Meta may choose another category instead of refusing"
    )


class TemplateChange(Arguments):
    """What to change about a template: components are replaced as a whole."""

    category: Category | None = Field(
        None, description="another category; not of an approved template"
    )
    components: Components | None = Field(None, description=_COMPONENTS)
    message_send_ttl_seconds: int | None = Field(None, description=_TTL)

    @model_validator(mode="after")
    def _something(self) -> TemplateChange:
        if not self.model_dump(exclude_none=True):
            raise ValueError("category, components or message_send_ttl_seconds must be given")
        return self


class Deletion(Arguments):
    """How much to delete."""

    all_languages: bool = Field(
        default=False, description="all languages of the template's name, not this one alone"
    )


def list_templates(tools: Tools, tenant_id: UUID, wanted: TemplateFilter) -> Page[Template]:
    """Return templates by business account, name and language; deleted ones are among them."""

    def read(connection: Connection) -> Page[Template]:
        after = read_cursor(_LIST, wanted, 3) or ["", "", ""]
        steps = store.walk(
            connection,
            tenant_id,
            after=(after[0] or "", after[1] or "", after[2] or ""),
            walk=WALK,
            limit=wanted.limit,
            waba=wanted.waba_id,
            status=wanted.status,
            category=wanted.category,
            name=wanted.name,
            language=wanted.language,
            quality=wanted.quality,
        )
        fitting = [step for step in steps if step.matches]
        last = None
        if len(fitting) > wanted.limit:
            fitting = fitting[: wanted.limit]
            last = fitting[-1]
        elif steps and steps[-1].place == WALK:
            last = steps[-1]
        rows = store.load(connection, tenant_id, [step.id for step in fitting])
        if last is None:
            return Page(rows, None)
        return Page(rows, write_cursor(_LIST, wanted, last.waba_id, last.name, last.language))

    return transact(tools, tenant_id, read)


def show_template(tools: Tools, tenant_id: UUID, template: UUID) -> Template:
    """Return a template as it is known here; raises NotFound."""
    return transact(tools, tenant_id, lambda connection: _show(connection, tenant_id, template))


def create_template(tools: Tools, tenant_id: UUID, new: NewTemplate) -> Template:
    """Submit a template to Meta and return it, mostly still PENDING: a webhook tells the rest.

    Raises Unprocessable for what Meta would refuse, with all faults in `problems`; NotFound for an
    unknown account; RefusedByMeta, Unavailable, NotAnswered for what Meta answers.
    """
    faults = [
        *check_name(new.name, new.language),
        *_faults(new.category, new.components, new.message_send_ttl_seconds, new.parameter_format),
    ]
    _refuse(faults)
    account = account_of(tools, tenant_id, new.waba_id)
    asked = _begin(tools, tenant_id, new.waba_id, new.name, new.language)
    definition = new.model_dump(exclude={"waba_id"}, exclude_none=True)
    told = meta.create_template(tools.graph, new.waba_id, account.token, definition)
    made = _done(tools, tenant_id, new.waba_id, told)
    states: dict[str, Any] = {"id": made.template_id, "category": made.category or new.category}
    if made.status is not None:
        states["status"] = {"status": made.status}
    submitted = Found(
        new.name,
        new.language,
        states,
        list(new.components),
        new.parameter_format,
        new.message_send_ttl_seconds,
    )
    found = _read_again(tools, made.template_id, account.token, submitted)
    return _keep(tools, tenant_id, new.waba_id, found or submitted, asked, whole=found is not None)


def edit_template(
    tools: Tools, tenant_id: UUID, template: UUID, change: TemplateChange
) -> Template:
    """Change a template at Meta, which judges it anew, and return it.

    Raises NotFound; Conflict for one that Meta lets nobody edit now; Unprocessable for what Meta
    would refuse; RefusedByMeta, Unavailable, NotAnswered for what Meta answers: it allows an
    approved template one edit in 24 hours and ten in 30 days.
    """
    before, meta_id = _at_meta(tools, tenant_id, template)
    if before.status not in EDITABLE:
        raise Conflict(f"only {', '.join(EDITABLE)} templates can be edited, not {before.status}")
    if change.category and change.category != before.category and before.status == "APPROVED":
        raise Unprocessable(
            "the category of an approved template cannot be changed", field="category"
        )
    _refuse(
        _faults(
            change.category or before.category or "",
            change.components,
            change.message_send_ttl_seconds,
            before.parameter_format,
        )
    )
    account = account_of(tools, tenant_id, before.waba_id)
    asked = _begin(tools, tenant_id, before.waba_id, before.name, before.language)
    document = change.model_dump(exclude_none=True)
    told = meta.edit_template(tools.graph, meta_id, account.token, document)
    _done(tools, tenant_id, before.waba_id, told)
    return _refresh(tools, tenant_id, before, account.token, asked)


def unpause_template(tools: Tools, tenant_id: UUID, template: UUID) -> Template:
    """End a pause at Meta and return the template.

    Raises NotFound, Conflict for one that is not paused; RefusedByMeta, Unavailable, NotAnswered
    for what Meta answers: it ends pauses that pacing made, not those for low quality.
    """
    before, meta_id = _at_meta(tools, tenant_id, template)
    if before.status != "PAUSED":
        raise Conflict(f"only a PAUSED template can be unpaused, not one that is {before.status}")
    account = account_of(tools, tenant_id, before.waba_id)
    asked = _begin(tools, tenant_id, before.waba_id, before.name, before.language)
    told = meta.unpause_template(tools.graph, meta_id, account.token)
    _done(tools, tenant_id, before.waba_id, told)
    return _refresh(tools, tenant_id, before, account.token, asked)


def delete_template(tools: Tools, tenant_id: UUID, template: UUID, how: Deletion) -> Template:
    """Delete a template at Meta, in its language or in all, and return it as deleted.

    One that is deleted already is returned as it is. Raises NotFound; RefusedByMeta, Unavailable,
    NotAnswered for what Meta answers. A name that was approved is free again after 30 days.
    """
    before = show_template(tools, tenant_id, template)
    if before.status == "DELETED" and not how.all_languages:
        return before
    meta_id = None
    if not how.all_languages:
        before, meta_id = _at_meta(tools, tenant_id, template)
    account = account_of(tools, tenant_id, before.waba_id)
    told = meta.delete_template(tools.graph, before.waba_id, account.token, before.name, meta_id)
    _done(tools, tenant_id, before.waba_id, told)

    def write(connection: Connection) -> Template:
        store.mark_deleted(
            connection,
            tenant_id,
            before.waba_id,
            before.name,
            None if how.all_languages else before.language,
            now=tools.clock.now,
        )
        return _show(connection, tenant_id, template)

    return transact(tools, tenant_id, write)


def done(told: R | Rejected | Throttled | NotSent | Unconfirmed) -> R:
    """Return what Meta answered; raises what the caller is told where it did not do as asked."""
    if isinstance(told, Rejected | Throttled | NotSent | Unconfirmed):
        document_of(told)
        raise AssertionError("unreachable")
    return told


def _done(
    tools: Tools,
    tenant_id: UUID,
    waba_id: str,
    told: R | Rejected | Throttled | NotSent | Unconfirmed,
) -> R:
    """Return and raise as `done` does; what may have been done is found by a sync."""
    if isinstance(told, Unconfirmed):
        # Without the database the daily sync finds it; the caller hears of Meta's answer anyway.
        with suppress(Unavailable):
            transact(tools, tenant_id, lambda link: _put_sync(tools, link, tenant_id, waba_id))
    return done(told)


def _at_meta(tools: Tools, tenant_id: UUID, template: UUID) -> tuple[Template, str]:
    """Return the template and Meta's id of it; raises Conflict where that is not known yet."""
    found = show_template(tools, tenant_id, template)
    if found.template_id is None:
        raise Conflict("Meta's id of this template is not known yet: sync the account first")
    return found, found.template_id


def _refresh(
    tools: Tools, tenant_id: UUID, before: Template, token: str, asked: datetime
) -> Template:
    """Keep and return the template as Meta has it now."""
    found = _read_again(tools, str(before.template_id), token, Found(before.name, before.language))
    if found is not None:
        return _keep(tools, tenant_id, before.waba_id, found, asked)

    def write(connection: Connection) -> Template:
        _put_sync(tools, connection, tenant_id, before.waba_id)
        return _show(connection, tenant_id, before.id)

    return transact(tools, tenant_id, write)


def _read_again(tools: Tools, meta_id: str, token: str, expected: Found) -> Found | None:
    """Return the template as Meta has it; None where it does not say, which is no failure."""
    found = meta.find_template(tools.graph, meta_id, token)
    if not isinstance(found, Found):
        log.info("template.not_read", reason=type(found).__name__)
        return None
    # Another one than was asked about must not become it.
    same = (found.name, found.language) == (expected.name, expected.language)
    return found if same else None


def _keep(
    tools: Tools,
    tenant_id: UUID,
    waba_id: str,
    found: Found,
    asked: datetime,
    *,
    whole: bool = True,
) -> Template:
    def write(connection: Connection) -> Template:
        (row_id,) = store.keep(
            connection,
            tenant_id,
            waba_id,
            [found.row()],
            asked=asked,
            whole=whole,
            submitted=asked,
            now=tools.clock.now,
        )
        if not whole:
            _put_sync(tools, connection, tenant_id, waba_id)
        return _show(connection, tenant_id, row_id)

    return transact(tools, tenant_id, write)


def _put_sync(tools: Tools, connection: Connection, tenant_id: UUID, waba_id: str) -> None:
    jobs.enqueue(
        connection,
        tenant_id=tenant_id,
        job_type="sync_templates",
        args={"waba_id": waba_id},
        unique_key=waba_id,
        now=tools.clock.now,
    )


def _begin(tools: Tools, tenant_id: UUID, waba_id: str, name: str, language: str) -> datetime:
    now = tools.clock.now
    return transact(
        tools,
        tenant_id,
        lambda link: store.begin_change(link, tenant_id, waba_id, name, language, now=now),
    )


def _show(connection: Connection, tenant_id: UUID, template: UUID) -> Template:
    found = store.load(connection, tenant_id, [template])
    if not found:
        raise NotFound("this template is not known")
    return found[0]


def _faults(
    category: str, components: list[dict[str, Any]] | None, ttl: int | None, form: str | None
) -> list[Fault]:
    faults: list[Fault] = []
    if components is not None:
        faults += check_components(category, components, named=form == "NAMED")
    if ttl is not None:
        faults += check_ttl(category, ttl)
    return faults


def _refuse(faults: Iterable[Fault]) -> None:
    problems = [{"field": fault.field, "problem": fault.problem} for fault in faults]
    if problems:
        raise Unprocessable(
            "; ".join(f"{one['field']}: {one['problem']}" for one in problems[:5]),
            field=problems[0]["field"],
            extra={"problems": problems[:20]},
        )
