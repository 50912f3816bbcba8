"""A merge moves every row that names a contact or its conversation, and loses none."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from switchboard.kernel.clock import uuid7
from tests.databases import ClonedDatabase
from tests.deliveries import NOW, SECOND, Number, Person, Place, message, pack

A, B, C = "4915551234567", "4915557654321", "4915550000777"


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


@pytest.fixture
def number(place: Place) -> Number:
    return place.number()


def write(place: Place, number: Number, phone: str, count: int = 1, **extra: Any) -> None:
    updates = [
        message(number, f"wamid.{phone}.{n}", Person(phone), SECOND + n, **extra)
        for n in range(count)
    ]
    assert place.usual.post(pack(updates)) == 200


def contact(place: Place, number: Number, phone: str) -> UUID:
    found: UUID = place.one(
        "select contact_id from messaging.contact_identifiers"
        " where tenant_id = %s and kind = 'phone' and value = %s",
        *(number.tenant_id, phone),
    )
    return found


def conversation(place: Place, number: Number, phone: str) -> UUID:
    found: UUID = place.one(
        "select v.id from messaging.whatsapp_conversations as v join messaging.contact_identifiers"
        " as i on i.contact_id = v.contact_id where v.account_id = %s and i.value = %s",
        *(number.account_id, phone),
    )
    return found


def merge(place: Place, number: Number, contacts: Sequence[UUID]) -> UUID:
    """Merge as the role of the functions does; return the winner."""
    with psycopg.connect(place.database.app_url) as link:
        row = link.execute(
            "select messaging.merge_contacts(%s, %s, 'late_pairing', null, %s)",
            (number.tenant_id, list(contacts), NOW),
        ).fetchone()
    assert row is not None
    winner: UUID = row[0]
    return winner


def two(place: Place, number: Number, counts: tuple[int, int] = (1, 1)) -> tuple[UUID, UUID]:
    """Make two contacts who have written; the first is the older one."""
    for phone, count in zip((A, B), counts, strict=True):
        write(place, number, phone, count)
    older, younger = contact(place, number, A), contact(place, number, B)
    place.everything.execute(
        "update messaging.contacts set created_at = created_at - interval '1 day' where id = %s",
        (older,),
    )
    return older, younger


# ---------------------------------------------------------------------------------- every row


def columns(place: Place) -> list[tuple[str, str]]:
    """Return the columns that hold a contact's id, found by name and by foreign key."""
    return place.rows(
        "select distinct c.relname, a.attname from pg_class as c"
        " join pg_attribute as a on a.attrelid = c.oid left join pg_constraint as k"
        " on k.conrelid = c.oid and k.contype = 'f' and a.attnum = any (k.conkey)"
        " and k.confrelid = 'messaging.contacts'::regclass and a.attname <> 'tenant_id'"
        " where c.relnamespace = 'messaging'::regnamespace and c.relkind in ('r', 'p')"
        " and not c.relispartition and (a.attname = 'contact_id' or k.oid is not null)"
        " order by 1, 2"
    )


def test_every_row_that_named_a_loser_names_the_winner(place: Place, number: Number) -> None:
    sibling = place.number(number.tenant_id)
    older, younger = two(place, number, (2, 3))
    write(place, sibling, B)
    write(place, number, B + "1", group_id="group")
    grouped = message(number, "wamid.group", Person(B), group_id="group")
    image = message(
        number, "wamid.img", Person(B), kind="image", content={"id": "m", "mime_type": "image/png"}
    )
    assert place.usual.post(pack([grouped, image])) == 200
    tenant, thread = number.tenant_id, conversation(place, number, B)
    put = place.everything.execute
    put(
        "insert into messaging.send_attempts (tenant_id, message_id, account_id, contact_id,"
        " conversation_id, lane, kind, priority, due_at, recipient, recipient_kind)"
        " select tenant_id, id, account_id, contact_id, conversation_id, conversation_id,"
        " 'reply', 10, now(), '1', 'phone' from messaging.whatsapp_messages"
        " where wa_message_id = %s",
        (f"wamid.{B}.0",),
    )
    put(
        "insert into messaging.whatsapp_messages select (jsonb_populate_record(m, %s)).*"
        " from messaging.whatsapp_messages as m where wa_message_id = %s and account_id = %s",
        (
            Jsonb({"id": str(uuid7()), "direction": "outbound"}),
            f"wamid.{B}.0",
            number.account_id,
        ),
    )
    put(
        "insert into messaging.delivery_logs (tenant_id, id, message_id, contact_id, channel,"
        " recipient, status) select tenant_id, %s, id, contact_id, 'whatsapp', '1', 'sent'"
        " from messaging.whatsapp_messages where direction = 'outbound'",
        (uuid7(),),
    )
    put(
        "insert into messaging.conversation_participants (tenant_id, conversation_id,"
        " participant, contact_id, type) values (%s, %s, 'p', %s, 'user')",
        (tenant, thread, younger),
    )
    before = {
        name: place.count(name)
        for name in ("contacts", "whatsapp_messages", "media", "delivery_logs", "send_attempts")
    }

    assert merge(place, number, [younger, older]) == older

    told = [("contact_merges", "loser_id"), ("contacts", "merged_into")]
    for table, column in columns(place):
        rows = place.rows(f"select count(*) from messaging.{table} where {column} = %s", younger)
        assert rows == [(int((table, column) == told[0]),)], (table, column)
    assert before == {name: place.count(name) for name in before}
    assert place.one("select count(*) from messaging.whatsapp_conversations") == 3
    for table in ("whatsapp_messages", "send_attempts", "media", "conversation_participants"):
        gone = f"select count(*) from messaging.{table} where conversation_id = %s"
        assert place.one(gone, thread) == 0, table
    kept = conversation(place, number, A)
    assert place.one("select messaging.conversation_now(%s, %s)", tenant, thread) == kept
    assert place.rows(
        "select unread_count, message_count, last_message_key, window_expires_at"
        " from messaging.whatsapp_conversations where id = %s",
        kept,
    ) == [(6, 6, f"wamid.{B}.2", NOW + timedelta(days=1, seconds=2))]
    assert conversation(place, sibling, A) == conversation(place, sibling, B)
    assert contact(place, number, B) == older


def test_a_table_of_a_later_migration_is_found(place: Place, number: Number) -> None:
    older, younger = two(place, number)
    place.everything.execute(
        "create table messaging.later (tenant_id uuid, id int, contact_id uuid, topic text,"
        " friend uuid, thread uuid, primary key (tenant_id, id),"
        " unique (tenant_id, contact_id, topic), foreign key (tenant_id, friend)"
        " references messaging.contacts (tenant_id, id), foreign key (tenant_id, thread)"
        " references messaging.whatsapp_conversations (tenant_id, id));"
        " grant select, update on messaging.later to app"
    )
    gone = conversation(place, number, B)
    for n, (whose, topic) in enumerate([(older, "a"), (younger, "a"), (younger, "b")]):
        place.everything.execute(
            "insert into messaging.later values (%s, %s, %s, %s, %s, %s)",
            (number.tenant_id, n, whose, topic, younger, gone),
        )

    merge(place, number, [older, younger])

    kept = conversation(place, number, A)
    assert place.rows("select id, contact_id, friend, thread from messaging.later order by 1") == [
        (0, older, older, kept),
        # Two would be one: it stays where it is, and its id answers for ever.
        (1, younger, older, kept),
        (2, older, older, kept),
    ]


def test_a_table_may_say_itself_how_two_of_its_rows_become_one(
    place: Place, number: Number
) -> None:
    older, younger = two(place, number)
    place.everything.execute(
        "create table messaging.tallies (tenant_id uuid, contact_id uuid, points int,"
        " primary key (tenant_id, contact_id));"
        " grant select, update, delete on messaging.tallies to app;"
        " create function messaging.merge_tallies_contact_id(p_tenant uuid, p_from uuid[],"
        " p_to uuid, p_now timestamptz) returns void language sql as $$ with gone as (delete from"
        " messaging.tallies where tenant_id = p_tenant and contact_id = any (p_from) returning"
        " points) update messaging.tallies set points = points + (select sum(points) from gone)"
        " where tenant_id = p_tenant and contact_id = p_to $$"
    )
    for whose, points in ((older, 3), (younger, 4)):
        place.everything.execute(
            "insert into messaging.tallies values (%s, %s, %s)", (number.tenant_id, whose, points)
        )

    merge(place, number, [older, younger])

    assert place.rows("select contact_id, points from messaging.tallies") == [(older, 7)]


# ----------------------------------------------------------------- what must be said for each table


def test_the_functions_role_may_change_every_column_that_names_a_contact(place: Place) -> None:
    closed = [
        (table, column)
        for table, column in columns(place)
        if table != "contact_merges"
        and not place.one(
            "select has_column_privilege('app', %s, %s, 'update')", f"messaging.{table}", column
        )
    ]
    assert closed == []


def test_where_one_row_per_contact_is_allowed_something_makes_one_of_two(place: Place) -> None:
    keyed = place.rows(
        "select distinct c.relname, a.attname from pg_index as i"
        " join pg_class as c on c.oid = i.indrelid join pg_attribute as a"
        " on a.attrelid = c.oid and a.attnum = any (i.indkey)"
        " where i.indisunique and c.relnamespace = 'messaging'::regnamespace"
        " and not c.relispartition and a.attname in ('contact_id', 'conversation_id')"
        " and c.relname not in ('whatsapp_conversations', 'conversation_merges')"
    )
    # They are a group's: only people's own conversations are merged.
    for table in ("conversation_participants", "whatsapp_groups"):
        keyed.remove((table, "conversation_id"))
    missing = [
        (table, column)
        for table, column in keyed
        if place.one("select to_regproc(%s) is null", f"messaging.merge_{table}_{column}")
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("table", "function", "kept"),
    [
        ("contacts", "merge_contacts", {"tenant_id", "id", "merged_into"}),
        (
            "whatsapp_conversations",
            "merge_conversations",
            {"tenant_id", "id", "account_id", "contact_id", "group_id"},
        ),
    ],
)
def test_every_column_of_what_is_folded_is_folded(
    place: Place, table: str, function: str, kept: set[str]
) -> None:
    body = place.one(f"select prosrc from pg_proc where proname = '{function}'")
    names = place.rows(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0"
        " and attgenerated = '' and not attisdropped",
        f"messaging.{table}",
    )
    forgotten = [name for (name,) in names if name not in kept and f"v_one.{name}" not in body]
    assert forgotten == ["updated_at"], "say in the function what two of them make"


# ---------------------------------------------------------------------------------- states


def test_no_opt_out_is_lost_and_the_later_word_counts(place: Place, number: Number) -> None:
    early, late = NOW - timedelta(days=2), NOW - timedelta(days=1)
    for mine, theirs, result in (
        (("pending", None, None), ("opted_out", None, late), "opted_out"),
        (("pending", None, None), ("opted_in", late, None), "opted_in"),
        (("opted_in", early, None), ("opted_out", None, late), "opted_out"),
        (("opted_in", late, None), ("opted_out", None, early), "opted_in"),
        (("opted_in", late, None), ("opted_out", None, late), "opted_out"),
        (("opted_in", late, None), ("opted_out", None, None), "opted_out"),
        (("opted_in", None, None), ("opted_out", None, early), "opted_out"),
        (("opted_in", late, early), ("opted_in", early, None), "opted_in"),
    ):
        for turned in (False, True):
            own = place.number()
            people = two(place, own)
            states = (theirs, mine) if turned else (mine, theirs)
            for person, state in zip(people, states, strict=True):
                place.everything.execute(
                    "update messaging.contacts set opt_in_status = %s, opted_in_at = %s,"
                    " opted_out_at = %s where id = %s",
                    (*state, person),
                )
            winner = merge(place, own, people)
            times: list[list[Any]] = [[s[n] for s in states if s[n] is not None] for n in (1, 2)]
            assert place.rows(
                "select opt_in_status, opted_in_at, opted_out_at from messaging.contacts"
                " where id = %s",
                winner,
            ) == [(result, *(max(known, default=None) for known in times))]


def test_what_staff_filled_in_stays_and_a_block_holds(place: Place, number: Number) -> None:
    older, younger = two(place, number)
    place.everything.execute(
        "update messaging.contacts set name = 'Ana', tags = '{vip,b2b}',"
        """ attributes = '{"a": 1, "b": 1}' where id = %s""",
        (older,),
    )
    place.everything.execute(
        "update messaging.contacts set name = 'A. B.', email = 'a@example.org', is_blocked = true,"
        """ tags = '{new,vip}', attributes = '{"b": 2, "c": 2}', external_user_id = 'u-1'"""
        " where id = %s",
        (younger,),
    )
    place.everything.execute(
        "update messaging.whatsapp_conversations set status = 'resolved', closed_at = now(),"
        " archived_at = now(), tags = '{x}', priority = 'low' where contact_id = %s",
        (older,),
    )

    merge(place, number, [older, younger])

    assert place.rows(
        "select name, email, is_blocked, tags, attributes, external_user_id"
        " from messaging.contacts where id = %s",
        older,
    ) == [
        ("Ana", "a@example.org", True, ["b2b", "new", "vip"], {"a": 1, "b": 1, "c": 2}, "u-1"),
    ]
    assert place.rows(
        "select status, closed_at, archived_at, tags, priority"
        " from messaging.whatsapp_conversations"
    ) == [("open", None, None, ["x"], "medium")]


def test_a_spammers_conversation_stays_spam(place: Place, number: Number) -> None:
    people = two(place, number)
    place.everything.execute(
        "update messaging.whatsapp_conversations set status = 'spam' where contact_id = %s",
        (people[1],),
    )
    merge(place, number, people)
    assert place.one("select status from messaging.whatsapp_conversations") == "spam"


@pytest.mark.parametrize("spammer", [A, B], ids=["the older", "the younger"])
def test_what_is_spam_stays_archived_though_the_other_thread_was_not(
    place: Place, number: Number, spammer: str
) -> None:
    people = two(place, number)
    archived = place.one(
        "update messaging.whatsapp_conversations set status = 'spam', archived_at = %s"
        " where contact_id = %s returning archived_at",
        *(NOW, contact(place, number, spammer)),
    )
    merge(place, number, people)
    assert place.rows("select status, archived_at from messaging.whatsapp_conversations") == [
        ("spam", archived)
    ]


def test_three_contacts_end_alike_whichever_are_merged_first(place: Place) -> None:
    for order in itertools.permutations(range(3)):
        number = place.number()
        for n, phone in enumerate((A, B, C)):
            write(place, number, phone, n + 1)
        people = [contact(place, number, phone) for phone in (A, B, C)]
        merge(place, number, [people[order[0]], people[order[1]]])
        # By the ids of then: a merged contact's id answers for ever.
        winner = merge(place, number, [people[order[2]], people[order[0]], people[order[1]]])
        assert merge(place, number, people) == winner
        assert place.rows(
            "select message_count, unread_count, last_message_key, contact_id"
            " from messaging.whatsapp_conversations where account_id = %s",
            number.account_id,
        ) == [(6, 6, f"wamid.{C}.2", winner)]
        assert place.rows(
            "select distinct coalesce(merged_into, id) from messaging.contacts"
            " where tenant_id = %s",
            number.tenant_id,
        ) == [(winner,)]
    assert place.count("contact_merges") == 12
    assert place.count("conversation_merges") == 12


# ---------------------------------------------------------------------------------- lanes and jobs


def attempts(place: Place, number: Number) -> list[tuple[Any, ...]]:
    return place.rows(
        "select lane, lease_token is not null, contact_id, conversation_id"
        " from messaging.send_attempts where tenant_id = %s order by seq",
        number.tenant_id,
    )


@pytest.mark.parametrize("leased", list(itertools.product([False, True], repeat=2)))
def test_attempts_go_into_one_lane_and_never_two_of_it_at_once(
    place: Place, number: Number, leased: tuple[bool, bool]
) -> None:
    older, younger = two(place, number, (2, 2))
    for phone, is_leased in zip((A, B), leased, strict=True):
        place.everything.execute(
            "insert into messaging.send_attempts (tenant_id, message_id, account_id, contact_id,"
            " conversation_id, lane, kind, priority, due_at, recipient, recipient_kind,"
            " lease_token, lease_until) select tenant_id, id, account_id, contact_id,"
            " conversation_id, conversation_id, 'reply', 10, now(), '1', 'phone',"
            " case when l then id end, case when l then now() end"
            " from messaging.whatsapp_messages as m cross join lateral"
            " (select %s and m.wa_message_id like '%%.0' as l) as l"
            " where wa_message_id like %s order by wa_message_id",
            (is_leased, f"wamid.{phone}.%"),
        )
    lanes = conversation(place, number, A), conversation(place, number, B)

    merge(place, number, [older, younger])

    both = leased == (True, True)
    assert attempts(place, number) == [
        (lanes[int(both and n == 2)], leased[n // 2] and n % 2 == 0, older, lanes[0])
        for n in range(4)
    ]


def test_waiting_reactions_become_one_and_a_running_one_is_given_back(
    place: Place, number: Number
) -> None:
    older, younger = two(place, number)
    kept, gone = conversation(place, number, A), conversation(place, number, B)
    place.everything.execute(
        "update messaging.scheduled_jobs set status = 'running', unique_key = null, attempts = 1,"
        " lease_token = %s, lease_until = now() where lane = %s",
        (uuid.uuid4(), str(gone)),
    )
    write(place, number, B + "9")
    place.everything.execute(
        "update messaging.scheduled_jobs set lane = %s, unique_key = %s,"
        " args = jsonb_set(args, '{conversation_id}', to_jsonb(%s::text)) where lane = %s",
        (str(gone), str(gone), str(gone), str(conversation(place, number, B + "9"))),
    )

    merge(place, number, [older, younger])

    jobs = place.rows(
        "select lane, status, attempts, lease_token, unique_key, args ->> 'conversation_id',"
        " jsonb_array_length(args -> 'message_ids') from messaging.scheduled_jobs order by id"
    )
    lane = str(kept)
    assert jobs == [
        (lane, "pending", 0, None, lane, lane, 2),
        (lane, "pending", 0, None, None, lane, 1),
    ]


# ---------------------------------------------------------------------------------- sends


def test_a_merged_contacts_id_is_answered_and_sent_to_by_its_newest_number(
    place: Place, number: Number
) -> None:
    older, younger = two(place, number)
    content = {"type": "user_changed_number", "wa_id": B}
    change = message(number, "wamid.s", Person(A), SECOND - 5, kind="system", content=content)
    assert place.usual.post(pack([change])) == 200
    for asked in ([{"n": 0}], [{"n": 0}, {"n": 1}]):
        items = [
            {**item, "from": number.phone_number_id, "contact": str(younger)} for item in asked
        ]
        rows = place.rows(
            "select contact_id, known_phone, conversation_id from messaging.ask_sends(%s, %s)",
            *(number.tenant_id, Jsonb(items)),
        )
        assert rows == [(older, B, conversation(place, number, B))] * len(asked)
