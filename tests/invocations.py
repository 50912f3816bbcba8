"""Invocations of Lambda whose time passes as the test says, not as the machine does."""

from __future__ import annotations

from typing import Any

import pytest

from switchboard.kernel.clock import Clock
from switchboard.tools import Tools


class Slow:
    """An invocation whose time runs with what is done: so many seconds for each."""

    aws_request_id = "r"

    def __init__(self, tools: Tools, seconds: float) -> None:
        self.tools = tools
        self.now, self.end = 1000.0, 1000.0 + seconds
        tools.clock = Clock(monotonic=lambda: self.now)

    def get_remaining_time_in_millis(self) -> int:
        return int((self.end - self.now) * 1000)

    def slows(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, by: float) -> None:
        """Let each call of it take so long."""
        real = getattr(owner, name)

        def slowly(*args: Any, **how: Any) -> Any:
            self.now += by
            return real(*args, **how)

        monkeypatch.setattr(owner, name, slowly)
