"""The Graph API of message templates: listed, read, made, edited, deleted, unpaused.

Refusals are Meta's: code 100 with a subcode from 2388019 on, and a sentence for people.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.simulator.exchange import Exchange
from local.simulator.graph_errors import GraphRefusal, unknown_object
from local.simulator.graph_shapes import unacceptable
from local.simulator.templates import FIELDS, Template

Json = dict[str, Any]
Call = Callable[[Request, Json], Awaitable[Response]]

#: Templates of one account that is not verified.
MOST = 250
_CATEGORIES = ("AUTHENTICATION", "MARKETING", "UTILITY")
_USUAL = ("name", "parameter_format", "components", "language", "status", "category", "id")
_EDITABLE = ("APPROVED", "REJECTED", "PAUSED")
_DAY = 24 * 3600.0
_BRACES = re.compile(r"\{\{.*?\}\}")


class GraphTemplates:
    """The calls about templates. `bearer` tells the accounts that a request's token may use."""

    def __init__(self, exchange: Exchange, bearer: Callable[[Request], set[str]]) -> None:
        self._exchange = exchange
        self._shelf = exchange.templates
        self._bearer = bearer

    def paths(self) -> list[tuple[str, str, Call]]:
        """Method, path behind the node, call."""
        return [
            ("GET", "/message_templates", self._list),
            ("POST", "/message_templates", self._create),
            ("DELETE", "/message_templates", self._delete),
            ("POST", "/unpause", self._unpause),
        ]

    def knows(self, request: Request) -> bool:
        """Whether the request's node is a template."""
        return self._shelf.get(request.path_params["node"]) is not None

    async def read(self, request: Request, _: Json) -> Response:
        """GET /{template_id}."""
        return JSONResponse(_select(request, self._template(request)))

    async def edit(self, request: Request, entry: Json) -> Response:
        """POST /{template_id}: category, all components, time to live."""
        template = self._template(request)
        body = entry["body"] = await _document(request)
        unknown = body.keys() - {"category", "components", "message_send_ttl_seconds"}
        if unknown or not body:
            raise unacceptable(f"Param {min(unknown, default='components')} cannot be edited.")
        self._check_editable(template, body)
        category = _category(body) if "category" in body else template.category
        if "components" in body:
            _check_components(category, body["components"])
        if template.status == "APPROVED":
            template.edits.append(self._exchange.clock())
        template.category = category
        ttl = body.get("message_send_ttl_seconds", template.message_send_ttl_seconds)
        template.message_send_ttl_seconds = ttl
        template.status = "PENDING"
        if "components" in body:
            self._shelf.set_components(template, body["components"])
        self._shelf.put(template)
        self._exchange.review(template)
        edited = {"id": template.id, "name": template.name, "category": template.category}
        return JSONResponse({"success": True, **edited})

    def _check_editable(self, template: Template, body: Json) -> None:
        if template.status not in _EDITABLE:
            raise _refused(2388039, "Template cannot be edited", f"It is {template.status}.")
        if template.status != "APPROVED":
            return
        if body.get("category", template.category) != template.category:
            raise _refused(
                2388041, "Category cannot be edited", "Approved templates keep their category."
            )
        now = self._exchange.clock()
        if sum(now - at < _DAY for at in template.edits) >= 1 or (
            sum(now - at < 30 * _DAY for at in template.edits) >= 10
        ):
            raise _refused(
                2388042,
                "Edit limit reached",
                "An approved template can be edited once in 24 hours, 10 times in 30 days.",
            )

    def _template(self, request: Request) -> Template:
        allowed = self._bearer(request)
        node = request.path_params["node"]
        template = self._shelf.get(node)
        if template is None or template.waba_id not in allowed:
            raise unknown_object(request.method.lower(), node)
        return template

    def _account(self, request: Request) -> str:
        waba_id: str = request.path_params["node"]
        if waba_id not in self._bearer(request):
            raise unknown_object(request.method.lower(), waba_id)
        return waba_id

    async def _list(self, request: Request, _: Json) -> Response:
        waba_id, asked = self._account(request), request.query_params
        found = [one for one in self._shelf.all_of(waba_id) if _fits(one, asked)]
        limit = asked.get("limit", "25")
        if not limit.isdigit() or not 1 <= int(limit) <= 1000:
            raise unacceptable("Param limit must be from 1 to 1000.")
        start = _start(found, asked.get("after"))
        page = found[start : start + int(limit)]
        document: Json = {"data": [_select(request, template) for template in page]}
        if "summary" in asked:
            counted = {"total_count": len(found), "message_template_count": len(found)}
            document["summary"] = _summary(asked["summary"], counted)
        if page:
            after = _cursor(page[-1])
            document["paging"] = {"cursors": {"before": _cursor(page[0]), "after": after}}
            if start + len(page) < len(found):
                more = {**asked, "after": after}
                more.pop("access_token", None)
                document["paging"]["next"] = f"{request.url.replace(query='')}?{urlencode(more)}"
        return JSONResponse(document)

    async def _create(self, request: Request, entry: Json) -> Response:
        waba_id = self._account(request)
        body = entry["body"] = await _document(request)
        name, language = _called(body)
        category = _category(body)
        _check_components(category, body.get("components"))
        if self._shelf.find(waba_id, name, language) is not None:
            raise _refused(
                2388024,
                "Content in this language already exists",
                f"There is already content in {language} for this template.",
            )
        if self._shelf.is_blocked(waba_id, name):
            raise _refused(
                2388023,
                "The template's content is being deleted",
                "A name that was deleted can be used again after 30 days.",
            )
        if len(self._shelf.all_of(waba_id)) >= MOST:
            raise _refused(2388019, "Template limit exceeded", f"There are {MOST} templates.")
        template = Template(
            id=self._shelf.new_id(),
            waba_id=waba_id,
            name=name,
            language=language,
            category=category,
            components=body["components"],
            parameter_format=str(body.get("parameter_format", "POSITIONAL")).upper(),
            message_send_ttl_seconds=body.get("message_send_ttl_seconds"),
        )
        self._shelf.put(template)
        self._exchange.review(template)
        return JSONResponse({"id": template.id, "status": "PENDING", "category": category})

    async def _delete(self, request: Request, _: Json) -> Response:
        waba_id, asked = self._account(request), request.query_params
        if not asked.get("name"):
            raise unacceptable("The parameter name is required.")
        found = [
            one
            for one in self._shelf.all_of(waba_id)
            if one.name == asked["name"] and asked.get("hsm_id", one.id) == one.id
        ]
        if not found:
            raise _refused(
                2593002, "Message template not found", "There is no such template to delete."
            )
        for template in found:
            self._shelf.delete(template)
        return JSONResponse({"success": True})

    async def _unpause(self, request: Request, _: Json) -> Response:
        template = self._template(request)
        if template.status != "PAUSED" or template.paused_by != "pacing":
            reason = "Only a template that pacing has paused can be unpaused."
            return JSONResponse({"success": False, "reason": reason})
        told = {"title": "UNPAUSE", "description": "The template has been unpaused."}
        self._shelf.set_status(template, "APPROVED", other_info=told)
        return JSONResponse({"success": True})


def _refused(subcode: int, title: str, text: str) -> GraphRefusal:
    return GraphRefusal(100, message="Invalid parameter", subcode=subcode, told=(title, text))


def _called(body: Json) -> tuple[str, str]:
    name, language = body.get("name"), body.get("language")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9_]{1,512}", name):
        raise unacceptable("Param name must be small letters, digits and underscores.")
    if not isinstance(language, str) or not re.fullmatch(r"[a-z]{2,3}(_[A-Za-z]{2,4})?", language):
        raise unacceptable("Param language must be one of the supported languages.")
    return name, language


def _category(body: Json) -> str:
    category = str(body.get("category", "")).upper()
    if category not in _CATEGORIES:
        raise unacceptable(f"Param category must be one of {{{', '.join(_CATEGORIES)}}}")
    return category


def _check_components(category: str, components: Any) -> None:
    if not isinstance(components, list) or not all(isinstance(one, dict) for one in components):
        raise unacceptable("Param components must be an array of objects.")
    parts = {str(one.get("type", "")).upper(): one for one in components}
    if "BODY" not in parts:
        raise _refused(2388072, "Message body is missing", "A template needs a body.")
    if category == "AUTHENTICATION":
        return
    longest = {"HEADER": 60, "BODY": 1024, "FOOTER": 60}
    for kind, most in longest.items():
        text = parts.get(kind, {}).get("text")
        if isinstance(text, str) and len(text) > most:
            raise _refused(2388040, "Character limit exceeded", f"{kind} has over {most}.")
    body = parts["BODY"].get("text")
    if not isinstance(body, str) or not body.strip():
        raise _refused(2388072, "Message body is missing", "A template needs a body.")
    variables = _BRACES.findall(body)
    stripped = body.strip()
    if variables and (stripped.startswith("{{") or stripped.endswith("}}")):
        raise _refused(2388299, "Variables at the edge", "No variable may begin or end the text.")
    if variables and len(_BRACES.sub(" ", body).split()) < 2 * len(set(variables)):
        raise _refused(2388293, "Too many variables", "The text is too short for its variables.")
    if variables and not parts["BODY"].get("example"):
        raise _refused(2388043, "Examples are missing", "Every variable needs an example.")
    buttons = parts.get("BUTTONS", {}).get("buttons") or []
    if len(buttons) > 10 or any(len(str(one.get("text", ""))) > 25 for one in buttons):
        raise _refused(2388040, "Buttons beyond their limits", "10 buttons of 25 characters.")


def _fits(template: Template, asked: Any) -> bool:
    texts = {"name": template.name, "language": template.language}
    words = {
        "status": template.status,
        "category": template.category,
        "quality_score": template.quality,
    }
    return all(asked.get(key, value) == value for key, value in texts.items()) and all(
        asked.get(key, value).upper() == value for key, value in words.items()
    )


def _summary(asked: str, counted: Json) -> Json:
    known = {**counted, "message_template_limit": MOST, "are_translations_complete": True}
    for name in asked.split(","):
        if name not in known:
            raise unacceptable(f"Summary field {name} does not exist.")
    return {name: known[name] for name in asked.split(",")}


def _cursor(template: Template) -> str:
    return base64.urlsafe_b64encode(template.id.encode()).decode().rstrip("=")


def _start(found: list[Template], after: str | None) -> int:
    if not after:
        return 0
    for index, template in enumerate(found):
        if _cursor(template) == after:
            return index + 1
    raise unacceptable("Invalid cursors values")


def _select(request: Request, template: Template) -> Json:
    """The fields the call asked for; without the question, Meta's usual few."""
    node = template.node()
    asked = request.query_params.get("fields")
    names = ["id", *asked.split(",")] if asked else list(_USUAL)
    for name in names:
        if name not in FIELDS:
            raise GraphRefusal(
                100, message=f"(#100) Tried accessing nonexisting field ({name}) on node type"
            )
    return {name: node[name] for name in dict.fromkeys(names) if name in node}


async def _document(request: Request) -> Json:
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise unacceptable("The request body is not a JSON object.")
    return body
