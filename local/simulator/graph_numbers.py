"""Graph's calls about a number: its fields, its business profile, its callback override.

An override is kept and shown; webhooks go on to the one address that the simulator was given, and
nobody shakes hands with another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.simulator.config import BusinessNumber
from local.simulator.exchange import Exchange
from local.simulator.graph_errors import GraphRefusal, unknown_object
from local.simulator.graph_shapes import invalid, only_keys, text_of, unacceptable
from local.simulator.graph_uploads import GraphUploads

Json = dict[str, Any]
Call = Callable[[Request, Json], Awaitable[Response]]

VERTICALS = (
    "ALCOHOL APPAREL AUTO BEAUTY EDU ENTERTAIN EVENT_PLAN FINANCE GOVT GROCERY HEALTH HOTEL"
    " NONPROFIT ONLINE_GAMBLING OTC_DRUGS OTHER PHYSICAL_GAMBLING PROF_SERVICES RESTAURANT RETAIL"
    " TRAVEL"
).split()
_TEXTS = {"about": 139, "address": 256, "description": 512, "email": 128}
_PROFILE = (*_TEXTS, "profile_picture_url", "websites", "vertical")
_HANDLE = "profile_picture_handle"
_WEBSITES, _LONGEST_WEBSITE, _LONGEST_OVERRIDE = 2, 256, 200


class GraphNumbers:
    """The calls about numbers. `bearer` tells the accounts that a request's token may use."""

    def __init__(
        self, exchange: Exchange, bearer: Callable[[Request], set[str]], uploads: GraphUploads
    ) -> None:
        self._exchange = exchange
        self._bearer = bearer
        self._uploads = uploads

    def paths(self) -> list[tuple[str, str, Call]]:
        """Method, path behind the node, call."""
        profile = "/whatsapp_business_profile"
        return [("GET", profile, self._read_profile), ("POST", profile, self._write_profile)]

    def knows(self, request: Request) -> bool:
        """Whether the node is a number."""
        return self._exchange.config.number(request.path_params["node"]) is not None

    def describe(self, number: BusinessNumber) -> Json:
        """A number's node with all fields; those of later versions are not among them."""
        standing = self._exchange.numbers.of(number)
        can_send = "AVAILABLE" if standing.status == "CONNECTED" else "BLOCKED"
        about = {"entity_type": "PHONE_NUMBER", "id": number.phone_number_id}
        override = {"phone_number": standing.override} if standing.override else {}
        return {
            "id": number.phone_number_id,
            "display_phone_number": f"+{number.display_phone_number}",
            "verified_name": number.verified_name,
            "quality_rating": standing.quality,
            "code_verification_status": "VERIFIED",
            "platform_type": "CLOUD_API",
            "is_on_biz_app": standing.is_on_biz_app,
            "throughput": {"level": standing.throughput},
            "status": standing.status,
            "name_status": "APPROVED",
            "messaging_limit_tier": standing.tier,
            "account_mode": "LIVE",
            "health_status": {
                "can_send_message": can_send,
                "entities": [{**about, "can_send_message": can_send}],
            },
            "webhook_configuration": {
                **override,
                "application": self._exchange.config.webhook_url,
            },
        }

    async def write(self, request: Request, entry: Json) -> Response:
        """POST to the number itself: of its settings only the callback override is played."""
        number = self._number(request)
        body = await _object(request)
        given = body.get("webhook_configuration")
        if not isinstance(given, dict) or len(body) > 1:
            raise unacceptable("The parameter webhook_configuration is required.")
        only_keys(given, {"override_callback_uri", "verify_token"}, "webhook_configuration")
        address = given.get("override_callback_uri")
        entry["body"] = {"webhook_configuration": {"override_callback_uri": address}}
        if not isinstance(address, str) or len(address) > _LONGEST_OVERRIDE:
            raise invalid("override_callback_uri must be an address of at most 200 characters.")
        if address and (not address.startswith("https://") or not given.get("verify_token")):
            raise GraphRefusal(
                2200, message="(#2200) Callback verification failed: https and a token are needed"
            )
        self._exchange.numbers.of(number).override = address
        self._exchange.numbers.save(number)
        return JSONResponse({"success": True})

    async def _read_profile(self, request: Request, _: Json) -> Response:
        profile = self._exchange.numbers.of(self._number(request)).profile
        asked = request.query_params.get("fields")
        names = _PROFILE if asked is None else tuple(asked.split(","))
        for name in names:
            if name not in (*_PROFILE, "messaging_product"):
                raise GraphRefusal(
                    100, message=f"(#100) Tried accessing nonexisting field ({name}) on node type"
                )
        shown = {name: profile[name] for name in names if profile.get(name)}
        return JSONResponse({"data": [{**shown, "messaging_product": "whatsapp"}]})

    async def _write_profile(self, request: Request, entry: Json) -> Response:
        number = self._number(request)
        body = entry["body"] = await _object(request)
        if body.get("messaging_product") != "whatsapp":
            raise unacceptable("The parameter messaging_product is required.")
        given = {key: value for key, value in body.items() if key != "messaging_product"}
        only_keys(given, {*_TEXTS, "websites", "vertical", _HANDLE}, "the request")
        for name, most in _TEXTS.items():
            if name in given and given[name] != "":
                text_of(given, name, most)
        if given.get("about") == "":
            raise invalid("about must not be empty.")
        if given.get("email") and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", given["email"]):
            raise invalid("email is not a valid address.")
        if given.get("vertical", "OTHER") not in VERTICALS:
            raise unacceptable(f"Param vertical must be one of {{{', '.join(VERTICALS)}}}")
        _check_websites(given.get("websites", []))
        if _HANDLE in given:
            given["profile_picture_url"] = self._picture(given.pop(_HANDLE))
        self._exchange.numbers.of(number).profile.update(given)
        self._exchange.numbers.save(number)
        return JSONResponse({"success": True})

    def _picture(self, handle: Any) -> str:
        """Where an uploaded picture is shown: an address of Meta's shape, where nothing lies."""
        if not isinstance(handle, str) or not self._uploads.is_picture(handle):
            raise invalid("profile_picture_handle is not the handle of an uploaded picture.")
        return f"https://pps.whatsapp.net/v/{handle.rpartition(':')[2]}"

    def _number(self, request: Request) -> BusinessNumber:
        allowed = self._bearer(request)
        number = self._exchange.config.number(request.path_params["node"])
        if number is None or number.waba_id not in allowed:
            raise unknown_object(request.method.lower(), request.path_params["node"])
        return number


def _check_websites(sites: Any) -> None:
    if not isinstance(sites, list) or len(sites) > _WEBSITES:
        raise invalid("websites must hold at most 2 addresses.")
    for site in sites:
        if not isinstance(site, str) or not re.match(r"https?://\S", site):
            raise invalid("websites must be http or https addresses.")
        if len(site) > _LONGEST_WEBSITE:
            raise invalid("websites must have at most 256 characters each.")


async def _object(request: Request) -> Json:
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise unacceptable("The request body is not a JSON object.")
    return body
