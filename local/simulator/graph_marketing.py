"""What Meta checks of the Marketing Messages API: templates of that category, and two words more.

Statuses call them marketing_lite. Every account here has joined it, and no template waits for it.
"""

from __future__ import annotations

from dataclasses import replace

from local.simulator.config import BusinessNumber
from local.simulator.graph_checks import Send, check_send
from local.simulator.graph_errors import GraphRefusal
from local.simulator.graph_shapes import Json, unacceptable, word_of
from local.simulator.templates import Templates

_POLICIES = ("CLOUD_API_FALLBACK", "STRICT")


def check_marketing(body: Json, number: BusinessNumber, templates: Templates) -> Send:
    """Read the body of `POST /{phone_number_id}/marketing_messages`; raises GraphRefusal."""
    if body.get("type") != "template":
        raise GraphRefusal(131055)
    if "product_policy" in body:
        word_of(body, "product_policy", "the request", _POLICIES)
    if not isinstance(body.get("message_activity_sharing", False), bool):
        raise unacceptable("Param message_activity_sharing must be a boolean.")
    own = {"product_policy", "message_activity_sharing"}
    send = check_send({key: value for key, value in body.items() if key not in own})
    language = send.content["language"]["code"]
    template = templates.find(number.waba_id, send.content["name"], language)
    if template is not None and template.category != "MARKETING":
        raise GraphRefusal(134100)
    return replace(send, is_lite=True)
