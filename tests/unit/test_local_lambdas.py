"""The Lambda stand-in runs real handlers under AWS's runtime client, with Lambda's limits."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import botocore.session
import httpx
import pytest
from botocore.exceptions import ClientError

from local.gateway.app import http_api
from local.guardian import Guardian
from local.lambdas.invocation import SYNCHRONOUS_LIMIT, PayloadTooLarge, Throttled
from local.lambdas.invoke_api import invoke_api
from local.lambdas.platform import Lambdas
from local.ports import listen
from local.serving import Server
from local.template.model import REGION, FunctionSpec, RouteSpec

HANDLER = """
import json, os, sys, threading, time
import shared

beats = []

def beat():
    while True:
        beats.append(time.monotonic())
        time.sleep(0.01)

def handler(event, context):
    what = event.get("do")
    if what == "raise":
        raise ValueError("as asked")
    if what == "exit":
        os._exit(7)
    if what == "sleep":
        time.sleep(event["seconds"])
    if what == "big":
        return "x" * 7_000_000
    if what == "log":
        print(json.dumps({"level": "WARNING", "message": "look", "code": 5}))
        print(json.dumps({"level": "INFO", "message": "quiet"}))
        print("y" * 200_000)
    if what == "count":
        with open(event["file"], "a") as stream:
            stream.write(f"{os.getpid()}\\n")
        if event.get("fail"):
            raise RuntimeError("counted")
    if what == "beat" and not beats:
        threading.Thread(target=beat, daemon=True).start()
    return {
        "pid": os.getpid(),
        "event": event,
        "shared": shared.VALUE,
        "cwd": os.getcwd(),
        "remaining": context.get_remaining_time_in_millis(),
        "id": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "name": context.function_name,
        "memory": context.memory_limit_in_mb,
        "trace": os.environ.get("_X_AMZN_TRACE_ID"),
        "own": os.environ.get("OWN"),
        "added": os.environ.get("ADDED"),
        "home": os.environ.get("HOME"),
        "beats": len(beats),
    }
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    for folder, name, text in (
        ("hello", "app.py", HANDLER),
        ("broken", "app.py", "import nowhere_to_be_found\n"),
        ("layer", "shared.py", "VALUE = 'from the layer'\n"),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    return tmp_path


def _spec(code: Path, /, **changes: Any) -> FunctionSpec:
    fields: dict[str, Any] = {
        "logical_id": "Hello",
        "name": "hello",
        "code": code / "hello",
        "handler": "app.handler",
        "timeout_s": 5.0,
        "memory_mb": 256,
        "environment": {"OWN": "yes"},
        "layers": (code / "layer",),
    }
    return FunctionSpec(**(fields | changes))


@asynccontextmanager
async def _running(
    guardian: Guardian, code: Path, *specs: FunctionSpec, **options: Any
) -> AsyncIterator[Lambdas]:
    lambdas = Lambdas(
        specs,
        workers=options.pop("workers", 2),
        environment={"ADDED": "too"},
        logs=code / "logs",
        guardian=guardian,
        first_retry_s=0.05,
        **options,
    )
    await lambdas.start()
    try:
        yield lambdas
    finally:
        await lambdas.stop()


async def _call(lambdas: Lambdas, event: dict[str, Any], name: str = "hello") -> Any:
    result = await lambdas.invoke(name, json.dumps(event).encode())
    assert result.error is None, result.payload
    return json.loads(result.payload)


async def _until(true: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _run(work: Awaitable[None]) -> None:
    async def main() -> None:
        await work

    asyncio.run(main())


def test_a_handler_sees_what_lambda_shows_it(guardian: Guardian, code: Path) -> None:
    async def check() -> None:
        async with _running(guardian, code, _spec(code)) as lambdas:
            seen = await _call(lambdas, {"text": "größe ✓"})
            again = await _call(lambdas, {})
        assert seen["event"] == {"text": "größe ✓"}
        assert seen["shared"] == "from the layer"
        assert seen["cwd"] == str(code / "hello")
        assert 4000 < seen["remaining"] <= 5000
        assert seen["arn"].endswith(":function:hello")
        assert (seen["name"], seen["memory"]) == ("hello", "256")
        assert seen["trace"].startswith("Root=1-")
        assert (seen["own"], seen["added"], seen["home"]) == ("yes", "too", None)
        assert again["id"] != seen["id"]
        assert again["pid"] == seen["pid"]

    _run(check())


def test_calls_at_once_run_in_several_processes_and_the_rest_waits(
    guardian: Guardian, code: Path
) -> None:
    async def check() -> None:
        async with _running(guardian, code, _spec(code), workers=2) as lambdas:
            event = {"do": "sleep", "seconds": 0.3}
            done = await asyncio.gather(*(_call(lambdas, event) for _ in range(5)))
        assert len({answer["pid"] for answer in done}) == 2

    _run(check())


def test_an_exception_is_an_answer_and_the_process_lives_on(guardian: Guardian, code: Path) -> None:
    async def check() -> None:
        async with _running(guardian, code, _spec(code), workers=1) as lambdas:
            before = await _call(lambdas, {})
            failed = await lambdas.invoke("hello", b'{"do": "raise"}')
            after = await _call(lambdas, {})
        assert failed.error == "Unhandled"
        assert json.loads(failed.payload)["errorType"] == "ValueError"
        assert json.loads(failed.payload)["errorMessage"] == "as asked"
        assert after["pid"] == before["pid"]

    _run(check())


def test_a_call_that_takes_too_long_ends_with_its_process(guardian: Guardian, code: Path) -> None:
    async def check() -> None:
        spec = _spec(code, timeout_s=0.5)
        async with _running(guardian, code, spec, workers=1) as lambdas:
            before = await _call(lambdas, {})
            started = time.monotonic()
            failed = await lambdas.invoke("hello", b'{"do": "sleep", "seconds": 30}')
            assert time.monotonic() - started < 5
            after = await _call(lambdas, {})
        assert failed.error == "Unhandled"
        assert "Task timed out after 0.50 seconds" in json.loads(failed.payload)["errorMessage"]
        assert after["pid"] != before["pid"]
        assert not _alive(before["pid"])

    _run(check())


def test_a_process_that_dies_is_an_error_answer_and_another_takes_over(
    guardian: Guardian, code: Path
) -> None:
    async def check() -> None:
        async with _running(guardian, code, _spec(code), workers=1) as lambdas:
            failed = await lambdas.invoke("hello", b'{"do": "exit"}')
            assert json.loads(failed.payload)["errorType"] == "Runtime.ExitError"
            assert "exit status 7" in json.loads(failed.payload)["errorMessage"]
            living = await _call(lambdas, {})
            os.kill(living["pid"], 9)
            await _until(lambda: not lambdas.find("hello").workers[0].alive)
            assert (await _call(lambdas, {}))["pid"] != living["pid"]

    _run(check())


def test_a_handler_that_cannot_be_loaded_answers_with_the_reason(
    guardian: Guardian, code: Path
) -> None:
    async def check() -> None:
        spec = _spec(code, code=code / "broken", name="broken")
        async with _running(guardian, code, spec, workers=2) as lambdas:
            results = await asyncio.gather(*(lambdas.invoke("broken", b"{}") for _ in range(3)))
        for result in results:
            assert result.error == "Unhandled"
            assert json.loads(result.payload)["errorType"] == "Runtime.ImportModuleError"
            assert "nowhere_to_be_found" in json.loads(result.payload)["errorMessage"]

    _run(check())


def test_between_calls_a_process_is_frozen(guardian: Guardian, code: Path) -> None:
    async def check(*, freeze: bool) -> int:
        async with _running(guardian, code, _spec(code), workers=1, freeze=freeze) as lambdas:
            await _call(lambdas, {"do": "beat"})
            await asyncio.sleep(0.5)
            return int((await _call(lambdas, {}))["beats"])

    assert asyncio.run(check(freeze=False)) > 20
    assert asyncio.run(check(freeze=True)) < 10


def test_a_burst_beyond_the_reserved_concurrency_waits_for_workers(
    guardian: Guardian, code: Path
) -> None:
    async def check() -> None:
        spec = _spec(code, reserved_concurrency=20)
        slow = 'event["rawPath"] == "/webhook"'
        handler = (code / "hello" / "app.py").read_text().replace('what == "sleep"', slow)
        handler = handler.replace('event["seconds"]', "0.02")
        (code / "hello" / "app.py").write_text(handler)
        async with _running(guardian, code, spec, workers=4) as lambdas:
            api = http_api([RouteSpec("POST", "/webhook", "hello")], lambdas.invoke)
            transport = httpx.ASGITransport(app=api)
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                posts = (client.post("/webhook", content=b"{}") for _ in range(16 * 3))
                answers = await asyncio.gather(*posts)
        assert [answer.status_code for answer in answers] == [200] * 48

    _run(check())


def test_no_more_calls_run_at_once_than_the_reserved_concurrency(
    guardian: Guardian, code: Path
) -> None:
    async def check() -> None:
        spec = _spec(code, reserved_concurrency=1)
        async with _running(guardian, code, spec, workers=4) as lambdas:
            event = {"do": "sleep", "seconds": 0.05}
            answers = await asyncio.gather(*(_call(lambdas, event) for _ in range(5)))
        assert len({answer["pid"] for answer in answers}) == 1

    _run(check())


def test_a_call_that_no_worker_takes_in_time_is_refused_and_never_run(
    guardian: Guardian, code: Path
) -> None:
    counted = code / "runs"

    async def check() -> None:
        async with _running(guardian, code, _spec(code), workers=1) as lambdas:
            await _call(lambdas, {})
            hello = lambdas.find("hello")
            await _until(lambda: hello.workers[0].idle)
            busy = asyncio.create_task(_call(lambdas, {"do": "sleep", "seconds": 0.5}))
            await _until(lambda: not hello.workers[0].idle)
            event = json.dumps({"do": "count", "file": str(counted)}).encode()
            with pytest.raises(Throttled):
                await hello.invoke(event, wait_s=0.05)
            # Its time is for waiting only: the call that runs goes on to its end.
            await busy
            await _call(lambdas, {})

    _run(check())
    assert not counted.exists()


def test_a_reserved_concurrency_of_zero_switches_the_function_off(
    guardian: Guardian, code: Path
) -> None:
    async def check() -> None:
        async with _running(guardian, code, _spec(code, reserved_concurrency=0)) as lambdas:
            with pytest.raises(Throttled, match="switched off"):
                await lambdas.invoke("hello", b"{}")

    _run(check())


def test_payloads_over_the_limit_are_refused_both_ways(guardian: Guardian, code: Path) -> None:
    async def check() -> None:
        async with _running(guardian, code, _spec(code)) as lambdas:
            with pytest.raises(PayloadTooLarge):
                await lambdas.invoke("hello", b'"' + b"x" * SYNCHRONOUS_LIMIT + b'"')
            answer = await lambdas.invoke("hello", b'{"do": "big"}')
            assert json.loads(answer.payload)["errorType"] == "Function.ResponseSizeTooLarge"

    _run(check())


@pytest.mark.parametrize(("retries", "runs"), [(0, 1), (2, 3)])
def test_a_failing_event_is_run_again_as_often_as_the_template_says(
    guardian: Guardian, code: Path, retries: int, runs: int
) -> None:
    counted = code / "runs"
    event = json.dumps({"do": "count", "file": str(counted), "fail": True}).encode()

    async def check() -> None:
        async with _running(guardian, code, _spec(code, retries=retries)) as lambdas:
            lambdas.invoke_later("hello", event)
            log = code / "logs" / "hello.log"
            await _until(lambda: f"given up ({runs} failures)" in log.read_text())

    _run(check())
    assert len(counted.read_text().splitlines()) == runs


def test_an_event_waits_for_its_turn_and_an_old_one_is_dropped(
    guardian: Guardian, code: Path
) -> None:
    counted = code / "runs"
    event = json.dumps({"do": "count", "file": str(counted)}).encode()

    async def check(max_age_s: float, busy_s: float) -> None:
        spec = _spec(code, reserved_concurrency=1, max_event_age_s=max_age_s)
        async with _running(guardian, code, spec) as lambdas:
            busy = asyncio.create_task(_call(lambdas, {"do": "sleep", "seconds": busy_s}))
            await asyncio.sleep(0)
            lambdas.invoke_later("hello", event)
            await busy
            await _until(lambda: not lambdas.waiting_events)

    asyncio.run(check(60, 0.2))
    assert len(counted.read_text().splitlines()) == 1
    asyncio.run(check(0.5, 1.5))
    assert len(counted.read_text().splitlines()) == 1


def test_warnings_reach_the_console_and_everything_the_file(guardian: Guardian, code: Path) -> None:
    console: list[str] = []

    async def check() -> None:
        async with _running(guardian, code, _spec(code), console=console.append) as lambdas:
            await _call(lambdas, {"do": "log"})

    _run(check())
    assert console == ["hello: WARNING look code=5"]
    lines = (code / "logs" / "hello.log").read_text().splitlines()
    assert '{"level": "INFO", "message": "quiet"}' in lines
    assert "y" * 200_000 in lines


def test_nothing_is_left_running_after_a_stop(guardian: Guardian, code: Path) -> None:
    pids: list[int] = []

    async def check() -> None:
        async with _running(guardian, code, _spec(code)) as lambdas:
            pids.append((await _call(lambdas, {}))["pid"])
            pending = asyncio.create_task(lambdas.invoke("hello", b'{"do":"sleep","seconds":30}'))
            await asyncio.sleep(0.1)
        assert (await pending).error == "Unhandled"

    _run(check())
    assert not any(_alive(pid) for pid in pids)


def test_small_answers_are_sent_at_once() -> None:
    # asyncio switches Nagle's algorithm off only on sockets that name their protocol; with it each
    # call cost 88 ms instead of one.
    with listen() as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_botocores_lambda_client_works_against_it(guardian: Guardian, code: Path) -> None:
    counted = code / "runs"

    async def check() -> None:
        async with _running(guardian, code, _spec(code)) as lambdas:
            listener = listen()
            server = Server(invoke_api(lambdas), [listener])
            await server.begin()
            client: Any = botocore.session.get_session().create_client(
                "lambda",
                region_name=REGION,
                endpoint_url=f"http://127.0.0.1:{listener.getsockname()[1]}",
                aws_access_key_id="local",
                aws_secret_access_key="local",
            )

            async def invoke(**arguments: Any) -> Any:
                def call() -> Any:
                    answer = client.invoke(**arguments)
                    return answer | {"Payload": answer["Payload"].read()}

                return await asyncio.to_thread(call)

            answer = await invoke(FunctionName="hello:live", Payload=b'{"a": 1}')
            assert answer["StatusCode"] == 200
            assert "FunctionError" not in answer
            assert json.loads(answer["Payload"])["event"] == {"a": 1}
            arn = lambdas.find("hello").spec.arn
            failed = await invoke(FunctionName=arn, Payload=b'{"do": "raise"}')
            assert failed["FunctionError"] == "Unhandled"
            event = json.dumps({"do": "count", "file": str(counted)})
            later = await invoke(FunctionName="hello", InvocationType="Event", Payload=event)
            assert later["StatusCode"] == 202
            await _until(counted.exists)
            with pytest.raises(ClientError) as unknown:
                await invoke(FunctionName="nobody")
            assert unknown.value.response["Error"]["Code"] == "ResourceNotFoundException"
            client.close()
            await server.end()

    _run(check())
