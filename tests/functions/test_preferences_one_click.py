"""POST /p/{token} of a mail program (RFC 8058): marketing is taken back, at once and once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from functions.webhook import app as webhook
from tests.databases import ClonedDatabase
from tests.functions.test_manage_preferences import GET, PUT, agree, person
from tests.functions.test_preferences_page import REVOKE, Vault, link, own_tools, request
from tests.managing import Desk, desk_of

FORM = b"List-Unsubscribe=One-Click"
PARTS = (
    b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n'
)


@pytest.fixture
def desk(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_of(database, monkeypatch) as desk:
        own_tools(desk, Vault(key="k" * 64))
        monkeypatch.setattr(webhook, "tools", lambda: desk.made)
        yield desk


def marketing(desk: Desk, contact: str) -> dict[str, Any]:
    shown: dict[str, Any] = desk.ok(GET, contact)["categories"]["marketing"]
    return shown


@pytest.mark.parametrize("body", [FORM, PARTS], ids=["form", "parts"])
def test_marketing_is_taken_back_and_nothing_else(desk: Desk, body: bytes) -> None:
    contact = person(desk)
    agree(desk, contact)
    chosen = {"trip_reminders": True, "marketing": True, "quiet_hours_enabled": False}
    desk.ok(PUT, contact, body=chosen)
    before = desk.ok(GET, contact)
    token = link(desk, contact)
    for _ in range(2):
        # A mail program follows no redirect.
        assert request("POST", token, body)["statusCode"] == 200
    after = desk.ok(GET, contact)
    assert marketing(desk, contact) == {"wanted": False, "source": "person", "chosen": False}
    assert {**after["categories"], "marketing": 0} == {**before["categories"], "marketing": 0}
    rows = desk.pages("GET /v1/consents", contact_id=contact)
    said = [one for one in rows if one["wording"] == "List-Unsubscribe: One-Click"]
    assert [(one["scope"], one["state"], one["source"]) for one in said] == [
        ("marketing", "withdrawn", "page")
    ]


def test_who_never_decided_has_refused_from_then_on(desk: Desk) -> None:
    contact = person(desk)
    request("POST", link(desk, contact), FORM)
    agree(desk, contact)
    assert marketing(desk, contact)["wanted"] is False


def test_a_link_that_is_over_takes_nothing_back(desk: Desk) -> None:
    contact = person(desk)
    token = link(desk, contact)
    desk.ok(REVOKE, contact)
    assert request("POST", token, FORM)["statusCode"] == 404
    assert marketing(desk, contact)["chosen"] is None
