"""What became of a message ends in the same row, whatever the order and number of its statuses."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.databases import ClonedDatabase
from tests.deliveries import (
    NOW,
    SECOND,
    Environment,
    Json,
    Number,
    Person,
    Place,
    Update,
    failure,
    message,
    status,
)

WORDS = ("sent", "delivered", "read", "failed")
#: Each rung a second after the other, as Meta sends them; the failure, seen late, has its errors.
TIMES = {"sent": 0, "delivered": 1, "read": 2, "failed": 3, "played": 4}
ROW = (
    "select wa_message_id, status, status_rank, sent_at, delivered_at, read_at, played_at,"
    " failed_at, error_code, error_message, errors from messaging.whatsapp_messages where id = %s"
)


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def at(offset: int) -> Any:
    return NOW + timedelta(seconds=offset)


def ladder(number: Number, wamid: str, word: str, **extra: Any) -> Update:
    if word == "failed":
        extra = {"errors": failure(131026), **extra}
    return status(number, wamid, word, SECOND + TIMES.get(word, 5), **extra)


def post(environment: Environment, *updates: Update) -> None:
    assert environment.post(updates) == 200


def deliver_steps(
    place: Place, number: Number, sequences: Sequence[Sequence[str]], *, together: int
) -> list[tuple[Any, ...]]:
    """Deliver each sequence to a message of its own, `together` statuses of each in a body."""
    wamids = [f"wamid.{n}" for n in range(len(sequences))]
    messages = place.sent_messages(number, wamids)
    environment = place.environment()
    longest = max(map(len, sequences))
    for step in range(0, longest, together):
        updates = [
            ladder(number, wamid, word)
            for wamid, sequence in zip(wamids, sequences, strict=True)
            for word in sequence[step : step + together]
        ]
        for first in range(0, len(updates), 1000):
            assert environment.post(updates[first : first + 1000]) == 200
    return [place.rows(ROW, row)[0][1:] for row in messages]


def test_all_orders_of_all_words_and_their_duplicates_end_in_the_same_row(place: Place) -> None:
    # 2,520 orders of two of each; a third comes one by one, one in threes, one all at once.
    orders = sorted(set(itertools.permutations(WORDS * 2)))
    assert len(orders) == 2520

    rows = [
        row
        for third, together in enumerate((1, 3, 8))
        for row in deliver_steps(place, place.number(), orders[third::3], together=together)
    ]

    expected = (
        *("read", 80, at(0), at(1), at(2), None, at(3)),
        *("131026", "Undeliverable", failure(131026)),
    )
    assert {repr(row) for row in rows} == {repr(expected)}
    assert len(rows) == 2520


def test_subsets_climb_to_their_highest_rung_in_every_order(place: Place) -> None:
    for words, word, rank in (
        (("sent",), "sent", 60),
        (("sent", "failed"), "failed", 65),
        (("failed",), "failed", 65),
        (("failed", "delivered"), "delivered", 70),
        (("failed", "read"), "read", 80),
        (("failed", "played"), "played", 90),
        (("read",), "read", 80),
        (("sent", "played", "deleted"), "played", 90),
        (("sent", "warning", "sparkling"), "sent", 60),
    ):
        orders = list(itertools.permutations(words))
        before = place.count("message_status_events")

        rows = deliver_steps(place, place.number(), orders, together=1)

        assert {(row[0], row[1]) for row in rows} == {(word, rank)}
        assert {row[6] for row in rows} == {at(3) if "failed" in words else None}
        assert place.count("message_status_events") - before == len(orders) * len(words)


def test_a_late_sent_fills_its_time_and_moves_nothing_down(place: Place) -> None:
    number = place.number()
    (sent,) = place.sent_messages(number, ["wamid.1"])
    environment = place.environment()
    environment.post([ladder(number, "wamid.1", "read")])

    environment.post([ladder(number, "wamid.1", "sent")])

    row = place.rows(ROW, sent)[0]
    assert (row[1], row[3], row[4], row[5]) == ("read", at(0), None, at(2))


def test_the_earliest_of_two_times_of_one_rung_stays(place: Place) -> None:
    number = place.number()
    messages = place.sent_messages(number, ["wamid.1", "wamid.2", "wamid.3"])
    environment = place.environment()
    for wamid, offsets in (("wamid.1", (7, 3, 5)), ("wamid.2", (3, 5, 7))):
        for offset in offsets:
            environment.post([status(number, wamid, "delivered", SECOND + offset)])

    environment.post([status(number, "wamid.3", "delivered", SECOND + n) for n in (7, 3, 5)])

    assert [place.rows(ROW, row)[0][4] for row in messages] == [at(3), at(3), at(3)]


def test_a_word_that_is_no_rung_of_metas_is_kept_and_moves_nothing(place: Place) -> None:
    words = [
        *("pending", "sending", "unconfirmed", "undetermined", "accepted", "received", "denied"),
        *("expired", "cancelled", "deleted", "warning", "Sent", "delivered "),
    ]
    for word in words:
        number = place.number()
        (sent,) = place.sent_messages(number, ["wamid.1"], status="sending")

        assert place.environment().post([ladder(number, "wamid.1", word)]) == 200

        assert place.rows(ROW, sent)[0][1:3] == ("sending", 20), word
    kept = place.rows("select status from messaging.message_status_events")
    assert sorted(word for (word,) in kept) == sorted(words)


def test_a_message_that_never_left_stays_what_it_is(place: Place) -> None:
    for final in ("denied", "expired", "cancelled"):
        number = place.number()
        (sent,) = place.sent_messages(number, ["wamid.1"], status=final)

        before = place.rows(ROW, sent)

        place.environment().post([ladder(number, "wamid.1", "delivered")])

        assert place.rows(ROW, sent) == before


def failed(number: Number, wamid: str, second: int, errors: Any) -> Update:
    extra: Json = {} if errors is None else {"errors": errors}
    return status(number, wamid, "failed", SECOND + second, **extra)


def test_of_failures_in_one_second_the_same_one_is_shown_in_every_order(place: Place) -> None:
    number = place.number()
    # Of one key (word and second) an event stands once; of another second it is another event.
    failures = [
        (0, failure(131049)),
        (0, failure(131026)),
        (0, None),
        (1, failure(130472)),
        (1, []),
    ]
    orders = list(itertools.permutations(failures))
    wamids = [f"wamid.{n}" for n in range(len(orders))]
    messages = place.sent_messages(number, wamids)
    environment = place.environment()
    for step in range(len(failures)):
        updates = []
        for wamid, order in zip(wamids, orders, strict=True):
            updates.append(failed(number, wamid, *order[step]))
        environment.post(updates)
    post(
        environment,
        *(failed(number, "wamid.all", second, errors) for second, errors in failures),
    )

    assert {repr(place.rows(ROW, row)[0][7:]) for row in messages} == {
        repr((at(0), None, None, None))
    }
    details = place.rows(
        "select occurred_at, array_agg(distinct coalesce(detail -> 'errors', 'null')::text)"
        " from messaging.message_status_events group by 1 order by 1"
    )
    assert details == [(at(0), ["null"]), (at(1), ["[]"])]


def test_the_earliest_failure_gives_its_errors_in_every_order(place: Place) -> None:
    number = place.number()
    failures = [(2, failure(1)), (0, failure(3, "First")), (1, failure(2))]
    for n, order in enumerate(itertools.permutations(failures)):
        (sent,) = place.sent_messages(number, [f"wamid.{n}"])
        environment = place.environment()
        for second, errors in order:
            post(environment, failed(number, f"wamid.{n}", second, errors))
        assert place.rows(ROW, sent)[0][7:] == (at(0), "3", "First", failure(3, "First"))
        (at_once,) = place.sent_messages(number, [f"wamid.all{n}"])
        post(environment, *(failed(number, f"wamid.all{n}", *each) for each in order))
        assert place.rows(ROW, at_once)[0][7:] == (at(0), "3", "First", failure(3, "First"))


def test_errors_of_any_shape_do_no_harm(place: Place) -> None:
    environment = place.environment()
    shapes: list[Any] = [None, {}, [], "broken", [7], [{"code": {"a": 1}}], {"code": 1}, [None]]
    for errors in shapes:
        number = place.number()
        (sent,) = place.sent_messages(number, ["wamid.1"])

        post(environment, status(number, "wamid.1", "failed", errors=errors))

        assert place.rows(ROW, sent)[0][1] == "failed"
    assert place.count("message_status_events") == len(shapes)
    assert place.count("webhook_dead_letters") == 0


def test_people_of_a_group_have_an_event_each_and_the_message_the_highest(place: Place) -> None:
    number = place.number()
    (sent,) = place.sent_messages(number, ["wamid.1"])
    updates = [
        status(number, "wamid.1", word, recipient_participant_id=f"49155500000{n}")
        for word in ("delivered", "read")
        for n in range(3)
    ]

    place.environment().post(updates * 2)

    assert place.count("message_status_events") == 6
    assert place.rows(ROW, sent)[0][1] == "read"


def test_a_group_message_is_shown_as_far_as_anybody_got_it_in_every_order(place: Place) -> None:
    # One person's failure is no failure of the message once another has it.
    steps = (("sent", ""), ("failed", "1"), ("delivered", "2"), ("read", "3"))
    shown = set()
    for n, order in enumerate(itertools.permutations(steps)):
        number = place.number()
        (sent,) = place.sent_messages(number, [f"wamid.{n}"])
        for word, person in order:
            place.post(ladder(number, f"wamid.{n}", word, recipient_participant_id=person or None))
        shown.add(repr(place.rows(ROW, sent)[0][1:]))
    assert len(shown) == 1
    assert shown.pop().startswith("('read', 80, ")


PRICE = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "utility"}


def test_what_a_message_costs_is_what_meta_said_in_every_order(place: Place) -> None:
    until = str(SECOND + 86_400)
    talk = {"id": "c1", "origin": {"type": "utility"}}
    parts = [
        ("sent", {"pricing": PRICE, "conversation": talk | {"expiration_timestamp": until}}),
        ("delivered", {"pricing": PRICE | {"category": "marketing"}, "conversation": talk}),
        ("read", {}),
    ]
    told = set()
    for n, order in enumerate(itertools.permutations(parts)):
        number = place.number()
        for word, extra in order:
            place.post(ladder(number, f"wamid.{n}", word, **extra))
        told.add(
            repr(
                place.rows(
                    "select is_billable, category, pricing_type, pricing_model, conversation_id,"
                    " conversation_origin, conversation_expires, told_at"
                    " from messaging.pricing_of(%s, %s, %s)",
                    *(number.tenant_id, number.account_id, [f"wamid.{n}", "wamid.none"]),
                )
            )
        )
    price = (True, "marketing", "regular", "PMP", "c1", "utility", until, at(0))
    assert told == {repr([price])}


def test_a_price_without_billable_is_charged_when_it_is_regular(place: Place) -> None:
    number = place.number()
    prices: dict[str, dict[str, Any]] = {
        "wamid.1": {"type": "regular"},
        "wamid.2": {"type": "free_entry_point"},
        "wamid.3": {"type": "regular", "billable": False},
    }
    place.post(*(status(number, name, "sent", pricing=price) for name, price in prices.items()))
    assert place.rows(
        "select wa_message_id, is_billable from messaging.pricing_of(%s, %s, %s) order by 1",
        *(number.tenant_id, number.account_id, list(prices)),
    ) == [("wamid.1", True), ("wamid.2", False), ("wamid.3", False)]


def test_prices_are_found_by_index(place: Place) -> None:
    number = place.number()
    with place.usual.tools.db.transaction(number.tenant_id) as connection:
        rows = connection.execute(
            "explain (costs off) select * from messaging.pricing_of(%s, %s, %s)",
            (number.tenant_id, number.account_id, ["wamid.1"]),
        ).fetchall()
    plan = "\n".join(line for (line,) in rows)
    assert "Index Cond" in plan
    assert "wa_message_id = ANY" in plan
    assert "Seq Scan" not in plan


def test_each_event_keeps_metas_object_whole(place: Place) -> None:
    number = place.number()
    update = status(
        number,
        "wamid.elsewhere",
        "sent",
        conversation={"id": "c", "origin": {"type": "utility"}},
        pricing={"billable": True, "pricing_model": "PMP"},
        tomorrow=[{"new": 1.5}],
    )

    assert place.environment().post([update]) == 200

    # Sent by something else on this number: nothing here to move, yet nothing is lost.
    assert place.rows("select detail from messaging.message_status_events") == [(update.part,)]
    assert place.rows("select message_id from messaging.message_keys") == [(None,)]
    assert place.count("webhook_dead_letters") == 0


def test_a_status_outside_the_partitions_is_a_dead_letter_and_its_neighbours_live(
    place: Place,
) -> None:
    number = place.number()
    month = 31 * 86_400
    far = {2: SECOND - 9 * month, 5: SECOND + 4 * month}
    updates = [status(number, f"wamid.{n}", "sent", far.get(n, SECOND)) for n in range(12)]

    assert place.environment().post(updates) == 200

    assert place.count("message_status_events") == 10
    ((where, bodies),) = place.letters().items()
    assert where == (number.tenant_id, "refused_by_database")
    kept = [json.loads(body)["entry"][0]["changes"][0]["value"]["statuses"] for body in bodies]
    assert sorted(only["id"] for (only,) in kept) == ["wamid.2", "wamid.5"]
    # What did not get in holds no key either.
    assert place.count("message_keys") == 10


# The message comes after its statuses.


def settle(place: Place, number: Number, sent: UUID, wamid: str) -> None:
    """Do what settling a send does: bring the key, then the id, then what came before."""
    with place.everything.transaction():
        stood = place.one(
            "insert into messaging.message_keys as k"
            " (tenant_id, account_id, wa_message_id, message_id) values (%s, %s, %s, %s)"
            " on conflict (account_id, wa_message_id)"
            " do update set message_id = coalesce(k.message_id, excluded.message_id)"
            " returning xmax <> 0",
            *(number.tenant_id, number.account_id, wamid, sent),
        )
        place.everything.execute(
            "update messaging.whatsapp_messages set wa_message_id = coalesce(wa_message_id, %s),"
            " status = case when status_rank < 50 then 'accepted' else status end,"
            " status_rank = greatest(status_rank, 50::smallint) where id = %s",
            (wamid, sent),
        )
        if stood:
            place.everything.execute(
                "select messaging.apply_status_events(%s, %s, %s)",
                (number.tenant_id, number.account_id, [wamid]),
            )


def test_statuses_before_between_and_after_the_settle_end_in_the_same_row(place: Place) -> None:
    number = place.number()
    environment = place.environment()
    rows = []
    # The settle at every place of every order of the words.
    for n, order in enumerate(itertools.permutations((*WORDS, "settle"))):
        wamid = f"wamid.{n}"
        (sent,) = place.sent_messages(number, [None], status="sending")
        for word in order:
            if word == "settle":
                settle(place, number, sent, wamid)
            else:
                assert environment.post([ladder(number, wamid, word)]) == 200
        row = place.rows(ROW, sent)[0]
        assert row[0] == wamid
        rows.append(repr(row[1:]))
    assert len(rows) == 120
    assert len(set(rows)) == 1
    assert place.one("select count(*) from messaging.message_keys where message_id is null") == 0


def test_an_early_status_leaves_a_key_that_awaits_its_message(place: Place) -> None:
    number = place.number()
    environment = place.environment()

    environment.post([ladder(number, "wamid.early", "sent")])
    environment.post([ladder(number, "wamid.early", "delivered")])

    keys = place.rows("select wa_message_id, message_id from messaging.message_keys")
    assert keys == [("wamid.early", None)]


def test_an_inbound_message_whose_id_a_status_had_named_is_stored_as_new(place: Place) -> None:
    number = place.number()
    ana = Person("4915551234567", name="Ana")
    environment = place.environment()
    for n in range(3):
        wamid = f"wamid.{n}"
        early, late = ladder(number, wamid, "delivered"), message(number, wamid, ana)
        # In one body, alone, and among others.
        bodies = [[early, late]], [[early], [late]], [[early], [late, message(number, "w", ana)]]
        for updates in bodies[n]:
            post(environment, *updates)
        found = place.rows(
            "select m.direction, m.status, k.message_id = m.id from messaging.message_keys as k"
            " join messaging.whatsapp_messages as m using (tenant_id, account_id, wa_message_id)"
            " where wa_message_id = %s",
            wamid,
        )
        # A status is about what we sent: an inbound message is not delivered to us by it.
        assert found == [("inbound", "received", True)]


# A send whose answer was lost: the attempt's key says which message it was.


def unsettled(place: Place, number: Number) -> UUID:
    return place.sent_messages(number, [None], status="unconfirmed")[0]


def keyed(number: Number, wamid: str, word: str, sent: UUID | str) -> Update:
    return ladder(number, wamid, word, key=f"{sent}.1")


@pytest.mark.parametrize("together", [True, False], ids=["one body", "many bodies"])
def test_a_status_with_the_attempts_key_adopts_its_message_in_every_order(
    place: Place, *, together: bool
) -> None:
    number = place.number()
    environment = place.environment()
    rows = []
    events = []
    # Some of Meta's statuses bring the key and some do not; of one second, both.
    parts = [("sent", False), ("sent", True), ("delivered", True), ("failed", False)]
    for n, order in enumerate(itertools.permutations(parts)):
        sent = unsettled(place, number)
        wamid = f"wamid.{n}"
        updates = [
            keyed(number, wamid, word, sent) if with_key else ladder(number, wamid, word)
            for word, with_key in order
        ]
        if together:
            post(environment, *updates)
        else:
            for update in updates:
                post(environment, update)
        row = place.rows(ROW, sent)[0]
        assert row[0] == wamid
        rows.append(repr(row[1:]))
        events.append(
            repr(
                place.rows(
                    "select status, occurred_at, detail - 'id' - 'biz_opaque_callback_data',"
                    " detail ? 'biz_opaque_callback_data' from messaging.message_status_events"
                    " where wa_message_id = %s order by 1",
                    wamid,
                )
            )
        )
    assert len(set(rows)) == 1
    assert len(set(events)) == 1
    assert "'delivered', 70" in rows[0]


def test_a_batch_adopts_many_and_moves_known_ones_beside_them(place: Place) -> None:
    number = place.number()
    numbers = (number, place.number(number.tenant_id))
    lost = {f"wamid.lost{n}": unsettled(place, numbers[n % 2]) for n in range(20)}
    known = dict(
        zip(
            [f"wamid.known{n}" for n in range(20)],
            place.sent_messages(number, [f"wamid.known{n}" for n in range(20)]),
            strict=True,
        )
    )
    environment = place.environment()
    post(environment, *(ladder(numbers[n % 2], f"wamid.lost{n}", "sent") for n in range(20)))

    post(
        environment,
        *(
            keyed(numbers[n % 2], f"wamid.lost{n}", "delivered", lost[f"wamid.lost{n}"])
            for n in reversed(range(20))
        ),
        *(ladder(number, wamid, "read") for wamid in known),
    )

    for wamid, sent in lost.items():
        assert place.rows(ROW, sent)[0][:6] == (wamid, "delivered", 70, at(0), at(1), None)
    for wamid, sent in known.items():
        assert place.rows(ROW, sent)[0][:3] == (wamid, "read", 80)


def test_callback_data_of_another_shape_is_ignored(place: Place) -> None:
    number = place.number()
    sent = unsettled(place, number)
    shapes: list[Any] = [
        *(f"{sent}", f"{sent}.", f"{sent}.x", f"{sent}.1.2", f"{sent}.-1", f"{sent}.①"),
        *(f"{sent} .1", f"{str(sent).upper()}.1", f"{sent.hex}----.1", f"----{sent.hex}.1"),
        *(f"{{{sent.hex}}}--.1", f"urn:uuid:{sent}.1", "order 4711", "", ".", ".1", f"{uuid4()}.1"),
        *("x" * 512, 7, None, ["x"], {"a": 1}, True),
    ]
    environment = place.environment()

    for n, shape in enumerate(shapes):
        post(environment, ladder(number, f"wamid.{n}", "sent", biz_opaque_callback_data=shape))

    assert place.rows(ROW, sent)[0][:2] == (None, "unconfirmed")
    assert place.count("message_status_events") == len(shapes)
    assert place.count("webhook_dead_letters") == 0


def test_the_key_of_another_tenants_number_or_of_an_inbound_message_adopts_nothing(
    place: Place,
) -> None:
    number, stranger = place.number(), place.number()
    theirs = unsettled(place, stranger)
    sibling = unsettled(place, place.number(number.tenant_id))
    environment = place.environment()
    post(environment, message(number, "wamid.in", Person("4915551234567")))
    inbound = place.one("select id from messaging.whatsapp_messages where direction = 'inbound'")

    for n, sent in enumerate((theirs, sibling, inbound)):
        post(environment, keyed(number, f"wamid.{n}", "read", sent))

    assert place.rows(ROW, theirs)[0][:2] == (None, "unconfirmed")
    assert place.rows(ROW, sibling)[0][:2] == (None, "unconfirmed")
    assert place.rows(ROW, inbound)[0][:2] == ("wamid.in", "received")
    assert place.one("select count(*) from messaging.message_keys where message_id is null") == 3


def test_an_id_that_has_its_message_keeps_it_whatever_key_a_status_brings(place: Place) -> None:
    number = place.number()
    (settled,) = place.sent_messages(number, ["wamid.1"])
    other = unsettled(place, number)

    place.post(ladder(number, "wamid.1", "delivered", key=f"{other}.1"))

    assert place.rows(ROW, settled)[0][:3] == ("wamid.1", "delivered", 70)
    assert place.rows(ROW, other)[0][:2] == (None, "unconfirmed")


def test_a_second_attempt_that_also_arrived_leads_to_the_same_message(place: Place) -> None:
    number = place.number()
    sent = unsettled(place, number)
    environment = place.environment()

    post(environment, ladder(number, "wamid.b", "sent", key=f"{sent}.2"))
    post(environment, ladder(number, "wamid.a", "delivered", key=f"{sent}.1"))
    post(environment, ladder(number, "wamid.a", "read"))

    assert place.rows(ROW, sent)[0][:3] == ("wamid.b", "read", 80)
    assert place.one("select count(*) from messaging.message_keys where message_id = %s", sent) == 2
