"""/v1/email-templates, /v1/emails, /v1/email-suppressions, /v1/agent-endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from switchboard.kernel.outside import Outside
from switchboard.store import email_templates as store
from switchboard.store.email_templates import EmailTemplate
from tests.databases import ClonedDatabase
from tests.managing import Desk, column, desk_of

TEMPLATES, TEMPLATE = "/v1/email-templates", "/v1/email-templates/{id}"
SUPPRESSIONS, SUPPRESSION = "/v1/email-suppressions", "/v1/email-suppressions/{id}"
AGENTS, AGENT = "/v1/agent-endpoints", "/v1/agent-endpoints/{id}"
NEW = {
    "name": "trip_reminder",
    "language": "en",
    "subject": "Your trip, {{who}}",
    "text_body": "Hello {{ who }}",
    "html_body": "<p>Hello {{who}}</p>",
}


@pytest.fixture
def desk(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_of(database, monkeypatch) as desk:
        yield desk


def mail(desk: Desk, status: str, *, phone: str = "4915550000001", **columns: Any) -> str:
    """Put a mail in, as it ended; return its id."""
    desk.hear(phone)
    (contact,) = desk.world.everything.execute(
        "select id from messaging.contacts where phone_number = %s", (f"+{phone}",)
    ).fetchone() or (None,)
    (row,) = desk.world.everything.execute(
        "insert into messaging.emails (tenant_id, id, contact_id, template_name, language,"
        " category, address, subject, text_body, status, due_at, expires_at)"
        " values (%s, gen_random_uuid(), %s, 'trip_reminder', 'en', 'utility', 'ana@b.example',"
        " 'Soon', 'Soon.', %s, now(), now()) returning id",
        (desk.place.tenant_id, contact, status),
    )
    return str(row[0])


def test_a_template_is_made_changed_and_forgotten(desk: Desk) -> None:
    status, made = desk.call(f"POST {TEMPLATES}", body=NEW)
    assert status == 201
    assert set(made) == set(EmailTemplate.__dataclass_fields__)
    assert {name: made[name] for name in NEW} == NEW
    assert desk.ok(f"GET {TEMPLATE}", made["id"]) == made
    changed = desk.ok(f"PATCH {TEMPLATE}", made["id"], body={"html_body": None})
    assert (changed["html_body"], changed["subject"]) == (None, NEW["subject"])
    changed = desk.ok(f"PATCH {TEMPLATE}", made["id"], body={"subject": "Soon"})
    assert (changed["html_body"], changed["subject"]) == (None, "Soon")
    assert desk.ok(f"DELETE {TEMPLATE}", made["id"])["subject"] == "Soon"
    assert desk.call(f"GET {TEMPLATE}", made["id"])[0] == 404


def test_two_changes_of_a_template_at_once_are_both_made(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, made = desk.call(f"POST {TEMPLATES}", body=NEW)
    update = store.update

    def overtaken(*given: Any, **texts: Any) -> None:
        desk.world.everything.execute("update messaging.email_templates set text_body = 'Hi'")
        update(*given, **texts)

    monkeypatch.setattr(store, "update", overtaken)
    changed = desk.ok(f"PATCH {TEMPLATE}", made["id"], body={"subject": "Soon"})
    assert (changed["subject"], changed["text_body"]) == ("Soon", "Hi")
    assert changed["html_body"] == NEW["html_body"]


def test_a_name_stands_once_in_a_language(desk: Desk) -> None:
    assert desk.call(f"POST {TEMPLATES}", body=NEW)[0] == 201
    status, problem = desk.call(f"POST {TEMPLATES}", body=NEW)
    assert (status, problem["field"]) == (409, "name")
    assert desk.call(f"POST {TEMPLATES}", body={**NEW, "language": "de"})[0] == 201
    rows = desk.pages(f"GET {TEMPLATES}", limit=1)
    assert column(rows, "language") == ["de", "en"]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("subject", "One\r\nBcc: x@y.example"),
        ("subject", "One\nTwo"),
        ("subject", "One\u2028Two"),
        ("subject", "x" * 501),
        ("subject", "Hello {{contact.name}}"),
        ("text_body", "Hello {{Who}}"),
        ("html_body", "Hello {{who now}}"),
        ("name", "Trip"),
        ("language", "english"),
    ],
)
def test_what_a_template_cannot_be_is_refused_by_its_member(
    desk: Desk, member: str, value: str
) -> None:
    status, problem = desk.call(f"POST {TEMPLATES}", body={**NEW, member: value})
    assert (status, problem["field"]) == (422, member)


def test_a_change_says_what_to_change(desk: Desk) -> None:
    made = desk.call(f"POST {TEMPLATES}", body=NEW)[1]
    assert desk.call(f"PATCH {TEMPLATE}", made["id"], body={})[0] == 422


def test_mails_are_listed_by_contact_and_status_the_newest_first(desk: Desk) -> None:
    first, second = mail(desk, "sent"), mail(desk, "bounced")
    other = mail(desk, "sent", phone="4915550000002")
    assert column(desk.pages("GET /v1/emails", limit=1), "id") == [other, second, first]
    assert column(desk.pages("GET /v1/emails", status="sent", limit=1), "id") == [other, first]
    contact = desk.ok("GET /v1/emails/{id}", first)["contact_id"]
    assert column(desk.pages("GET /v1/emails", contact_id=contact), "id") == [second, first]
    both = desk.pages("GET /v1/emails", contact_id=contact, status="bounced")
    assert column(both, "id") == [second]
    assert desk.call("GET /v1/emails", status="lost")[0] == 400


def test_a_mail_shows_its_texts_and_events(desk: Desk) -> None:
    which = mail(desk, "bounced")
    desk.world.everything.execute(
        "insert into messaging.email_events (tenant_id, email_id, sha256, kind, rank, reason,"
        " occurred_at, detail, created_at)"
        " values (%s, %s, sha256('x'), 'bounced', 5, 'Permanent', now(), '{}', now())",
        (desk.place.tenant_id, which),
    )
    shown = desk.ok("GET /v1/emails/{id}", which)
    assert (shown["text_body"], shown["html_body"], shown["decisions"]) == ("Soon.", None, [])
    (event,) = shown["events"]
    assert (event["kind"], event["reason"]) == ("bounced", "Permanent")


@pytest.mark.parametrize(("reason", "consents"), [("bounce", 0), ("complaint", 1)])
def test_an_address_gets_mails_again_when_somebody_says_why(
    desk: Desk, reason: str, consents: int
) -> None:
    which = mail(desk, "bounced")
    contact = desk.ok("GET /v1/emails/{id}", which)["contact_id"]
    desk.world.everything.execute(
        "insert into messaging.email_suppressions (tenant_id, address, reason, email_id,"
        " contact_id, occurred_at, created_at)"
        " values (%s, 'ana@b.example', %s, %s, %s, now(), now())",
        (desk.place.tenant_id, reason, which, contact),
    )
    (shown,) = desk.pages(f"GET {SUPPRESSIONS}")
    assert (shown["address"], shown["reason"]) == ("ana@b.example", reason)
    assert desk.call(f"DELETE {SUPPRESSION}", shown["id"], body={})[0] == 422
    said = {"wording": "asked for it on the phone"}
    assert desk.ok(f"DELETE {SUPPRESSION}", shown["id"], body=said) == shown
    assert desk.pages(f"GET {SUPPRESSIONS}") == []
    found = desk.place.rows("consents")
    assert [(one["scope"], one["state"], one["wording"]) for one in found] == [
        ("email", "given", said["wording"])
    ] * consents
    # What they agreed to is mails, and nothing else.
    assert desk.ok("GET /v1/contacts/{id}", contact)["opt_in_status"] == "pending"
    assert desk.call(f"DELETE {SUPPRESSION}", shown["id"], body=said)[0] == 404


def test_an_agent_s_secret_is_shown_once(desk: Desk) -> None:
    desk.made.__dict__["outside"] = Outside(loopback=True)
    new = {"name": "concierge", "url": "http://127.0.0.1:9/run"}
    status, made = desk.call(f"POST {AGENTS}", body=new)
    assert status == 201
    assert made["secret"].startswith("whsec_")
    (shown,) = desk.ok(f"GET {AGENTS}")["data"]
    assert shown == made["endpoint"]
    assert "secret" not in str(shown)
    which = shown["id"]
    moved = desk.ok(f"PATCH {AGENT}", which, body={"url": "http://127.0.0.1:7/run"})
    assert moved["url"] == "http://127.0.0.1:7/run"
    rotated = desk.ok(f"POST {AGENT}/rotate", which)
    assert rotated["secret"] != made["secret"]
    assert desk.call(f"POST {AGENTS}", body=new)[0] == 409
    assert desk.ok(f"DELETE {AGENT}", which)["name"] == "concierge"
    assert desk.ok(f"GET {AGENTS}")["data"] == []


@pytest.mark.parametrize(
    "url", ["http://acme.example/run", "https://127.0.0.1/run", "https://169.254.169.254/x"]
)
def test_an_agent_inside_is_refused(desk: Desk, url: str) -> None:
    desk.made.__dict__["outside"] = Outside(
        resolve=lambda host, _: ["93.184.216.34" if host == "acme.example" else host]
    )
    status, problem = desk.call(f"POST {AGENTS}", body={"name": "a", "url": url})
    assert (status, problem["field"]) == (422, "url")
