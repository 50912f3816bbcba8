"""A status names whom its message went to by phone and by user id: then these are one person."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from switchboard.intake.document import build
from switchboard.kernel.clock import uuid7
from switchboard.whatsapp.webhook import Message, Status, parse
from tests.databases import ClonedDatabase
from tests.deliveries import (
    NOW,
    SECOND,
    Number,
    Person,
    Place,
    Update,
    message,
    pack,
    status,
    until,
)

PHONE, USER, PARENT = "4915551234567", "DE.9001aB", "DE.ENT.77"


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


@pytest.fixture
def number(place: Place) -> Number:
    return place.number()


def told(number: Number, word: str = "sent", wamid: str = "wamid.OUT", **ids: Any) -> Update:
    """Return a status that names its recipient by phone and user id, unless `ids` say otherwise."""
    ids = {"recipient_id": PHONE, "recipient_user_id": USER} | ids
    return status(number, wamid, word, **{key: part for key, part in ids.items() if part})


def people(place: Place) -> list[tuple[Any, ...]]:
    """Return the identifiers of each contact, and the phone that it shows."""
    return place.rows(
        "select array_agg(i.kind || ':' || i.value order by i.kind, i.value), c.phone_number"
        " from messaging.contacts as c join messaging.contact_identifiers as i"
        " on i.contact_id = c.id group by c.tenant_id, c.id order by 1"
    )


def sent_to_user_id(place: Place, number: Number) -> None:
    """Put in a message of ours to a contact that is known by the user id alone."""
    place.sent_messages(number, ["wamid.OUT"], phone=PHONE)
    place.everything.execute(
        "update messaging.contact_identifiers set kind = 'user_id', value = %s", (USER,)
    )
    place.everything.execute("update messaging.contacts set phone_number = null")


ONE_PERSON = [([f"phone:{PHONE}", f"user_id:{USER}"], f"+{PHONE}")]


@pytest.mark.parametrize("word", ["sent", "delivered", "read", "failed"])
def test_a_status_gives_the_person_the_user_id_under_which_they_answer(
    place: Place, number: Number, word: str
) -> None:
    place.sent_messages(number, ["wamid.OUT"], phone=PHONE)

    place.post(told(number, word))
    place.post(message(number, "wamid.1", Person(None, USER)))

    assert people(place) == ONE_PERSON
    assert place.rows(
        "select count(*), count(distinct conversation_id) from messaging.whatsapp_messages"
    ) == [(2, 1)]


def test_what_was_sent_to_a_user_id_tells_the_phone(place: Place, number: Number) -> None:
    sent_to_user_id(place, number)

    place.post(told(number, recipient_parent_user_id=PARENT))

    ((ids, shown),) = people(place)
    assert ids == [f"parent_user_id:{PARENT}", f"phone:{PHONE}", f"user_id:{USER}"]
    assert shown == f"+{PHONE}"


@pytest.mark.parametrize("together", [True, False], ids=["one body", "many bodies"])
def test_two_contacts_become_one_in_every_order(place: Place, *, together: bool) -> None:
    for order in itertools.permutations(range(4)):
        number = place.number()
        place.sent_messages(number, ["wamid.OUT"], phone=PHONE)
        updates = [
            message(number, "wamid.1", Person(None, USER), SECOND - 9),
            message(number, "wamid.2", Person(PHONE), SECOND - 8),
            told(number),
            told(number, "read"),
        ]
        ordered = [updates[n] for n in order]
        batches = [ordered] if together else [[update] for update in ordered]

        for batch in batches * 2:
            place.post(*batch)

        assert place.rows(
            "select count(*), count(distinct contact_id), count(distinct conversation_id)"
            " from messaging.whatsapp_messages where tenant_id = %s",
            number.tenant_id,
        ) == [(3, 1, 1)]
        assert place.rows(
            "select count(distinct contact_id), count(*) from messaging.contact_identifiers"
            " where tenant_id = %s",
            number.tenant_id,
        ) == [(1, 2)]
        assert set(
            place.rows(
                "select reason from messaging.contact_merges where tenant_id = %s", number.tenant_id
            )
        ) <= {("late_pairing",)}
    assert place.letters() == {}


def test_many_statuses_of_many_people_pair_each_with_their_own(
    place: Place, number: Number
) -> None:
    updates = []
    for n in range(20):
        place.sent_messages(number, [f"wamid.{n}"], phone=f"49155500000{n:02d}")
        ids = {"recipient_id": f"49155500000{n:02d}", "recipient_user_id": f"DE.{n:02d}"}
        updates += [told(number, word, f"wamid.{n}", **ids) for word in ("sent", "delivered")]

    place.post(*updates)

    assert people(place) == [
        ([f"phone:49155500000{n:02d}", f"user_id:DE.{n:02d}"], f"+49155500000{n:02d}")
        for n in range(20)
    ]


def test_a_send_whose_answer_was_lost_is_found_by_its_key(place: Place, number: Number) -> None:
    (sent,) = place.sent_messages(number, [None], status="unconfirmed", phone=PHONE)

    place.post(
        status(
            number, "wamid.OUT", "sent", key=f"{sent}.1", recipient_id=PHONE, recipient_user_id=USER
        )
    )

    assert people(place) == ONE_PERSON


def test_every_spelling_of_a_number_is_the_same_person(place: Place, number: Number) -> None:
    place.sent_messages(number, ["wamid.OUT"], phone="525550002222")

    place.post(told(number, recipient_id="5215550002222"))

    assert people(place) == [(["phone:525550002222", f"user_id:{USER}"], "+525550002222")]


ONLY_PHONE = [([f"phone:{PHONE}"], f"+{PHONE}")]


@pytest.mark.parametrize(
    "ids",
    [
        {"recipient_user_id": None},
        {"recipient_id": None},
        # Another number says nothing of whom the message was sent to.
        {"recipient_id": "4915557654321"},
        {"recipient_type": "group"},
        {"recipient_participant_id": PHONE},
        {"recipient_user_id": 7},
        {"recipient_user_id": "x" * 201},
        {"wamid": "wamid.of_another_app"},
    ],
    ids=" ".join,
)
def test_whoever_is_not_told_for_sure_is_left_alone(
    place: Place, number: Number, ids: dict[str, Any]
) -> None:
    place.sent_messages(number, ["wamid.OUT"], phone=PHONE)

    place.post(told(number, **ids))

    assert people(place) == ONLY_PHONE
    assert place.count("message_status_events") == 1
    assert place.letters() == {}


def test_a_message_that_somebody_else_sent_and_one_that_came_in_tell_nothing(
    place: Place, number: Number
) -> None:
    other = place.number()
    place.sent_messages(other, ["wamid.OUT"], phone=PHONE)
    place.post(message(number, "wamid.IN", Person(PHONE)))

    place.post(told(number), told(number, wamid="wamid.IN"))

    assert people(place) == ONLY_PHONE * 2


def test_a_key_of_another_numbers_message_tells_nothing(place: Place, number: Number) -> None:
    (sent,) = place.sent_messages(
        place.number(number.tenant_id), [None], status="unconfirmed", phone=PHONE
    )
    ids: dict[str, Any] = {"recipient_id": PHONE, "recipient_user_id": USER}

    place.post(status(number, "wamid.OUT", "sent", key=f"{sent}.1", **ids))

    assert people(place) == ONLY_PHONE


def test_a_status_that_names_another_person_makes_no_one_of_the_two(
    place: Place, number: Number
) -> None:
    place.sent_messages(number, ["wamid.OUT"], phone=PHONE)
    ben = Person("4915557654321", "DE.7")
    place.post(message(number, "wamid.1", ben))

    place.post(told(number, recipient_id=ben.phone))
    place.post(told(number, "read", recipient_id=ben.phone, recipient_user_id=ben.user_id))

    assert people(place) == [
        *ONLY_PHONE,
        ([f"phone:{ben.phone}", "user_id:DE.7"], f"+{ben.phone}"),
    ]


def test_who_was_deleted_is_not_brought_back(place: Place, number: Number) -> None:
    place.sent_messages(number, ["wamid.OUT"], phone=PHONE)
    place.everything.execute("update messaging.contacts set deleted_at = %s", (NOW,))

    place.post(told(number, "read"))

    assert people(place) == []
    assert place.count("contacts") == 1


def test_a_status_beside_the_persons_first_message_makes_one_of_them(
    place: Place, number: Number
) -> None:
    place.sent_messages(number, ["wamid.OUT"], phone=PHONE)
    url = place.database.app_url
    environment = place.environment(now=NOW)
    pid = environment.tools.db.connection().info.backend_pid
    (item,) = parse(pack([message(number, "wamid.1", Person(None, USER))]))
    assert isinstance(item, Message)
    values = (number.tenant_id, build([(item, number.account_id)], uuid7), NOW)
    with psycopg.connect(url) as writing, ThreadPoolExecutor(1) as pool:
        writing.execute("select messaging.take(%s, %s::jsonb, %s)", values)
        answer = pool.submit(environment.post, [told(number)])
        until(
            lambda: place.one(
                "select %s = any (pg_blocking_pids(%s))", writing.info.backend_pid, pid
            )
        )
        writing.commit()
        assert answer.result() == 200

    assert people(place) == ONE_PERSON
    assert place.rows("select reason from messaging.contact_merges") == [("late_pairing",)]


def test_the_usual_status_asks_for_no_pairing(place: Place, number: Number) -> None:
    def document(update: Update) -> str:
        (item,) = parse(pack([update]))
        assert isinstance(item, Status)
        return build([(item, number.account_id)], uuid7)

    assert '"q"' not in document(status(number, "wamid.OUT", "sent"))
    assert '"q"' in document(told(number))
