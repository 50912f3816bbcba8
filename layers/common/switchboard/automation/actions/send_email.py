"""Says something by e-mail: a template of the tenant's own, its parameters mapped to facts.

Whether anything may be said at all, the sending policy decides.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from switchboard.automation.actions._kind import ActionKind, Pass, SendMail
from switchboard.automation.actions._sources import Source, words
from switchboard.automation.facts import Facts
from switchboard.kernel.arguments import Arguments
from switchboard.policy import CATEGORIES


def _category(name: str) -> str:
    if name not in CATEGORIES:
        raise ValueError(f"must be one of {', '.join(CATEGORIES)}")
    return name


class SendEmail(Arguments):
    """A template, its parameters, and whom it goes to.

    Without a category it is marketing, the stricter one.
    """

    template: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,100}$")]
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}([_-][A-Za-z]{2,4})?$")] = "en"
    parameters: Annotated[
        dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,60}$")], Source],
        Field(max_length=50),
    ] = Field(default_factory=dict)
    to: UUID | None = None
    category: Literal["utility", "marketing"] = "marketing"
    notification_category: Annotated[str, AfterValidator(_category)] | None = None
    expires_in_minutes: int | None = Field(None, ge=1, le=43_200, strict=True)


def act(config: SendEmail, facts: Facts) -> SendMail:
    """Return the mail; raises Pass where nobody gets it and where a fact is missing."""
    contact = config.to or (facts.contact and UUID(str(facts.contact["id"])))
    if not contact:
        raise Pass("no_contact")
    minutes = config.expires_in_minutes
    return SendMail(
        contact_id=contact,
        template=config.template,
        language=config.language,
        values={name: words(source, facts) for name, source in config.parameters.items()},
        category=config.category,
        notification_category=config.notification_category,
        expires_in=None if minutes is None else timedelta(minutes=minutes),
    )


KIND = ActionKind(name="send_email", config=SendEmail, act=act)
