"""A campaign from its start to its end: whom it reaches, once, and what is counted of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from switchboard.campaigns import control
from switchboard.kernel.errors import Conflict
from tests.campaigning import Campaigns, campaigns
from tests.databases import ClonedDatabase


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Campaigns]:
    with campaigns(database) as made:
        yield made


def test_everybody_who_agreed_gets_one_message(at: Campaigns) -> None:
    phones = at.people(30)
    campaign = at.start(at.create())
    at.work()
    assert at.meta.phones == dict.fromkeys(phones, 1)
    assert at.counts(campaign) == {"sent": 30}
    at.check(campaign)
    assert at.show(campaign).campaign.status == "completed"


def test_the_message_is_the_template_with_each_ones_values(at: Campaigns) -> None:
    (phone,) = at.people(1)
    at.start(at.create())
    at.work()
    (body,) = at.meta.bodies
    assert body == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": f"+{phone}",
        "type": "template",
        "template": {
            "name": "offer",
            "language": {"code": "en"},
            "components": [
                {
                    "type": "body",
                    "parameters": [
                        {"type": "text", "text": "P0"},
                        {"type": "text", "text": "come in"},
                    ],
                }
            ],
        },
        "biz_opaque_callback_data": body["biz_opaque_callback_data"],
    }
    ((origin, category),) = at.place.everything.execute(
        "select origin, category from messaging.whatsapp_messages where direction = 'outbound'"
    )
    assert (origin, category) == ("campaign", "MARKETING")


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ("opt_in_status = 'pending'", "not_opted_in"),
        ("opt_in_status = 'opted_out', opted_out_at = now()", "opted_out"),
        ("marketing_stopped_at = now()", "marketing_stopped"),
    ],
)
def test_who_has_not_agreed_is_skipped_with_the_reason(
    at: Campaigns, columns: str, reason: str
) -> None:
    phone, other = at.people(2)
    at.place.everything.execute(
        f"update messaging.contacts set {columns} where phone_number = %s", (f"+{phone}",)
    )
    campaign = at.start(at.create())
    at.work()
    assert at.recipients(campaign) == {phone: ("skipped", reason), other: ("sent", None)}
    assert at.meta.phones == {other: 1}
    at.check(campaign)


def test_a_stop_after_the_freeze_is_heard(at: Campaigns) -> None:
    phones = at.people(3)
    campaign = at.create(ramp={"per_minute": 1})
    at.start(campaign)
    at.work(1)
    at.stop(phones[2])
    at.work(600)
    assert at.recipients(campaign)[phones[2]] == ("denied", "opted_out")
    assert phones[2] not in at.meta.phones
    at.check(campaign)


def test_a_stop_between_feeding_and_sending_is_heard(at: Campaigns) -> None:
    phones = at.people(40)

    def stop_the_last(_: dict[str, Any]) -> None:
        at.meta.before = lambda _: None
        for phone in phones[-3:]:
            at.stop(phone)

    at.meta.before = stop_the_last
    campaign = at.start(at.create())
    at.work()
    assert at.counts(campaign) == {"sent": 37, "denied": 3}
    assert not at.meta.phones.keys() & set(phones[-3:])
    at.check(campaign)


def test_a_value_that_is_missing_costs_that_person_only(at: Campaigns) -> None:
    one, other = at.people(2)
    at.place.everything.execute(
        "update messaging.contacts set name = null where phone_number = %s", (f"+{one}",)
    )
    params = {"body": {"1": "contact.name", "2": {"text": "x"}}}
    campaign = at.start(at.create(template_params=params))
    at.work()
    assert at.recipients(campaign) == {
        one: ("skipped", "missing: contact.name"),
        other: ("sent", None),
    }


def test_statuses_move_the_counters(at: Campaigns) -> None:
    phones = at.people(4)
    campaign = at.start(at.create())
    at.work()
    at.statuses(campaign, "sent", "delivered", phones=set(phones[:3]))
    at.statuses(campaign, "read", phones=set(phones[:1]))
    at.statuses(campaign, "failed", phones={phones[3]})
    assert at.counts(campaign) == {"read": 1, "delivered": 2, "failed": 1}
    assert at.recipients(campaign)[phones[3]] == ("failed", "131026")
    at.check(campaign)


def test_what_nobody_knows_is_shown_and_never_sent_again(at: Campaigns) -> None:
    phones = at.people(10)
    at.meta.answer = lambda phone: "timeout" if phone == phones[3] else None
    campaign = at.start(at.create())
    at.work(60)
    assert at.counts(campaign) == {"sent": 9, "unconfirmed": 1}
    assert at.show(campaign).campaign.status == "sending"
    at.work(20 * 60)
    shown = at.show(campaign)
    assert shown.progress.by_status == {"sent": 9, "undetermined": 1}
    assert shown.progress.undetermined == 1
    assert shown.campaign.status == "completed"
    assert control.retry_failed(at.tools, at.tenant, campaign).retried == 0
    at.work()
    assert at.meta.phones == dict.fromkeys(phones, 1)
    at.check(campaign)


def test_only_what_failed_is_sent_again(at: Campaigns) -> None:
    phones = at.people(10)
    at.meta.answer = lambda phone: 131009 if phone in phones[:2] else None
    campaign = at.start(at.create(failure_limit=None))
    at.work()
    assert at.counts(campaign) == {"sent": 8, "failed": 2}
    at.stop(phones[0])
    at.meta.answer = lambda _: None
    assert control.retry_failed(at.tools, at.tenant, campaign).retried == 2
    assert at.show(campaign).campaign.status == "sending"
    at.work()
    assert at.counts(campaign) == {"sent": 9, "denied": 1}
    assert at.meta.phones == dict.fromkeys(phones[1:], 1)
    at.check(campaign)
    assert at.show(campaign).campaign.status == "completed"
    # What was the person's wish is nobody's to try again.
    assert control.retry_failed(at.tools, at.tenant, campaign).retried == 0


def test_one_that_failed_and_arrived_after_all_is_not_sent_again(at: Campaigns) -> None:
    (phone,) = at.people(1)
    campaign = at.start(at.create(ramp={"per_minute": 1}))
    at.work()
    at.statuses(campaign, "failed")
    assert control.retry_failed(at.tools, at.tenant, campaign).retried == 1
    at.statuses(campaign, "delivered")
    at.work()
    assert at.meta.phones == {phone: 1}
    assert at.counts(campaign) == {"delivered": 1}
    at.check(campaign)


def test_totals_are_written_at_the_end(at: Campaigns) -> None:
    at.people(3)
    at.people(1, first=100, state="pending")
    campaign = at.start(at.create())
    at.work(30)
    at.statuses(campaign, "read")
    at.work()
    shown = at.show(campaign).campaign
    assert (shown.total_recipients, shown.skipped_count) == (4, 1)
    assert (shown.sent_count, shown.failed_count) == (3, 0)


def test_an_audience_of_nobody_ends_at_once(at: Campaigns) -> None:
    campaign = at.start(at.create())
    at.work(5)
    assert at.show(campaign).campaign.status == "completed"


def test_nothing_begins_twice(at: Campaigns) -> None:
    at.people(2)
    campaign = at.start(at.create())
    at.work()
    with pytest.raises(Conflict, match="completed"):
        at.start(campaign)
