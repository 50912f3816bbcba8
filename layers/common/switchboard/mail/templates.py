"""Templates of e-mails: a tenant's own, kept here and written out here.

SES has templates, too. They belong to the account and not to a tenant, do not escape what is put
into HTML, and fail after SES has accepted the mail (Rendering Failure) where a value is missing.
"""

from __future__ import annotations

import re
from typing import Annotated
from uuid import UUID

from psycopg import errors as pg
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Conflict, NotFound
from switchboard.kernel.page import Page, Paged, page_of, read_moment
from switchboard.mail.render import LONGEST_SUBJECT, names_in
from switchboard.store import email_templates as store
from switchboard.store.email_templates import EmailTemplate
from switchboard.tools import Tools
from switchboard.transact import transact

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _one_line(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must be one line")
    return text


def _places(text: str) -> str:
    names_in(text)
    return text


_Subject = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_SUBJECT),
    AfterValidator(_one_line),
    AfterValidator(_places),
]
# A body of a request holds no more than 64 KiB.
_Text = Annotated[str, StringConstraints(min_length=1, max_length=50_000), AfterValidator(_places)]
_SUBJECT = "one line; {{name}} is a parameter, here and in the bodies"
_TEXT = "what is read where no HTML is"
_HTML = "what is read elsewhere; values are escaped in it. Left out: the mail is plain text"


class NewEmailTemplate(Arguments):
    """A mail in one language."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,100}$")] = Field(
        description="by which rules call it: small letters, digits, _"
    )
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}([_-][A-Za-z]{2,4})?$")] = (
        Field("en", description="language, as en or pt_BR")
    )
    subject: _Subject = Field(description=_SUBJECT)
    text_body: _Text = Field(description=_TEXT)
    html_body: _Text | None = Field(None, description=_HTML)


class EmailTemplateChange(Arguments):
    """What to change about a template; what is left out stays. Mails that wait stay as they are."""

    subject: _Subject | None = Field(None, description=_SUBJECT)
    text_body: _Text | None = Field(None, description=_TEXT)
    html_body: _Text | None = Field(None, description=f"{_HTML}; null takes it away")

    @model_validator(mode="after")
    def _something(self) -> EmailTemplateChange:
        if not self.model_fields_set:
            raise ValueError("subject, text_body or html_body must be given")
        return self


def list_templates(tools: Tools, tenant_id: UUID, wanted: Paged) -> Page[EmailTemplate]:
    """Return templates, the newest first."""

    def read(connection: Connection) -> Page[EmailTemplate]:
        rows = store.find_page(
            connection,
            tenant_id,
            before=read_moment("email templates", wanted),
            limit=wanted.limit + 1,
        )
        return page_of("email templates", wanted, rows, lambda last: (last.created_at, last.id))

    return transact(tools, tenant_id, read)


def show_template(tools: Tools, tenant_id: UUID, template_id: UUID) -> EmailTemplate:
    """Return a template; raises NotFound."""
    return transact(tools, tenant_id, lambda connection: _show(connection, tenant_id, template_id))


def create_template(tools: Tools, tenant_id: UUID, new: NewEmailTemplate) -> EmailTemplate:
    """Put a template in; raises Conflict for a name that has one in that language."""
    template_id = tools.clock.new_id()  # named once: the work may run twice

    def write(connection: Connection) -> EmailTemplate:
        store.insert(
            connection,
            tenant_id,
            template_id,
            name=new.name,
            language=new.language,
            subject=new.subject,
            text_body=new.text_body,
            html_body=new.html_body,
        )
        return _show(connection, tenant_id, template_id)

    try:
        return transact(tools, tenant_id, write)
    except pg.UniqueViolation:
        raise Conflict("there is a template of this name in this language", field="name") from None


def change_template(
    tools: Tools, tenant_id: UUID, template_id: UUID, change: EmailTemplateChange
) -> EmailTemplate:
    """Change a template's texts; raises NotFound."""

    def write(connection: Connection) -> EmailTemplate:
        store.update(
            connection,
            tenant_id,
            template_id,
            subject=change.subject,
            text_body=change.text_body,
            html_body=change.html_body,
            has_html="html_body" in change.model_fields_set,
        )
        return _show(connection, tenant_id, template_id)

    return transact(tools, tenant_id, write)


def delete_template(tools: Tools, tenant_id: UUID, template_id: UUID) -> EmailTemplate:
    """Forget a template, and return it as it was; rules that name it fail. Raises NotFound."""
    before: list[EmailTemplate] = []

    def write(connection: Connection) -> EmailTemplate:
        found = store.find(connection, tenant_id, template_id)
        # Where the link was lost at the commit, the first run has deleted it.
        before[:] = [found] if found else before
        if not before:
            raise _unknown()
        store.delete(connection, tenant_id, template_id)
        return before[0]

    return transact(tools, tenant_id, write)


def _show(connection: Connection, tenant_id: UUID, template_id: UUID) -> EmailTemplate:
    found = store.find(connection, tenant_id, template_id)
    if found is None:
        raise _unknown()
    return found


def _unknown() -> NotFound:
    return NotFound("this e-mail template is not known")
