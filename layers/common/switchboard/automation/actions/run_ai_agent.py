"""Asks an agent of the tenant's what to say, and says it: a text inside the window, a template, or
nothing. What it says takes the road of all messages: the sending policy decides.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from switchboard.automation.actions._kind import ActionKind, AskAgent, Pass
from switchboard.automation.facts import Facts
from switchboard.kernel.arguments import Arguments
from switchboard.policy import CATEGORIES


def _category(name: str) -> str:
    if name not in CATEGORIES:
        raise ValueError(f"must be one of {', '.join(CATEGORIES)}")
    return name


class RunAiAgent(Arguments):
    """Whom to ask, and what for.

    `agent` is the name of an endpoint of the tenant's; `category` and `notification_category` are
    those of what it says.
    """

    agent: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,100}$")]
    instruction: Annotated[str, StringConstraints(min_length=1, max_length=8000)]
    from_: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,50}$")] | None = Field(
        None, alias="from"
    )
    category: Literal["utility", "marketing"] | None = None
    notification_category: Annotated[str, AfterValidator(_category)] = "ai_suggestions"
    expires_in_minutes: int | None = Field(None, ge=1, le=43_200, strict=True)


def act(config: RunAiAgent, facts: Facts) -> AskAgent:
    """Return the question; raises Pass where there is nobody to say something to."""
    if facts.contact is None:
        raise Pass("no_contact")
    minutes = config.expires_in_minutes
    return AskAgent(
        contact_id=UUID(str(facts.contact["id"])),
        agent=config.agent,
        instruction=config.instruction,
        phone_number_id=config.from_,
        category=config.category,
        notification_category=config.notification_category,
        expires_in=None if minutes is None else timedelta(minutes=minutes),
    )


KIND = ActionKind(name="run_ai_agent", config=RunAiAgent, act=act)
