"""The commands of pages of docs/, as a reader runs them: a page's blocks in one shell, top down."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.running_stack import ROOT, RunningStack

#: Lets curl fail where the answer is an error.
STRICT = 'curl() { command curl --fail-with-body "$@"; }\n'


@pytest.mark.parametrize(
    "name", ["audiences", "automations", "campaigns", "facts", "preferences", "prices"]
)
def test_every_command_of_the_page_succeeds(running_stack: RunningStack, name: str) -> None:
    page = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert blocks
    script = STRICT + "\n".join(blocks)
    # The run's own values, and this Python, stand elsewhere than a reader's.
    script = script.replace(".local/env", str(running_stack.folder / "env"))
    script = script.replace(".venv/bin/python", sys.executable)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    told = (done.stdout, done.stderr)
    assert done.returncode == 0, told
    # A function that fails is an answer of 200 to who invokes it.
    assert "errorMessage" not in done.stdout, told
