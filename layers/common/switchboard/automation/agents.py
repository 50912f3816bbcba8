"""The interface of agents: what one is asked, what it may answer, how it fails.

An agent is whatever answers; `automation/agent_http.py` is the one there is, an endpoint of the
tenant's own.
"""

from __future__ import annotations

from typing import Annotated, Any, Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from switchboard.kernel.errors import SwitchboardError

_Value = Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class AgentRequest(BaseModel):
    """One question. `id` is the run's: asked again after a failure it is the same.

    The facts are those that rules can name, by their names; None where the run has none.
    """

    model_config = ConfigDict(frozen=True)

    id: UUID
    tenant_id: UUID
    rule_id: UUID
    occurrence: str
    instruction: str
    contact: dict[str, Any] | None
    trip: dict[str, Any] | None
    booking: dict[str, Any] | None


class AgentTemplate(BaseModel):
    """A template of WhatsApp, and its body's parameters in order or by name."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,512}$")]
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}([_-][A-Za-z]{2,4})?$")] = "en"
    parameters: (
        Annotated[list[_Value], Field(max_length=50)]
        | Annotated[
            dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,60}$")], _Value],
            Field(max_length=50),
        ]
    ) = Field(default_factory=list)


class AgentReply(BaseModel):
    """What is to be said: a text, a template, or nothing: neither, or a text of blanks.

    Members that are not known here are ignored: an agent may tell more than we ask for.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    text: Annotated[str, StringConstraints(max_length=4096)] | None = None
    template: AgentTemplate | None = None

    @model_validator(mode="after")
    def _one(self) -> AgentReply:
        if self.text is not None and self.template is not None:
            raise ValueError("text and template were both given")
        return self

    @property
    def message(self) -> dict[str, Any] | None:
        """Meta's message object; None: nothing is said."""
        if self.text and not self.text.isspace():
            return {"type": "text", "text": {"body": self.text}}
        if self.template is None:
            return None
        named = {"name": self.template.name, "language": {"code": self.template.language}}
        given = self.template.parameters
        if isinstance(given, dict):
            parameters = [
                {"type": "text", "parameter_name": name, "text": text}
                for name, text in given.items()
            ]
        else:
            parameters = [{"type": "text", "text": text} for text in given]
        components = [{"type": "body", "parameters": parameters}] if parameters else []
        return {
            "type": "template",
            "template": {**named, **({"components": components} if components else {})},
        }


class AgentFailed(SwitchboardError):
    """The agent did not answer in a way that can be used.

    `reason` is a word without anything of the exchange in it; `passing`: asking again may help.
    """

    def __init__(self, reason: str, *, passing: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.passing = passing


class Agent(Protocol):
    """Somebody who can be asked."""

    def ask(self, request: AgentRequest) -> AgentReply:
        """Return what is to be said; raises AgentFailed. Asked again under the same id it is a
        repetition: whoever answers may answer the same."""
