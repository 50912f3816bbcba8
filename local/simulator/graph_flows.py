"""The Graph API of Flows and of numbers' public keys.

Refusals are Meta's: codes 139000 to 139004 for what cannot be made, changed, published, deprecated
or deleted.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.simulator.exchange import Exchange
from local.simulator.flows import CATEGORIES, Flow, errors_of, time_of
from local.simulator.graph_errors import GraphRefusal, unknown_object
from local.simulator.graph_shapes import unacceptable
from local.simulator.media import parse_form

Json = dict[str, Any]
Call = Callable[[Request, Json], Awaitable[Response]]

MAX_JSON = 10 * 1024 * 1024
PREVIEW_SECONDS = 30 * 24 * 3600
_FIELDS = frozenset(
    (
        *("id", "name", "status", "categories", "validation_errors", "json_version"),
        *("data_api_version", "endpoint_uri", "preview", "health_status", "updated_at"),
        *("whatsapp_business_account", "application"),
    )
)
_USUAL = ("id", "name", "status", "categories", "validation_errors")


class GraphFlows:
    """The calls about Flows. `bearer` tells the accounts that a request's token may use."""

    def __init__(self, exchange: Exchange, bearer: Callable[[Request], set[str]]) -> None:
        self._exchange = exchange
        self._shelf = exchange.flows
        self._bearer = bearer

    def paths(self) -> list[tuple[str, str, Call]]:
        """Method, path behind the node, call."""
        return [
            ("GET", "/flows", self._list),
            ("POST", "/flows", self._create),
            ("GET", "/assets", self._assets),
            ("POST", "/assets", self._upload),
            ("POST", "/publish", self._publish),
            ("POST", "/deprecate", self._deprecate),
            ("GET", "/whatsapp_business_encryption", self._read_key),
            ("POST", "/whatsapp_business_encryption", self._set_key),
        ]

    def knows(self, request: Request) -> bool:
        """Whether the request's node is a Flow."""
        return self._shelf.get(request.path_params["node"]) is not None

    async def read(self, request: Request, _: Json) -> Response:
        """GET /{flow_id}."""
        return JSONResponse(self._select(request, self._flow(request)))

    async def edit(self, request: Request, entry: Json) -> Response:
        """POST /{flow_id}: name, categories, endpoint."""
        flow = self._flow(request)
        form = entry["body"] = await _form(request)
        if not form.keys() & {"name", "categories", "endpoint_uri"}:
            raise unacceptable("Nothing to update.")
        name = form.get("name", flow.name)
        self._check_name(flow.waba_id, name, flow)
        flow.categories = _categories(form) if "categories" in form else flow.categories
        flow.name, flow.endpoint_uri = name, form.get("endpoint_uri", flow.endpoint_uri)
        self._shelf.put(flow)
        return JSONResponse({"success": True})

    async def delete(self, request: Request, _: Json) -> Response:
        """DELETE /{flow_id}: drafts only."""
        flow = self._flow(request)
        if flow.status != "DRAFT":
            raise _refused(139004, "Deleting Flow Failed", "Only a draft can be deleted.", 4016019)
        self._shelf.delete(flow)
        return JSONResponse({"success": True})

    async def _list(self, request: Request, _: Json) -> Response:
        found, asked = self._shelf.all_of(self._account(request)), request.query_params
        limit, after = asked.get("limit", "25"), asked.get("after")
        if not limit.isdigit() or not 1 <= int(limit) <= 1000:
            raise unacceptable("Param limit must be from 1 to 1000.")
        ids = [_cursor(flow) for flow in found]
        if after and after not in ids:
            raise unacceptable("Invalid cursors values")
        start = ids.index(after) + 1 if after else 0
        page = found[start : start + int(limit)]
        document: Json = {"data": [self._select(request, flow) for flow in page]}
        if page:
            last = _cursor(page[-1])
            document["paging"] = {"cursors": {"before": _cursor(page[0]), "after": last}}
            if start + len(page) < len(found):
                more = {**asked, "after": last}
                more.pop("access_token", None)
                document["paging"]["next"] = f"{request.url.replace(query='')}?{urlencode(more)}"
        return JSONResponse(document)

    async def _create(self, request: Request, entry: Json) -> Response:
        waba_id = self._account(request)
        form = entry["body"] = await _form(request)
        name = form.get("name", "")
        self._check_name(waba_id, name, None)
        categories, document = _categories(form), _document(form.get("flow_json"))
        source = None
        if "clone_flow_id" in form:
            source = self._shelf.get(form["clone_flow_id"])
            if source is None or source.waba_id != waba_id:
                raise _refused(139000, "Flow Not Found", "The Flow to clone does not exist.")
        flow = self._shelf.add(waba_id, name, categories)
        flow.endpoint_uri = form.get("endpoint_uri")
        if source is not None and source.document is not None:
            document = source.document
        if document is not None:
            flow.document, flow.validation_errors = document, errors_of(document)
        self._shelf.put(flow)
        answer = {"id": flow.id, "success": True, "validation_errors": flow.validation_errors}
        if form.get("publish") == "true" and document is not None and not flow.validation_errors:
            self._shelf.set_status(flow, "PUBLISHED")
        return JSONResponse(answer)

    async def _assets(self, request: Request, _: Json) -> Response:
        flow = self._flow(request)
        address = f"{request.base_url}simulator/flows/{flow.id}"
        shown = {"name": "flow.json", "asset_type": "FLOW_JSON", "download_url": address}
        return JSONResponse({"data": [shown] if flow.document is not None else []})

    async def _upload(self, request: Request, entry: Json) -> Response:
        flow = self._flow(request)
        form = await _form(request)
        entry["body"] = {key: value for key, value in form.items() if key != "file"}
        if form.get("asset_type") != "FLOW_JSON" or form.get("name") != "flow.json":
            raise unacceptable("The asset must be FLOW_JSON, and its name flow.json.")
        if flow.status != "DRAFT":
            raise _refused(139001, "Flow Can't Be Updated", "A published Flow's JSON is fixed.")
        document = _document(form.get("file", ""))
        if document is None:
            raise unacceptable("The parameter file is required.")
        entry["body"]["file"] = document
        flow.document, flow.validation_errors = document, errors_of(document)
        self._shelf.put(flow)
        return JSONResponse({"success": True, "validation_errors": flow.validation_errors})

    async def _publish(self, request: Request, _: Json) -> Response:
        flow = self._flow(request)
        if flow.status != "DRAFT" or flow.document is None or flow.validation_errors:
            why = "Fix all validation errors and upload the Flow's JSON before you publish it."
            raise _refused(139002, "Publishing Flow Failed", why, 4016020)
        self._shelf.set_status(flow, "PUBLISHED")
        return JSONResponse({"success": True})

    async def _deprecate(self, request: Request, _: Json) -> Response:
        flow = self._flow(request)
        if flow.status not in {"PUBLISHED", "THROTTLED", "BLOCKED"}:
            why = "Only a published Flow can be deprecated."
            raise _refused(139003, "Deprecating Flow Failed", why, 4016022)
        self._shelf.set_status(flow, "DEPRECATED")
        return JSONResponse({"success": True})

    async def _read_key(self, request: Request, _: Json) -> Response:
        pem = self._shelf.key_of(self._number(request))
        if pem is None:
            return JSONResponse({"data": []})
        key = {"business_public_key": pem, "business_public_key_signature_status": "VALID"}
        return JSONResponse({"data": [key]})

    async def _set_key(self, request: Request, entry: Json) -> Response:
        phone_number_id = self._number(request)
        form = entry["body"] = await _form(request)
        pem = form.get("business_public_key", "")
        try:
            key = load_pem_public_key(pem.encode())
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, RSAPublicKey) or key.key_size != 2048:
            raise unacceptable("business_public_key must be a 2048-bit RSA public key in PEM.")
        self._shelf.set_key(phone_number_id, pem)
        return JSONResponse({"success": True})

    def _account(self, request: Request) -> str:
        waba_id: str = request.path_params["node"]
        if waba_id not in self._bearer(request):
            raise unknown_object(request.method.lower(), waba_id)
        return waba_id

    def _number(self, request: Request) -> str:
        allowed, node = self._bearer(request), str(request.path_params["node"])
        number = self._exchange.config.number(node)
        if number is None or number.waba_id not in allowed:
            raise unknown_object(request.method.lower(), node)
        return number.phone_number_id

    def _flow(self, request: Request) -> Flow:
        allowed, node = self._bearer(request), str(request.path_params["node"])
        flow = self._shelf.get(node)
        if flow is None or flow.waba_id not in allowed:
            raise unknown_object(request.method.lower(), node)
        return flow

    def _check_name(self, waba_id: str, name: str, flow: Flow | None) -> None:
        if not name or len(name) > 200:
            raise unacceptable("Param name must have 1 to 200 characters.")
        known = self._shelf.find(waba_id, name)
        if known is not None and known is not flow:
            raise GraphRefusal(
                100,
                message="Invalid parameter",
                subcode=4016019,
                told=("Flow name is not unique", "Choose another name for this Flow."),
            )

    def _select(self, request: Request, flow: Flow) -> Json:
        asked = request.query_params.get("fields")
        names = ["id", *_split(asked)] if asked else list(_USUAL)
        node = flow.node()
        for name in names:
            if name.partition(".")[0] not in _FIELDS:
                raise GraphRefusal(
                    100, message=f"(#100) Tried accessing nonexisting field ({name}) on node type"
                )
            if name.startswith("preview"):
                ends = self._exchange.clock() + PREVIEW_SECONDS
                node["preview"] = {
                    "preview_url": f"{request.base_url}simulator/flows/{flow.id}",
                    "expires_at": time_of(ends),
                }
        return {
            name.partition(".")[0]: node[name.partition(".")[0]]
            for name in names
            if name.partition(".")[0] in node
        }


def _split(fields: str) -> list[str]:
    return [name for name in fields.split(",") if name]


def _cursor(flow: Flow) -> str:
    return base64.urlsafe_b64encode(flow.id.encode()).decode().rstrip("=")


def _refused(code: int, title: str, text: str, subcode: int | None = None) -> GraphRefusal:
    return GraphRefusal(code, message=title, subcode=subcode, told=(title, text))


def _categories(form: Json) -> list[str]:
    try:
        found = json.loads(form.get("categories", ""))
    except ValueError:
        found = None
    if not isinstance(found, list) or not found or not set(map(str, found)) <= set(CATEGORIES):
        raise unacceptable(f"Param categories must be some of {{{', '.join(CATEGORIES)}}}")
    return [str(one) for one in found]


def _document(text: str | None) -> Json | None:
    if text is None:
        return None
    if len(text.encode()) > MAX_JSON:
        raise unacceptable("A Flow's JSON has 10 MB at most.")
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise unacceptable("The Flow's JSON is no JSON object.")
    return found


async def _form(request: Request) -> dict[str, str]:
    """A form in either of its encodings, or an object of JSON, as Graph reads all three."""
    kind, body = request.headers.get("content-type", ""), await request.body()
    if kind.startswith("multipart/form-data"):
        parts = parse_form(kind, body)
        return {name: content.decode("utf-8", "replace") for name, (content, _) in parts.items()}
    if kind.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(body.decode("utf-8", "replace")))
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise unacceptable("The request body is no form.")
    return {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in found.items()
    }
