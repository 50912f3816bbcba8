"""A number at Meta: what it tells of itself, its business profile, its callback override.

Also the override of a business account, which is a member of its app's subscription. Cloud API,
business phone numbers, business profiles, webhook overrides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from switchboard.whatsapp.client import (
    Answer,
    GraphClient,
    NotSent,
    Rejected,
    Throttled,
    Unconfirmed,
)
from switchboard.whatsapp.storable import is_id, unfit

#: Meta gave no answer to work with; each says whether and when asking again makes sense.
NoAnswer = Rejected | Throttled | NotSent | Unconfirmed

#: What is asked of a number. Versions differ: what Meta says it does not know is asked no more.
FIELDS = (
    "display_phone_number",
    "verified_name",
    "quality_rating",
    "status",
    "name_status",
    "code_verification_status",
    "platform_type",
    "is_on_biz_app",
    "throughput",
    "messaging_limit_tier",
    "whatsapp_business_manager_messaging_limit",
    "account_mode",
    "health_status",
    "webhook_configuration",
)
#: What a business profile shows.
PROFILE = (
    "about",
    "address",
    "description",
    "email",
    "profile_picture_url",
    "websites",
    "vertical",
)

_NO_SUCH_FIELD = re.compile(r"nonexisting field \(([a-z_]+)\)")
_INVALID = 100
#: The decision on a name in the words of the field phone_number_name_update.
_DECISIONS = {"DECLINED": "REJECTED", "PENDING_REVIEW": "PENDING"}


@dataclass(frozen=True, slots=True)
class Overrides:
    """Where webhooks of messages go: the number's own address, else the account's, else the app's.

    None where there is none, or Meta does not show it.
    """

    number: str | None
    account: str | None
    app: str | None


@dataclass(frozen=True, slots=True)
class Subscribed:
    """An app that gets a business account's webhooks, and the address it has set for them."""

    app_id: str
    name: str | None
    url: str | None


def fetch_states(
    client: GraphClient, phone_number_id: str, token: str
) -> dict[str, Any] | NoAnswer:
    """Return what Meta tells of a number, by the aspects and in the words of its webhooks.

    {"quality", "throughput", "messaging_limit", "verified_name", "name", "status", "coexistence",
    "webhook", "health", "account_mode", "code_verification"}; what Meta left out is not in it.
    GET /{phone_number_id}?fields=…
    """
    fields = list(FIELDS)
    while True:
        answer = client.call(
            "GET", quote(phone_number_id, safe=""), token, params={"fields": ",".join(fields)}
        )
        unknown = _unknown_field(answer)
        if unknown not in fields or len(fields) == 1:
            break
        fields.remove(unknown)
    if not isinstance(answer, Answer):
        return answer
    node = answer.document
    if node is None or node.get("id") != phone_number_id or unfit(node) is not None:
        return Unconfirmed("the answer is no number", http_status=answer.status)
    return _states(node)


def read_profile(
    client: GraphClient, phone_number_id: str, token: str
) -> dict[str, Any] | NoAnswer:
    """Return the business profile, members as Meta names them; what is not set is not in it.

    GET /{phone_number_id}/whatsapp_business_profile
    """
    path = f"{quote(phone_number_id, safe='')}/whatsapp_business_profile"
    answer = client.call("GET", path, token, params={"fields": ",".join(PROFILE)})
    if not isinstance(answer, Answer):
        return answer
    data = (answer.document or {}).get("data")
    found = data[0] if isinstance(data, list) and data else None
    # The reference nests it once more than Meta does.
    inner = found.get("business_profile", found) if isinstance(found, dict) else None
    if not isinstance(inner, dict):
        return Unconfirmed("the answer is no profile", http_status=answer.status)
    return {name: inner[name] for name in PROFILE if inner.get(name) is not None}


def write_profile(
    client: GraphClient, phone_number_id: str, token: str, members: Mapping[str, Any]
) -> NoAnswer | None:
    """Change members of the business profile; None when it is done.

    POST /{phone_number_id}/whatsapp_business_profile
    """
    path = f"{quote(phone_number_id, safe='')}/whatsapp_business_profile"
    return _done(
        client.call("POST", path, token, body={"messaging_product": "whatsapp", **members})
    )


def read_overrides(client: GraphClient, phone_number_id: str, token: str) -> Overrides | NoAnswer:
    """Return where a number's webhooks go. GET /{phone_number_id}?fields=webhook_configuration."""
    answer = client.call(
        "GET",
        quote(phone_number_id, safe=""),
        token,
        params={"fields": "webhook_configuration"},
    )
    if not isinstance(answer, Answer):
        return answer
    told = (answer.document or {}).get("webhook_configuration")
    told = told if isinstance(told, dict) else {}
    return Overrides(
        _number_override(told),
        _address(told.get("whatsapp_business_account")),
        _address(told.get("application")),
    )


def write_override(
    client: GraphClient, phone_number_id: str, token: str, url: str, verify_token: str
) -> NoAnswer | None:
    """Let a number's webhooks of messages go elsewhere, after Meta's handshake with that address.

    POST /{phone_number_id}
    """
    configuration = {"override_callback_uri": url, "verify_token": verify_token}
    return _configure(client, phone_number_id, token, configuration)


def remove_override(client: GraphClient, phone_number_id: str, token: str) -> NoAnswer | None:
    """Let a number's webhooks go where the account's go: an empty address removes its own."""
    return _configure(client, phone_number_id, token, {"override_callback_uri": ""})


def read_subscriptions(
    client: GraphClient, waba_id: str, token: str
) -> list[Subscribed] | NoAnswer:
    """Return the apps that get a business account's webhooks. GET /{waba_id}/subscribed_apps."""
    answer = client.call("GET", f"{quote(waba_id, safe='')}/subscribed_apps", token)
    if not isinstance(answer, Answer):
        return answer
    data = (answer.document or {}).get("data")
    found: list[Subscribed] = []
    for entry in data if isinstance(data, list) else []:
        app = entry.get("whatsapp_business_api_data") if isinstance(entry, dict) else None
        if isinstance(app, dict) and is_id(app.get("id")):
            name = app.get("name")
            found.append(
                Subscribed(
                    app["id"],
                    name if isinstance(name, str) and unfit(name) is None else None,
                    _address(entry.get("override_callback_uri")),
                )
            )
    return found


def subscribe(
    client: GraphClient,
    waba_id: str,
    token: str,
    *,
    override: tuple[str, str] | None = None,
) -> NoAnswer | None:
    """Subscribe the token's app to a business account; `override` is (address, verify token).

    Without one the account's webhooks go to the app's own address. POST /{waba_id}/subscribed_apps
    """
    path = f"{quote(waba_id, safe='')}/subscribed_apps"
    if override is None:
        return _done(client.call("POST", path, token))
    url, verify_token = override
    body = {"override_callback_uri": url, "verify_token": verify_token}
    return _done(client.call("POST", path, token, body=body))


def _configure(
    client: GraphClient, phone_number_id: str, token: str, configuration: Mapping[str, str]
) -> NoAnswer | None:
    body = {"webhook_configuration": configuration}
    return _done(client.call("POST", quote(phone_number_id, safe=""), token, body=body))


def _done(answer: Answer | NoAnswer) -> NoAnswer | None:
    if not isinstance(answer, Answer):
        return answer
    if (answer.document or {}).get("success") is True:
        return None
    return Unconfirmed("the answer does not say so", http_status=answer.status)


def _unknown_field(answer: Answer | NoAnswer) -> str | None:
    """Return the field that Meta says this version does not have."""
    if not isinstance(answer, Rejected) or answer.code != _INVALID:
        return None
    named = _NO_SUCH_FIELD.search(f"{answer.title} {answer.details or ''}")
    return named[1] if named else None


def _states(node: Mapping[str, Any]) -> dict[str, Any]:
    quality = _word(node.get("quality_rating"))
    throughput = node.get("throughput")
    decision = _word(node.get("name_status"))
    on_phone_app = node.get("is_on_biz_app")
    told: dict[str, Any] = {
        "quality": "UNKNOWN" if quality == "NA" else quality,
        "throughput": _word(throughput.get("level")) if isinstance(throughput, dict) else None,
        "messaging_limit": _word(node.get("whatsapp_business_manager_messaging_limit"))
        or _word(node.get("messaging_limit_tier")),
        "verified_name": _word(node.get("verified_name")),
        "status": _word(node.get("status")),
        "account_mode": _word(node.get("account_mode")),
        "code_verification": _word(node.get("code_verification_status")),
    }
    if decision is not None and decision != "NONE":
        told["name"] = {
            "decision": _DECISIONS.get(decision, decision),
            "name": None,
            "reason": None,
        }
    if isinstance(on_phone_app, bool):
        # Served by the Cloud API and by an app on a phone at once.
        told["coexistence"] = on_phone_app and node.get("platform_type") == "CLOUD_API"
    if isinstance(node.get("health_status"), dict):
        told["health"] = node["health_status"]
    told = {aspect: value for aspect, value in told.items() if value is not None}
    if isinstance(node.get("webhook_configuration"), dict):
        # None is told, too: there is no override.
        told["webhook"] = _number_override(node["webhook_configuration"])
    return told


def _number_override(configuration: Mapping[str, Any]) -> str | None:
    # Shown as phone_number, written as override_callback_uri.
    return _address(configuration.get("phone_number")) or _address(
        configuration.get("override_callback_uri")
    )


def _address(value: object) -> str | None:
    """Return an address that the column can hold."""
    return value if is_id(value) and unfit(value) is None and len(value) <= 500 else None


def _word(value: object) -> str | None:
    return value if is_id(value) and unfit(value) is None else None
