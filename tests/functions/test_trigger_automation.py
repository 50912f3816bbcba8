"""The edge of trigger_automation: ticks, outside events, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from functions.trigger_automation import app
from switchboard.kernel.errors import BadRequest

TENANT = "0a000000-0000-7000-8000-000000000001"


@pytest.mark.parametrize(
    "event", [{"source": "schedule"}, {"tenant_id": TENANT, "event": "booking_pending"}]
)
def test_no_rule_exists_so_nothing_starts(event: dict[str, Any]) -> None:
    assert app.handler(event, None) == {"started": 0}


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({}, "tenant_id"),
        ({"tenant_id": "acme", "event": "booking_pending"}, "tenant_id"),
        ({"tenant_id": TENANT}, "event"),
        ({"tenant_id": TENANT, "event": ""}, "event"),
    ],
)
def test_an_event_that_cannot_be_meant_is_refused(event: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequest) as refused:
        app.handler(event, None)
    assert refused.value.field == field
