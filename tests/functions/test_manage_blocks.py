"""Blocks: Meta's answer per person is told, and marks exactly those that it took."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from switchboard.store import blocks as store
from switchboard.store.blocks import Wanted
from tests.databases import ClonedDatabase
from tests.graph_calls import Asked, GraphCalls, graph_calls
from tests.managing import Desk, Made, desk_of
from tests.sending import Person, poll

BLOCK, UNBLOCK, LIST = "POST /v1/blocks", "DELETE /v1/blocks", "GET /v1/blocks"
NOT_IN_24_H = {
    "code": 131047,
    "message": "Re-engagement message",
    "error_data": {"details": "24 h"},
}


class Blocks:
    """A desk whose number blocks people at Meta."""

    def __init__(self, desk: Desk, graph: GraphCalls) -> None:
        self.desk = desk
        self.graph = graph
        self.id = desk.place.phone_number_id
        desk.use(graph_url=graph.url)

    def change(self, route: str, *users: Any) -> list[Made]:
        answer = self.desk.ok(route, body={"from": self.id, "users": list(map(str, users))})
        results: list[Made] = answer["results"]
        return results

    def answer(self, *taken: Made, failed: Any = (), removed: bool = False) -> None:
        """Let Meta take these people, and not those."""
        kind = "removed_users" if removed else "added_users"
        lists: Made = {kind: list(taken)}
        document: Made = {"messaging_product": "whatsapp", "block_users": lists}
        if failed:
            lists["failed_users"] = list(failed)
            document["error"] = {"message": "(#139100) Failed to block", "code": 139100}
        self.graph.say(document, 400 if failed else 200)

    def blocked(self) -> set[Any]:
        """Return the contacts that are blocked here."""
        return {row["id"] for row in self.desk.place.rows("contacts") if row["is_blocked"]}

    def known_by_user_id(self, user_id: str) -> Any:
        """Add a person without a phone and return the contact's id."""
        contact_id = uuid4()
        self.desk.world.everything.execute(
            "insert into messaging.contacts (tenant_id, id) values (%s, %s)",
            (self.desk.place.tenant_id, contact_id),
        )
        self.desk.world.everything.execute(
            "insert into messaging.contact_identifiers (tenant_id, kind, value, contact_id)"
            " values (%s, 'user_id', %s, %s)",
            (self.desk.place.tenant_id, user_id, contact_id),
        )
        return contact_id


@pytest.fixture
def blocks(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Blocks]:
    with graph_calls() as graph, desk_of(database, monkeypatch) as desk:
        yield Blocks(desk, graph)


def named(person: Person) -> Made:
    return {"input": f"+{person.phone}", "wa_id": person.phone}


def test_people_are_blocked_by_number_and_by_contact(blocks: Blocks) -> None:
    one, two, other = (blocks.desk.place.person() for _ in range(3))
    by_id = blocks.known_by_user_id("MX.9001")
    blocks.answer(named(one), named(two), {"input": "MX.9001", "user_id": "MX.9001"})
    results = blocks.change(BLOCK, one.phone, two.contact_id, by_id)
    (asked,) = blocks.graph.asked
    people = [{"user": f"+{one.phone}"}, {"user": f"+{two.phone}"}, {"user_id": "MX.9001"}]
    assert asked == Asked(
        "POST",
        f"{blocks.id}/block_users",
        {},
        {"messaging_product": "whatsapp", "block_users": people},
        f"token-{blocks.id}",
    )
    assert results[0] == {
        "user": one.phone,
        "status": "blocked",
        "contact_id": str(one.contact_id),
        "wa_id": one.phone,
        "user_id": None,
        "error": None,
    }
    assert [result["status"] for result in results] == ["blocked"] * 3
    assert results[2]["user_id"] == "MX.9001"
    assert blocks.blocked() == {one.contact_id, two.contact_id, by_id}
    assert other.contact_id not in blocks.blocked()


def test_what_meta_took_in_part_is_told_person_by_person(blocks: Blocks) -> None:
    taken, refused, forgotten = (blocks.desk.place.person() for _ in range(3))
    blocks.answer(named(taken), failed=[{**named(refused), "errors": [NOT_IN_24_H]}])
    results = blocks.change(BLOCK, taken.phone, refused.contact_id, forgotten.phone)
    assert [result["status"] for result in results] == ["blocked", "failed", "unknown"]
    assert results[1]["error"] == {
        "code": 131047,
        "title": "Re-engagement message",
        "details": "24 h",
    }
    assert blocks.blocked() == {taken.contact_id}


def test_nobody_taken_is_told_in_the_same_way_and_marks_nobody(blocks: Blocks) -> None:
    person = blocks.desk.place.person()
    blocks.answer(failed=[named(person)])
    (result,) = blocks.change(BLOCK, person.phone)
    assert (result["status"], result["error"]["code"]) == ("failed", 139100)
    assert blocks.blocked() == set()


def test_unblocking_takes_the_mark_away_whatever_number_it_was_on(blocks: Blocks) -> None:
    one, two = blocks.desk.place.person(), blocks.desk.place.person()
    blocks.answer(named(one), named(two))
    blocks.change(BLOCK, one.phone, two.phone)
    blocks.answer(named(one), removed=True)
    (result,) = blocks.change(UNBLOCK, one.contact_id)
    assert (blocks.graph.asked[1].method, result["status"]) == ("DELETE", "unblocked")
    assert blocks.graph.asked[1].body == {
        "messaging_product": "whatsapp",
        "block_users": [{"user": f"+{one.phone}"}],
    }
    assert blocks.blocked() == {two.contact_id}


def test_either_order_and_any_repetition_end_as_the_last_word_of_meta(blocks: Blocks) -> None:
    person = blocks.desk.place.person()
    for _ in range(2):
        blocks.answer(named(person), removed=True)
        for _ in range(2):
            blocks.change(UNBLOCK, person.phone)
            assert blocks.blocked() == set()
        blocks.answer(named(person))
        for _ in range(2):
            blocks.change(BLOCK, person.phone)
            assert blocks.blocked() == {person.contact_id}


def test_a_number_finds_its_contact_in_each_national_form(blocks: Blocks) -> None:
    mexican = blocks.desk.place.person("525550001234")
    brazilian = blocks.desk.place.person("5531985501234")
    blocks.answer(
        {"input": "+5215550001234", "wa_id": "5215550001234"},
        {"input": "+553185501234", "wa_id": "553185501234"},
    )
    results = blocks.change(BLOCK, "+5215550001234", "553185501234")
    assert [(result["status"], result["contact_id"]) for result in results] == [
        ("blocked", str(mexican.contact_id)),
        ("blocked", str(brazilian.contact_id)),
    ]
    assert blocks.blocked() == {mexican.contact_id, brazilian.contact_id}


def test_a_merged_contact_stands_for_its_root(blocks: Blocks) -> None:
    root, merged = blocks.desk.place.person(), blocks.desk.place.person()
    everything = blocks.desk.world.everything
    everything.execute(
        "update messaging.contact_identifiers set contact_id = %s where contact_id = %s",
        (root.contact_id, merged.contact_id),
    )
    everything.execute(
        "update messaging.contacts set merged_into = %s where id = %s",
        (root.contact_id, merged.contact_id),
    )
    blocks.answer(named(root))
    (result,) = blocks.change(BLOCK, merged.contact_id)
    assert result["contact_id"] == str(root.contact_id)
    assert blocks.blocked() == {root.contact_id}


def test_a_stranger_is_blocked_at_meta_and_is_nobody_here(blocks: Blocks) -> None:
    blocks.answer({"input": "+4915550009999", "wa_id": "4915550009999"})
    (result,) = blocks.change(BLOCK, "4915550009999")
    assert (result["status"], result["contact_id"]) == ("blocked", None)
    assert blocks.desk.place.rows("contacts") == []


def test_one_person_named_twice_is_asked_for_once(blocks: Blocks) -> None:
    person = blocks.desk.place.person()
    blocks.answer(named(person))
    results = blocks.change(BLOCK, person.phone, person.contact_id, person.phone)
    assert [result["status"] for result in results] == ["blocked", "blocked"]
    assert blocks.graph.asked[0].body["block_users"] == [{"user": f"+{person.phone}"}]


@pytest.mark.parametrize(
    ("users", "field"),
    [
        ([], "users"),
        (["nobody"], "users.0"),
        (["4915550000001", "123"], "users.1"),
        (["4915550000001"] * 101, "users"),
    ],
)
def test_who_is_named_wrongly_is_refused_before_meta_is_asked(
    blocks: Blocks, users: list[str], field: str
) -> None:
    body = {"from": blocks.id, "users": users}
    for route in (BLOCK, UNBLOCK):
        status, problem = blocks.desk.call(route, body=body)
        assert (status, problem["field"]) == (422, field)
    assert blocks.graph.asked == []


def test_an_unknown_number_or_contact_is_not_found_and_nobody_is_asked(blocks: Blocks) -> None:
    other = blocks.desk.world.place()
    theirs = other.person()
    for body, field in (
        ({"from": other.phone_number_id, "users": ["4915550000001"]}, "from"),
        ({"from": blocks.id, "users": [str(theirs.contact_id)]}, "users.0"),
    ):
        status, problem = blocks.desk.call(BLOCK, body=body)
        assert (status, problem["field"]) == (404, field)
    web_only = uuid4()
    blocks.desk.world.everything.execute(
        "insert into messaging.contacts (tenant_id, id) values (%s, %s)",
        (blocks.desk.place.tenant_id, web_only),
    )
    body = {"from": blocks.id, "users": [str(web_only)]}
    assert blocks.desk.call(BLOCK, body=body)[1]["field"] == "users.0"
    assert blocks.graph.asked == []


def test_a_namesake_of_another_tenant_is_not_marked(blocks: Blocks) -> None:
    other = blocks.desk.world.place()
    theirs = other.person("4915550000001")
    blocks.desk.place.person("4915550000001")
    blocks.answer({"input": "+4915550000001", "wa_id": "4915550000001"})
    blocks.change(BLOCK, "4915550000001")
    (row,) = other.rows("contacts", id=theirs.contact_id)
    assert row["is_blocked"] is False
    assert len(blocks.blocked()) == 1


def test_no_clear_answer_marks_nobody(blocks: Blocks) -> None:
    person = blocks.desk.place.person()
    body = {"from": blocks.id, "users": [person.phone]}
    for status, document, expected in (
        (500, b"<html>", 504),
        (200, {}, 504),
        (400, {"error": {"code": 139101, "message": "the list is full"}}, 502),
        (400, {"error": {"code": 130429, "message": "slow down"}}, 503),
    ):
        blocks.graph.say(document, status)
        assert blocks.desk.call(BLOCK, body=body)[0] == expected
    assert blocks.blocked() == set()


def test_rows_are_locked_in_the_order_of_their_ids_so_that_two_do_not_deadlock(
    blocks: Blocks,
) -> None:
    tenant_id = blocks.desk.place.tenant_id
    ids = [UUID(int=number) for number in range(1, 9)]
    for contact_id in reversed(ids):  # they lie in the other order
        blocks.desk.world.everything.execute(
            "insert into messaging.contacts (tenant_id, id) values (%s, %s)",
            (tenant_id, contact_id),
        )
    who = [Wanted(contact_id=contact_id) for contact_id in reversed(ids)]
    tools = blocks.desk.world.tools()
    pids: list[int] = []

    def mark() -> None:
        with tools.db.transaction(tenant_id) as connection:
            pids.append(connection.info.backend_pid)
            store.mark(connection, tenant_id, who, blocked=True, now=None)

    url = blocks.desk.world.database.superuser_url
    last = "select id from messaging.contacts where id = %s for update"
    free = "select id from messaging.contacts where id <> %s for update skip locked"
    with psycopg.connect(url) as holding, psycopg.connect(url) as looking:
        holding.execute(last, (ids[-1],))
        waiter = threading.Thread(target=mark)
        waiter.start()
        poll(lambda: bool(pids) and is_blocked_by(blocks, pids[0], holding.info.backend_pid))
        assert looking.execute(free, (ids[-1],)).fetchall() == []
        looking.rollback()
        holding.rollback()
        waiter.join()
    assert blocks.blocked() == set(ids)


def is_blocked_by(blocks: Blocks, waits: int, holds: int) -> bool:
    return blocks.desk.world.everything.execute(
        "select %s = any (pg_blocking_pids(%s))", (holds, waits)
    ).fetchone() == (True,)


# The list


def test_the_list_is_metas_with_our_contacts_page_by_page(blocks: Blocks) -> None:
    person = blocks.desk.place.person("525550001234")
    pages = {
        None: ([{"messaging_product": "whatsapp", "wa_id": "5215550001234"}], "A"),
        "A": ([{"block_users": [{"wa_id": "4915550009999", "user_id": "DE.1"}]}], "B"),
        "B": ([], None),
    }

    def answer(asked: Asked) -> tuple[int, Any]:
        data, after = pages[asked.query.get("after")]
        return 200, {"data": data, "paging": {"cursors": {"before": "x", "after": after}}}

    blocks.graph.answer = answer
    query = {"from": blocks.id}
    rows = blocks.desk.pages(LIST, limit=1, **query)
    assert rows == [
        {"wa_id": "5215550001234", "user_id": None, "contact_id": str(person.contact_id)},
        {"wa_id": "4915550009999", "user_id": "DE.1", "contact_id": None},
    ]
    path = f"{blocks.id}/block_users"
    assert blocks.graph.asked[1] == Asked(
        "GET", path, {"limit": "1", "after": "A"}, None, f"token-{blocks.id}"
    )


def test_a_page_that_is_not_full_is_the_last_unless_meta_names_the_next(blocks: Blocks) -> None:
    entry = {"wa_id": "4915550009999"}
    paging: Made = {"cursors": {"after": "A"}}
    query = {"from": blocks.id}
    blocks.graph.say({"data": [entry], "paging": paging})
    assert blocks.desk.ok(LIST, **query)["next_cursor"] is None
    blocks.graph.say({"data": [entry], "paging": {**paging, "next": "https://graph/x"}})
    assert blocks.desk.ok(LIST, **query)["next_cursor"] is not None
    blocks.graph.say({"data": []})
    assert blocks.desk.ok(LIST, **query) == {"data": [], "next_cursor": None}


def test_a_cursor_belongs_to_its_number(blocks: Blocks) -> None:
    blocks.graph.say({"data": [{"wa_id": "1"}], "paging": {"cursors": {"after": "A"}}})
    cursor = blocks.desk.ok(LIST, limit=1, **{"from": blocks.id})["next_cursor"]
    blocks.desk.world.everything.execute(
        "insert into messaging.whatsapp_accounts (tenant_id, waba_id, phone_number_id,"
        " phone_number, display_name, access_token_sealed)"
        " values (%s, %s, '77', '+19990000000', 'N', 'x')",
        (blocks.desk.place.tenant_id, blocks.desk.place.waba_id),
    )
    status, problem = blocks.desk.call(LIST, limit=1, cursor=cursor, **{"from": "77"})
    assert (status, problem["field"]) == (400, "cursor")
    assert blocks.desk.call(LIST)[1]["field"] == "from"
