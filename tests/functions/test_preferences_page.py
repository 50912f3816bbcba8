"""/p/{token}: a person's own page of preferences, from its link to what is stored and recorded."""

from __future__ import annotations

import base64
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from functions.webhook import app as webhook
from local.ports import free_port
from switchboard.inbox.preference_html import HEADERS, choose_language, texts
from switchboard.inbox.preference_links import read_token
from switchboard.kernel.clock import Clock
from switchboard.kernel.errors import ConfigurationError, NotFound
from switchboard.kernel.secrets import Secrets
from switchboard.kernel.settings import Settings
from switchboard.policy import CATEGORIES
from switchboard.tools import Tools
from tests.databases import ClonedDatabase
from tests.functions.test_manage_preferences import (
    GERMAN,
    GET,
    PATCH,
    PUT,
    agree,
    history,
    merge,
    person,
    stop_at_meta,
)
from tests.managing import Desk, desk_of

Made = dict[str, Any]
BASE = "https://go.acme.example"
LINK = "POST /v1/contacts/{id}/preferences/link"
REVOKE = "DELETE /v1/contacts/{id}/preferences/link"
NIGHT = {"quiet": "1", "quiet_hours_start": "22:00", "quiet_hours_end": "07:00"}
SHOWN_MARKETING = ("marketing", "withdrawn", "page")


class Vault:
    """The secret of the links, as Secrets Manager keeps it."""

    def __init__(self, **members: str) -> None:
        self.members = members
        self.asked = 0

    def __call__(self, arn: str, *, fresh: bool) -> str:
        """Return the secret."""
        assert arn == "arn:preferences"
        assert fresh in (True, False)
        self.asked += 1
        return json.dumps(self.members)


def own_tools(desk: Desk, vault: Vault, **how: Any) -> Tools:
    made = desk.use(**{"public_url": BASE, "preferences_secret_arn": "arn:preferences", **how})
    made.secrets = Secrets(fetch=vault)
    return made


@pytest.fixture
def vault() -> Vault:
    return Vault(key="k" * 64)


@pytest.fixture
def desk(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch, vault: Vault) -> Iterator[Desk]:
    with desk_of(database, monkeypatch) as desk:
        own_tools(desk, vault)
        monkeypatch.setattr(webhook, "tools", lambda: desk.made)
        yield desk


def link(desk: Desk, contact_id: str, **body: Any) -> str:
    """Make a link and return its token."""
    status, made = desk.call(LINK, contact_id, body=body)
    assert status == 201, made
    assert made["url"].startswith(f"{BASE}/p/")
    return str(made["url"]).removeprefix(f"{BASE}/p/")


def request(
    method: str, token: str, fields: Any = None, language: str = "en", query: Made | None = None
) -> Made:
    """Ask for the page as API Gateway does: a form comes as base64."""
    event: Made = {
        "version": "2.0",
        "routeKey": f"{method} /p/{{token}}",
        "rawPath": f"/p/{token}",
        "pathParameters": {"token": token},
        "headers": {"accept-language": language},
        "requestContext": {"http": {"method": method, "path": f"/p/{token}"}},
        "isBase64Encoded": False,
    }
    if query:
        event["queryStringParameters"] = query
    if fields is not None:
        body = fields if isinstance(fields, bytes) else urlencode(fields, doseq=True).encode()
        event["headers"]["content-type"] = "application/x-www-form-urlencoded"
        event["body"], event["isBase64Encoded"] = base64.b64encode(body).decode(), True
    response = webhook.handler(event, None)
    assert response["headers"].items() >= HEADERS.items()
    return response


def look(token: str, **how: Any) -> str:
    response = request("GET", token, **how)
    assert response["statusCode"] == 200, response
    return str(response["body"])


class Boxes(HTMLParser):
    """Reads what a browser would send of the page's form, and what it would not."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, list[str]] = {}
        self.disabled = 0
        self.attributes: set[str] = set()
        self.tags: list[str] = []
        self._select = ""
        self._options: list[tuple[str, bool]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.attributes |= given.keys()
        if tag == "input" and "disabled" in given:
            self.disabled += 1
        elif tag == "input":
            if given["type"] != "checkbox" or "checked" in given:
                self.fields.setdefault(given["name"], []).append(given["value"])
        elif tag == "select":
            self._select = given["name"]
        elif tag == "option":
            self._options.append((given["value"], "selected" in given))

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            chosen = [value for value, selected in self._options if selected]
            assert len(chosen) <= 1
            self.fields[self._select] = [chosen[0] if chosen else self._options[0][0]]


def form(token: str, **changed: Any) -> dict[str, list[str]]:
    """Return what the page would send as it is, with these members changed."""
    fields = {**Boxes(look(token)).fields}
    for name, value in changed.items():
        fields.pop(name, None)
        if value is not None:
            fields[name] = [value] if isinstance(value, str) else list(value)
    return fields


def save(token: str, **changed: Any) -> None:
    response = request("POST", token, form(token, **changed))
    assert response["statusCode"] == 303, response["body"]
    assert response["headers"]["location"] == "?saved=1"
    assert response["body"] == ""


def wanted_but(*names: str) -> list[str]:
    return [name for name in CATEGORIES if name not in names]


# ---------------------------------------------------------------------------------------- the link


def test_a_link_is_made_for_thirty_days_and_stored_nowhere(desk: Desk) -> None:
    contact_id = person(desk)
    status, made = desk.call(LINK, contact_id)
    assert (status, set(made)) == (201, {"contact_id", "url", "expires_at"})
    ends = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < ends <= timedelta(days=30)
    assert desk.place.rows("preference_pages") == []
    assert re.fullmatch(rf"{BASE}/p/[A-Za-z0-9_-]{{104}}", made["url"])
    raw = base64.urlsafe_b64decode(made["url"].rpartition("/")[2])
    for personal in (GERMAN, "Ana"):
        assert personal.encode() not in raw


@pytest.mark.parametrize("days", [0, 367, "many"])
def test_a_link_opens_for_a_year_at_most(desk: Desk, days: Any) -> None:
    status, problem = desk.call(LINK, person(desk), body={"days": days})
    assert (status, problem["field"]) == (422, "days")


def test_without_an_address_of_ours_no_link_is_made(desk: Desk, vault: Vault) -> None:
    contact_id = person(desk)
    own_tools(desk, vault, public_url=None)
    status, problem = desk.call(LINK, contact_id)
    assert (status, "PUBLIC_URL" in problem["detail"]) == (422, True)


@pytest.mark.parametrize("members", [{}, {"key": ""}])
def test_a_secret_without_a_key_signs_and_opens_nothing(desk: Desk, members: Made) -> None:
    contact_id = person(desk)
    token = link(desk, contact_id)
    own_tools(desk, Vault(**members))
    assert desk.call(LINK, contact_id)[0] == 500
    with pytest.raises(ConfigurationError):
        read_token(desk.made, token)


# ----------------------------------------------------------------------------- what opens the page


def refused(token: str) -> None:
    """A page that says so and no more, whatever is wrong."""
    for method, fields in (("GET", None), ("POST", {**NIGHT, "timezone": ""})):
        response = request(method, token, fields)
        assert response["statusCode"] == 404
        assert texts()["en"]["gone"] in response["body"]
        assert response["body"] == request("GET", "x")["body"]


@pytest.mark.parametrize("token", ["", "x", "A" * 104, "a" * 103, "../../x", "ü" * 104, "é\0" * 52])
def test_what_is_no_token_opens_nothing(desk: Desk, vault: Vault, token: str) -> None:
    person(desk)
    refused(token)
    assert vault.asked <= 2


@budget(max_examples=200)
@given(data=st.data())
def test_a_changed_token_is_no_token(data: st.DataObject) -> None:
    """Of any tenant, contact, end or generation: nothing can be changed in it."""
    made = Tools(Settings(preferences_secret_arn="arn:preferences", public_url=BASE))
    made.secrets = Secrets(fetch=Vault(key="k" * 64))
    token = TOKEN
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(
        st.sampled_from("ABCXYZabcxyz0189-_").filter(lambda one: one != token[place])
    )
    changed = token[:place] + letter + token[place + 1 :]
    assert read_token(made, token).generation == 3
    with pytest.raises(NotFound):
        read_token(made, changed)


def test_a_token_of_another_tenant_with_this_ones_contact_is_not_signed(desk: Desk) -> None:
    mine, other = person(desk), desk.world.place()
    theirs = str(other.person().contact_id)
    assert desk.call(LINK, theirs)[0] == 404
    # Put together of two good ones: the tenant of the one, the contact of the other.
    status, made = desk.call(LINK, theirs, key=other.add_key("preferences:write"))
    assert status == 201
    one = base64.urlsafe_b64decode(link(desk, mine))
    two = base64.urlsafe_b64decode(made["url"].rpartition("/")[2])
    for mixed in (one[:18] + two[18:], two[:18] + one[18:], one[:34] + two[34:]):
        refused(base64.urlsafe_b64encode(mixed).decode())
    request("POST", made["url"].rpartition("/")[2], {**NIGHT, "timezone": ""})
    assert desk.place.rows("notification_preferences") == []
    assert len(other.rows("notification_preferences")) == 1


def _clock_at(moment: datetime) -> Clock:
    return replace(Clock(), wall=lambda: moment)


def test_a_link_is_over_at_its_end(desk: Desk) -> None:
    token = link(desk, person(desk), days=2)
    now = datetime.now(UTC)
    for passed, opens in ((timedelta(days=1, hours=23), True), (timedelta(days=2), False)):
        desk.made.clock = _clock_at(now + passed)
        if opens:
            look(token)
        else:
            refused(token)


def test_revoking_ends_every_link_and_the_next_one_opens(desk: Desk) -> None:
    contact_id = person(desk)
    before = [link(desk, contact_id), link(desk, contact_id, days=90)]
    assert desk.ok(REVOKE, contact_id) == {"contact_id": contact_id}
    for token in before:
        refused(token)
    after = link(desk, contact_id)
    save(after)
    desk.ok(REVOKE, contact_id)
    refused(after)
    look(link(desk, contact_id))
    assert desk.call(REVOKE, uuid4())[0] == 404


def test_a_key_that_rotates_keeps_the_links_of_the_last_one(desk: Desk, vault: Vault) -> None:
    token = link(desk, person(desk))
    vault.members = {"key": "n" * 64, "key_previous": "k" * 64}
    own_tools(desk, vault)
    look(token)
    vault.members = {"key": "n" * 64}
    own_tools(desk, vault)
    refused(token)


def test_a_link_that_a_newer_key_signed_opens_at_once(desk: Desk, vault: Vault) -> None:
    contact_id = person(desk)
    look(link(desk, contact_id))
    reading = desk.made
    vault.members = {"key": "n" * 64}
    own_tools(desk, vault)
    newer = link(desk, contact_id)
    desk.made = reading
    look(newer)


def test_forged_links_cost_the_database_nothing(desk: Desk, monkeypatch: Any) -> None:
    away = Tools(
        Settings(
            database_url=f"postgresql://app@127.0.0.1:{free_port()}/x",
            preferences_secret_arn="arn:preferences",
        )
    )
    away.secrets = Secrets(fetch=Vault(key="k" * 64))
    token = link(desk, person(desk))
    monkeypatch.setattr(webhook, "tools", lambda: away)
    refused(token[:-1] + ("A" if token[-1] != "A" else "B"))
    response = request("GET", token)
    assert response["statusCode"] == 503
    assert int(response["headers"]["retry-after"]) > 0
    assert texts()["en"]["later"] in response["body"]


def test_a_deleted_contacts_link_opens_nothing(desk: Desk) -> None:
    contact_id = person(desk)
    token = link(desk, contact_id)
    desk.set("contacts", contact_id, deleted_at=datetime.now(UTC))
    refused(token)


def test_a_merged_contacts_link_leads_to_the_roots_preferences(desk: Desk) -> None:
    one, other = person(desk), person(desk, "4915550000002")
    tokens = {one: link(desk, one), other: link(desk, other)}
    root = merge(desk, one, other)
    (loser,) = {one, other} - {root}
    save(tokens[loser], wanted=wanted_but("budget_alerts", "marketing"))
    assert desk.ok(GET, root)["categories"]["budget_alerts"]["chosen"] is False
    (row,) = desk.place.rows("notification_preferences")
    assert str(row["contact_id"]) == root
    assert 'value="budget_alerts" checked' not in look(tokens[root])


def test_no_merge_opens_a_link_that_was_revoked(desk: Desk) -> None:
    one, other = person(desk), person(desk, "4915550000002")
    old = link(desk, one)
    desk.ok(REVOKE, one)
    save(link(desk, other))
    merge(desk, one, other)
    refused(old)


# ----------------------------------------------------------------------------------- what it shows


def test_the_page_shows_what_is_decided_and_nothing_of_the_person(desk: Desk) -> None:
    contact_id = person(desk)
    night = {"quiet_hours_start": "22:00", "quiet_hours_end": "07:00"}
    desk.ok(PUT, contact_id, body={**night, "trip_reminders": False, "timezone": "Asia/Tokyo"})
    desk.set("contacts", contact_id, name="Zyxwv")
    page = look(link(desk, contact_id))
    boxes = Boxes(page)
    assert boxes.fields == {
        "shown": list(CATEGORIES),
        # Neither refused nor, without an opt-in, allowed.
        "wanted": wanted_but("trip_reminders", "marketing"),
        "quiet_hours_start": ["22:00"],
        "quiet_hours_end": ["07:00"],
        "timezone": ["Asia/Tokyo"],
    }
    assert "Automatic (Europe/Berlin)" in page
    assert "<strong>T</strong>" in page  # the business
    for personal in (GERMAN, "Zyxwv", contact_id, str(desk.place.tenant_id)):
        assert personal not in page


def test_the_page_runs_nothing_and_loads_nothing(desk: Desk) -> None:
    page = look(link(desk, person(desk)))
    boxes = Boxes(page)
    assert not {"script", "img", "link", "iframe", "base"} & set(boxes.tags)
    assert not {name for name in boxes.attributes if name.startswith("on")} | (
        boxes.attributes & {"src", "href", "style"}
    )
    assert "http" not in page
    policy = HEADERS["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert (HEADERS["cache-control"], HEADERS["referrer-policy"]) == ("no-store", "no-referrer")


def test_what_others_wrote_is_text_on_the_page(desk: Desk) -> None:
    contact_id = person(desk)
    name = "<script>alert(1)</script>"
    desk.set("tenants", desk.place.tenant_id, name=name)
    token = link(desk, contact_id)
    assert name not in look(token)
    fields = form(token, quiet_hours_start='"><script>', timezone="<b>")
    response = request("POST", token, fields)
    assert response["statusCode"] == 422
    assert "<script>" not in response["body"]
    assert "<b>" not in response["body"]


@pytest.mark.parametrize(
    ("accepted", "locale", "language"),
    [
        ("de-CH,de;q=0.9,en;q=0.8", None, "de"),
        ("ja,es-419;q=0.5,en;q=0.4", None, "es"),
        ("en;q=0.1, fr;q=0.9", "de_DE", "fr"),
        ("ja", "pt_BR", "pt"),
        ("ja", "ja_JP", "en"),
        ("", None, "en"),
        ("*", "it", "it"),
        ("de;q=0, ar", None, "ar"),
        ("de;q=x,;;;,=", "", "en"),
        ("x" * 10_000, None, "en"),
    ],
)
def test_the_language_is_the_browsers_then_the_contacts(
    accepted: str, locale: str | None, language: str
) -> None:
    assert choose_language(accepted, locale) == language


def test_every_language_says_everything(desk: Desk) -> None:
    contact_id = person(desk)
    token = link(desk, contact_id)
    assert {frozenset(said) for said in texts().values()} == {frozenset(texts()["en"])}
    for language, said in texts().items():
        page = look(token, language=language)
        assert f'<html lang="{language}"' in page
        assert (' dir="rtl"' in page) is (language == "ar")
        for name in CATEGORIES:
            assert said[name] in page
    desk.ok("PATCH /v1/contacts/{id}", contact_id, body={"locale": "pt_BR"})
    assert texts()["pt"]["intro"] in look(token, language="ja")


# ----------------------------------------------------------------------------------- what it saves


def test_a_save_changes_what_was_changed_and_nothing_else(desk: Desk) -> None:
    contact_id = person(desk)
    token = link(desk, contact_id)
    save(token, **NIGHT, timezone="America/Lima", wanted=wanted_but("ai_suggestions", "marketing"))
    shown = desk.ok(GET, contact_id)
    chosen = {name: one["chosen"] for name, one in shown["categories"].items()}
    assert chosen == {**dict.fromkeys(CATEGORIES), "ai_suggestions": False}
    hours = {"enabled": True, "start": "22:00", "end": "07:00", "source": "person"}
    assert shown["quiet_hours"] == hours
    assert shown["timezone"] == {"name": "America/Lima", "source": "person"}
    assert Boxes(look(token)).fields["quiet"] == ["1"]
    assert "Saved." in look(token, query={"saved": "1"})
    assert "Saved." not in look(token)

    save(token, quiet=None, quiet_hours_start="", quiet_hours_end="", timezone="")
    shown = desk.ok(GET, contact_id)
    assert shown["quiet_hours"]["source"] == "default"
    assert shown["timezone"]["source"] == "number"
    save(token, wanted=wanted_but("marketing"))
    assert desk.ok(GET, contact_id)["categories"]["ai_suggestions"]["chosen"] is True
    assert history(desk, contact_id) == []


def test_saving_what_was_shown_decides_nothing(desk: Desk) -> None:
    contact_id = person(desk)
    token = link(desk, contact_id)
    before = desk.ok(GET, contact_id)
    save(token)
    assert desk.ok(GET, contact_id) == before
    assert desk.place.rows("notification_preferences") == []


def test_a_zone_that_a_service_chose_stays_although_people_are_not_shown_it(desk: Desk) -> None:
    contact_id = person(desk)
    desk.ok(PATCH, contact_id, body={"timezone": "Etc/GMT+3"})
    save(link(desk, contact_id), wanted=wanted_but("marketing"))
    assert desk.ok(GET, contact_id)["timezone"]["name"] == "Etc/GMT+3"


@pytest.mark.parametrize(
    ("changed", "field", "key"),
    [
        ({"quiet": "1"}, "quiet_hours_start", "time_needed"),
        ({**NIGHT, "quiet_hours_end": "22:00"}, "quiet_hours_end", "time_same"),
        ({**NIGHT, "quiet_hours_end": "later"}, "quiet_hours_end", "time_needed"),
        ({**NIGHT, "quiet_hours_end": "25:00"}, "quiet_hours_end", "time_needed"),
        ({"quiet_hours_start": "9"}, "quiet_hours_start", "time_needed"),
        ({**NIGHT, "timezone": "Mars/Olympus"}, "timezone", "zone_unknown"),
    ],
)
def test_what_is_wrong_is_marked_and_nothing_is_saved(
    desk: Desk, changed: Made, field: str, key: str
) -> None:
    contact_id = person(desk)
    agree(desk, contact_id)
    token = link(desk, contact_id)
    fields = form(token, **changed, wanted=["trip_reminders"])
    response = request("POST", token, fields, language="de")
    assert response["statusCode"] == 422
    said = texts()["de"]
    assert f'id="{field}-problem">{said[key]}<' in response["body"]
    assert f'aria-describedby="{field}-problem"' in response["body"]
    assert said["wrong"] in response["body"]
    # What was typed is there still.
    assert Boxes(response["body"]).fields["wanted"] == ["trip_reminders"]
    assert desk.place.rows("notification_preferences") == []
    assert len(history(desk, contact_id)) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"wanted=marketing",
        b"quiet_hours_start=&quiet_hours_end=",
        b"\xff\xfe=1",
        b"quiet_hours_start=&quiet_hours_end=&timezone=" + b"&shown=trip_reminders" * 62,
    ],
)
def test_a_body_that_is_not_the_form_unticks_nothing(desk: Desk, body: bytes) -> None:
    token = link(desk, person(desk))
    assert request("POST", token, body)["statusCode"] == 400
    assert request("POST", token, b"x" * 9000)["statusCode"] == 413
    assert desk.place.rows("notification_preferences") == []


def test_a_form_decides_only_the_boxes_that_it_had(desk: Desk) -> None:
    """One that was opened before a category came, or with names of its own."""
    contact_id = person(desk)
    token = link(desk, contact_id)
    shown = ["trip_reminders", "business", "quiet_hours_enabled"]
    save(token, shown=shown, wanted=["opt_in_status", "budget_alerts"])
    chosen = {n: one["chosen"] for n, one in desk.ok(GET, contact_id)["categories"].items()}
    assert chosen == {**dict.fromkeys(CATEGORIES), "trip_reminders": False}


def test_whoever_saves_for_ever_is_made_to_wait(desk: Desk) -> None:
    token, other = link(desk, person(desk)), link(desk, person(desk, "4915550000002"))
    fields = form(token)
    for _ in range(20):
        assert request("POST", token, fields)["statusCode"] == 303
    response = request("POST", token, fields)
    assert response["statusCode"] == 429
    assert response["headers"]["retry-after"] == "600"
    look(token)
    save(other)
    desk.world.everything.execute(
        "update messaging.preference_pages set saves_since = now() - interval '10 minutes'"
    )
    save(token)
    assert sorted(row["saves"] for row in desk.place.rows("preference_pages")) == [1, 1]


# --------------------------------------------------------------------------------------- marketing


def test_marketing_switched_off_is_recorded_in_the_words_that_were_shown(desk: Desk) -> None:
    contact_id = person(desk)
    agree(desk, contact_id, days_ago=1)
    token = link(desk, contact_id)
    fields = form(token, wanted=wanted_but("marketing"))
    assert request("POST", token, fields, language="de")["statusCode"] == 303
    assert history(desk, contact_id) == [("messages", "given", "api"), SHOWN_MARKETING]
    row = desk.pages("GET /v1/consents", contact_id=contact_id)[0]
    assert row["wording"] == "Ihre Benachrichtigungen: Angebote und Neuigkeiten (aus)"
    assert row["language"] == "de"
    marketing = desk.ok(GET, contact_id)["categories"]["marketing"]
    assert marketing == {"wanted": False, "source": "person", "chosen": False}
    # The rest of their messages goes on, and saving again says nothing new.
    (contact,) = desk.place.rows("contacts")
    assert contact["opt_in_status"] == "opted_in"
    assert contact["marketing_stopped_at"] is None
    save(token)
    save(token, wanted=CATEGORIES)
    assert history(desk, contact_id)[2:] == [("marketing", "given", "page")]


def test_who_ticks_marketing_unasked_has_opted_in(desk: Desk) -> None:
    contact_id = person(desk)
    token = link(desk, contact_id)
    save(token, wanted=CATEGORIES)
    assert sorted(history(desk, contact_id)) == [
        ("marketing", "given", "page"),
        ("messages", "given", "page"),
    ]
    marketing = desk.ok(GET, contact_id)["categories"]["marketing"]
    assert marketing == {"wanted": True, "source": "person", "chosen": True}


def test_what_was_stopped_in_whatsapp_is_told_and_not_lifted(desk: Desk) -> None:
    contact_id = person(desk)
    agree(desk, contact_id, days_ago=1)
    stop_at_meta(desk)
    token = link(desk, contact_id)
    page = look(token)
    assert texts()["en"]["whatsapp"] in page
    assert Boxes(page).disabled == 1
    save(token, shown=CATEGORIES, wanted=CATEGORIES)
    marketing = desk.ok(GET, contact_id)["categories"]["marketing"]
    assert (marketing["source"], marketing["chosen"]) == ("whatsapp", None)


def test_after_stop_the_page_says_how_to_come_back_and_brings_nobody_back(desk: Desk) -> None:
    contact_id = person(desk)
    desk.ok(PATCH, contact_id, body={"budget_alerts": True})
    agree(desk, contact_id, "withdrawn")
    token = link(desk, contact_id)
    page = look(token)
    assert texts()["en"]["opt_out"] in page
    assert Boxes(page).disabled == len(CATEGORIES)
    save(token, shown=CATEGORIES, wanted=CATEGORIES, **NIGHT)
    (contact,) = desk.place.rows("contacts")
    assert contact["opt_in_status"] == "opted_out"
    shown = desk.ok(GET, contact_id)
    assert {one["source"] for one in shown["categories"].values()} == {"opt_out"}
    assert shown["categories"]["budget_alerts"]["chosen"] is True
    assert shown["quiet_hours"]["enabled"] is True


# ------------------------------------------------------------------------------------- and besides


def test_nothing_of_link_or_person_is_logged(
    desk: Desk, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    contact_id = person(desk)
    with caplog.at_level(logging.DEBUG):
        capsys.readouterr()
        token = link(desk, contact_id)
        save(token)
        refused("a" * 104)
        desk.ok(REVOKE, contact_id)
        refused(token)
    told = capsys.readouterr()
    for word in (token, "a" * 104, GERMAN, "kkkk"):
        assert word not in told.out + told.err + caplog.text


def test_webhooks_do_not_pay_for_the_page_at_their_cold_start() -> None:
    program = (
        "import sys, functions.webhook.app;"
        " assert not [name for name in sys.modules if 'preference' in name and 'switch' in name]"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def _token() -> str:
    """Return a token of nobody that is good for ever, signed as the page's links are."""
    import hmac
    import struct

    said = struct.pack(">H16s16sQI", 1, uuid4().bytes, uuid4().bytes, 2**33, 3)
    mac = hmac.digest(b"k" * 64, b"switchboard preferences link\0" + said, "sha256")
    return base64.urlsafe_b64encode(said + mac).decode()


TOKEN = _token()
