"""Schedules are EventBridge Scheduler's: when they run and what they send."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from local.scheduler import build_input, occurrences, run_schedule
from local.template.intrinsics import BrokenTemplate
from local.template.model import ScheduleSpec

START = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)  # a Sunday
TICK = ScheduleSpec("tick", "rate(1 minute)", "UTC", None, "jobs")


@pytest.mark.parametrize(
    ("expression", "timezone", "expected"),
    [
        ("rate(1 minute)", "UTC", ["2026-03-01T12:00:30", "2026-03-01T12:01:30"]),
        ("rate(2 hours)", "UTC", ["2026-03-01T12:00:30", "2026-03-01T14:00:30"]),
        ("cron(0 3 * * ? *)", "UTC", ["2026-03-02T03:00:00", "2026-03-03T03:00:00"]),
        ("cron(0 3 * * ? *)", "Europe/Berlin", ["2026-03-02T02:00:00", "2026-03-03T02:00:00"]),
        ("cron(*/15 * * * ? *)", "UTC", ["2026-03-01T12:15:00", "2026-03-01T12:30:00"]),
        ("cron(0 9 ? * 2-6 *)", "UTC", ["2026-03-02T09:00:00", "2026-03-03T09:00:00"]),
        ("cron(0 9 ? * MON *)", "UTC", ["2026-03-02T09:00:00", "2026-03-09T09:00:00"]),
        ("cron(0 9 ? * 1#2 *)", "UTC", ["2026-03-08T09:00:00", "2026-04-12T09:00:00"]),
        ("at(2026-03-01T13:00:00)", "UTC", ["2026-03-01T13:00:00"]),
        ("at(2026-03-01T11:00:00)", "UTC", []),
    ],
)
def test_when_a_schedule_runs(expression: str, timezone: str, expected: list[str]) -> None:
    found = list(islice(occurrences(expression, timezone, START), 2))
    assert [due.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S") for due in found] == expected


@pytest.mark.parametrize("expression", ["rate(x)", "every day", "cron(0 0 1 1 ? 2030)"])
def test_an_expression_that_cannot_be_read_is_refused(expression: str) -> None:
    with pytest.raises(BrokenTemplate, match="schedule"):
        next(occurrences(expression, "UTC", START))


def test_without_an_input_the_usual_envelope_is_sent() -> None:
    event = json.loads(build_input(TICK, START))
    assert event["detail-type"] == "Scheduled Event"
    assert event["source"] == "aws.scheduler"
    assert event["time"] == "2026-03-01T12:00:30Z"
    assert event["resources"] == [TICK.arn]
    assert event["detail"] == "{}"


def test_the_schedules_own_input_is_sent_with_its_words_replaced() -> None:
    own = replace(TICK, input='{"source": "schedule", "at": "<aws.scheduler.scheduled-time>"}')
    assert json.loads(build_input(own, START)) == {
        "source": "schedule",
        "at": "2026-03-01T12:00:30Z",
    }


def test_ticks_come_at_their_pace_and_missed_ones_only_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = START
    calls: list[str] = []
    # A laptop sleeps for an hour in the third pause.
    pauses = iter([timedelta(seconds=60), timedelta(seconds=60), timedelta(hours=1)])

    async def sleep(seconds: float) -> None:
        nonlocal clock
        assert seconds <= 60
        pause = next(pauses, None)
        if pause is None:
            raise asyncio.CancelledError
        clock += pause

    monkeypatch.setattr("local.scheduler.asyncio.sleep", sleep)

    def invoke_later(function: str, event: bytes) -> None:
        calls.append(f"{function} {json.loads(event)['time'][11:]}")

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run_schedule(TICK, invoke_later, now=lambda: clock))
    assert calls == [
        "jobs 12:00:30Z",
        "jobs 12:01:30Z",
        "jobs 12:02:30Z",
        "jobs 13:02:30Z",
    ]
