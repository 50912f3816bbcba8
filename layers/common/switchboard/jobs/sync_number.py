"""Asks Meta what it knows of one number."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from switchboard.accounts.numbers import sync_by_id
from switchboard.jobs._kind import Args, Context, Effects, JobKind
from switchboard.kernel.errors import MetaAway, Snooze
from switchboard.kernel.log import log
from switchboard.whatsapp.client import Rejected, Throttled

_WAIT_S = 300.0


class SyncNumber(Args):
    """The number to ask about."""

    account_id: UUID


def run(context: Context, args: SyncNumber) -> Effects:
    """Take up what Meta tells; a refusal ends it until tomorrow, what passes is tried again."""
    asked = sync_by_id(context.tools, context.tenant_id, args.account_id)
    if asked is None:
        return Effects(result={"status": "not_wanted"})
    if asked.refused is None:
        return Effects(result={"status": "synced"})
    if isinstance(asked.refused, Throttled):
        raise Snooze(_later(asked.asked_at, asked.refused.retry_after_s), "throttled")
    if isinstance(asked.refused, Rejected):
        log.warning("number.not_synced", account_id=args.account_id, code=asked.refused.code)
        return Effects(result={"status": "refused", "code": asked.refused.code})
    raise MetaAway("Meta gave no answer")


def _later(asked_at: datetime, wait_s: float | None) -> datetime:
    return asked_at + timedelta(seconds=max(_WAIT_S, wait_s or 0.0))


KIND = JobKind(name="sync_number", args=SyncNumber, run=run, max_attempts=5, needs_s=60.0)
