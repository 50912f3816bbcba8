"""A campaign that is paused, goes on, is cancelled: by hand and by itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from switchboard import outbox
from switchboard.campaigns import feeding
from switchboard.kernel.clock import uuid7
from switchboard.kernel.errors import Conflict
from switchboard.outbox.timing import SLICE
from switchboard.store import campaigns as campaigns_store
from switchboard.store import outbox as store
from tests.campaigning import Campaigns, campaigns
from tests.databases import ClonedDatabase


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Campaigns]:
    with campaigns(database) as made:
        yield made


def at_request(at: Campaigns, number: int, do: Any) -> None:
    """Do something while that request of the next ones is on its way."""
    lock, count = threading.Lock(), [0]

    def before(_: dict[str, Any]) -> None:
        with lock:
            count[0] += 1
            now = count[0]
        if now == number:
            do()

    at.meta.before = before


class TestPause:
    def test_after_it_returns_at_most_a_slice_goes_out(self, at: Campaigns) -> None:
        phones = at.people(600)
        campaign = at.start(at.create())
        sent: list[int] = []

        def pause() -> None:
            at.pause(campaign, at.real())
            sent.append(len(at.meta.taken))

        at_request(at, 60, pause)
        at.work(300)
        (before,) = sent
        assert 30 <= len(at.meta.taken) <= before + SLICE
        counts = at.counts(campaign)
        assert counts["queued"] + counts["sent"] + counts.get("pending", 0) == 600
        assert counts["sent"] == len(at.meta.taken) < 200
        at.check(campaign)
        at.resume(campaign)
        at.work(300)
        assert at.meta.phones == dict.fromkeys(phones, 1)
        at.check(campaign)
        assert at.show(campaign).campaign.status == "completed"

    def test_it_says_why_and_what_to_do(self, at: Campaigns) -> None:
        at.people(1)
        campaign = at.start(at.create(ramp={"per_minute": 1}))
        at.work(1)
        shown = at.pause(campaign)
        assert (shown.campaign.status, shown.campaign.pause_reason) == ("paused", "by_hand")
        assert "resume it" in (shown.what_to_do or "")
        assert at.pause(campaign).campaign.status == "paused"
        assert at.resume(campaign).campaign.pause_reason is None
        with pytest.raises(Conflict, match="sending, not paused"):
            at.resume(campaign)

    def test_what_falls_back_after_it_waits_too(self, at: Campaigns) -> None:
        phones = at.people(40)

        def pause() -> None:
            at.meta.answer = lambda _: "connect"
            at.pause(campaign, at.real())
            at.lose_runs()

        at_request(at, 1, pause)
        campaign = at.start(at.create())
        at.work(30)
        at.meta.answer = lambda _: None
        sent = len(at.meta.taken)
        assert at.counts(campaign)["queued"] == 40 - sent > 0
        at.work(3600)
        assert len(at.meta.taken) == sent
        at.resume(campaign)
        at.work(300)
        assert at.meta.phones == dict.fromkeys(phones, 1)
        at.check(campaign)

    def test_it_waits_for_the_slice_that_is_being_stored(self, at: Campaigns) -> None:
        at.people(3)
        campaign = at.start(at.create())
        feeding.run_campaign(at.tools, at.tenant, campaign, at.clock.monotonic() + 60)
        feeder, pauser = at.process(), at.process()
        with feeder.db.transaction(at.tenant) as connection:
            campaigns_store.lock(connection, at.tenant, campaign, now=at.clock.now)
            thread = threading.Thread(target=at.pause, args=(campaign, pauser))
            thread.start()
            thread.join(0.3)
            assert thread.is_alive()
        thread.join()
        assert at.show(campaign).campaign.status == "paused"

    def test_a_slice_that_comes_after_it_stores_nothing(
        self, at: Campaigns, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at.people(3)
        campaign = at.start(at.create(ramp={"per_minute": 1}))
        at.work(1)
        at.pause(campaign)
        at.clock.turn(600)
        # As if it was paused right after the run's look at it.
        monkeypatch.setattr(feeding, "_look", lambda *_: "sending")
        feeding.run_campaign(at.tools, at.tenant, campaign, at.clock.monotonic() + 60)
        assert at.counts(campaign) == {"pending": 3}

    def test_what_a_worker_has_leased_and_not_sent_is_taken_from_it(self, at: Campaigns) -> None:
        at.people(20)
        campaign = at.start(at.create())
        feeding.run_campaign(at.tools, at.tenant, campaign, at.clock.monotonic() + 60)
        store.claim(at.tools.db.connection(), uuid7(), 16, lease_s=30, now=at.clock.now)
        assert sum(row["lease_token"] is not None for row in at.place.rows("send_attempts")) == 16
        at.pause(campaign)
        attempts = at.place.rows("send_attempts")
        assert {(row["lease_token"], row["due_at"].year) for row in attempts} == {(None, 9999)}

    def test_a_template_that_is_approved_again_lets_nothing_of_it_go(self, at: Campaigns) -> None:
        at.people(5)
        campaign = at.start(at.create())
        feeding.run_campaign(at.tools, at.tenant, campaign, at.clock.monotonic() + 60)
        at.template("PAUSED", at=2)
        outbox.run_due(at.tools, at.clock.monotonic() + 60)
        assert at.counts(campaign) == {"queued": 5}
        at.pause(campaign)
        at.lose_runs()
        # The policy has put them off until Meta approves it.
        at.template("APPROVED", at=3)
        at.work(300)
        assert at.meta.taken == []
        at.resume(campaign)
        at.work(300)
        assert at.counts(campaign) == {"sent": 5}


class TestByItself:
    @pytest.mark.parametrize(
        ("status", "reason"), [("PAUSED", "template_paused"), ("REJECTED", "template_unusable")]
    )
    def test_a_template_that_is_not_approved(self, at: Campaigns, status: str, reason: str) -> None:
        at.people(3)
        at.template(status, at=2)
        campaign = at.start(at.create())
        at.work()
        shown = at.show(campaign)
        assert (shown.campaign.status, shown.campaign.pause_reason) == ("paused", reason)
        assert "Meta" in (shown.what_to_do or "")
        assert at.meta.taken == []
        at.template("APPROVED", at=3)
        at.resume(campaign)
        at.work()
        assert at.counts(campaign) == {"sent": 3}

    @pytest.mark.parametrize(
        ("columns", "reason"),
        [
            ({"quality_rating": "RED"}, "number_quality"),
            ({"status": "disconnected"}, "number_unusable"),
            ({"is_active": False}, "number_unusable"),
            ({"access_token_sealed": None}, "number_unusable"),
        ],
    )
    def test_a_number_that_should_not_send(
        self, at: Campaigns, columns: dict[str, Any], reason: str
    ) -> None:
        at.people(3)
        campaign = at.create()
        at.place.set_number(**columns)
        at.start(campaign)
        at.work()
        assert at.show(campaign).campaign.pause_reason == reason
        assert at.counts(campaign) == {"pending": 3}
        assert at.meta.taken == []

    def test_too_many_failures(self, at: Campaigns) -> None:
        phones = at.people(800)
        at.meta.answer = lambda phone: 131009 if int(phone) % 3 == 0 else None
        campaign = at.start(at.create(failure_limit=30, ramp={"per_minute": 300}))
        at.work(600)
        shown = at.show(campaign)
        assert (shown.campaign.status, shown.campaign.pause_reason) == ("paused", "failure_share")
        known = shown.progress.by_status["failed"] + shown.progress.by_status["sent"]
        assert 100 <= known < 500
        assert shown.campaign.pause_detail.endswith("failed")  # type: ignore[union-attr]
        at.meta.answer = lambda _: None
        at.resume(campaign)
        at.work(600)
        assert at.show(campaign).campaign.status == "completed"
        assert len(at.meta.taken) == 800 - shown.progress.by_status["failed"]
        assert max(at.meta.phones.values()) == 1
        assert set(at.meta.phones) < set(phones)

    def test_few_failures_at_the_beginning_say_nothing(self, at: Campaigns) -> None:
        at.people(60)
        at.meta.answer = lambda phone: 131009 if int(phone) % 2 == 0 else None
        campaign = at.start(at.create(failure_limit=10))
        at.work()
        assert at.show(campaign).campaign.status == "completed"


class TestCancel:
    def test_what_waits_is_cancelled_and_what_went_stays(self, at: Campaigns) -> None:
        at.people(700)
        campaign = at.start(at.create())
        at_request(at, 50, lambda: at.cancel(campaign))
        at.meta.before, before = lambda _: None, at.meta.before
        # Its own connection: the worker is using the other.
        mine, at.tools = at.tools, at.real()
        at.meta.before = before
        at.work(300, mine)
        counts = at.counts(campaign)
        assert set(counts) == {"sent", "cancelled"}
        assert counts["sent"] == len(at.meta.taken) < 200
        at.check(campaign)
        shown = at.show(campaign).campaign
        assert (shown.status, shown.sent_count) == ("cancelled", counts["sent"])
        assert shown.completed_at is not None
        assert at.place.rows("send_attempts") == []
        at.work(600, mine)
        assert len(at.meta.taken) == counts["sent"]
        with pytest.raises(Conflict):
            at.resume(campaign)

    def test_a_draft_and_a_scheduled_one_just_end(self, at: Campaigns) -> None:
        at.people(1)
        draft, scheduled = at.create(), at.create()
        at.schedule(scheduled, at.clock.now.replace(year=2040).isoformat())
        for campaign in (draft, scheduled):
            at.cancel(campaign)
            shown = at.cancel(campaign).campaign
            assert (shown.status, shown.completed_at is None) == ("cancelled", False)
        at.work(60)
        assert at.meta.taken == []

    def test_a_paused_one_can_be_cancelled(self, at: Campaigns) -> None:
        at.people(300)
        campaign = at.start(at.create(ramp={"per_minute": 60}))
        at.work(90)
        at.pause(campaign)
        at.cancel(campaign)
        at.work(120)
        counts = at.counts(campaign)
        assert counts["sent"] + counts["cancelled"] == 300
        assert at.show(campaign).campaign.completed_at is not None
        at.check(campaign)
