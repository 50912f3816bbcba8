"""The commands of docs/guide.md, as a reader runs them: in order, in a shell, each answered 2xx."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import httpx

from tests.running_stack import ROOT, RunningStack
from tests.sending import poll

Json = dict[str, Any]
#: Lets curl tell the status on a line of its own behind each answer.
TELLING = "curl() { command curl -w '\\n%{http_code}\\n' \"$@\"; }\n"
COMMAND = re.compile(r"^(f [A-Z]+|curl) ", re.MULTILINE)
VERIFIED = "447700900166"


class Reader:
    """Goes through the page; `answers` are those so far, in order."""

    def __init__(self, stack: RunningStack, opening: str) -> None:
        self._stack = stack
        # The run's own values stand elsewhere than a reader's.
        self._opening = opening.replace(".local/env", str(stack.folder / "env"))
        self.answers: list[Json] = []

    def run(self, block: str) -> None:
        """Run a block command by command: what an answer tells may be wanted by the next."""
        starts = [found.start() for found in COMMAND.finditer(block)]
        assert starts, block
        assert starts[0] == 0, block
        for start, end in zip(starts, [*starts[1:], len(block)], strict=True):
            self._command(self._filled(block[start:end]))

    def _command(self, command: str) -> None:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", TELLING + self._opening + command],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=30,
            check=False,
        )
        told = done.stdout.rstrip("\n").split("\n")
        assert (done.returncode, len(told)) == (0, 2), (command, done.stdout, done.stderr)
        answer, status = told
        assert 200 <= int(status) < 300, (command, status, answer)
        self.answers.append(json.loads(answer))

    def _filled(self, command: str) -> str:
        if "<id>" in command:
            known = next(answer["id"] for answer in reversed(self.answers) if "id" in answer)
            command = command.replace("<id>", known)
        return command.replace("<code>", self._code()) if "<code>" in command else command

    def _code(self) -> str:
        """Return the code that stands on the phone."""
        at = f"{self._stack.values['SIMULATOR_URL']}/simulator/phone/{VERIFIED}/messages"
        seen: list[str] = []

        def arrived() -> bool:
            messages = httpx.get(at, trust_env=False).json()["messages"]
            seen[:] = re.findall(r"\*(\d{6})\*", json.dumps([one["preview"] for one in messages]))
            return bool(seen)

        poll(arrived)
        return seen[-1]


def test_every_command_of_the_guide_succeeds(running_stack: RunningStack) -> None:
    page = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    opening, *blocks = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    reader = Reader(running_stack, opening)
    for block in blocks:
        reader.run(block)
    started, checked, _, batch, *_ = reader.answers
    assert started["message"]["status"] == "accepted"
    assert checked == {"verified": True, "attempts_left": 4, "reason": None}
    assert [one["status_code"] for one in batch["results"]] == [200, 200]
    told = {key: answer for answer in reader.answers for key in answer}
    assert told["preview"]["preview"]["body"] == "Hi Ben, order 119 is ready."
    assert told["preview"]["problems"] == []
    blocks_done = [one["results"][0] for one in reader.answers if "results" in one][1:]
    assert [one["status"] for one in blocks_done] == ["blocked", "unblocked"]
    sent = [one["status"] for one in reader.answers if "decision" in one]
    assert sent == ["accepted"] * 3
    (link,) = next(a["data"] for a in reader.answers if "tap_count" in str(a))
    assert (link["label"], link["url"]) == ("Open", "https://example.com/menu")
