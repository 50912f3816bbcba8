"""Facts from a file of JSON lines, a thousand at a time, with what is wrong in which line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson

from switchboard.facts.write import MOST, WriteResults
from switchboard.kernel.arguments import LIMIT

#: Problems that are told one by one; the rest is counted.
TOLD = 1_000


@dataclass(frozen=True, slots=True)
class LineProblem:
    """What is wrong in a line, the first being 1; `field` names the member, if it is one."""

    line: int
    external_id: str | None
    field: str | None
    detail: str


@dataclass(slots=True)
class Imported:
    """What became of the lines so far; empty ones count as lines alone."""

    lines: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    stale: int = 0
    refused: int = 0
    problems: list[LineProblem] = field(default_factory=list)


def import_lines(
    lines: Iterable[bytes],
    write: Callable[[Sequence[Any]], WriteResults],
    progress: Callable[[Imported], None],
) -> Imported:
    """Write each line's fact; `progress` hears after every thousand lines.

    Each thousand is a transaction: what was written before a failure stays, and the file may be
    imported again.
    """
    told = Imported()
    rest = iter(lines)
    while part := list(islice(rest, MOST)):
        _import_part(part, write, told)
        progress(told)
    return told


def _import_part(
    part: Sequence[bytes], write: Callable[[Sequence[Any]], WriteResults], told: Imported
) -> None:
    items: list[Any] = []
    places: list[int] = []
    problems: list[LineProblem] = []
    for number, line in enumerate(part, start=told.lines + 1):
        try:
            if len(line) > LIMIT:
                problems.append(LineProblem(number, None, None, f"is over {LIMIT} bytes"))
            elif line.strip():
                items.append(orjson.loads(line))
                places.append(number)
        except orjson.JSONDecodeError:
            problems.append(LineProblem(number, None, None, "is not JSON"))
    results = write(items).results if items else []
    counts = Counter(result["result"] for result in results)
    told.lines += len(part)
    told.created += counts["created"]
    told.updated += counts["updated"]
    told.unchanged += counts["unchanged"]
    told.stale += counts["stale"]
    told.refused += counts["refused"] + len(problems)
    problems += [
        LineProblem(number, result["external_id"], result.get("field"), result["detail"])
        for number, result in zip(places, results, strict=True)
        if result["result"] == "refused"
    ]
    problems.sort(key=lambda problem: problem.line)
    told.problems += problems[: TOLD - len(told.problems)]
