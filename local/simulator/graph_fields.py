"""The fields of numbers and accounts that a call asks for.

Graph refuses a name that no such node has, and leaves out a field that is there without a value.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from local.simulator.graph_errors import GraphRefusal

Json = dict[str, Any]

#: Shown only to who asks for them.
_ONLY_WHEN_ASKED = {
    "status",
    "name_status",
    "messaging_limit_tier",
    "whatsapp_business_manager_messaging_limit",
    "account_mode",
    "health_status",
    "webhook_configuration",
}
_OF_NUMBERS = set(
    "certificate conversational_automation country_code country_dial_code"
    " eligibility_for_api_business_global_search is_official_business_account is_pin_enabled"
    " is_preverified_number last_onboarded_time new_certificate new_name_status quality_score"
    " search_visibility".split()
)
_OF_ACCOUNTS = set(
    "account_review_status business_verification_status country"
    " disable_marketing_messages_on_cloud_api health_status is_enabled_for_insights"
    " marketing_messages_lite_api_status marketing_messages_onboarding_status"
    " message_template_namespace on_behalf_of_business_info owner_business_info ownership_type"
    " status subscribed_apps".split()
)
#: The first version whose numbers name their limit like that.
_NEW_LIMIT_SINCE = 24.0


def select_of_number(request: Request, node: Json) -> Json:
    """A number's fields, by what its version of Graph knows."""
    if float(request.path_params["version"].removeprefix("v")) >= _NEW_LIMIT_SINCE:
        tier = node["messaging_limit_tier"]
        node = {**node, "whatsapp_business_manager_messaging_limit": tier}
    return _select(request, node, _OF_NUMBERS)


def select_of_account(request: Request, node: Json) -> Json:
    """A business account's fields."""
    return _select(request, node, _OF_ACCOUNTS)


def _select(request: Request, node: Json, without_value: set[str]) -> Json:
    asked = request.query_params.get("fields")
    if asked is None:
        return {key: value for key, value in node.items() if key not in _ONLY_WHEN_ASKED}
    names = ["id", *[name for name in asked.split(",") if name and name != "id"]]
    for name in names:
        if name not in node and name not in without_value:
            raise GraphRefusal(
                100, message=f"(#100) Tried accessing nonexisting field ({name}) on node type"
            )
    return {name: node[name] for name in names if name in node}
