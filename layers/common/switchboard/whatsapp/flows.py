"""WhatsApp Flows at Meta: drafts and their JSON, what publishes and retires them, the public key.

Flows API; Implementing endpoints for Flows, Upload public key. A change says only that it was
done: whoever wants to know what the Flow is now reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import quote

import orjson

from switchboard.whatsapp.client import (
    Answer,
    File,
    GraphClient,
    NotSent,
    Rejected,
    Throttled,
    Unconfirmed,
)
from switchboard.whatsapp.storable import is_id, unfit

#: Bytes of a Flow's JSON (Flow JSON).
LARGEST_JSON = 10 * 1024 * 1024

#: Meta gave no answer to work with; each says whether and when asking again makes sense.
NoAnswer = Rejected | Throttled | NotSent | Unconfirmed

_FIELDS = "id,name,categories,status,validation_errors,json_version,endpoint_uri"
#: Flows of one page of a list, and pages that are followed: an account has a few dozen Flows.
_PAGE, _PAGES = 100, 50
#: Seconds that Meta may take to check a Flow's JSON.
_UPLOAD_S = 25.0


@dataclass(frozen=True, slots=True)
class Flow:
    """A Flow as Meta tells it now; `validation_errors` are Meta's objects.

    `status` is DRAFT, PUBLISHED, DEPRECATED, BLOCKED, THROTTLED or a word of tomorrow.
    """

    flow_id: str
    name: str | None
    categories: tuple[str, ...]
    status: str | None
    json_version: str | None
    endpoint_uri: str | None
    validation_errors: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """Where a Flow can be tried without a phone, and until when (Meta's time, as it writes it)."""

    url: str
    expires_at: str | None


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The key that a number's Flows encrypt with. `status`: VALID, or MISMATCH: upload it anew."""

    pem: str | None
    status: str | None


def list_flows(client: GraphClient, waba_id: str, token: str) -> list[Flow] | NoAnswer:
    """Return all Flows of a business account. GET /{waba_id}/flows."""
    found: list[Flow] = []
    params = {"fields": _FIELDS, "limit": str(_PAGE)}
    for _ in range(_PAGES):
        answer = client.call("GET", f"{quote(waba_id, safe='')}/flows", token, params=params)
        if not isinstance(answer, Answer):
            return answer
        document = answer.document or {}
        data, paging = document.get("data"), document.get("paging")
        if not isinstance(data, list):
            return Unconfirmed("the answer has no list", http_status=answer.status)
        found += _flows(data)
        cursors = paging.get("cursors") if isinstance(paging, dict) else None
        after = cursors.get("after") if isinstance(cursors, dict) else None
        more = isinstance(paging, dict) and "next" in paging
        if not more or not isinstance(after, str) or after == params.get("after"):
            break
        params["after"] = after
    return found


def read_flow(client: GraphClient, flow_id: str, token: str) -> Flow | NoAnswer:
    """Ask what a Flow is now. GET /{flow_id}."""
    answer = client.call("GET", _path(flow_id), token, params={"fields": _FIELDS})
    if not isinstance(answer, Answer):
        return answer
    for flow in _flows([answer.document]):
        return flow
    return Unconfirmed("the answer is no flow", http_status=answer.status)


def create_flow(
    client: GraphClient,
    waba_id: str,
    token: str,
    *,
    name: str,
    categories: Iterable[str],
    flow_json: Mapping[str, Any] | None = None,
    endpoint_uri: str | None = None,
    clone_flow_id: str | None = None,
    publish: bool = False,
) -> Answer | NoAnswer:
    """Make a draft, or with `publish` a Flow that is out at once. POST /{waba_id}/flows.

    The answer is {"id", "success", "validation_errors"}.
    """
    form = _form(name=name, categories=categories, endpoint_uri=endpoint_uri)
    if flow_json is not None:
        form["flow_json"] = orjson.dumps(flow_json).decode()
    if clone_flow_id is not None:
        form["clone_flow_id"] = clone_flow_id
    if publish:
        form["publish"] = "true"
    path = f"{quote(waba_id, safe='')}/flows"
    return client.call("POST", path, token, form=form, longest_s=_UPLOAD_S)


def update_flow(
    client: GraphClient,
    flow_id: str,
    token: str,
    *,
    name: str | None = None,
    categories: Iterable[str] | None = None,
    endpoint_uri: str | None = None,
) -> Answer | NoAnswer:
    """Change what is given. POST /{flow_id}."""
    form = _form(name=name, categories=categories, endpoint_uri=endpoint_uri)
    return client.call("POST", _path(flow_id), token, form=form)


def upload_json(
    client: GraphClient, flow_id: str, token: str, flow_json: Mapping[str, Any]
) -> Answer | NoAnswer:
    """Replace a draft's screens. POST /{flow_id}/assets.

    The answer is {"success", "validation_errors"}: a JSON with errors is stored all the same, and
    cannot be published.
    """
    file = File(
        name="flow.json",
        mime_type="application/json",
        content=BytesIO(orjson.dumps(flow_json)),
        form={"name": "flow.json", "asset_type": "FLOW_JSON"},
    )
    path = f"{_path(flow_id)}/assets"
    return client.call("POST", path, token, file=file, longest_s=_UPLOAD_S)


def publish_flow(client: GraphClient, flow_id: str, token: str) -> Answer | NoAnswer:
    """Let a draft out; its JSON cannot be changed any more. POST /{flow_id}/publish."""
    return client.call("POST", f"{_path(flow_id)}/publish", token)


def deprecate_flow(client: GraphClient, flow_id: str, token: str) -> Answer | NoAnswer:
    """Retire a published Flow: it can be neither sent nor opened. POST /{flow_id}/deprecate."""
    return client.call("POST", f"{_path(flow_id)}/deprecate", token)


def delete_flow(client: GraphClient, flow_id: str, token: str) -> Answer | NoAnswer:
    """Delete a draft; Meta refuses all others. DELETE /{flow_id}."""
    return client.call("DELETE", _path(flow_id), token)


def preview_flow(client: GraphClient, flow_id: str, token: str) -> Preview | NoAnswer:
    """Ask for the address of the preview; it lives for 30 days. GET /{flow_id}?fields=preview."""
    params = {"fields": "preview.invalidate(false)"}
    answer = client.call("GET", _path(flow_id), token, params=params)
    if not isinstance(answer, Answer):
        return answer
    preview = (answer.document or {}).get("preview")
    url = preview.get("preview_url") if isinstance(preview, dict) else None
    if not isinstance(preview, dict) or not isinstance(url, str):
        return Unconfirmed("the answer has no address", http_status=answer.status)
    return Preview(url, _word(preview.get("expires_at")))


def read_public_key(client: GraphClient, phone_number_id: str, token: str) -> PublicKey | NoAnswer:
    """Ask for a number's key. GET /{phone_number_id}/whatsapp_business_encryption."""
    answer = client.call("GET", _encryption(phone_number_id), token)
    if not isinstance(answer, Answer):
        return answer
    data = (answer.document or {}).get("data")
    # A list in Meta's reference, the object itself in older answers.
    found = data[0] if isinstance(data, list) and data else answer.document or {}
    if not isinstance(found, dict):
        return Unconfirmed("the answer is no key", http_status=answer.status)
    return PublicKey(
        _word(found.get("business_public_key")),
        _word(found.get("business_public_key_signature_status")),
    )


def upload_public_key(
    client: GraphClient, phone_number_id: str, token: str, pem: str
) -> Answer | NoAnswer:
    """Set a number's key. POST /{phone_number_id}/whatsapp_business_encryption."""
    form = {"business_public_key": pem}
    return client.call("POST", _encryption(phone_number_id), token, form=form)


def errors_of(document: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Return the validation errors of an answer of Meta's, those that can be stored."""
    told = document.get("validation_errors")
    if not isinstance(told, list):
        return ()
    return tuple(one for one in told if isinstance(one, dict) and unfit(one) is None)


def size_of(flow_json: Mapping[str, Any]) -> int | None:
    """Return the bytes of a Flow's JSON, None where it cannot be written as JSON."""
    try:
        return len(orjson.dumps(flow_json))
    except (TypeError, RecursionError):
        return None


def _flows(told: Iterable[Any]) -> list[Flow]:
    flows = []
    for one in told:
        flow_id = one.get("id") if isinstance(one, dict) else None
        if not is_id(flow_id) or unfit(flow_id) is not None:
            continue
        categories = one.get("categories")
        flows.append(
            Flow(
                flow_id,
                _word(one.get("name")),
                tuple(filter(None, map(_word, categories if isinstance(categories, list) else ()))),
                _word(one.get("status")),
                _word(one.get("json_version")),
                _word(one.get("endpoint_uri")),
                errors_of(one),
            )
        )
    return flows


def _form(
    *, name: str | None, categories: Iterable[str] | None, endpoint_uri: str | None
) -> dict[str, str]:
    form: dict[str, str] = {}
    if name is not None:
        form["name"] = name
    if categories is not None:
        form["categories"] = orjson.dumps(list(categories)).decode()
    if endpoint_uri is not None:
        form["endpoint_uri"] = endpoint_uri
    return form


def _path(flow_id: str) -> str:
    return quote(flow_id, safe="")


def _encryption(phone_number_id: str) -> str:
    return f"{quote(phone_number_id, safe='')}/whatsapp_business_encryption"


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value and unfit(value) is None else None
