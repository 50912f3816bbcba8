"""What each kind of message does to its conversation; counters are those of a recount."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.databases import ClonedDatabase
from tests.deliveries import SECOND, Json, Number, Person, Place, Update, aws_at_hand, message, seed
from tests.intake_model import History, deliveries

ANA, BEN = Person("4915551234567"), Person("4915557654321")


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    with aws_at_hand():
        place = Place(database)
        yield place
        place.close()


SAID: dict[str, Json] = {
    "text": {"body": "hi"},
    "image": {"id": "img"},
    "button": {"text": "Yes", "payload": "yes"},
    "interactive": {"type": "button_reply", "button_reply": {"id": "1", "title": "Yes"}},
    "order": {"product_items": []},
    "location": {"latitude": 1, "longitude": 2},
    "unsupported": {"type": "poll_creation"},
    "hologram": {"depth": 3},
}
NOT_SAID: dict[str, Json] = {
    "reaction": {"message_id": "wamid.0", "emoji": "👍"},
    "request_welcome": {},
    "system": {"body": "…", "type": "customer_identity_changed"},
    "edit": {
        "original_message_id": "wamid.0",
        "message": {"type": "text", "text": {"body": "x"}},
    },
    "revoke": {"original_message_id": "wamid.0"},
}


def thread(place: Place, status: str) -> Number:
    """Return a number with one conversation: read, archived and of this status for an hour."""
    number = place.number()
    place.post(message(number, "wamid.0", ANA, SECOND - 3600))
    place.everything.execute(
        "update messaging.whatsapp_conversations set status = %s, unread_count = 0,"
        " closed_at = case when %s = 'closed' then clock_timestamp() end,"
        " archived_at = clock_timestamp() where account_id = %s",
        (status, status, number.account_id),
    )
    place.everything.execute("delete from messaging.scheduled_jobs")
    return number


def write(place: Place, number: Number, kind: str, content: Json, others: int) -> None:
    more = [message(number, f"wamid.x{n}", BEN) for n in range(others)]
    place.post(message(number, "wamid.1", ANA, kind=kind, content=content), *more)


FOUND = (
    "select v.status, v.closed_at is not null, v.archived_at is not null, v.unread_count,"
    " v.message_count, (select count(*) from messaging.scheduled_jobs as j"
    " where j.job_type = 'react_to_message' and j.lane = v.id::text)"
    " from messaging.whatsapp_conversations as v join messaging.contacts as c"
    " on c.id = v.contact_id where v.account_id = %s and c.phone_number = %s"
)
alone_or_not = pytest.mark.parametrize("others", [0, 1], ids=["alone", "among others"])


@alone_or_not
@pytest.mark.parametrize("status", ["resolved", "closed", "pending", "open"])
def test_what_a_person_says_brings_the_thread_back(place: Place, status: str, others: int) -> None:
    for kind, content in SAID.items():
        number = thread(place, status)

        write(place, number, kind, content, others)

        after = "pending" if status == "pending" else "open"
        reacts = int(kind != "unsupported")
        assert place.rows(FOUND, number.account_id, f"+{ANA.phone}") == [
            (after, False, False, 1, 2, reacts)
        ], kind


@alone_or_not
@pytest.mark.parametrize("status", ["resolved", "closed", "open"])
def test_what_is_no_saying_leaves_it_where_it_is(place: Place, status: str, others: int) -> None:
    for kind, content in NOT_SAID.items():
        number = thread(place, status)

        write(place, number, kind, content, others)

        reacts = int(kind in {"reaction", "request_welcome"})
        assert place.rows(FOUND, number.account_id, f"+{ANA.phone}") == [
            (status, status == "closed", True, 0, 2, reacts)
        ], kind


@alone_or_not
def test_spam_is_counted_stays_away_and_wakes_nobody(place: Place, others: int) -> None:
    for kind, content in (SAID | NOT_SAID).items():
        number = thread(place, "spam")

        write(place, number, kind, content, others)

        unread = int(kind in SAID)
        assert place.rows(FOUND, number.account_id, f"+{ANA.phone}") == [
            ("spam", False, True, unread, 2, 0)
        ], kind
        if others:
            assert place.rows(FOUND, number.account_id, f"+{BEN.phone}")[0][5] == 1


@alone_or_not
def test_only_what_opens_the_window_moves_its_end(place: Place, others: int) -> None:
    kinds = SAID | NOT_SAID
    for kind, content in kinds.items():
        number = thread(place, "open")

        write(place, number, kind, content, others)

        moved: Any = place.one(
            "select extract(epoch from v.window_expires_at) from messaging.whatsapp_conversations"
            " as v join messaging.contacts as c on c.id = v.contact_id"
            " where v.account_id = %s and c.phone_number = %s",
            number.account_id,
            f"+{ANA.phone}",
        )
        opens = kind not in {"system", "edit", "revoke"}
        assert moved == SECOND + 86_400 - (0 if opens else 3600), kind


RECOUNT = """
select v.id, v.unread_count, v.message_count, v.window_expires_at, v.last_inbound_at,
    v.last_message_at, v.last_message_key, v.last_message_direction,
    r.unread, r.messages, r.window_end, r.newest, r.newest, l.wa_message_id, l.direction
from messaging.whatsapp_conversations as v
cross join lateral (
    select count(*) filter (where m.message_type
            not in ('reaction', 'system', 'edit', 'revoke', 'request_welcome')) as unread,
        count(*) as messages, max(m.occurred_at) as newest,
        max(m.occurred_at) filter (where m.message_type not in ('system', 'edit', 'revoke')
            and v.group_id is null) + interval '24 hours' as window_end
    from messaging.whatsapp_messages as m
    where m.tenant_id = v.tenant_id and m.conversation_id = v.id
) as r
cross join lateral (
    select m.wa_message_id, m.direction from messaging.whatsapp_messages as m
    where m.tenant_id = v.tenant_id and m.conversation_id = v.id
    order by m.occurred_at desc, m.wa_message_id collate "C" desc limit 1
) as l
where not exists (select from messaging.whatsapp_messages as m
    where m.conversation_id = v.id and m.direction = 'outbound')
"""


@pytest.mark.parametrize("n", range(3))
def test_counters_are_those_of_a_recount_after_any_history(place: Place, n: int) -> None:
    chance = random.Random(seed() * 7919 + n)
    updates: list[Update] = [
        update for update in History(place, chance, 80).updates() if update.list_name == "messages"
    ]

    for body in deliveries(updates, chance, 2):
        assert place.usual.post(body) == 200
    place.drain()

    rows = place.rows(RECOUNT)
    assert len(rows) > 5
    for row in rows:
        assert row[1:8] == row[8:]
