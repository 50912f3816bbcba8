"""Who wrote, in which conversation: people known by any of their ids, the newest of each."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from switchboard.intake.document import build
from switchboard.kernel.clock import uuid7
from switchboard.whatsapp.webhook import Message, Status, parse
from tests.databases import ClonedDatabase
from tests.deliveries import NOW, SECOND, Number, Person, Place, Update, message, pack, until

PHONE, USER, PARENT = "4915551234567", "DE.9001aB", "DE.ENT.77"


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def contacts(place: Place) -> list[Any]:
    return place.rows(
        "select array_agg(i.kind || ':' || i.value order by i.kind), c.phone_number,"
        " c.profile_name, c.username"
        " from messaging.contacts as c join messaging.contact_identifiers as i"
        " on i.contact_id = c.id and i.tenant_id = c.tenant_id group by c.id, c.phone_number,"
        " c.profile_name, c.username order by 1"
    )


def post(place: Place, *updates: Update) -> None:
    place.post(*updates)
    assert place.letters() == {}


def test_a_person_without_any_phone_has_a_contact_and_a_conversation(place: Place) -> None:
    number = place.number()

    post(place, message(number, "wamid.1", Person(user_id=USER, username="ana.b", name="Ana")))

    assert contacts(place) == [([f"user_id:{USER}"], None, "Ana", "ana.b")]
    assert place.count("whatsapp_conversations") == 1


def test_case_and_punctuation_of_a_user_id_matter(place: Place) -> None:
    number = place.number()

    post(place, *(message(number, user, Person(user_id=user)) for user in (USER, USER.lower())))

    assert place.count("contacts") == 2


@pytest.mark.parametrize("together", [True, False], ids=["one body", "many bodies"])
def test_ids_that_come_one_after_another_lead_to_one_contact_in_every_order(
    place: Place, *, together: bool
) -> None:
    looks = [Person(None, USER), Person(PHONE, USER), Person(PHONE, USER, PARENT)]
    expected = ([f"parent_user_id:{PARENT}", f"phone:{PHONE}", f"user_id:{USER}"], f"+{PHONE}")
    for order in itertools.permutations(looks):
        number = place.number()
        updates = [message(number, f"wamid.{n}", look) for n, look in enumerate(order)]
        if together:
            post(place, *updates)
        else:
            for update in updates:
                post(place, update)
    assert [row[:2] for row in contacts(place)] == [expected] * 6
    assert place.count("whatsapp_conversations") == 6


def test_mexicos_two_forms_are_one_person_and_other_countries_are_left_alone(place: Place) -> None:
    number = place.number()
    phones = ["5215550001234", "525550001234", "52155500012345", "5491155501234", "541155501234"]

    post(place, *(message(number, phone, Person(phone)) for phone in phones))

    known = [identifiers for identifiers, *_ in contacts(place)]
    assert known == [
        *(["phone:52155500012345"], ["phone:525550001234"]),
        *(["phone:541155501234"], ["phone:5491155501234"]),
    ]
    assert place.one("select max(message_count) from messaging.whatsapp_conversations") == 2


def test_a_user_name_finds_nobody(place: Place) -> None:
    number = place.number()

    post(place, *(message(number, n, Person(n * 7, username="same")) for n in "12"))

    assert place.count("contacts") == 2


def test_two_numbers_of_a_tenant_share_the_contact_and_two_tenants_share_nothing(
    place: Place,
) -> None:
    first = place.number()
    sibling, stranger = place.number(first.tenant_id), place.number()
    ana = Person(PHONE, USER, name="Ana")

    # The same id of Meta's at three numbers is three messages.
    post(place, *(message(number, "wamid.1", ana) for number in (first, sibling, stranger)))

    assert place.rows(
        "select tenant_id, count(distinct contact_id), count(*) from"
        " messaging.whatsapp_conversations group by 1 order by 3"
    ) == [(stranger.tenant_id, 1, 1), (first.tenant_id, 1, 2)]
    assert place.count("whatsapp_messages") == 3
    assert place.count("contacts") == 2


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "among others"])
@pytest.mark.parametrize("key", ["name", "username"])
def test_the_profile_of_the_greatest_time_and_then_hash_stays(
    place: Place, key: str, others: int
) -> None:
    values = sorted(("Ana", "Zoë", "…"), key=lambda value: hashlib.sha256(value.encode()).digest())
    told = [(0, values[0]), (5, values[1]), (5, values[2]), (4, "older")]
    for order in itertools.permutations(told):
        number = place.number()
        for n, (second, value) in enumerate(order):
            person = Person(PHONE, USER, **{key: value})
            more = [message(number, f"x{n}.{m}", Person("4900000000")) for m in range(others)]
            post(place, message(number, f"wamid.{n}", person, SECOND + second), *more)
    column = "profile_name" if key == "name" else "username"
    found = place.rows(
        f"select distinct c.{column}, c.{column}_at from messaging.contacts as c"
        f" where c.{column} is not null"
    )
    assert found == [(values[2], NOW + timedelta(seconds=5))]


def test_a_message_without_a_profile_leaves_it_as_it_is(place: Place) -> None:
    number = place.number()
    post(place, message(number, "wamid.1", Person(PHONE, name="Ana", username="ana")))

    post(place, message(number, "wamid.2", Person(PHONE), SECOND + 60))

    assert contacts(place) == [([f"phone:{PHONE}"], f"+{PHONE}", "Ana", "ana")]


def test_two_looks_of_one_known_contact_in_one_body_give_the_newest_profile(place: Place) -> None:
    # In the body they share no id: only the contact tells that they are one person.
    for offsets in ((1, 2), (2, 1)):
        number = place.number()
        post(place, message(number, "wamid.0", Person(PHONE, USER, name="old"), SECOND))
        looks = [Person(PHONE, name="by phone"), Person(None, USER, name="by user id")]
        post(
            place,
            *(
                message(number, f"wamid.{n + 1}", look, SECOND + offset)
                for n, (look, offset) in enumerate(zip(looks, offsets, strict=True))
            ),
        )
        assert place.rows(
            "select profile_name from messaging.contacts where tenant_id = %s", number.tenant_id
        ) == [("by user id" if offsets == (1, 2) else "by phone",)]


def test_people_of_a_body_that_turn_out_to_be_one_keep_the_newest_profile(place: Place) -> None:
    looks = [Person(None, USER), Person(PHONE, name="Ana", username="ana"), Person(PHONE, USER)]
    for order in itertools.permutations(looks):
        number = place.number()
        post(place, *(message(number, f"wamid.{n}", look) for n, look in enumerate(order)))
        (row,) = place.rows(
            "select profile_name, username, phone_number from messaging.contacts"
            " where tenant_id = %s",
            number.tenant_id,
        )
        assert row == ("Ana", "ana", f"+{PHONE}")


# The conversation.

CONVERSATION = (
    "select unread_count, message_count, window_expires_at, last_message_at, last_message_key,"
    " last_message_preview from messaging.whatsapp_conversations where account_id = %s"
)


def at(offset: int) -> datetime:
    return datetime.fromtimestamp(SECOND + offset, UTC)


def beside(place: Place, number: Number, count: int) -> list[Update]:
    """Return messages to the tenant's next number: with them a body takes the road of many."""
    sibling = place.number(number.tenant_id)
    return [message(sibling, f"x{n}", Person("4900000000")) for n in range(count)]


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "among others"])
def test_what_each_kind_does_to_the_conversation(place: Place, others: int) -> None:
    content = {"body": "hi", "message_id": "wamid.0", "emoji": "👍"}
    for kind, unread, opens in (
        ("text", 1, True),
        ("reaction", 0, True),
        ("request_welcome", 0, True),
        ("unsupported", 1, True),
        ("sparkles", 1, True),
        ("system", 0, False),
        ("edit", 0, False),
        ("revoke", 0, False),
    ):
        number = place.number()
        post(place, message(number, "wamid.0", Person(PHONE), SECOND - 60))

        update = message(number, "wamid.1", Person(PHONE), kind=kind, content=content)
        post(place, update, *beside(place, number, others))

        row = place.rows(CONVERSATION, number.account_id)[0]
        assert row[:3] == (1 + unread, 2, at(86_400 if opens else 86_340)), kind


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "among others"])
def test_a_time_more_than_five_minutes_ahead_counts_as_receipt(place: Place, others: int) -> None:
    for ahead, counted in ((300, at(300)), (301, at(0)), (10**9, at(0))):
        number = place.number()
        post(place, message(number, "wamid.0", Person(PHONE), SECOND - 60))

        update = message(number, "wamid.1", Person(PHONE), SECOND + ahead)
        post(place, update, *beside(place, number, others))

        row = place.rows(CONVERSATION, number.account_id)[0]
        assert row[2:4] == (counted + timedelta(days=1), counted)
        occurred = (
            "select occurred_at from messaging.whatsapp_messages"
            " where account_id = %s and wa_message_id = 'wamid.1'"
        )
        assert place.one(occurred, number.account_id) == counted


@pytest.mark.parametrize("together", [True, False], ids=["one body", "many bodies"])
def test_the_newest_message_is_the_greatest_by_time_and_id_in_every_order(
    place: Place, *, together: bool
) -> None:
    # By bytes: a small letter is after a capital one, an umlaut after both.
    told = [(0, "wamid.z"), (9, "wamid.Z"), (9, "wamid.a"), (9, "wamid.ä")]
    for order in itertools.permutations(told):
        number = place.number()
        updates = [message(number, wamid, Person(PHONE), SECOND + s) for s, wamid in order]
        if together:
            post(place, *updates)
        else:
            for update in updates:
                post(place, update)
        row = place.rows(CONVERSATION, number.account_id)[0]
        assert row[3:] == (at(9), "wamid.ä", "text of wamid.ä")


def test_a_preview_has_at_most_two_hundred_characters_and_never_half_of_one(place: Place) -> None:
    number = place.number()

    post(place, message(number, "wamid.1", Person(PHONE), content={"body": "👋" * 500}))

    assert place.rows(CONVERSATION, number.account_id)[0][5] == "👋" * 200


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "among others"])
def test_a_closed_conversation_opens_again_and_a_spammers_does_not(
    place: Place, others: int
) -> None:
    for before, after in (
        ("resolved", "open"),
        ("closed", "open"),
        ("pending", "pending"),
        ("spam", "spam"),
    ):
        number = place.number()
        post(place, message(number, "wamid.0", Person(PHONE)))
        place.everything.execute(
            "update messaging.whatsapp_conversations set status = %s where account_id = %s",
            (before, number.account_id),
        )

        post(place, message(number, "wamid.1", Person(PHONE)), *beside(place, number, others))

        found = "select status from messaging.whatsapp_conversations where account_id = %s"
        assert place.one(found, number.account_id) == after


def test_a_group_has_one_conversation_of_all_its_people_and_no_window(place: Place) -> None:
    number = place.number()

    post(
        place,
        *(
            message(number, f"wamid.{n}", Person(f"491555000000{n}"), group_id="group")
            for n in range(3)
        ),
    )

    assert place.rows(
        "select group_id, contact_id, message_count, window_expires_at"
        " from messaging.whatsapp_conversations"
    ) == [("group", None, 3, None)]
    assert place.count("contacts") == 3
    assert place.count("scheduled_jobs") == 0


# Races for one person's ids, paused between statements.


def document(*updates: Update) -> str:
    items = [item for item in parse(pack(updates)) if isinstance(item, Message | Status)]
    return build([(item, updates[0].number.account_id) for item in items], uuid7)


def race(place: Place, number: Number, first: Update, second: Update) -> None:
    """Let `second` come while `first` is written but not committed."""
    take = "select messaging.take(%s, %s::jsonb, null)"
    url = place.database.app_url
    with psycopg.connect(url) as one, psycopg.connect(url, autocommit=True) as two:
        one.execute(take, (number.tenant_id, document(first)))
        waiting = threading.Thread(
            target=lambda: two.execute(take, (number.tenant_id, document(second)))
        )
        waiting.start()
        until(lambda: place.one("select %s = any (pg_blocking_pids(%s))", *pids(one, two)))
        one.commit()
        waiting.join()


def pids(one: Any, two: Any) -> tuple[int, int]:
    return one.info.backend_pid, two.info.backend_pid


def test_whoever_loses_the_race_for_an_id_takes_the_winners_contact(place: Place) -> None:
    hidden, known = Person(None, USER), Person(PHONE, USER)
    whole, bare = Person(PHONE, USER, PARENT), Person(PHONE)
    meet = [(hidden, known), (hidden, whole), (known, whole), (known, bare), (whole, bare)]
    for one, two in [*meet, *((b, a) for a, b in meet), (known, known), (hidden, hidden)]:
        number = place.number()

        race(place, number, message(number, "wamid.1", one), message(number, "wamid.2", two))

        mine = (number.tenant_id,)
        assert place.one("select count(*) from messaging.contacts where tenant_id = %s", *mine) == 1
        assert place.rows(
            "select count(distinct contact_id), count(*) from messaging.contact_identifiers"
            " where tenant_id = %s",
            *mine,
        ) == [(1, len({*ids(one), *ids(two)}))]
        assert place.rows(CONVERSATION, number.account_id)[0][1] == 2


def ids(person: Person) -> list[str]:
    return [i for i in (person.phone, person.user_id, person.parent_user_id) if i]
