"""Campaigns that are changed, sent again, resumed while something else is going on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from switchboard import outbox
from switchboard.campaigns import control, feeding, times
from switchboard.kernel.errors import Conflict, Unprocessable
from switchboard.store import recipients
from tests.campaigning import BODY, Campaigns, campaigns
from tests.databases import ClonedDatabase


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Campaigns]:
    with campaigns(database) as made:
        yield made


class TestSendingAgain:
    @pytest.fixture
    def after_the_first_step(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Do something between the first transaction of a request and the second."""
        whole = vars(control)["transact"]

        def arrange(do: Callable[[], object]) -> None:
            def once(*args: Any, **how: Any) -> Any:
                done = whole(*args, **how)
                monkeypatch.setattr(control, "transact", whole)
                do()
                return done

            monkeypatch.setattr(control, "transact", once)

        return arrange

    def test_it_goes_on_though_a_run_has_completed_it_meanwhile(
        self, at: Campaigns, after_the_first_step: Any
    ) -> None:
        phones = at.people(3)
        at.meta.answer = lambda _: 131026
        campaign = at.start(at.create())
        at.work(120)
        assert at.show(campaign).campaign.status == "completed"
        at.meta.answer = lambda _: None
        # It finds nobody who waits: the first of them are made pending after that.
        after_the_first_step(lambda: at.work(1, at.process()))
        assert control.retry_failed(at.tools, at.tenant, campaign).retried == 3
        at.work(600)
        assert at.meta.phones == dict.fromkeys(phones, 1)
        assert at.show(campaign).campaign.status == "completed"

    def test_nobody_waits_in_one_that_is_cancelled_meanwhile(
        self, at: Campaigns, after_the_first_step: Any
    ) -> None:
        at.people(3)
        at.meta.answer = lambda _: 131026
        campaign = at.start(at.create())
        at.work(120)

        def cancel() -> None:
            at.cancel(campaign)
            at.work(60, at.process())

        after_the_first_step(cancel)
        with pytest.raises(Conflict, match="cancelled"):
            control.retry_failed(at.tools, at.tenant, campaign)
        assert at.counts(campaign) == {"failed": 3}

    @pytest.mark.parametrize("failed", [1, 2], ids=["one", "both"])
    def test_who_became_one_person_has_one_message(self, at: Campaigns, failed: int) -> None:
        phones = at.people(2)
        at.meta.answer = lambda phone: 131026 if phone in phones[2 - failed :] else None
        campaign = at.start(at.create())
        at.work(60)
        with at.tools.db.transaction(at.tenant) as connection:
            connection.execute(
                "select messaging.merge_contacts(%s, %s, 'late_pairing', null, %s)",
                (at.tenant, [at.contact(phone) for phone in phones], at.clock.now),
            )
        at.meta.answer = lambda _: None
        control.retry_failed(at.tools, at.tenant, campaign)
        at.work(120)
        assert len(at.meta.taken) == 1
        assert at.counts(campaign) == {"sent": 1, "skipped": 1}
        at.check(campaign)


@pytest.mark.parametrize("days", [None, -300, 0], ids=["none", "past", "now"])
def test_a_change_of_its_time_does_not_begin_it(at: Campaigns, days: int | None) -> None:
    at.people(2)
    campaign = at.create()
    at.schedule(campaign, (at.clock.now + timedelta(days=3)).isoformat())
    when = None if days is None else (at.clock.now + timedelta(days=days)).isoformat()
    with pytest.raises(Unprocessable, match="scheduled_at") as caught:
        at.change(campaign, scheduled_at=when)
    assert caught.value.field == "scheduled_at"
    at.change(campaign, name="Autumn")
    at.work(120)
    assert at.meta.taken == []


class TestWhileTheAudienceFreezes:
    @pytest.fixture
    def as_it_freezes(self, at: Campaigns, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Let another process do something once the people are put down, not committed yet."""
        whole = recipients.freeze

        def arrange(do: Callable[[], object]) -> None:
            def once(*args: Any, **how: Any) -> int:
                done = whole(*args, **how)
                monkeypatch.setattr(recipients, "freeze", whole)
                mine, at.tools = at.tools, at.real()
                do()
                at.tools = mine
                return done

            monkeypatch.setattr(recipients, "freeze", once)

        return arrange

    def test_another_audience_is_the_one_that_counts(
        self, at: Campaigns, as_it_freezes: Any
    ) -> None:
        one, *_ = at.people(3)
        campaign = at.start(at.create())
        audience = {"type": "custom_list", "phones": [one]}
        as_it_freezes(lambda: at.change(campaign, audience=audience))
        at.work(60)
        assert at.meta.phones == {one: 1}
        assert at.counts(campaign) == {"sent": 1}

    def test_it_can_be_put_off(self, at: Campaigns, as_it_freezes: Any) -> None:
        at.people(3)
        campaign = at.start(at.create())
        later = (at.clock.now + timedelta(days=3)).isoformat()
        as_it_freezes(lambda: at.schedule(campaign, later))
        at.work(60)
        shown = at.show(campaign)
        assert (shown.campaign.status, shown.progress.total) == ("scheduled", 0)
        assert at.meta.taken == []


def test_what_is_resumed_outside_its_hours_waits_for_them(at: Campaigns) -> None:
    phones = at.people(40)
    noon = at.clock.now.replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)
    turn(at, (noon - at.clock.now).total_seconds())
    campaign = at.start(at.create(send_window={"from": "11:00", "until": "13:00"}))
    feeding.run_campaign(at.tools, at.tenant, campaign, at.clock.monotonic() + 60)
    at.pause(campaign)
    turn(at, 3 * 3600)
    at.resume(campaign)
    # Workers send before the campaign's run has its turn.
    outbox.run_due(at.tools, at.clock.monotonic() + 60)
    assert at.meta.taken == []
    turn(at, 20 * 3600)
    at.work(120)
    assert at.meta.phones == dict.fromkeys(phones, 1)


def test_a_night_does_not_make_a_ramp_faster(at: Campaigns) -> None:
    at.people(900)
    noon = at.clock.now.replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)
    turn(at, (noon - at.clock.now).total_seconds())
    window = {"from": "11:00", "until": "13:00"}
    ramp = {"per_minute": 2, "doubles_every_minutes": 60}
    campaign = at.start(at.create(ramp=ramp, send_window=window))
    at.work(3600)
    first = len(at.meta.taken)
    assert 100 < first <= 120
    turn(at, 22 * 3600 - 60)
    at.work(180)
    # Four a minute, and of one minute what may be made up for.
    assert 4 <= len(at.meta.taken) - first <= 12
    assert at.show(campaign).campaign.status == "sending"


@pytest.mark.parametrize(
    ("zone", "until", "hours"),
    [
        # Saturday is no day of it; the other two are whole.
        ("UTC", "2027-03-14T00:00", 20),
        ("UTC", "2027-03-11T12:00", 2),
        # The clocks of New York go forward on Sunday the 14th at two.
        ("America/New_York", "2027-03-16T00:00", 20 + 10 + 10),
    ],
)
def test_the_hours_of_a_window_are_counted(zone: str, until: str, hours: float) -> None:
    window = times.SendWindow.model_validate(
        {"from": "10:00", "until": "20:00", "weekdays": [1, 2, 3, 4, 5, 7]}
    )
    since = times.instant("2027-03-11T00:00", zone)
    assert times.open_seconds(window, zone, since, times.instant(until, zone)) == hours * 3600


class TestTheTemplateAndTheNumber:
    def test_an_edit_that_the_values_do_not_fit_pauses_it(self, at: Campaigns) -> None:
        phones = at.people(30)
        campaign = at.start(at.create(ramp={"per_minute": 2}))
        at.work(90)
        sent = len(at.meta.taken)

        def edit(components: Any) -> None:
            at.place.everything.execute(
                "update messaging.whatsapp_templates set components = %s",
                (json.dumps(components),),
            )

        edit([{"type": "BODY", "text": "Hi {{1}}!", "example": {"body_text": [["Ana"]]}}])
        at.work(600)
        shown = at.show(campaign)
        assert (shown.campaign.status, shown.campaign.pause_reason) == (
            "paused",
            "template_changed",
        )
        assert "the template's body has 1" in (shown.campaign.pause_detail or "")
        assert "Change it back" in (shown.what_to_do or "")
        assert shown.progress.by_status == {"sent": sent, "pending": 30 - sent}
        edit(BODY)
        at.resume(campaign)
        at.work(1200)
        assert at.meta.phones == dict.fromkeys(phones, 1)

    def test_a_number_that_moves_away_from_the_template_pauses_it(self, at: Campaigns) -> None:
        at.people(30)
        campaign = at.start(at.create(ramp={"per_minute": 2}))
        at.work(90)
        sent = len(at.meta.taken)
        at.place.everything.execute(
            "insert into messaging.whatsapp_business_accounts (tenant_id, waba_id)"
            " values (%s, '999888777')",
            (at.tenant,),
        )
        at.place.everything.execute("update messaging.whatsapp_accounts set waba_id = '999888777'")
        at.work(600)
        shown = at.show(campaign)
        assert (shown.campaign.status, shown.campaign.pause_reason) == (
            "paused",
            "template_unusable",
        )
        assert shown.progress.by_status["pending"] >= 30 - sent - 2


def turn(at: Campaigns, seconds: float) -> None:
    at.clock.turn(seconds)
    at.place.time.now = at.clock.now
