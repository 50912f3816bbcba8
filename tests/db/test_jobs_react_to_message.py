"""Reactions: from Meta's webhook through the job to Meta's API, by the real parts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from switchboard import outbox
from switchboard.jobs import react_to_message
from switchboard.jobs._kind import JOB_KINDS, Context
from switchboard.jobs._reaction import Seen
from switchboard.jobs.react_to_message import ReactToMessage
from switchboard.kernel.clock import Clock
from switchboard.tools import Tools
from switchboard.worker import Summary, drain
from tests.databases import ClonedDatabase
from tests.sending import Place, World, deliver

TEXT: dict[str, Any] = {"type": "text", "text": {"body": "hello"}}


@dataclass
class Meta:
    """Meta's API: takes everything, unless told to refuse."""

    bodies: list[dict[str, Any]] = field(default_factory=list)
    refuses_reads: bool = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.bodies.append(body)
        if body.get("status") == "read":
            if self.refuses_reads:
                return httpx.Response(500, json={"error": {"code": 131000, "message": "no"}})
            return httpx.Response(200, json={"success": True})
        answer = {
            "messaging_product": "whatsapp",
            "contacts": [{"input": body["to"], "wa_id": body["to"]}],
            "messages": [{"id": f"wamid.out{len(self.bodies)}"}],
        }
        return httpx.Response(200, json=answer)

    @property
    def reads(self) -> list[str]:
        return [body["message_id"] for body in self.bodies if body.get("status") == "read"]

    @property
    def reactions(self) -> list[tuple[str, str]]:
        return [
            (body["reaction"]["message_id"], body["reaction"]["emoji"])
            for body in self.bodies
            if body.get("type") == "reaction"
        ]


class Phone:
    """A person who writes to the place's number, and the worker that reacts."""

    def __init__(self, world: World) -> None:
        self.place: Place = world.place()
        self.meta = Meta()
        self.tools: Tools = world.tools(transport=httpx.MockTransport(self.meta))

    def writes(self, *messages: dict[str, Any], phone: str = "4915550000001") -> list[str]:
        """Deliver messages, a second apart, in one webhook; returns Meta's ids."""
        self.place.time.turn(seconds=10)
        ids = [f"wamid.in{uuid4().hex}" for _ in messages]
        second = int(self.place.time.now.timestamp())
        value = {
            "messaging_product": "whatsapp",
            "metadata": {
                "display_phone_number": "1",
                "phone_number_id": self.place.phone_number_id,
            },
            "contacts": [{"profile": {"name": "Ada"}, "wa_id": phone}],
            "messages": [
                {"from": phone, "id": wamid, "timestamp": str(second + n), **message}
                for n, (wamid, message) in enumerate(zip(ids, messages, strict=True))
            ],
        }
        change = {"field": "messages", "value": value}
        entry = {"id": self.place.waba_id, "changes": [change]}
        body = {"object": "whatsapp_business_account", "entry": [entry]}
        deliver(self.tools, json.dumps(body).encode())
        return ids

    def react(self) -> Summary:
        """Run a worker until nothing is due, a little after the last message."""
        self.place.time.turn(seconds=60)
        self.tools.clock = Clock(now=self.place.time.now, new_id=self.place.time.new_id)
        return drain(self.tools, time.monotonic() + 100.0)

    def conversation(self) -> dict[str, Any]:
        (row,) = self.place.rows("whatsapp_conversations")
        return row

    def statuses(self) -> list[str]:
        rows = self.place.rows("whatsapp_messages", direction="inbound")
        return [row["status"] for row in sorted(rows, key=lambda row: str(row["occurred_at"]))]

    def jobs(self) -> list[dict[str, Any]]:
        return self.place.rows("scheduled_jobs", job_type="react_to_message")


@pytest.fixture
def phone(database: ClonedDatabase) -> Iterator[Phone]:
    world = World(database)
    yield Phone(world)
    world.close()


def test_a_number_that_asks_for_nothing_does_nothing(phone: Phone) -> None:
    phone.writes(TEXT)
    phone.react()
    assert phone.meta.bodies == []
    (job,) = phone.jobs()
    assert (job["status"], job["result"]) == ("completed", {"messages": 1, "marked_read": False})
    assert phone.statuses() == ["received"]
    assert phone.conversation()["unread_count"] == 1


class TestMarkRead:
    """The newest message is marked, and with it those before."""

    def test_meta_is_told_of_the_newest_and_all_are_read_here(self, phone: Phone) -> None:
        phone.place.set_number(auto_mark_read=True)
        ids = phone.writes(TEXT, TEXT, TEXT)
        assert phone.conversation()["unread_count"] == 3
        phone.react()
        assert phone.meta.reads == [ids[-1]]
        assert phone.statuses() == ["read"] * 3
        assert phone.conversation()["unread_count"] == 0

    def test_a_refusal_fails_nothing_and_claims_nothing(self, phone: Phone) -> None:
        phone.place.set_number(auto_mark_read=True, acknowledging_reaction="👍")
        phone.meta.refuses_reads = True
        (wamid,) = phone.writes(TEXT)
        phone.react()
        assert phone.statuses() == ["received"]
        assert phone.conversation()["unread_count"] == 1
        assert phone.meta.reactions == [(wamid, "👍")]
        assert [job["status"] for job in phone.jobs()] == ["completed"]

    def test_what_came_meanwhile_stays_unread(
        self, phone: Phone, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        phone.place.set_number(auto_mark_read=True)
        phone.writes(TEXT)
        mark_read = outbox.mark_read

        def interrupted(*args: Any, **how: Any) -> bool:
            monkeypatch.undo()
            phone.writes(TEXT)  # while Meta is told of the first
            phone.place.set_number(auto_mark_read=False)
            return mark_read(*args, **how)

        monkeypatch.setattr("switchboard.outbox.mark_read", interrupted)
        phone.react()
        assert phone.statuses() == ["read", "received"]
        assert phone.conversation()["unread_count"] == 1


class TestAcknowledge:
    """Each thing a person says or shows is answered by the number's emoji, once."""

    def test_each_message_gets_the_emoji_in_order(self, phone: Phone) -> None:
        phone.place.set_number(acknowledging_reaction="👍")
        ids = phone.writes(TEXT, TEXT)
        ids += phone.writes(TEXT)
        phone.react()
        assert phone.meta.reactions == [(wamid, "👍") for wamid in ids]
        sent = phone.place.rows("whatsapp_messages", direction="outbound")
        assert {(row["origin"], row["message_type"]) for row in sent} == {
            ("automation", "reaction")
        }
        assert phone.place.rows("send_attempts") == []

    def test_reactions_and_the_unknown_are_not_answered(self, phone: Phone) -> None:
        phone.place.set_number(acknowledging_reaction="👍")
        (said,) = phone.writes(TEXT)
        phone.writes({"type": "reaction", "reaction": {"message_id": said, "emoji": "🙏"}})
        phone.writes({"type": "system", "system": {"body": "x", "type": "user_changed_number"}})
        phone.writes({"type": "type_of_tomorrow", "type_of_tomorrow": {"a": 1}})
        phone.react()
        assert phone.meta.reactions == [(said, "👍")]

    def test_nothing_is_said_twice_when_the_first_worker_comes_late(self, phone: Phone) -> None:
        phone.place.set_number(acknowledging_reaction="👍")
        (wamid,) = phone.writes(TEXT)
        (job,) = phone.jobs()
        context = Context(phone.tools, phone.place.tenant_id, job["id"], 1, time.monotonic() + 60)
        late = react_to_message.run(context, ReactToMessage.model_validate(job["args"]))
        assert late.writes  # a worker that ran it and was then cut off
        phone.react()
        phone.react()
        assert phone.meta.reactions == [(wamid, "👍")]

    def test_an_inactive_number_says_nothing(self, phone: Phone) -> None:
        phone.place.set_number(acknowledging_reaction="👍", auto_mark_read=True)
        phone.writes(TEXT)
        phone.place.set_number(is_active=False)
        phone.react()
        assert phone.meta.bodies == []
        assert phone.place.rows("whatsapp_messages", direction="outbound") == []


class TestHook:
    """Chatbots and automations join REACTIONS: they see the messages under the lock."""

    def test_a_reaction_sees_the_messages_oldest_first(
        self, phone: Phone, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[Any] = []

        def look(tools: Tools, connection: Any, what: Seen) -> list[Any]:
            seen.append([message.content for message in what.messages])
            return []

        monkeypatch.setattr(react_to_message, "REACTIONS", (look,))
        phone.writes(*({"type": "text", "text": {"body": str(n)}} for n in range(3)))
        phone.react()
        assert seen == [[{"body": "0"}, {"body": "1"}, {"body": "2"}]]

    def test_a_reaction_that_fails_is_tried_again_and_says_nothing_twice(
        self, phone: Phone, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        phone.place.set_number(acknowledging_reaction="👍")
        tries: list[int] = []

        def fail_once(tools: Tools, connection: Any, what: Any) -> list[Any]:
            tries.append(1)
            if len(tries) == 1:
                raise RuntimeError
            return []

        monkeypatch.setattr(
            react_to_message, "REACTIONS", (react_to_message.acknowledge, fail_once)
        )
        (wamid,) = phone.writes(TEXT)
        assert phone.react().retried == 1
        assert phone.meta.reactions == []
        assert phone.react().completed >= 1
        assert phone.meta.reactions == [(wamid, "👍")]


def test_messages_of_another_tenant_are_not_seen(phone: Phone) -> None:
    phone.place.set_number(acknowledging_reaction="👍", auto_mark_read=True)
    phone.writes(TEXT)
    (job,) = phone.jobs()
    stranger = Context(phone.tools, uuid4(), job["id"], 1, time.monotonic() + 60)
    effects = react_to_message.run(stranger, ReactToMessage.model_validate(job["args"]))
    assert (effects.writes, effects.result) == ((), {"messages": 0})
    assert phone.meta.bodies == []


def test_the_arguments_that_intake_writes_fit_the_kind(phone: Phone) -> None:
    phone.writes(TEXT, TEXT)
    (job,) = phone.jobs()
    args = JOB_KINDS[job["job_type"]].args.model_validate(job["args"])
    assert isinstance(args, ReactToMessage)
    assert args.conversation_id == phone.conversation()["id"]
    ids: set[UUID] = {row["id"] for row in phone.place.rows("whatsapp_messages")}
    assert set(args.message_ids) == ids
    assert job["lane"] == job["unique_key"] == str(args.conversation_id)
    assert job["priority"] == 10
