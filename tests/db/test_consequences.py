"""What a code of Meta's leads to is the same rows, told once or often, in whatever order."""

from __future__ import annotations

import itertools
import random
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from switchboard import admin, outbox
from switchboard.inbox.contacts import show_contact
from switchboard.kernel.clock import uuid7
from switchboard.kernel.db import Database
from switchboard.kernel.owner import OwnerSettings
from switchboard.outbox import Origin, Outgoing
from switchboard.store import consequences as store
from switchboard.store import outbox as sends
from switchboard.store.consequences import Alert
from switchboard.store.contacts import Contact
from switchboard.tools import Tools
from switchboard.whatsapp.consequences import consequences_of
from tests.databases import ClonedDatabase
from tests.deliveries import body_of
from tests.sending import Person, Place, PlainSealer, World, connect, deliver, poll

Item = dict[str, Any]


@pytest.fixture
def world(database: ClonedDatabase) -> Iterator[World]:
    with closing(World(database)) as world:
        yield world


@pytest.fixture
def place(world: World) -> Place:
    return world.place()


@pytest.fixture
def owner(world: World, place: Place) -> Iterator[Tools]:
    """The operator's tools, at the place's time."""
    tools = Tools(OwnerSettings(), db=Database(world.database.owner_url), clock=place.time.clock())
    tools.sealer = PlainSealer()  # type: ignore[assignment]
    yield tools
    tools.db.drop()


def seconds(at: datetime) -> int:
    return int(at.timestamp())


def code(place: Place, number: int, at: float = 0, **more: Any) -> list[Item]:
    """Return the items of a code that the place's number met, `at` seconds from its time."""
    about = {"a": place.account_id, "t": seconds(place.time.now) + at, **more}
    return [{**item, **about} for item in consequences_of(number)]


def apply(world: World, place: Place, *items: list[Item]) -> list[Alert]:
    """Apply the items of one answer or webhook, at the place's time."""
    tools = world.tools(place.time.clock())
    alerts = store.apply(
        tools.db.connection(), place.tenant_id, list(itertools.chain(*items)), place.time.now
    )
    tools.db.drop()
    return alerts


def number_of(place: Place, account_id: UUID | None = None) -> dict[str, Any]:
    query = (
        "select sends_paused_until::text as until, sends_paused_reason as reason,"
        " sends_paused_at as at from messaging.whatsapp_accounts where id = %s"
    )
    return _row(place, query, account_id or place.account_id)


def account_of(place: Place) -> dict[str, Any]:
    query = (
        "select sends_paused_until::text as until, sends_paused_reason as reason,"
        " sends_paused_at as at from messaging.whatsapp_business_accounts where waba_id = %s"
    )
    return _row(place, query, place.waba_id)


def _row(place: Place, query: str, key: Any) -> dict[str, Any]:
    cursor = place.everything.execute(query, (key,))
    (row,) = cursor.fetchall()
    assert cursor.description is not None
    return dict(zip([column.name for column in cursor.description], row, strict=True))


def until(place: Place, at: float) -> str:
    moment = place.time.now + timedelta(seconds=at)
    (text,) = place.everything.execute("select %s::timestamptz::text", (moment,)).fetchone() or ()
    return str(text)


FREE = {"until": None, "reason": None, "at": None}


def queue(world: World, place: Place, person: Person) -> UUID:
    """Store a message as a job does; return its id."""
    item = Outgoing(
        phone_number_id=place.phone_number_id,
        phone=person.phone,
        message={"type": "text", "text": {"body": "hello"}},
        origin=Origin.CHATBOT,
    )
    tools = world.tools(place.time.clock())
    with tools.db.transaction(place.tenant_id) as connection:
        (answer,) = outbox.queue(tools, connection, place.tenant_id, [item])
    return UUID(answer.body["id"])


def claim(world: World, place: Place) -> dict[UUID, list[UUID]]:
    tools = world.tools(place.time.clock())
    return sends.claim(tools.db.connection(), uuid.uuid4(), 100, lease_s=30, now=tools.clock.now)


# --- pauses ------------------------------------------------------------------------------------


def test_a_pause_holds_what_waits_of_the_number_until_it_is_over(world: World) -> None:
    place, other = world.place(), world.place()
    waiting = queue(world, place, place.person())
    free = queue(world, other, other.person())
    apply(world, place, code(place, 131048))

    assert number_of(place)["until"] == until(place, 3_600)
    assert number_of(place)["reason"] == "131048 spam rate limit"
    assert claim(world, place) == {other.tenant_id: [free]}
    place.time.turn(seconds=3_601)
    assert claim(world, place) == {place.tenant_id: [waiting]}


def test_of_pauses_the_longest_stands_in_any_order(world: World) -> None:
    ends = []
    for order in itertools.permutations([(131048, 0), (131057, 0), (131048, 30), (4, 20)]):
        place = world.place()
        for number, at in order:
            apply(world, place, code(place, number, at - 60))
        row = number_of(place)
        ends.append((row["until"] == until(place, 3_570), row["reason"]))
    assert set(ends) == {(True, "131048 spam rate limit")}


def test_pauses_without_an_end_end_alike_in_any_order(world: World) -> None:
    ends = set()
    for order in itertools.permutations([(131037, 5), (131045, 0), (190, 9), (131037, 2)]):
        place = world.place()
        for number, at in order:
            apply(world, place, code(place, number, at - 60))
        row = number_of(place)
        ends.add((row["until"], row["reason"], (row["at"] - place.time.now).total_seconds()))
    assert ends == {("infinity", "131037 the display name is not approved", -55.0)}


def test_a_pause_that_is_over_when_it_is_told_is_none(world: World, place: Place) -> None:
    apply(world, place, code(place, 131048, -3_600), code(place, 80007, -61))
    assert number_of(place) == FREE
    assert account_of(place) == FREE


def test_a_dead_token_pauses_its_number_alone(world: World, place: Place) -> None:
    neighbour = uuid.uuid4()
    place.everything.execute(
        "insert into messaging.whatsapp_accounts (tenant_id, id, waba_id, phone_number_id,"
        " phone_number, display_name) values (%s, %s, %s, '99', '+15550009999', 'N')",
        (place.tenant_id, neighbour, place.waba_id),
    )
    apply(world, place, code(place, 190))
    assert (number_of(place)["until"], number_of(place)["reason"]) == ("infinity", "token")
    assert number_of(place, neighbour) == FREE
    assert account_of(place) == FREE


def test_a_late_refusal_of_a_token_that_was_replaced_pauses_nothing(
    world: World, place: Place
) -> None:
    old = b"the old one"
    apply(world, place, code(place, 190, x=old.hex()))
    assert number_of(place) == FREE
    sealed = f"token-{place.phone_number_id}".encode()
    apply(world, place, code(place, 190, x=sealed.hex()), code(place, 190, x=old.hex()))
    assert number_of(place)["reason"] == "token"


@pytest.mark.parametrize(("number", "mended"), [(190, True), (200, True), (131037, False)])
def test_a_new_token_ends_the_pause_of_a_dead_one_and_no_other(
    world: World, place: Place, owner: Tools, number: int, mended: bool
) -> None:
    apply(world, place, code(place, number))
    named = {"tenant": str(place.tenant_id), "number": place.phone_number_id}
    shown = admin.run("number update", {**named, "display_name": "Other"}, tools=owner)
    assert shown["sends_paused_reason"] is not None
    shown = admin.run("number update", {**named, "access_token": "new"}, tools=owner)
    assert (shown["sends_paused_reason"] is None) == mended
    assert (number_of(place) == FREE) == mended


def test_a_pause_is_shown_while_it_lasts(world: World, place: Place, owner: Tools) -> None:
    apply(world, place, code(place, 131048), code(place, 131042))
    holdings = admin.run("tenant show", {"tenant": str(place.tenant_id)}, tools=owner)
    (number,), (account,) = holdings["numbers"], holdings["wabas"]
    assert number["sends_paused_reason"] == "131048 spam rate limit"
    assert number["sends_paused_until"] is not None
    # Nobody knows when.
    assert account["sends_paused_reason"] == "131042 a payment problem"
    assert account["sends_paused_until"] is None


def test_resuming_ends_any_pause_and_what_was_said_before_pauses_nothing_again(
    world: World, place: Place, owner: Tools
) -> None:
    apply(world, place, code(place, 131037), code(place, 131042))
    tenant = {"tenant": str(place.tenant_id)}
    number = admin.run("number resume", {**tenant, "number": place.phone_number_id}, tools=owner)
    account = admin.run("waba resume", {**tenant, "waba": place.waba_id}, tools=owner)
    assert number["sends_paused_reason"] is account["sends_paused_reason"] is None

    # The same webhook once more, and one that was on its way.
    place.time.turn(seconds=10)
    apply(world, place, code(place, 131037, -10), code(place, 131042, -15))
    assert (number_of(place), account_of(place)) == (FREE, FREE)
    apply(world, place, code(place, 131037), code(place, 131042))
    assert number_of(place)["until"] == account_of(place)["until"] == "infinity"


def test_stopping_a_number_leaves_its_pause(world: World, place: Place, owner: Tools) -> None:
    apply(world, place, code(place, 131037))
    named = {"tenant": str(place.tenant_id), "number": place.phone_number_id}
    assert admin.run("number stop", named, tools=owner)["sends_paused_reason"] is not None
    assert number_of(place)["until"] == "infinity"


def reinstate(world: World, place: Place, at: int) -> None:
    value = {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "REINSTATE"}}
    change = {"field": "account_update", "value": value}
    time = seconds(place.time.now) + at
    body = body_of([{"id": place.waba_id, "time": time, "changes": [change]}])
    deliver(world.tools(place.time.clock()), body)


@pytest.mark.parametrize("number", [368, 131031])
@pytest.mark.parametrize("later", ["pause", "reinstatement"])
def test_a_reinstatement_ends_what_meta_did_before_in_any_order(
    world: World, number: int, later: str
) -> None:
    for first in ("pause", "reinstatement"):
        place = world.place()
        at = {"pause": -60, "reinstatement": -60, later: -30}
        for event in (first, *({"pause", "reinstatement"} - {first})):
            if event == "pause":
                apply(world, place, code(place, number, at["pause"]))
            else:
                reinstate(world, place, at["reinstatement"])
        assert (account_of(place) == FREE) == (later == "reinstatement"), first


def test_a_reinstatement_pays_no_bill(world: World, place: Place) -> None:
    apply(world, place, code(place, 131042, -60))
    reinstate(world, place, 0)
    assert account_of(place)["reason"] == "131042 a payment problem"


def test_an_accounts_pause_holds_all_its_numbers(world: World, place: Place) -> None:
    waiting = queue(world, place, place.person())
    apply(world, place, code(place, 80007))
    assert account_of(place)["until"] == until(place, 60)
    assert number_of(place) == FREE
    assert claim(world, place) == {}
    place.time.turn(seconds=61)
    assert claim(world, place) == {place.tenant_id: [waiting]}


def test_throughput_slows_the_number_without_pausing_it(world: World, place: Place) -> None:
    apply(world, place, code(place, 130429))
    assert number_of(place) == FREE
    (bucket,) = place.rows("send_limits")
    assert bucket["learned_rate"] < 80
    # An old one says nothing of what the number may send now.
    other = world.place()
    apply(world, other, code(other, 130429, -60))
    assert other.rows("send_limits") == []


def test_another_tenants_number_and_one_that_is_gone_are_left_alone(
    world: World, place: Place
) -> None:
    other = world.place()
    strange = code(other, 190) + code(other, 131042)
    gone = [{**item, "a": uuid.uuid4()} for item in code(place, 190)]
    assert apply(world, place, strange, gone) == []
    assert number_of(other) == FREE
    assert account_of(other) == FREE


# --- templates ---------------------------------------------------------------------------------

APPROVED = {"status": {"at": 1, "v": {"status": "APPROVED"}}}


def template(place: Place, states: dict[str, Any]) -> None:
    place.everything.execute(
        "insert into messaging.whatsapp_templates (tenant_id, waba_id, name, language, states)"
        " values (%s, %s, 'hello', 'en_US', %s)",
        (place.tenant_id, place.waba_id, Jsonb(states)),
    )


def sent(place: Place, person: Person, **columns: Any) -> UUID:
    """Put a message to `person` there, with these columns; return its id."""
    values = {
        "tenant_id": place.tenant_id,
        "id": uuid7(),
        "account_id": place.account_id,
        "conversation_id": person.conversation_id,
        "contact_id": person.contact_id,
        "direction": "outbound",
        "origin": "api",
        "message_type": "template",
        "content": Jsonb({"name": "hello", "language": {"code": "en_US"}}),
        "status": "failed",
        "status_rank": 70,
        "occurred_at": place.time.now,
        **columns,
    }
    marks = ", ".join(["%s"] * len(values))
    place.everything.execute(
        f"insert into messaging.whatsapp_messages ({', '.join(values)}) values ({marks})",
        list(values.values()),
    )
    return UUID(str(values["id"]))


@pytest.mark.parametrize(
    ("number", "status"),
    [(132001, "UNAVAILABLE"), (132007, "REJECTED"), (132015, "PAUSED"), (132016, "DISABLED")],
)
def test_a_template_gets_the_status_that_the_code_says(
    world: World, place: Place, number: int, status: str
) -> None:
    template(place, APPROVED)
    message = sent(place, place.person())
    apply(world, place, code(place, number, m=message))
    (row,) = place.rows("whatsapp_templates")
    assert (row["status"], row["rejection_reason"]) == (status, str(number))
    assert seconds(row["status_at"]) == seconds(place.time.now)


def test_what_meta_told_of_a_template_since_stays(world: World, place: Place) -> None:
    now = seconds(place.time.now)
    template(place, {"status": {"at": now - 5, "v": {"status": "APPROVED"}}})
    message = sent(place, place.person())
    apply(world, place, code(place, 132015, -10, m=message))
    assert place.rows("whatsapp_templates")[0]["status"] == "APPROVED"
    apply(world, place, code(place, 132015, -1, m=message))
    apply(world, place, code(place, 132015, -10, m=message))
    assert place.rows("whatsapp_templates")[0]["status"] == "PAUSED"


def test_a_template_that_is_not_stored_is_not_made(world: World, place: Place) -> None:
    apply(world, place, code(place, 132015, m=sent(place, place.person())))
    assert place.rows("whatsapp_templates") == []


# --- people ------------------------------------------------------------------------------------


def contact(world: World, place: Place, person: Person) -> Contact:
    tools = world.tools(place.time.clock())
    return show_contact(tools, place.tenant_id, person.contact_id)


def test_who_stopped_marketing_has_withdrawn_a_consent_once(world: World, place: Place) -> None:
    person = place.person()
    message = sent(place, person)
    for _ in range(3):
        apply(world, place, code(place, 131050, -60, m=message))
    (consent,) = place.rows("consents")
    assert (consent["scope"], consent["state"], consent["source"]) == (
        "marketing",
        "withdrawn",
        "whatsapp",
    )
    assert (consent["contact_id"], consent["message_id"]) == (person.contact_id, message)
    shown = contact(world, place, person)
    assert shown.marketing_stopped_at == place.time.now - timedelta(seconds=60)
    assert shown.opt_in_status == "pending"


def test_an_older_refusal_does_not_undo_a_later_yes(world: World, place: Place) -> None:
    person = place.person()
    place.everything.execute(
        "update messaging.contacts set marketing_resumed_at = %s where id = %s",
        (place.time.now - timedelta(seconds=30), person.contact_id),
    )
    apply(world, place, code(place, 131050, -60, m=sent(place, person)))
    shown = contact(world, place, person)
    assert shown.marketing_resumed_at is not None
    assert shown.marketing_stopped_at is not None
    assert shown.marketing_resumed_at > shown.marketing_stopped_at


def test_what_is_said_of_a_merged_contact_is_the_roots(world: World, place: Place) -> None:
    person, root = place.person(), place.person()
    message = sent(place, person)
    place.everything.execute(
        "update messaging.contacts set merged_into = %s where id = %s",
        (root.contact_id, person.contact_id),
    )
    apply(world, place, code(place, 131050, m=message))
    (consent,) = place.rows("consents")
    assert consent["contact_id"] == root.contact_id


def undelivered(place: Place, person: Person, at: float) -> UUID:
    """A message that failed with 131026, `at` seconds from the place's time."""
    moment = place.time.now + timedelta(seconds=at)
    return sent(place, person, failed_at=moment, error_code="131026", occurred_at=moment)


def misses(place: Place, person: Person) -> tuple[int, float] | None:
    rows = place.rows("unreachable_contacts", contact_id=person.contact_id)
    return (
        None
        if not rows
        else (
            rows[0]["misses"],
            (rows[0]["last_at"] - place.time.now).total_seconds(),
        )
    )


def test_three_misses_in_a_row_make_a_person_unreachable(world: World, place: Place) -> None:
    person, other = place.person(), place.person()
    undelivered(place, other, -5)
    for count, at in enumerate((-300, -200, -100), start=1):
        assert contact(world, place, person).unreachable_since is None
        message = undelivered(place, person, at)
        for _ in range(2):
            apply(world, place, code(place, 131026, at, m=message))
        assert misses(place, person) == (count, at)
    since = contact(world, place, person).unreachable_since
    assert since == place.time.now - timedelta(seconds=300)
    assert contact(world, place, other).unreachable_since is None


def test_misses_count_alike_in_any_order(world: World) -> None:
    for order in itertools.permutations((-300, -200, -100)):
        place = world.place()
        person = place.person()
        for at in order:
            apply(world, place, code(place, 131026, at, m=undelivered(place, person, at)))
        assert misses(place, person) == (3, -100)


def test_who_counts_waits_for_who_counts_and_sees_what_that_one_saw(
    world: World, place: Place
) -> None:
    person = place.person()
    items = code(place, 131026, -60, m=undelivered(place, person, -60))
    worker = threading.Thread(target=apply, args=(world, place, items))
    with connect(world.database) as other, other.transaction():
        other.execute(
            "select 1 from messaging.contacts where id = %s for no key update",
            (person.contact_id,),
        )
        worker.start()
        poll(lambda: _waiting(place) == 1)
        undelivered(place, person, -30)
    worker.join(20)
    assert misses(place, person) == (2, -30)


def _waiting(place: Place) -> int:
    row = place.everything.execute(
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and wait_event_type = 'Lock'"
    ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("sign", ["delivered_at", "read_at", "inbound"])
def test_a_sign_of_life_starts_the_count_anew(world: World, place: Place, sign: str) -> None:
    person = place.person()
    for at in (-300, -200, -100):
        apply(world, place, code(place, 131026, at, m=undelivered(place, person, at)))
    assert contact(world, place, person).unreachable_since is not None
    moment = place.time.now - timedelta(seconds=50)
    # Nothing is counted where they arrive: it is seen by whoever looks.
    if sign == "inbound":
        place.everything.execute(
            "update messaging.whatsapp_conversations set last_inbound_at = %s where id = %s",
            (moment, person.conversation_id),
        )
    else:
        sent(place, person, status="delivered", **{sign: moment})
    assert contact(world, place, person).unreachable_since is None
    apply(world, place, code(place, 131026, m=undelivered(place, person, -10)))
    assert misses(place, person) == (1, -10)


def test_other_failures_are_no_misses(world: World, place: Place) -> None:
    person = place.person()
    moment = place.time.now
    for _ in range(3):
        message = sent(place, person, failed_at=moment, error_code="131049")
        apply(world, place, code(place, 131049, m=message))
    # Failed on one device, delivered on another.
    late = sent(place, person, status="read", failed_at=moment, error_code="131026")
    apply(world, place, code(place, 131026, m=late))
    assert misses(place, person) is None


def test_a_window_that_meta_calls_closed_is_closed(world: World, place: Place) -> None:
    person = place.person(window=2)
    apply(world, place, code(place, 131047, -60, m=sent(place, person)))
    (row,) = place.rows("whatsapp_conversations", id=person.conversation_id)
    assert row["window_expires_at"] == place.time.now - timedelta(seconds=60)
    # A later word, and the same once more.
    for at in (-30, -60):
        apply(world, place, code(place, 131047, at, m=sent(place, person)))
    assert place.rows("whatsapp_conversations", id=person.conversation_id) == [row]


@pytest.mark.parametrize("opened_by", ["message", "call"])
def test_a_window_that_was_opened_since_stays_open(
    world: World, place: Place, opened_by: str
) -> None:
    person = place.person(window=23.5)
    if opened_by == "message":
        place.everything.execute(
            "update messaging.whatsapp_conversations set last_inbound_at = %s where id = %s",
            (place.time.now - timedelta(minutes=30), person.conversation_id),
        )
    before = place.rows("whatsapp_conversations", id=person.conversation_id)
    apply(world, place, code(place, 131047, -3_600, m=sent(place, person)))
    assert place.rows("whatsapp_conversations", id=person.conversation_id) == before


def test_an_old_word_beside_a_new_one_does_not_keep_a_window_open(
    world: World, place: Place
) -> None:
    person = place.person(window=23.5)
    items = [code(place, 131047, at, m=sent(place, person)) for at in (-3_600, -60)]
    apply(world, place, *items)
    (row,) = place.rows("whatsapp_conversations", id=person.conversation_id)
    assert row["window_expires_at"] == place.time.now - timedelta(seconds=60)


def test_a_window_that_never_opened_stays_so(world: World, place: Place) -> None:
    person = place.person(window=None)
    apply(world, place, code(place, 131047, m=sent(place, person)))
    (row,) = place.rows("whatsapp_conversations", id=person.conversation_id)
    assert row["window_expires_at"] is None


# --- alerts ------------------------------------------------------------------------------------


def test_somebody_hears_of_a_code_once_per_number_and_hour(world: World, place: Place) -> None:
    place.time.now = place.time.now.replace(minute=30, second=0)
    first = apply(world, place, code(place, 131042, d="Pay"), code(place, 131042, 5, d="Pay"))
    alert = Alert(place.account_id, place.phone_number_id, "131042", "a payment problem")
    assert first == [alert]
    assert apply(world, place, code(place, 131042, -60)) == []
    assert [one.code for one in apply(world, place, code(place, 131045))] == ["131045"]
    assert apply(world, place, code(place, 131042, -3_600)) == [alert]
    rows = place.rows("whatsapp_account_events", field="send_errors", event="131042")
    assert len(rows) == 2
    newest = max(rows, key=lambda row: row["occurred_at"])
    assert newest["account_id"] == place.account_id
    assert newest["waba_id"] == place.waba_id
    assert newest["detail"] == {"meaning": "a payment problem", "title": "Pay", "alert": True}


def test_what_pauses_a_flow_is_told_without_an_alarm(world: World, place: Place) -> None:
    assert apply(world, place, code(place, 132069)) == []
    (row,) = place.rows("whatsapp_account_events")
    assert (row["event"], row["detail"]["alert"]) == ("132069", False)


# --- all at once -------------------------------------------------------------------------------


def test_workers_at_once_end_as_one_after_another_would(world: World, place: Place) -> None:
    template(place, APPROVED)
    people = [place.person(window=2) for _ in range(4)]
    items: list[list[Item]] = [
        code(place, number, at)
        for number, at in itertools.product((190, 131048, 131031, 131042, 130429), (-5, -4, -3))
    ]
    for person, at in itertools.product(people, (-30, -20, -10)):
        message = undelivered(place, person, at)
        items += [code(place, one, at, m=message) for one in (131026, 131050, 131047, 132015)]
    problems: list[Exception] = []

    def work(seed: int) -> None:
        mine = items.copy()
        random.Random(seed).shuffle(mine)
        try:
            for first in range(0, len(mine), 9):
                apply(world, place, *mine[first : first + 9])
        except Exception as error:  # noqa: BLE001 - told by the test below
            problems.append(error)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert problems == []
    assert number_of(place)["reason"] == "token"
    assert account_of(place)["reason"] == "131042 a payment problem"
    assert place.rows("whatsapp_templates")[0]["status"] == "PAUSED"
    assert len(place.rows("consents")) == 12
    for person in people:
        assert misses(place, person) == (3, -10)
        (row,) = place.rows("whatsapp_conversations", id=person.conversation_id)
        assert row["window_expires_at"] == place.time.now - timedelta(seconds=30)
    told = [row["event"] for row in place.rows("whatsapp_account_events", field="send_errors")]
    assert len(told) == len(set(told)) or place.time.now.minute == 0
