"""ask_agent: how an agent fails, and that it is heard once however often it is asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from switchboard.automation import agent_http, agent_runs
from tests.agents import Scene
from tests.databases import ClonedDatabase


@pytest.fixture
def scene(database: ClonedDatabase) -> Iterator[Scene]:
    with closing(Scene(database)) as made:
        yield made


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((400, {}), "agent: http_400"),
        ((401, {}), "agent: http_401"),
        ((302, {}), "agent: http_302"),
        ((200, b"hello"), "agent: unreadable_answer"),
        ((200, {"text": 7}), "agent: unreadable_answer"),
        ((200, {"text": "x" * 4097}), "agent: unreadable_answer"),
        ((200, {"text": "x", "template": {"name": "t"}}), "agent: unreadable_answer"),
        ((200, b" " * 70_000), "agent: too_long"),
    ],
)
def test_what_asking_again_cannot_mend_ends_the_run_at_once(
    scene: Scene, answer: tuple[int, Any], reason: str
) -> None:
    scene.agent.answers = [answer]
    scene.say()
    scene.at.turn(hours=1)
    scene.tools()
    scene.at.work()
    assert scene.ended() == ("failed", reason)
    assert len(scene.agent.asked) == 1


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_what_may_pass_is_asked_again_under_the_same_id(scene: Scene, status: int) -> None:
    scene.agent.answers = [(status, {}), (200, {"text": "Hello"})]
    scene.say()
    assert scene.ended() == ("started", None)
    scene.at.turn(hours=1)
    scene.at.work()
    assert scene.ended() == ("done", None)
    first, second = (headers["webhook-id"] for headers, _ in scene.agent.asked)
    assert first == second
    assert len(scene.at.meta.bodies) == 1


def test_an_agent_that_never_comes_back_fails_in_the_end(scene: Scene) -> None:
    scene.agent.answers = [(503, {})] * 9
    scene.say()
    for _ in range(8):
        scene.at.turn(hours=1)
        scene.at.work()
    assert scene.ended() == ("failed", "agent: http_503")
    assert len(scene.agent.asked) == 5


def test_an_agent_that_drips_is_cut_off(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_http, "ANSWER_S", 0.3)
    scene.agent.before = lambda: time.sleep(1.0)
    began = time.monotonic()
    scene.say()
    assert time.monotonic() - began < 5
    assert scene.ended() == ("started", None)
    (job,) = scene.place.rows("scheduled_jobs", job_type="ask_agent")
    assert job["error_message"] == "AgentFailed"


def test_killed_after_the_answer_it_is_asked_again_but_speaks_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    scene.agent.answers = [(200, {"text": "One"}), (200, {"text": "Two"})]
    with monkeypatch.context() as patch:
        patch.setattr(agent_runs, "conclude", killed)
        with pytest.raises(Killed):
            scene.say()
    scene.at.turn(minutes=10)
    scene.tools().db.drop()
    scene.at.work()
    scene.at.work()
    assert len(scene.agent.asked) == 2
    assert [body["text"]["body"] for body in scene.at.meta.bodies] == ["Two"]
    assert scene.ended() == ("done", None)


def test_no_transaction_is_open_while_an_agent_thinks(scene: Scene) -> None:
    open_: list[int] = []

    def look() -> None:
        (row,) = scene.place.everything.execute(
            "select count(*) from pg_stat_activity where datname = current_database()"
            " and state like 'idle in transaction%%'"
        )
        open_.append(row[0])

    scene.agent.before = look
    scene.say()
    assert open_ == [0]
