"""Flows: what Meta answered last, and what its webhooks have told since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "flows")


@dataclass(frozen=True, slots=True)
class Flow:
    """A Flow; docs/data-model.md tells each member.

    `fetched_at` None: webhooks alone have told of it, and what they do not tell is empty.
    """

    flow_id: str
    waba_id: str
    name: str | None
    categories: list[str]
    status: str | None
    status_at: datetime | None
    json_version: str | None
    endpoint_uri: str | None
    validation_errors: list[dict[str, Any]]
    last_alert: dict[str, Any] | None
    last_alert_at: datetime | None
    fetched_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Fetched:
    """A Flow as Meta answered, whole."""

    flow_id: str
    name: str | None
    categories: Sequence[str]
    status: str | None
    json_version: str | None
    endpoint_uri: str | None
    validation_errors: Sequence[dict[str, Any]]


def moment(connection: Connection, now: datetime | None) -> datetime:
    """Return the database's time, which goes with what Meta answers to a question put now."""
    row = connection.execute(_SQL["moment"], {"now": now}).fetchone()
    assert row is not None
    at: datetime = row[0]
    return at


def find(
    connection: Connection,
    tenant_id: UUID,
    *,
    after: tuple[str, str] | None,
    limit: int,
    waba_id: str | None = None,
    status: str | None = None,
) -> list[Flow]:
    """Return up to `limit` Flows after (flow_id, waba_id), in that order."""
    flow_id, waba = after or ("", "")
    parameters = {
        "tenant_id": tenant_id,
        "after": flow_id,
        "after_waba": waba,
        "limit": limit,
        "waba_id": waba_id,
        "status": status,
    }
    return [Flow(*row) for row in connection.execute(_SQL["list"], parameters)]


def show(connection: Connection, tenant_id: UUID, flow_id: str) -> Flow | None:
    """Return a Flow, or None."""
    row = connection.execute(_SQL["show"], {"tenant_id": tenant_id, "flow_id": flow_id}).fetchone()
    return None if row is None else Flow(*row)


def store(
    connection: Connection,
    tenant_id: UUID,
    waba_id: str,
    flows: Sequence[Fetched],
    *,
    asked_at: datetime,
) -> None:
    """Write what Meta answered to a question put at `asked_at`; a newer answer stays."""
    documents = [
        {
            "flow": flow.flow_id,
            "name": flow.name,
            "categories": list(flow.categories),
            "status": flow.status,
            "json_version": flow.json_version,
            "endpoint_uri": flow.endpoint_uri,
            "errors": list(flow.validation_errors),
        }
        for flow in flows
    ]
    connection.execute(
        _SQL["store"],
        {
            "tenant_id": tenant_id,
            "waba_id": waba_id,
            "flows": orjson.dumps(documents).decode(),
            "asked_at": asked_at,
        },
    )


def delete(connection: Connection, tenant_id: UUID, waba_id: str, flow_id: str) -> None:
    """Forget a Flow."""
    connection.execute(
        _SQL["delete"], {"tenant_id": tenant_id, "waba_id": waba_id, "flow_id": flow_id}
    )


def retire_missing(
    connection: Connection,
    tenant_id: UUID,
    waba_id: str,
    listed: Sequence[str],
    *,
    asked_at: datetime,
) -> int:
    """Forget drafts that Meta did not list at `asked_at`; return how many."""
    return connection.execute(
        _SQL["retire_missing"],
        {
            "tenant_id": tenant_id,
            "waba_id": waba_id,
            "listed": list(listed),
            "asked_at": asked_at,
        },
    ).rowcount
