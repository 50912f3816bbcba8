"""What SES tells of a mail: in any order, any number of times, the same rows; nothing is lost."""

from __future__ import annotations

import itertools
import json
import random
import threading
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

import pytest

from switchboard import mail
from switchboard.intake import letters as dead_letters
from switchboard.kernel.errors import Unavailable
from switchboard.kernel.settings import Settings
from switchboard.mail import events
from switchboard.ses import events as ses_events
from switchboard.store.events import SYSTEM_TENANT
from switchboard.tools import Tools
from tests.databases import ClonedDatabase
from tests.mailing import Mailing, mailing_of
from tests.sending import Person

Event = dict[str, Any]
HARD = {
    "bounceType": "Permanent",
    "bounceSubType": "General",
    "bouncedRecipients": [
        {"emailAddress": "ana@acme.example", "diagnosticCode": "smtp; 550 5.1.1 user unknown"}
    ],
}
SOFT = {"bounceType": "Transient", "bounceSubType": "MailboxFull"}
ABUSE = {"complaintFeedbackType": "abuse"}


@pytest.fixture
def mailing(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailing]:
    with mailing_of(database, monkeypatch) as made:
        made.rule()
        yield made


def sent(mailing: Mailing, person: Person | None = None) -> dict[str, Any]:
    mailing.say(person or mailing.person())
    return mailing.rows()[-1]


def story(mailing: Mailing, row: dict[str, Any], *kinds: str) -> list[Event]:
    told: dict[str, tuple[str, str, dict[str, Any]]] = {
        "send": ("Send", "01", {}),
        "delay": ("DeliveryDelay", "02", {"delayType": "TransientCommunicationFailure"}),
        "soft": ("Bounce", "03", SOFT),
        "delivery": ("Delivery", "04", {"smtpResponse": "250 ok"}),
        "hard": ("Bounce", "05", HARD),
        "abuse": ("Complaint", "06", ABUSE),
        "abuse2": ("Complaint", "07", ABUSE),
        "not_spam": ("Complaint", "08", {"complaintFeedbackType": "not-spam"}),
        "reject": ("Reject", "03", {"reason": "Bad content"}),
        "open": ("Open", "09", {"open": {"ipAddress": "192.0.2.1"}}),
    }
    return [
        mailing.event(
            row, told[kind][0], f"2031-03-03T12:00:{told[kind][1]}.000Z", **deepcopy(told[kind][2])
        )
        for kind in kinds
    ]


#: What differs from one order to another by right.
GENERATED = {"id", "created_at", "updated_at", "lease_token"}


def state(mailing: Mailing) -> dict[str, list[str]]:
    """Return all rows of mails as texts, without generated ids and times of receipt."""
    tables = ("emails", "email_events", "email_suppressions", "delivery_logs", "consents")
    return {
        table: sorted(
            str({k: v for k, v in row.items() if k not in GENERATED})
            for row in mailing.place.rows(table)
        )
        for table in tables
    }


def reset(mailing: Mailing, row: dict[str, Any]) -> None:
    for table in ("email_events", "email_suppressions", "consents"):
        mailing.sql(f"delete from messaging.{table} where tenant_id = %s", row["tenant_id"])
    mailing.sql(
        "delete from messaging.delivery_logs where tenant_id = %s and status <> 'accepted'",
        row["tenant_id"],
    )
    mailing.sql(
        "update messaging.emails set status = 'unconfirmed', reason = null, sent_at = null,"
        " delivered_at = null, bounced_at = null, complained_at = null where id = %s",
        row["id"],
    )


# ------------------------------------------------------------------------------------- any order


@pytest.mark.parametrize(
    ("kinds", "status", "reason"),
    [
        (["send", "delay", "delivery", "abuse"], "complained", "complaint: abuse"),
        (["send", "soft", "delivery", "open"], "delivered", None),
        (
            ["send", "delivery", "hard", "soft"],
            "bounced",
            "Permanent: General: smtp; 550 5.1.1 user unknown",
        ),
        (["hard", "abuse", "abuse2", "delivery"], "complained", "complaint: abuse"),
        (["send", "reject"], "rejected", "Bad content"),
        (["send", "delay", "soft"], "bounced", "Transient: MailboxFull"),
        (["delay"], "sent", None),
    ],
)
def test_any_order_and_repetition_ends_in_the_same_rows(
    mailing: Mailing, kinds: Sequence[str], status: str, reason: str | None
) -> None:
    row = sent(mailing)
    told = story(mailing, row, *kinds)
    dice = random.Random(7)
    expected = None
    for order in itertools.permutations(told):
        reset(mailing, row)
        taken = [mailing.take(event) for event in order]
        again = dice.sample(order, len(order))
        # Another envelope around the same event is the same event.
        repeated = [mailing.take({**event, "id": "another"}) for event in again]
        assert set(taken) == {"taken"}
        assert set(repeated) == {"again"}
        found = state(mailing)
        expected = expected or found
        assert found == expected
    row = mailing.row()
    assert (row["status"], row["reason"]) == (status, reason)


def test_events_before_and_after_ses_has_answered_end_in_the_same_rows(mailing: Mailing) -> None:
    """SES may tell before its answer is there, and whatever it told has the last word."""
    row = mailing.put(mailing.person())
    before = state_after(mailing, row, tell_first=True)
    for table in ("email_events", "email_suppressions", "consents", "delivery_logs"):
        mailing.sql(f"delete from messaging.{table}")
    mailing.sql(
        "update messaging.emails set status = 'pending', attempt = 0, reason = null,"
        " ses_message_id = null, sent_at = null, bounced_at = null"
    )
    assert state_after(mailing, row, tell_first=False) == before


def state_after(mailing: Mailing, row: dict[str, Any], *, tell_first: bool) -> dict[str, list[str]]:
    """Send a mail that comes back, SES's events before its answer or after it."""

    def tell() -> None:
        for event in story(mailing, {**row, "ses_message_id": "x"}, "send", "hard"):
            assert mailing.take(event, mailing.process()) == "taken"

    mailing.server.before = tell if tell_first else lambda: None
    mail.attempt(mailing.tools(), row["tenant_id"], row["id"], unsubscribe=lambda _: None)
    if not tell_first:
        tell()
    assert mailing.row()["status"] == "bounced"
    # SES's id is another one each time.
    mailing.sql("update messaging.emails set ses_message_id = 'x', decisions = '[]'")
    mailing.sql("update messaging.delivery_logs set provider_response = null")
    return state(mailing)


def test_an_event_settles_a_mail_of_which_nobody_knew(mailing: Mailing) -> None:
    mailing.server.faults = ["lost"]
    row = sent(mailing)
    assert (row["status"], row["ses_message_id"]) == ("unconfirmed", None)
    taken = mailing.server.mails[0]["MessageId"]
    (event,) = story(mailing, {**row, "ses_message_id": taken}, "delivery")
    mailing.take(event)
    row = mailing.row()
    assert (row["status"], row["reason"], row["ses_message_id"]) == ("delivered", None, taken)
    mailing.work(hours=1)
    assert mailing.server.requests == 1


def test_what_ses_tells_of_a_mail_that_waits_is_believed(mailing: Mailing) -> None:
    """We thought that nothing had gone out: it is not sent again."""
    mailing.server.faults = ["throttled"]
    row = sent(mailing)
    assert row["status"] == "pending"
    mailing.take(story(mailing, row, "delivery")[0])
    mailing.work(hours=1)
    assert mailing.row()["status"] == "delivered"
    assert mailing.server.requests == 1


def test_eight_at_once_with_the_same_events_write_them_once(mailing: Mailing) -> None:
    row = sent(mailing)
    told = story(mailing, row, "send", "delivery", "hard", "abuse")
    processes = [mailing.process() for _ in range(8)]
    results: list[str] = []

    def deliver(tools: Tools, seed: int) -> None:
        order = random.Random(seed).sample(told, len(told))
        results.extend(events.take(tools, event) for event in order)

    threads = [
        threading.Thread(target=deliver, args=(tools, seed)) for seed, tools in enumerate(processes)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(results) == ["again"] * 28 + ["taken"] * 4
    assert mailing.row()["status"] == "complained"
    assert len(mailing.place.rows("consents")) == 1
    assert len(mailing.place.rows("email_suppressions")) == 2


# ------------------------------------------------------------------------- what follows from them


def test_the_log_tells_each_of_them(mailing: Mailing) -> None:
    row = sent(mailing)
    for event in story(mailing, row, "send", "delay", "delivery", "hard", "abuse", "open"):
        mailing.take(event)
    assert sorted(log[3:] for log in mailing.logs()) == sorted(
        [
            ("accepted", None),
            ("sent", None),
            ("deferred", None),
            ("delivered", None),
            ("bounced", "bounced"),
            ("failed", "complained"),
        ],
        key=str,
    )


@pytest.mark.parametrize(
    ("kind", "reason"), [("hard", "suppressed_bounce"), ("abuse", "suppressed_complaint")]
)
def test_an_address_that_came_back_for_good_gets_nothing_more(
    mailing: Mailing, kind: str, reason: str
) -> None:
    first = mailing.person("Ana@Acme.example")
    row = sent(mailing, first)
    mailing.take(story(mailing, row, kind)[0])
    # Nor does anybody else with that address, in whatever letters.
    other = sent(mailing, mailing.person("aNA@acme.example"))
    assert (other["status"], other["reason"]) == ("suppressed", reason)
    assert mailing.runs()[-1] == ("skipped", f"denied: {reason}")
    assert mailing.server.requests == 1
    # Another tenant's mails to it are its own affair.
    foreign = mailing.at.world.place()
    assert foreign.rows("email_suppressions") == []


def test_a_mail_that_waits_is_held_when_its_address_comes_back_meanwhile(mailing: Mailing) -> None:
    row = sent(mailing)
    waits = mailing.put(mailing.person())
    mailing.take(story(mailing, row, "hard")[0])
    mailing.work(seconds=1)
    (found,) = mailing.rows(id=waits["id"])
    assert (found["status"], found["reason"]) == ("suppressed", "suppressed_bounce")


@pytest.mark.parametrize("kind", ["soft", "reject", "delay", "not_spam"])
def test_what_is_not_for_good_suppresses_nothing(mailing: Mailing, kind: str) -> None:
    row = sent(mailing)
    mailing.take(story(mailing, row, kind)[0])
    assert mailing.place.rows("email_suppressions") == []
    assert mailing.place.rows("consents") == []
    assert sent(mailing, mailing.person())["status"] in {"sent", kind}


def test_a_complaint_is_a_consent_withdrawn_for_mails_alone(mailing: Mailing) -> None:
    person = mailing.person()
    row = sent(mailing, person)
    mailing.take(story(mailing, row, "abuse")[0])
    (consent,) = mailing.place.rows("consents")
    assert (consent["scope"], consent["state"], consent["source"], consent["wording"]) == (
        "email",
        "withdrawn",
        "email",
        "complaint: abuse",
    )
    assert consent["contact_id"] == person.contact_id
    (contact,) = mailing.place.rows("contacts", id=person.contact_id)
    assert contact["opt_in_status"] == "opted_in"
    # Also at another address: it is the person who said so.
    mailing.sql(
        "update messaging.contacts set email = 'new@acme.example' where id = %s", person.contact_id
    )
    again = mailing_again(mailing, person)
    assert (again["status"], again["reason"]) == ("denied", "email_opted_out")


def mailing_again(mailing: Mailing, person: Person) -> dict[str, Any]:
    mailing.at.trip(person, "2031-03-03")
    mailing.tools()
    mailing.at.tick()
    return mailing.rows(contact_id=person.contact_id)[-1]


# ------------------------------------------------------------------------------- what is not ours


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"source": "aws.s3"}, "it is no event of SES"),
        ({"detail": "text"}, "it is no event of SES"),
        ({"detail": {"eventType": "Bounce"}}, "it is about no mail"),
        ({"detail": {"eventType": "Send", "mail": {"tags": {}}}}, "the tag switchboard_tenant"),
    ],
)
def test_what_is_no_event_of_a_mail_of_ours_is_kept_with_its_reason(
    mailing: Mailing, wrong: dict[str, Any], why: str
) -> None:
    row = sent(mailing)
    event = {**story(mailing, row, "delivery")[0], **wrong}
    assert [mailing.take(event) for _ in range(2)] == ["letter", "letter"]
    (letter,) = letters(mailing)
    assert letter["reason"] == "email_event"
    assert letter["field"] == "ses"
    assert letter["detail"].startswith(why)
    assert json.loads(bytes(letter["body"])) == event
    assert mailing.row()["status"] == "sent"


def test_a_mail_that_is_not_there_or_another_tenant_s_is_kept(mailing: Mailing) -> None:
    row = sent(mailing)
    foreign = mailing.at.world.place()
    (event,) = story(mailing, {**row, "tenant_id": foreign.tenant_id}, "hard")
    assert mailing.take(event) == "letter"
    assert letters(mailing)[0]["detail"] == "there is no such mail"
    assert mailing.row()["status"] == "sent"
    assert foreign.rows("email_suppressions") == []


def test_what_postgres_does_not_hold_is_kept_as_it_came(mailing: Mailing) -> None:
    row = sent(mailing)
    (event,) = story(mailing, row, "hard")
    event["detail"]["bounce"]["bouncedRecipients"][0]["status"] = "a\0b"
    assert mailing.take(event) == "letter"
    assert json.loads(bytes(letters(mailing)[0]["body"])) == event


def test_a_word_of_tomorrow_is_kept_with_the_mail_and_changes_nothing(mailing: Mailing) -> None:
    row = sent(mailing)
    event = mailing.event(row, "Teleported", "x", teleport={"to": "moon"})
    assert mailing.take(event) == "taken"
    (kept,) = mailing.place.rows("email_events")
    assert (kept["kind"], kept["detail"]["teleport"]) == ("teleported", {"to": "moon"})
    assert mailing.row()["status"] == "sent"


def test_while_the_database_is_away_nothing_is_taken(mailing: Mailing) -> None:
    row = sent(mailing)
    away = Tools(Settings(database_url="postgresql://app@127.0.0.1:1/nowhere"))
    with pytest.raises(Unavailable):
        events.take(away, story(mailing, row, "hard")[0])


def test_a_kept_event_is_taken_when_it_is_replayed_after_a_fix(mailing: Mailing) -> None:
    row = sent(mailing)
    (event,) = story(mailing, row, "hard")
    mailing.sql("update messaging.emails set id = gen_random_uuid() where id = %s", row["id"])
    assert mailing.take(event) == "letter"
    (letter,) = mailing.place.everything.execute(
        "select id from messaging.webhook_dead_letters where tenant_id = %s", (SYSTEM_TENANT,)
    ).fetchall()
    shown = dead_letters.replay(mailing.tools(), SYSTEM_TENANT, letter[0])
    assert (shown.reason, shown.detail, shown.replays, shown.resolved_at) == (
        "email_event",
        "there is no such mail",
        1,
        None,
    )
    mailing.sql("update messaging.emails set id = %s", row["id"])
    shown = dead_letters.replay(mailing.tools(), SYSTEM_TENANT, letter[0])
    assert shown.resolved_at is not None
    assert mailing.row()["status"] == "bounced"


def letters(mailing: Mailing) -> list[dict[str, Any]]:
    rows = mailing.place.everything.execute(
        "select reason, field, detail, body from messaging.webhook_dead_letters"
        " where tenant_id = %s",
        (SYSTEM_TENANT,),
    ).fetchall()
    return [dict(zip(("reason", "field", "detail", "body"), row, strict=True)) for row in rows]


def test_the_words_of_events_are_ses_s_own() -> None:
    """SES Developer Guide: eventType has a space in one word, and EventBridge another name."""
    assert set(ses_events._KINDS) == {
        "send",
        "deliverydelay",
        "delivery",
        "reject",
        "bounce",
        "complaint",
    }
