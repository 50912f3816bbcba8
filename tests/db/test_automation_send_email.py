"""send_email: the mail that SES gets, made of facts, and what the policy says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from switchboard.inbox import preference_page
from tests.databases import ClonedDatabase
from tests.mailing import Mailing, mailing_of


@pytest.fixture
def mailing(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailing]:
    with mailing_of(database, monkeypatch) as made:
        yield made


def test_a_template_with_facts_goes_out_once_as_simple_content(mailing: Mailing) -> None:
    mailing.rule()
    person = mailing.person(name="Ada <b>&\r\nBcc: x@y.example")
    mailing.say(person)
    row = mailing.row()
    (mail,) = mailing.server.mails
    del mail["MessageId"], mail["at"]
    assert mail == {
        "FromEmailAddress": "Acme Trips <trips@acme.example>",
        "ReplyToAddresses": ["desk@acme.example"],
        "Destination": {"ToAddresses": ["ana@acme.example"]},
        "Content": {
            "Simple": {
                "Subject": {
                    "Data": "Your trip, Ada <b>& Bcc: x@y.example",
                    "Charset": "UTF-8",
                },
                "Body": {
                    "Text": {
                        "Data": "Hello Ada <b>&\r\nBcc: x@y.example, it is Rome.",
                        "Charset": "UTF-8",
                    },
                    "Html": {
                        "Data": "<p>Hello <b>Ada &lt;b&gt;&amp;\r\nBcc: x@y.example</b>,"
                        " it is Rome.</p>",
                        "Charset": "UTF-8",
                    },
                },
            }
        },
        "EmailTags": [
            {"Name": "switchboard_tenant", "Value": str(row["tenant_id"])},
            {"Name": "switchboard_email", "Value": str(row["id"])},
        ],
        "ConfigurationSetName": "switchboard",
    }
    assert (row["status"], row["attempt"], row["sent_at"]) == ("sent", 1, mailing.at.now)
    assert row["ses_message_id"]
    (run,) = mailing.place.rows("automation_runs")
    assert (run["status"], run["result"]) == ("done", {"email_id": str(row["id"])})
    assert mailing.logs() == [("email", "ana@acme.example", 1, "accepted", None)]
    mailing.work(hours=1)
    assert len(mailing.server.mails) == 1


@pytest.mark.parametrize(
    ("contact", "action", "reason"),
    [
        ({"opt_in_status": "opted_out"}, {}, "opted_out"),
        ({"is_blocked": True}, {}, "contact_blocked"),
        ({"opt_in_status": "pending"}, {"category": "marketing"}, "not_opted_in"),
        ({"marketing_stopped_at": "2031-01-01"}, {"category": "marketing"}, "marketing_stopped"),
    ],
)
def test_what_a_person_has_refused_is_not_mailed(
    mailing: Mailing, contact: dict[str, Any], action: dict[str, Any], reason: str
) -> None:
    mailing.rule(**action)
    mailing.say(mailing.person(**contact))
    assert mailing.server.requests == 0
    row = mailing.row()
    assert (row["status"], row["reason"]) == ("denied", reason)
    assert row["decisions"][0]["verdict"] == "denied"
    assert mailing.runs() == [("skipped", f"denied: {reason}")]


def test_without_a_category_a_mail_is_marketing(mailing: Mailing) -> None:
    mailing.rule(category="marketing")
    mailing.at.rule(
        "trip_start",
        {"hours_before": 0, "at": "12:00"},
        action_type="send_email",
        action_config={
            "template": "trip_reminder",
            "parameters": {"who": "contact.name", "where": {"text": "Rome"}},
        },
    )
    mailing.say(mailing.person(opt_in_status="pending"))
    assert {row["category"] for row in mailing.rows()} == {"marketing"}
    assert mailing.server.requests == 0


def test_the_cap_of_marketing_counts_and_what_is_deleted_gets_nothing(mailing: Mailing) -> None:
    mailing.rule(category="marketing")
    capped, gone = mailing.person(), mailing.person("gone@acme.example")
    mailing.sql(
        "update messaging.tenants set marketing_cap = 1 where id = %s", mailing.place.tenant_id
    )
    mailing.sql(
        "insert into messaging.marketing_sends (tenant_id, contact_id, sent_at)"
        " values (%s, %s, array[%s]::timestamptz[])",
        mailing.place.tenant_id,
        capped.contact_id,
        mailing.at.now,
    )
    mailing.say(capped)
    waits = mailing.put(gone)
    mailing.sql("update messaging.contacts set deleted_at = now() where id = %s", gone.contact_id)
    mailing.work(seconds=1)
    found = {row["id"]: (row["status"], row["reason"]) for row in mailing.rows()}
    assert found.pop(waits["id"]) == ("denied", "contact_deleted")
    assert list(found.values()) == [("denied", "frequency_cap")]
    assert mailing.server.requests == 0


def test_preferences_count_by_their_category(mailing: Mailing) -> None:
    mailing.rule(notification_category="trip_reminders")
    mailing.rule(notification_category="budget_alerts")
    person = mailing.person()
    mailing.sql(
        "insert into messaging.notification_preferences (tenant_id, contact_id, trip_reminders)"
        " values (%s, %s, false)",
        mailing.place.tenant_id,
        person.contact_id,
    )
    mailing.say(person)
    found = {row["notification_category"]: (row["status"], row["reason"]) for row in mailing.rows()}
    assert found == {
        "trip_reminders": ("denied", "preference"),
        "budget_alerts": ("sent", None),
    }


def test_quiet_hours_hold_a_mail_until_they_are_over(mailing: Mailing) -> None:
    mailing.rule()
    person = mailing.person()
    mailing.sql(
        "insert into messaging.notification_preferences (tenant_id, contact_id,"
        " quiet_hours_enabled, quiet_hours_start, quiet_hours_end, timezone)"
        " values (%s, %s, true, '11:00', '14:30', 'UTC')",
        mailing.place.tenant_id,
        person.contact_id,
    )
    mailing.say(person)
    assert (mailing.row()["status"], mailing.server.requests) == ("pending", 0)
    mailing.work(hours=2)
    assert mailing.server.requests == 0
    mailing.work(minutes=31)
    assert (mailing.row()["status"], mailing.server.requests) == ("sent", 1)


def test_a_stopped_tenant_s_mails_wait_and_a_staging_system_s_list_counts(
    mailing: Mailing,
) -> None:
    mailing.rule()
    tenant = mailing.place.tenant_id
    mailing.sql("update messaging.tenants set sends_stopped_at = now() where id = %s", tenant)
    person = mailing.person()
    mailing.say(person)
    assert (mailing.row()["status"], mailing.row()["reason"]) == ("pending", "stopped")
    first = mailing.row()["decisions"]
    mailing.work(minutes=6)
    mailing.work(minutes=6)
    # However long it waits, one wait is one verdict: the last one.
    (last,) = mailing.row()["decisions"]
    assert (last["reason"], last["at"] > first[0]["at"]) == ("stopped", True)
    mailing.sql("update messaging.tenants set sends_stopped_at = null where id = %s", tenant)
    tools = mailing.tools()
    listed = tools.settings.model_copy(update={"recipient_allow_list": frozenset({"4915550"})})
    tools.settings = listed
    mailing.work(minutes=6)
    assert (mailing.row()["status"], mailing.row()["reason"]) == (
        "denied",
        "recipient_not_allowed",
    )
    assert mailing.server.requests == 0


def test_a_mail_that_waited_too_long_is_not_sent(mailing: Mailing) -> None:
    mailing.rule(expires_in_minutes=10)
    mailing.server.faults = ["throttled"]
    mailing.say(mailing.person())
    mailing.work(minutes=11)
    assert (mailing.row()["status"], mailing.row()["reason"]) == ("denied", "expired")
    assert mailing.server.requests == 1


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (None, "no_email_address"),
        ("a,b@acme.example", "bad_email_address"),
        ("ana@acme.example\r\nBcc: x@y.example", "bad_email_address"),
        ("<ana@acme.example>", "bad_email_address"),
        ("ana@acme", "bad_email_address"),
    ],
)
def test_without_one_good_address_the_run_is_skipped(
    mailing: Mailing, address: str | None, reason: str
) -> None:
    mailing.rule()
    mailing.say(mailing.person(address))
    assert mailing.runs() == [("skipped", reason)]
    assert mailing.rows() == []
    assert mailing.server.requests == 0


def test_a_domain_of_other_letters_goes_out_as_punycode(mailing: Mailing) -> None:
    mailing.rule()
    mailing.say(mailing.person("ana@büro.example"))
    assert mailing.server.mails[0]["Destination"]["ToAddresses"] == ["ana@xn--bro-hoa.example"]


def test_a_template_that_is_not_there_and_a_parameter_that_is_not_given(mailing: Mailing) -> None:
    mailing.rule(template="other")
    mailing.rule(parameters={"who": "contact.name"})
    mailing.rule(parameters={"who": "contact.name", "where": "trip.destination"})
    mailing.say(mailing.person())
    assert sorted(mailing.runs(), key=str) == [
        ("failed", "the e-mail template other is not known"),
        ("failed", "the template asks for where, which is not given"),
        ("skipped", "missing: trip.destination"),
    ]


def test_a_tenant_without_a_sender_sends_nothing(mailing: Mailing) -> None:
    mailing.rule()
    mailing.sql(
        "update messaging.tenants set email_from = null where id = %s", mailing.place.tenant_id
    )
    mailing.say(mailing.person())
    assert mailing.runs() == [("skipped", "denied: sender_missing")]


@pytest.mark.parametrize(
    ("address", "status", "reason", "to"),
    [
        ("new@b\u00fcro.example", "sent", None, ["new@xn--bro-hoa.example"]),
        (None, "denied", "no_email_address", []),
        ("gone@acme.example", "suppressed", "suppressed_bounce", []),
    ],
)
def test_a_mail_that_waits_goes_to_the_address_of_then(
    mailing: Mailing, address: str | None, status: str, reason: str | None, to: list[str]
) -> None:
    mailing.rule()
    person = mailing.person()
    row = mailing.put(person)
    mailing.sql(
        "insert into messaging.email_suppressions (tenant_id, address, reason, email_id,"
        " contact_id, occurred_at, created_at)"
        " values (%s, 'gone@acme.example', 'bounce', %s, %s, now(), now())",
        row["tenant_id"],
        row["id"],
        person.contact_id,
    )
    mailing.sql(
        "update messaging.contacts set email = %s where id = %s", address, person.contact_id
    )
    mailing.work(seconds=1)
    found = mailing.row()
    assert (found["status"], found["reason"]) == (status, reason)
    assert [one["Destination"]["ToAddresses"] for one in mailing.server.mails] == [to][: len(to)]
    assert [log[1] for log in mailing.logs()] == to
    assert found["address"] == (to[0] if to else row["address"])


def test_another_contact_can_be_mailed(mailing: Mailing) -> None:
    desk = mailing.person("desk@acme.example", name="Desk")
    mailing.rule(to=str(desk.contact_id))
    mailing.say(mailing.person())
    assert mailing.server.mails[0]["Destination"]["ToAddresses"] == ["desk@acme.example"]


def test_a_value_is_not_read_for_parameters_again(mailing: Mailing) -> None:
    mailing.rule()
    mailing.say(mailing.person(name="{{where}}"))
    simple = mailing.server.mails[0]["Content"]["Simple"]
    assert simple["Subject"]["Data"] == "Your trip, {{where}}"


def test_the_link_to_the_person_s_own_page_unsubscribes(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = mailing.tools()
    tools.settings = tools.settings.model_copy(
        update={"public_url": "https://go.acme.example", "preferences_secret_arn": "arn:x"}
    )
    monkeypatch.setattr(tools.secrets, "json", lambda *_, **__: {"key": "k" * 32})
    mailing.rule()
    # Called a reminder it is marketing all the same.
    mailing.rule(category="marketing", notification_category="trip_reminders")
    person = mailing.person()
    mailing.say(person)
    found = {
        row["category"]: mail["Content"]["Simple"]["Headers"]
        for row in mailing.rows()
        for mail in mailing.server.mails
        if mail["MessageId"] == row["ses_message_id"]
    }
    link = {"Name": "List-Unsubscribe", "Value": found["utility"][0]["Value"]}
    assert re.fullmatch(r"<https://go\.acme\.example/p/[A-Za-z0-9_-]{104}>", link["Value"])
    assert found["utility"] == [link]
    # A button of the mail program's takes marketing back, and nothing else.
    one_click = {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"}
    assert found["marketing"][1:] == [one_click]
    preference_page.unsubscribe(tools, link["Value"].strip("<>").rpartition("/")[2])
    mailing.say(person)
    assert sorted((row["category"], row["status"], row["reason"]) for row in mailing.rows()) == [
        ("marketing", "denied", "preference"),
        ("marketing", "sent", None),
        ("utility", "sent", None),
        ("utility", "sent", None),
    ]
