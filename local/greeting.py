"""Someone writes to the demo's first number, so that the banner's command may answer freely.

Meta lets a business write freely only within 24 hours after the person wrote; outside of them the
command would be refused, rightly, and look broken.
"""

from __future__ import annotations

import json
import time
import urllib.request

from local.demo import NUMBERS
from local.made_once import MadeOnce

#: A number that nobody can own (Ofcom's range for drama), apart from the people of the phone.
GUEST = "447700900199"
_AGAIN_AFTER_S = 20 * 3600.0


def greet(simulator_url: str, kept: MadeOnce, *, first_time: bool) -> bool:
    """Let the guest write unless they did so lately; False when the message did not get through.

    `first_time`: the database is new, whatever was kept about an earlier one.
    """
    last = 0.0 if first_time else float(kept.get("guest wrote at") or 0)
    if time.time() - last < _AGAIN_AFTER_S:
        return True
    number = NUMBERS[0].phone_number_id
    document = {"type": "text", "text": "Hello, are you open today?", "phone_number_id": number}
    try:
        _post(f"{simulator_url}/simulator/phone/{GUEST}/messages", document)
        flushed = _post(f"{simulator_url}/simulator/webhooks/flush?timeout=15", {})
    except (OSError, ValueError):
        return False
    if flushed.get("pending") != 0:
        return False
    kept.keep("guest wrote at", str(int(time.time())))
    return True


def _post(url: str, document: dict[str, str]) -> dict[str, object]:
    request = urllib.request.Request(
        url, json.dumps(document).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        found: dict[str, object] = json.load(answer)
        return found
