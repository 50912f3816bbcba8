"""Address requests on the phone: the form's fields, and what its answer looks like.

Cloud API, Address messages: India alone.
"""

from __future__ import annotations

import json
from typing import Any

from local.simulator.phone import Message

Json = dict[str, Any]

#: Meta's names of the form's fields; page/address.js has their labels.
FIELDS = (
    "name",
    "phone_number",
    "in_pin_code",
    "house_number",
    "floor_number",
    "tower_number",
    "building_name",
    "address",
    "landmark_area",
    "city",
    "state",
)


def asks_address(message: Message) -> bool:
    """Whether a message of the business asks for an address."""
    asks = message.author == "business" and message.type == "interactive"
    return asks and message.content.get("type") == "address_message"


def answered(request: Message, values: Json, saved_address_id: str | None) -> Json:
    """Meta's object for the form: the fields as JSON in a string, and as a text to read.

    Raises ValueError for a field that the form does not have and a saved address that the request
    does not offer.
    """
    for name, value in values.items():
        if name not in FIELDS or not isinstance(value, str):
            raise ValueError(f"an address has no {name!r}, or not as a text")
    answer: Json = {}
    if saved_address_id is not None:
        saved = request.content["action"]["parameters"].get("saved_addresses") or []
        if saved_address_id not in [one.get("id") for one in saved]:
            raise ValueError(f"the request offers no saved address {saved_address_id!r}")
        answer["saved_address_id"] = saved_address_id
    answer["values"] = values
    where = ", ".join(values[name] for name in FIELDS[1:] if values.get(name))
    body = "\n".join(part for part in (values.get("name"), where) if part)
    reply = {"name": "address_message", "body": body, "response_json": json.dumps(answer)}
    return {"type": "nfm_reply", "nfm_reply": reply}
