"""backlog: raw bodies in S3 that wait for the database, or were given up."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from pydantic import Field

from switchboard.commands._aws import bucket_at_hand
from switchboard.commands._resource import Command, Resource
from switchboard.intake import backlog
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.errors import Forbidden
from switchboard.store.events import SYSTEM_TENANT
from switchboard.tools import Tools


class BacklogFilter(Arguments):
    """Which bodies to list."""

    failed: bool = Field(default=False, description="those that were given up")
    limit: int = Field(100, ge=1, le=1000, description="rows of a page, at most 1000")
    cursor: str | None = Field(None, max_length=1000, description="next_cursor of the page before")


class FailedBody(Arguments):
    """Which given-up body; all of them where none is named."""

    key: str | None = Field(None, max_length=1000, description="one object, failed/…; none: all")


def list_bodies(tools: Tools, tenant_id: UUID, wanted: BacklogFilter) -> dict[str, Any]:
    """List what waits, the oldest day first, or what was given up."""
    _check(tenant_id)
    with bucket_at_hand("the backlog"):
        page = backlog.browse(tools, **wanted.model_dump())
    return {"data": [asdict(body) for body in page.bodies], "next_cursor": page.cursor}


def replay_failed(tools: Tools, tenant_id: UUID, which: FailedBody) -> dict[str, Any]:
    """Take what was given up through intake again."""
    _check(tenant_id)
    with bucket_at_hand("the backlog"):
        drained = backlog.replay_failed(tools, lambda: True, key=which.key)
    if drained.nudge:
        tools.nudge()
    return {"stored": drained.stored, "failed": drained.failed}


def _check(tenant_id: UUID) -> None:
    # A body may hold the events of any tenant.
    if tenant_id != SYSTEM_TENANT:
        raise Forbidden("the backlog is the operator's: --tenant system")


KIND = Resource(
    "backlog",
    "raw webhook bodies in S3 (of all tenants: --tenant system)",
    (
        Command("list", BacklogFilter, list_bodies, columns=("key", "bytes", "kept_at", "failed")),
        Command("replay", FailedBody, replay_failed),
    ),
)
