"""flows: WhatsApp Flows at Meta, and the public key that they encrypt with."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from switchboard.accounts import flows, public_keys
from switchboard.accounts.flows import (
    FlowAsset,
    FlowChange,
    FlowFilter,
    FlowSync,
    NewFlow,
    Synced,
)
from switchboard.accounts.public_keys import Id, KeyOf, NewPublicKey, PublicKey
from switchboard.commands._given import Object, Text
from switchboard.commands._resource import Command, Resource
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.page import Page
from switchboard.store.flows import Flow
from switchboard.tools import Tools
from switchboard.whatsapp.flows import Preview

_JSON = "the Flow's JSON, or @ and the path of a file with it"


class TheFlow(Arguments):
    """One Flow."""

    flow: str = Field(min_length=1, max_length=50, description="the Flow's id at Meta")


class GivenFlow(NewFlow):
    """A Flow to make."""

    flow_json: Object | None = Field(None, description=_JSON)


class ChangedFlow(FlowChange, TheFlow):
    """What to change about a Flow."""


class GivenAsset(TheFlow):
    """A draft's screens."""

    flow_json: Object = Field(description=_JSON)


class TheNumber(Arguments):
    """One number."""

    number: Id = Field(description="the number's id at Meta")


class GivenKey(TheNumber):
    """A number's new key."""

    business_public_key: Text = Field(
        min_length=1,
        max_length=5_000,
        description="public RSA key of 2048 bits as PEM, or @ and the path of a file with it",
    )


def list_flows(tools: Tools, tenant_id: UUID, wanted: FlowFilter) -> Page[Flow]:
    """List Flows as they are known here."""
    return flows.list_flows(tools, tenant_id, wanted)


def show_flow(tools: Tools, tenant_id: UUID, which: TheFlow) -> Flow:
    """Show a Flow."""
    return flows.show_flow(tools, tenant_id, which.flow)


def sync_flows(tools: Tools, tenant_id: UUID, wanted: FlowSync) -> Synced:
    """Ask Meta for all Flows of a business account."""
    return flows.sync_flows(tools, tenant_id, wanted)


def create_flow(tools: Tools, tenant_id: UUID, given: GivenFlow) -> Flow:
    """Make a Flow; see validation_errors for what Meta finds wrong in its JSON."""
    return flows.create_flow(tools, tenant_id, given)


def update_flow(tools: Tools, tenant_id: UUID, given: ChangedFlow) -> Flow:
    """Change name, categories, endpoint."""
    members = given.model_dump(exclude_unset=True, exclude={"flow"})
    return flows.change_flow(tools, tenant_id, given.flow, FlowChange(**members))


def upload_json(tools: Tools, tenant_id: UUID, given: GivenAsset) -> Flow:
    """Replace a draft's screens; see validation_errors for what Meta finds wrong in them."""
    return flows.upload_json(tools, tenant_id, given.flow, FlowAsset(flow_json=given.flow_json))


def publish_flow(tools: Tools, tenant_id: UUID, which: TheFlow) -> Flow:
    """Let a draft out: its screens cannot be changed any more."""
    return flows.publish_flow(tools, tenant_id, which.flow)


def deprecate_flow(tools: Tools, tenant_id: UUID, which: TheFlow) -> Flow:
    """Retire a Flow that is out: it can neither be sent nor opened."""
    return flows.deprecate_flow(tools, tenant_id, which.flow)


def delete_flow(tools: Tools, tenant_id: UUID, which: TheFlow) -> Flow:
    """Delete a draft, and show it as it was."""
    return flows.delete_flow(tools, tenant_id, which.flow)


def preview_flow(tools: Tools, tenant_id: UUID, which: TheFlow) -> Preview:
    """Ask Meta where a Flow can be tried in a browser."""
    return flows.preview_flow(tools, tenant_id, which.flow)


def show_public_key(tools: Tools, tenant_id: UUID, which: TheNumber) -> PublicKey:
    """Ask Meta for the key that a number's Flows encrypt with."""
    return public_keys.show_public_key(tools, tenant_id, _key_of(which))


def upload_public_key(tools: Tools, tenant_id: UUID, given: GivenKey) -> PublicKey:
    """Set that key; the private one is never asked for."""
    new = NewPublicKey(business_public_key=given.business_public_key)
    return public_keys.upload_public_key(tools, tenant_id, _key_of(given), new)


def _key_of(which: TheNumber) -> KeyOf:
    return KeyOf.model_validate({"from": which.number})


_ID = "--flow 660100000000001"
_NUMBER = "--number 110000000000001"
KIND = Resource(
    "flows",
    "WhatsApp Flows, and the key that they encrypt with",
    (
        Command(
            "list",
            FlowFilter,
            list_flows,
            "--status PUBLISHED",
            ("flow_id", "waba_id", "name", "status", "json_version", "fetched_at"),
        ),
        Command("show", TheFlow, show_flow, _ID),
        Command("sync", FlowSync, sync_flows, "--waba-id 210000000000001"),
        Command(
            "create",
            GivenFlow,
            create_flow,
            "--waba-id 210000000000001 --name booking --categories APPOINTMENT_BOOKING",
        ),
        Command("update", ChangedFlow, update_flow, f"{_ID} --name bookings"),
        Command("upload", GivenAsset, upload_json, f'{_ID} --flow-json \'{{"version": "7.1"}}\''),
        Command("publish", TheFlow, publish_flow, _ID),
        Command("deprecate", TheFlow, deprecate_flow, _ID),
        Command("delete", TheFlow, delete_flow, _ID),
        Command("preview", TheFlow, preview_flow, _ID),
        Command("public-key", TheNumber, show_public_key, _NUMBER),
        Command(
            "set-public-key",
            GivenKey,
            upload_public_key,
            f"{_NUMBER} --business-public-key '-----BEGIN PUBLIC KEY-----'",
        ),
    ),
)
