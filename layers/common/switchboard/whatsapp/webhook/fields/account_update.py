"""What happens to a business account: bans, restrictions, partners, prices (field account_update).

Each event of Meta's has one object of its own; what it tells becomes aspects of the account. A
restriction that says until when ends by itself, and any ends with a later REINSTATE.
Events without a state of ours, and those of tomorrow, are kept as events of the account.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from switchboard.whatsapp.storable import is_id
from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._told import optional_object, optional_word, told, word
from switchboard.whatsapp.webhook.items import Item
from switchboard.whatsapp.webhook.payloads._read import Object, Odd
from switchboard.whatsapp.webhook.values import seconds

NAME = "account_update"

#: Events that undo each other share an aspect.
_FAMILIES = {
    "PARTNER_ADDED": "partner",
    "PARTNER_REMOVED": "partner",
    "PARTNER_APP_INSTALLED": "partner_app",
    "PARTNER_APP_UNINSTALLED": "partner_app",
    "PARTNER_CLIENT_CERTIFICATION_STATUS_UPDATE": "partner_certification",
    "MM_LITE_TERMS_SIGNED": "mm_lite_terms",
    "AD_ACCOUNT_LINKED": "ad_account",
    "ACCOUNT_OFFBOARDED": "phone_app",
    "ACCOUNT_RECONNECTED": "phone_app",
    "VERIFIED_ACCOUNT": "verified",
}
#: Objects that tell what an event of a family is about.
_ABOUT = ("waba_info", "partner_client_certification_info", "disconnection_info")


def _read(change: Change) -> Iterable[Item]:
    value = change.value
    event = word(value, "event")
    info = optional_object(value, "waba_info") or {}
    waba_id = info.get("waba_id")
    if is_id(waba_id):
        # Partners' events come under the portfolio of the partner, or under no id at all.
        change = change._replace(waba_id=waba_id)
    states, at = _states(event, value)
    return [told(change, "business_account", NAME, event, states, at=at)]


def _states(event: str, value: Object) -> tuple[dict[str, Any], int | None]:
    """Return the aspects that `event` tells, and its own time where it has one."""
    states: dict[str, Any] = {}
    at = None
    violation = optional_object(value, "violation_info")
    if violation is not None:
        states["violation"] = violation
    match event:
        case "ACCOUNT_DELETED":
            states["deleted"] = True
        case "DISABLED_UPDATE":
            ban = _info(value, "ban_info")
            state = word(ban, "waba_ban_state")
            states["ban"] = {"state": state, "date": optional_word(ban, "waba_ban_date")}
            if state == "REINSTATE":
                # An aspect of its own: a ban that follows must not bring lifted restrictions back.
                states["reinstated"] = True
        case "ACCOUNT_RESTRICTION":
            for name, expiration in _restrictions(value.get("restriction_info")):
                states[f"restriction:{name}"] = {"expiration": expiration}
        case "BUSINESS_PRIMARY_LOCATION_COUNTRY_UPDATE":
            states["primary_country"] = word(value, "country")
        case "VOLUME_BASED_PRICING_TIER_UPDATE":
            tier = _info(value, "volume_tier_info")
            at = seconds(tier.get("tier_update_time"))
            states[f"volume_tier:{tier.get('pricing_category')}:{tier.get('region')}"] = tier
        case "AUTH_INTL_PRICE_ELIGIBILITY_UPDATE":
            states["auth_international_rate"] = _info(value, "auth_international_rate_eligibility")
        case _ if event in _FAMILIES:
            about = {key: _without_waba(value[key]) for key in _ABOUT if key in value}
            states[_family(event, value)] = {"event": event, **about}
        case _:
            pass
    return states, at


def _without_waba(info: Any) -> Any:
    """Return `info` without the account's own id, which the state's row has already."""
    if type(info) is not dict:
        return info
    return {key: part for key, part in info.items() if key != "waba_id"}


def _family(event: str, value: Object) -> str:
    """Return the aspect of a family's event: one per partner app and per client's certification."""
    family = _FAMILIES[event]
    for info, key in (
        ("waba_info", "partner_app_id"),
        ("partner_client_certification_info", "client_business_id"),
    ):
        about = value.get(info)
        named = about.get(key) if type(about) is dict else None
        if family.startswith("partner_") and is_id(named):
            return f"{family}:{named}"
    return family


def _info(value: Object, key: str) -> Object:
    info = optional_object(value, key)
    if info is None:
        raise Odd(f"{key} is missing")
    return info


def _restrictions(said: Any) -> list[tuple[str, int | None]]:
    """Return each restriction with the Unix second it ends at, None where none is told."""
    if type(said) is not list or not said:
        raise Odd("restriction_info is missing, empty or not a list")
    found: list[tuple[str, int | None]] = []
    for restriction in said:
        if type(restriction) is not dict:
            raise Odd("a restriction is not an object")
        found.append(
            (word(restriction, "restriction_type"), seconds(restriction.get("expiration")))
        )
    # Told twice in one value: the longer one.
    return sorted(found, key=lambda pair: (pair[0], pair[1] is None, pair[1] or 0))


KIND = Field(name=NAME, read=_read, events=("business_account",))
