"""A call that is made from here is one row, whichever comes first: Meta's answer or a webhook."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from switchboard.store import calls as store
from switchboard.transact import transact
from tests.databases import ClonedDatabase
from tests.deliveries import NOW, SECOND, Json, Number, Place, body_of, in_threads
from tests.subscribers import PHONE, Stand, stand_of

ANA = "5215550100301"
#: As the phone is kept: one form for the two that Meta writes.
KEPT = "525550100301"
ROW = (
    "select wa_call_id, direction, status, end_reason, occurred_at, connected_at, ringing_at,"
    " accepted_at, rejected_at, terminated_at, terminate_status, ended_at, duration_seconds,"
    " callback_data = 'call.' || id, errors, extras, session, metadata, refused_at,"
    " contact_id is null, conversation_id is null from messaging.call_logs where account_id = %s"
)
ANSWER: Json = {"sdp_type": "answer", "sdp": "v=0"}


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def at(offset: int) -> Any:
    return NOW + timedelta(seconds=offset)


def start(place: Place, number: Number, **how: Any) -> UUID:
    """Put in a call that Meta has not heard of, as the use case does before it asks."""
    tools, call_id = place.usual.tools, uuid4()
    given = {"contact_id": None, "phone": KEPT, "metadata": {"ticket": 7}, "now": NOW, **how}
    for _ in range(2):  # the work may run twice
        transact(
            tools,
            number.tenant_id,
            lambda connection: store.start(
                connection,
                tenant_id=number.tenant_id,
                call_id=call_id,
                account_id=number.account_id,
                **given,
            ),
        )
    return call_id


def settle(
    place: Place,
    number: Number,
    call_id: UUID,
    wa_call_id: str | None = "wacid.1",
    errors: tuple[Json, ...] = (),
) -> None:
    """Keep Meta's answer."""
    transact(
        place.usual.tools,
        number.tenant_id,
        lambda connection: store.settle(
            connection,
            number.tenant_id,
            call_id,
            wa_call_id=wa_call_id,
            errors=errors,
            now=NOW,
        ),
    )


def part(word: str, offset: int, key: UUID | None = None, **keys: Any) -> Json:
    call = {
        "id": "wacid.1",
        "from": "15550001111",
        "to": ANA,
        "event": word,
        "direction": "BUSINESS_INITIATED",
        "timestamp": str(SECOND + offset),
        **({"biz_opaque_callback_data": store.key_of(key)} if key else {}),
        **keys,
    }
    return {"calls": [call]}


def ringing(word: str, offset: int, key: UUID | None = None) -> Json:
    status = {
        "id": "wacid.1",
        "type": "call",
        "status": word,
        "recipient_id": ANA,
        "timestamp": str(SECOND + offset),
        **({"biz_opaque_callback_data": store.key_of(key)} if key else {}),
    }
    return {"statuses": [status]}


def body(number: Number, *values: Json) -> bytes:
    metadata = {
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": "15550001111",
            "phone_number_id": number.phone_number_id,
        },
    }
    changes = [{"field": "calls", "value": metadata | value} for value in values]
    return body_of([{"id": number.waba_id, "changes": changes}])


def post(place: Place, number: Number, *values: Json) -> None:
    assert place.usual.post(body(number, *values)) == 200


def of_all_orders(place: Place, parts: Callable[[UUID], list[Json]], repeat: int = 1) -> Any:
    """Let the answer and the parts come in every order; return the one row they all end in."""
    rows = {}
    for order in itertools.permutations(range(len(parts(uuid4())) + 1)):
        number = place.number()
        call_id = start(place, number)
        values = parts(call_id)
        for _ in range(repeat):
            for step in order:
                if step == len(values):
                    settle(place, number, call_id)
                else:
                    post(place, number, values[step])
        found = place.rows(ROW, number.account_id)
        assert len(found) == 1, order
        rows[repr(found[0])] = found[0]
        ((kept,),) = place.rows(
            "select id from messaging.call_logs where account_id = %s", number.account_id
        )
        assert kept == call_id
    assert len(rows) == 1
    assert place.count("webhook_dead_letters") == 0
    return rows.popitem()[1]


def ended(key: UUID | None) -> Json:
    times = {"start_time": str(SECOND + 10), "end_time": str(SECOND + 70), "duration": 60}
    return part("terminate", 71, key, status="COMPLETED", **times)


def test_before_the_answer_nobody_knows_and_the_answer_gives_the_row_its_id(place: Place) -> None:
    number = place.number()
    call_id = start(place, number)
    ((*row,),) = place.rows(ROW, number.account_id)
    assert row[:5] == [None, "outbound", "unconfirmed", None, at(0)]
    assert row[13:] == [True, None, {}, None, {"ticket": 7}, None, False, False]

    for _ in range(2):
        settle(place, number, call_id)
    ((*row,),) = place.rows(ROW, number.account_id)
    assert row[:4] == ["wacid.1", "outbound", "initiated", None]
    assert place.rows("select phone_number from messaging.contacts") == [(f"+{KEPT}",)]
    assert place.count("whatsapp_conversations") == 1


def test_whatever_comes_first_there_is_one_row(place: Place) -> None:
    row = of_all_orders(
        place,
        lambda key: [
            part("connect", 1, session=ANSWER) | {"errors": [{"code": 1}]},
            ringing("RINGING", 2, key),
            ringing("ACCEPTED", 9, key),
            ended(key),
        ],
    )
    assert row[:13] == (
        *("wacid.1", "outbound", "ended", "completed", at(0), at(1), at(2), at(9), None),
        *(at(71), "COMPLETED", at(70), 60),
    )
    assert row[13:] == (True, [{"code": 1}], {}, None, {"ticket": 7}, None, False, False)


@pytest.mark.parametrize("repeat", [1, 2])
def test_parts_without_the_key_are_the_same_calls_as_soon_as_the_answer_is_known(
    place: Place, repeat: int
) -> None:
    row = of_all_orders(
        place,
        lambda _: [
            part("connect", 1, session=ANSWER),
            ringing("REJECTED", 5),
            part("terminate", 6, status="FAILED"),
        ],
        repeat=repeat,
    )
    assert row[:4] == ("wacid.1", "outbound", "rejected", "user_declined")
    assert place.rows("select distinct interaction_type from messaging.user_interactions") == [
        ("call_rejected",)
    ]
    # One for each call, of the row that stayed.
    assert place.count("user_interactions") == place.count("call_logs") == 24


def test_what_was_told_of_a_call_in_two_rows_is_the_newest_of_both(place: Place) -> None:
    row = of_all_orders(
        place,
        lambda key: [
            part("terminate", 30, status="FAILED"),
            part("terminate", 31, key, status="COMPLETED", duration=5),
            part("call_created", 8, note="a"),
            part("call_created", 9, key, note="b") | {"errors": [{"code": 2}]},
        ],
    )
    assert (row[2], row[9]) == ("ended", at(31))
    assert row[14:16] == (
        [{"code": 2}],
        {"call_created": {"at": SECOND + 9, "what": {"note": "b"}}},
    )


def test_the_parts_alone_settle_a_call_whose_answer_was_lost(place: Place) -> None:
    number = place.number()
    start(place, number)
    (call_id,) = (row[0] for row in place.rows("select id from messaging.call_logs"))
    post(place, number, part("connect", 1, session=ANSWER))
    assert place.count("call_logs") == 2
    post(place, number, ringing("RINGING", 2, call_id))
    ((*row,),) = place.rows(ROW, number.account_id)
    assert row[:3] == ["wacid.1", "outbound", "initiated"]
    # Whoever made the call needs the person's SDP.
    assert row[16] == ANSWER


def test_a_refused_call_has_failed_and_says_why(place: Place) -> None:
    number = place.number()
    call_id = start(place, number)
    settle(place, number, call_id, None, ({"code": 138006},))
    ((*row,),) = place.rows(ROW, number.account_id)
    assert row[:5] == [None, "outbound", "failed", None, at(0)]
    assert (row[14], row[18]) == ([{"code": 138006}], at(0))


def test_a_refusal_that_webhooks_contradict_was_none_in_either_order(place: Place) -> None:
    ends = []
    for is_refusal_first in (True, False):
        number = place.number()
        call_id = start(place, number)
        if is_refusal_first:
            settle(place, number, call_id, None, ({"code": 1},))
        post(place, number, ringing("RINGING", 2, call_id))
        if not is_refusal_first:
            settle(place, number, call_id, None, ({"code": 1},))
        ends += place.rows(ROW, number.account_id)
    assert ends[0] == ends[1]
    assert ends[0][:3] == ("wacid.1", "outbound", "initiated")
    assert (ends[0][14], ends[0][18]) == (None, None)


@pytest.mark.parametrize(
    "key", ["call.7", "call.", "k1", "CALL.{}", "call.{}x", "call.{{{}}}", "{}.1"]
)
def test_a_key_of_another_shape_is_somebody_elses(place: Place, key: str) -> None:
    number = place.number()
    call_id = start(place, number)
    post(place, number, part("terminate", 1, biz_opaque_callback_data=key.format(call_id)))
    assert sorted(row[0] or "" for row in place.rows(ROW, number.account_id)) == ["", "wacid.1"]
    assert place.count("webhook_dead_letters") == 0


def test_a_key_of_another_number_or_another_call_joins_nothing(place: Place) -> None:
    number = place.number()
    sibling, stranger = place.number(number.tenant_id), place.number()
    call_id = start(place, number)
    for other in (sibling, stranger):
        post(place, other, ringing("RINGING", 2, call_id))
        assert place.rows(ROW, other.account_id)[0][:3] == ("wacid.1", "outbound", "initiated")
    assert place.rows(ROW, number.account_id)[0][2] == "unconfirmed"

    settle(place, number, call_id, "wacid.2")
    post(place, number, ringing("RINGING", 2, call_id))
    found = place.rows(ROW, number.account_id)
    assert sorted(row[0] for row in found) == ["wacid.1", "wacid.2"]


def test_the_answer_and_the_webhooks_at_once_end_in_one_row(place: Place) -> None:
    others = [place.environment(now=NOW) for _ in range(2)]
    for _ in range(12):
        number = place.number()
        call_id = start(place, number)
        bodies = [
            body(number, part("connect", 1)),
            body(number, ringing("RINGING", 2, call_id)),
        ]
        steps = [
            *(partial(other.post, one) for other, one in zip(others, bodies, strict=True)),
            partial(settle, place, number, call_id),
        ]
        assert in_threads(3, lambda n, steps=steps: steps[n]()) == [200, 200, None]
        ((*row,),) = place.rows(ROW, number.account_id)
        assert row[:3] == ["wacid.1", "outbound", "initiated"]
        assert (row[5], row[6]) == (at(1), at(2))
    assert place.count("webhook_dead_letters") == 0


def test_a_row_that_a_part_makes_while_the_answer_is_kept_is_taken_in(place: Place) -> None:
    """The part's transaction is open, so that the answer does not see its row."""
    number = place.number()
    call_id = start(place, number)
    with psycopg.connect(place.database.superuser_url) as other:
        other.execute(
            "insert into messaging.call_logs (tenant_id, account_id, wa_call_id, occurred_at,"
            " ringing_at) values (%s, %s, 'wacid.1', %s, %s)",
            (number.tenant_id, number.account_id, at(-5), at(-5)),
        )
        thread = threading.Thread(target=settle, args=(place, number, call_id))
        thread.start()
        waiting = (
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
            " and datname = current_database()"
        )
        while place.rows(waiting) == [(0,)]:
            assert thread.is_alive()
        other.commit()
        thread.join()
    ((*row,),) = place.rows(ROW, number.account_id)
    assert row[:5] == ["wacid.1", "outbound", "initiated", None, at(-5)]
    assert row[6] == at(-5)


class TestTold:
    """Subscribers hear of each state once, under the id of the row that stays."""

    @pytest.fixture
    def stand(self, database: ClonedDatabase) -> Iterator[Stand]:
        with stand_of(database) as stand:
            yield stand

    def begin(self, stand: Stand) -> UUID:
        call_id = uuid4()
        (number,) = stand.place.rows("whatsapp_accounts")
        transact(
            stand.tools,
            stand.place.tenant_id,
            lambda connection: store.start(
                connection,
                tenant_id=stand.place.tenant_id,
                call_id=call_id,
                account_id=number["id"],
                contact_id=None,
                phone=PHONE,
                metadata={},
                now=stand.place.time.now,
            ),
        )
        return call_id

    def settle(self, stand: Stand, call_id: UUID, wa_call_id: str | None) -> None:
        transact(
            stand.tools,
            stand.place.tenant_id,
            lambda connection: store.settle(
                connection,
                stand.place.tenant_id,
                call_id,
                wa_call_id=wa_call_id,
                errors=[{"code": 138006}],
                now=stand.place.time.now,
            ),
        )

    def told(self, stand: Stand) -> list[Json]:
        stand.work()
        return [one.document["data"] for one in stand.endpoint.told]

    def part(self, stand: Stand, word: str, offset: int, **keys: Any) -> bytes:
        second = int(stand.place.time.now.timestamp()) + offset
        call = {**part(word, 0, **keys)["calls"][0], "to": PHONE, "timestamp": str(second)}
        return stand.body("calls", {"calls": [call]})

    def test_a_request_under_way_is_told_to_nobody_and_its_refusal_is(self, stand: Stand) -> None:
        stand.subscribe("call")
        call_id = self.begin(stand)
        assert stand.rows() == []
        self.settle(stand, call_id, None)
        (data,) = self.told(stand)
        assert (data["id"], data["status"]) == (str(call_id), "failed")
        assert data["occurred_at"] is not None

    def test_states_that_were_told_of_a_row_that_went_are_told_of_the_one_that_stays(
        self, stand: Stand
    ) -> None:
        stand.subscribe("call")
        call_id = self.begin(stand)
        stand.takes(self.part(stand, "connect", -9))
        self.settle(stand, call_id, "wacid.1")
        stand.takes(self.part(stand, "terminate", -1, status="COMPLETED", duration=3))
        told = self.told(stand)
        assert sorted(one["status"] for one in told) == ["ended", "initiated"]
        assert {one["id"] for one in told} == {str(call_id)}

    def test_a_state_told_of_both_rows_stays_with_the_call(self, stand: Stand) -> None:
        stand.subscribe("call")
        call_id = self.begin(stand)
        self.settle(stand, call_id, None)
        stand.takes(self.part(stand, "terminate", -9, status="FAILED"))
        self.settle(stand, call_id, "wacid.1")
        assert {row["call_id"] for row in stand.rows()} == {call_id}
        assert {one["id"] for one in self.told(stand)} == {str(call_id)}
