"""What the database told of a message, as the facts that the policy looks at."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from switchboard.policy import Facts, Kind, person_of, portfolio_of
from switchboard.policy.verdict import category_of
from switchboard.store.outbox import Asked, Loaded


def of_question(
    asked: Asked,
    kind: Kind,
    *,
    recipient: str,
    urgent: bool,
    notification_category: str | None,
    expires_at: datetime | None,
    confirms_consent: bool,
    scopes: frozenset[str] | None,
    allow_list: frozenset[str],
) -> Facts:
    """Return the facts of a new message: with the caller's scopes and what the limits say now."""
    facts = _of(
        asked,
        kind,
        recipient=recipient,
        urgent=urgent,
        notification_category=notification_category,
        expires_at=expires_at,
        confirms_consent=confirms_consent,
        allow_list=allow_list,
    )
    return replace(
        facts,
        scopes=scopes,
        portfolio=portfolio_of(asked.portfolio),
        pair_free_at=asked.pair_free_at,
        sendable_at=asked.sendable_at,
    )


def of_attempt(loaded: Loaded, kind: Kind, *, allow_list: frozenset[str]) -> Facts:
    """Return the facts of a leased attempt; its limits are booked with the intent."""
    return _of(
        loaded,
        kind,
        recipient=loaded.recipient,
        urgent=loaded.urgent,
        notification_category=loaded.notification_category,
        expires_at=loaded.expires_at,
        confirms_consent=loaded.confirms_consent,
        allow_list=allow_list,
    )


def _of(
    known: Asked | Loaded,
    kind: Kind,
    *,
    recipient: str,
    urgent: bool,
    notification_category: str | None,
    expires_at: datetime | None,
    confirms_consent: bool,
    allow_list: frozenset[str],
) -> Facts:
    return Facts(
        at=known.at,
        tenant_active=bool(known.tenant_active),
        tenant_stopped=known.tenant_stopped,
        number_active=bool(known.number_active),
        number_status=known.number_status or "",
        number_stopped=known.number_stopped,
        has_token=known.access_token is not None,
        is_blocked=bool(known.is_blocked),
        window_expires_at=known.window_expires_at,
        recipient=recipient,
        expires_at=expires_at,
        allow_list=allow_list,
        urgent=urgent and kind is Kind.UTILITY,
        notification_category=category_of(notification_category, kind),
        paused_until=known.paused_until,
        paused_reason=known.paused_reason,
        last_inbound_at=known.last_inbound_at,
        opted_out_at=known.opted_out_at,
        confirms_consent=confirms_consent,
        template_status=(known.template or {}).get("status"),
        person=person_of(known.person),
    )
