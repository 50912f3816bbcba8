"""Finds the route of a request as API Gateway does: the most specific one wins."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from local.template.model import RouteSpec

_PARAMETER = re.compile(r"\{([A-Za-z0-9._-]+)(\+?)\}")


@dataclass(frozen=True, slots=True)
class Match:
    """A route and the values of its {parameters}."""

    route: RouteSpec
    parameters: dict[str, str]


class Routes:
    """The template's routes, ordered by how specific they are."""

    def __init__(self, routes: Iterable[RouteSpec]) -> None:
        self._routes = [(_pattern(route.path), route) for route in sorted(routes, key=_rank)]

    def find(self, method: str, raw_path: str) -> Match | None:
        """Return the match for `raw_path` (as sent, still percent-encoded), or None."""
        path = raw_path.rstrip("/") or "/"
        for pattern, route in self._routes:
            if route.method not in {method, "ANY"}:
                continue
            found = pattern.fullmatch(path)
            if found:
                names = [name for name, _ in _PARAMETER.findall(route.path)]
                values = [unquote(value) for value in found.groups()]
                return Match(route, dict(zip(names, values, strict=True)))
        return None


def _pattern(path: str) -> re.Pattern[str]:
    if path == "$default":
        return re.compile(r".*")
    pieces, end = [], 0
    for parameter in _PARAMETER.finditer(path):
        pieces.append(re.escape(path[end : parameter.start()]))
        pieces.append("(.+)" if parameter[2] else "([^/]+)")
        end = parameter.end()
    pieces.append(re.escape(path[end:]))
    return re.compile("".join(pieces))


def _rank(route: RouteSpec) -> tuple[int, int, int]:
    """Full match first, then parameters, then a greedy {proxy+}, then $default; ANY comes last."""
    if route.path == "$default":
        return (3, 0, 0)
    greedy = "+}" in route.path
    kind = 2 if greedy else 1 if "{" in route.path else 0
    return (kind, -len(_PARAMETER.sub("", route.path)), route.method == "ANY")
