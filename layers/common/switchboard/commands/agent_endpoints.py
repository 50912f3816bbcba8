"""agent-endpoints: agents of the tenant's own that automations ask."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from switchboard.automation import endpoints
from switchboard.automation.endpoints import AgentEndpointChange, AgentSecret, NewAgentEndpoint
from switchboard.commands._resource import Command, Resource
from switchboard.kernel.arguments import Arguments, Nothing
from switchboard.kernel.page import Page
from switchboard.store.agent_endpoints import AgentEndpoint
from switchboard.tools import Tools


class TheEndpoint(Arguments):
    """One endpoint."""

    endpoint: UUID = Field(description="the endpoint's id")


class ChangedEndpoint(AgentEndpointChange, TheEndpoint):
    """What to change about an endpoint."""


def list_endpoints(tools: Tools, tenant_id: UUID, _: Nothing) -> Page[AgentEndpoint]:
    """List endpoints by their names."""
    return endpoints.list_endpoints(tools, tenant_id)


def show_endpoint(tools: Tools, tenant_id: UUID, which: TheEndpoint) -> AgentEndpoint:
    """Show an endpoint."""
    return endpoints.show_endpoint(tools, tenant_id, which.endpoint)


def create_endpoint(tools: Tools, tenant_id: UUID, new: NewAgentEndpoint) -> AgentSecret:
    """Make an endpoint that rules can name; its secret is shown this once."""
    return endpoints.create_endpoint(tools, tenant_id, new)


def update_endpoint(tools: Tools, tenant_id: UUID, given: ChangedEndpoint) -> AgentEndpoint:
    """Change an endpoint's address."""
    change = AgentEndpointChange(url=given.url)
    return endpoints.change_endpoint(tools, tenant_id, given.endpoint, change)


def rotate_secret(tools: Tools, tenant_id: UUID, which: TheEndpoint) -> AgentSecret:
    """Make a new secret, shown this once; for 24 hours it and the present one sign."""
    return endpoints.rotate_secret(tools, tenant_id, which.endpoint)


def delete_endpoint(tools: Tools, tenant_id: UUID, which: TheEndpoint) -> AgentEndpoint:
    """Forget an endpoint, and show it as it was; rules that name it fail."""
    return endpoints.delete_endpoint(tools, tenant_id, which.endpoint)


_ID = "--endpoint 6f1d7c52-7f7e-4f27-9d11-3a4f6d1c9b10"
_URL = "--url https://agent.acme.example/run"
KIND = Resource(
    "agent-endpoints",
    "agents that automations ask",
    (
        Command("list", Nothing, list_endpoints, columns=("id", "name", "url", "updated_at")),
        Command("show", TheEndpoint, show_endpoint, _ID),
        Command("create", NewAgentEndpoint, create_endpoint, f"--name concierge {_URL}"),
        Command("update", ChangedEndpoint, update_endpoint, f"{_ID} {_URL}"),
        Command("rotate", TheEndpoint, rotate_secret, _ID),
        Command("delete", TheEndpoint, delete_endpoint, _ID),
    ),
)
