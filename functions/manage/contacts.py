"""/v1/contacts: people, as staff see them."""

from __future__ import annotations

from switchboard.access import Caller, Guarded
from switchboard.inbox import contacts
from switchboard.kernel.arguments import LIMIT, read, read_id, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools

_WHAT = "this contact"


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


ROUTES = {
    "GET /v1/contacts": Guarded("contacts:read", get_contacts),
    "GET /v1/contacts/{id}": Guarded("contacts:read", get_contact),
    "PATCH /v1/contacts/{id}": Guarded("contacts:write", patch_contact),
}
