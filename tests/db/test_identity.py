"""One person, several identifiers: whatever the order in which they are told, the same rows."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.databases import ClonedDatabase
from tests.deliveries import (
    NOW,
    SECOND,
    Json,
    Number,
    Person,
    Place,
    Update,
    body_of,
    message,
    pack,
    seed,
)
from tests.intake_model import assert_equal, expected

PHONE, NEXT, LAST = "4915551234567", "4915557654321", "4915550000777"
USER, NEW_USER, PARENT = "DE.9001aB", "DE.9002cD", "DE.ENT.77"

#: What a merge leaves, without generated ids, receipt times and the tale of the merge itself.
_LEFT = {
    "contacts": "select i.name, c.profile_name, c.profile_name_at, c.username, c.phone_number,"
    " c.opt_in_status from messaging.contacts as c join named as i on i.contact_id = c.id"
    " where c.tenant_id = %(t)s and c.merged_into is null order by 1",
    "marks": "select kind, value, taken_at from messaging.contact_identifiers"
    " where tenant_id = %(t)s order by 1, 2",
    "conversations": "select n.place, i.name, v.unread_count, v.message_count,"
    " v.window_expires_at, v.last_inbound_at, v.last_message_at, v.last_message_key,"
    " v.last_message_preview, v.status from messaging.whatsapp_conversations as v"
    " join numbered as n on n.id = v.account_id left join named as i on i.contact_id = v.contact_id"
    " where v.tenant_id = %(t)s order by 1, 2",
    "messages": "select n.place, m.wa_message_id, i.name, w.name from messaging.whatsapp_messages"
    " as m join numbered as n on n.id = m.account_id"
    " left join named as i on i.contact_id = m.contact_id"
    " join messaging.whatsapp_conversations as v on v.id = m.conversation_id"
    " left join named as w on w.contact_id = v.contact_id where m.tenant_id = %(t)s order by 1, 2",
    "changes": "select h.source, h.kind, h.named, h.previous, h.current, h.occurred_at, i.name"
    " from messaging.identity_changes as h left join named as i on i.contact_id = h.contact_id"
    " where h.tenant_id = %(t)s order by 1, 2, 3, 4, 5, 6",
    "jobs": "select j.lane = v.id::text, i.name, array(select m.wa_message_id from"
    " messaging.whatsapp_messages as m where m.id::text in (select jsonb_array_elements_text("
    "j.args -> 'message_ids')) order by 1) from messaging.scheduled_jobs as j"
    " left join messaging.whatsapp_conversations as v on v.id::text = j.args ->> 'conversation_id'"
    " left join named as i on i.contact_id = v.contact_id"
    " where j.tenant_id = %(t)s and j.job_type = 'react_to_message' order by 2, 3",
}
_WITH = (
    "with named as (select contact_id, string_agg(kind || ':' || value, ' ' order by kind, value)"
    " as name from messaging.contact_identifiers group by contact_id), numbered as (select id,"
    " row_number() over (partition by tenant_id order by created_at) as place"
    " from messaging.whatsapp_accounts) "
)


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def left(place: Place, number: Number) -> dict[str, list[Any]]:
    """Return what the number's tenant holds, by names instead of ids."""
    return {
        name: place.everything.execute(_WITH + query, {"t": number.tenant_id}).fetchall()
        for name, query in _LEFT.items()
    }


def post(place: Place, *bodies: bytes) -> None:
    for body in bodies:
        assert place.usual.post(body) == 200
    assert place.letters() == {}


def changed_number(
    number: Number, wamid: str, old: str, new: str, at: int = SECOND, **more: Any
) -> Update:
    content = {"type": "user_changed_number", "wa_id": new, **more}
    return message(number, wamid, Person(old), at, kind="system", content=content)


def updated_user_id(number: Number, at: int = SECOND, **parts: Any) -> bytes:
    value: Json = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": number.phone_number_id},
        "user_id_update": [{"timestamp": str(at), **parts}],
    }
    change = {"field": "user_id_update", "value": value}
    return body_of([{"id": number.waba_id, "changes": [change]}])


def at(offset: int) -> Any:
    return NOW + timedelta(seconds=offset)


# Any order.


@pytest.mark.parametrize("together", [True, False], ids=["one body", "many bodies"])
def test_identifiers_that_are_paired_late_end_as_if_they_had_been_from_the_start(
    place: Place, *, together: bool
) -> None:
    looks = [
        Person(PHONE, name="Ana", username="ana"),
        Person(None, USER, name="Ana María"),
        Person(None, USER, PARENT),
        Person(PHONE, USER),
    ]
    delivered: list[Update] = []
    for order in itertools.permutations(range(4)):
        number = place.number()
        updates = [message(number, f"wamid.{n}", looks[n], SECOND + n) for n in order]
        post(place, *([pack(updates)] if together else [pack([update]) for update in updates]))
        delivered += updates
    # The model of intake, which knows nothing of any order.
    assert_equal(place, expected(delivered, [], SECOND))


def test_a_changed_number_and_messages_of_both_numbers_end_alike_in_every_order(
    place: Place,
) -> None:
    delivered: list[Update] = []
    seen = []
    for order in itertools.permutations(range(4)):
        number = place.number()
        updates = [
            message(number, "wamid.old", Person(PHONE, USER, name="Ana"), SECOND - 9),
            changed_number(number, "wamid.change", PHONE, NEXT, SECOND - 5),
            message(number, "wamid.new", Person(NEXT, NEW_USER, name="Ana B"), SECOND - 1),
            changed_number(number, "wamid.again", NEXT, LAST, SECOND - 2),
        ]
        for n in [*order, order[0]]:
            post(place, pack([updates[n]]))
        delivered += updates
        seen.append(left(place, number))
    assert_equal(place, expected(delivered, [], SECOND))
    assert all(one == seen[0] for one in seen)
    (contact,) = seen[0]["contacts"]
    assert contact[4] == f"+{LAST}"
    assert seen[0]["changes"] == [
        (*("user_changed_number", "phone"), old, old, new, at(when), contact[0])
        for old, new, when in ((PHONE, NEXT, -5), (NEXT, LAST, -2))
    ]


def test_of_two_numbers_without_any_change_told_the_same_is_shown_in_every_order(
    place: Place,
) -> None:
    for order in itertools.permutations((PHONE, NEXT, LAST)):
        number = place.number()
        for n, phone in enumerate(order):
            post(place, pack([message(number, f"wamid.{n}", Person(phone, USER))]))
        (contact,) = left(place, number)["contacts"]
        assert contact[4] == f"+{LAST}"


def test_somebody_who_takes_up_a_number_again_is_shown_with_it(place: Place) -> None:
    for order in itertools.permutations(range(3)):
        number = place.number()
        updates = [
            changed_number(number, "wamid.1", PHONE, NEXT, SECOND - 9),
            changed_number(number, "wamid.2", NEXT, PHONE, SECOND - 5),
            message(number, "wamid.3", Person(NEXT), SECOND - 1),
        ]
        for n in order:
            post(place, pack([updates[n]]))
        (contact,) = left(place, number)["contacts"]
        assert contact[4] == f"+{PHONE}"


def test_a_replaced_user_id_is_the_same_person_in_every_order(place: Place) -> None:
    seen = []
    for order in itertools.permutations(range(4)):
        number = place.number()
        bodies = [
            pack([message(number, "wamid.1", Person(None, USER, name="Ana"), SECOND - 9)]),
            pack([message(number, "wamid.2", Person(None, NEW_USER), SECOND - 1)]),
            pack([message(number, "wamid.3", Person(PHONE), SECOND - 8)]),
            updated_user_id(
                number,
                SECOND - 5,
                wa_id=PHONE,
                user_id={"previous": USER, "current": NEW_USER},
                parent_user_id={"current": PARENT},
            ),
        ]
        post(place, *(bodies[n] for n in (*order, order[0])))
        seen.append(left(place, number))
    assert all(one == seen[0] for one in seen)
    (contact,) = seen[0]["contacts"]
    assert contact[0].split() == [
        *(f"parent_user_id:{PARENT}", f"phone:{PHONE}", f"user_id:{USER}", f"user_id:{NEW_USER}")
    ]
    assert [row[2:] for row in seen[0]["conversations"]] == [
        (3, 3, at(86_399), at(-1), at(-1), "wamid.2", "text of wamid.2", "open")
    ]
    assert [row[1:5] for row in seen[0]["changes"]] == [
        ("parent_user_id", PHONE, "", PARENT),
        ("user_id", PHONE, USER, NEW_USER),
    ]
    assert [row[1:] for row in seen[0]["marks"] if row[0] == "user_id"] == [
        (USER, None),
        (NEW_USER, at(-5)),
    ]


def test_the_old_words_and_a_new_security_code_are_understood(place: Place) -> None:
    number = place.number()
    old = {"type": "customer_changed_number", "new_wa_id": NEXT}
    code = {"type": "customer_identity_changed"}
    old_code = {"type": "user_identity_changed", "identity": "aA=="}
    whole = {"type": "user_changed_user_id", "wa_id": LAST, "user_id": USER}
    post(
        place,
        pack([message(number, "wamid.1", Person(PHONE), kind="system", content=old)]),
        pack([message(number, "wamid.2", Person(NEXT), kind="system", content=whole)]),
        pack([message(number, "wamid.5", Person(NEXT), kind="system", content=old_code)]),
        pack(
            [
                message(number, "w.3", Person(NEXT), kind="system", content=code)
                if n
                else message(
                    number,
                    "wamid.4",
                    Person(NEXT),
                    kind="system",
                    content=code,
                    identity={"hash": "aQ=="},
                )
                for n in range(2)
            ]
        ),
    )
    rows = left(place, number)
    assert [row[:5] for row in rows["changes"]] == [
        ("customer_changed_number", "phone", PHONE, PHONE, NEXT),
        ("customer_identity_changed", "identity", NEXT, "", "aQ=="),
        ("user_changed_user_id", "phone", NEXT, NEXT, LAST),
        ("user_changed_user_id", "user_id", NEXT, "", USER),
        ("user_identity_changed", "identity", NEXT, "", "aA=="),
    ]
    assert len(rows["contacts"]) == 1
    assert place.count("contacts") == 1


def test_changes_across_two_numbers_and_two_tenants_end_alike_and_share_nothing(
    place: Place,
) -> None:
    chance = random.Random(seed())
    seen = []
    delivered: list[Update] = []
    for round_ in range(12):
        first = place.number()
        sibling, stranger = place.number(first.tenant_id), place.number()
        updates = [
            message(first, "wamid.1", Person(PHONE, name="Ana"), SECOND - 9),
            message(sibling, "wamid.1", Person(None, USER, name="Ana B"), SECOND - 8),
            message(first, "wamid.2", Person(None, USER, PARENT), SECOND - 7),
            changed_number(sibling, "wamid.3", PHONE, NEXT, SECOND - 6),
            changed_number(first, "wamid.3", PHONE, NEXT, SECOND - 6),
            message(sibling, "wamid.4", Person(NEXT), SECOND - 5),
            message(first, "wamid.5", Person(NEXT, USER), SECOND - 4),
        ]
        updates += [
            replace(update, number=stranger) for update in updates if update.number is first
        ]
        chance.shuffle(updates)
        cut = round_ % 4 + 1
        bodies = [pack(updates[n : n + cut]) for n in range(0, len(updates), cut)]
        post(place, *bodies, *chance.sample(bodies, 2))
        delivered += updates
        seen.append([left(place, first), left(place, stranger)])
        assert [len(part["contacts"]) for part in seen[-1]] == [1, 1]
    assert_equal(place, expected(delivered, [], SECOND))
    for mine, theirs in seen:
        for part in ("contacts", "marks", "changes", "messages"):
            assert (mine[part], theirs[part]) == (seen[0][0][part], seen[0][1][part])


def test_a_merge_is_told_with_its_reason_and_its_roots_never_form_a_chain(place: Place) -> None:
    number = place.number()
    third = place.number(number.tenant_id)
    for n, person in enumerate((Person(NEXT), Person(PHONE), Person(None, USER))):
        post(place, pack([message(third, f"wamid.{n}", person, SECOND - 20 + n)]))
    post(place, pack([changed_number(number, "wamid.3", PHONE, NEXT, SECOND - 5)]))
    body = updated_user_id(number, SECOND - 4, wa_id=NEXT, user_id={"current": USER})
    post(place, body)
    for n, person in enumerate((Person(LAST), Person(None, NEW_USER), Person(LAST, NEW_USER))):
        post(place, pack([message(number, f"wamid.9{n}", person, SECOND)]))

    assert place.rows(
        "select m.reason, m.told_at, c.merged_into = coalesce(w.merged_into, w.id)"
        " from messaging.contact_merges as m join messaging.contacts as c on c.id = m.loser_id"
        " join messaging.contacts as w on w.id = m.winner_id order by m.reason"
    ) == [
        ("late_pairing", None, True),
        ("number_change", at(-5), True),
        ("user_id_change", at(-4), True),
    ]
    assert (
        place.one(
            "select count(*) from messaging.contacts as c join messaging.contacts as r"
            " on r.id = c.merged_into where r.merged_into is not null"
        )
        == 0
    )


def test_the_known_person_is_written_without_looking_for_strangers(place: Place) -> None:
    # The one-message road stays: nothing of a merge is asked of a person known by each identifier.
    number = place.number()
    post(place, pack([message(number, "wamid.0", Person(PHONE, USER))]))
    place.everything.execute("alter function messaging.claim_contacts rename to gone")
    post(place, pack([message(number, "wamid.1", Person(PHONE, USER))]))
    assert place.count("whatsapp_messages") == 2
