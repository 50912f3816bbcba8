"""preferences: what a person wants to be told of, and when."""

from __future__ import annotations

from uuid import UUID

from switchboard.commands._resource import Command, Resource
from switchboard.commands.contacts import TheContact
from switchboard.inbox import preference_links, preferences
from switchboard.inbox.preference_links import NewLink, PageLink, Revoked
from switchboard.inbox.preferences import Effective, PreferencesChange
from switchboard.tools import Tools


class ChangedPreferences(PreferencesChange, TheContact):
    """What to change about a person's preferences."""


class LinkWanted(NewLink, TheContact):
    """Whose page, and for how long."""


def show_preferences(tools: Tools, tenant_id: UUID, which: TheContact) -> Effective:
    """Show what a person is told of, with the reason of each."""
    return preferences.show_preferences(tools, tenant_id, which.contact)


def set_preferences(tools: Tools, tenant_id: UUID, given: ChangedPreferences) -> Effective:
    """Change what is named; an empty text clears a time or a zone."""
    members = given.model_dump(exclude_unset=True, exclude={"contact"})
    change = PreferencesChange.model_validate(members)
    return preferences.change_preferences(tools, tenant_id, given.contact, change)


def make_link(tools: Tools, tenant_id: UUID, given: LinkWanted) -> PageLink:
    """Make a link to the person's own page, to be sent to nobody else."""
    wanted = NewLink(days=given.days)
    return preference_links.make_link(tools, tenant_id, given.contact, wanted)


def revoke_links(tools: Tools, tenant_id: UUID, which: TheContact) -> Revoked:
    """End every link to the person's page that was made so far."""
    return preference_links.revoke_links(tools, tenant_id, which.contact)


_ID = "--contact 0d5f3c1e-6f0a-4c55-9d0b-1c8a52f0e0aa"
_NIGHT = "--quiet-hours-enabled --quiet-hours-start 22:00 --quiet-hours-end 07:00"
KIND = Resource(
    "preferences",
    "what people want to be told of",
    (
        Command("show", TheContact, show_preferences, _ID),
        Command("set", ChangedPreferences, set_preferences, f"{_ID} --no-marketing {_NIGHT}"),
        Command("link", LinkWanted, make_link, f"{_ID} --days 7"),
        Command("revoke", TheContact, revoke_links, _ID),
    ),
)
