"""Subscribers are told of what is new: signed, at least once, never for ever, and only they."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from switchboard.inbox import subscriptions
from switchboard.inbox.subscriptions import SubscriptionChange, SubscriptionSecret
from switchboard.jobs import notify
from switchboard.jobs._kind import Context
from switchboard.jobs.notify import Notify
from switchboard.kernel.errors import Conflict
from switchboard.kernel.outside import Outside
from switchboard.store import subscriptions as store
from switchboard.store.subscriptions import Subscription
from switchboard.worker import drain
from tests.databases import ClonedDatabase
from tests.deliveries import in_threads
from tests.sending import status_body
from tests.subscribers import PHONE, Json, Stand, endpoint, stand_of


@pytest.fixture
def stand(database: ClonedDatabase) -> Iterator[Stand]:
    with stand_of(database) as stand:
        yield stand


def switch(stand: Stand, made: SubscriptionSecret, *, is_active: bool) -> Subscription:
    return subscriptions.switch_subscription(
        stand.tick(stand.tools),
        stand.place.tenant_id,
        made.subscription.id,
        is_active=is_active,
    )


def test_a_message_reaches_the_subscriber(stand: Stand) -> None:
    secret = stand.subscribe("message").secret
    stand.writes("hello")
    stand.work()
    (told,) = stand.endpoint.told
    assert told.fits(secret) == [True]
    assert told.headers["content-type"] == "application/json"
    assert abs(int(told.headers["webhook-timestamp"]) - time.time()) < 300
    (message,) = stand.place.rows("whatsapp_messages")
    (delivery,) = stand.rows()
    assert told.id == str(delivery["id"])
    assert told.document["type"] == "message.received"
    data = told.document["data"]
    assert (data["id"], data["wa_message_id"], data["type"], data["content"], data["from"]) == (
        str(message["id"]),
        message["wa_message_id"],
        "text",
        {"body": "hello"},
        f"+{PHONE}",
    )
    assert data["phone_number_id"] == stand.place.phone_number_id
    assert delivery["state"] == "delivered"
    (attempt,) = delivery["attempts"]
    assert (attempt["status"], attempt["error"]) == (204, None)


def test_each_is_told_of_its_kinds_alone(stand: Stand) -> None:
    stand.subscribe("status")
    stand.writes("hello")
    stand.work()
    assert stand.endpoint.told == []
    now = stand.place.time.now
    body = status_body(stand.place, "wamid.x", None, ("sent", now), ("failed", now))
    stand.takes(body)
    stand.work()
    assert stand.endpoint.types == ["message.status"] * 2
    data = {one.document["data"]["status"]: one.document["data"] for one in stand.endpoint.told}
    assert data["failed"]["errors"] == [{"code": 131026, "title": "no"}]
    assert data["sent"]["wa_message_id"] == "wamid.x"
    for _ in range(2):  # Meta repeats itself; one new status beside the old ones
        stand.takes(body)
    stand.takes(
        status_body(stand.place, "wamid.x", None, ("sent", now), ("delivered", now), ("sent", now))
    )
    stand.work()
    assert [one.document["data"]["status"] for one in stand.endpoint.told[2:]] == ["delivered"]


def test_what_came_before_the_subscription_is_not_new_when_it_comes_again(stand: Stand) -> None:
    now = stand.place.time.now
    stand.takes(status_body(stand.place, "wamid.x", None, ("sent", now)))
    stand.subscribe("status")
    stand.takes(status_body(stand.place, "wamid.x", None, ("sent", now), ("delivered", now)))
    assert [row["status"] for row in stand.rows()] == ["delivered"]


def test_without_a_subscription_nothing_is_put_in(stand: Stand) -> None:
    stand.writes("hello")
    switch(stand, stand.subscribe("message", "status"), is_active=False)
    stand.writes("hello", "again")
    other = stand.world.place()  # another tenant's subscription is none of ours
    stand.place, ours = other, stand.place
    stand.subscribe("message")
    stand.place = ours
    stand.writes("and again")
    assert stand.rows() == []
    assert stand.jobs() == []
    assert other.rows("event_deliveries") == []


def test_every_message_of_a_webhook_once_however_often_it_comes(stand: Stand) -> None:
    stand.subscribe("message")
    (many,) = stand.writes("a", "b", "c")
    (one,) = stand.writes("d")
    for body in (many, one, many):
        stand.takes(body)
    for _ in range(3):
        stand.work()
    assert sorted(told.document["data"]["content"]["body"] for told in stand.endpoint.told) == list(
        "abcd"
    )
    assert len({told.id for told in stand.endpoint.told}) == 4


def test_somebody_blocked_reaches_nobody(stand: Stand) -> None:
    stand.subscribe("message")
    stand.writes("hello")
    stand.place.everything.execute("update messaging.contacts set is_blocked = true")
    stand.writes("one")
    stand.writes("one", "two")
    assert len(stand.rows()) == 1


class TestFailures:
    def fail(self, stand: Stand, status: int) -> Json:
        stand.subscribe("message")
        stand.endpoint.answer = lambda _: status
        stand.writes("hello")
        stand.work()
        (delivery,) = stand.rows()
        return delivery

    @pytest.mark.parametrize(
        ("status", "error"),
        [(500, "http_status"), (404, "http_status"), (301, "redirect"), (307, "redirect")],
    )
    def test_what_is_not_2xx_is_tried_again_later(
        self, stand: Stand, status: int, error: str
    ) -> None:
        delivery = self.fail(stand, status)
        assert len(stand.endpoint.told) == 1  # a redirect is not followed
        assert (delivery["state"], delivery["attempts"][0]["error"]) == ("pending", error)
        assert delivery["attempts"][0]["status"] == status
        wait = delivery["next_attempt_at"] - stand.place.time.now
        assert timedelta(seconds=4.4) <= wait <= timedelta(seconds=5.6)
        stand.endpoint.answer = lambda _: 200
        stand.work(seconds=3)
        assert len(stand.endpoint.told) == 1
        stand.work(seconds=3)
        first, second = stand.endpoint.told
        assert first.id == second.id
        assert first.document == second.document
        assert stand.states() == ["delivered"]
        assert [one["status"] for one in stand.rows()[0]["attempts"]] == [status, 200]
        assert stand.subscription()["failures"] == 0

    def test_days_later_it_is_dead_and_the_waits_grow(self, stand: Stand) -> None:
        self.fail(stand, 503)
        waits = []
        while stand.states() == ["pending"]:
            (delivery,) = stand.rows()
            wait = delivery["next_attempt_at"] - stand.place.time.now
            waits.append(wait)
            stand.work(seconds=wait.total_seconds() + 301)
            assert len(waits) < 20
        assert stand.states() == ["dead"]
        assert len(stand.endpoint.told) == len(waits) + 1 == 12
        assert len({told.id for told in stand.endpoint.told}) == 1
        assert all(a < b * 1.25 for a, b in pairwise(waits))
        assert timedelta(days=2) < sum(waits, timedelta()) < timedelta(days=5)
        stand.work(days=2)
        assert len(stand.endpoint.told) == 12

    def test_410_ends_the_subscription_and_what_waits(self, stand: Stand) -> None:
        self.fail(stand, 500)
        stand.endpoint.answer = lambda _: 410
        stand.writes("two")
        stand.work(seconds=400)
        stand.work(seconds=400)
        assert stand.states() == ["dead", "dead"]
        assert stand.subscription()["disabled_reason"] == "gone"
        assert not stand.subscription()["is_active"]
        count = len(stand.endpoint.told)
        stand.writes("three")
        stand.work()
        assert len(stand.endpoint.told) == count
        assert {row["attempts"][-1]["error"] for row in stand.rows()} <= {
            "http_status",
            "subscription_disabled",
        }

    def test_whoever_is_away_costs_one_request_per_rest(self, stand: Stand) -> None:
        stand.subscribe("message")
        stand.endpoint.answer = lambda _: 500
        stand.writes(*"abcdefghij")
        stand.work()
        assert len(stand.endpoint.told) == 1
        stand.work(seconds=1.5)
        assert len(stand.endpoint.told) == 2
        stand.work(seconds=1)  # the second rest is twice as long
        assert len(stand.endpoint.told) == 2
        stand.endpoint.answer = lambda _: 200
        for _ in range(3):
            stand.work(minutes=6)
        assert stand.states() == ["delivered"] * 10
        assert len(stand.endpoint.told) == 12

    def test_a_slow_one_is_cut_off(self, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(notify, "ATTEMPT_S", 0.2)
        done = threading.Event()
        stand.subscribe("message")
        stand.endpoint.answer = lambda _: 200 if done.wait(30) else 500
        stand.writes("hello")
        stand.work()
        done.set()
        (delivery,) = stand.rows()
        (attempt,) = delivery["attempts"]
        assert (attempt["status"], attempt["error"]) == (None, "timeout")
        assert delivery["state"] == "pending"

    def test_a_secret_that_cannot_be_opened_is_an_attempt(self, stand: Stand) -> None:
        stand.subscribe("message")
        stand.writes("hello")
        stand.wax.is_away = True
        stand.work()
        assert stand.rows()[0]["attempts"][0]["error"] == "secret_unreadable"
        stand.wax.is_away = False
        stand.work(seconds=10)
        assert stand.states() == ["delivered"]

    @pytest.mark.parametrize("url", ["http://127.0.0.1:{}/", "https://127.0.0.1:{}/"])
    def test_a_private_address_gets_no_byte(self, stand: Stand, url: str) -> None:
        """Also one that was public when it was handed in."""
        address = url.format(stand.endpoint.server_port)
        stand.subscribe("message", url="https://93.184.215.14/")
        stand.place.everything.execute(
            "update messaging.event_subscriptions set url = %s", (address,)
        )
        stand.tools.__dict__["outside"] = Outside()
        stand.writes("hello")
        stand.work()
        assert stand.endpoint.told == []
        assert stand.rows()[0]["attempts"][0]["error"] == "address_refused"


class TestCrashes:
    def test_a_worker_that_dies_after_the_request_makes_another(self, stand: Stand) -> None:
        stand.subscribe("message")
        stand.writes("hello")
        (job,) = stand.jobs()
        args = Notify.model_validate(job["args"])
        context = Context(
            stand.tick(stand.tools), stand.place.tenant_id, job["id"], 1, time.monotonic() + 60
        )
        late = notify.run(context, args)  # asked, and nothing written
        assert stand.states() == ["pending"]
        stand.work()
        first, second = stand.endpoint.told
        assert first.id == second.id
        assert stand.states() == ["delivered"]
        # It wakes up and wants to write what it knows: the state stays, no attempt is added.
        with stand.tools.db.transaction(stand.place.tenant_id) as connection:
            for write in late.writes:
                write(connection)
        assert len(stand.rows()[0]["attempts"]) == 1
        assert len(stand.jobs()) == 1

    def test_a_write_that_fails_leaves_the_delivery_due(
        self, stand: Stand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stand.subscribe("message")
        stand.writes("hello")
        tries: list[int] = []
        record = store.record_attempt

        def fail_once(*args: Any, **how: Any) -> str | None:
            tries.append(1)
            state = record(*args, **how)
            if len(tries) == 1:
                raise RuntimeError
            return state

        monkeypatch.setattr(store, "record_attempt", fail_once)
        stand.work()
        assert stand.states() == ["pending"]
        assert stand.rows()[0]["attempts"] == []
        stand.work(hours=1)
        assert stand.states() == ["delivered"]
        assert len(stand.rows()[0]["attempts"]) == 1

    def test_two_workers_share_the_work(self, stand: Stand) -> None:
        stand.subscribe("message")
        stand.writes(*"abcdefghijklmnopqrstuvwxyz")
        others = [stand.worker() for _ in range(2)]
        stand.place.time.turn(seconds=1)
        for tools in others:
            stand.tick(tools)
        in_threads(2, lambda n: drain(others[n], time.monotonic() + 100.0))
        assert stand.states() == ["delivered"] * 26
        assert len(stand.endpoint.told) == len({told.id for told in stand.endpoint.told}) == 26

    def test_a_message_that_is_gone_is_told_to_nobody(self, stand: Stand) -> None:
        stand.subscribe("message")
        stand.writes("hello")
        stand.place.everything.execute("delete from messaging.whatsapp_messages")
        stand.work()
        assert stand.endpoint.told == []
        assert stand.rows()[0]["attempts"][0]["error"] == "event_gone"
        assert stand.states() == ["dead"]


class TestWhoSubscribed:
    def test_a_test_event_goes_the_way_of_all(self, stand: Stand) -> None:
        made = stand.subscribe("status")
        put = subscriptions.put_test(
            stand.tick(stand.tools), stand.place.tenant_id, made.subscription.id
        )
        stand.work()
        (told,) = stand.endpoint.told
        assert (told.id, told.document["type"]) == (str(put.delivery_id), "test")
        assert told.fits(made.secret) == [True]
        (row,) = stand.rows()
        assert (row["state"], row["attempts"][0]["status"]) == ("delivered", 204)

    def test_after_a_rotation_both_secrets_sign_for_a_day(self, stand: Stand) -> None:
        made = stand.subscribe("message")
        new = subscriptions.rotate_secret(
            stand.tick(stand.tools), stand.place.tenant_id, made.subscription.id
        ).secret
        assert new != made.secret
        stand.writes("hello")
        stand.work()
        assert stand.endpoint.told[0].fits(new) == [True, False]
        assert stand.endpoint.told[0].fits(made.secret) == [False, True]
        stand.place.time.turn(hours=24)
        stand.writes("hello")
        stand.work()
        assert stand.endpoint.told[1].fits(new) == [True]

    def test_of_two_rotations_at_once_both_secrets_sign(self, stand: Stand) -> None:
        wanted = stand.subscribe("message").subscription.id
        others = [stand.worker() for _ in range(2)]
        given = in_threads(
            2, lambda n: subscriptions.rotate_secret(others[n], stand.place.tenant_id, wanted)
        )
        stand.writes("hello")
        stand.work()
        (told,) = stand.endpoint.told
        assert sorted(told.fits(one.secret) for one in given) == [[False, True], [True, False]]

    def test_switched_off_it_is_told_nothing_and_on_again_of_what_is_new(
        self, stand: Stand
    ) -> None:
        made = stand.subscribe("message")
        stand.writes("one")
        off = switch(stand, made, is_active=False)
        stand.subscribe("message", url="https://127.0.0.1:1/nobody-there")
        stand.writes("meanwhile")
        assert len(stand.rows(subscription_id=off.id)) == 1
        assert (off.is_active, off.disabled_reason) == (False, "by_hand")
        with pytest.raises(Conflict):
            subscriptions.put_test(stand.tools, stand.place.tenant_id, off.id)
        stand.work()
        assert stand.endpoint.told == []
        assert switch(stand, made, is_active=True).disabled_reason is None
        stand.writes("two")
        stand.work()
        assert stand.bodies() == ["two"]
        row = subscriptions.show_subscription(stand.tools, stand.place.tenant_id, off.id)
        assert (row.pending, row.dead) == (0, 1)

    def test_what_waits_for_a_deleted_one_ends_undelivered(self, stand: Stand) -> None:
        made = stand.subscribe("message").subscription
        other = stand.subscribe("message").subscription
        stand.writes("one")
        gone = subscriptions.delete_subscription(stand.tools, stand.place.tenant_id, made.id)
        assert (gone.id, gone.pending) == (made.id, 1)
        stand.writes("two")
        stand.work()
        assert stand.bodies() == ["one", "two"]
        (row,) = stand.rows(subscription_id=made.id)
        assert (row["state"], row["attempts"][0]["error"]) == ("dead", "subscription_deleted")
        kept = stand.rows(subscription_id=other.id)
        assert [row["state"] for row in kept] == ["delivered"] * 2

    def test_what_waits_goes_to_the_new_address_without_a_rest(self, stand: Stand) -> None:
        with endpoint() as other:
            made = stand.subscribe("message").subscription
            stand.endpoint.answer = lambda _: 500
            for _ in range(4):
                stand.writes("one")
                stand.work(seconds=60)
            assert stand.subscription()["rest_until"] > stand.place.time.now
            change = SubscriptionChange.model_validate({"url": other.url, "kinds": ["status"]})
            subscriptions.change_subscription(stand.tools, stand.place.tenant_id, made.id, change)
            assert (stand.subscription()["failures"], stand.subscription()["rest_until"]) == (
                0,
                None,
            )
            before = len(stand.endpoint.told)
            stand.writes("of no wanted kind")
            for _ in range(2):
                stand.work(hours=1)
            assert len(stand.endpoint.told) == before
            assert other.types == ["message.received"] * 4


def test_the_tenant_of_a_job_sees_its_own_deliveries_only(stand: Stand) -> None:
    stand.subscribe("message")
    stand.writes("hello")
    (job,) = stand.jobs()
    stranger = Context(stand.tick(stand.tools), uuid4(), job["id"], 1, time.monotonic() + 60)
    effects = notify.run(stranger, Notify.model_validate(job["args"]))
    assert (effects.writes, effects.result) == ((), {"state": "finished_before"})
    assert stand.endpoint.told == []


def test_the_wait_ends_with_the_schedule(stand: Stand) -> None:
    waits = stand.place.everything.execute(
        "select messaging.notify_again_after(n) from generate_series(1, 12) as n order by n"
    ).fetchall()
    assert [wait is None for (wait,) in waits] == [False] * 11 + [True]
