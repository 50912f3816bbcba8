"""A call is one row that tells the same, whatever the order and number of its parts."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from switchboard.store import events
from tests.databases import ClonedDatabase
from tests.deliveries import NOW, SECOND, Json, Number, Person, Place, body_of, message

ANA = "5215550100301"
ROW = (
    "select direction, status, end_reason, occurred_at, connected_at, ringing_at, accepted_at,"
    " rejected_at, terminated_at, terminate_status, started_at, ended_at, duration_seconds,"
    " cta_payload, deeplink_payload, callback_data, errors, extras, session, contact_id is null,"
    " conversation_id is null from messaging.call_logs where wa_call_id = %s"
)


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def at(offset: int) -> Any:
    return NOW + timedelta(seconds=offset)


def call(word: str, offset: int, name: str = "wacid.1", **keys: Any) -> Json:
    return {
        "calls": [
            {
                "id": name,
                "from": ANA,
                "to": "15550001111",
                "event": word,
                "direction": "USER_INITIATED",
                "timestamp": str(SECOND + offset),
                **keys,
            }
        ]
    }


def ours(word: str, offset: int, name: str = "wacid.1", **keys: Any) -> Json:
    """Return a part of a call that the business made."""
    swapped = {"from": "15550001111", "to": ANA, "direction": "BUSINESS_INITIATED"}
    return call(word, offset, name, **swapped, **keys)


def ringing(word: str, offset: int, name: str = "wacid.1") -> Json:
    status = {"id": name, "type": "call", "status": word, "recipient_id": ANA}
    return {"statuses": [{**status, "timestamp": str(SECOND + offset)}]}


def post(place: Place, number: Number, *values: Json, field: str = "calls") -> None:
    metadata = {
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": "+1 555-000-1111",
            "phone_number_id": number.phone_number_id,
        },
    }
    changes = [{"field": field, "value": metadata | value} for value in values]
    body = body_of([{"id": number.waba_id, "changes": changes}])
    assert place.usual.post(body) == 200


def of_all_orders(place: Place, parts: list[Json], *, repeat: int = 1) -> tuple[Any, ...]:
    """Deliver every order of `parts`, each `repeat` times; return the one row they all end in."""
    rows = set()
    last: tuple[Any, ...] = ()
    for number_of_order, order in enumerate(itertools.permutations(parts * repeat)):
        number = place.number()
        if number_of_order % 2:
            post(place, number, *order)
        else:
            for part in order:
                post(place, number, part)
        where = ROW + " and account_id = %s"
        ((*row,),) = place.rows(where, "wacid.1", number.account_id)
        rows.add(repr(row))
        last = tuple(row)
    assert len(rows) == 1
    assert place.count("webhook_dead_letters") == 0
    return last


OFFER = {"sdp_type": "offer", "sdp": "v=0"}


def test_a_call_of_a_person_that_was_taken(place: Place) -> None:
    row = of_all_orders(
        place,
        [
            call("connect", 0, session=OFFER, cta_payload="btn-1", deeplink_payload="x"),
            call(
                "terminate",
                120,
                status="COMPLETED",
                start_time=str(SECOND + 5),
                end_time=str(SECOND + 115),
                duration=110,
                biz_opaque_callback_data="k1",
            )
            | {"errors": [{"code": 138021}]},
            call("call_recording_available", 300, call_recording={"document": {"id": "7"}}),
        ],
        repeat=1,
    )
    assert row == (
        *("inbound", "ended", "completed", at(0), at(0), None, at(5), None, at(120), "COMPLETED"),
        *(at(5), at(115), 110, "btn-1", "x", "k1", [{"code": 138021}]),
        {
            "call_recording_available": {
                "at": SECOND + 300,
                "what": {"call_recording": {"document": {"id": "7"}}},
            }
        },
        *(None, False, False),
    )


def test_a_call_of_a_person_that_nobody_took(place: Place) -> None:
    for word, status in (("FAILED", "failed"), ("COMPLETED", "ended")):
        parts = [call("connect", 0, session=OFFER), call("terminate", 30, status=word)]
        row = of_all_orders(place, parts, repeat=2)
        assert row[:4] == ("inbound", status, "timeout", at(0))
        assert row[8:13] == (at(30), word, None, at(30), None)
        assert row[18] is None


def test_a_call_of_the_business_that_was_refused(place: Place) -> None:
    parts = [
        ours("connect", 1, session={"sdp_type": "answer", "sdp": "v=0"}),
        ringing("RINGING", 2),
        ringing("REJECTED", 9),
        ours("terminate", 10, status="FAILED"),
    ]
    row = of_all_orders(place, parts)
    assert row[:9] == (
        *("outbound", "rejected", "user_declined", at(1), at(1), at(2), None, at(9), at(10)),
    )
    assert row[18:] == (None, False, False)


def test_a_call_of_the_business_that_was_taken(place: Place) -> None:
    parts = [
        ringing("RINGING", 2),
        ringing("ACCEPTED", 9),
        ours("terminate", 70, status="COMPLETED", start_time=str(SECOND + 10), duration="60"),
    ]
    row = of_all_orders(place, parts, repeat=1)
    assert row[:3] == ("outbound", "ended", "completed")
    assert (row[6], row[12]) == (at(9), 60)


def interactions(place: Place) -> set[tuple[Any, ...]]:
    """Return what the calls' people did; one row a call."""
    rows = place.rows(
        "select i.interaction_type, i.occurred_at, count(*) over (partition by i.account_id)"
        " from messaging.user_interactions as i join messaging.call_logs as l"
        " on l.tenant_id = i.tenant_id and l.contact_id = i.contact_id"
        " and i.metadata = jsonb_build_object('call_id', l.wa_call_id)"
    )
    assert len(rows) == place.count("call_logs")
    return set(rows)


def test_a_call_that_one_device_refused_and_another_took_is_taken(place: Place) -> None:
    parts = [ringing("RINGING", 2), ringing("REJECTED", 3), ringing("ACCEPTED", 4)]
    row = of_all_orders(place, parts)
    assert row[1:3] == ("accepted", None)
    assert interactions(place) == {("call_accepted", at(4), 1)}


def test_a_call_that_lasted_was_taken_whatever_else_is_said_of_it(place: Place) -> None:
    parts = [ringing("REJECTED", 3), ours("terminate", 9, status="COMPLETED", duration=4)]
    row = of_all_orders(place, parts, repeat=2)
    assert row[1:3] == ("ended", "completed")
    assert interactions(place) == {("call_accepted", at(9), 1)}


def test_a_refused_call_is_an_interaction_once(place: Place) -> None:
    parts = [ringing("REJECTED", 3), ours("terminate", 9, status="FAILED")]
    of_all_orders(place, parts, repeat=2)
    assert interactions(place) == {("call_rejected", at(3), 1)}


def test_of_reports_of_one_kind_the_newest_stays_in_every_order(place: Place) -> None:
    row = of_all_orders(
        place,
        [
            call("connect", 7) | {"errors": [{"code": 2}]},
            call("connect", 3) | {"errors": [{"code": 1}]},
            call("call_created", 9, note="b"),
            call("call_created", 8, note="a"),
        ],
    )
    assert row[3:5] == (at(3), at(3))
    assert row[16] == [{"code": 2}]
    assert row[17] == {"call_created": {"at": SECOND + 9, "what": {"note": "b"}}}


def test_of_two_ends_the_newest_counts_and_of_one_second_always_the_same(place: Place) -> None:
    newest = of_all_orders(
        place,
        [
            call("terminate", 30, status="FAILED"),
            call("terminate", 40, status="COMPLETED", duration=5),
        ],
        repeat=2,
    )
    assert newest[1:3] == ("ended", "completed")
    of_all_orders(
        place,
        [
            call("terminate", 30, status="FAILED"),
            call("terminate", 30, status="COMPLETED", duration=5),
            call("terminate", 30, status="COMPLETED", duration=6),
        ],
    )


def test_what_whoever_takes_the_call_needs_is_kept_until_it_is_over(place: Place) -> None:
    number = place.number()
    post(place, number, call("connect", 0, session=OFFER))
    assert place.rows(ROW, "wacid.1")[0][1] == "initiated"
    assert place.rows(ROW, "wacid.1")[0][18] == OFFER

    post(place, number, call("connect", -4000, "wacid.old", session=OFFER))
    assert place.rows(ROW, "wacid.old")[0][18] is None

    # Its end never came: the number's next call takes it away.
    place.everything.execute(
        "update messaging.call_logs set occurred_at = occurred_at - interval '2 hours'"
    )
    post(place, number, call("connect", 1, "wacid.2"))
    assert place.rows(ROW, "wacid.1")[0][18] is None


def test_a_call_of_somebody_new_opens_the_window_and_is_no_message(place: Place) -> None:
    number = place.number()
    name = {"profile": {"name": "Ana"}, "wa_id": ANA}

    post(place, number, call("connect", 0) | {"contacts": [name]})

    assert place.rows(
        "select profile_name, phone_number from messaging.contacts where tenant_id = %s",
        number.tenant_id,
    ) == [("Ana", "+525550100301")]
    conversation = (
        "select window_expires_at, unread_count, message_count, last_message_at, last_inbound_at"
        " from messaging.whatsapp_conversations"
    )
    assert place.rows(conversation) == [(at(86_400), 0, 0, None, None)]
    assert place.count("whatsapp_messages") == 0
    assert place.count("scheduled_jobs") == 0


def test_the_window_follows_the_newest_of_calls_and_messages_in_every_order(place: Place) -> None:
    windows = set()
    steps = ("call", "message", "old call", "end", "ours")
    for order in list(itertools.permutations(steps))[::5]:
        number = place.number()
        for step in order:
            match step:
                case "call":
                    post(place, number, call("connect", 60))
                case "old call":
                    post(place, number, call("connect", 10, "wacid.0"))
                case "end":
                    post(place, number, call("terminate", 90, status="FAILED"))
                case "ours":
                    post(place, number, ours("connect", 100, "wacid.2"))
                case _:
                    place.post(message(number, "wamid.1", Person(ANA), SECOND + 30))
        windows |= set(
            place.rows(
                "select window_expires_at, unread_count, message_count"
                " from messaging.whatsapp_conversations where account_id = %s",
                number.account_id,
            )
        )
    assert windows == {(at(86_400 + 60), 1, 1)}


def test_statuses_of_calls_among_those_of_messages_are_the_calls(place: Place) -> None:
    number = place.number()
    post(place, number, ringing("RINGING", 2), ringing("REJECTED", 3), field="messages")
    row = place.rows(ROW, "wacid.1")[0]
    assert row[:3] == ("outbound", "rejected", "user_declined")
    assert place.count("message_status_events") == 0


def test_a_part_that_names_nobody_is_kept_and_the_person_comes_later(place: Place) -> None:
    of_nobody = {
        "calls": [
            {
                "id": "wacid.1",
                "event": "call_created",
                "timestamp": str(SECOND),
                "direction": "USER_INITIATED",
            }
        ]
    }
    row = of_all_orders(place, [of_nobody, call("connect", 1)], repeat=2)
    assert row[19:] == (False, False)
    assert row[17] == {"call_created": {"at": SECOND, "what": {}}}


def test_calls_of_two_numbers_and_tenants_share_nothing(place: Place) -> None:
    first = place.number()
    for number in (first, place.number(first.tenant_id), place.number()):
        post(place, number, call("connect", 0))
    assert place.count("call_logs") == 3
    assert place.count("whatsapp_conversations") == 3
    assert place.count("contacts") == 2


def payment(word: str, offset: int, **keys: Any) -> Json:
    return {
        "statuses": [
            {
                "id": "pay-1",
                "type": "payment",
                "status": word,
                "timestamp": str(SECOND + offset),
                "payment": {"reference_id": "ord-9", **keys},
            }
        ]
    }


def test_the_newest_report_of_a_payment_stays_in_every_order(place: Place) -> None:
    told = [
        payment("pending", 0),
        payment("failed", 3),
        payment("pending", 9),
        payment("captured", 9),
        payment("captured", 9, refunds=[1]),
    ]
    kept: set[str] = set()
    for order in list(itertools.permutations(told))[::5]:
        number = place.number()
        one_by_one: list[tuple[Json, ...]] = [(value,) for value in (*order, order[0])]
        for values in one_by_one if kept else [order]:
            post(place, number, *values, field="messages")
        kept |= {
            repr(row)
            for row in place.rows(
                "select reference_id, status, status_at, detail from messaging.payments"
                " where account_id = %s",
                number.account_id,
            )
        }
    assert len(kept) == 1
    assert "'captured'" in kept.pop()
    assert place.count("webhook_dead_letters") == 0


def test_a_body_of_many_calls_is_written_in_statements_that_have_the_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = place.number()
    sizes: list[int] = []

    def note_and_take(connection: Any, tenant: Any, document: str, now: Any) -> Any:
        sizes.append(len(json.loads(document)["e"]))
        return take(connection, tenant, document, now)

    take = events.take
    monkeypatch.setattr(events, "take", note_and_take)
    calls = [call("connect", -n, f"wacid.{n}")["calls"][0] for n in range(450)]
    post(place, number, {"calls": calls})

    assert sizes == [200, 200, 50]
    assert place.count("call_logs") == 450
