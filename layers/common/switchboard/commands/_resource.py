"""The contract: a resource, its commands, and how one is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from pydantic import BaseModel

from switchboard.access import act_for
from switchboard.kernel.arguments import read
from switchboard.kernel.registry import Registry
from switchboard.kernel.settings import Settings
from switchboard.tools import Tools


@dataclass(frozen=True, slots=True)
class Command:
    """One verb: its arguments, what it does, an example of its arguments without --tenant.

    `columns` are the members of each row that a list shows as text; JSON has all.
    """

    verb: str
    arguments: type[BaseModel]
    run: Callable[[Tools, UUID, Any], Any]
    example: str = ""
    columns: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """The first line of what the function says of itself."""
        return (self.run.__doc__ or "").strip().partition("\n")[0]


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource by the name of its module, what it is, and its commands."""

    name: str
    what: str
    commands: tuple[Command, ...]

    @property
    def word(self) -> str:
        """The name as it is typed."""
        return self.name.replace("_", "-")


RESOURCES: Registry[Resource] = Registry(__package__ or "", Resource)


def app_tools() -> Tools:
    """Return tools of the functions' role, from the settings of now."""
    return Tools(Settings())


def read_arguments(command: Command, given: dict[str, Any]) -> BaseModel:
    """Return the command's arguments; raises Unprocessable that names what is wrong."""
    return read(command.arguments, given)


def run(command: Command, tenant: str, arguments: BaseModel, *, tools: Tools) -> dict[str, Any]:
    """Run a command for the tenant with this slug or id; return its result as JSON-ready values.

    Raises NotFound for an unknown tenant, and what the use case raises.
    """
    caller = act_for(tools, tenant)
    result = command.run(tools, caller.tenant_id, arguments)
    # An amount is exact, so it is a text, as over HTTP.
    document: dict[str, Any] = orjson.loads(orjson.dumps(result, default=str))
    return document
