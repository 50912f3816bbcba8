"""/v1/verifications: codes that prove a number, from the template at Meta to the fifth try."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from functions.manage import app
from switchboard import outbox
from switchboard.inbox import verifications
from switchboard.inbox.verifications import CodeGiven, NewVerification
from switchboard.jobs import end_verification
from switchboard.jobs._kind import Context
from switchboard.kernel.clock import Clock
from switchboard.kernel.errors import Snooze, TooMany
from switchboard.tools import Tools
from tests.databases import ClonedDatabase
from tests.functions.graph_server import GraphServer, serving
from tests.managing import Desk, desk_of
from tests.sending import PlainSealer

Made = dict[str, Any]
PHONE = "4915550000001"
START, CHECK = "POST /v1/verifications", "POST /v1/verifications/{id}/check"


class Sealer(PlainSealer):
    """Opens what it sealed, for the tenant and the purpose alone; counts."""

    opened = 0

    def unseal(self, sealed: bytes, *, tenant_id: UUID | str, purpose: str) -> str:
        text = bytes(sealed).decode()
        if purpose == "access_token":
            return text
        assert purpose == "verification_key"
        self.opened += 1
        whose, sealed_for, plain = text.split("/")
        assert (whose, sealed_for) == (str(tenant_id), purpose)
        return plain


class Codes:
    """The function with a Graph on a socket; the codes are read where the person reads them."""

    def __init__(self, desk: Desk, graph: GraphServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.desk, self.graph = desk, graph
        self._monkeypatch = monkeypatch
        self.time = desk.place.time
        self.sealer = Sealer()

    def tools(self) -> Tools:
        made = self.desk.world.tools(
            Clock(now=self.time.now, new_id=self.time.new_id), graph_url=self.graph.url
        )
        made.sealer = self.sealer  # type: ignore[assignment]
        return made

    def call(self, route: str, *ids: Any, body: Any) -> tuple[int, Made]:
        made = self.tools()
        self._monkeypatch.setattr(app, "tools", lambda: made)
        return self.desk.call(route, *ids, body=body)

    def body(self, to: str = PHONE, **more: Any) -> Made:
        template = {"name": "login_code", "language": "en"}
        return {"from": self.desk.place.phone_number_id, "to": to, "template": template, **more}

    def start(self, to: str = PHONE, **more: Any) -> Made:
        status, made = self.call(START, body=self.body(to, **more))
        assert status == 201, made
        return made

    def check(self, verification_id: str, code: str) -> Made:
        status, made = self.call(CHECK, verification_id, body={"code": code})
        assert status == 200, made
        return made

    def store_template(self, category: str) -> None:
        """Store the template, or its category anew; its body shows the code."""
        place = self.desk.place
        states = json.dumps({"id": "77", "category": category, "status": {"status": "APPROVED"}})
        address = {"type": "URL", "text": "Copy", "url": "https://www.whatsapp.com/otp/?c={{1}}"}
        body = {"type": "BODY", "text": "{{1}} is your code."}
        components = json.dumps([body, {"type": "BUTTONS", "buttons": [address]}])
        self.desk.world.everything.execute(
            "insert into messaging.whatsapp_templates (tenant_id, waba_id, name, language, states,"
            " parameter_format, components, components_fetched_at)"
            " values (%s, %s, 'login_code', 'en', messaging.states_at(%s, 1), 'POSITIONAL', %s,"
            " clock_timestamp())"
            " on conflict (tenant_id, waba_id, name, language)"
            " do update set states = excluded.states",
            (place.tenant_id, place.waba_id, states, components),
        )

    @property
    def code(self) -> str:
        """The code that was sent last."""
        components = self.graph.asked[-1]["template"]["components"]
        return str(components[0]["parameters"][0]["text"])

    @property
    def wrong(self) -> str:
        return str((int(self.code) + 1) % 10 ** len(self.code)).zfill(len(self.code))

    def row(self, verification_id: str) -> Made:
        (row,) = self.desk.place.rows("phone_verifications", id=verification_id)
        return row

    def everywhere(self) -> str:
        """Every value of every table of the tenant, as text."""
        tables = self.desk.world.everything.execute(
            "select c.relname from pg_class as c join pg_attribute as a on a.attrelid = c.oid"
            " where c.relnamespace = 'messaging'::regnamespace and c.relkind in ('r', 'p')"
            " and not c.relispartition and a.attname = 'tenant_id'"
        ).fetchall()
        return "\n".join(str(self.desk.place.rows(name)) for (name,) in tables)


@pytest.fixture
def codes(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Codes]:
    with serving() as graph, desk_of(database, monkeypatch) as desk:
        yield Codes(desk, graph, monkeypatch)


def contact(codes: Codes) -> Made:
    (row,) = codes.desk.place.rows("contacts")
    return row


# ------------------------------------------------------------------------------------------ a code


def test_a_code_goes_out_as_an_authentication_template_and_proves_the_phone(codes: Codes) -> None:
    made = codes.start(f"+{PHONE}")
    code = codes.code
    assert len(code) == 6
    assert code.isdigit()
    parameters = [{"type": "text", "text": code}]
    assert codes.graph.asked == [
        {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": f"+{PHONE}",
            "type": "template",
            "template": {
                "name": "login_code",
                "language": {"code": "en"},
                "components": [
                    {"type": "body", "parameters": parameters},
                    {"type": "button", "sub_type": "url", "index": "0", "parameters": parameters},
                ],
            },
            "biz_opaque_callback_data": codes.graph.asked[0]["biz_opaque_callback_data"],
        }
    ]
    assert made.keys() == {"id", "status", "expires_at", "message"}
    assert (made["status"], made["message"]["status"]) == ("pending", "accepted")
    assert made["message"]["decision"]["kind"] == "authentication"
    assert datetime.fromisoformat(made["expires_at"]) == codes.time.now + timedelta(seconds=600)
    assert contact(codes)["is_verified"] is False
    assert codes.check(made["id"], code) == {"verified": True, "attempts_left": 4, "reason": None}
    assert contact(codes)["is_verified"] is True
    (phone,) = codes.desk.place.rows("contact_identifiers")
    assert (phone["value"], phone["verified_at"]) == (PHONE, codes.time.now)
    row = codes.row(made["id"])
    assert (row["status"], row["code_hmac"], row["key_sealed"]) == ("verified", None, None)
    assert str(row["message_id"]) == made["message"]["id"]


def test_the_code_is_nowhere_once_its_message_has_gone(
    codes: Codes, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        made = codes.start(code_length=8)
        code = codes.code
        codes.check(made["id"], codes.wrong)
    told = capfd.readouterr()
    for text in (json.dumps(made), codes.everywhere(), told.out, told.err, caplog.text):
        assert code not in text
    (message,) = codes.desk.place.rows("whatsapp_messages")
    assert message["content"] == {"name": "login_code", "language": {"code": "en"}}
    assert codes.check(made["id"], code)["verified"] is True


@pytest.mark.parametrize("category", ["UTILITY", "MARKETING"])
def test_a_template_of_another_category_carries_no_code(codes: Codes, category: str) -> None:
    codes.store_template(category)
    status, problem = codes.call(START, body=codes.body())
    assert (status, problem["field"]) == (422, "template")
    assert category in problem["detail"]
    assert codes.graph.asked == []
    assert codes.desk.place.rows("phone_verifications") == []
    codes.store_template("AUTHENTICATION")
    made = codes.start()
    assert codes.code not in codes.everywhere()
    assert codes.check(made["id"], codes.code)["verified"] is True


def change_category(codes: Codes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Meta moves the template between the look at it and the send: the inbox shows its text."""
    send = outbox.send

    def sent_later(*given: Any, **more: Any) -> Any:
        codes.store_template("UTILITY")
        return send(*given, **more)

    codes.store_template("AUTHENTICATION")
    monkeypatch.setattr(outbox, "send", sent_later)


def preview(codes: Codes) -> str:
    (thread,) = codes.desk.place.rows("whatsapp_conversations")
    return str(thread["last_message_preview"])


def test_the_thread_shows_no_code_though_the_template_became_another_kind(
    codes: Codes, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_category(codes, monkeypatch)
    codes.start()
    assert preview(codes) == "[template]"
    assert codes.code not in codes.everywhere()


def test_a_newer_messages_preview_stays(codes: Codes, monkeypatch: pytest.MonkeyPatch) -> None:
    change_category(codes, monkeypatch)
    codes.graph.answer = lambda path, body: (429, {"error": {"code": 130429, "message": "slow"}})
    made = codes.start()
    (message,) = codes.desk.place.rows("whatsapp_messages")
    code = message["content"]["components"][0]["parameters"][0]["text"]
    assert preview(codes) == f"{code} is your code."
    codes.desk.hear(PHONE, "are you there?", minute=180)
    codes.time.turn(minutes=10)
    codes.desk.set("whatsapp_messages", message["id"], status="expired")
    end(codes, made["id"])
    assert preview(codes) == "are you there?"
    assert code not in codes.everywhere()


def test_a_thief_of_the_database_cannot_guess(codes: Codes) -> None:
    """What is stored is no plain hash of the code, with or without what stands beside it."""
    import hashlib
    import hmac

    made = codes.start(code_length=4)
    row = codes.row(made["id"])
    stolen = [b"", row["id"].bytes, str(row["id"]).encode(), row["key_sealed"], PHONE.encode()]
    for salt in stolen:
        for other in stolen:
            code = codes.code.encode()
            assert hashlib.sha256(salt + code).digest() != row["code_hmac"]
            assert hmac.digest(salt, other + code, hashlib.sha256) != row["code_hmac"]
    codes.check(made["id"], codes.wrong)
    assert codes.sealer.opened == 1


def test_length_and_time_are_the_callers(codes: Codes) -> None:
    made = codes.start(code_length=8, expires_in=30)
    assert len(codes.code) == 8
    assert datetime.fromisoformat(made["expires_at"]) == codes.time.now + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("code_length", 3),
        ("code_length", 9),
        ("expires_in", 29),
        ("expires_in", 901),
        ("to", "me"),
        ("from", ""),
        ("template", "login_code"),
        ("code", "123456"),
    ],
)
def test_a_wrong_member_is_named_and_nothing_is_sent(codes: Codes, field: str, wrong: Any) -> None:
    status, problem = codes.call(START, body={**codes.body(), field: wrong})
    assert (status, problem["field"]) == (422, field)
    assert codes.graph.asked == []
    assert codes.desk.place.rows("contacts") == []


def test_an_unknown_number_or_contact_gets_nothing(codes: Codes) -> None:
    for body, field in ((codes.body(**{"from": "7"}), "from"), (codes.body(str(uuid4())), "to")):
        status, problem = codes.call(START, body=body)
        assert (status, problem["field"]) == (404, field)
    assert codes.desk.place.rows("contacts") == []
    assert codes.call(CHECK, uuid4(), body={"code": "123456"})[0] == 404


def test_a_contact_is_named_by_its_id(codes: Codes) -> None:
    person = codes.desk.place.person(PHONE)
    made = codes.start(str(person.contact_id))
    assert codes.graph.asked[0]["to"] == f"+{PHONE}"
    assert codes.row(made["id"])["contact_id"] == person.contact_id


def test_a_code_that_was_not_sent_ends_and_the_caller_is_told(codes: Codes) -> None:
    codes.graph.answer = lambda path, body: (400, {"error": {"code": 132001, "message": "no"}})
    status, problem = codes.call(START, body=codes.body())
    assert status == 502
    assert problem["verification"]["status"] == "unsent"
    code = codes.code
    assert code not in json.dumps(problem)
    assert code not in codes.everywhere()
    made = codes.check(problem["verification"]["id"], code)
    assert made == {"verified": False, "attempts_left": 0, "reason": "unsent"}


def test_somebody_blocked_gets_no_code_and_it_is_nowhere(codes: Codes) -> None:
    person = codes.desk.place.person(PHONE)
    codes.desk.set("contacts", person.contact_id, is_blocked=True)
    status, problem = codes.call(START, body=codes.body())
    assert (status, problem["message_status"]) == (422, "denied")
    assert codes.graph.asked == []
    (message,) = codes.desk.place.rows("whatsapp_messages")
    assert "components" not in message["content"]


# ------------------------------------------------------------------------------------------ a check


def test_a_wrong_code_costs_a_try_and_the_sixth_is_none(codes: Codes) -> None:
    made = codes.start()
    left = [codes.check(made["id"], codes.wrong) for _ in range(5)]
    assert [one["attempts_left"] for one in left] == [4, 3, 2, 1, 0]
    assert {(one["verified"], one["reason"]) for one in left} == {(False, "wrong_code")}
    late = codes.check(made["id"], codes.code)
    assert late == {"verified": False, "attempts_left": 0, "reason": "too_many_attempts"}
    assert contact(codes)["is_verified"] is False


def test_the_fifth_try_may_be_right(codes: Codes) -> None:
    made = codes.start()
    for _ in range(4):
        codes.check(made["id"], codes.wrong)
    assert codes.check(made["id"], codes.code)["verified"] is True


def test_what_is_no_code_costs_nothing(codes: Codes) -> None:
    made = codes.start()
    for wrong in ("", "12 345", "123", "1" * 9, "١٢٣٤٥٦", "12345a", "123456\n"):
        assert codes.call(CHECK, made["id"], body={"code": wrong})[0] == 422
    assert codes.row(made["id"])["attempts"] == 0


def test_a_code_is_over_after_its_time(codes: Codes) -> None:
    made = codes.start(expires_in=60)
    codes.time.turn(seconds=60)
    for late in (codes.wrong, codes.code):
        told = codes.check(made["id"], late)
        assert told == {"verified": False, "attempts_left": 0, "reason": "expired"}
    assert codes.row(made["id"])["attempts"] == 0


def test_a_code_is_used_once(codes: Codes) -> None:
    made = codes.start()
    assert codes.check(made["id"], codes.code)["verified"] is True
    again = codes.check(made["id"], codes.code)
    assert again == {"verified": False, "attempts_left": 0, "reason": "used"}


def test_a_new_code_ends_the_old_one(codes: Codes) -> None:
    old = codes.start()
    code = codes.code
    new = codes.start()
    assert codes.check(old["id"], code)["reason"] == "replaced"
    assert codes.check(new["id"], codes.code)["verified"] is True
    assert codes.row(old["id"])["code_hmac"] is None


def test_the_code_of_another_verification_is_wrong(codes: Codes) -> None:
    first = codes.start()
    code = codes.code
    codes.start("4915550000002")
    assert codes.check(first["id"], codes.code)["verified"] is (codes.code == code)


def race(codes: Codes, verification_id: str, given: list[str]) -> list[verifications.Checked]:
    """Check codes at the same time, each on a connection of its own."""
    tenant = codes.desk.place.tenant_id

    def one(code: str) -> verifications.Checked:
        return verifications.check_code(
            codes.tools(), tenant, UUID(verification_id), CodeGiven(code=code)
        )

    with ThreadPoolExecutor(len(given)) as pool:
        return list(pool.map(one, given))


def test_two_at_once_cannot_both_use_the_last_try(codes: Codes) -> None:
    for n in range(4):
        made = codes.start(f"491555000001{n}")
        for _ in range(4):
            codes.check(made["id"], codes.wrong)
        results = race(codes, made["id"], [codes.wrong] * 6)
        reasons = sorted(str(one.reason) for one in results)
        assert reasons == ["too_many_attempts"] * 5 + ["wrong_code"]
        assert codes.row(made["id"])["attempts"] == 5


def test_of_many_right_ones_at_once_one_is_the_proof(codes: Codes) -> None:
    made = codes.start()
    results = race(codes, made["id"], [codes.code] * 5)
    assert [one.verified for one in results].count(True) == 1
    assert {one.reason for one in results if not one.verified} <= {"used"}


# ------------------------------------------------------------------------------------------ limits


def test_three_codes_in_ten_minutes_are_the_most(codes: Codes) -> None:
    for _ in range(3):
        codes.start()
        codes.time.turn(minutes=1)
    status, problem = codes.call(START, body=codes.body(f"+{PHONE}"))
    assert (status, problem["field"]) == (429, "to")
    assert len(codes.graph.asked) == 3
    codes.start("4915550000002")  # somebody else's
    codes.time.turn(minutes=6, seconds=59)
    assert codes.call(START, body=codes.body())[0] == 429
    codes.time.turn(seconds=1)
    codes.start()


def test_who_must_wait_is_told_how_long(codes: Codes) -> None:
    for _ in range(3):
        codes.start()
        codes.time.turn(minutes=2)
    with pytest.raises(TooMany) as refused:
        verifications.start_verification(
            codes.tools(),
            codes.desk.place.tenant_id,
            NewVerification.model_validate(codes.body()),
        )
    assert refused.value.headers == {"retry-after": "240"}


def test_ten_codes_in_a_day_are_the_most(codes: Codes) -> None:
    for _ in range(10):
        codes.start()
        codes.time.turn(hours=1)
    assert codes.call(START, body=codes.body())[0] == 429
    codes.time.turn(hours=14)
    codes.start()
    assert codes.call(START, body=codes.body())[0] == 429


def test_another_form_of_the_number_and_a_new_contact_are_the_same_phone(codes: Codes) -> None:
    for to in ("5215550001234", "525550001234", "+5215550001234"):
        codes.start(to)
    assert codes.call(START, body=codes.body("525550001234"))[0] == 429
    codes.desk.set("contacts", contact(codes)["id"], deleted_at=codes.time.now)
    assert codes.call(START, body=codes.body("525550001234"))[0] == 429


def test_codes_that_are_asked_for_at_once_are_three_at_most(codes: Codes) -> None:
    person = codes.desk.place.person(PHONE)
    # By the id: who names the phone waits for the phone's row already.
    new = NewVerification.model_validate(codes.body(str(person.contact_id)))

    def one(_: int) -> int:
        try:
            return verifications.start_verification(
                codes.tools(), codes.desk.place.tenant_id, new
            ).status
        except TooMany:
            return 429

    with ThreadPoolExecutor(8) as pool:
        results = sorted(pool.map(one, range(8)))
    assert results == [201] * 3 + [429] * 5
    pending = [row for row in codes.desk.place.rows("phone_verifications") if row["code_hmac"]]
    assert len(pending) == 1


# ------------------------------------------------------------------------------------------ the end


def end(codes: Codes, verification_id: str) -> None:
    """Run the job that the verification put in."""
    jobs = codes.desk.place.rows("scheduled_jobs", job_type="end_verification")
    (job,) = [one for one in jobs if one["args"] == {"verification_id": verification_id}]
    assert job["scheduled_for"] == codes.row(verification_id)["expires_at"]
    made = codes.tools()
    tenant = codes.desk.place.tenant_id
    context = Context(made, tenant, job["id"], 1, made.clock.monotonic() + 10)
    args = end_verification.EndVerification(verification_id=UUID(verification_id))
    for write in end_verification.run(context, args).writes:
        with made.db.transaction(tenant) as connection:
            write(connection)


def test_a_code_that_is_over_leaves_nothing_to_guess_at(codes: Codes) -> None:
    made = codes.start()
    end(codes, made["id"])  # too early: nothing happens
    assert codes.row(made["id"])["status"] == "pending"
    codes.time.turn(minutes=10)
    end(codes, made["id"])
    row = codes.row(made["id"])
    assert (row["status"], row["code_hmac"], row["key_sealed"]) == ("expired", None, None)
    assert codes.check(made["id"], codes.code)["reason"] == "expired"


def test_a_message_that_waits_keeps_its_code_until_it_has_gone(codes: Codes) -> None:
    codes.graph.answer = lambda path, body: (429, {"error": {"code": 130429, "message": "slow"}})
    made = codes.start()
    assert made["message"]["status"] == "pending"
    (message,) = codes.desk.place.rows("whatsapp_messages")
    assert "components" in message["content"]
    assert message["expires_at"] == codes.row(made["id"])["expires_at"]
    codes.time.turn(minutes=10)
    with pytest.raises(Snooze):
        end(codes, made["id"])
    # Whoever ends the message, the job comes by again.
    codes.desk.set("whatsapp_messages", message["id"], status="expired")
    end(codes, made["id"])
    (message,) = codes.desk.place.rows("whatsapp_messages")
    assert "components" not in message["content"]
    assert codes.row(made["id"])["status"] == "expired"


def test_a_crash_after_the_send_leaves_the_code_to_the_job(
    codes: Codes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("switchboard.store.verifications.hide_code", lambda *_, **__: 1 / 0)
        assert codes.call(START, body=codes.body())[0] == 500
    (row,) = codes.desk.place.rows("phone_verifications")
    assert codes.code in codes.everywhere()
    codes.time.turn(minutes=10)
    end(codes, str(row["id"]))
    assert codes.code not in codes.everywhere()


def test_another_tenants_verification_is_not_known(codes: Codes) -> None:
    made = codes.start()
    other = codes.desk.world.place()
    key = other.add_key("verifications:write")
    status, _ = codes.desk.call(CHECK, made["id"], body={"code": codes.code}, key=key)
    assert status == 404
    assert codes.row(made["id"])["attempts"] == 0
