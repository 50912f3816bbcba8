"""The start of a campaign: its audience is frozen."""

from __future__ import annotations

from uuid import UUID

from psycopg import errors as pg

from switchboard.campaigns.audience.counts import require_known
from switchboard.campaigns.audience.kinds import select_people
from switchboard.campaigns.costs import audience_of, expected, known_in
from switchboard.campaigns.words import LIST_GONE
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Unprocessable
from switchboard.kernel.log import log
from switchboard.store import campaigns as store
from switchboard.store import contacts, recipients
from switchboard.tools import Tools
from switchboard.transact import transact

#: What the frozen audience and the estimate depend on.
_MADE_OF = (
    "audience_type",
    "audience_config",
    "phone_number_id",
    "template",
    "language",
    "currency",
)


class _TakenBackError(Exception):
    """The campaign is not scheduled any more, or another one: nothing of its audience stays."""


def begin(tools: Tools, tenant_id: UUID, campaign_id: UUID, *, within_s: float) -> bool:
    """Freeze the audience: one statement, with the time that it needs.

    The campaign's row is locked for the end of it only, so that it can be cancelled and changed
    meanwhile; of one that was changed the audience is read anew.
    Returns False where it cannot begin, and is a draft again.
    """

    def freeze(connection: Connection) -> None:
        found = store.find(connection, tenant_id, campaign_id)
        assert found is not None
        audience = audience_of(found)
        require_known(connection, tenant_id, audience)
        parts = store.find_parts(
            connection,
            tenant_id,
            number=found.phone_number_id,
            template=found.template,
            language=found.language,
        )
        marketing = parts is None or (parts.category or "").upper() != "UTILITY"
        total = recipients.freeze(
            connection,
            tenant_id,
            campaign_id,
            select_people(audience),
            is_marketing=marketing,
            now=tools.clock.now,
        )
        estimated = None
        if found.currency is not None:
            people = recipients.pending(campaign_id)
            category = None if parts is None else parts.category
            cost = expected(tools, connection, tenant_id, category, people)
            estimated = known_in(cost, found.currency)
        # A merge waits for this moment, not for the whole audience.
        contacts.hold(connection, tenant_id)
        recipients.follow_merges(connection, tenant_id, campaign_id)
        locked = store.lock(connection, tenant_id, campaign_id, now=tools.clock.now)
        if (
            locked is None
            or not _is_as_read(found, locked)
            or not store.begin(
                connection,
                tenant_id,
                campaign_id,
                total=total,
                estimated_cost=estimated,
                now=locked.now,
            )
        ):
            raise _TakenBackError
        log.info("campaign.began", campaign_id=campaign_id, recipients=total)

    try:
        transact(
            tools, tenant_id, freeze, statement_timeout_ms=max(1_000, int((within_s - 2) * 1000))
        )
    except (_TakenBackError, pg.UniqueViolation):
        # Cancelled, changed or put off meanwhile, or another run was quicker.
        return True
    except Unprocessable as problem:
        detail = problem.detail[:500]
        transact(
            tools,
            tenant_id,
            lambda connection: store.unschedule(
                connection, tenant_id, campaign_id, reason=LIST_GONE, detail=detail
            ),
        )
        return False
    return True


def _is_as_read(found: store.Campaign, locked: store.Running) -> bool:
    """Whether a campaign is still due, with all that its audience and estimate were made of."""
    return (locked.scheduled_at is None or locked.scheduled_at <= locked.now) and all(
        getattr(found, name) == getattr(locked, name) for name in _MADE_OF
    )
