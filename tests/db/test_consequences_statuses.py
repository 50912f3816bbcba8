"""Failed statuses have the consequences of their codes, once, whatever comes when."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from switchboard import outbox
from switchboard.inbox import contacts
from switchboard.kernel.errors import Unavailable
from switchboard.outbox import Outgoing
from switchboard.store import consequences
from tests.crash.meta import Meta, Taken
from tests.databases import ClonedDatabase
from tests.sending import Person, Place, World, deliver

Status = dict[str, Any]


@pytest.fixture
def world(database: ClonedDatabase) -> Iterator[World]:
    with closing(World(database)) as world:
        yield world


@pytest.fixture
def place(world: World) -> Place:
    return world.place()


def send(world: World, place: Place, person: Person, meta: Meta | None = None) -> Taken:
    """Send a text, and return what Meta took."""
    meta = meta or Meta()
    tools = world.tools(place.time.clock(), transport=meta)
    message = {"type": "text", "text": {"body": "hi"}}
    item = Outgoing(phone_number_id=place.phone_number_id, phone=person.phone, message=message)
    outbox.send(tools, place.tenant_id, item)
    tools.db.drop()
    return meta.taken[-1]


def failed(place: Place, wamid: str, code: int, at: float = 0, **more: Any) -> Status:
    """Return a failed status `at` seconds from the place's time."""
    error = {"code": code, "title": f"Error {code}", "error_data": {"details": "Because."}}
    return status(place, wamid, "failed", at, errors=[error], **more)


def status(place: Place, wamid: str, word: str, at: float = 0, **more: Any) -> Status:
    moment = int((place.time.now + timedelta(seconds=at)).timestamp())
    return {"id": wamid, "status": word, "timestamp": str(moment), "recipient_id": "0", **more}


def tell(world: World, place: Place, *statuses: Status) -> None:
    """Take in one delivery of these."""
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": place.phone_number_id, "display_phone_number": "1"},
        "statuses": list(statuses),
    }
    entry = {"id": place.waba_id, "changes": [{"field": "messages", "value": value}]}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    tools = world.tools(place.time.clock())
    deliver(tools, body)
    tools.db.drop()


def number_of(place: Place) -> tuple[str | None, str | None]:
    row = place.everything.execute(
        "select sends_paused_until::text, sends_paused_reason from messaging.whatsapp_accounts"
        " where id = %s",
        (place.account_id,),
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def since(world: World, place: Place, person: Person) -> datetime | None:
    tools = world.tools(place.time.clock())
    return contacts.show_contact(tools, place.tenant_id, person.contact_id).unreachable_since


def outcome(world: World, place: Place, person: Person) -> dict[str, Any]:
    """Return what the codes have led to, without ids of rows."""
    (contact,) = place.rows("contacts", id=person.contact_id)
    (thread,) = place.rows("whatsapp_conversations", id=person.conversation_id)
    now = place.time.now
    return {
        "number": number_of(place)[1],
        "stopped": contact["marketing_stopped_at"] and contact["marketing_stopped_at"] - now,
        "consents": len(place.rows("consents")),
        "misses": [row["misses"] for row in place.rows("unreachable_contacts")],
        "window": thread["window_expires_at"] - now,
        "told": sorted(row["event"] for row in place.rows("whatsapp_account_events")),
        "since": since(world, place, person) is not None,
    }


def test_a_failed_status_pauses_the_number_from_its_own_time(world: World, place: Place) -> None:
    taken = send(world, place, place.person())
    tell(world, place, failed(place, taken.wa_message_id, 131048, -600))
    (ends,) = place.everything.execute(
        "select sends_paused_until - %s from messaging.whatsapp_accounts where id = %s",
        (place.time.now, place.account_id),
    ).fetchone() or (None,)
    assert ends == timedelta(minutes=50)
    (event,) = place.rows("whatsapp_account_events", field="send_errors")
    assert event["event"] == "131048"
    assert event["detail"]["title"] == "Because."
    assert str(event["detail"]["message_id"]) in taken.callback_data


def test_any_order_and_repetition_of_failures_ends_alike(world: World) -> None:
    ends = []
    for order in itertools.permutations(range(4)):
        place = world.place()
        person = place.person(window=3)
        taken = [send(world, place, person) for _ in range(4)]
        told = [
            failed(place, taken[0].wa_message_id, 131026, -40),
            failed(place, taken[1].wa_message_id, 131026, -30),
            failed(place, taken[2].wa_message_id, 131026, -20),
            failed(place, taken[3].wa_message_id, 131050, -10),
        ]
        for n in order:
            tell(world, place, told[n])
            tell(world, place, told[n], told[order[0]])
        ends.append(outcome(world, place, person))
    assert ends[0]["misses"] == [3]
    assert ends[0]["consents"] == 1
    assert ends[0]["since"]
    assert all(end == ends[0] for end in ends)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("code", [131026, 131047, 131050])
def test_a_status_may_come_before_the_answer_to_its_message(
    world: World, place: Place, when: str, code: int
) -> None:
    person = place.person(window=3)

    def early(taken: Taken) -> None:
        if when == "before":
            key: Status = {"biz_opaque_callback_data": taken.callback_data}
            tell(world, place, failed(place, taken.wa_message_id, code, **key))

    taken = send(world, place, person, Meta(on_taken=early))
    if when == "after":
        tell(world, place, failed(place, taken.wa_message_id, code))
    end = outcome(world, place, person)
    assert end["misses"] == ([1] if code == 131026 else [])
    assert end["consents"] == (1 if code == 131050 else 0)
    assert (end["window"] <= timedelta(0)) == (code == 131047)


def test_a_later_delivery_of_the_message_makes_the_miss_none(world: World, place: Place) -> None:
    person = place.person()
    wamids = [send(world, place, person).wa_message_id for _ in range(3)]
    for wamid in wamids:
        tell(world, place, failed(place, wamid, 131026, -30))
    assert since(world, place, person) is not None
    tell(world, place, status(place, wamids[-1], "delivered", -10))
    assert since(world, place, person) is None


def test_of_a_message_that_is_not_here_the_recipient_is_known(world: World, place: Place) -> None:
    person = place.person("4915112345678", window=3)
    told = failed(place, "wamid.ELSEWHERE", 131050, recipient_id="4915112345678")
    for _ in range(2):
        tell(world, place, told)
    tell(world, place, failed(place, "wamid.OTHER", 131047, recipient_id="4915112345678"))
    end = outcome(world, place, person)
    assert end["consents"] == 1
    assert end["stopped"] == timedelta(0)
    assert end["window"] == timedelta(0)


def test_a_group_or_a_stranger_is_nobody(world: World, place: Place) -> None:
    place.person("4915112345678")
    group: Status = {"recipient_type": "group", "recipient_id": "4915112345678"}
    tell(world, place, failed(place, "wamid.G", 131050, **group))
    tell(world, place, failed(place, "wamid.S", 131050, recipient_id="4915999999999"))
    assert place.rows("consents") == []


def test_a_template_that_was_held_and_dropped_fails_and_pauses(world: World, place: Place) -> None:
    place.everything.execute(
        "insert into messaging.whatsapp_templates (tenant_id, waba_id, name, language)"
        " values (%s, %s, 'hello', 'en_US')",
        (place.tenant_id, place.waba_id),
    )
    taken = send(world, place, place.person())
    message_id = UUID(taken.callback_data.partition(".")[0])
    place.everything.execute(
        "update messaging.whatsapp_messages set message_type = 'template', content ="
        """ '{"name": "hello", "language": {"code": "en_US"}}' where id = %s""",
        (message_id,),
    )
    tell(world, place, failed(place, taken.wa_message_id, 132015))
    assert place.message(message_id)["status"] == "failed"
    assert place.rows("whatsapp_templates")[0]["status"] == "PAUSED"


def test_a_failure_that_leads_to_nothing_and_an_odd_one_are_stored_alike(
    world: World, place: Place
) -> None:
    wamid = send(world, place, place.person()).wa_message_id
    odd: list[Any] = [[], "x", [7], [{"title": "no code"}], [{"code": "x"}], None]
    statuses = [
        {**failed(place, wamid, 1, n), "errors": errors} for n, errors in enumerate(odd, -9)
    ]
    tell(world, place, failed(place, wamid, 131053), *statuses)
    assert place.rows("whatsapp_account_events") == []
    assert len(place.rows("message_status_events")) == 7


def test_a_delivery_without_failures_asks_for_nothing(
    world: World, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError

    wamid = send(world, place, place.person()).wa_message_id
    monkeypatch.setattr(consequences, "apply", never)
    sys.modules.pop("switchboard.intake.consequences", None)
    tell(world, place, *(status(place, wamid, word) for word in ("sent", "delivered", "read")))
    assert "switchboard.intake.consequences" not in sys.modules
    assert place.rows("whatsapp_messages")[0]["status"] == "read"


def test_a_database_that_is_lost_in_between_lets_meta_come_again(
    world: World, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    wamid = send(world, place, place.person()).wa_message_id
    told = failed(place, wamid, 131045)
    with monkeypatch.context() as patch:
        patch.setattr(consequences, "apply", _lost)
        with pytest.raises(Unavailable):
            tell(world, place, told)
    # The status is stored, its consequence is not.
    assert place.rows("whatsapp_messages")[0]["status"] == "failed"
    assert number_of(place) == (None, None)
    tell(world, place, told)
    assert number_of(place) == ("infinity", "131045 the number's registration")


def _lost(*_: Any, **__: Any) -> Any:
    raise Unavailable("the database was lost")
