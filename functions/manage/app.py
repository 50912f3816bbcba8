"""The rest of /v1: one module per resource, named like the first word of its routes.

A module is imported when its first request comes, so that a cold start pays for one resource. Its
ROUTES hold, for each route, the scope of the caller's key and what answers.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from switchboard.access import Guarded
from switchboard.kernel.http import Request, Response, answer
from switchboard.kernel.log import log
from switchboard.tools import tools

#: The folder is the list: resources and their modules, `dead_letters` for /v1/dead-letters. Lambda
#: looks here before it looks for Python's own: what has the name of one of those ends in `_`.
RESOURCES = {
    path.stem.removesuffix("_"): path.stem
    for path in sorted(Path(__file__).parent.glob("*.py"))
    if path.stem != "app"
}


def routes(resource: str) -> Mapping[str, Guarded]:
    """Return the routes of a resource."""
    # In the function's own package, where there is one: Lambda knows its folder's files alone.
    name = RESOURCES[resource]
    module = importlib.import_module(f"{__package__}.{name}" if __package__ else name)
    found: Mapping[str, Guarded] = module.ROUTES
    return found


def handler(event: dict[str, Any], context: Any) -> Response:
    """Lambda's entry: an event of the HTTP API."""
    request_id = getattr(context, "aws_request_id", None)
    headers = event.get("headers") or {}
    log.bind(
        function_request_id=request_id, correlation_id=headers.get("x-correlation-id", request_id)
    )
    return answer(_table(Request(event).route), event)


def _table(route: str) -> dict[str, Callable[[Request], Response]]:
    parts = route.split("/")
    resource = parts[2].replace("-", "_") if len(parts) > 2 else ""
    if resource not in RESOURCES:
        return {}
    return {
        name: partial(_run, guarded) for name, guarded in routes(resource).items() if name == route
    }


def _run(guarded: Guarded, request: Request) -> Response:
    return guarded(tools(), request)
