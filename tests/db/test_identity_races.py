"""Contacts are merged beside deliveries, sends and workers, and by those who die in between."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from switchboard.intake.document import build
from switchboard.kernel.clock import uuid7
from switchboard.store import events, identity
from switchboard.whatsapp.webhook import Message, parse
from tests.databases import ClonedDatabase
from tests.deliveries import (
    NOW,
    SECOND,
    Number,
    Person,
    Place,
    Update,
    aws_at_hand,
    in_threads,
    message,
    pack,
    until,
)
from tests.intake_model import assert_equal, expected

PHONE, USER = "4915551234567", "DE.9001aB"


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    with aws_at_hand():
        place = Place(database)
        yield place
        place.close()


@pytest.fixture
def number(place: Place) -> Number:
    return place.number()


def meet(number: Number) -> list[Update]:
    """Return two looks of a person, and the one that shows that they are one."""
    return [
        message(number, "wamid.1", Person(PHONE, name="Ana"), SECOND - 9),
        message(number, "wamid.2", Person(None, USER), SECOND - 8),
        message(number, "wamid.3", Person(PHONE, USER), SECOND - 7),
    ]


def contacts(place: Place) -> list[UUID]:
    return [
        contact
        for (contact,) in place.rows("select id from messaging.contacts order by created_at")
    ]


def apart(place: Place, number: Number) -> tuple[UUID, UUID]:
    """Make the person's two contacts; the first is the older one."""
    for update in meet(number)[:2]:
        assert place.usual.post([update]) == 200
    place.everything.execute(
        "update messaging.contacts set created_at = created_at - interval '1 day'"
        " where phone_number is not null"
    )
    older, younger = contacts(place)
    return older, younger


def merging(number: Number, people: tuple[UUID, UUID]) -> tuple[str, tuple[Any, ...]]:
    return (
        "select messaging.merge_contacts(%s, %s, 'late_pairing', null, %s)",
        (number.tenant_id, list(people), NOW),
    )


def taking(update: Update) -> tuple[str, tuple[Any, ...]]:
    items = [item for item in parse(pack([update])) if isinstance(item, Message)]
    document = build([(item, update.number.account_id) for item in items], uuid7)
    return (
        "select messaging.take(%s, %s::jsonb, %s)",
        (update.number.tenant_id, document, NOW),
    )


def second_waits(
    place: Place, first: tuple[str, tuple[Any, ...]], second: tuple[str, tuple[Any, ...]]
) -> Any:
    """Run `second` while `first` is written and not committed; return what `second` answers."""
    answers: list[Any] = []
    url = place.database.app_url
    with psycopg.connect(url) as one, psycopg.connect(url, autocommit=True) as two:
        tenant = (str(second[1][0]),)
        one.execute("select set_config('switchboard.tenant_id', %s, true)", tenant)
        one.execute(*first)
        waiter = threading.Thread(target=lambda: answers.append(two.execute(*second).fetchall()))
        waiter.start()
        pids = two.info.backend_pid, one.info.backend_pid
        until(lambda: place.one("select %s = any (pg_blocking_pids(%s))", pids[1], pids[0]))
        one.commit()
        waiter.join()
    (answer,) = answers
    return answer


def one_of_all(place: Place, number: Number, messages: int) -> None:
    """Assert that everything of the tenant is one contact's, in one conversation."""
    assert place.rows(
        "select count(distinct m.contact_id), count(distinct m.conversation_id), count(*),"
        " max(v.message_count), count(distinct v.contact_id)"
        " from messaging.whatsapp_messages as m"
        " join messaging.whatsapp_conversations as v on v.id = m.conversation_id"
        " where m.tenant_id = %s and m.contact_id = v.contact_id",
        number.tenant_id,
    ) == [(1, 1, messages, messages, 1)]


class Death(BaseException):
    """The process dies here."""


def test_who_dies_between_the_merge_and_the_write_has_done_no_harm(
    place: Place, number: Number, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart(place, number)
    merges: list[int] = []

    def merge_and_die(*values: Any, **named: Any) -> None:
        merged = identity_merge(*values, **named)
        merges.append(place.count("contact_merges"))
        raise Death(merged)

    identity_merge = identity.merge
    with monkeypatch.context() as patch:
        patch.setattr(identity, "merge", merge_and_die)
        with pytest.raises(Death):
            place.environment(now=NOW).post([meet(number)[2]])
    assert merges == [1]
    assert place.count("whatsapp_messages") == 2

    # Without a 200 Meta delivers it again.
    assert place.usual.post([meet(number)[2]]) == 200
    assert_equal(place, expected(meet(number), [], SECOND))
    assert place.count("contact_merges") == 1


def test_a_delivery_that_never_ends_to_ask_for_merges_goes_to_the_backlog(
    place: Place, number: Number, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart(place, number)
    takes = []

    def count_and_take(*values: Any) -> Any:
        takes.append(1)
        return take(*values)

    take = events.take
    with monkeypatch.context() as patch:
        patch.setattr(events, "take", count_and_take)
        patch.setattr(identity, "merge", lambda *_, **__: number.tenant_id)
        assert place.usual.post([meet(number)[2]]) == 200
    assert len(takes) == 9
    assert place.count("whatsapp_messages") == 2

    place.drain()
    assert_equal(place, expected(meet(number), [], SECOND))


def test_a_merge_waits_for_a_delivery_and_takes_what_it_brought(
    place: Place, number: Number
) -> None:
    people = apart(place, number)
    later = message(number, "wamid.4", Person(None, USER), SECOND)

    answer = second_waits(place, taking(later), merging(number, people))

    assert answer == [(people[0],)]
    one_of_all(place, number, 3)


def test_a_delivery_waits_for_a_merge_and_writes_to_the_winner(
    place: Place, number: Number
) -> None:
    people = apart(place, number)
    later = message(number, "wamid.4", Person(None, USER), SECOND)

    second_waits(place, merging(number, people), taking(later))

    one_of_all(place, number, 3)


@pytest.mark.parametrize("count", [1, 2], ids=["one", "many"])
def test_a_send_whose_question_was_asked_before_a_merge_goes_to_the_winner(
    place: Place, number: Number, count: int
) -> None:
    people = apart(place, number)
    items = [
        {
            "n": n,
            "id": str(uuid7()),
            "account": str(number.account_id),
            "type": "text",
            "contact": str(people[1]),
            "content": {"body": "hi"},
            "preview": "hi",
            "origin": "api",
            "kind": "reply",
            "priority": 10,
            "recipient": USER,
            "recipient_kind": "user_id",
            "state": "pending",
            "lease": False,
            "new_conversation": str(uuid.uuid4()),
        }
        for n in range(count)
    ]
    reserving = (
        "select contact_id from messaging.reserve_sends(%s, %s, %s, interval '1 minute', %s)",
        (number.tenant_id, uuid7(), Jsonb(items), NOW),
    )

    answer = second_waits(place, merging(number, people), reserving)

    assert answer == [(people[0],)] * count
    one_of_all(place, number, 2 + count)
    assert place.rows("select distinct contact_id from messaging.send_attempts") == [(people[0],)]


def test_a_merge_waits_for_a_send_that_is_being_stored(place: Place, number: Number) -> None:
    people = apart(place, number)
    hold = ("select messaging.hold_contacts(%s)", (number.tenant_id,))
    assert second_waits(place, hold, merging(number, people)) == [(people[0],)]


def test_what_a_worker_writes_of_an_attempt_that_is_moved_names_the_winner(
    place: Place, number: Number
) -> None:
    people = apart(place, number)
    place.everything.execute(
        "insert into messaging.send_attempts (tenant_id, message_id, account_id, contact_id,"
        " conversation_id, lane, kind, priority, due_at, recipient, recipient_kind)"
        " select tenant_id, id, account_id, contact_id, conversation_id, conversation_id,"
        " 'reply', 10, now(), '1', 'phone' from messaging.whatsapp_messages where contact_id = %s",
        (people[1],),
    )
    place.everything.execute("update messaging.whatsapp_messages set direction = 'outbound'")
    # As the outbox ends an attempt: under its lock, without that of the contacts.
    end = (
        "with a as (delete from messaging.send_attempts returning *)"
        " insert into messaging.delivery_logs (tenant_id, id, message_id, contact_id, channel,"
        " recipient, status) select tenant_id, %s, message_id, contact_id, 'whatsapp', '1', 'sent'"
        " from a"
    )

    second_waits(place, (end, (uuid7(),)), merging(number, people))

    assert place.rows("select contact_id from messaging.delivery_logs") == [(people[0],)]
    assert place.count("send_attempts") == 0


def test_a_worker_whose_job_was_given_back_writes_nothing(place: Place, number: Number) -> None:
    people = apart(place, number)
    thread = str(
        place.one(
            "select id from messaging.whatsapp_conversations where contact_id = %s", people[1]
        )
    )
    token = uuid7()
    claim = "select id, args from messaging.claim_jobs(%s, %s, 10, interval '1 minute', %s, %s)"
    with psycopg.connect(place.database.app_url, autocommit=True) as worker:
        kinds: tuple[Any, ...] = (["react_to_message"], [8])
        claimed = worker.execute(claim, (*kinds, token, NOW)).fetchall()
        assert len(claimed) == 2
        worker.execute(*merging(number, people))
        ended = [{"t": str(number.tenant_id), "i": job, "o": "completed"} for job, _ in claimed]
        recorded = worker.execute(
            "select messaging.finish_jobs(%s, %s, %s)", (token, Jsonb(ended), NOW)
        ).fetchone()
        # The winner's own goes on; the other comes again, about the conversation of now.
        assert recorded is not None
        assert len(recorded[0]) == 1
        again = worker.execute(claim, (*kinds, uuid7(), NOW)).fetchall()
    assert [(job, args["conversation_id"] == thread) for job, args in again] == [
        (job, False) for job, args in claimed if args["conversation_id"] == thread
    ]


def test_who_loses_an_identifier_to_somebody_new_while_another_is_known_merges_both(
    place: Place, number: Number
) -> None:
    known, hidden, both = meet(number)
    environment = place.environment(now=NOW)
    assert environment.post([known]) == 200
    with psycopg.connect(place.database.app_url) as one:
        one.execute(*taking(hidden))
        waiter = threading.Thread(target=lambda: environment.post([both]))
        waiter.start()
        pids = one.info.backend_pid, environment.tools.db.connection().info.backend_pid
        until(lambda: place.one("select %s = any (pg_blocking_pids(%s))", *pids))
        one.commit()
        waiter.join()
    one_of_all(place, number, 3)


def test_two_clients_that_show_one_person_at_once_leave_what_the_model_says(place: Place) -> None:
    delivered: list[Update] = []
    for n in range(8):
        number = place.number()
        sibling = place.number(number.tenant_id)
        looks = [Person(PHONE, name="Ana"), Person(None, USER), Person(PHONE, USER)]
        shares: list[list[Update]] = [
            [
                message(
                    number if client else sibling,
                    f"wamid.{client}.{k}",
                    looks[(k + client + n) % 3],
                    SECOND + k,
                )
                for k in range(3)
            ]
            for client in range(2)
        ]
        environments = [place.environment(now=NOW) for _ in shares]

        def deliver(client: int, shares: Any = shares, environments: Any = environments) -> None:
            for update in shares[client]:
                assert environments[client].post([update]) == 200

        in_threads(2, deliver)
        for environment in environments:
            environment.close()
        delivered += [update for share in shares for update in share]
    place.drain()
    assert_equal(place, expected(delivered, [], SECOND))
