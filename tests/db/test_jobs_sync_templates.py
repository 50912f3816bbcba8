"""Templates are fetched when a webhook says that there is something to fetch, and once a day."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import httpx
import pytest

from switchboard.accounts import template_sync
from switchboard.accounts.template_sync import SyncWanted, sync_now
from switchboard.jobs import sync_templates
from switchboard.kernel.clock import Clock
from switchboard.tools import Tools
from switchboard.worker import Summary, drain
from tests.databases import ClonedDatabase
from tests.db.jobs_worker import Kinds
from tests.db.test_templates_sync import tell
from tests.sending import Place, World
from tests.templates_at_meta import BODY, meta_of

ONLY = Kinds(sync_templates.KIND)
Answer = Callable[[httpx.Request], httpx.Response]
COMPONENTS = "message_template_components_update"


@pytest.fixture
def world(database: ClonedDatabase) -> Iterator[World]:
    with closing(World(database)) as world:
        yield world


@pytest.fixture
def place(world: World) -> Place:
    return world.place()


def at(tools: Tools, place: Place) -> Tools:
    """Set the tools' time to the place's."""
    tools.clock = place.time.clock()
    return tools


def work(tools: Tools, place: Place, **later: float) -> Summary:
    """Run a worker until nothing is due, a little or more later."""
    place.time.turn(**(later or {"seconds": 6}))
    return drain(at(tools, place), time.monotonic() + 100.0, kinds=ONLY)


def told(tools: Tools, place: Place, name: str = "order_ready", **how: Any) -> None:
    """Take news of a template in, of now."""
    second = int(place.time.now.timestamp())
    value = {"event": "APPROVED"} if "field" not in how else {"message_template_element": "Hi"}
    tell(at(tools, place), place, second, value, name=name, **how)


def jobs(place: Place) -> list[dict[str, Any]]:
    return sorted(place.rows("scheduled_jobs", job_type="sync_templates"), key=lambda j: j["id"])


def answering(world: World, answer: Answer) -> Tools:
    return world.tools(transport=httpx.MockTransport(answer))


def test_an_unknown_template_of_a_webhook_is_fetched(world: World, place: Place) -> None:
    with meta_of(place) as meta:
        meta.give(place, "order_ready", components=[BODY])
        tools = world.tools(graph_url=meta.url)
        for _ in range(3):  # redelivered
            told(tools, place)
        told(tools, place, "other")
        (job,) = jobs(place)
        assert job["args"] == {"waba_id": place.waba_id}
        assert work(tools, place, seconds=1).completed == 0  # others may come
        assert work(tools, place).completed == 1
    (job,) = jobs(place)
    assert job["result"] == {"listed": 1, "deleted": 1, "more": False}
    (found,) = place.rows("whatsapp_templates", name="order_ready")
    assert (found["components"], found["components_stale"]) == ([BODY], False)
    (gone,) = place.rows("whatsapp_templates", name="other")
    assert gone["status"] == "DELETED"


def test_changed_components_are_fetched_again_and_only_they(world: World, place: Place) -> None:
    with meta_of(place) as meta:
        template_id = meta.give(place, "order_ready")
        tools = world.tools(graph_url=meta.url)
        told(tools, place)
        work(tools, place)
        told(tools, place)  # nothing that is not here
        assert [job["status"] for job in jobs(place)] == ["completed"]
        told(tools, place, field=COMPONENTS)
        assert [job["status"] for job in jobs(place)] == ["completed", "pending"]
        meta.http.post(
            f"/v23.0/{template_id}",
            headers={"Authorization": f"Bearer token-{place.phone_number_id}"},
            json={"components": [BODY]},
        ).raise_for_status()
        work(tools, place)
    (found,) = place.rows("whatsapp_templates")
    assert (found["components"], found["components_stale"]) == ([BODY], False)


def test_a_deleted_template_that_was_never_fetched_is_left_alone(
    world: World, place: Place
) -> None:
    second = int(place.time.now.timestamp())
    tell(at(world.tools(), place), place, second, {"event": "DELETED"})
    assert jobs(place) == []


def test_a_long_list_is_brought_in_slices(
    world: World, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_templates, "SLICE_S", 0.0)
    with meta_of(place) as meta:
        for n in range(250):
            meta.give(place, f"t{n:03}")
        tools = world.tools(graph_url=meta.url)
        told(tools, place, "gone")
        assert work(tools, place).completed == 3
    found = jobs(place)
    assert [job["result"] for job in found] == [
        {"listed": 100, "more": True},
        {"listed": 200, "more": True},
        {"listed": 250, "deleted": 1, "more": False},
    ]
    assert len({job["args"].get("began_at") for job in found[1:]}) == 1
    assert len(place.rows("whatsapp_templates", status="APPROVED")) == 250


def test_a_sync_that_began_later_takes_over_from_one_that_goes_on(
    world: World, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_sync, "AT_ONCE_S", 0.0)
    with meta_of(place) as meta:
        for n in range(150):
            meta.give(place, f"t{n:03}")
        tools = world.tools(graph_url=meta.url)
        wanted = SyncWanted(waba_id=place.waba_id)
        for _ in range(2):
            place.time.turn(seconds=1)
            assert sync_now(at(tools, place), place.tenant_id, wanted).state == "continues"
        assert work(tools, place).completed == 2
    assert [job["result"] for job in jobs(place)] == [
        {"listed": 100, "superseded": True},
        {"listed": 150, "deleted": 0, "more": False},
    ]


def test_a_slice_that_was_killed_comes_again_and_does_no_harm(world: World, place: Place) -> None:
    with meta_of(place) as meta:
        meta.give(place, "order_ready")
        tools = world.tools(graph_url=meta.url)
        told(tools, place)
        work(tools, place)
        before = place.rows("whatsapp_templates")
        world.everything.execute(
            "update messaging.scheduled_jobs set status = 'pending', finished_at = null"
        )
        assert work(tools, place).completed == 1
    after = place.rows("whatsapp_templates")
    assert [one["states"].keys() for one in after] == [one["states"].keys() for one in before]
    assert [one["status"] for one in after] == ["APPROVED"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, {"code": 190, "message": "Error validating access token: it has expired"}),
        (400, {"code": 100, "error_subcode": 33, "message": "Object does not exist"}),
        (403, {"code": 10, "message": "Permission missing"}),
    ],
)
def test_a_dead_token_makes_the_job_give_up_with_its_reason(
    world: World, place: Place, status: int, error: dict[str, Any]
) -> None:
    tools = answering(world, lambda _: httpx.Response(status, json={"error": error}))
    told(tools, place)
    assert work(tools, place).failed == 1
    (job,) = jobs(place)
    assert (job["status"], job["attempts"], job["error_message"]) == ("failed", 1, "GiveUp")
    (account,) = place.rows("whatsapp_business_accounts")
    assert account["templates_sync_error"] == f"{error['code']}: {error['message']}"
    assert account["templates_synced_at"] is None
    # The next one that comes to its end forgets it.
    tools = answering(world, lambda _: httpx.Response(200, json={"data": []}))
    told(tools, place, "other")
    assert work(tools, place).completed == 1
    (account,) = place.rows("whatsapp_business_accounts")
    assert account["templates_sync_error"] is None


def test_without_any_token_nobody_is_asked(world: World, place: Place) -> None:
    place.set_number(access_token_sealed=None)
    tools = world.tools()
    told(tools, place)
    assert work(tools, place).failed == 1
    (account,) = place.rows("whatsapp_business_accounts")
    assert "access token" in account["templates_sync_error"]


def test_while_meta_is_busy_no_attempt_is_spent(world: World, place: Place) -> None:
    busy = {"error": {"code": 80008, "message": "too many calls"}}
    tools = answering(world, lambda _: httpx.Response(400, json=busy))
    told(tools, place)
    summary = work(tools, place)
    assert (summary.snoozed, summary.stopped) == (1, "idle")
    (job,) = jobs(place)
    assert (job["status"], job["attempts"]) == ("pending", 0)
    assert job["scheduled_for"] == place.time.now + timedelta(seconds=60)


@pytest.mark.parametrize(
    "answer",
    [
        lambda request: (_ for _ in ()).throw(httpx.ConnectError("away", request=request)),
        lambda request: (_ for _ in ()).throw(httpx.ReadTimeout("late", request=request)),
        lambda _: httpx.Response(200, json={"data": "none"}),
        lambda _: httpx.Response(200, json={"data": [], "paging": {"next": "https://x/"}}),
        lambda _: httpx.Response(500, text="oops"),
    ],
)
def test_what_is_no_answer_is_asked_for_again(world: World, place: Place, answer: Answer) -> None:
    told(tools := answering(world, answer), place)
    assert work(tools, place).retried == 1
    (job,) = jobs(place)
    assert (job["status"], job["attempts"], job["error_message"]) == ("pending", 1, "NoPage")


def test_a_job_of_another_release_with_more_arguments_runs(world: World, place: Place) -> None:
    tools = answering(world, lambda _: httpx.Response(200, json={"data": []}))
    told(tools, place)
    world.everything.execute("""update messaging.scheduled_jobs set args = args || '{"x": 1}'""")
    tools.clock = Clock()
    assert work(tools, place).completed == 1
