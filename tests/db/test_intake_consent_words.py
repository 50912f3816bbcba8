"""STOP and START, and what people tell Meta: the same state in whatever order it comes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import permutations
from typing import Any
from uuid import UUID

import psycopg
import pytest

from switchboard.intake.effects.consent_words import _data, confirmation, fold, read
from switchboard.jobs import react_to_message
from switchboard.store import consents as store
from tests.databases import ClonedDatabase
from tests.db.test_jobs_react_to_message import Phone
from tests.deliveries import (
    NOW,
    SECOND,
    Json,
    Number,
    Person,
    Place,
    Update,
    aws_at_hand,
    body_of,
    in_threads,
    message,
)
from tests.sending import World

ANA = Person(phone="4915550000001", name="Ana")


class TestWords:
    @pytest.mark.parametrize(
        ("text", "state"),
        [
            *(
                (text, "withdrawn")
                for text in ("STOP", " stop!! 🙏", "Stop\n", "ＳＴＯＰ", "stop❤️")
            ),
            *((text, "withdrawn") for text in ("Opt-out", "désabonner", "DESABONNER", "«Stopp»")),
            *((text, "withdrawn") for text in ("ABONELİKTEN ÇIK", "abonelikten cik", "ايقاف")),
            *((text, "withdrawn") for text in ("إيقاف.", "रोकें।", "退订。", "ｽﾄｯﾌﾟ", "Стоп")),
            *((text, "given") for text in ("start", "START!", "Subscribe", "Старт", "شروع")[:4]),
            *((text, "given") for text in ("वापस", "शुरू", "スタート", "BAŞLAT")[1:]),
        ],
    )
    def test_the_whole_message_is_the_word(self, text: str, state: str) -> None:
        word = read(text)
        assert word is not None
        assert word.state == state

    @pytest.mark.parametrize(
        "text",
        [
            *("please stop calling me", "stop it", "don't stop", "when does it start?", "non-stop"),
            *("", " ", "🛑", "!", "no", "yes", "end", "cancel", "stopwatch", "s t o p", "st op"),
            "stop " * 20,
        ],
    )
    def test_anything_else_is_not(self, text: str) -> None:
        assert read(text) is None

    def test_no_word_says_both_and_each_is_read(self) -> None:
        texts = _data()["languages"]
        stop = {fold(word) for one in texts.values() for word in one["stop"]}
        start = {fold(word) for one in texts.values() for word in one["start"]}
        assert stop.isdisjoint(start)
        assert "" not in stop | start
        for word in stop:
            found = read(word.upper())
            assert found is not None
            assert found.state == "withdrawn"

    @pytest.mark.parametrize("language", sorted(_data()["languages"]))
    def test_each_confirmation_names_the_way_back(self, language: str) -> None:
        texts = _data()["languages"][language]
        for key, back in (("stopped", "start"), ("started", "stop")):
            assert any(fold(word) in fold(texts[key]) for word in texts[back]), texts[key]

    def test_a_shared_word_is_answered_in_the_language_of_the_country(self) -> None:
        texts = {key: one["stopped"] for key, one in _data()["languages"].items()}
        assert read("stop").language is None  # type: ignore[union-attr]
        assert confirmation("withdrawn", phone="+4915550000001") == texts["de"]
        assert confirmation("withdrawn", phone="5215550000001") == texts["es"]
        assert confirmation("withdrawn", phone="15550000001") == texts["en"]
        assert confirmation("withdrawn") == texts["en"]
        assert confirmation("withdrawn", locale="pt_BR", phone="4915550000001") == texts["pt"]
        assert confirmation("withdrawn", language="fr", locale="pt_BR") == texts["fr"]


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    with aws_at_hand():
        place = Place(database)
        yield place
        place.close()


def said(number: Number, wamid: str, text: str, at: int = SECOND, person: Person = ANA) -> Update:
    return message(number, wamid, person, at, content={"body": text})


def preference(number: Number, value: str, at: int, **of: Any) -> bytes:
    one = {
        "wa_id": ANA.phone,
        "detail": f"User wants to {value}",
        "category": "marketing_messages",
        "value": value,
        "timestamp": at,
        **of,
    }
    value_: Json = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": number.phone_number_id},
        "user_preferences": [{k: v for k, v in one.items() if v is not None}],
    }
    change = {"field": "user_preferences", "value": value_}
    return body_of([{"id": number.waba_id, "changes": [change]}])


def state(place: Place) -> list[tuple[Any, ...]]:
    return place.rows(
        "select opt_in_status, opted_in_at, opted_out_at, marketing_stopped_at,"
        " marketing_resumed_at from messaging.contacts order by 1, 2, 3, 4, 5"
    )


def history(place: Place) -> list[tuple[Any, ...]]:
    return place.rows(
        "select scope, state, source, wording, language, account_id, occurred_at,"
        " statement_sha256 from messaging.consents order by statement_sha256"
    )


def at(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def test_what_a_stop_leaves_behind(place: Place) -> None:
    number = place.number()
    place.post(said(number, "wamid.1", "Désabonner !"), said(number, "wamid.2", "ok"))
    (row,) = place.rows(
        "select k.scope, k.state, k.source, k.wording, k.language, k.account_id, k.occurred_at,"
        " m.wa_message_id, k.confirmed_at from messaging.consents as k"
        " join messaging.whatsapp_messages as m on m.id = k.message_id"
        " and m.contact_id = k.contact_id"
    )
    assert row == (
        *("messages", "withdrawn", "keyword", "Désabonner !", "fr"),
        *(number.account_id, NOW, "wamid.1", None),
    )
    assert state(place) == [("opted_out", None, NOW, None, None)]


def test_taps_count_and_groups_do_not(place: Place) -> None:
    number = place.number()
    button = {"payload": "x-1", "text": "Stop promotions"}
    reply = {"type": "button_reply", "button_reply": {"id": "a", "title": "START"}}
    place.post(
        message(number, "wamid.1", ANA, SECOND, kind="button", content=button),
        message(number, "wamid.2", ANA, SECOND + 1, kind="interactive", content=reply),
        message(number, "wamid.3", ANA, SECOND + 2, content={"body": "STOP"}, group_id="g1"),
        message(number, "wamid.4", ANA, SECOND + 3, kind="reaction", content={"emoji": "🛑"}),
    )
    assert place.rows(
        "select state, source, wording from messaging.consents order by occurred_at"
    ) == [("withdrawn", "button", "Stop promotions"), ("given", "button", "START")]
    assert state(place) == [("opted_in", at(SECOND + 1), NOW, None, None)]


def everything(number: Number, other: Number) -> list[bytes | list[Update]]:
    """Statements of one person through two numbers, and what they told Meta."""
    return [
        [said(number, "wamid.1", "STOP", SECOND)],
        [said(other, "wamid.2", "start", SECOND + 2)],
        [said(number, "wamid.3", "Baja", SECOND + 2), said(number, "wamid.4", "hi", SECOND + 3)],
        preference(number, "stop", SECOND + 1),
        preference(other, "resume", SECOND + 1),
        preference(number, "signup", SECOND),
    ]


def test_any_order_and_any_repetition_end_in_the_same_rows(place: Place) -> None:
    tenant = place.tenant()
    number = place.number(tenant)
    other = place.number(tenant)
    deliveries = everything(number, other)
    orders = list(permutations(range(len(deliveries))))
    random.Random(7).shuffle(orders)
    seen = []
    for order in orders[:6]:
        for n in (*order, *order[:3]):
            body = deliveries[n]
            assert place.usual.post(body) == 200
        seen.append((state(place), history(place)))
        place.everything.execute("truncate messaging.contacts, messaging.message_keys cascade")
        place.everything.execute("delete from messaging.whatsapp_messages")
    assert place.letters() == {}
    assert seen[0][0] == [
        # Of the same second the refusal is the later word, here and there.
        ("opted_out", at(SECOND + 2), at(SECOND + 2), at(SECOND + 1), at(SECOND + 1))
    ]
    assert len(seen[0][1]) == 6
    assert all(one == seen[0] for one in seen[1:])


def test_an_older_start_does_not_undo_a_stop(place: Place) -> None:
    number = place.number()
    place.post(said(number, "wamid.1", "STOP", SECOND))
    place.post(said(number, "wamid.2", "START", SECOND - 60))
    assert state(place) == [("opted_out", at(SECOND - 60), NOW, None, None)]
    place.post(said(number, "wamid.3", "START", SECOND + 1))
    assert state(place)[0][0] == "opted_in"


def test_what_people_tell_meta_needs_no_message_and_finds_them_later(place: Place) -> None:
    number = place.number()
    assert place.usual.post(preference(number, "stop", SECOND, user_id="MX.1")) == 200
    assert state(place) == [("pending", None, None, NOW, None)]
    (kept,) = place.rows("select scope, state, source, wording from messaging.consents")
    assert kept == ("marketing", "withdrawn", "whatsapp", "User wants to stop")
    place.post(said(number, "wamid.1", "hi", person=Person(user_id="MX.1", name="Ana")))
    place.post(said(number, "wamid.2", "hi", person=ANA))
    assert place.count("contacts") == 1


@pytest.mark.parametrize(
    "of",
    [
        {"value": "pause"},
        {"category": "utility_messages"},
        {"wa_id": None},
        {"timestamp": None},
        {"timestamp": "soon"},
    ],
)
def test_an_odd_preference_is_kept_and_costs_itself_only(place: Place, of: Json) -> None:
    number = place.number()
    body = json.loads(preference(number, "stop", SECOND))
    one = body["entry"][0]["changes"][0]["value"]["user_preferences"]
    one.append({k: v for k, v in {**one[0], **of}.items() if v is not None})
    assert place.usual.post(json.dumps(body).encode()) == 200
    assert len(history(place)) == 1
    assert [reason for _, reason in place.letters()] == ["malformed"]


def test_many_at_once_wait_for_each_other_in_one_order(place: Place) -> None:
    """Ordinary messages and STOPs of the same people from several environments: no deadlock."""
    number = place.number()
    people = [Person(phone=f"49155500000{n:02d}", name=f"P{n}") for n in range(8)]
    place.post(*(said(number, f"wamid.0.{n}", "hi", person=who) for n, who in enumerate(people)))
    environments = [place.environment(now=NOW) for _ in range(4)]

    def said_by(dice: random.Random) -> str:
        return dice.choice(("STOP", "hi"))

    def deliver(worker: int) -> None:
        dice = random.Random(worker)
        for turn in range(8):
            body = [
                said(number, f"wamid.{worker}.{turn}.{n}", said_by(dice), SECOND + turn, who)
                for n, who in enumerate(dice.sample(people, 4 if turn % 2 else 1))
            ]
            assert environments[worker].post(body) == 200

    before = deadlocks(place)
    in_threads(4, deliver)
    place.drain()
    assert deadlocks(place) == before
    assert place.letters() == {}
    stops = place.count("consents")
    assert stops == place.one(
        "select count(*) from messaging.whatsapp_messages where content ->> 'body' = 'STOP'"
    )


def deadlocks(place: Place) -> int:
    place.everything.execute("select pg_stat_clear_snapshot()")
    found: int = place.one(
        "select deadlocks from pg_stat_database where datname = current_database()"
    )
    return found


def test_two_contacts_that_become_one_have_one_history(place: Place) -> None:
    number = place.number()
    ben = Person(user_id="DE.1", name="Ben")
    place.post(said(number, "wamid.1", "STOP", SECOND), said(number, "wamid.2", "hi", person=ben))
    place.post(said(number, "wamid.3", "START", SECOND - 5, ben))
    assert place.usual.post(preference(number, "stop", SECOND, wa_id=None, user_id="DE.1")) == 200
    place.everything.execute(
        "update messaging.contacts set created_at = created_at - interval '1 day'"
        " where profile_name = 'Ana'"  # the oldest wins
    )
    contacts = [row[0] for row in place.rows("select id from messaging.contacts order by 1")]
    with psycopg.connect(place.database.app_url) as app:
        app.execute(
            "select messaging.merge_contacts(%s, %s, 'late_pairing', null, %s)",
            (number.tenant_id, contacts, NOW),
        )
    assert place.rows(
        "select opt_in_status, opted_in_at, opted_out_at, marketing_stopped_at"
        " from messaging.contacts where merged_into is null"
    ) == [("opted_out", at(SECOND - 5), NOW, NOW)]
    assert place.one("select count(distinct contact_id) from messaging.consents") == 1
    # From here on it is one person, whichever way they write.
    place.post(said(number, "wamid.4", "START", SECOND + 9, ben))
    assert (
        place.one("select opt_in_status from messaging.contacts where merged_into is null")
        == "opted_in"
    )


def test_the_history_is_only_added_to(place: Place) -> None:
    number = place.number()
    place.post(said(number, "wamid.1", "STOP"))
    with psycopg.connect(place.database.app_url) as app:
        app.execute(
            "select set_config('switchboard.tenant_id', %s, false)", (str(number.tenant_id),)
        )
        for change in (
            "update messaging.consents set state = 'given'",
            "update messaging.consents set occurred_at = now()",
            "delete from messaging.consents",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), app.transaction():
                app.execute(change)


def test_whoever_was_deleted_comes_back_as_somebody_new(place: Place) -> None:
    number = place.number()
    place.post(said(number, "wamid.1", "STOP"))
    old: UUID = place.one("select id from messaging.contacts")
    place.everything.execute("update messaging.contacts set name = 'Ana Ruiz', deleted_at = now()")
    place.post(said(number, "wamid.2", "hello", SECOND + 5))
    rows = place.rows(
        "select id = %s, name, opt_in_status, deleted_at is null from messaging.contacts"
        " order by 1",
        old,
    )
    assert rows == [(False, None, "pending", True), (True, "Ana Ruiz", "opted_out", False)]
    assert place.count("whatsapp_conversations") == 2


@pytest.fixture
def phone(database: ClonedDatabase) -> Iterator[Phone]:
    world = World(database)
    yield Phone(world)
    world.close()


def text(body: str) -> Json:
    return {"type": "text", "text": {"body": body}}


def confirmations(phone: Phone) -> list[str]:
    return [body["text"]["body"] for body in phone.meta.bodies if body.get("type") == "text"]


GERMAN = {
    "withdrawn": confirmation("withdrawn", language="de"),
    "given": confirmation("given", language="de"),
}


class TestConfirmation:
    """Each change is answered once, a repetition is not."""

    def test_each_change_once(self, phone: Phone) -> None:
        phone.writes(text("STOP"))
        phone.react()
        assert confirmations(phone) == [GERMAN["withdrawn"]]
        phone.writes(text("Stop!"), text("stop"))
        phone.react()
        phone.writes(text("STOP"))
        phone.react()
        assert confirmations(phone) == [GERMAN["withdrawn"]]
        phone.writes(text("START"))
        phone.react()
        assert confirmations(phone) == [GERMAN["withdrawn"], GERMAN["given"]]
        phone.writes(text("STOP"))
        phone.react()
        assert confirmations(phone) == [GERMAN["withdrawn"], GERMAN["given"], GERMAN["withdrawn"]]
        sent = phone.place.rows("whatsapp_messages", direction="outbound")
        assert {(row["origin"], row["status"]) for row in sent} == {("automation", "accepted")}
        assert {row["origin_id"] for row in sent} == {
            row["id"] for row in phone.place.rows("consents") if row["confirmed_at"] is not None
        }

    def test_several_in_one_delivery_are_answered_by_where_they_end(self, phone: Phone) -> None:
        phone.writes(text("STOP"), text("START"), text("STOP"), text("STOP"), text("thanks"))
        phone.react()
        assert confirmations(phone) == [GERMAN["withdrawn"]]

    def test_a_word_of_one_language_is_answered_in_it(self, phone: Phone) -> None:
        phone.writes(text("Désabonner"))
        phone.react()
        assert confirmations(phone) == [confirmation("withdrawn", language="fr")]

    def test_a_number_may_say_nothing(self, phone: Phone) -> None:
        phone.place.set_number(confirm_consents=False)
        phone.writes(text("STOP"))
        phone.react()
        assert phone.meta.bodies == []
        assert [row["state"] for row in phone.place.rows("consents")] == ["withdrawn"]

    def test_a_run_that_was_cut_off_confirms_once(
        self, phone: Phone, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tries: list[int] = []

        def fail_once(*_: Any) -> list[Any]:
            tries.append(1)
            if len(tries) == 1:
                raise RuntimeError
            return []

        monkeypatch.setattr(react_to_message, "REACTIONS", (*react_to_message.REACTIONS, fail_once))
        phone.writes(text("STOP"))
        assert phone.react().retried == 1
        assert confirmations(phone) == []
        for _ in range(3):
            phone.react()
        assert confirmations(phone) == [GERMAN["withdrawn"]]

    def test_two_numbers_that_get_the_same_stop_answer_once(self, phone: Phone) -> None:
        """The jobs run side by side, each in its own conversation."""
        tenant = phone.place.tenant_id
        phone.writes(text("STOP"))
        (first,) = phone.place.rows("consents")
        contact = first["contact_id"]
        phone.place.everything.execute(
            "insert into messaging.consents (tenant_id, contact_id, scope, state, source,"
            " message_id, statement_sha256, occurred_at) select tenant_id, contact_id, scope,"
            " state, source, gen_random_uuid(), sha256('other'), occurred_at + interval '1 s'"
            " from messaging.consents"
        )
        (second,) = [row for row in phone.place.rows("consents") if row["id"] != first["id"]]
        answers = []
        with phone.tools.db.transaction(tenant) as connection:
            for row in (first, second, second, first):
                ids = [row["message_id"]]
                answers.append(store.confirm(connection, tenant, contact, ids, now=None))
        assert [answer and answer.id for answer in answers] == [None, second["id"], None, None]

    def test_an_older_start_that_comes_late_is_not_confirmed(self, phone: Phone) -> None:
        phone.writes(text("STOP"))
        phone.react()
        phone.place.time.turn(hours=-1)
        phone.writes(text("START"))
        phone.place.time.turn(hours=1)
        phone.react()
        assert confirmations(phone) == [GERMAN["withdrawn"]]
        (contact,) = phone.place.rows("contacts")
        assert contact["opt_in_status"] == "opted_out"


def test_somebody_blocked_is_heard_and_not_answered(phone: Phone) -> None:
    phone.place.set_number(acknowledging_reaction="👍", auto_mark_read=True)
    phone.writes(text("hello"))
    phone.react()
    phone.meta.bodies.clear()
    phone.place.everything.execute("update messaging.contacts set is_blocked = true")
    phone.writes(text("STOP"), text("hello?"))
    phone.react()
    assert phone.meta.bodies == []
    assert phone.conversation()["unread_count"] == 0
    assert phone.statuses() == ["read", "received", "received"]
    (contact,) = phone.place.rows("contacts")
    assert contact["opt_in_status"] == "opted_out"
    (_, job) = phone.jobs()
    assert job["result"] == {"messages": 2, "blocked": True}
