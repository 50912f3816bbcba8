"""What Meta lists of templates and what its webhooks say end in the same rows, in any order."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from switchboard.accounts import template_sync
from switchboard.accounts.template_sync import Synced, SyncWanted, sync_now
from switchboard.intake.store import store as take_in
from switchboard.kernel.errors import NotFound, RefusedByMeta, Unprocessable
from switchboard.store import templates as store
from switchboard.tools import Tools
from switchboard.transact import transact
from switchboard.whatsapp.templates_api import FIELDS, read_template
from tests.databases import ClonedDatabase
from tests.sending import Place, World, poll
from tests.templates_at_meta import BODY, PLAIN, meta_of

Json = dict[str, Any]
#: The time of the question in the tests that have no Meta; a whole second.
ASKED = datetime(2031, 3, 4, 12, 0, 0, 500_000, tzinfo=UTC)
SECOND = int(ASKED.timestamp())


@pytest.fixture
def world(database: ClonedDatabase) -> Iterator[World]:
    with closing(World(database)) as world:
        yield world


@pytest.fixture
def place(world: World) -> Place:
    return world.place()


def listed(name: str = "order_ready", language: str = "en_US", **more: Any) -> Json:
    """Return a template as Graph lists it."""
    return {
        "id": "1500000000000001",
        "name": name,
        "language": language,
        "status": "APPROVED",
        "category": "UTILITY",
        "components": [PLAIN],
        **more,
    }


def keep(world: World, place: Place, *nodes: Json, asked: datetime = ASKED) -> None:
    """Keep these as a page that was asked for at that time."""
    rows = [found.row() for node in nodes if (found := read_template(node)) is not None]
    assert len(rows) == len(nodes)
    with world.tools().db.transaction(place.tenant_id) as link:
        store.keep(link, place.tenant_id, place.waba_id, rows, asked=asked, now=asked)


def end(world: World, place: Place, asked: datetime = ASKED) -> int:
    with world.tools().db.transaction(place.tenant_id) as link:
        return store.end_sync(link, place.tenant_id, place.waba_id, asked=asked)


def tell(
    tools: Tools,
    place: Place,
    at: int,
    value: Json,
    *,
    field: str = "message_template_status_update",
    name: str = "order_ready",
) -> None:
    """Take a webhook of Meta's in."""
    named = {
        "message_template_id": 1500000000000001,
        "message_template_name": name,
        "message_template_language": "en-US",
    }
    change = {"field": field, "value": named | value}
    entry = {"id": place.waba_id, "time": at, "changes": [change]}
    body = {"object": "whatsapp_business_account", "entry": [entry]}
    take_in(tools, json.dumps(body).encode(), None)


def row(place: Place, name: str = "order_ready") -> Json:
    (found,) = place.rows("whatsapp_templates", name=name)
    return found


def states(place: Place) -> dict[str, str]:
    return {found["name"]: found["status"] for found in place.rows("whatsapp_templates")}


def final(place: Place) -> list[Json]:
    """Return the rows without what is different each time."""
    made = ("id", "tenant_id", "created_at", "updated_at", "waba_id")
    rows = place.rows("whatsapp_templates")
    return sorted(
        ({key: value for key, value in found.items() if key not in made} for found in rows),
        key=lambda found: str(found["name"]),
    )


def test_a_page_is_kept_whole_in_one_statement(
    world: World, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = listed(
        language="en-US",
        status="REJECTED",
        rejected_reason="INVALID_FORMAT",
        quality_score={"score": "GREEN", "date": 1_790_000_000},
        parameter_format="NAMED",
        message_send_ttl_seconds=600,
        sub_category="ORDER_DETAILS",
        previous_category="MARKETING",
        correct_category="MARKETING",
        library_template_name="delivery_1",
        id=1_500_000_000_000_001,
    )
    keep(world, place, node, *(listed(f"t{n}") for n in range(99)))
    assert len(place.rows("whatsapp_templates")) == 100
    found = row(place)
    told = {
        "template_id": "1500000000000001",
        "language": "en_US",
        "status": "REJECTED",
        "rejection_reason": "INVALID_FORMAT",
        "category": "UTILITY",
        "correct_category": "MARKETING",
        "quality_score": "GREEN",
        "components": [PLAIN],
        "components_fetched_at": ASKED,
        "components_stale": False,
        "parameter_format": "NAMED",
        "message_send_ttl_seconds": 600,
        "sub_category": "ORDER_DETAILS",
        "previous_category": "MARKETING",
        "library_template_name": "delivery_1",
        "found_at": ASKED,
        # Of the second before: a webhook of the same one may be newer.
        "status_at": datetime.fromtimestamp(SECOND - 1, UTC),
    }
    assert {key: found[key] for key in told} == told


def test_a_webhook_of_the_same_second_or_later_wins_and_an_older_one_loses(
    world: World, place: Place
) -> None:
    tools = world.tools()
    # Several words: a tie would be decided by their digests.
    words = ("PAUSED", "DISABLED", "PENDING", "REJECTED", "IN_APPEAL")
    for at, word in itertools.product((-2, 0, 30), words):
        name = f"{word}_{at}"
        keep(world, place, listed(name))
        tell(tools, place, SECOND + at, {"event": word}, name=name)
        assert row(place, name)["status"] == ("APPROVED" if at < 0 else word)


NEWS: list[Callable[[World, Tools, Place], None]] = [
    lambda world, tools, place: tell(tools, place, SECOND - 60, {"event": "PENDING"}),
    lambda world, tools, place: tell(
        tools,
        place,
        SECOND - 50,
        {"event": "REJECTED", "reason": "SCAM", "rejection_info": {"reason": "r"}},
    ),
    lambda world, tools, place: keep(
        world, place, listed(status="REJECTED", rejected_reason="SCAM", category="MARKETING")
    ),
    lambda world, tools, place: keep(
        world,
        place,
        listed(components=[BODY], parameter_format="POSITIONAL"),
        asked=ASKED - timedelta(minutes=10),
    ),
    lambda world, tools, place: tell(
        tools,
        place,
        SECOND + 9,
        {"new_quality_score": "RED", "previous_quality_score": "GREEN"},
        field="message_template_quality_update",
    ),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(len(NEWS))))[::5])
def test_any_order_of_pages_and_webhooks_ends_in_the_same_row(
    world: World, place: Place, order: tuple[int, ...]
) -> None:
    tools = world.tools()
    for index in (*order, *order[:2]):  # and some of it again
        NEWS[index](world, tools, place)
    (found,) = final(place)
    assert (found["status"], found["category"], found["quality_score"]) == (
        "REJECTED",
        "MARKETING",
        "RED",
    )
    assert found["components"] == [PLAIN]
    assert found["components_fetched_at"] == found["found_at"] == ASKED
    assert found["parameter_format"] is None
    # What Meta explained is shown although the sync told the bare word since.
    (shown,) = transact(
        tools, place.tenant_id, lambda link: store.load(link, place.tenant_id, [row(place)["id"]])
    )
    assert (shown.rejection_reason, shown.rejection_info) == ("SCAM", {"reason": "r"})


# Its last page is kept before a sync ends.
@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1)])
def test_two_syncs_and_a_deletion_end_alike_whoever_is_first(
    world: World, place: Place, order: tuple[int, ...]
) -> None:
    keep(world, place, listed(), asked=ASKED - timedelta(days=1))
    later = ASKED + timedelta(minutes=1)
    steps: list[Callable[[], Any]] = [
        lambda: keep(world, place, listed()),
        lambda: end(world, place, ASKED),
        lambda: end(world, place, later),
    ]
    for index in order:
        steps[index]()
    # The page of the first sync says that it was there; the second one did not find it.
    assert row(place)["status"] == "DELETED"
    assert row(place)["status_at"] == datetime.fromtimestamp(SECOND + 59, UTC)


def test_what_a_complete_sync_does_not_find_is_deleted_with_its_time(
    world: World, place: Place
) -> None:
    tools = world.tools()
    keep(world, place, listed("old"), listed("kept"), asked=ASKED - timedelta(days=1))
    other = world.place()
    keep(world, other, listed("elsewhere"), asked=ASKED - timedelta(days=1))
    keep(world, place, listed("kept"))
    assert end(world, place) == 1
    assert states(place) == {"old": "DELETED", "kept": "APPROVED"}
    assert states(other) == {"elsewhere": "APPROVED"}
    assert row(place, "old")["status_at"] == datetime.fromtimestamp(SECOND - 1, UTC)
    assert end(world, place) == 0
    # It was made anew since, and Meta says so.
    tell(tools, place, SECOND + 5, {"event": "APPROVED"}, name="old")
    assert states(place)["old"] == "APPROVED"


def test_a_template_made_after_the_sync_began_is_not_gone(world: World, place: Place) -> None:
    began = ASKED - timedelta(seconds=30)
    keep(world, place, listed("new"), asked=ASKED)
    keep(world, place, listed("seen_by_an_older_sync"), asked=began - timedelta(seconds=1))
    world.everything.execute(
        "update messaging.whatsapp_templates set created_at = %s where name <> 'new'", (ASKED,)
    )
    assert end(world, place, began) == 0
    assert set(states(place).values()) == {"APPROVED"}


def test_of_one_name_twice_in_a_page_the_one_that_lives_counts(world: World, place: Place) -> None:
    for order in (1, -1):
        twins = [listed(status="DELETED", id="9"), listed(id="8")][::order]
        keep(world, place, *twins)
        assert (row(place)["status"], row(place)["template_id"]) == ("APPROVED", "8")


@pytest.mark.parametrize(
    "node",
    [
        {**listed(), "name": None},
        {**listed(), "language": 7.5},
        {**listed(), "components": [{"type": "BODY", "text": "a\0b"}]},
        {**listed(), "components": [{"type": "BODY", "text": "\ud800"}]},
        "template",
    ],
)
def test_what_cannot_be_read_is_left_out(node: Any) -> None:
    assert read_template(node) is None


def test_a_whole_account_is_brought_page_by_page(world: World, place: Place) -> None:
    with meta_of(place) as meta:
        for n in range(205):
            meta.give(place, f"t{n:03}")
        tools = world.tools(graph_url=meta.url)
        synced = sync_now(tools, place.tenant_id, SyncWanted(waba_id=place.waba_id))
        assert synced == Synced(place.waba_id, "done", 205, 0)
        assert len(place.rows("whatsapp_templates", status="APPROVED")) == 205
        calls = meta.asked()
    assert [len(call["response"]["data"]) for call in calls] == [100, 100, 5]
    assert {call["path"] for call in calls} == {f"/v23.0/{place.waba_id}/message_templates"}
    (account,) = place.rows("whatsapp_business_accounts")
    assert account["templates_synced_at"] is not None


def test_a_sync_that_ends_early_deletes_nothing(
    world: World, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(world, place, listed("old"), asked=ASKED - timedelta(days=9999))
    world.everything.execute("update messaging.whatsapp_templates set created_at = '2020-01-01'")
    pages: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        query = dict(request.url.params)
        assert query.pop("fields") == FIELDS
        pages.append(query)
        if query.get("after") == "two":
            return httpx.Response(400, json={"error": {"code": 100, "message": "no"}})
        paging = {"cursors": {"after": "two"}, "next": "https://graph.invalid/x"}
        return httpx.Response(200, json={"data": [listed("one")], "paging": paging})

    tools = world.tools(transport=httpx.MockTransport(answer))
    wanted = SyncWanted(waba_id=place.waba_id)
    with pytest.raises(RefusedByMeta):
        sync_now(tools, place.tenant_id, wanted)
    assert pages == [{"limit": "100"}, {"limit": "100", "after": "two"}]
    assert states(place) == {"old": "APPROVED", "one": "APPROVED"}

    # Nor one that came to its end without having read all of it.
    def unread(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"data": [listed("one"), {"name": "two"}]})

    tools = world.tools(transport=httpx.MockTransport(unread))
    assert sync_now(tools, place.tenant_id, wanted) == Synced(place.waba_id, "done", 1, 0)
    assert states(place) == {"old": "APPROVED", "one": "APPROVED"}

    # Nor one that has no time for the rest.
    def endless(request: httpx.Request) -> httpx.Response:
        after = str(int(request.url.params.get("after", "0")) + 1)
        paging = {"next": f"https://graph.invalid/x?after={after}"}
        return httpx.Response(200, json={"data": [listed(f"t{after}")], "paging": paging})

    monkeypatch.setattr(template_sync, "AT_ONCE_S", 0.0)
    tools = world.tools(transport=httpx.MockTransport(endless))
    synced = sync_now(tools, place.tenant_id, wanted)
    (job,) = place.rows("scheduled_jobs")
    assert synced == Synced(place.waba_id, "continues", 1, 0, job["id"])
    assert job["job_type"] == "sync_templates"
    (account,) = place.rows("whatsapp_business_accounts")
    assert account["templates_synced_at"] is None
    assert account["templates_sync_after"] == "1"
    assert job["args"] == {
        "waba_id": place.waba_id,
        "began_at": job["args"]["began_at"],
        "listed": 1,
        "unread": 0,
    }
    assert set(states(place).values()) == {"APPROVED"}
    # A list that is at its end at once says that the rest is gone.
    tools = world.tools(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, json={"data": []}))
    )
    world.everything.execute("update messaging.whatsapp_templates set created_at = '2020-01-01'")
    assert sync_now(tools, place.tenant_id, wanted).deleted == 3


def test_a_page_too_long_to_be_read_is_asked_for_in_parts(world: World, place: Place) -> None:
    sizes: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sizes.append(request.url.params["limit"])
        text = "x" * (1_100_000 if sizes[-1] == "100" else 10)
        node = listed(components=[{"type": "BODY", "text": text}])
        return httpx.Response(200, json={"data": [node]})

    tools = world.tools(transport=httpx.MockTransport(answer))
    synced = sync_now(tools, place.tenant_id, SyncWanted(waba_id=place.waba_id))
    assert (synced.listed, sizes) == (1, ["100", "20"])


def test_an_account_of_somebody_else_or_without_a_token_is_not_asked_for(
    world: World, place: Place
) -> None:
    tools = world.tools()
    with pytest.raises(NotFound):
        sync_now(tools, world.place().tenant_id, SyncWanted(waba_id=place.waba_id))
    place.set_number(access_token_sealed=None)
    with pytest.raises(Unprocessable):
        sync_now(tools, place.tenant_id, SyncWanted(waba_id=place.waba_id))


def test_rows_are_locked_in_the_order_of_their_names(world: World, place: Place) -> None:
    """Sorted, as everywhere: two that want each other's next row would deadlock."""
    keep(world, place, *(listed(f"t{n:03}") for n in range(50)))
    tools = world.tools()
    nodes = [listed(f"t{n:03}") for n in reversed(range(50))]
    rows = "select from messaging.whatsapp_templates where name {} 't000' for no key update {}"
    with ThreadPoolExecutor(1) as pool, psycopg.connect(world.database.superuser_url) as other:
        other.execute(rows.format("=", "").encode())
        kept = pool.submit(keep_of, tools, place, nodes)
        waiting = "select from pg_stat_activity where usename = 'app' and wait_event_type = 'Lock'"
        poll(lambda: world.everything.execute(waiting).fetchone() is not None)
        # It stands at the first row and holds none behind it.
        other.execute(rows.format(">", "nowait").encode())
        other.rollback()
        kept.result()


@pytest.mark.parametrize("word", ["APPROVED", "PENDING", "PAUSED", "REJECTED"])
def test_what_was_deleted_is_deleted_even_in_the_second_of_other_news(
    world: World, place: Place, word: str
) -> None:
    tools = world.tools()
    tell(tools, place, SECOND, {"event": word})
    with tools.db.transaction(place.tenant_id) as link:
        store.mark_deleted(link, place.tenant_id, place.waba_id, "order_ready", "en_US", now=ASKED)
    assert row(place)["status"] == "DELETED"


def test_a_sync_that_began_earlier_leaves_no_mark_over_a_later_one(
    world: World, place: Place
) -> None:
    later = ASKED + timedelta(seconds=1)
    with world.tools().db.transaction(place.tenant_id) as link:
        for began_at in (later, ASKED):
            store.leave_sync(
                link, place.tenant_id, place.waba_id, began_at=began_at, after=f"{began_at}"
            )
        found = [
            store.find_left_sync(link, place.tenant_id, place.waba_id, began_at=began_at)
            for began_at in (ASKED, later)
        ]
    assert found == [None, f"{later}"]


def keep_of(tools: Tools, place: Place, nodes: list[Json]) -> None:
    rows = [found.row() for node in nodes if (found := read_template(node)) is not None]
    with tools.db.transaction(place.tenant_id) as link:
        store.keep(link, place.tenant_id, place.waba_id, rows, asked=ASKED, now=None)
