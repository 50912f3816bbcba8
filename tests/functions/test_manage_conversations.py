"""/v1/conversations: the inbox newest first, the verbs of staff, read receipts."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from switchboard.inbox import conversations
from tests.databases import ClonedDatabase
from tests.functions.graph_server import GraphServer, serving
from tests.managing import Desk, column, desk_of

LIST, ONE = "GET /v1/conversations", "GET /v1/conversations/{id}"


def verb(name: str) -> str:
    return f"POST /v1/conversations/{{id}}/{name}"


@pytest.fixture
def graph() -> Iterator[GraphServer]:
    with serving() as server:
        yield server


@pytest.fixture
def desk(
    graph: GraphServer, database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    # After the server, so that its connection is closed before.
    with desk_of(database, monkeypatch) as desk:
        yield desk


def test_a_conversation_shows_its_number_its_person_and_its_newest_message(desk: Desk) -> None:
    conversation_id = desk.hear("4915550000001", "first", "second", name="Ana")
    shown = desk.ok(ONE, conversation_id)
    assert shown["contact"] == {
        "id": shown["contact_id"],
        "name": None,
        "profile_name": "Ana",
        "phone_number": "+4915550000001",
    }
    assert shown["phone_number_id"] == desk.place.phone_number_id
    assert (shown["status"], shown["unread_count"], shown["message_count"]) == ("open", 2, 2)
    assert (shown["last_message_preview"], shown["last_message_direction"]) == ("second", "inbound")
    assert shown["is_window_open"] is True
    assert desk.ok(LIST) == {"data": [shown], "next_cursor": None}
    desk.set("whatsapp_conversations", conversation_id, window_expires_at="2020-01-01")
    assert desk.ok(ONE, conversation_id)["is_window_open"] is False


def test_the_newest_message_comes_first_whatever_the_state_and_the_page(desk: Desk) -> None:
    states = ["open", "pending", "resolved", "closed", "spam"]
    made = []
    for index in range(10):
        made.append(desk.hear(f"49155500000{index:02d}", minute=(index * 7) % 10))
        desk.set("whatsapp_conversations", made[-1], status=states[index % 5])
    # Two of one minute, and two in which nobody has written yet.
    made += [desk.hear(f"49155500000{index:02d}", minute=3) for index in (10, 11)]
    for index in (12, 13):
        made.append(desk.hear(f"49155500000{index:02d}"))
        desk.set("whatsapp_conversations", made[-1], last_message_at=None)
    rows = desk.ok(LIST, limit=200)["data"]
    assert sorted(column(rows, "id")) == sorted(made)
    assert rows == sorted(
        rows, key=lambda row: (row["last_message_at"] or "", row["id"]), reverse=True
    )
    for limit in (1, 2, 3, 5, 14):
        assert column(desk.pages(LIST, limit=limit), "id") == column(rows, "id")
    for limit in (1, 50):
        both = desk.pages(LIST, limit=limit, status="open,spam")
        assert column(both, "id") == [r["id"] for r in rows if r["status"] in {"open", "spam"}]


def test_a_message_that_comes_while_somebody_pages_moves_no_other_row(desk: Desk) -> None:
    made = [desk.hear(f"491555000000{n}", minute=n) for n in range(6)]
    page = desk.ok(LIST, limit=3)
    assert column(page["data"], "id") == made[:2:-1]
    desk.hear("4915550000009", minute=30)
    desk.hear("4915550000000", minute=31)
    rest = desk.ok(LIST, limit=3, cursor=page["next_cursor"])
    assert column(rest["data"], "id") == [made[2], made[1]]
    assert rest["next_cursor"] is None


def test_filters_hold_across_pages_even_where_a_walk_ends_before_the_page_is_full(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "WALK", 2)
    made = [desk.hear(f"491555000000{n}", minute=n) for n in range(7)]
    chosen = [made[5], made[1], made[0]]
    for conversation_id in chosen:
        desk.ok(verb("tags"), conversation_id, body={"add": ["vip"]})
    for limit in (1, 2, 50):
        assert column(desk.pages(LIST, limit=limit, tag="vip"), "id") == chosen


def test_filters_by_number_user_contact_unread_and_archive(desk: Desk) -> None:
    one, two, three = (desk.hear(f"491555000000{n}", minute=n) for n in (1, 2, 3))
    user_id = desk.user("ana@acme.example")
    desk.ok(verb("assign"), one, body={"user": user_id})
    desk.ok(verb("assign"), two, body={"user": "ana@acme.example"})
    desk.ok(verb("archive"), two)
    desk.ok(verb("close"), one)
    desk.set("whatsapp_conversations", three, unread_count=0)

    def listed(**query: Any) -> list[str]:
        found = column(desk.ok(LIST, **query)["data"], "id")
        assert column(desk.pages(LIST, limit=1, **query), "id") == found
        return found

    assert listed(assigned_user_id=user_id) == [two, one]
    assert listed(assigned_user_id=user_id, status="closed") == [one]
    assert listed(assigned_user_id=uuid4()) == []
    assert listed(archived="true") == [two]
    assert listed(archived="false") == [three, one]
    assert listed(unread="true") == [two, one]
    assert listed(unread="false") == [three]
    assert listed(number=desk.place.phone_number_id) == [three, two, one]
    assert listed(number="999") == []
    contact_id = desk.contact_of(one)
    assert listed(contact_id=contact_id) == [one]
    assert listed(contact_id=contact_id, status="open") == []
    assert listed(contact_id=uuid4()) == []
    # A merged contact's threads are the root's.
    root = desk.contact_of(two)
    desk.set("contacts", contact_id, merged_into=root)
    assert listed(contact_id=contact_id) == [two]


#: From each state by each verb: the state that follows.
MOVES = {
    "close": {"open": "closed", "pending": "closed", "resolved": "closed", "spam": "closed"},
    "resolve": {"open": "resolved", "pending": "resolved"},
    "pending": {"open": "pending"},
    "reopen": {"pending": "open", "resolved": "open", "closed": "open", "spam": "open"},
    "spam": {"open": "spam", "pending": "spam", "resolved": "spam", "closed": "spam"},
}


def test_each_verb_leads_from_its_states_and_changes_nothing_from_others(desk: Desk) -> None:
    conversation_id = desk.hear("4915550000001")
    for name, steps in MOVES.items():
        for state in ("open", "pending", "resolved", "closed", "spam"):
            closed_at = "2026-01-01T00:00:00+00:00" if state == "closed" else None
            desk.set("whatsapp_conversations", conversation_id, status=state, closed_at=closed_at)
            before = desk.ok(ONE, conversation_id)
            after = desk.ok(verb(name), conversation_id)
            assert after["status"] == steps.get(state, state), (name, state)
            if state not in steps:
                assert after == before
            else:
                assert (after["closed_at"] is not None) == (after["status"] == "closed")
                assert after["updated_at"] > before["updated_at"]
            # Once more is a no-op with the present state.
            assert desk.ok(verb(name), conversation_id) == desk.ok(ONE, conversation_id)
            assert desk.ok(verb(name), conversation_id)["status"] == after["status"] or (
                name == "pending"
            )


def test_two_who_close_at_once_close_it_once(desk: Desk) -> None:
    conversation_id = desk.hear("4915550000001")
    (row,) = desk.place.rows("whatsapp_conversations", id=conversation_id)
    made = [desk.world.tools() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        done = list(
            pool.map(
                lambda tools: conversations.move(tools, desk.place.tenant_id, row["id"], "closed"),
                made,
            )
        )
    assert len({one.closed_at for one in done}) == 1
    assert {one.status for one in done} == {"closed"}


def test_an_assignment_keeps_its_first_time_and_can_be_taken_back(desk: Desk) -> None:
    conversation_id = desk.hear("4915550000001")
    ana, ben = desk.user("ana@acme.example"), desk.user("ben@acme.example")
    first = desk.ok(verb("assign"), conversation_id, body={"user": "ana@acme.example"})
    assert first["assigned_user_id"] == ana
    assert desk.ok(verb("assign"), conversation_id, body={"user": ana}) == first
    second = desk.ok(verb("assign"), conversation_id, body={"user": ben})
    assert second["assigned_user_id"] == ben
    assert second["assigned_at"] > first["assigned_at"]
    nobody = desk.ok(verb("assign"), conversation_id, body={"user": None})
    assert (nobody["assigned_user_id"], nobody["assigned_at"]) == (None, None)


def test_nobody_is_assigned_who_is_unknown_disabled_or_anothers(desk: Desk) -> None:
    conversation_id = desk.hear("4915550000001")
    gone = desk.user("gone@acme.example")
    desk.set("users", gone, is_active=False)
    other = desk.user("ana@other.example", place=desk.world.place())
    for user in (gone, other, str(uuid4()), "nobody@acme.example", ""):
        status, problem = desk.call(verb("assign"), conversation_id, body={"user": user})
        assert (status, problem["field"]) == (422, "user")
    status, problem = desk.call(verb("assign"), conversation_id, body={})
    assert (status, problem["field"]) == (422, "user")
    assert desk.ok(ONE, conversation_id)["assigned_user_id"] is None


def test_tags_are_a_set_of_at_most_fifty(desk: Desk) -> None:
    conversation_id = desk.hear("4915550000001")
    first = desk.ok(verb("tags"), conversation_id, body={"add": ["b", "a", "b"]})
    assert first["tags"] == ["a", "b"]
    second = desk.ok(verb("tags"), conversation_id, body={"add": ["c"], "remove": ["a", "zz"]})
    assert second["tags"] == ["b", "c"]
    many = [f"t{n}" for n in range(49)]
    status, problem = desk.call(verb("tags"), conversation_id, body={"add": many})
    assert (status, problem["field"]) == (422, "add")
    assert desk.ok(ONE, conversation_id)["tags"] == ["b", "c"]
    wrong: list[dict[str, Any]] = [{}, {"add": []}, {"add": "x"}, {"add": ["x" * 51]}, {"a": ["x"]}]
    for body in wrong:
        assert desk.call(verb("tags"), conversation_id, body=body)[0] == 422


def test_an_archived_conversation_keeps_its_first_time(desk: Desk) -> None:
    conversation_id = desk.hear("4915550000001")
    first = desk.ok(verb("archive"), conversation_id)
    assert first["archived_at"] is not None
    assert desk.ok(verb("archive"), conversation_id) == first
    back = desk.ok(verb("unarchive"), conversation_id)
    assert back["archived_at"] is None
    assert desk.ok(verb("unarchive"), conversation_id) == back


def test_priority_and_pin_are_changed_alone(desk: Desk) -> None:
    conversation_id = desk.hear("4915550000001")
    change = "PATCH /v1/conversations/{id}"
    assert desk.ok(change, conversation_id, body={"priority": "high"})["is_pinned"] is False
    pinned = desk.ok(change, conversation_id, body={"is_pinned": True})
    assert (pinned["priority"], pinned["is_pinned"]) == ("high", True)
    for body, field in (({"priority": "urgent"}, "priority"), ({"status": "closed"}, "status")):
        status, problem = desk.call(change, conversation_id, body=body)
        assert (status, problem["field"]) == (422, field)


def test_reading_marks_all_that_is_unread_here_and_the_newest_at_meta(
    desk: Desk, graph: GraphServer
) -> None:
    conversation_id = desk.hear("4915550000001", "one", "two", "three")
    other = desk.hear("4915550000002")
    desk.use(graph_url=graph.url)
    done = desk.ok(verb("read"), conversation_id)
    assert done["receipt"] == "taken"
    assert done["conversation"]["unread_count"] == 0
    assert graph.asked == [
        {
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": "wamid.4915550000001.0002",
        }
    ]
    rows = desk.place.rows("whatsapp_messages", conversation_id=conversation_id)
    assert {row["status"] for row in rows} == {"read"}
    assert all(row["read_at"] for row in rows)
    # Nothing is unread, so nobody is asked again.
    assert desk.ok(verb("read"), conversation_id)["receipt"] == "not_needed"
    assert len(graph.asked) == 1
    desk.ok(verb("read"), conversation_id, body={"typing": True})
    assert graph.asked[1]["typing_indicator"] == {"type": "text"}
    assert desk.ok(ONE, other)["unread_count"] == 1


def test_somebody_blocked_learns_of_nothing(desk: Desk, graph: GraphServer) -> None:
    conversation_id = desk.hear("4915550000001", "one")
    desk.set("contacts", desk.contact_of(conversation_id), is_blocked=True)
    desk.use(graph_url=graph.url)
    done = desk.ok(verb("read"), conversation_id)
    assert (done["receipt"], done["conversation"]["unread_count"]) == ("not_taken", 0)
    assert graph.asked == []


def test_a_thread_that_went_into_another_answers_with_that_and_says_so(desk: Desk) -> None:
    root, gone = desk.hear("4915550000001", "one", "two"), str(uuid4())
    desk.user("ana@acme.example")
    desk.world.everything.execute(
        "insert into messaging.conversation_merges (tenant_id, conversation_id, merged_into,"
        " merged_at) values (%s, %s, %s, now())",
        (desk.place.tenant_id, gone, root),
    )
    assert desk.ok(ONE, root)["merged_from"] is None
    done = [
        desk.ok(ONE, gone),
        desk.ok(verb("pending"), gone),
        desk.ok(verb("assign"), gone, body={"user": "ana@acme.example"}),
        desk.ok(verb("tags"), gone, body={"add": ["vip"]}),
        desk.ok(verb("archive"), gone),
        desk.ok("PATCH /v1/conversations/{id}", gone, body={"is_pinned": True}),
        desk.ok(verb("read"), gone)["conversation"],
    ]
    # Each verb did its work on the thread that is left.
    assert {one["merged_from"] for one in done[:-1]} == {gone}
    assert {one["id"] for one in done} == {root}
    last = desk.ok(ONE, root)
    assert (last["status"], last["tags"], last["is_pinned"]) == ("pending", ["vip"], True)
    assert last["assigned_user_id"] is not None
    assert last["archived_at"] is not None
    assert last["unread_count"] == 0
    texts = desk.pages("GET /v1/conversations/{id}/messages", gone, limit=1)
    assert column(texts, "content") == [{"body": "two"}, {"body": "one"}]


def test_a_long_backlog_is_read_in_short_transactions(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "_AT_ONCE", 2)
    conversation_id = desk.hear("4915550000001", *(f"text {n}" for n in range(5)))
    done = desk.ok(verb("read"), conversation_id)
    # No Graph answers here: it is read all the same.
    assert done["receipt"] == "not_taken"
    assert done["conversation"]["unread_count"] == 0
    rows = desk.place.rows("whatsapp_messages")
    assert [row["status"] for row in rows] == ["read"] * 5


def test_what_comes_while_meta_is_asked_stays_unread_and_no_transaction_waits(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation_id = desk.hear("4915550000001", "one", "two")
    seen: list[Any] = []

    def ask(tools: Any, **what: Any) -> bool:
        (row,) = desk.world.everything.execute(
            "select count(*) from pg_stat_activity where datname = current_database()"
            " and state like 'idle in transaction%'"
        )
        seen.append((what["wa_message_id"], row[0]))
        desk.hear("4915550000001", "three", minute=30)
        return True

    monkeypatch.setattr("switchboard.outbox.receipts.mark_read", ask)
    done = desk.ok(verb("read"), conversation_id)
    assert seen == [("wamid.4915550000001.0001", 0)]
    assert done["conversation"]["unread_count"] == 1
    statuses = {r["wa_message_id"]: r["status"] for r in desk.place.rows("whatsapp_messages")}
    assert sorted(statuses.values()) == ["read", "read", "received"]
    assert statuses["wamid.4915550000001.0030"] == "received"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"status": "asleep"}, "status.0"),
        ({"status": "open,asleep"}, "status.1"),
        ({"assigned_user_id": "ana"}, "assigned_user_id"),
        ({"unread": "perhaps"}, "unread"),
        ({"sort": "oldest"}, "sort"),
        ({"limit": -1}, "limit"),
        ({"cursor": "AAAA"}, "cursor"),
    ],
)
def test_a_wrong_parameter_is_named(desk: Desk, query: dict[str, Any], field: str) -> None:
    status, problem = desk.call(LIST, **query)
    assert (status, problem["field"]) == (400, field)


@pytest.mark.parametrize("name", ["close", "resolve", "pending", "reopen", "spam", "archive"])
def test_a_verb_takes_no_body_but_an_empty_object(desk: Desk, name: str) -> None:
    conversation_id = desk.hear("4915550000001")
    assert desk.call(verb(name), conversation_id, body={"why": "x"})[1]["field"] == "why"
    assert desk.call(verb(name), conversation_id, body="{}")[0] == 200
