"""A number's business profile: what people see of the business in WhatsApp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from switchboard.accounts._meta import document_of, number_of
from switchboard.kernel.arguments import Arguments
from switchboard.tools import Tools
from switchboard.whatsapp.numbers import read_profile, write_profile

Vertical = Literal[
    "OTHER",
    "AUTO",
    "BEAUTY",
    "APPAREL",
    "EDU",
    "ENTERTAIN",
    "EVENT_PLAN",
    "FINANCE",
    "GROCERY",
    "GOVT",
    "HOTEL",
    "HEALTH",
    "NONPROFIT",
    "PROF_SERVICES",
    "RETAIL",
    "TRAVEL",
    "RESTAURANT",
    "ALCOHOL",
    "ONLINE_GAMBLING",
    "PHYSICAL_GAMBLING",
    "OTC_DRUGS",
]


def _web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.netloc or not text.isprintable():
        raise ValueError("must be an http or https address")
    return text


def _email(text: str) -> str:
    name, at, host = text.partition("@")
    if text and (not name or not at or "." not in host or " " in text):
        raise ValueError("must be an e-mail address")
    return text


Website = Annotated[str, StringConstraints(max_length=256), AfterValidator(_web_address)]


class ProfileChange(Arguments):
    """What to change about a profile; what is left out stays. Cloud API, business profiles."""

    about: str | None = Field(
        None, min_length=1, max_length=139, description="the line below the name; cannot be emptied"
    )
    address: str | None = Field(None, max_length=256, description='"" clears it')
    description: str | None = Field(None, max_length=512, description='"" clears it')
    email: Annotated[str, AfterValidator(_email)] | None = Field(
        None, max_length=128, description='"" clears it'
    )
    websites: list[Website] | None = Field(
        None, max_length=2, description="two at most; an empty list clears them"
    )
    vertical: Vertical | None = Field(None, description="the industry")

    @model_validator(mode="after")
    def _something(self) -> ProfileChange:
        if not self.members:
            raise ValueError("at least one member must be given")
        return self

    @property
    def members(self) -> dict[str, Any]:
        """What is given, as Meta names it."""
        return self.model_dump(exclude_none=True)


@dataclass(frozen=True, slots=True)
class Profile:
    """A number's business profile as Meta shows it now; null is what is not set."""

    about: str | None = None
    address: str | None = None
    description: str | None = None
    email: str | None = None
    profile_picture_url: str | None = None
    websites: Sequence[str] = ()
    vertical: str | None = None


@dataclass(frozen=True, slots=True)
class ProfileChanged:
    """The members that Meta took."""

    changed: Sequence[str]


def show_profile(tools: Tools, tenant_id: UUID, phone_number_id: str) -> Profile:
    """Ask Meta for a number's profile; raises NotFound and what Meta's answer means."""
    number = number_of(tools, tenant_id, phone_number_id, member=None)
    told = read_profile(tools.graph, number.phone_number_id, number.token)
    return Profile(**(told if isinstance(told, dict) else document_of(told)))


def change_profile(
    tools: Tools, tenant_id: UUID, phone_number_id: str, change: ProfileChange
) -> ProfileChanged:
    """Change a number's profile at Meta; raises NotFound and what Meta's answer means.

    To repeat it is harmless.
    """
    number = number_of(tools, tenant_id, phone_number_id, member=None)
    told = write_profile(tools.graph, number.phone_number_id, number.token, change.members)
    if told is not None:
        document_of(told)
    return ProfileChanged(sorted(change.members))
