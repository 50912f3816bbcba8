"""Any order, grouping and repetition of what is told of accounts ends in the same rows."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from switchboard.whatsapp.webhook.fields import FIELDS
from tests.databases import ClonedDatabase
from tests.deliveries import (
    SECOND,
    Environment,
    Number,
    Place,
    aws_at_hand,
    body_of,
    in_threads,
    report,
    seed,
)
from tests.field_changes import PAYLOADS, Json, final_rows, payload

#: Kinds of events that have a state kept by aspects, or a log.
KINDS = frozenset(
    {
        *("account_event", "address_book", "business_account", "flow", "group", "number"),
        "template",
    }
)
#: Payload files of the fields that give them.
FILES = sorted(
    path.stem
    for path in PAYLOADS.glob("*.json")
    if any(path.stem.startswith(field.name) for field in FIELDS if KINDS & set(field.events))
)
#: What a value is replaced by, so that states differ; each under the key it stands for.
OTHERS: dict[str, list[Any]] = {
    "event": ["APPROVED", "PAUSED", "FLAGGED", "THROUGHPUT_UPGRADE", "ACCOUNT_DELETED"],
    "type": ["group_suspend_cleared", "group_delete", "group_participants_add"],
    "decision": ["APPROVED", "REJECTED"],
    "waba_ban_state": ["DISABLE", "REINSTATE", "SCHEDULE_FOR_DISABLE"],
    "restriction_type": ["RESTRICTED_BIZ_INITIATED_MESSAGING", "RESTRICTED_OTHER"],
    "expiration": [SECOND - 5, SECOND + 5, None],
    "new_quality_score": ["GREEN", "RED"],
    "new_category": ["UTILITY", "MARKETING"],
    "correct_category": ["AUTHENTICATION", None],
    "category_update_timestamp": [SECOND, SECOND + 9],
    "message_template_language": ["es-MX", "en_US"],
    "message_template_id": [1, 2],
    "new_status": ["BLOCKED", "THROTTLED"],
    "alert_state": ["ACTIVATED", "DEACTIVATED"],
    "username": ["one", "two"],
    "requested_verified_name": ["One", "Two"],
    "current_limit": ["TIER_250", "TIER_1K"],
    "max_daily_conversations_per_business": [-1, 250, "TIER_10K"],
    "subject": ["one", "two", None],
    "group_subject": [{"text": "a"}, {"text": "b"}, {"text": "c", "update_successful": False}],
    "full_name": ["Lucía", "L.", None],
    "action": ["add", "remove"],
    "wa_id": ["4915550000001", "4915550000002"],
    "removed_participants": [[{"wa_id": "4915550000001"}], [{"user_id": "DE.1"}]],
    "status": ["Active", "approved", "ENABLED"],
    "body": ["copia 2"],
    "code": [130429, 131000],
}
TIMES = frozenset({"timestamp", "updated_timestamp", "tier_update_time"})


def vary(chance: random.Random, part: Any) -> Any:
    """Return `part` with some values replaced by others that Meta could have sent."""
    if isinstance(part, list):
        return [vary(chance, each) for each in part]
    if not isinstance(part, dict):
        return part
    varied = {}
    for key, value in part.items():
        if key in TIMES:
            varied[key] = type(value)(SECOND + chance.randrange(4))
        elif key in OTHERS and chance.random() < 0.4:
            varied[key] = chance.choice(OTHERS[key])
        else:
            varied[key] = vary(chance, value)
    return varied


def history(chance: random.Random, place: Place, number: Number, size: int) -> list[Json]:
    """Return changes of every payload file and `size` more, at times that often are the same."""
    told: list[Json] = []
    for name in (*FILES, *chance.choices(FILES, k=size)):
        for entry in payload(name, place, number):
            changed = vary(chance, copy.deepcopy(entry))
            if "time" in changed:
                changed["time"] = SECOND + chance.randrange(4)
            if chance.random() < 0.1:
                changed.pop("time", None)
            told.append(changed)
    return told


def deliver(environments: list[Environment], told: list[Json], chance: random.Random) -> None:
    """Deliver `told` shuffled and partly repeated, several entries a body, from all clients."""
    shares: list[list[bytes]] = [[] for _ in environments]
    for share in shares:
        mine = told if len(environments) == 1 else [e for e in told if chance.random() < 0.7]
        again = mine + chance.sample(mine, len(mine) // 3)
        chance.shuffle(again)
        while again:
            size = chance.randint(1, 12)
            share.append(body_of(again[:size]))
            again = again[size:]
    # What no client took by chance.
    shares[0].append(body_of(told))

    def post(client: int) -> None:
        for body in shares[client]:
            assert environments[client].post(body) == 200

    in_threads(len(environments), post)


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    with aws_at_hand():
        place = Place(database)
        yield place
        place.close()


def play(place: Place, number: int, size: int) -> int:
    """Tell one tenant a history in its order, another the same by two clients in other orders."""
    one, other = place.number(), place.number()
    first = history(random.Random(number), place, one, size)
    deliver([place.usual], first, random.Random(number))
    second = history(random.Random(number), place, other, size)
    clients = [place.environment(now=place.usual.tools.clock.now) for _ in range(2)]
    deliver(clients, second, random.Random(number + 1))
    place.drain()
    rows, others = final_rows(place, one), final_rows(place, other)
    for client in clients:
        client.close()
    assert rows == others, f"history {number}, size {size}"
    assert all(rows.values())
    # What the variations made unreadable; solutions name a portfolio, which is nobody's.
    assert {reason for _, reason in place.letters()} <= {"malformed", "unknown_portfolio"}
    return len(first)


@pytest.mark.parametrize("n", range(3))
def test_any_order_and_repetition_ends_in_the_same_rows(place: Place, n: int) -> None:
    play(place, seed() * 1000 + n, size=40)


@pytest.mark.soak
def test_many_orders_and_repetitions_end_in_the_same_rows(place: Place) -> None:
    told = sum(play(place, seed() * 1000 + n, size=n % 60) for n in range(200))
    report("fields", histories=200, changes=told, different=0)


def test_every_such_field_is_among_the_histories() -> None:
    fields = [field for field in FIELDS if KINDS & set(field.events)]
    assert len(fields) == 26
    for field in fields:
        assert any(name.startswith(field.name) for name in FILES), field.name
