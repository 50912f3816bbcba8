"""What a tenant's automations did in a stretch of time, asked of the backend's API.

A run is as GET /v1/rules/{id}/runs shows it, with `rule` and `action` by name, `who` it is for,
what it is `about` (a trip's or booking's title) and, where it made a message, `message`: its
{"id", "status", "said"} and, if it is on a phone here, the `contact`, `phone_number_id` and
`preview` of that bubble.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from local.simulator.backend_api import BackendApi
from local.simulator.phone import Phone, preview

Json = dict[str, Any]

#: The newest runs that are shown of a tenant, and the rules that are asked.
_RUNS, _RULES = 100, 100
#: A message in these states never leaves any more.
_ENDED = frozenset({"failed", "denied", "expired", "cancelled"})
#: The subject of a rule's runs, by its trigger.
_KINDS = {
    "trip_start": "trips",
    "trip_end": "trips",
    "budget_exceeded": "trips",
    "booking_pending": "bookings",
}


async def runs_of(
    api: BackendApi, phone: Phone, tenant: str, since: datetime, until: datetime
) -> Json:
    """Return {"runs", "more", "rules"}: the newest runs, whether there are more, how many rules.

    Raises Unanswered.
    """
    rules = (await api.get(tenant, "rules", limit=_RULES))["data"]
    of_rules = await asyncio.gather(*[_of_rule(api, tenant, rule, since, until) for rule in rules])
    found = [run for runs in of_rules for run in runs]
    found.sort(key=lambda run: (run["started_at"], run["id"]), reverse=True)
    shown = await asyncio.gather(*[_shown(api, phone, tenant, run) for run in found[:_RUNS]])
    return {"runs": shown, "more": len(found) > _RUNS, "rules": len(rules)}


async def _of_rule(
    api: BackendApi, tenant: str, rule: Json, since: datetime, until: datetime
) -> list[Json]:
    """Return a rule's runs of that time, the newest first; at most one more than are shown."""
    found: list[Json] = []
    query: dict[str, str | int] = {"limit": _RUNS}
    while len(found) <= _RUNS:
        page = await api.get(tenant, f"rules/{rule['id']}/runs", **query)
        for run in page["data"]:
            at = datetime.fromisoformat(run["started_at"])
            if since <= at < until:
                named = {"rule": rule["name"], "trigger": rule["trigger_type"]}
                found.append({**run, **named, "action": rule["action_type"]})
        ends = page["next_cursor"] is None
        if ends or datetime.fromisoformat(page["data"][-1]["started_at"]) < since:
            break
        query["cursor"] = page["next_cursor"]
    return found


async def _shown(api: BackendApi, phone: Phone, tenant: str, run: Json) -> Json:
    who, about, message = await asyncio.gather(
        _who(api, tenant, run), _about(api, tenant, run), _message(api, phone, tenant, run)
    )
    return {**run, "who": who, "about": about, "message": message}


async def _who(api: BackendApi, tenant: str, run: Json) -> str | None:
    if run["contact_id"] is None:
        return None
    contact = await api.find(tenant, f"contacts/{run['contact_id']}") or {}
    names = ("name", "profile_name", "phone_book_name", "username", "phone_number")
    return next((contact[name] for name in names if contact.get(name)), None)


async def _about(api: BackendApi, tenant: str, run: Json) -> str | None:
    """Return the title of the trip or booking, found among the person's own by the backend's id."""
    facts = _KINDS.get(run["trigger"])
    if facts is None or run["contact_id"] is None:
        return None
    path = f"{facts}?contact_id={run['contact_id']}&limit=200"
    # One that was written since is looked for again.
    own = await api.find(tenant, path, settled=lambda page: _in(page, run) is not None) or {}
    fact = _in(own, run) or {}
    return fact.get("title") or fact.get("destination") or fact.get("external_id")


def _in(page: Json, run: Json) -> Json | None:
    return next((fact for fact in page.get("data", []) if fact["id"] == run["subject_id"]), None)


async def _message(api: BackendApi, phone: Phone, tenant: str, run: Json) -> Json | None:
    # Of one that was denied the run itself says why.
    if run["message_id"] is None or run["status"] != "done":
        return None
    found = await api.find(tenant, f"messages/{run['message_id']}", settled=_has_left)
    if found is None:
        return {"id": run["message_id"], "status": "forgotten", "said": None}
    message = {"id": run["message_id"], "status": found["status"], "said": _why(found)}
    bubble = phone.get(found["wa_message_id"]) if found["wa_message_id"] else None
    if bubble is None:
        return message
    return {
        **message,
        "status": bubble.state,
        "wamid": bubble.id,
        "contact": bubble.person_id,
        "phone_number_id": bubble.phone_number_id,
        "preview": preview(bubble),
    }


def _has_left(message: Json) -> bool:
    # Once Meta has it, the phone knows better than anybody what becomes of it.
    return message["wa_message_id"] is not None or message["status"] in _ENDED


def _why(message: Json) -> str | None:
    """Return why it has not left, where it has not."""
    if message["status"] == "pending":
        told = (message["decision"] or {}).get("reason")
    else:
        told = message["error_message"] or message["error_code"]
    return None if told is None else str(told)
