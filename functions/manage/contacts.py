"""/v1/contacts: people, as staff see them."""

from __future__ import annotations

from switchboard.access import Caller, Guarded
from switchboard.inbox import contacts
from switchboard.kernel.arguments import LIMIT, Nothing, read, read_id, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools

_WHAT = "this contact"
#: Preferences know the sending policy, which a cold start for contacts alone should not pay for:
#: their routes import what they call.
_PREFERENCES = "/v1/contacts/{id}/preferences"


def get_contacts(tools: Tools, caller: Caller, request: Request) -> Response:
    """List contacts."""
    wanted = read_query(contacts.ContactFilter, request.query)
    return reply(200, contacts.list_contacts(tools, caller.tenant_id, wanted))


def get_contact(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show a contact."""
    contact_id = read_id(request.path, _WHAT)
    return reply(200, contacts.show_contact(tools, caller.tenant_id, contact_id))


def patch_contact(tools: Tools, caller: Caller, request: Request) -> Response:
    """Change what staff may say about a contact."""
    contact_id = read_id(request.path, _WHAT)
    change = read(contacts.ContactChange, request.json(LIMIT))
    return reply(200, contacts.change_contact(tools, caller.tenant_id, contact_id, change))


def get_preferences(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show what a contact is told of, and why."""
    from switchboard.inbox import preferences

    contact_id, _ = read_id(request.path, _WHAT), read_query(Nothing, request.query)
    return reply(200, preferences.show_preferences(tools, caller.tenant_id, contact_id))


def put_preferences(tools: Tools, caller: Caller, request: Request) -> Response:
    """Replace all that was decided."""
    from switchboard.inbox import preferences

    contact_id = read_id(request.path, _WHAT)
    whole = read(preferences.Preferences, request.json(LIMIT))
    return reply(200, preferences.replace_preferences(tools, caller.tenant_id, contact_id, whole))


def patch_preferences(tools: Tools, caller: Caller, request: Request) -> Response:
    """Change what is named."""
    from switchboard.inbox import preferences

    contact_id = read_id(request.path, _WHAT)
    change = read(preferences.PreferencesChange, request.json(LIMIT))
    return reply(200, preferences.change_preferences(tools, caller.tenant_id, contact_id, change))


def post_link(tools: Tools, caller: Caller, request: Request) -> Response:
    """Make a link to the contact's own page."""
    from switchboard.inbox import preference_links

    contact_id = read_id(request.path, _WHAT)
    given = request.json(LIMIT) if request.body(LIMIT).strip() else {}
    wanted = read(preference_links.NewLink, given)
    return reply(201, preference_links.make_link(tools, caller.tenant_id, contact_id, wanted))


def delete_link(tools: Tools, caller: Caller, request: Request) -> Response:
    """End every link to it that was made so far."""
    from switchboard.inbox import preference_links

    contact_id = read_id(request.path, _WHAT)
    read(Nothing, request.json(LIMIT) if request.body(LIMIT).strip() else {})
    return reply(200, preference_links.revoke_links(tools, caller.tenant_id, contact_id))


ROUTES = {
    "GET /v1/contacts": Guarded("contacts:read", get_contacts),
    "GET /v1/contacts/{id}": Guarded("contacts:read", get_contact),
    "PATCH /v1/contacts/{id}": Guarded("contacts:write", patch_contact),
    f"GET {_PREFERENCES}": Guarded("preferences:read", get_preferences),
    f"PUT {_PREFERENCES}": Guarded("preferences:write", put_preferences),
    f"PATCH {_PREFERENCES}": Guarded("preferences:write", patch_preferences),
    f"POST {_PREFERENCES}/link": Guarded("preferences:write", post_link),
    f"DELETE {_PREFERENCES}/link": Guarded("preferences:write", delete_link),
}
