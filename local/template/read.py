"""template.yaml → Template: SAM's Globals, functions, HttpApi and ScheduleV2 events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local.faults import LocalError
from local.template.intrinsics import ABSENT, BrokenTemplate, read_yaml
from local.template.model import FunctionSpec, RouteSpec, ScheduleSpec, Template
from local.template.resources import FUNCTION_TYPES, STACK, Resources

Overrides = Callable[[str], Mapping[str, str]]


def read_template(
    path: Path,
    *,
    parameters: dict[str, Any] | None = None,
    overrides: Overrides = lambda _: {},
) -> Template:
    """Read the template at `path`; relative folders in it are relative to its own.

    `overrides(logical id of a function)` gives values for environment variables that the template
    declares; what it does not declare is not set, as in AWS. Raises BrokenTemplate or LocalError.
    """
    try:
        document = read_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LocalError(f"{path} is missing: run from the repository's folder.") from None
    reading = _Reading(path.parent.absolute(), document, parameters or {}, overrides)
    functions, routes, schedules = [], [], []
    for logical, properties in reading.resources.of_type(*FUNCTION_TYPES).items():
        spec = reading.function(logical, properties)
        functions.append(spec)
        for name, event in (properties.get("Events") or {}).items():
            kind = event.get("Type")
            details = reading.resolve(event.get("Properties") or {})
            signed = (details.get("Auth") or {}).get("Authorizer") == "AWS_IAM"
            if kind == "HttpApi" and not signed:  # nobody signs requests on one machine
                routes.append(_route(details, spec.name))
            elif kind in {"ScheduleV2", "Schedule"} and details.get("State") != "DISABLED":
                schedules.append(_schedule(details, f"{STACK}-{logical}{name}", spec.name))
    resources = reading.resources
    return Template(
        functions=tuple(functions),
        routes=tuple(routes),
        schedules=tuple(schedules),
        buckets=resources.buckets,
        keys=resources.keys,
        secrets=resources.secrets,
        raw=document,
    )


class _Reading:
    """One template being read."""

    def __init__(
        self,
        folder: Path,
        document: dict[str, Any],
        parameters: dict[str, Any],
        overrides: Overrides,
    ) -> None:
        self.resources = Resources(document, parameters)
        self.resolve = self.resources.resolver.resolve
        self._folder = folder
        self._overrides = overrides
        self._globals: dict[str, Any] = (document.get("Globals") or {}).get("Function") or {}

    def function(self, logical: str, own: dict[str, Any]) -> FunctionSpec:
        def get(name: str, default: Any = None) -> Any:
            found = self.resolve(own.get(name, self._globals.get(name, default)))
            return default if found is ABSENT else found

        code, handler = get("CodeUri"), get("Handler")
        if not isinstance(code, str) or not isinstance(handler, str):
            raise BrokenTemplate(f"the function {logical} needs a CodeUri and a Handler")
        asynchronous = get("EventInvokeConfig", {})
        reserved = get("ReservedConcurrentExecutions")
        return FunctionSpec(
            logical_id=logical,
            name=str(self.resources.names[logical]),
            code=self._existing(code, logical),
            handler=handler,
            timeout_s=float(get("Timeout", 3)),
            memory_mb=int(get("MemorySize", 128)),
            environment=self._environment(logical, own),
            layers=self._layers(own),
            reserved_concurrency=None if reserved is None else int(reserved),
            retries=int(asynchronous.get("MaximumRetryAttempts", 2)),
            max_event_age_s=float(asynchronous.get("MaximumEventAgeInSeconds", 21_600)),
            log_format=str(get("LoggingConfig", {}).get("LogFormat", "Text")),
        )

    def _environment(self, logical: str, own: dict[str, Any]) -> dict[str, str]:
        declared: dict[str, Any] = {}
        for source in (self._globals, own):
            declared |= (source.get("Environment") or {}).get("Variables") or {}
        given = self._overrides(logical)
        environment = {}
        for name, value in declared.items():
            found = given[name] if name in given else self.resolve(value)
            if found is not ABSENT:
                environment[name] = str(found).lower() if isinstance(found, bool) else str(found)
        return environment

    def _layers(self, own: dict[str, Any]) -> tuple[Path, ...]:
        """Return the folders to import from; layers published elsewhere (ARNs) are left out."""
        known = self.resources.of_type("AWS::Serverless::LayerVersion", "AWS::Lambda::LayerVersion")
        folders = []
        for layer in [*self._globals.get("Layers", []), *own.get("Layers", [])]:
            logical = layer.get("Ref") if isinstance(layer, dict) else None
            if logical in known:
                folder = self._existing(self.resolve(known[logical]["ContentUri"]), str(logical))
                # A layer built with a BuildMethod gets its `python/` folder from the build.
                folders.append(folder / "python" if (folder / "python").is_dir() else folder)
        return tuple(folders)

    def _existing(self, relative: str, logical: str) -> Path:
        folder = self._folder / relative
        if not folder.is_dir():
            raise BrokenTemplate(f"{logical} has its code in {relative}, which does not exist")
        return folder


def _route(details: dict[str, Any], function: str) -> RouteSpec:
    return RouteSpec(
        method=str(details.get("Method", "ANY")).upper().replace("X-AMAZON-APIGATEWAY-ANY", "ANY"),
        path=str(details.get("Path", "$default")),
        function=function,
    )


def _schedule(details: dict[str, Any], name: str, function: str) -> ScheduleSpec:
    expression = details.get("ScheduleExpression", details.get("Schedule"))
    return ScheduleSpec(
        name=str(details.get("Name", name)),
        expression=str(expression),
        timezone=str(details.get("ScheduleExpressionTimezone", "UTC")),
        input=details.get("Input"),
        function=function,
    )
