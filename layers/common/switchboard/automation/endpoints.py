"""Endpoints of a tenant's own agents: named by rules, asked by runs.

A secret leaves here once, with the answer that made it; the database holds it sealed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from psycopg import errors as pg
from pydantic import Field, StringConstraints

from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Conflict, NotFound
from switchboard.kernel.page import Page
from switchboard.outside_endpoint import Url, check_address, make_secret
from switchboard.store import agent_endpoints as store
from switchboard.store.agent_endpoints import PURPOSE, AgentEndpoint
from switchboard.tools import Tools
from switchboard.transact import transact

#: Endpoints of one tenant.
MOST = 20


_URL = "https address of the agent, on the public internet"


class NewAgentEndpoint(Arguments):
    """An agent to ask."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,100}$")] = Field(
        description="by which rules call it: small letters, digits, _"
    )
    url: Url = Field(description=_URL)


class AgentEndpointChange(Arguments):
    """What to change about an agent's endpoint."""

    url: Url = Field(description=_URL)


@dataclass(frozen=True, slots=True)
class AgentSecret:
    """A new secret, shown this once, and the endpoint that it signs for."""

    secret: str
    endpoint: AgentEndpoint


def list_endpoints(tools: Tools, tenant_id: UUID) -> Page[AgentEndpoint]:
    """Return all endpoints by their names; there are few."""
    found = transact(tools, tenant_id, lambda connection: store.list_all(connection, tenant_id))
    return Page(found, None)


def show_endpoint(tools: Tools, tenant_id: UUID, endpoint_id: UUID) -> AgentEndpoint:
    """Return an endpoint; raises NotFound."""
    return transact(tools, tenant_id, lambda connection: _show(connection, tenant_id, endpoint_id))


def create_endpoint(tools: Tools, tenant_id: UUID, new: NewAgentEndpoint) -> AgentSecret:
    """Make an endpoint.

    Raises Unprocessable for an address that no request would be made to, Conflict for a name in
    use and where the tenant has as many as it may.
    """
    check_address(tools, new.url)
    secret, sealed = make_secret(tools, tenant_id, PURPOSE)
    endpoint_id = tools.clock.new_id()  # named once: the work may run twice

    def write(connection: Connection) -> AgentEndpoint:
        store.insert(
            connection,
            tenant_id,
            endpoint_id,
            name=new.name,
            url=new.url,
            secret_sealed=sealed,
            most=MOST,
        )
        found = store.find(connection, tenant_id, endpoint_id)
        if found is None:
            raise Conflict(f"there are {MOST} endpoints, and no more are possible: delete one")
        return found

    try:
        return AgentSecret(secret, transact(tools, tenant_id, write))
    except pg.UniqueViolation:
        raise Conflict("there is an endpoint of this name", field="name") from None


def change_endpoint(
    tools: Tools, tenant_id: UUID, endpoint_id: UUID, change: AgentEndpointChange
) -> AgentEndpoint:
    """Change an endpoint's address. Raises NotFound, Unprocessable."""
    check_address(tools, change.url)

    def write(connection: Connection) -> AgentEndpoint:
        store.change(connection, tenant_id, endpoint_id, url=change.url)
        return _show(connection, tenant_id, endpoint_id)

    return transact(tools, tenant_id, write)


def rotate_secret(tools: Tools, tenant_id: UUID, endpoint_id: UUID) -> AgentSecret:
    """Make a new secret; for 24 hours it and the present one sign. Raises NotFound."""
    secret, sealed = make_secret(tools, tenant_id, PURPOSE)

    def write(connection: Connection) -> AgentEndpoint:
        store.rotate(connection, tenant_id, endpoint_id, secret_sealed=sealed, now=tools.clock.now)
        return _show(connection, tenant_id, endpoint_id)

    return AgentSecret(secret, transact(tools, tenant_id, write))


def delete_endpoint(tools: Tools, tenant_id: UUID, endpoint_id: UUID) -> AgentEndpoint:
    """Forget an endpoint, and return it as it was; rules that name it fail. Raises NotFound."""
    before: list[AgentEndpoint] = []

    def write(connection: Connection) -> AgentEndpoint:
        found = store.find(connection, tenant_id, endpoint_id)
        # Where the link was lost at the commit, the first run has deleted it.
        before[:] = [found] if found else before
        if not before:
            raise _unknown()
        store.delete(connection, tenant_id, endpoint_id)
        return before[0]

    return transact(tools, tenant_id, write)


def _show(connection: Connection, tenant_id: UUID, endpoint_id: UUID) -> AgentEndpoint:
    found = store.find(connection, tenant_id, endpoint_id)
    if found is None:
        raise _unknown()
    return found


def _unknown() -> NotFound:
    return NotFound("this agent endpoint is not known")
