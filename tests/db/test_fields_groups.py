"""Groups and the phone's address book: threads, people and names, whatever comes first."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.databases import ClonedDatabase
from tests.deliveries import SECOND, Number, Person, Place, body_of, message
from tests.field_changes import Json, entry, payload, post

GROUP = "Y2FwaV9ncm91cDox"
ANA = "4915551234567"


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def news(number: Number, field: str, kind: str, at: int = SECOND, **parts: Any) -> Json:
    group = {"timestamp": str(at), "group_id": GROUP, "type": kind, **parts}
    return entry(number, field, {"groups": [group]}, None, metadata=True)


def group(place: Place, *columns: str) -> tuple[Any, ...]:
    (row,) = place.rows(
        f"select {', '.join(columns)} from messaging.whatsapp_groups as g"
        " join messaging.whatsapp_conversations as c on c.id = g.conversation_id"
    )
    return row


def people(place: Place) -> list[tuple[Any, ...]]:
    return place.rows(
        "select participant, extract(epoch from joined_at)::bigint - %s,"
        " extract(epoch from left_at)::bigint - %s"
        " from messaging.conversation_participants order by 1",
        SECOND,
        SECOND,
    )


# --- Groups -------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["news", "message"])
def test_a_group_has_one_conversation_whichever_comes_first(place: Place, first: str) -> None:
    number = place.number()
    written = message(number, "wamid.1", Person(ANA, name="Ana"), group_id=GROUP)
    if first == "message":
        place.post(written)
    post(place, *payload("group_lifecycle_update", place, number))
    if first == "news":
        place.post(written)

    assert group(
        place, "c.group_id", "c.subject", "c.message_count", "g.lifecycle", "g.invite_link",
        "g.join_approval_mode", "g.is_suspended",
    ) == (
        GROUP, "Taller", 1, "group_create", "https://chat.example/g", "auto_approve", False,
    )  # fmt: skip
    assert place.count("whatsapp_conversations") == 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_newest_subject_stays(place: Place, order: tuple[int, ...]) -> None:
    number = place.number()
    told = [
        news(number, "group_lifecycle_update", "group_create", SECOND, subject="one"),
        news(
            number, "group_settings_update", "group_settings_update", SECOND + 1,
            group_subject={"text": "two", "update_successful": True},
            group_description={"text": "about"},
        ),
        news(
            number, "group_settings_update", "group_settings_update", SECOND + 2,
            group_subject={"text": "three", "update_successful": False},
        ),
    ]  # fmt: skip
    for n in order:
        post(place, told[n])
    assert group(place, "c.subject", "c.description") == ("two", "about")
    assert place.count("whatsapp_account_events") == 3


def test_a_group_is_suspended_until_it_is_cleared(place: Place) -> None:
    number = place.number()
    cleared = news(number, "group_status_update", "group_suspend_cleared", SECOND + 1)
    suspended = news(number, "group_status_update", "group_suspend", SECOND)
    post(place, suspended)
    assert group(place, "g.is_suspended") == (True,)
    post(place, cleared)
    post(place, suspended)
    assert group(place, "g.is_suspended") == (False,)


def test_a_group_that_could_not_be_made_is_an_event_only(place: Place) -> None:
    number = place.number()
    failed = {"timestamp": str(SECOND), "type": "group_create", "request_id": "r", "errors": [{}]}
    post(place, entry(number, "group_lifecycle_update", {"groups": [failed]}, metadata=True))
    assert place.count("whatsapp_conversations") == 0
    assert place.one("select detail ->> 'request_id' from messaging.whatsapp_account_events") == "r"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_people_come_and_go_in_any_order(place: Place, order: tuple[int, ...]) -> None:
    number = place.number()
    field = "group_participants_update"
    told = [
        news(
            number, field, "group_participants_add", SECOND,
            added_participants=[{"wa_id": ANA}, {"wa_id": "5215550100301"}],
            failed_participants=[{"wa_id": "4915550000009", "errors": []}],
        ),
        news(
            number, field, "group_participants_remove", SECOND + 1,
            removed_participants=[{"wa_id": int(ANA)}, {"user_id": "DE.77"}],
        ),
        news(
            number, field, "group_participants_add", SECOND + 2,
            added_participants=[{"wa_id": ANA}],
        ),
    ]  # fmt: skip
    for n in order:
        post(place, told[n])

    assert people(place) == [
        ("4915551234567", 2, 1),
        ("525550100301", 0, None),
        ("DE.77", None, 1),
    ]
    assert place.rows(
        "select i.kind, i.value from messaging.conversation_participants as p"
        " join messaging.contact_identifiers as i on i.contact_id = p.contact_id order by 2"
    ) == [("phone", "4915551234567"), ("phone", "525550100301"), ("user_id", "DE.77")]


@pytest.mark.parametrize("first", ["news", "message"])
def test_a_participant_is_the_person_who_writes(place: Place, first: str) -> None:
    number = place.number()
    joined = news(
        number, "group_participants_update", "group_participants_add",
        added_participants=[{"wa_id": ANA}],
    )  # fmt: skip
    written = message(number, "wamid.1", Person(ANA, name="Ana"), group_id=GROUP)
    if first == "message":
        place.post(written)
    post(place, joined)
    if first == "news":
        place.post(written)
    assert place.rows(
        "select c.profile_name from messaging.conversation_participants as p"
        " join messaging.contacts as c on c.id = p.contact_id"
    ) == [("Ana",)]
    assert place.count("contacts") == 1


def test_one_odd_group_costs_itself_only(place: Place) -> None:
    number = place.number()
    value = {
        "groups": [
            {"timestamp": str(SECOND), "group_id": GROUP, "type": "group_suspend"},
            {"timestamp": str(SECOND), "group_id": "", "type": "group_suspend"},
            7,
        ]
    }
    body = body_of([entry(number, "group_status_update", value, metadata=True)])
    assert place.usual.post(body) == 200
    assert group(place, "g.is_suspended") == (True,)
    ((_, reason), odd) = next(iter(place.letters().items()))
    assert (reason, len(odd)) == ("malformed", 2)


# --- The address book ---------------------------------------------------------------------------


def book(number: Number, name: str | None, at: int = SECOND, phone: str = ANA) -> Json:
    contact = {"phone_number": phone} | ({} if name is None else {"full_name": name})
    said = {
        "type": "contact",
        "action": "remove" if name is None else "add",
        "contact": contact,
        "metadata": {"timestamp": str(at)},
    }
    return entry(number, "smb_app_state_sync", {"state_sync": [said]}, None, metadata=True)


def names(place: Place) -> list[tuple[Any, ...]]:
    return place.rows("select phone_number, name from messaging.contacts order by 1")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_newest_name_of_the_address_book_stays(place: Place, order: tuple[int, ...]) -> None:
    number = place.number()
    told = [book(number, "Ana"), book(number, None, SECOND + 1), book(number, "Ana B", SECOND + 2)]
    for n in order:
        post(place, told[n])
    assert names(place) == [("+" + ANA, "Ana B")]
    assert place.rows("select phone_book_name_at from messaging.contacts") == [
        (datetime.fromtimestamp(SECOND + 2, UTC),)
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
def test_a_removed_entry_takes_its_name_along(place: Place, order: tuple[int, ...]) -> None:
    number = place.number()
    told = [book(number, "Ana"), book(number, None, SECOND + 1)]
    for n in order:
        post(place, told[n])
    assert names(place) == [("+" + ANA, None)]


def test_a_name_that_staff_gave_stays(place: Place) -> None:
    number = place.number()
    post(place, book(number, "Ana"))
    place.everything.execute("update messaging.contacts set name = 'Ms Ferrán'")
    post(place, book(number, "Ana B", SECOND + 1))
    post(place, book(number, None, SECOND + 2))
    assert names(place) == [("+" + ANA, "Ms Ferrán")]


def test_the_person_of_the_address_book_is_the_person_who_writes(place: Place) -> None:
    number = place.number()
    place.post(message(number, "wamid.1", Person("5215550100301", name="Lu")))
    post(place, *payload("smb_app_state_sync", place, number))
    assert names(place) == [("+525550100301", "Lucía Ferrán"), ("+525550100305", None)]
    assert place.count("whatsapp_account_events") == 0


@pytest.mark.parametrize("staff", [None, 0, 1])
@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
def test_contacts_that_become_one_keep_staffs_name_else_the_newest_entry(
    place: Place, order: tuple[int, ...], staff: int | None
) -> None:
    number = place.number()
    told = [book(number, "Ana"), book(number, "Ana B", SECOND + 1, "4915551234568")]
    for n in order:
        post(place, told[n])
    if staff is not None:
        place.everything.execute(
            "update messaging.contacts set name = 'Ms B' where phone_book_name = %s",
            (("Ana", "Ana B")[staff],),
        )
    winner = place.one(
        "select messaging.merge_contacts(%s, array(select id from messaging.contacts),"
        " 'late_pairing')",
        number.tenant_id,
    )
    assert place.rows(
        "select name, phone_book_name from messaging.contacts where id = %s", winner
    ) == [("Ana B" if staff is None else "Ms B", "Ana B")]
