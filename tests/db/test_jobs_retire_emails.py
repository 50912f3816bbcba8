"""Mails are forgotten after EMAIL_DAYS, in every tenant, but for those that may still go out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from switchboard.jobs import _retire, retire_emails
from switchboard.kernel.settings import Settings
from tests.databases import ClonedDatabase
from tests.db.jobs_at_hand import START, opened
from tests.db.jobs_worker import Bench, Kinds
from tests.sending import Place, Time

KINDS = Kinds(retire_emails.KIND)
OLD, YOUNG = START - timedelta(days=365, seconds=1), START - timedelta(days=365)
SOON = START + timedelta(minutes=1)
ADDRESS = "ana@acme.example"


@pytest.fixture
def bench(database: ClonedDatabase) -> Iterator[Bench]:
    with opened(database) as jobs:
        bench = Bench(jobs)
        yield bench
        bench.tools.db.drop()


class Desk:
    """A tenant with one person, and what was mailed to them."""

    def __init__(self, bench: Bench) -> None:
        self.place = Place(bench.jobs.everything, Time())
        self.person = self.place.person().contact_id

    def mail(self, name: str, made: datetime = OLD, status: str = "sent", **columns: Any) -> UUID:
        """Put a mail in; nothing was heard of it since it was made."""
        mail_id = uuid4()
        given = {"heard": made, "expires_at": OLD, "lease_until": None, **columns}
        self.place.everything.execute(
            "insert into messaging.emails (tenant_id, id, contact_id, template_name, language,"
            " category, address, subject, text_body, status, due_at, lease_token, lease_until,"
            " expires_at, created_at, updated_at) values (%s, %s, %s, %s, 'en', 'utility', %s, 'S',"
            " 'T', %s, %s, %s, %s, %s, %s, %s)",
            (
                self.place.tenant_id,
                mail_id,
                self.person,
                name,
                ADDRESS,
                status,
                made,
                uuid4() if given["lease_until"] else None,
                given["lease_until"],
                given["expires_at"],
                made,
                given["heard"],
            ),
        )
        return mail_id


def left(bench: Bench) -> list[str]:
    rows = bench.jobs.everything.execute(
        "select template_name from messaging.emails order by 1"
    ).fetchall()
    return [name for (name,) in rows]


def retired(bench: Bench) -> list[int]:
    rows = bench.jobs.everything.execute(
        "select result -> 'retired' from messaging.scheduled_jobs"
        " where job_type = 'retire_emails' and status = 'completed' order by id"
    ).fetchall()
    return [count for (count,) in rows]


def test_a_mail_goes_after_a_year_and_what_still_counts_stays(bench: Bench) -> None:
    for number in range(2):
        desk = Desk(bench)
        for status in ("unconfirmed", "sent", "complained", "failed", "denied", "suppressed"):
            desk.mail(f"{number} gone {status}", status=status)
        desk.mail(f"{number} kept young", YOUNG)
        desk.mail(f"{number} kept heard of", heard=YOUNG)
        desk.mail(f"{number} kept waiting", status="pending", expires_at=SOON)
        desk.mail(f"{number} kept begun", status="sending", lease_until=SOON)
        # Nobody sends these any more: their jobs are dead.
        desk.mail(f"{number} gone waiting", status="pending")
        desk.mail(f"{number} gone begun", status="sending", lease_until=OLD)

    bench.drain(KINDS)

    assert retired(bench) == [16]
    assert not [name for name in left(bench) if "gone" in name]
    assert len(left(bench)) == 8


def test_its_address_is_forgotten_with_it_but_not_that_nothing_goes_there(bench: Bench) -> None:
    desk = Desk(bench)
    old, young = desk.mail("old"), desk.mail("young", YOUNG)
    place = desk.place
    for mail_id in (old, young):
        for channel in ("email", "whatsapp"):
            place.everything.execute(
                "insert into messaging.delivery_logs (tenant_id, id, message_id, channel,"
                " recipient, status) values (%s, gen_random_uuid(), %s, %s, %s, 'accepted')",
                (place.tenant_id, mail_id, channel, ADDRESS),
            )
        place.everything.execute(
            "insert into messaging.email_events (tenant_id, email_id, sha256, kind, rank,"
            " occurred_at, detail, created_at)"
            " values (%s, %s, sha256('x'), 'bounced', 5, %s, '{}', %s)",
            (place.tenant_id, mail_id, OLD, OLD),
        )
    place.everything.execute(
        "insert into messaging.email_suppressions (tenant_id, address, reason, email_id,"
        " contact_id, occurred_at, created_at) values (%s, %s, 'bounce', %s, %s, %s, %s)",
        (place.tenant_id, ADDRESS, old, desk.person, OLD, OLD),
    )

    bench.drain(KINDS)

    assert left(bench) == ["young"]
    assert [row["email_id"] for row in place.rows("email_events")] == [young]
    logs = sorted((row["channel"], row["message_id"]) for row in place.rows("delivery_logs"))
    assert logs == sorted([("email", young), ("whatsapp", old), ("whatsapp", young)])
    assert [row["address"] for row in place.rows("email_suppressions")] == [ADDRESS]


def test_how_long_is_a_setting_and_the_walk_passes_those_that_stay(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_retire, "_BATCH", 2)
    bench.tools.settings = Settings(database_url=bench.jobs.database.app_url, email_days=30)
    over = START - timedelta(days=30, seconds=1)
    for _ in range(2):
        desk = Desk(bench)
        for number in range(3):
            desk.mail(f"kept {number}", over, "pending", expires_at=SOON)
            desk.mail(f"gone {number}", over)
        desk.mail("kept young", START - timedelta(days=30))

    bench.drain(KINDS)

    assert retired(bench) == [6]
    assert len(left(bench)) == 8
