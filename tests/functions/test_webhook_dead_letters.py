"""What is not stored as a row is kept whole, in the right hands; nothing personal is logged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from switchboard.intake.store import store
from switchboard.whatsapp.webhook import Unhandled, parse
from tests.databases import ClonedDatabase
from tests.deliveries import (
    SECOND,
    Json,
    Number,
    Person,
    Place,
    Update,
    body_of,
    message,
    pack,
    status,
)

ANA = Person("4915551234567", name="Ana")
SYSTEM = UUID(int=0)
PAYLOADS = Path(__file__).parents[1] / "payloads" / "inbound"


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def kinds(place: Place) -> dict[tuple[UUID, str], int]:
    return {key: len(bodies) for key, bodies in place.letters().items()}


def test_a_signed_body_that_is_not_json_is_a_dead_letter_once(place: Place) -> None:
    bodies = [
        *(b"", b"not JSON", b"[]", b"null", b'"text"', b"7", b'{"entry":[', b"{} {}"),
        *(b"\x00", b"\xff\xfe\x00", b'{"a":NaN}', b"[" * 100_000, b'{"a":' * 20_000),
    ]
    for body in bodies * 2:
        assert place.usual.post(body) == 200

    assert kinds(place) == {(SYSTEM, "not_json"): len(bodies)}
    assert sorted(place.letters()[SYSTEM, "not_json"]) == sorted(bodies)


def test_the_same_letter_twice_in_one_body_is_one_letter(place: Place) -> None:
    number = place.number()
    odd = Update(number, {"id": "wamid.1"})

    place.post(odd, odd)
    place.post(odd, odd)

    assert kinds(place) == {(number.tenant_id, "malformed"): 1}


def test_json_without_entries_is_kept_too(place: Place) -> None:
    for body in (b"{}", b'{"entry":7}', b'{"object":"page","entry":{}}'):
        assert place.usual.post(body) == 200

    assert kinds(place) == {(SYSTEM, "malformed"): 3}


def test_what_comes_to_an_unknown_number_waits_with_the_operator_for_its_registration(
    place: Place,
) -> None:
    unknown = Number(uuid4(), uuid4(), "2999", "3999")
    updates = [
        message(unknown, "wamid.1", ANA),
        status(unknown, "wamid.2", "sent"),
        message(place.number(), "wamid.known", ANA),
    ]

    place.post(*updates)
    place.post(*updates)

    assert kinds(place) == {(SYSTEM, "unknown_number"): 2}
    assert place.count("whatsapp_messages") == 1
    rows = place.rows("select waba_id, phone_number_id from messaging.webhook_dead_letters")
    assert set(rows) == {("2999", "3999")}
    # The letter is a body of its own: after the registration it goes through intake as it is.
    tenant = place.tenant()
    place.everything.execute(
        "insert into messaging.whatsapp_business_accounts (tenant_id, waba_id) values (%s, '2999')",
        (tenant,),
    )
    place.everything.execute(
        "insert into messaging.whatsapp_accounts (tenant_id, waba_id, phone_number_id,"
        " phone_number, display_name) values (%s, '2999', '3999', '+15550009999', 'N')",
        (tenant,),
    )
    for body in place.letters()[SYSTEM, "unknown_number"]:
        store(place.usual.tools, body, None)
    assert (
        place.one("select profile_name from messaging.contacts where tenant_id = %s", tenant)
        == "Ana"
    )
    assert place.count("message_status_events") == 1


def test_a_new_number_of_a_known_waba_waits_with_its_tenant(place: Place) -> None:
    known = place.number()
    new = Number(known.tenant_id, uuid4(), known.waba_id, "3888")

    place.post(message(new, "wamid.1", ANA))

    assert kinds(place) == {(known.tenant_id, "unknown_number"): 1}


def test_a_field_nobody_handles_yet_is_kept_whole_in_its_tenant(place: Place) -> None:
    number, other = place.number(), place.number()
    value: Json = {"event": "APPROVED", "deep": [{"x": [1, 2.5, None, "é"]}]}
    of_waba = {"field": "field_of_tomorrow", "value": value}
    of_number = {
        "field": "tomorrows_field",
        "value": {**value, "metadata": {"phone_number_id": other.phone_number_id}},
    }
    body = body_of(
        [
            {"id": number.waba_id, "time": SECOND, "changes": [of_waba]},
            {"id": other.waba_id, "time": SECOND, "changes": [of_number]},
            {"id": "2777", "time": SECOND, "changes": [of_waba]},
        ]
    )

    assert place.usual.post(body) == 200

    assert kinds(place) == {
        (number.tenant_id, "unhandled_field"): 1,
        (other.tenant_id, "unhandled_field"): 1,
        (SYSTEM, "unhandled_field"): 1,
    }
    (kept,) = place.letters()[number.tenant_id, "unhandled_field"]
    assert json.loads(kept)["entry"] == [
        {"id": number.waba_id, "time": SECOND, "changes": [of_waba]}
    ]
    fields = place.rows("select field from messaging.webhook_dead_letters order by 1")
    assert [field for (field,) in fields] == [
        *(["field_of_tomorrow"] * 2),
        "tomorrows_field",
    ]


def test_every_recorded_payload_of_meta_is_stored_or_kept(place: Place) -> None:
    place.number()  # the payloads' numbers are registered nowhere
    kept = stored = 0
    for path in sorted(PAYLOADS.glob("*.json")):
        body = path.read_bytes()
        before = place.count("webhook_dead_letters")

        assert place.usual.post(body) == 200, path.name

        now = place.count("webhook_dead_letters")
        assert 0 < now - before <= len(parse(body)), path.name
        kept += now - before
        stored += sum(isinstance(item, Unhandled) for item in parse(body))
    assert kept > 80
    assert place.count("whatsapp_messages") == 0


def test_letters_of_one_body_in_several_tenants_do_not_mix(place: Place) -> None:
    numbers = [place.number() for _ in range(3)]
    odd = [Update(number, {"id": f"wamid.{n}"}) for n, number in enumerate(numbers)]

    place.post(*odd, *(message(number, "wamid.good", ANA) for number in numbers))

    assert kinds(place) == {(number.tenant_id, "malformed"): 1 for number in numbers}
    assert place.count("whatsapp_messages") == 3


# The log.


def test_nothing_personal_gets_into_the_log(
    place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    phone, user, name, username = "4915553331234", "DE.55301aBc", "Rosalinde Ü.", "rosalinde.u"
    text = "meet me behind the old oak"
    number, unknown = place.number(), Number(uuid4(), uuid4(), "2999", "3999")
    rosa = Person(phone, user, name=name, username=username)
    (sent,) = place.sent_messages(number, [None], phone=phone)
    good = message(number, "wamid.1", rosa, content={"body": text})
    updates = [
        good,
        message(number, "wamid.2", rosa, kind="sparkles", content={"x": text}),
        message(unknown, "wamid.3", rosa, content={"body": text}),
        message(number, "wamid.4", Person(phone, user_id="x" * 201, name=name)),
        status(number, "wamid.5", "sent", key=f"{sent}.1", recipient_id=phone),
        status(number, "wamid.6", "sent", SECOND - 10**8, recipient_id=phone),
        # Odd ones: what is odd is quoted in the letter, never in the log.
        Update(number, {**good.part, "timestamp": phone}),
        Update(number, {**good.part, "timestamp": name}),
        Update(number, {**good.part, "text": {"body": text + "\0"}}),
        Update(number, f"{name} {phone} {text}"),
        status(number, "wamid.7", "sent", errors=text, recipient_id=phone),
    ]
    body = pack(updates)

    assert place.usual.post(body) == 200
    assert place.usual.post(body) == 200
    change = {"field": f"{name} {phone}", "value": {"text": text}}
    assert place.usual.post(body_of([{"id": number.waba_id, "changes": [change]}])) == 200
    assert place.usual.post(f"not JSON {phone} {name}".encode()) == 200
    assert place.usual.post(body, secret="forged") == 401
    # Refusals that quote the row: a fault of ours after the first line, data errors in the first.
    for sqlstate, table, told in (
        ("XX000", "whatsapp_messages", "detail = new.content::text, hint = new.content::text"),
        ("42501", "whatsapp_messages", "detail = new.content::text"),
        ("22P02", "webhook_dead_letters", "message = convert_from(new.body, 'UTF8')"),
        ("23505", "webhook_dead_letters", "message = convert_from(new.body, 'UTF8')"),
    ):
        place.everything.execute(
            f"create function quote_{sqlstate}() returns trigger language plpgsql as $$ begin"
            f" raise exception using errcode = '{sqlstate}', {told}; end $$"
        )
        place.everything.execute(
            f"create trigger quote before insert on messaging.{table}"
            f" for each row execute function quote_{sqlstate}()"
        )
        fault = message(number, f"wamid.{sqlstate}", rosa, content={"body": text})
        # There is no bucket here either: both refusals are logged.
        odd = Update(number, {**good.part, "timestamp": sqlstate})
        assert place.usual.post([fault, odd]) == 503
        place.everything.execute(f"drop trigger quote on messaging.{table}")

    logged = capfd.readouterr()
    lines = [json.loads(line) for line in logged.out.splitlines()]
    events = {line["message"] for line in lines}
    assert {
        "webhook.stored",
        "webhook.dead_letters",
        "webhook.not_stored",
        "http.refused",
    } <= events
    for secret in (phone, phone[2:], user, name, "Rosalinde", "\\u00dc", username, text, "old oak"):
        assert secret not in logged.out + logged.err, secret


def test_a_stored_delivery_is_one_line_with_its_counts(
    place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    number = place.number()
    capfd.readouterr()

    place.post(
        message(number, "wamid.1", ANA), status(number, "wamid.2", "sent"), Update(number, [])
    )

    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    (stored,) = [line for line in lines if line["message"] == "webhook.stored"]
    told = {key: stored[key] for key in ("items", "new", "events", "dead")}
    assert told == {"items": 3, "new": 1, "events": 1, "dead": 1}
    (dead,) = [line for line in lines if line["message"] == "webhook.dead_letters"]
    assert (dead["tenant_id"], dead["reasons"]) == (str(number.tenant_id), {"malformed": 1})


# The nudge.


def mark_worker(place: Place, age_ms: int | None) -> None:
    place.everything.execute("delete from messaging.worker_marks")
    if age_ms is not None:
        place.everything.execute(
            "insert into messaging.worker_marks (worker, marked_at)"
            " values (gen_random_uuid(), clock_timestamp() - %s * interval '1 ms')",
            (age_ms,),
        )


def test_a_worker_is_woken_for_a_new_job_and_only_when_none_is_awake(place: Place) -> None:
    number = place.number()
    environment = place.environment()

    def nudged(*updates: Update) -> int:
        before = environment.nudges
        assert environment.post(updates) == 200
        return environment.nudges - before

    first = message(number, "wamid.1", ANA)
    assert nudged(first) == 1
    assert nudged(first) == 0, "a duplicate creates nothing"
    assert nudged(message(number, "wamid.2", ANA)) == 0, "it joins the job that waits"
    assert nudged(status(number, "wamid.3", "sent")) == 0
    assert nudged(message(number, "wamid.4", Person("4915550000002"), kind="system")) == 0
    assert nudged(Update(number, {})) == 0
    assert environment.post(b"not JSON") == 200
    assert place.count("scheduled_jobs") == 1

    def people(n: int) -> list[Update]:
        return [message(number, f"wamid.{n}.{m}", Person(f"49155511{n}00{m}")) for m in range(3)]

    assert nudged(*people(1)) == 1, "once for a body, however many jobs"
    mark_worker(place, 100)
    assert nudged(*people(2)) == 0, "a worker that is awake looks once more"
    assert nudged(message(number, "wamid.5", Person("4915550000003"))) == 0
    mark_worker(place, 1500)
    assert nudged(*people(3)) == 1, "its mark is too old"
    mark_worker(place, None)
    assert nudged(message(number, "wamid.6", Person("4915550000004"))) == 1

    # Claimed: who comes now waits in a job of its own, and somebody must be woken for it.
    place.everything.execute(
        "update messaging.scheduled_jobs set status = 'running', unique_key = null,"
        " lease_token = gen_random_uuid(), lease_until = clock_timestamp()"
    )
    assert nudged(message(number, "wamid.7", ANA)) == 1


def test_a_nudge_that_cannot_be_given_costs_the_delivery_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from switchboard.kernel import aws

    asked: list[str] = []

    def client(service: str, **_: Any) -> Any:
        asked.append(service)
        raise ConnectionError("no Lambda here")

    monkeypatch.setattr(aws, "client", client)
    environment = place.environment(function="process-jobs")

    assert environment.post([message(place.number(), "wamid.1", ANA)]) == 200

    assert asked == ["lambda"]
    assert place.count("scheduled_jobs") == 1
