"""EventBridge Scheduler's part: calls functions when their schedules say so.

Expressions: EventBridge Scheduler user guide, "Schedule types" (rate, cron with six fields, at).
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim

from local.template.intrinsics import BrokenTemplate
from local.template.model import ACCOUNT, REGION, ScheduleSpec

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_AT = re.compile(r"at\((\S+)\)")
_LONGEST_SLEEP_S = 60.0

InvokeLater = Callable[[str, bytes], None]


def occurrences(expression: str, timezone: str, start: datetime) -> Iterator[datetime]:
    """Yield the times (UTC) at which a schedule made at `start` runs.

    A rate runs at once and then at its pace; so does a fresh `rate()` schedule in AWS.
    Raises BrokenTemplate for an expression that cannot be read.
    """
    rate, cron, once = (form.fullmatch(expression) for form in (_RATE, _CRON, _AT))
    if rate:
        step = timedelta(**{f"{rate[2]}s": int(rate[1])})
        due = start
        while True:
            yield due
            due += step
    elif cron:
        minute, hour, day, month, weekday, year = cron.groups()
        if year != "*":
            raise BrokenTemplate(f"the schedule {expression} names years, which is not done here")
        fields = f"{minute} {hour} {day} {month} {_weekdays(weekday)}".replace("?", "*")
        for due in CronSim(fields, start.astimezone(ZoneInfo(timezone))):
            yield due.astimezone(UTC)
    elif once:
        planned = datetime.fromisoformat(once[1]).replace(tzinfo=ZoneInfo(timezone))
        if planned >= start:
            yield planned.astimezone(UTC)
    else:
        raise BrokenTemplate(f"the schedule expression {expression} cannot be read")


def _weekdays(field: str) -> str:
    # AWS counts Sunday as 1, cron as 0; the number after # or / is a count, not a day.
    return re.sub(r"(?<![#/\d])\d+", lambda day: str(int(day[0]) - 1), field)


def build_input(schedule: ScheduleSpec, due: datetime) -> bytes:
    """Return the event that the function gets: the schedule's own input, or the usual envelope."""
    stamp = due.strftime("%Y-%m-%dT%H:%M:%SZ")
    if schedule.input is not None:
        words = {
            "<aws.scheduler.schedule-arn>": schedule.arn,
            "<aws.scheduler.scheduled-time>": stamp,
            "<aws.scheduler.execution-id>": uuid.uuid4().hex,
            "<aws.scheduler.attempt-number>": "1",
        }
        text = schedule.input
        for word, value in words.items():
            text = text.replace(word, value)
        return text.encode()
    envelope: dict[str, Any] = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": ACCOUNT,
        "time": stamp,
        "region": REGION,
        "resources": [schedule.arn],
        "detail": "{}",
    }
    return json.dumps(envelope).encode()


async def run_schedule(
    schedule: ScheduleSpec,
    invoke_later: InvokeLater,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Call the function at every occurrence, until cancelled.

    Times that passed while the machine slept are skipped, except for the latest.
    """
    upcoming = occurrences(schedule.expression, schedule.timezone, now())
    due = next(upcoming, None)
    while due is not None:
        left = (due - now()).total_seconds()
        if left > 0:
            # Short sleeps: a laptop that was closed must notice what the clock says.
            await asyncio.sleep(min(left, _LONGEST_SLEEP_S))
            continue
        latest = due
        while (due := next(upcoming, None)) is not None and due <= now():
            latest = due
        invoke_later(schedule.function, build_input(schedule, latest))
