"""The contract of an action: a name that rules use, a model of its configuration, what it asks for.

`act` looks at facts alone and returns data; the engine writes it in the transaction that ends the
run. Raise Pass where there is nothing to do, with the reason that the run keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from switchboard.automation.facts import Facts
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.errors import SwitchboardError
from switchboard.kernel.registry import Registry

C = TypeVar("C", bound=Arguments)


class Pass(SwitchboardError):
    """Nothing is to be done, for the reason that is its text."""


@dataclass(frozen=True, slots=True)
class Send:
    """A message for a contact. `phone_number_id` None: the number they last spoke with, else any.

    `message` is Meta's message object, unchecked; `expires_in` after which it is not sent any more.
    """

    contact_id: UUID
    message: dict[str, Any]
    phone_number_id: str | None = None
    category: str | None = None
    notification_category: str | None = None
    expires_in: timedelta | None = None


@dataclass(frozen=True, slots=True)
class ChangeTrip:
    """New values of a trip's columns; `attributes` are merged into those that it has."""

    trip_id: UUID
    columns: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SendMail:
    """An e-mail for a contact: a template, and the values of its parameters by name."""

    contact_id: UUID
    template: str
    language: str
    values: Mapping[str, str]
    category: Literal["utility", "marketing"]
    notification_category: str | None = None
    expires_in: timedelta | None = None


@dataclass(frozen=True, slots=True)
class AskAgent:
    """A question to an agent of the tenant's, whose answer goes to a contact; as `Send` else."""

    contact_id: UUID
    agent: str
    instruction: str
    phone_number_id: str | None = None
    category: str | None = None
    notification_category: str | None = None
    expires_in: timedelta | None = None


Wanted = Send | SendMail | ChangeTrip | AskAgent


@dataclass(frozen=True)
class ActionKind(Generic[C]):
    """One action. Its name never changes and it is never deleted: rules name it."""

    name: str
    config: type[C]
    act: Callable[[C, Facts], Wanted]


#: What this release can do; a run of another action fails and says so.
ACTIONS: Registry[ActionKind[Any]] = Registry("switchboard.automation.actions", ActionKind)
