"""What is typed on the business's phone and the states of calls are told: each once, no history."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from switchboard.intake.store import store as take_in
from tests.databases import ClonedDatabase
from tests.deliveries import in_threads
from tests.subscribers import PHONE, Json, Stand, stand_of

US = "15550001111"


@pytest.fixture
def stand(database: ClonedDatabase) -> Iterator[Stand]:
    with stand_of(database) as stand:
        yield stand


def second(stand: Stand, offset: int) -> str:
    return str(int(stand.place.time.now.timestamp()) + offset)


def typed(stand: Stand, name: str, **keys: Any) -> Json:
    """Return a message as Meta shows one that was typed on the phone."""
    return {
        "from": US,
        "to": PHONE,
        "id": f"wamid.{name}",
        "timestamp": second(stand, -5),
        "type": "text",
        "text": {"body": name},
        **keys,
    }


def echo(stand: Stand, *names: str, field: str = "smb_message_echoes", **keys: Any) -> bytes:
    return stand.body(field, {"message_echoes": [typed(stand, name, **keys) for name in names]})


def history(stand: Stand, *names: str) -> bytes:
    copies = [{**typed(stand, name), "history_context": {"status": "READ"}} for name in names]
    theirs = {**copies[0], "from": PHONE, "to": US, "id": "wamid.theirs"}
    told = {"phase": 0, "chunk_order": 1, "progress": 50}
    thread = {"id": PHONE, "messages": [*copies, theirs]}
    return stand.body("history", {"history": [{"metadata": told, "threads": [thread]}]})


def part(stand: Stand, word: str, offset: int, **keys: Any) -> Json:
    """Return a part of a call that the business made."""
    call = {
        "id": "wacid.1",
        "from": US,
        "to": PHONE,
        "event": word,
        "direction": "BUSINESS_INITIATED",
        "timestamp": second(stand, offset),
    }
    return {"calls": [{**call, **keys}]}


def ringing(stand: Stand, word: str, offset: int) -> Json:
    status = {"id": "wacid.1", "type": "call", "status": word, "recipient_id": PHONE}
    return {"statuses": [{**status, "timestamp": second(stand, offset)}]}


def whole(stand: Stand) -> list[Json]:
    """Return the parts of a call that was taken and lasted a minute."""
    ended = {"status": "COMPLETED", "start_time": second(stand, -70), "duration": 60}
    return [
        part(stand, "connect", -90),
        ringing(stand, "RINGING", -80),
        ringing(stand, "ACCEPTED", -70),
        part(stand, "terminate", -10, **ended),
    ]


def told(stand: Stand) -> list[Json]:
    """Let a worker tell everything; return what the endpoint got of each event."""
    stand.work()
    return [one.document["data"] for one in stand.endpoint.told]


class TestEchoes:
    @pytest.mark.parametrize("field", ["smb_message_echoes", "message_echoes"])
    def test_what_is_typed_on_the_phone_is_told_once_however_often_it_comes(
        self, stand: Stand, field: str
    ) -> None:
        secret = stand.subscribe("echo").secret
        for names in (("a",), ("a", "b"), ("b", "a")):
            stand.takes(echo(stand, *names, field=field))
        assert sorted(one["content"]["body"] for one in told(stand)) == ["a", "b"]
        assert stand.endpoint.types == ["message.echo"] * 2
        assert stand.endpoint.told[0].fits(secret) == [True]
        (message,) = stand.place.rows("whatsapp_messages", wa_message_id="wamid.a")
        (data,) = [one for one in told(stand) if one["id"] == str(message["id"])]
        assert "from" not in data
        assert (data["to"], data["wa_message_id"], data["type"], data["phone_number_id"]) == (
            *(f"+{PHONE}", "wamid.a", "text"),
            stand.place.phone_number_id,
        )

    def test_one_to_a_group_names_the_group(self, stand: Stand) -> None:
        stand.subscribe("echo")
        stand.takes(echo(stand, "a", to="Y2FwaV9n", recipient_type="group"))
        (data,) = told(stand)
        assert (data["to"], data["contact_id"], data["group_id"]) == (None, None, "Y2FwaV9n")

    def test_who_wants_other_kinds_is_told_of_no_echo(self, stand: Stand) -> None:
        stand.subscribe("message", "status", "call")
        stand.takes(echo(stand, "a"))
        assert (stand.rows(), stand.jobs()) == ([], [])
        wanted = stand.subscribe("echo").subscription.id
        stand.takes(echo(stand, "b"))
        assert [row["subscription_id"] for row in stand.rows()] == [wanted]

    def test_a_history_is_never_told(self, stand: Stand) -> None:
        stand.subscribe("message", "status", "echo")
        stand.takes(history(stand, "a", "b"))
        assert len(stand.place.rows("whatsapp_messages", origin="history")) == 3
        assert (stand.rows(), stand.jobs()) == ([], [])

    def test_an_echo_is_told_once_whichever_of_it_and_its_history_is_first(
        self, stand: Stand
    ) -> None:
        stand.subscribe("echo")
        for number, order in enumerate(itertools.permutations((echo, echo, history, history))):
            for step in order:
                stand.takes(step(stand, f"name-{number}"))
            stand.place.everything.execute("delete from messaging.history_chunks")
        assert len(told(stand)) == 24
        assert {row["origin"] for row in stand.place.rows("whatsapp_messages")} == {
            "phone_app",
            "history",
        }

    def test_what_came_before_the_subscription_is_not_new_when_it_comes_again(
        self, stand: Stand
    ) -> None:
        stand.takes(echo(stand, "a"))
        stand.subscribe("echo")
        stand.takes(echo(stand, "a", "b"))
        assert [one["content"]["body"] for one in told(stand)] == ["b"]

    def test_what_is_typed_to_somebody_blocked_is_told(self, stand: Stand) -> None:
        stand.writes("hello")
        stand.place.everything.execute("update messaging.contacts set is_blocked = true")
        stand.subscribe("message", "echo")
        stand.writes("once more")
        stand.takes(echo(stand, "a"))
        assert [one["content"]["body"] for one in told(stand)] == ["a"]

    def test_the_same_echo_in_two_deliveries_at_once_is_told_once(self, stand: Stand) -> None:
        stand.subscribe("echo")
        others = [stand.worker() for _ in range(2)]
        for name in range(8):
            body = echo(stand, f"one-{name}", f"two-{name}")
            in_threads(2, lambda n, body=body: take_in(others[n], body, None))
        assert len(told(stand)) == 16


class TestCalls:
    def test_each_state_is_told_once_however_often_its_parts_come(self, stand: Stand) -> None:
        stand.subscribe("call")
        for value in whole(stand) * 2:
            stand.takes(stand.body("calls", value))
        assert sorted(one["status"] for one in told(stand)) == ["accepted", "ended", "initiated"]
        assert stand.endpoint.types == ["call.status"] * 3
        (call,) = stand.place.rows("call_logs")
        for data in told(stand):
            assert (data["id"], data["wa_call_id"]) == (str(call["id"]), "wacid.1")
            assert (data["direction"], data["phone_number"]) == ("outbound", f"+{PHONE}")
            assert (data["end_reason"], data["duration_seconds"]) == ("completed", 60)
        times = {one["status"]: one["occurred_at"] for one in told(stand)}
        assert times["initiated"] < times["accepted"] < times["ended"]

    def test_in_every_order_a_state_is_told_once_and_the_last_one_is_among_them(
        self, stand: Stand
    ) -> None:
        stand.subscribe("call")
        for number, order in enumerate(itertools.permutations(whole(stand))):
            for value in order:
                ((name, (one,)),) = value.items()
                named = {name: [{**one, "id": f"wacid.{number}"}]}
                stand.takes(stand.body("calls", named))
        by_call: dict[str, list[str]] = {}
        for row in stand.rows():
            by_call.setdefault(str(row["call_id"]), []).append(row["status"])
        assert len(by_call) == 24
        for states in by_call.values():
            assert len(states) == len(set(states))
            assert {"initiated", "ended"} <= set(states) <= {"initiated", "accepted", "ended"}

    def test_a_state_that_a_call_comes_back_to_is_told_once(self, stand: Stand) -> None:
        stand.subscribe("call")
        for offset, word in enumerate(("FAILED", "COMPLETED", "FAILED"), start=-9):
            stand.takes(stand.body("calls", part(stand, "terminate", offset, status=word)))
        (call,) = stand.place.rows("call_logs")
        assert call["status"] == "failed"
        assert sorted(one["status"] for one in told(stand)) == ["ended", "failed", "initiated"]

    def test_the_states_of_one_body_are_all_told(self, stand: Stand) -> None:
        stand.subscribe("call")
        stand.takes(stand.body("calls", part(stand, "connect", -9), ringing(stand, "REJECTED", -5)))
        assert sorted(one["status"] for one in told(stand)) == ["initiated", "rejected"]

    def test_of_a_call_from_before_the_subscription_only_what_is_new_is_told(
        self, stand: Stand
    ) -> None:
        first, ring, *rest = whole(stand)
        stand.takes(stand.body("calls", first))
        stand.subscribe("call")
        for value in (first, ring, *rest):
            stand.takes(stand.body("calls", value))
        assert sorted(one["status"] for one in told(stand)) == ["accepted", "ended"]

    def test_what_changes_no_state_is_told_to_nobody(self, stand: Stand) -> None:
        stand.subscribe("message", "status", "echo")
        stand.takes(stand.body("calls", *whole(stand)))
        stand.subscribe("call")
        recording = {"call_recording": {"document": {"id": "7"}}}
        stand.takes(stand.body("calls", part(stand, "call_recording_available", -1, **recording)))
        assert (stand.rows(), stand.jobs()) == ([], [])

    def test_a_call_with_somebody_blocked_is_told_to_nobody(self, stand: Stand) -> None:
        stand.writes("hello")
        stand.place.everything.execute("update messaging.contacts set is_blocked = true")
        stand.subscribe("call")
        stand.takes(stand.body("calls", *whole(stand)))
        assert stand.place.rows("call_logs") != []
        assert stand.rows() == []


@pytest.mark.parametrize("kind", ["echo", "call"])
def test_a_worker_is_woken_for_what_is_to_be_told_and_for_nothing_else(
    stand: Stand, kind: str
) -> None:
    body = {
        "echo": echo(stand, "a"),
        "call": stand.body("calls", part(stand, "connect", -9)),
    }
    stand.subscribe(kind)
    other = "call" if kind == "echo" else "echo"
    assert take_in(stand.tick(stand.tools), body[kind], None).nudge
    assert not take_in(stand.tick(stand.tools), body[kind], None).nudge
    stand.place.time.turn(seconds=1)
    assert not take_in(stand.tick(stand.tools), body[other], None).nudge


def test_another_tenant_is_told_nothing(stand: Stand) -> None:
    ours, stand.place = stand.place, stand.world.place()
    stand.subscribe("echo", "call")
    theirs, stand.place = stand.place, ours
    stand.takes(echo(stand, "a"))
    stand.takes(stand.body("calls", *whole(stand)))
    assert theirs.rows("event_deliveries") == ours.rows("event_deliveries") == []
