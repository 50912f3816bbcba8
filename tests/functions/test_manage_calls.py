"""/v1/calls: the log, permissions, calls that are made, taken, refused and ended."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from switchboard.__main__ import DONE, main
from switchboard.access import SCOPES
from switchboard.accounts import calls
from switchboard.kernel.clock import Clock
from switchboard.kernel.db import Database
from switchboard.kernel.errors import Unavailable
from tests.databases import ClonedDatabase
from tests.graph_calls import Asked, GraphCalls, graph_calls
from tests.managing import Desk, Made, column, desk_of

LIST, ONE, START = "GET /v1/calls", "GET /v1/calls/{id}", "POST /v1/calls"
PERMISSION = "GET /v1/calls/permission"
ANA = "4915550000001"
SDP = "v=0\r\no=- 7 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
OFFER = {"sdp_type": "offer", "sdp": SDP}
ANSWER = {"sdp_type": "answer", "sdp": SDP}
SECOND = int(time.time()) - 60


def verb(name: str) -> str:
    return f"POST /v1/calls/{{id}}/{name}"


@pytest.fixture
def graph() -> Iterator[GraphCalls]:
    with graph_calls() as server:
        server.answer = as_meta
        yield server


@pytest.fixture
def desk(
    graph: GraphCalls, database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    # After the server, so that its connection is closed before.
    with desk_of(database, monkeypatch) as desk:
        desk.use(graph_url=graph.url)
        yield desk


def as_meta(asked: Asked) -> tuple[int, Made]:
    if asked.method == "POST" and asked.body["action"] == "connect":
        call = {"id": f"wacid.{asked.body['biz_opaque_callback_data']}"}
        return 200, {"messaging_product": "whatsapp", "calls": [call]}
    return 200, {"success": True}


def to_make(desk: Desk, to: str = f"+{ANA}", **more: Any) -> Made:
    return {"from": desk.place.phone_number_id, "to": to, "session": OFFER, **more}


def start(desk: Desk, **how: Any) -> Made:
    status, call = desk.call(START, body=to_make(desk, **how))
    assert status == 201, call
    return call


def rings(desk: Desk, word: str, offset: int = 0, name: str = "wacid.in", **keys: Any) -> None:
    """Let a part of a person's call come in."""
    part = {
        "id": name,
        "from": ANA,
        "to": "15550001111",
        "event": word,
        "direction": "USER_INITIATED",
        "timestamp": str(SECOND + offset),
        **keys,
    }
    contact = {"profile": {"name": "Ana"}, "wa_id": ANA}
    desk.tell("calls", {"contacts": [contact], "calls": [part]})


def incoming(desk: Desk) -> Made:
    """Let a person call; return the call as the list shows it."""
    rings(desk, "connect", session={"sdp_type": "offer", "sdp": SDP})
    newest: Made = desk.ok(LIST, direction="inbound")["data"][0]
    return newest


class TestLog:
    def test_a_call_is_listed_without_its_session_and_shown_with_it(self, desk: Desk) -> None:
        listed = incoming(desk)
        shown = desk.ok(ONE, listed["id"])
        assert shown["session"] == {"sdp_type": "offer", "sdp": SDP}
        assert listed == {**shown, "session": None}
        assert (shown["direction"], shown["status"]) == ("inbound", "initiated")
        assert (shown["phone_number"], shown["wa_call_id"]) == (f"+{ANA}", "wacid.in")
        assert shown["phone_number_id"] == desk.place.phone_number_id
        assert shown["metadata"] == {}
        assert shown["occurred_at"] == datetime.fromtimestamp(SECOND, UTC).isoformat()

    def test_the_newest_comes_first_on_every_page_and_filters_hold(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for n, word in enumerate(["connect", "terminate"] * 4):
            rings(desk, word, -n // 2 * 60, f"wacid.{n // 2}", status="FAILED")
        made = start(desk)
        rows = desk.ok(LIST)["data"]
        assert rows == sorted(rows, key=lambda r: (r["occurred_at"], r["id"]), reverse=True)
        assert rows[0]["id"] == made["id"]
        failed = [row["id"] for row in rows if row["status"] == "failed"]
        assert len(failed) == 4
        monkeypatch.setattr(calls, "WALK", 2)
        for limit in (1, 2, 50):
            assert column(desk.pages(LIST, limit=limit), "id") == column(rows, "id")
            assert column(desk.pages(LIST, limit=limit, status="failed"), "id") == failed
            assert column(desk.pages(LIST, limit=limit, direction="inbound"), "id") == failed
        since, until = rows[3]["occurred_at"], rows[1]["occurred_at"]
        between = column(desk.pages(LIST, limit=1, since=since, until=until), "id")
        assert between == column(rows[2:4], "id")
        assert desk.pages(LIST, number=desk.place.phone_number_id) == rows
        assert desk.pages(LIST, number=desk.place.account_id) == rows
        assert desk.pages(LIST, number="999") == []
        assert desk.pages(LIST, contact=made["contact_id"], limit=3) == rows
        assert desk.pages(LIST, contact=uuid4()) == []

    def test_the_calls_of_a_merged_contact_are_the_roots(self, desk: Desk) -> None:
        call = incoming(desk)
        gone = desk.hear("4915550000002")
        gone_contact = desk.contact_of(gone)
        desk.set("contacts", gone_contact, merged_into=call["contact_id"])
        assert column(desk.ok(LIST, contact=gone_contact)["data"], "id") == [call["id"]]

    def test_what_is_no_filter_is_refused_by_its_name(self, desk: Desk) -> None:
        for name, value in (("status", "busy"), ("direction", "up"), ("since", "now")):
            status, problem = desk.call(LIST, **{name: value})
            assert (status, problem["field"]) == (400, name)


class TestStart:
    def test_meta_is_asked_with_the_key_of_a_row_that_is_there(
        self, desk: Desk, graph: GraphCalls
    ) -> None:
        seen = []

        def look(asked: Asked) -> tuple[int, Made]:
            (row,) = desk.place.rows("call_logs")
            seen.append((row["status"], row["wa_call_id"], f"call.{row['id']}"))
            open_ones = desk.world.everything.execute(
                "select count(*) from pg_stat_activity where datname = current_database()"
                " and state like 'idle in transaction%'"
            ).fetchone()
            assert open_ones == (0,)
            return as_meta(asked)

        graph.answer = look
        call = start(desk, metadata={"ticket": 7})
        key = f"call.{call['id']}"
        assert seen == [("unconfirmed", None, key)]
        (asked,) = graph.asked
        assert (asked.method, asked.path) == ("POST", f"{desk.place.phone_number_id}/calls")
        assert asked.token == f"token-{desk.place.phone_number_id}"
        assert asked.body == {
            "messaging_product": "whatsapp",
            "action": "connect",
            "to": f"+{ANA}",
            "session": OFFER,
            "biz_opaque_callback_data": key,
        }
        assert (call["status"], call["direction"]) == ("initiated", "outbound")
        assert (call["wa_call_id"], call["metadata"]) == (f"wacid.{key}", {"ticket": 7})
        assert call == desk.ok(ONE, call["id"])

    def test_a_contact_is_called_by_number_or_by_user_id(
        self, desk: Desk, graph: GraphCalls
    ) -> None:
        contact_id = desk.contact_of(desk.hear(ANA))
        assert start(desk, to=contact_id)["contact_id"] == contact_id
        assert graph.asked[0].body["to"] == f"+{ANA}"
        desk.world.everything.execute(
            "update messaging.contact_identifiers set kind = 'user_id', value = 'DE.9001'"
        )
        assert start(desk, to=contact_id)["contact_id"] == contact_id
        assert (graph.asked[1].body.get("to"), graph.asked[1].body["recipient"]) == (
            None,
            "DE.9001",
        )
        desk.world.everything.execute("delete from messaging.contact_identifiers")
        status, problem = desk.call(START, body=to_make(desk, to=contact_id))
        assert (status, problem["field"]) == (422, "to")

    @pytest.mark.parametrize("answer", [(500, b"<html>"), (200, {"calls": []}), (200, {})])
    def test_without_a_clear_answer_the_call_is_unconfirmed_until_a_webhook_tells(
        self, desk: Desk, graph: GraphCalls, answer: tuple[int, Any]
    ) -> None:
        graph.answer = lambda _: answer
        status, call = desk.call(START, body=to_make(desk))
        assert (status, call["status"], call["wa_call_id"]) == (202, "unconfirmed", None)
        assert desk.call(verb("terminate"), call["id"])[0] == 409
        part = {
            "id": "wacid.7",
            "type": "call",
            "status": "RINGING",
            "timestamp": str(SECOND),
            "recipient_id": ANA,
            "biz_opaque_callback_data": graph.asked[0].body["biz_opaque_callback_data"],
        }
        desk.tell("calls", {"statuses": [part]})
        (row,) = desk.ok(LIST)["data"]
        assert (row["id"], row["status"], row["wa_call_id"]) == (call["id"], "initiated", "wacid.7")
        assert len(graph.asked) == 1

    def test_without_permission_the_caller_is_told_what_to_do(
        self, desk: Desk, graph: GraphCalls
    ) -> None:
        graph.refuse(138006, "No approved call permission", 401)
        status, problem = desk.call(START, body=to_make(desk))
        assert (status, problem["error"]["code"]) == (502, 138006)
        assert "call_permission_request" in problem["detail"]
        call = desk.ok(ONE, problem["id"])
        assert (call["status"], call["errors"][0]["code"]) == ("failed", 138006)

    @pytest.mark.parametrize(
        ("code", "status", "answered"), [(138001, 400, 502), (138002, 429, 503)]
    )
    def test_other_refusals_are_told_in_metas_words(
        self, desk: Desk, graph: GraphCalls, code: int, status: int, answered: int
    ) -> None:
        graph.refuse(code, "busy", status)
        told, problem = desk.call(START, body=to_make(desk))
        assert (told, problem["error"]["code"]) == (answered, code)
        assert "permission" not in problem["detail"]
        assert desk.ok(ONE, problem["id"])["errors"][0]["code"] == code

    def test_where_meta_was_not_reached_the_call_has_failed(self, desk: Desk) -> None:
        desk.use(graph_url="http://127.0.0.1:9")
        status, problem = desk.call(START, body=to_make(desk))
        assert status == 503
        call = desk.ok(ONE, problem["id"])
        assert (call["status"], call["errors"][0]["title"]) == ("failed", "Meta was not reached")

    def test_a_database_that_is_lost_after_meta_was_asked_says_that_it_may_ring(
        self, desk: Desk, graph: GraphCalls, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def lose(asked: Asked) -> tuple[int, Made]:
            def away(*_: Any, **__: Any) -> Any:
                raise Unavailable("the database is away")

            monkeypatch.setattr(Database, "transaction", away)
            return as_meta(asked)

        graph.answer = lose
        status, problem = desk.call(START, body=to_make(desk))
        monkeypatch.undo()
        assert (status, "may be under way" in problem["detail"]) == (504, True)
        (row,) = desk.place.rows("call_logs")
        assert (str(row["id"]), row["status"]) == (problem["id"], "unconfirmed")

    @pytest.mark.parametrize(
        ("table", "columns", "reason"),
        [
            ("tenants", {"is_active": False}, None),
            ("whatsapp_accounts", {"is_active": False}, "number_inactive"),
            ("whatsapp_accounts", {"status": "suspended"}, "number_suspended"),
            ("whatsapp_accounts", {"access_token_sealed": None}, "token_missing"),
            ("whatsapp_accounts", {"sends_stopped_at": "2020-01-01"}, "stopped"),
            ("tenants", {"sends_stopped_at": "2020-01-01"}, "stopped"),
            ("whatsapp_accounts", {"sends_paused_until": "infinity"}, "paused"),
            ("whatsapp_business_accounts", {"sends_paused_until": "2100-01-01"}, "paused"),
            ("contacts", {"is_blocked": True}, "contact_blocked"),
        ],
    )
    def test_what_speaks_against_a_call_is_told_and_meta_is_not_asked(
        self, desk: Desk, graph: GraphCalls, table: str, columns: Made, reason: str | None
    ) -> None:
        desk.hear(ANA)
        for name, value in columns.items():
            desk.world.everything.execute(f"update messaging.{table} set {name} = %s", (value,))
        status, problem = desk.call(START, body=to_make(desk))
        if reason is None:  # nobody of a disabled tenant has a key
            assert status == 401
        else:
            assert (status, problem["reason"]) == (422, reason)
        assert (graph.asked, desk.place.rows("call_logs")) == ([], [])

    def test_a_pause_that_is_over_holds_nothing_back(self, desk: Desk) -> None:
        desk.place.set_number(sends_paused_until="2020-01-01")
        start(desk)

    def test_a_pause_says_why(self, desk: Desk) -> None:
        desk.place.set_number(sends_paused_until="2100-01-01", sends_paused_reason="131031")
        problem = desk.call(START, body=to_make(desk))[1]
        assert problem["detail"] == "the number is paused: 131031"

    def test_outside_the_allow_list_nobody_is_called(self, desk: Desk, graph: GraphCalls) -> None:
        desk.use(graph_url=graph.url, recipient_allow_list="+5215550001234")
        status, problem = desk.call(START, body=to_make(desk))
        assert (status, problem["reason"]) == (422, "recipient_not_allowed")
        assert graph.asked == []
        start(desk, to="525550001234")

    @pytest.mark.parametrize(
        ("session", "field"),
        [
            ({"sdp_type": "answer", "sdp": SDP}, "session.sdp_type"),
            ({"sdp_type": "offer", "sdp": ""}, "session.sdp"),
            ({"sdp_type": "offer", "sdp": "v=1\r\n"}, "session.sdp"),
            ({"sdp_type": "offer", "sdp": "v=0\r\no=-\r\nt=0 0\r\n"}, "session.sdp"),
            ({"sdp_type": "offer", "sdp": f"{SDP}hello\r\n"}, "session.sdp"),
            ({"sdp_type": "offer", "sdp": f"{SDP}\r\n{SDP}"}, "session.sdp"),
            ({"sdp_type": "offer", "sdp": SDP + "a=x\r\n" * 13_200}, "session.sdp"),
            ({"sdp_type": "offer"}, "session.sdp"),
            ({"sdp_type": "offer", "sdp": SDP, "colour": 1}, "session.colour"),
        ],
    )
    def test_a_session_must_look_like_one(
        self, desk: Desk, graph: GraphCalls, session: Made, field: str
    ) -> None:
        status, problem = desk.call(START, body=to_make(desk) | {"session": session})
        assert (status, problem["field"]) == (422, field)
        assert SDP[:20] not in str(problem)
        assert graph.asked == []

    def test_a_session_of_64_kib_and_plain_line_ends_is_one(
        self, desk: Desk, graph: GraphCalls
    ) -> None:
        long = SDP.replace("\r\n", "\n")
        long += "a=" + "x" * (65_536 - len(long) - 3) + "\n"
        assert len(long) == 65_536
        start(desk, session={"sdp_type": "offer", "sdp": long})
        assert graph.asked[0].body["session"]["sdp"] == long

    def test_members_are_refused_by_their_names(self, desk: Desk) -> None:
        for more, field in (
            ({"to": "me"}, "to"),
            ({"to": "123"}, "to"),
            ({"from": ""}, "from"),
            ({"metadata": {"x": "y" * 4_000}}, "metadata"),
        ):
            status, problem = desk.call(START, body=to_make(desk) | more)
            assert (status, problem["field"]) == (422, field)
        for more, field in (({"from": "999"}, "from"), ({"to": str(uuid4())}, "to")):
            status, problem = desk.call(START, body=to_make(desk) | more)
            assert (status, problem["field"]) == (404, field)
        other = desk.world.place().add_key(*SCOPES)
        assert desk.call(START, body=to_make(desk), key=other)[0] == 404


class TestAnswering:
    def test_a_persons_call_is_set_up_taken_and_ended(self, desk: Desk, graph: GraphCalls) -> None:
        call = incoming(desk)
        assert desk.ok(verb("pre-accept"), call["id"], body={"session": ANSWER})["status"] == (
            "initiated"
        )
        taken = desk.ok(verb("accept"), call["id"], body={"session": ANSWER})
        assert (taken["status"], taken["accepted_at"] is not None) == ("accepted", True)
        # Taken is taken.
        assert desk.ok(verb("accept"), call["id"], body={"session": ANSWER}) == taken
        assert desk.ok(verb("pre-accept"), call["id"], body={"session": ANSWER}) == taken
        assert desk.call(verb("reject"), call["id"])[0] == 409
        desk.ok(verb("terminate"), call["id"])
        rings(desk, "terminate", 50, status="COMPLETED", duration=40)
        over = desk.ok(verb("terminate"), call["id"])
        assert (over["status"], over["duration_seconds"]) == ("ended", 40)
        assert desk.ok(verb("reject"), call["id"]) == over
        assert desk.call(verb("accept"), call["id"], body={"session": ANSWER})[0] == 409
        common = {"messaging_product": "whatsapp", "call_id": "wacid.in"}
        assert [asked.body for asked in graph.asked] == [
            {**common, "action": "pre_accept", "session": ANSWER},
            {**common, "action": "accept", "session": ANSWER},
            {**common, "action": "terminate"},
        ]
        assert {asked.path for asked in graph.asked} == {f"{desk.place.phone_number_id}/calls"}

    def test_a_persons_call_is_refused(self, desk: Desk, graph: GraphCalls) -> None:
        call = incoming(desk)
        refused = desk.ok(verb("reject"), call["id"])
        assert (refused["status"], refused["end_reason"]) == ("rejected", "business_declined")
        assert desk.ok(verb("reject"), call["id"]) == refused
        rings(desk, "terminate", 5, status="FAILED")
        after = desk.ok(ONE, call["id"])
        assert (after["status"], after["end_reason"]) == ("rejected", "business_declined")
        assert [asked.body for asked in graph.asked] == [
            {"messaging_product": "whatsapp", "call_id": "wacid.in", "action": "reject"}
        ]
        # The person did nothing.
        assert desk.place.rows("user_interactions") == []

    def test_a_call_that_ends_while_meta_is_asked_is_over(
        self, desk: Desk, graph: GraphCalls
    ) -> None:
        for name in ("reject", "terminate"):

            def hang_up(_: Asked, name: str = name) -> tuple[int, Made]:
                rings(desk, "terminate", 9, f"wacid.{name}", status="FAILED")
                return 400, {"error": {"message": "no", "code": 138004}}

            rings(desk, "connect", 0, f"wacid.{name}")
            call = desk.ok(LIST, status="initiated")["data"][0]
            # In a second environment: the webhook's.
            graph.answer = hang_up
            assert desk.ok(verb(name), call["id"])["status"] == "failed"

    def test_what_meta_refuses_is_told_and_changes_nothing(
        self, desk: Desk, graph: GraphCalls
    ) -> None:
        call = incoming(desk)
        graph.refuse(138021, "media")
        for name in ("pre-accept", "accept", "reject", "terminate"):
            body = {"session": ANSWER} if "accept" in name else None
            status, problem = desk.call(verb(name), call["id"], body=body)
            assert (status, problem["error"]["code"], problem["id"]) == (502, 138021, call["id"])
        graph.say({}, 200)
        status, problem = desk.call(verb("accept"), call["id"], body={"session": ANSWER})
        assert status == 504
        assert desk.ok(ONE, call["id"])["status"] == "initiated"

    def test_a_call_of_ours_is_ended_and_not_taken(self, desk: Desk, graph: GraphCalls) -> None:
        call = start(desk)
        for name, body in (("accept", {"session": ANSWER}), ("reject", None)):
            assert desk.call(verb(name), call["id"], body=body)[0] == 409
        desk.ok(verb("terminate"), call["id"])
        assert graph.asked[-1].body["call_id"] == call["wa_call_id"]

    def test_taking_wants_an_answer(self, desk: Desk) -> None:
        call = incoming(desk)
        for body, field in (
            ({}, "session"),
            ({"session": OFFER}, "session.sdp_type"),
            ({"session": {"sdp_type": "answer", "sdp": "hi"}}, "session.sdp"),
        ):
            status, problem = desk.call(verb("accept"), call["id"], body=body)
            assert (status, problem["field"]) == (422, field)


class TestPermission:
    ACTIONS = (
        {
            "action_name": "start_call",
            "can_perform_action": True,
            "limits": [{"time_period": "PT24H", "max_allowed": 100, "current_usage": 7}],
        },
    )

    def told(self, **permission: Any) -> Made:
        return {"permission": permission, "actions": list(self.ACTIONS)}

    def ask(self, desk: Desk, to: str = ANA) -> Made:
        return desk.ok(PERMISSION, **{"from": desk.place.phone_number_id, "to": to})

    def test_meta_is_asked_and_told_with_its_limits(self, desk: Desk, graph: GraphCalls) -> None:
        contact_id = desk.contact_of(desk.hear(ANA))
        graph.say(self.told(status="temporary", expiration_time=1790604800))
        shown = self.ask(desk)
        assert shown == {
            "phone_number_id": desk.place.phone_number_id,
            "contact_id": contact_id,
            "status": "temporary",
            "meta_status": "temporary",
            "expires_at": "2026-09-28T14:13:20+00:00",
            "actions": list(self.ACTIONS),
        }
        asked = graph.asked[0]
        assert (asked.method, asked.path, asked.query) == (
            *("GET", f"{desk.place.phone_number_id}/call_permissions"),
            {"user_wa_id": ANA},
        )
        (kept,) = desk.place.rows("call_permissions")
        assert (kept["response"], kept["is_permanent"], kept["message_id"]) == (
            *("accept", False),
            None,
        )
        assert kept["expires_at"] == datetime.fromtimestamp(1790604800, UTC)

    @pytest.mark.parametrize(
        ("word", "status"),
        [
            ("permanent", "permanent"),
            ("granted", "granted"),
            ("no_permission", "no"),
            ("pending", "no"),
            ("denied", "no"),
            ("expired", "no"),
            ("tomorrow", "no"),
            (7, "no"),
            (None, "no"),
        ],
    )
    def test_whatever_is_no_permission_is_a_no(
        self, desk: Desk, graph: GraphCalls, word: Any, status: str
    ) -> None:
        desk.hear(ANA)
        graph.say(self.told(status=word))
        assert self.ask(desk)["status"] == status
        (kept,) = desk.place.rows("call_permissions")
        assert (kept["response"] == "accept") is (status != "no")
        assert kept["is_permanent"] is (status == "permanent")

    def test_what_a_person_says_in_that_second_is_newer_and_before_it_older(
        self, desk: Desk, graph: GraphCalls
    ) -> None:
        desk.hear(ANA)
        now = datetime.now(UTC)
        for offset, response in ((-1, "no_permission"), (0, "accept")):
            desk.world.everything.execute("delete from messaging.call_permissions")
            at = int((now + timedelta(seconds=offset)).timestamp())
            said = {"response": "accept", "is_permanent": True}
            reply = {
                "from": ANA,
                "id": f"wamid.{offset}",
                "timestamp": str(at),
                "type": "interactive",
                "interactive": {"type": "call_permission_reply", "call_permission_reply": said},
            }
            desk.take(reply, ANA)
            graph.say(self.told(status="no_permission"))
            self.made_at(desk, graph, now)
            self.ask(desk)
            (kept,) = desk.place.rows("call_permissions")
            assert kept["response"] == response

    def made_at(self, desk: Desk, graph: GraphCalls, now: datetime) -> None:
        """Let the function's time stand still."""
        desk.use(graph_url=graph.url)
        desk.made.clock = replace(desk.made.clock, now=now)

    def test_nobody_becomes_a_contact_by_being_asked_about(
        self, desk: Desk, graph: GraphCalls
    ) -> None:
        graph.say(self.told(status="permanent"))
        assert self.ask(desk, "4915550000009")["contact_id"] is None
        assert desk.place.rows("contacts") == desk.place.rows("call_permissions") == []

    def test_who_has_a_user_id_alone_is_asked_about_by_it(
        self, desk: Desk, graph: GraphCalls
    ) -> None:
        contact_id = desk.contact_of(desk.hear(ANA))
        desk.world.everything.execute(
            "update messaging.contact_identifiers set kind = 'user_id', value = 'DE.9001'"
        )
        graph.say(self.told(status="permanent"))
        self.ask(desk, contact_id)
        assert graph.asked[0].query == {"recipient": "DE.9001"}

    def test_metas_limit_is_passed_on(self, desk: Desk, graph: GraphCalls) -> None:
        graph.refuse(613, "too often", 429)
        pair = {"from": desk.place.phone_number_id, "to": ANA}
        status, problem = desk.call(PERMISSION, **pair)
        assert (status, problem["error"]["code"]) == (503, 613)
        graph.say({"permission": 7})
        assert desk.call(PERMISSION, **pair)[0] == 504
        assert desk.call(PERMISSION, to=ANA)[1]["field"] == "from"
        assert desk.call(PERMISSION, **{**pair, "from": "999"})[0] == 404
        assert desk.call(PERMISSION, **{**pair, "to": "x"})[0] == 422


def test_reading_and_writing_are_two_scopes(desk: Desk) -> None:
    reader = desk.place.add_key("calls:read")
    writer = desk.place.add_key("calls:write")
    assert desk.call(LIST, key=reader)[0] == 200
    assert desk.call(LIST, key=writer)[0] == 403
    assert desk.call(START, body=to_make(desk), key=reader)[0] == 403
    assert desk.call(START, body=to_make(desk), key=writer)[0] == 201


def test_the_commands_do_the_same(
    desk: Desk,
    graph: GraphCalls,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    made_for_commands = desk.world.tools(Clock(), graph_url=graph.url)
    monkeypatch.setattr("switchboard.commands.app_tools", lambda: made_for_commands)

    def run(*words: str) -> Made:
        capfd.readouterr()
        line = [words[0], "--tenant", str(desk.place.tenant_id), *words[1:], "--json"]
        assert main(["calls", *line]) == DONE
        document: Made = json.loads(capfd.readouterr().out)
        return document

    pair = ("--number", desk.place.phone_number_id, "--to", ANA)
    made = run("start", *pair, "--sdp", SDP)
    assert made["status"] == "initiated"
    assert graph.asked[0].body["session"] == OFFER
    assert run("list") == desk.ok(LIST)
    assert run("show", "--call", made["id"]) == desk.ok(ONE, made["id"])
    assert run("terminate", "--call", made["id"])["id"] == made["id"]
    call = incoming(desk)
    run("pre-accept", "--call", call["id"], "--sdp", SDP)
    assert run("accept", "--call", call["id"], "--sdp", SDP)["status"] == "accepted"
    assert graph.asked[-1].body["session"] == ANSWER
    rings(desk, "connect", 1, "wacid.2")
    (other,) = desk.ok(LIST, status="initiated", direction="inbound")["data"]
    assert run("reject", "--call", other["id"])["status"] == "rejected"
    graph.say({"permission": {"status": "permanent"}})
    assert run("permission", *pair)["status"] == "permanent"
