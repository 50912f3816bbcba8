"""Notification preferences: what a person wants to be told of, and when nobody should.

What was never decided has a default: everything may be sent but marketing, which asks for an
opt-in. What the policy's gates then say is told with each category, and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import NotFound, Unprocessable
from switchboard.kernel.phones import zone_of
from switchboard.kernel.zones import known_zone
from switchboard.policy.facts import CATEGORIES
from switchboard.policy.zones import zone_for
from switchboard.store import consents, contacts
from switchboard.store import preferences as store
from switchboard.store.consents import Statement
from switchboard.store.preferences import Choices, Known
from switchboard.tools import Tools
from switchboard.transact import transact

#: Why a category is wanted or not: nobody decided, the person did (or somebody for them), STOP,
#: what the person told WhatsApp about marketing, marketing without an opt-in.
Why = Literal["default", "person", "opt_out", "whatsapp", "no_opt_in"]


def _or_none(value: Any) -> Any:
    """Take a text of nothing for nothing: a form's and a command line's way to clear."""
    return None if isinstance(value, str) and not value.strip() else value


def _clock(text: str) -> str:
    """Check a time of the day as HH:MM."""
    try:
        if len(text) == len("22:00"):
            return time.fromisoformat(text).strftime("%H:%M")
    except ValueError:
        pass
    raise ValueError("must be a time of the day, as 22:00")


TimeOfDay = Annotated[
    Annotated[str, AfterValidator(_clock)] | None,
    BeforeValidator(_or_none),
]
Wish = bool | None
_TIMES = ("quiet_hours_start", "quiet_hours_end")


class Preferences(Arguments):
    """A person's choices, all of them: null, or left out, was never decided."""

    trip_reminders: Wish = Field(None, description="that a trip begins or ends")
    booking_confirmations: Wish = Field(None, description="bookings, and what they wait for")
    itinerary_updates: Wish = Field(None, description="changes of a trip's plan")
    budget_alerts: Wish = Field(None, description="what a trip costs so far")
    ai_suggestions: Wish = Field(None, description="ideas of the assistant")
    collaborator_updates: Wish = Field(None, description="what fellow travellers do")
    marketing: Wish = Field(None, description="offers; besides, they ask for an opt-in")
    quiet_hours_enabled: bool = Field(
        default=False, description="whether notifications wait for the end of the quiet hours"
    )
    quiet_hours_start: TimeOfDay = Field(
        None, description="as 22:00, in the person's time; the end may be on the next day"
    )
    quiet_hours_end: TimeOfDay = Field(None, description="as 07:00")
    timezone: Annotated[
        Annotated[str, StringConstraints(max_length=64), AfterValidator(known_zone)] | None,
        BeforeValidator(_or_none),
    ] = Field(None, description="time zone, as Europe/Berlin; null: the contact's or the number's")


class PreferencesChange(Preferences):
    """What to change: members that are left out stay, null takes a decision back."""


@dataclass(frozen=True, slots=True)
class Category:
    """Whether notifications of a category go out, and why. `chosen` None: never decided."""

    wanted: bool
    source: Why
    chosen: bool | None


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Hours without notifications, in the person's time zone."""

    enabled: bool
    start: str | None
    end: str | None
    source: Literal["default", "person"]


@dataclass(frozen=True, slots=True)
class Zone:
    """The time zone that the quiet hours are in, and who told it; `default` is UTC."""

    name: str
    source: Literal["person", "contact", "number", "default"]


@dataclass(frozen=True, slots=True)
class Effective:
    """A person's preferences as they work out.

    `updated_at` None: nothing was ever decided. `merged_from` is the id that was asked for where it
    is another contact's that was merged into this one.
    """

    contact_id: UUID
    categories: Mapping[str, Category]
    quiet_hours: QuietHours
    timezone: Zone
    updated_at: datetime | None
    merged_from: UUID | None = None


def show_preferences(tools: Tools, tenant_id: UUID, contact_id: UUID) -> Effective:
    """Return the preferences; of a merged contact the root's. Raises NotFound."""
    return transact(tools, tenant_id, lambda link: _show(link, tenant_id, contact_id))


def replace_preferences(
    tools: Tools, tenant_id: UUID, contact_id: UUID, whole: Preferences
) -> Effective:
    """Put these choices in place of all that were decided; return what they work out to.

    A choice about marketing is kept among the consents, too. Raises NotFound, Unprocessable.
    """
    return _change(tools, tenant_id, contact_id, _columns(whole.model_dump()), Choices())


def change_preferences(
    tools: Tools, tenant_id: UUID, contact_id: UUID, change: PreferencesChange
) -> Effective:
    """Change what `change` names; as `replace_preferences` otherwise."""
    named = _columns(change.model_dump(exclude_unset=True))
    return _change(tools, tenant_id, contact_id, named, None)


def _change(
    tools: Tools,
    tenant_id: UUID,
    contact_id: UUID,
    named: Mapping[str, Any],
    base: Choices | None,
) -> Effective:
    statement_id = tools.clock.new_id()  # named once: the work may run twice

    def write(connection: Connection) -> Effective:
        known = hold(connection, tenant_id, contact_id)
        choices = replace(base or known.choices, **named)
        check(choices)
        store.write(connection, tenant_id, known.contact_id, choices)
        wish = choices.marketing
        if wish is not None and wish is not known.choices.marketing:
            said = Statement(
                statement_id,
                known.contact_id,
                "given" if wish else "withdrawn",
                f"marketing switched {'on' if wish else 'off'} in the preferences, by a service",
                None,
                scope="marketing",
            )
            consents.record(connection, tenant_id, [said], now=tools.clock.now)
        return _show(connection, tenant_id, contact_id)

    return transact(tools, tenant_id, write)


def hold(connection: Connection, tenant_id: UUID, contact_id: UUID) -> Known:
    """Return what is known of the contact, or of its root; until the commit it stays so.

    Raises NotFound.
    """
    contacts.hold(connection, tenant_id)
    known = _find(connection, tenant_id, contact_id, hold=True)
    if known is None:
        raise unknown()
    return known


def check(choices: Choices) -> None:
    """Raise Unprocessable, its field named, for quiet hours that are none."""
    start, end = choices.quiet_hours_start, choices.quiet_hours_end
    if start is not None and start == end:
        raise Unprocessable(
            "quiet_hours_end is the same as quiet_hours_start: those are no hours",
            field="quiet_hours_end",
        )
    if choices.quiet_hours_enabled:
        for name in _TIMES:
            if getattr(choices, name) is None:
                raise Unprocessable(f"{name} is needed where quiet hours are on", field=name)


def effective(known: Known) -> Effective:
    """Return what a person's choices work out to, with all else that is known."""
    choices = known.choices
    start, end = choices.quiet_hours_start, choices.quiet_hours_end
    quiet = QuietHours(
        choices.quiet_hours_enabled,
        None if start is None else start.isoformat("minutes"),
        None if end is None else end.isoformat("minutes"),
        "default" if start is None and end is None else "person",
    )
    return Effective(
        known.contact_id,
        {name: _category(known, name) for name in CATEGORIES},
        quiet,
        _zone(known),
        known.updated_at,
    )


def _category(known: Known, name: str) -> Category:
    chosen: bool | None = getattr(known.choices, name)
    # As the gates opt_out, preference, marketing_stop and opt_in see it.
    if known.opt_in_status == "opted_out":
        return Category(wanted=False, source="opt_out", chosen=chosen)
    if chosen is False:
        return Category(wanted=False, source="person", chosen=chosen)
    if name == "marketing":
        if known.marketing_stopped:
            return Category(wanted=False, source="whatsapp", chosen=chosen)
        if known.opt_in_status != "opted_in":
            return Category(wanted=False, source="no_opt_in", chosen=chosen)
    return Category(wanted=True, source="default" if chosen is None else "person", chosen=chosen)


def _zone(known: Known) -> Zone:
    """Return the zone by which the gate of quiet hours goes."""
    own = known.choices.timezone or known.contact_timezone
    name = zone_for(own, known.recipient).key
    if name == own:
        return Zone(name, "person" if known.choices.timezone else "contact")
    return Zone(name, "number" if zone_of(known.recipient) else "default")


def _show(connection: Connection, tenant_id: UUID, contact_id: UUID) -> Effective:
    known = _find(connection, tenant_id, contact_id)
    if known is None:
        raise unknown()
    found = effective(known)
    return found if found.contact_id == contact_id else replace(found, merged_from=contact_id)


def _find(
    connection: Connection, tenant_id: UUID, contact_id: UUID, *, hold: bool = False
) -> Known | None:
    root = contacts.find_root(connection, tenant_id, contact_id)
    return None if root is None else store.read(connection, tenant_id, root, hold=hold)


def _columns(named: dict[str, Any]) -> dict[str, Any]:
    """Return the members as columns hold them."""
    return {
        name: time.fromisoformat(value) if value and name in _TIMES else value
        for name, value in named.items()
    }


def unknown() -> NotFound:
    """Return what is raised for a contact that is not there."""
    return NotFound("this contact is not known")
