"""What the local run takes from a template: functions, routes, schedules and stateful resources."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ACCOUNT = "123456789012"
REGION = "eu-central-1"


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """One Lambda function.

    `environment` is the template's alone; `retries` (0 to 2) and `max_event_age_s` (60 to 21600)
    rule its asynchronous invocations, `reserved_concurrency` how many may run at once.
    """

    logical_id: str
    name: str
    code: Path
    handler: str
    timeout_s: float = 3.0
    memory_mb: int = 128
    environment: dict[str, str] = field(default_factory=dict)
    layers: tuple[Path, ...] = ()
    reserved_concurrency: int | None = None
    retries: int = 2
    max_event_age_s: float = 21_600.0
    log_format: str = "Text"

    @property
    def arn(self) -> str:
        """The function's ARN, without a version."""
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.name}"


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """One route of the HTTP API: `method` (or ANY), `path` with {parameters}, function name."""

    method: str
    path: str
    function: str

    @property
    def key(self) -> str:
        """The route key as API Gateway writes it."""
        return self.path if self.path == "$default" else f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class ScheduleSpec:
    """One EventBridge schedule that invokes a function; `input` is its JSON text, if it has one."""

    name: str
    expression: str
    timezone: str
    input: str | None
    function: str

    @property
    def arn(self) -> str:
        """The schedule's ARN, in the default group."""
        return f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{self.name}"


@dataclass(frozen=True, slots=True)
class Template:
    """Everything of one template; resources by logical id."""

    functions: tuple[FunctionSpec, ...]
    routes: tuple[RouteSpec, ...]
    schedules: tuple[ScheduleSpec, ...]
    buckets: dict[str, str]
    keys: dict[str, str]
    secrets: dict[str, str]
    raw: dict[str, Any]

    def function(self, logical_id: str) -> FunctionSpec | None:
        """Return the function of that logical id, or None."""
        return next((f for f in self.functions if f.logical_id == logical_id), None)
