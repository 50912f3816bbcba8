"""Feeding that is killed, doubled, disturbed: nobody is written to twice, nobody is forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest

from switchboard.campaigns import feeding, slices
from switchboard.outbox import wire
from switchboard.store import campaigns as store
from switchboard.store import recipients
from tests.campaigning import Campaigns, campaigns
from tests.databases import ClonedDatabase
from tests.limited import quiet


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Campaigns]:
    with campaigns(database) as made:
        yield made


class Crash(BaseException):
    """The process is gone: nothing can catch it."""


def feed(at: Campaigns, campaign: UUID, tools: Any = None) -> None:
    """Feed until the road is full or all are fed."""
    with quiet():
        feeding.run_campaign(tools or at.tools, at.tenant, campaign, at.clock.monotonic() + 60)


#: Where a process dies: the module, its function, before or after it, the how-manieth time.
DEATHS = [
    *((recipients, name, after) for name in ("freeze", "follow_merges") for after in (0, 1)),
    (store, "begin", 1),
    *((recipients, "take", after) for after in (0, 1)),
    *((slices, "store_slice", after) for after in (0, 1)),
    *((recipients, "mark", after) for after in (0, 1)),
    *((store, "lock", after) for after in (0, 1)),
    *((store, "finish", after) for after in (0, 1)),
    *((feeding, "transact", after) for after in (0, 1)),
]


@pytest.mark.parametrize("nth", [1, 2, 4])
@pytest.mark.parametrize("death", DEATHS, ids=lambda death: f"{death[1]}-{death[2]}")
def test_a_feeder_may_die_anywhere(
    at: Campaigns, monkeypatch: pytest.MonkeyPatch, death: tuple[Any, str, int], nth: int
) -> None:
    module, name, after = death
    phones = at.people(24)
    monkeypatch.setattr(feeding, "SLICE", 8)
    campaign = at.start(at.create())
    target = feeding if name == "store_slice" else module
    whole: Callable[..., Any] = getattr(target, name)
    calls = [0]

    def dying(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] == nth and not after:
            raise Crash
        done = whole(*args, **kwargs)
        if calls[0] == nth:
            raise Crash
        return done

    monkeypatch.setattr(target, name, dying)
    with suppress(Crash):
        at.work(20)
    monkeypatch.setattr(target, name, whole)
    at.tools.db.drop()
    at.check(campaign)
    # Its lease is over, and a tick later another worker goes on.
    at.clock.turn(200)
    at.work(120)
    assert at.meta.phones == dict.fromkeys(phones, 1)
    assert at.counts(campaign) == {"sent": 24}
    assert at.show(campaign).campaign.status == "completed"
    at.check(campaign)


def test_two_feeders_at_once_take_turns(at: Campaigns, monkeypatch: pytest.MonkeyPatch) -> None:
    phones = at.people(60)
    monkeypatch.setattr(feeding, "SLICE", 3)
    campaign = at.start(at.create())
    begin = threading.Barrier(4)
    failed: list[BaseException] = []

    def work() -> None:
        tools = at.process()
        begin.wait()
        try:
            feed(at, campaign, tools)
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert at.counts(campaign) == {"queued": 60}
    assert len(at.place.rows("whatsapp_messages")) == 60
    at.check(campaign)
    at.work()
    assert at.meta.phones == dict.fromkeys(phones, 1)


def test_one_that_cannot_be_decided_costs_itself_only(
    at: Campaigns, monkeypatch: pytest.MonkeyPatch
) -> None:
    phones = at.people(20)
    whole = wire.check

    def odd(message: Any) -> Any:
        if message["template"]["components"][0]["parameters"][0]["text"] == "P7":
            raise RuntimeError("a fault of ours")
        return whole(message)

    monkeypatch.setattr(slices, "check", odd)
    campaign = at.start(at.create())
    at.work()
    found = at.recipients(campaign)
    assert found.pop(phones[7]) == ("skipped", "error: RuntimeError")
    assert set(found.values()) == {("sent", None)}
    at.check(campaign)


def test_the_road_holds_some_seconds_of_the_numbers_rate_only(
    at: Campaigns, monkeypatch: pytest.MonkeyPatch
) -> None:
    at.people(900)
    at.place.set_number(throughput="STANDARD")
    monkeypatch.setattr(feeding, "SLICE", 100)
    campaign = at.start(at.create())
    feed(at, campaign)
    assert at.counts(campaign) == {"pending": 100, "queued": 800}
    feed(at, campaign)
    assert at.counts(campaign) == {"pending": 100, "queued": 800}


def test_what_waits_for_quiet_hours_does_not_stop_the_others(
    at: Campaigns, monkeypatch: pytest.MonkeyPatch
) -> None:
    phones = at.people(170)
    monkeypatch.setattr(feeding, "SLICE", 50)
    monkeypatch.setattr(feeding, "MOST_AHEAD", 100)
    at.place.everything.execute(
        "insert into messaging.notification_preferences (tenant_id, contact_id,"
        " quiet_hours_enabled, quiet_hours_start, quiet_hours_end, timezone)"
        " select tenant_id, id, true, (%s::time - interval '2 hours'),"
        " (%s::time + interval '2 hours'), 'UTC'"
        " from messaging.contacts order by id limit 150",
        (f"{at.clock.now:%H:%M}", f"{at.clock.now:%H:%M}"),
    )
    campaign = at.start(at.create())
    at.work(60)
    assert at.meta.phones == dict.fromkeys(phones[150:], 1)
    at.work(3 * 3600)
    assert at.meta.phones == dict.fromkeys(phones, 1)
    assert at.show(campaign).campaign.status == "completed"


def test_people_who_become_one_are_written_to_once(at: Campaigns) -> None:
    phones = at.people(6)
    campaign = at.create(ramp={"per_minute": 2})
    at.start(campaign)
    at.work(1)

    def merge(*phones: str) -> None:
        with at.tools.db.transaction(at.tenant) as connection:
            connection.execute(
                "select messaging.merge_contacts(%s, %s, 'late_pairing', null, %s)",
                (at.tenant, [at.contact(phone) for phone in phones], at.clock.now),
            )

    merge(phones[4], phones[5])
    at.work(61)
    assert len(at.meta.taken) == 2
    # One has had hers, the other not.
    merge(phones[0], phones[3])
    at.work(600)
    assert sum(at.meta.phones.values()) == 4
    assert set(at.meta.phones) & {phones[3]} == set()
    rows = at.place.rows("campaign_recipients", campaign_id=campaign)
    assert sorted((row["status"], row["reason"]) for row in rows) == [
        *[("sent", None)] * 4,
        *[("skipped", "merged")] * 2,
    ]
    assert at.show(campaign).campaign.status == "completed"


def test_who_is_merged_while_the_audience_freezes_counts_once(
    at: Campaigns, monkeypatch: pytest.MonkeyPatch
) -> None:
    phones = at.people(4)
    whole = recipients.freeze

    def merging(*args: Any, **how: Any) -> int:
        done = whole(*args, **how)
        with at.real().db.transaction(at.tenant) as connection:
            connection.execute(
                "select messaging.merge_contacts(%s, %s, 'late_pairing', null, %s)",
                (at.tenant, [at.contact(phones[0]), at.contact(phones[1])], at.clock.now),
            )
        return done

    monkeypatch.setattr(recipients, "freeze", merging)
    campaign = at.start(at.create())
    at.work()
    assert sum(at.meta.phones.values()) == 3
    counts = at.counts(campaign)
    assert counts == {"sent": 3, "skipped": 1}


def test_what_a_list_gives_reaches_its_people(at: Campaigns) -> None:
    one, other, third = at.people(3)
    (list_id,) = at.place.everything.execute(
        "insert into messaging.contact_lists (tenant_id, id, name)"
        " values (%s, gen_random_uuid(), 'L') returning id",
        (at.tenant,),
    ).fetchone() or (None,)
    for phone, given in ((one, '{"promo_code": "A1"}'), (other, "{}")):
        at.place.everything.execute(
            "insert into messaging.contact_list_members (tenant_id, list_id, contact_id, given)"
            " values (%s, %s, %s, %s)",
            (at.tenant, list_id, at.contact(phone), given),
        )
    params = {
        "body": {
            "1": "contact.phone_number",
            "2": {"value": "custom.promo_code", "fallback": "HELLO"},
        }
    }
    campaign = at.create(
        audience={"type": "custom_list", "list_id": str(list_id)}, template_params=params
    )
    at.start(campaign)
    at.work()
    said = {
        body["to"].lstrip("+"): [
            one["text"] for one in body["template"]["components"][0]["parameters"]
        ]
        for body in at.meta.bodies
    }
    assert said == {one: [f"+{one}", "A1"], other: [f"+{other}", "HELLO"]}
    assert third not in at.recipients(campaign)


def test_a_list_that_is_gone_makes_it_a_draft_again(at: Campaigns) -> None:
    (row,) = at.place.everything.execute(
        "insert into messaging.contact_lists (tenant_id, id, name)"
        " values (%s, gen_random_uuid(), 'L') returning id",
        (at.tenant,),
    )
    campaign = at.create(audience={"type": "custom_list", "list_id": str(row[0])})
    at.start(campaign)
    at.place.everything.execute("delete from messaging.contact_lists where id = %s", row)
    at.work()
    shown = at.show(campaign)
    assert (shown.campaign.status, shown.campaign.pause_reason) == ("draft", "list_gone")
    assert "another audience" in (shown.what_to_do or "")


def test_it_can_be_cancelled_while_the_audience_freezes(
    at: Campaigns, monkeypatch: pytest.MonkeyPatch
) -> None:
    at.people(4)
    whole = recipients.freeze

    def cancelling(*args: Any, **how: Any) -> int:
        done = whole(*args, **how)
        with at.real().db.transaction(at.tenant) as connection:
            store.cancel(connection, at.tenant, campaign, now=at.clock.now)
        return done

    monkeypatch.setattr(recipients, "freeze", cancelling)
    campaign = at.start(at.create())
    at.work()
    shown = at.show(campaign)
    assert (shown.campaign.status, shown.progress.total) == ("cancelled", 0)
    assert at.meta.taken == []


def test_who_is_deleted_leaves_nothing_of_the_list_behind(at: Campaigns) -> None:
    at.people(2)
    campaign = at.start(at.create(ramp={"per_minute": 1}))
    at.work(1)
    at.place.everything.execute(
        'update messaging.campaign_recipients set variables = \'{"code": "A"}\''
    )
    at.place.everything.execute(
        "update messaging.contacts set deleted_at = now() where name = 'P1'"
    )
    rows = at.place.rows("campaign_recipients")
    assert sorted(str(row["variables"]) for row in rows) == ["{'code': 'A'}", "{}"]
    at.work(600)
    assert sorted(at.counts(campaign).items()) == [("sent", 1), ("skipped", 1)]
