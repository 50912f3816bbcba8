"""What functions print: everything to a file each, warnings and errors to the console."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

_ERRORS = {"ERROR", "CRITICAL", "FATAL"}
_LOUD = {"WARNING", "WARN"} | _ERRORS
#: Members of a log line that every line has and that say nothing on a console.
_USUAL = {
    "level", "message", "event", "timestamp", "time", "location", "service", "xray_trace_id",
    "cold_start", "function_name", "function_arn", "function_memory_size", "function_request_id",
    "logger", "stack_trace", "exception",
}  # fmt: skip
_RED, _YELLOW, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[0m"


class FunctionLog:
    """The log of one function: `feed` takes raw output of any worker, `note` our own words."""

    def __init__(self, name: str, folder: Path, console: Callable[[str], None]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._name = name
        self._console = console
        self.path = folder / f"{name}.log"
        #: Set while whoever calls the function tells its failures himself.
        self.hide_errors = False
        self._file: TextIO = self.path.open("a", encoding="utf-8", buffering=1)

    def feed(self, line: str) -> None:
        """Keep one line of output, and show it if it is a warning or worse."""
        # awslambdaric ends the lines of a traceback by carriage returns.
        self._file.write(line.rstrip("\r").replace("\r", "\n") + "\n")
        loud = _loud(line)
        if loud is not None:
            self._show(*loud)

    def note(self, text: str) -> None:
        """Keep and show a sentence of the platform's own (a time-out, a crash)."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._file.write(f"{stamp} {text}\n")
        self._show("ERROR", text)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _show(self, level: str, text: str) -> None:
        if not (self.hide_errors and level in _ERRORS):
            self._console(f"{self._name}: {_colour(level, text)}")


def _loud(line: str) -> tuple[str, str] | None:
    """Return the level and text of a line of WARNING or above, None for a quiet one."""
    if line.startswith("{"):
        try:
            document = json.loads(line)
        except ValueError:
            return None
        level = str(document.get("level", "")).upper()
        if level not in _LOUD:
            return None
        return level, f"{level} {_sentence(document)}"
    if line.startswith(("[ERROR]", "[WARNING]", "[CRITICAL]")):
        # awslambdaric's own lines, a traceback with carriage returns; its advice is for AWS.
        if "LAMBDA_WARNING: Unhandled exception" in line:
            return None
        return line[1:].split("]", 1)[0], line.replace("\r", "\n").strip()
    return None


def _sentence(document: dict[str, Any]) -> str:
    words = [str(document.get("message") or document.get("event") or "")]
    words += [f"{key}={value}" for key, value in document.items() if key not in _USUAL]
    trace = document.get("stack_trace") or document.get("exception")
    if isinstance(trace, list):
        words.append("\n" + "\n".join(str(part) for part in trace))
    elif trace:
        words.append(f"\n{trace}")
    return " ".join(words)


def _colour(level: str, text: str) -> str:
    if not sys.stdout.isatty():
        return text
    return f"{_YELLOW if level.startswith('WARN') else _RED}{text}{_PLAIN}"
