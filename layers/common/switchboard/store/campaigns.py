"""Campaigns: their rows, their states, and the runs that work for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from switchboard.kernel.db import Connection, queries

_SQL = queries(__package__ or "", "campaigns")
#: Columns that hold JSON, null or not.
_DOCUMENTS = ("template_params", "audience_config", "send_window", "ramp")


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as its row has it; the counts are those of when it was last completed."""

    id: UUID
    name: str
    description: str | None
    status: str
    phone_number_id: str
    template: str
    language: str
    template_params: dict[str, Any]
    notification_category: str | None
    audience_type: str
    audience_config: dict[str, Any]
    timezone: str
    scheduled_at: datetime | None
    send_window: dict[str, Any] | None
    ramp: dict[str, Any] | None
    failure_limit: int | None
    spending_cap: Decimal | None
    estimated_cost: Decimal | None
    spent: Decimal
    currency: str | None
    pause_reason: str | None
    pause_detail: str | None
    paused_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    cancelled_at: datetime | None
    total_recipients: int
    skipped_count: int
    sent_count: int
    delivered_count: int
    read_count: int
    failed_count: int
    opt_out_count: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Parts:
    """A number and a template of its account; `template_id` None: it has none of that name."""

    account_id: UUID
    template_id: UUID | None
    template_status: str | None
    category: str | None
    parameter_format: str | None
    components: list[dict[str, Any]] | None


@dataclass(frozen=True, slots=True)
class Running:
    """A campaign under its lock, with its number and its template as they are at `now`.

    `rate`: messages a second of the number. `portfolio`: {"limit", "room", "again_at"} where the
    account is limited.
    """

    id: UUID
    status: str
    audience_type: str
    audience_config: dict[str, Any]
    template_params: dict[str, Any]
    notification_category: str | None
    timezone: str
    scheduled_at: datetime | None
    send_window: dict[str, Any] | None
    ramp: dict[str, Any] | None
    ramp_paid_until: datetime | None
    failure_limit: int | None
    outcomes_before: int
    failures_before: int
    spending_cap: Decimal | None
    spent: Decimal
    currency: str | None
    held_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    pace: list[list[int]]
    account_id: UUID
    phone_number_id: str
    number_status: str
    quality_rating: str
    number_active: bool
    has_token: bool
    is_stopped: bool
    paused_until: datetime | None
    rate: float
    portfolio: dict[str, Any] | None
    template: str
    language: str
    template_status: str | None
    category: str | None
    parameter_format: str | None
    components: list[dict[str, Any]] | None
    now: datetime


def insert(
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    columns: Mapping[str, Any],
    *,
    now: datetime | None,
) -> None:
    """Add a draft, once under its id."""
    connection.execute(_SQL["insert"], _row(tenant_id, campaign_id, columns, now))


def update(
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    columns: Mapping[str, Any],
    *,
    now: datetime | None,
) -> None:
    """Give a campaign that is locked other columns."""
    connection.execute(_SQL["update"], _row(tenant_id, campaign_id, columns, now))


def _row(
    tenant_id: UUID, campaign_id: UUID, columns: Mapping[str, Any], now: datetime | None
) -> dict[str, Any]:
    documents = {
        name: None if columns[name] is None else Jsonb(columns[name]) for name in _DOCUMENTS
    }
    return {**columns, **documents, "tenant_id": tenant_id, "id": campaign_id, "now": now}


def find(connection: Connection, tenant_id: UUID, campaign_id: UUID) -> Campaign | None:
    """Return a campaign."""
    row = connection.execute(_SQL["find"], {"tenant_id": tenant_id, "id": campaign_id}).fetchone()
    return None if row is None else Campaign(*row)


def pace(
    connection: Connection, tenant_id: UUID, campaign_id: UUID, *, now: datetime | None
) -> tuple[list[list[int]], datetime]:
    """Return the marks of how far it had come, and the present time."""
    row = connection.execute(
        _SQL["pace"], {"tenant_id": tenant_id, "id": campaign_id, "now": now}
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def list_campaigns(
    connection: Connection,
    tenant_id: UUID,
    *,
    status: str | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Campaign]:
    """Return campaigns, the newest first, after `before`."""
    at, last = before or ("infinity", UUID(int=0))
    rows = connection.execute(
        _SQL["list"],
        {
            "tenant_id": tenant_id,
            "status": status,
            "before": at,
            "before_id": last,
            "limit": limit,
        },
    )
    return [Campaign(*row) for row in rows]


def find_parts(
    connection: Connection, tenant_id: UUID, *, number: str, template: str, language: str
) -> Parts | None:
    """Return the number's and the template's rows; None: the number is not known."""
    row = connection.execute(
        _SQL["find_parts"],
        {"tenant_id": tenant_id, "number": number, "template": template, "language": language},
    ).fetchone()
    return None if row is None else Parts(*row)


def lock(
    connection: Connection, tenant_id: UUID, campaign_id: UUID, *, now: datetime | None
) -> Running | None:
    """Return a campaign that nobody else changes or feeds until the commit."""
    row = connection.execute(
        _SQL["lock"], {"tenant_id": tenant_id, "id": campaign_id, "now": now}
    ).fetchone()
    return None if row is None else Running(*row)


def schedule(
    connection: Connection, tenant_id: UUID, campaign_id: UUID, *, at: datetime, timezone: str
) -> bool:
    """Let a draft begin at `at`; False: it is none."""
    return _changed(connection, "schedule", tenant_id, campaign_id, at=at, timezone=timezone)


def unschedule(
    connection: Connection, tenant_id: UUID, campaign_id: UUID, *, reason: str, detail: str
) -> bool:
    """Make a draft again of one that could not begin."""
    return _changed(connection, "unschedule", tenant_id, campaign_id, reason=reason, detail=detail)


def begin(
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    *,
    total: int,
    estimated_cost: Decimal | None,
    now: datetime,
) -> bool:
    """Let one whose audience is frozen send; False: it is not scheduled any more."""
    return _changed(
        connection,
        "begin",
        tenant_id,
        campaign_id,
        total=total,
        estimated_cost=estimated_cost,
        now=now,
    )


def pause(
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    *,
    reason: str,
    detail: str,
    now: datetime | None,
) -> bool:
    """Pause one that sends; what waits on the road is held by `hold`, after the commit."""
    return _changed(
        connection, "pause", tenant_id, campaign_id, reason=reason, detail=detail, now=now
    )


def hold(
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    states: Sequence[str],
    *,
    until: datetime | None,
) -> int | None:
    """Put off what waits on the road until then (None: until it is released).

    Returns how many; None: the campaign is in none of `states`. Not in the transaction that changed
    the campaign: a message that falls back at that moment must be seen.
    """
    row = connection.execute(
        _SQL["hold"],
        {"tenant_id": tenant_id, "id": campaign_id, "states": list(states), "until": until},
    ).fetchone()
    assert row is not None
    found: int | None = row[0]
    return found


def note_held(
    connection: Connection, tenant_id: UUID, campaign_id: UUID, *, now: datetime | None
) -> None:
    """Note that nothing of a paused or cancelled campaign waits on the road any more."""
    _changed(connection, "note_held", tenant_id, campaign_id, now=now)


def resume(
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    *,
    outcomes: int,
    failures: int,
    due: datetime,
    now: datetime | None,
) -> bool:
    """Let a paused one go on, and at `due` what was held with it."""
    if not _changed(
        connection,
        "resume",
        tenant_id,
        campaign_id,
        outcomes=outcomes,
        failures=failures,
        now=now,
    ):
        return False
    connection.execute(_SQL["release"], {"tenant_id": tenant_id, "id": campaign_id, "due": due})
    return True


def cancel(
    connection: Connection, tenant_id: UUID, campaign_id: UUID, *, now: datetime | None
) -> bool:
    """Cancel one that has not ended; what waits is ended by its run."""
    return _changed(connection, "cancel", tenant_id, campaign_id, now=now)


def reopen(
    connection: Connection, tenant_id: UUID, campaign_id: UUID, *, now: datetime | None
) -> bool:
    """Let a completed one send again."""
    return _changed(connection, "reopen", tenant_id, campaign_id, now=now)


def close(
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    *,
    closes_at: datetime | None,
    opens_at: datetime | None,
) -> None:
    """Note when its window is closed, now or next: what falls back then waits for the opening."""
    _changed(connection, "close", tenant_id, campaign_id, closes_at=closes_at, opens_at=opens_at)


def rebase(
    connection: Connection, tenant_id: UUID, campaign_id: UUID, *, outcomes: int, failures: int
) -> None:
    """Let so many outcomes and failures count no more."""
    _changed(connection, "rebase", tenant_id, campaign_id, outcomes=outcomes, failures=failures)


def note_slice(
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    *,
    paid_until: datetime | None = None,
    pace: Sequence[Sequence[int]] | None = None,
    cost: Decimal = Decimal(0),
) -> None:
    """Note what the ramp has let through, how far it has come (None: as before), what it adds."""
    _changed(
        connection,
        "note_slice",
        tenant_id,
        campaign_id,
        paid_until=paid_until,
        cost=cost,
        pace=None if pace is None else Jsonb(pace),
    )


def finish(
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    totals: Mapping[str, int],
    *,
    now: datetime | None,
) -> bool:
    """End one: `totals` are skipped, sent, delivered, read, failed, opt_outs."""
    return _changed(connection, "finish", tenant_id, campaign_id, **totals, now=now)


def wake(
    connection: Connection,
    tenant_id: UUID,
    campaign_id: UUID,
    *,
    at: datetime | None,
    now: datetime | None,
) -> None:
    """Let a run of the campaign be due at `at` (None: now)."""
    _changed(
        connection, "wake", tenant_id, campaign_id, lane=f"campaign:{campaign_id}", at=at, now=now
    )


def put_runs(connection: Connection, *, now: datetime | None) -> int:
    """Put in the runs that are missing, of all tenants, and return how many."""
    row = connection.execute(_SQL["put_runs"], {"now": now}).fetchone()
    assert row is not None
    return int(row[0])


def _changed(
    connection: Connection, name: str, tenant_id: UUID, campaign_id: UUID, **values: Any
) -> bool:
    done = connection.execute(_SQL[name], {"tenant_id": tenant_id, "id": campaign_id, **values})
    return done.rowcount > 0
