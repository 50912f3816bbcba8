"""Templates of e-mails, a tenant's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "email_templates")


@dataclass(frozen=True, slots=True)
class EmailTemplate:
    """A mail in one language; `{{name}}` in its texts is a parameter."""

    id: UUID
    name: str
    language: str
    subject: str
    text_body: str
    html_body: str | None
    created_at: datetime
    updated_at: datetime


def find_page(
    connection: Connection,
    tenant_id: UUID,
    *,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[EmailTemplate]:
    """Return templates, the newest first."""
    at, last = before or ("infinity", UUID(int=0))
    return (
        connection.cursor(row_factory=class_row(EmailTemplate))
        .execute(
            _SQL["list"], {"tenant": tenant_id, "before": at, "before_id": last, "limit": limit}
        )
        .fetchall()
    )


def find(connection: Connection, tenant_id: UUID, template_id: UUID) -> EmailTemplate | None:
    """Return a template by its id."""
    return (
        connection.cursor(row_factory=class_row(EmailTemplate))
        .execute(_SQL["find"], {"tenant": tenant_id, "id": template_id})
        .fetchone()
    )


def find_named(
    connection: Connection, tenant_id: UUID, name: str, language: str
) -> EmailTemplate | None:
    """Return the template of a name in a language."""
    return (
        connection.cursor(row_factory=class_row(EmailTemplate))
        .execute(_SQL["find_named"], {"tenant": tenant_id, "name": name, "language": language})
        .fetchone()
    )


def insert(
    connection: Connection,
    tenant_id: UUID,
    template_id: UUID,
    *,
    name: str,
    language: str,
    subject: str,
    text_body: str,
    html_body: str | None,
) -> None:
    """Put a template in; raises UniqueViolation for a name that has one in that language."""
    connection.execute(
        _SQL["insert"],
        {
            "tenant": tenant_id,
            "id": template_id,
            "name": name,
            "language": language,
            "subject": subject,
            "text_body": text_body,
            "html_body": html_body,
        },
    )


def update(
    connection: Connection,
    tenant_id: UUID,
    template_id: UUID,
    *,
    subject: str | None,
    text_body: str | None,
    html_body: str | None,
    has_html: bool,
) -> None:
    """Change a template's texts; None stays, and `html_body` does without `has_html`."""
    connection.execute(
        _SQL["update"],
        {
            "tenant": tenant_id,
            "id": template_id,
            "subject": subject,
            "text_body": text_body,
            "html_body": html_body,
            "has_html": has_html,
        },
    )


def delete(connection: Connection, tenant_id: UUID, template_id: UUID) -> None:
    """Forget a template; mails that were made of it stay."""
    connection.execute(_SQL["delete"], {"tenant": tenant_id, "id": template_id})
