"""WhatsApp Flows: drafts, their JSON, publishing and retiring them.

Meta keeps Flows; here stands what it answered last and what its webhooks told since. Each change
asks Meta anew, so that what is answered is what the Flow is now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, NoReturn
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from switchboard.accounts._meta import BusinessAccount, Told, account_of, document_of
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Conflict, NotFound, RefusedByMeta, TooLarge, Unprocessable
from switchboard.kernel.log import log
from switchboard.kernel.page import Page, Paged, page_of, read_cursor
from switchboard.store import flows as store
from switchboard.store.flows import Fetched, Flow
from switchboard.tools import Tools
from switchboard.transact import transact
from switchboard.whatsapp import flows as meta
from switchboard.whatsapp.client import Rejected
from switchboard.whatsapp.storable import is_id, unfit

#: Bytes of a request with a Flow's JSON: the JSON itself has 10 MB at most, its escapes and what
#: stands around it are a caller's.
LIMIT = meta.LARGEST_JSON + 65_536


def _https(text: str) -> str:
    if not text.startswith("https://") or not text.isprintable() or " " in text:
        raise ValueError("must be an https address")
    return text


Id = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{1,50}$")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Category = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z_]{0,49}$")]
Endpoint = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_https)]
_CATEGORIES = (
    "SIGN_UP, SIGN_IN, APPOINTMENT_BOOKING, LEAD_GENERATION, CONTACT_US, CUSTOMER_SUPPORT, SURVEY,"
    " OTHER"
)
_ENDPOINT = "https address that the Flow asks for its screens"
_JSON = "the Flow's JSON, as an object"


class FlowFilter(Paged):
    """Which Flows."""

    waba_id: Id | None = Field(None, description="of this business account")
    status: str | None = Field(
        None, max_length=50, description="DRAFT, PUBLISHED, DEPRECATED, BLOCKED or THROTTLED"
    )


class FlowSync(Arguments):
    """Whose Flows to ask for."""

    waba_id: Id = Field(description="business account")


class NewFlow(Arguments):
    """A Flow to make: empty, with its JSON, or as a copy."""

    waba_id: Id = Field(description="business account that it belongs to")
    name: Name = Field(description="what staff call it; unique in the business account")
    categories: list[Category] = Field(min_length=1, max_length=20, description=_CATEGORIES)
    flow_json: dict[str, Any] | None = Field(None, description=_JSON)
    endpoint_uri: Endpoint | None = Field(None, description=_ENDPOINT)
    clone_flow_id: Id | None = Field(None, description="Flow to copy the JSON of")
    publish: bool = Field(default=False, description="let it out at once")

    @model_validator(mode="after")
    def _fits_together(self) -> NewFlow:
        if self.flow_json is not None and self.clone_flow_id is not None:
            raise ValueError("flow_json and clone_flow_id exclude each other")
        if self.publish and self.flow_json is None and self.clone_flow_id is None:
            raise ValueError("what is published needs flow_json or clone_flow_id")
        return self


class FlowChange(Arguments):
    """What to change about a Flow, its JSON excepted."""

    name: Name | None = Field(None, description="what staff call it")
    categories: list[Category] | None = Field(
        None, min_length=1, max_length=20, description=_CATEGORIES
    )
    endpoint_uri: Endpoint | None = Field(None, description=_ENDPOINT)

    @model_validator(mode="after")
    def _something(self) -> FlowChange:
        if self.name is None and self.categories is None and self.endpoint_uri is None:
            raise ValueError("name, categories or endpoint_uri must be given")
        return self


class FlowAsset(Arguments):
    """A draft's screens."""

    flow_json: dict[str, Any] = Field(description=_JSON)


@dataclass(frozen=True, slots=True)
class Synced:
    """How many Flows Meta has listed, and how many drafts are forgotten since it did not."""

    flows: int
    forgotten: int


def list_flows(tools: Tools, tenant_id: UUID, wanted: FlowFilter) -> Page[Flow]:
    """Return Flows by their ids, as they are known here."""

    def read(connection: Connection) -> Page[Flow]:
        after = read_cursor("flows", wanted, 2)
        rows = store.find(
            connection,
            tenant_id,
            after=(after[0] or "", after[1] or "") if after else None,
            limit=wanted.limit + 1,
            waba_id=wanted.waba_id,
            status=wanted.status,
        )
        return page_of("flows", wanted, rows, lambda last: (last.flow_id, last.waba_id))

    return transact(tools, tenant_id, read)


def show_flow(tools: Tools, tenant_id: UUID, flow_id: str) -> Flow:
    """Return a Flow as it is known here; raises NotFound."""
    found = transact(
        tools, tenant_id, lambda connection: store.show(connection, tenant_id, flow_id)
    )
    if found is None:
        raise NotFound("this flow is not known: sync its business account")
    return found


def sync_flows(tools: Tools, tenant_id: UUID, wanted: FlowSync) -> Synced:
    """Ask Meta for all Flows of a business account, and keep what it answers.

    Raises NotFound, and what `document_of` raises.
    """
    account = account_of(tools, tenant_id, wanted.waba_id)
    asked_at = _moment(tools, tenant_id)
    told = meta.list_flows(tools.graph, account.waba_id, account.token)
    if not isinstance(told, list):
        _refuse(told)
    fetched = [_fetched(flow) for flow in told]

    def write(connection: Connection) -> int:
        store.store(connection, tenant_id, account.waba_id, fetched, asked_at=asked_at)
        listed = [flow.flow_id for flow in fetched]
        return store.retire_missing(
            connection, tenant_id, account.waba_id, listed, asked_at=asked_at
        )

    return Synced(len(fetched), transact(tools, tenant_id, write))


def create_flow(tools: Tools, tenant_id: UUID, new: NewFlow) -> Flow:
    """Make a Flow at Meta and return it, with what Meta finds wrong in its JSON.

    Raises NotFound for the business account, TooLarge, and what `document_of` raises.
    """
    _check_size(new.flow_json)
    account = account_of(tools, tenant_id, new.waba_id)
    asked_at = _moment(tools, tenant_id)
    document = _document(
        meta.create_flow(
            tools.graph,
            account.waba_id,
            account.token,
            name=new.name,
            categories=dict.fromkeys(new.categories),
            flow_json=new.flow_json,
            endpoint_uri=new.endpoint_uri,
            clone_flow_id=new.clone_flow_id,
            publish=new.publish,
        )
    )
    flow_id = document.get("id")
    if not is_id(flow_id) or unfit(flow_id) is not None:
        raise RefusedByMeta("Meta's answer names no flow: sync the business account")
    made = Fetched(
        flow_id,
        new.name,
        tuple(dict.fromkeys(new.categories)),
        # That it was published as well, only Meta knows: it is asked in a moment.
        "DRAFT",
        None,
        new.endpoint_uri,
        meta.errors_of(document),
    )
    _store(tools, tenant_id, account, [made], asked_at)
    return _look_again(tools, tenant_id, account, flow_id)


def change_flow(tools: Tools, tenant_id: UUID, flow_id: str, change: FlowChange) -> Flow:
    """Change name, categories, endpoint; raises NotFound, and what `document_of` raises."""
    account = _account_of(tools, tenant_id, flow_id)
    _document(
        meta.update_flow(
            tools.graph,
            flow_id,
            account.token,
            name=change.name,
            categories=None if change.categories is None else dict.fromkeys(change.categories),
            endpoint_uri=change.endpoint_uri,
        )
    )
    return _look_again(tools, tenant_id, account, flow_id)


def upload_json(tools: Tools, tenant_id: UUID, flow_id: str, asset: FlowAsset) -> Flow:
    """Replace a draft's screens and return it, with what Meta finds wrong in them.

    Raises NotFound, TooLarge, and what `document_of` raises.
    """
    _check_size(asset.flow_json)
    account = _account_of(tools, tenant_id, flow_id)
    document = _document(meta.upload_json(tools.graph, flow_id, account.token, asset.flow_json))
    flow = _look_again(tools, tenant_id, account, flow_id)
    return replace(flow, validation_errors=list(meta.errors_of(document)))


def publish_flow(tools: Tools, tenant_id: UUID, flow_id: str) -> Flow:
    """Let a draft out; raises NotFound, and what `document_of` raises."""
    account = _account_of(tools, tenant_id, flow_id)
    _document(meta.publish_flow(tools.graph, flow_id, account.token))
    return _look_again(tools, tenant_id, account, flow_id)


def deprecate_flow(tools: Tools, tenant_id: UUID, flow_id: str) -> Flow:
    """Retire a Flow that is out; raises NotFound, and what `document_of` raises."""
    account = _account_of(tools, tenant_id, flow_id)
    _document(meta.deprecate_flow(tools.graph, flow_id, account.token))
    return _look_again(tools, tenant_id, account, flow_id)


def delete_flow(tools: Tools, tenant_id: UUID, flow_id: str) -> Flow:
    """Delete a draft and return it as it was.

    Raises NotFound, Conflict where it is known to be none, and what `document_of` raises.
    """
    flow = show_flow(tools, tenant_id, flow_id)
    if flow.status not in {None, "DRAFT"}:
        raise Conflict(f"only drafts are deleted, and this flow is {flow.status}: deprecate it")
    account = account_of(tools, tenant_id, flow.waba_id)
    _document(meta.delete_flow(tools.graph, flow_id, account.token))
    transact(
        tools,
        tenant_id,
        lambda connection: store.delete(connection, tenant_id, flow.waba_id, flow_id),
    )
    return flow


def preview_flow(tools: Tools, tenant_id: UUID, flow_id: str) -> meta.Preview:
    """Return where the Flow can be tried in a browser; raises NotFound, and as `document_of`."""
    account = _account_of(tools, tenant_id, flow_id)
    told = meta.preview_flow(tools.graph, flow_id, account.token)
    if not isinstance(told, meta.Preview):
        _refuse(told)
    return told


def _account_of(tools: Tools, tenant_id: UUID, flow_id: str) -> BusinessAccount:
    return account_of(tools, tenant_id, show_flow(tools, tenant_id, flow_id).waba_id)


def _moment(tools: Tools, tenant_id: UUID) -> datetime:
    """Return the time before Meta is asked: what webhooks tell meanwhile is newer."""
    return transact(tools, tenant_id, lambda connection: store.moment(connection, tools.clock.now))


def _look_again(tools: Tools, tenant_id: UUID, account: BusinessAccount, flow_id: str) -> Flow:
    """Return the Flow as Meta tells it now.

    Meta has done as asked already: where it does not answer, what is known here is returned.
    """
    asked_at = _moment(tools, tenant_id)
    told = meta.read_flow(tools.graph, flow_id, account.token)
    if isinstance(told, meta.Flow):
        _store(tools, tenant_id, account, [_fetched(told)], asked_at)
    else:
        log.warning("flows.not_read", outcome=type(told).__name__)
    return show_flow(tools, tenant_id, flow_id)


def _store(
    tools: Tools,
    tenant_id: UUID,
    account: BusinessAccount,
    flows: Sequence[Fetched],
    asked_at: datetime,
) -> None:
    transact(
        tools,
        tenant_id,
        lambda connection: store.store(
            connection, tenant_id, account.waba_id, flows, asked_at=asked_at
        ),
    )


def _fetched(flow: meta.Flow) -> Fetched:
    return Fetched(
        flow.flow_id,
        flow.name,
        flow.categories,
        flow.status,
        flow.json_version,
        flow.endpoint_uri,
        flow.validation_errors,
    )


def _check_size(flow_json: dict[str, Any] | None) -> None:
    if flow_json is None:
        return
    size = meta.size_of(flow_json)
    if size is None:
        raise Unprocessable("flow_json cannot be written as JSON", field="flow_json")
    if size > meta.LARGEST_JSON:
        raise TooLarge(
            f"flow_json has {size} bytes, the limit is {meta.LARGEST_JSON}", field="flow_json"
        )


def _document(told: Told) -> dict[str, Any]:
    """Return Meta's document; a refusal carries the validation errors that came with it."""
    try:
        return document_of(told)
    except RefusedByMeta as refusal:
        if isinstance(told, Rejected) and (errors := meta.errors_of(told.document)):
            refusal.extra["validation_errors"] = list(errors)
        raise


def _refuse(told: meta.NoAnswer) -> NoReturn:
    document_of(told)
    raise AssertionError("only an answer has a document")
