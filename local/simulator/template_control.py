"""The page's and the tests' hand on templates, under /simulator.

GET    /simulator/templates        all of them, by account
POST   /simulator/templates        {"waba_id", "name", "language", "category", "components",
                                   "parameter_format"?}: an approved one that was there before
                                   anybody listened; what is there already stays as it is
POST   /simulator/templates/{id}   {"status"?, "reason"?, "quality"?, "category"?,
                                   "paused_by"?}: Meta decides, and its webhook goes out
DELETE /simulator/templates        forget all, silently
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.simulator.exchange import Exchange
from local.simulator.templates import QUALITIES, STATUSES, Template

Json = dict[str, Any]
_PAUSED = {
    "title": "FIRST_PAUSE",
    "description": "Paused for 3 hours because people reported it or did not read it.",
}


class Given(BaseModel):
    """A template that is simply there."""

    model_config = ConfigDict(extra="forbid")

    waba_id: str
    name: str
    language: str
    category: str
    components: list[Json]
    parameter_format: str = "POSITIONAL"


class Decision(BaseModel):
    """What Meta decides about a template."""

    model_config = ConfigDict(extra="forbid")

    status: str | None = None
    reason: str | None = None
    quality: str | None = None
    category: Literal["AUTHENTICATION", "MARKETING", "UTILITY"] | None = None
    paused_by: Literal["pacing", "quality"] = "quality"


class TemplateControl:
    """Routes of templates; `read` gives a request's JSON object."""

    def __init__(self, exchange: Exchange, read: Callable[[Request], Awaitable[Json]]) -> None:
        self._exchange = exchange
        self._shelf = exchange.templates
        self._read = read

    def paths(self) -> list[tuple[str, str, Callable[[Request], Awaitable[Response]]]]:
        """Method, path, call."""
        return [
            ("GET", "/templates", self._all),
            ("POST", "/templates", self._give),
            ("DELETE", "/templates", self._forget),
            ("POST", "/templates/{template_id}", self._decide),
        ]

    async def _all(self, _: Request) -> Response:
        return JSONResponse({"templates": [asdict(template) for template in self._shelf]})

    async def _give(self, request: Request) -> Response:
        given = Given.model_validate(await self._read(request))
        if given.waba_id not in {number.waba_id for number in self._exchange.config.numbers}:
            return _refused(422, f"waba_id {given.waba_id!r} is no hosted account")
        known = self._shelf.find(given.waba_id, given.name, given.language)
        if known is None:
            known = Template(
                id=self._shelf.new_id(), status="APPROVED", was_approved=True, **dict(given)
            )
            self._shelf.put(known)
        return JSONResponse(asdict(known), status_code=201)

    async def _decide(self, request: Request) -> Response:
        template = self._shelf.get(request.path_params["template_id"])
        if template is None:
            return _refused(404, "no such template")
        decision = TypeAdapter(Decision).validate_python(await self._read(request))
        if decision.status not in (None, *STATUSES) or decision.quality not in (None, *QUALITIES):
            words = ", ".join((*STATUSES, *QUALITIES))
            return _refused(422, f"status and quality are one of {words}")
        if decision.category is not None:
            self._shelf.set_category(template, decision.category)
        if decision.quality is not None:
            self._shelf.set_quality(template, decision.quality)
        if decision.status == "DELETED":
            self._shelf.delete(template)
        elif decision.status is not None:
            template.paused_by = decision.paused_by
            paused = {"other_info": _PAUSED} if decision.status == "PAUSED" else {}
            self._shelf.set_status(template, decision.status, reason=decision.reason, **paused)
        return JSONResponse(asdict(template))

    async def _forget(self, _: Request) -> Response:
        self._shelf.clear()
        return Response(status_code=204)


def _refused(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status_code=status)
