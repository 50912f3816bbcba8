"""python -m switchboard preferences: shown, set, and a link to the person's own page."""

from __future__ import annotations

import json
from typing import Any

import pytest

from switchboard import commands
from switchboard.__main__ import DONE, REFUSED
from switchboard.inbox.preference_links import read_token
from switchboard.kernel.clock import Clock
from switchboard.kernel.errors import NotFound
from switchboard.kernel.secrets import Secrets
from switchboard.tools import Tools
from tests.commanding import CommandLine
from tests.managing import Desk

BASE = "https://go.acme.example"


def test_preferences_are_shown_and_set_by_command(desk: Desk, call: CommandLine) -> None:
    contact_id = desk.contact_of(desk.hear("4915550000001"))
    which = ("--tenant", desk.place.tenant_id, "--contact", contact_id)
    night = ("--quiet-hours-enabled", "--quiet-hours-start", "22:00", "--quiet-hours-end", "07:00")
    code, _, err = call("preferences", "set", *which, "--no-marketing", *night)
    assert (code, err) == (DONE, "")
    code, out, _ = call("preferences", "show", *which, "--json")
    shown: dict[str, Any] = json.loads(out)
    assert code == DONE
    assert shown == desk.ok("GET /v1/contacts/{id}/preferences", contact_id)
    assert shown["categories"]["marketing"]["source"] == "person"
    assert shown["quiet_hours"]["end"] == "07:00"
    code, out, _ = call("preferences", "show", *which)
    assert (code, "Europe/Berlin" in out) == (DONE, True)
    code, _, err = call("preferences", "set", *which, "--quiet-hours-end", "")
    assert (code, err) == (REFUSED, "error: quiet_hours_end is needed where quiet hours are on\n")
    calm = ("--no-quiet-hours-enabled", "--quiet-hours-end", "", "--quiet-hours-start", "")
    assert call("preferences", "set", *which, *calm)[0] == DONE
    shown = desk.ok("GET /v1/contacts/{id}/preferences", contact_id)
    assert (shown["quiet_hours"]["source"], shown["quiet_hours"]["enabled"]) == ("default", False)
    assert shown["categories"]["marketing"]["chosen"] is False


def test_a_link_is_made_and_revoked_by_command(
    desk: Desk, call: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tools() -> Tools:
        made = desk.world.tools(Clock(), public_url=BASE, preferences_secret_arn="arn:x")
        made.secrets = Secrets(fetch=lambda _arn, *, fresh: json.dumps({"key": f"k{0 * fresh}"}))
        return made

    monkeypatch.setattr(commands, "app_tools", tools)
    contact_id = desk.contact_of(desk.hear("4915550000001"))
    which = ("--tenant", desk.place.tenant_id, "--contact", contact_id)

    def link() -> str:
        code, out, err = call("preferences", "link", *which, "--days", "7", "--json")
        assert (code, err) == (DONE, "")
        return str(json.loads(out)["url"]).removeprefix(f"{BASE}/p/")

    first = read_token(tools(), link())
    assert (str(first.tenant_id), str(first.contact_id)) == (
        str(desk.place.tenant_id),
        contact_id,
    )
    assert call("preferences", "revoke", *which)[0] == DONE
    assert read_token(tools(), link()).generation == first.generation + 1
    with pytest.raises(NotFound):
        read_token(tools(), "A" * 104)
