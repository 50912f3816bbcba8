"""What each admin command takes, as models: the CLI's options and the Lambda's JSON are the same.

Limits repeat the checks of sql/0002, so that a wrong value is named before the database sees it.
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
)

from switchboard.access import SCOPES
from switchboard.kernel.email_address import check_address


def _lower(text: str) -> str:
    return text.lower()


def _known_scope(scope: str) -> str:
    if scope not in SCOPES:
        raise ValueError(f"is no scope; there are: {', '.join(SCOPES)}")
    return scope


def _address(text: str) -> str:
    return check_address(text) if text.strip() else ""


def _one_line(text: str) -> str:
    if not all(map(str.isprintable, text)):
        raise ValueError("must be one line")
    return text.strip()


TenantRef = Annotated[str, Field(min_length=1, description="the tenant's slug or id")]
Text100 = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Text200 = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
MetaId = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,32}$")]
Scope = Annotated[str, AfterValidator(_known_scope)]
#: KMS seals at most 4,096 bytes.
Secret = Annotated[SecretStr, Field(min_length=1, max_length=4096)]
#: An empty text takes it away.
EmailAddress = Annotated[str, AfterValidator(_address)]
Line100 = Annotated[str, StringConstraints(max_length=100), AfterValidator(_one_line)]
Emoji = Annotated[str, StringConstraints(max_length=16)]


class _Arguments(BaseModel):
    """A wrong or unknown argument is an error; secrets never appear in its text."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Nothing(_Arguments):
    """No arguments."""


class NewTenant(_Arguments):
    """A tenant to create."""

    slug: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")] = Field(
        description="short name: lower-case letters, digits and dashes; unique"
    )
    name: Text200 = Field(description="the business's name")
    id: UUID | None = Field(None, description="id to use; made up if left out")


class TheTenant(_Arguments):
    """One tenant."""

    tenant: TenantRef


class ChangedTenant(TheTenant):
    """What to change about a tenant; what is left out stays."""

    name: Text200 | None = Field(None, description="the business's name")
    marketing_cap: int | None = Field(
        None, ge=0, le=1000, description="marketing messages a person may get; 0: no cap"
    )
    marketing_cap_hours: int | None = Field(
        None, ge=1, le=8760, description="in so many hours, 168 (a week) at first"
    )
    email_from: EmailAddress | None = Field(
        None, description="whose address its mails come from, verified with SES; empty: no mails"
    )
    email_from_name: Line100 | None = Field(
        None, description="the name beside that address; empty: none"
    )
    email_reply_to: EmailAddress | None = Field(
        None, description="where answers go; empty: to the sender"
    )


class NewUser(TheTenant):
    """A member of staff to create."""

    email: Annotated[
        str,
        StringConstraints(strip_whitespace=True, pattern=r"^[^@\s]+@[^@\s]+$", max_length=320),
        AfterValidator(_lower),
    ] = Field(description="e-mail address; unique in the tenant")
    full_name: Text200 = Field(description="the person's name")
    role: Literal["admin", "manager", "agent"] = Field("agent", description="what they may do")


class TheUser(TheTenant):
    """One member of staff."""

    user: str = Field(description="the user's e-mail or id")


class NewApp(TheTenant):
    """A tenant's own Meta app to register; its webhooks come to /webhook/{app_id}."""

    app_id: MetaId = Field(description="Meta's app id")
    name: Annotated[str, StringConstraints(max_length=100)] = Field("", description="its name")
    app_secret: Secret = Field(description="the app's secret, which signs its webhooks")
    verify_token: Secret = Field(description="token of the webhook handshake")


class TheApp(TheTenant):
    """One Meta app."""

    app: str = Field(description="Meta's app id")


class ChangedApp(TheApp):
    """What to change about a Meta app."""

    name: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        None, description="its name"
    )
    app_secret: Secret | None = Field(
        None, description="the new secret; the present one stays valid as the previous one"
    )
    verify_token: Secret | None = Field(None, description="the new token of the handshake")


class NewBusinessAccount(TheTenant):
    """A WhatsApp business account (WABA) to register."""

    waba_id: MetaId = Field(description="Meta's id of the business account")
    name: Text200 | None = Field(None, description="its name")
    portfolio_id: MetaId | None = Field(
        None, description="Meta's id of the business portfolio, whose limits it shares"
    )
    app_id: MetaId | None = Field(
        None, description="the tenant's own Meta app; left out: the operator's"
    )


class TheBusinessAccount(TheTenant):
    """One WhatsApp business account."""

    waba: str = Field(description="Meta's id of the business account")


class NewNumber(TheTenant):
    """A business number to register."""

    waba_id: MetaId = Field(description="Meta's id of its business account, registered before")
    phone_number_id: MetaId = Field(description="Meta's id of the number")
    phone_number: Annotated[str, StringConstraints(pattern=r"^\+[1-9]\d{6,14}$")] = Field(
        description="the number itself, as +15550001111"
    )
    display_name: Text100 = Field(description="the name people see")
    access_token: Secret | None = Field(
        None, description="token that sends through it; without one it only receives"
    )
    token_expires_at: AwareDatetime | None = Field(
        None, description="when the token ends, as 2027-01-31T00:00:00Z; left out: never"
    )
    auto_mark_read: bool = Field(default=False, description="mark what comes in as read")
    acknowledging_reaction: Emoji | None = Field(
        None, description="emoji that answers each message that comes in"
    )
    confirm_consents: bool = Field(
        default=True, description="answer STOP and START with a sentence, once per change"
    )
    resend_once: bool = Field(
        default=False,
        description="send a utility message or in-window reply once more when its fate stays "
        "unknown",
    )


class TheNumber(TheTenant):
    """One business number."""

    number: str = Field(description="its phone number id, number (+…) or id")


class ChangedNumber(TheNumber):
    """What to change about a number."""

    display_name: Text100 | None = Field(None, description="the name people see")
    access_token: Secret | None = Field(None, description="the new token")
    token_expires_at: AwareDatetime | None = Field(
        None, description="when the new token ends; left out: never"
    )
    auto_mark_read: bool | None = Field(None, description="mark what comes in as read")
    acknowledging_reaction: Emoji | None = Field(
        None, description="emoji that answers each message; empty: none"
    )
    confirm_consents: bool | None = Field(None, description="answer STOP and START with a sentence")
    resend_once: bool | None = Field(
        None, description="send once more when a message's fate stays unknown"
    )


class NewKey(TheTenant):
    """An API key to create."""

    name: Text100 = Field(description="who or what uses it")
    scopes: list[Scope] = Field(min_length=1, description=f"what it may do: {', '.join(SCOPES)}")
    expires_at: AwareDatetime | None = Field(
        None, description="when it stops working, as 2027-01-31T00:00:00Z; left out: never"
    )


class TheKey(TheTenant):
    """One API key."""

    key: str = Field(description="the key's id or its first characters as listed")


class JobSearch(_Arguments):
    """Which jobs of all tenants."""

    status: Literal["failed", "running", "pending"] = Field(
        "failed", description="failed (the latest first), running or pending (the oldest first)"
    )
    type: Text100 | None = Field(None, description="of this kind, such as notify")
    limit: int = Field(50, ge=1, le=1000, description="rows, at most 1000")
