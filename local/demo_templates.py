"""The demo's message templates: there at the simulated Meta, and brought from it by a sync."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable
from typing import Any

from local.demo import Seeded

Json = dict[str, Any]

#: One of each category, as Meta lists them once they are approved.
TEMPLATES: tuple[Json, ...] = (
    {
        "name": "table_confirmed",
        "language": "en_US",
        "category": "UTILITY",
        "components": [
            {
                "type": "BODY",
                "text": "Hi {{1}}, your table for {{2}} is confirmed. See you soon!",
                "example": {"body_text": [["Ana", "Friday, 20:00"]]},
            },
            {"type": "FOOTER", "text": "Reply to this message to change it"},
        ],
    },
    {
        "name": "spring_menu",
        "language": "en_US",
        "category": "MARKETING",
        "components": [
            {
                "type": "HEADER",
                "format": "IMAGE",
                "example": {"header_handle": ["https://example.com/menu.jpg"]},
            },
            {
                "type": "BODY",
                "text": "Hi {{1}}, our spring menu is here: asparagus, peas and mint.",
                "example": {"body_text": [["Ana"]]},
            },
            {"type": "FOOTER", "text": "Not interested? Tap Stop"},
            {
                "type": "BUTTONS",
                "buttons": [
                    {"type": "QUICK_REPLY", "text": "Book a table"},
                    {"type": "QUICK_REPLY", "text": "Stop"},
                    {
                        "type": "URL",
                        "text": "See the menu",
                        "url": "https://example.com/menu/{{1}}",
                        "example": ["https://example.com/menu/spring"],
                    },
                ],
            },
        ],
    },
    {
        "name": "login_code",
        "language": "en_US",
        "category": "AUTHENTICATION",
        "components": [
            {
                "type": "BODY",
                "text": "*{{1}}* is your verification code. For your security, do not share this"
                " code.",
                "add_security_recommendation": True,
                "example": {"body_text": [["123456"]]},
            },
            {
                "type": "FOOTER",
                "text": "This code expires in 10 minutes.",
                "code_expiration_minutes": 10,
            },
            {
                "type": "BUTTONS",
                "buttons": [
                    {
                        "type": "URL",
                        "text": "Copy code",
                        "url": "https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp{{1}}",
                        "example": [
                            "https://www.whatsapp.com/otp/code/?otp_type=COPY_CODE&code=otp123456"
                        ],
                    }
                ],
            },
        ],
    },
)


def give_templates(simulator_url: str, api_url: str, seeded: Iterable[Seeded]) -> bool:
    """Put the templates there for every account, and sync; False when that did not work.

    What is there already stays as it is, so that it may happen at every start.
    """
    accounts = {one.number.waba_id: one.api_key for one in seeded}
    try:
        for waba_id, api_key in accounts.items():
            for template in TEMPLATES:
                _post(f"{simulator_url}/simulator/templates", {"waba_id": waba_id, **template})
            _post(f"{api_url}/v1/templates/sync", {"waba_id": waba_id}, api_key)
    except (OSError, ValueError):
        return False
    return True


def _post(url: str, document: Json, api_key: str | None = None) -> None:
    headers = {"content-type": "application/json"}
    if api_key is not None:
        headers["authorization"] = f"Bearer {api_key}"
    request = urllib.request.Request(url, json.dumps(document).encode(), headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        answer.read()
