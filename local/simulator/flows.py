"""WhatsApp Flows as Meta keeps them, per business account: their JSON, their states, what it tells.

Also the public keys of numbers. Every change of a state goes out as a webhook of its account.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from local.simulator.archive import Archive
from local.simulator.graph_checks import Send
from local.simulator.graph_errors import GraphRefusal
from local.simulator.payloads import Update, account_update

Json = dict[str, Any]

CATEGORIES = (
    "SIGN_UP",
    "SIGN_IN",
    "APPOINTMENT_BOOKING",
    "LEAD_GENERATION",
    "CONTACT_US",
    "CUSTOMER_SUPPORT",
    "SURVEY",
    "OTHER",
)


@dataclass(slots=True)
class Flow:
    """One Flow; `document` is its JSON, None until it was uploaded; `updated_at` a Unix time."""

    id: str
    waba_id: str
    name: str
    categories: list[str]
    status: str = "DRAFT"
    endpoint_uri: str | None = None
    document: Json | None = None
    validation_errors: list[Json] = field(default_factory=list)
    updated_at: float = 0.0

    def node(self) -> Json:
        """As the Graph API shows it, all fields."""
        shown: Json = {
            "id": self.id,
            "name": self.name,
            "status": self.status,
            "categories": self.categories,
            "validation_errors": self.validation_errors,
            "endpoint_uri": self.endpoint_uri,
            "updated_at": time_of(self.updated_at),
        }
        for name, key in (("json_version", "version"), ("data_api_version", "data_api_version")):
            shown[name] = (self.document or {}).get(key)
        # Graph leaves out what is not set.
        return {key: value for key, value in shown.items() if value is not None}


def time_of(at: float) -> str:
    """A Unix time as Graph writes those of Flows."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def errors_of(document: Json) -> list[Json]:
    """What Meta finds wrong in a Flow's JSON: of its many rules those that beginners break."""
    screens = document.get("screens")
    if not isinstance(document.get("version"), str):
        return [
            _error("MISSING_REQUIRED_PROPERTY", "The property 'version' is missing at '$root'.")
        ]
    if not isinstance(screens, list) or not screens:
        return [
            _error("MISSING_REQUIRED_PROPERTY", "The property 'screens' is missing at '$root'.")
        ]
    found: list[Json] = []
    names = [screen.get("id") if isinstance(screen, dict) else None for screen in screens]
    for index, screen in enumerate(screens):
        path = f"$root/screens/{index}"
        if not isinstance(screen, dict) or not isinstance(names[index], str):
            found.append(
                _error("MISSING_REQUIRED_PROPERTY", f"Property 'id' is missing at '{path}'.")
            )
        elif names[index] == "SUCCESS" or names.count(names[index]) > 1:
            found.append(_error("INVALID_SCREEN_ID", f"Invalid screen id at '{path}/id'."))
        elif not isinstance(_children(screen), list):
            found.append(_error("MISSING_REQUIRED_PROPERTY", f"'layout' is missing at '{path}'."))
        elif len(_children(screen)) > 50:
            found.append(_error("TOO_MANY_COMPONENTS", f"Over 50 components at '{path}/layout'."))
    if not found and not any(screen.get("terminal") is True for screen in screens):
        found.append(_error("MISSING_TERMINAL_SCREEN", "There is no terminal screen."))
    return found


def _children(screen: Json) -> Any:
    layout = screen.get("layout")
    return layout.get("children") if isinstance(layout, dict) else None


def _error(word: str, message: str) -> Json:
    place = {"line_start": 1, "line_end": 1, "column_start": 1, "column_end": 1}
    return {"error": word, "error_type": "FLOW_JSON_ERROR", "message": message, **place}


class Flows:
    """All Flows and public keys; `post` takes the webhooks that changes cause."""

    def __init__(
        self, archive: Archive, post: Callable[[Update], None], clock: Callable[[], float]
    ) -> None:
        self._archive = archive
        self._post = post
        self._clock = clock
        self._flows = {key: Flow(**document) for key, document in archive.documents("flow")}
        self._keys = {key: document["pem"] for key, document in archive.documents("public-key")}

    def __iter__(self) -> Iterator[Flow]:
        return iter(list(self._flows.values()))

    def get(self, flow_id: str) -> Flow | None:
        """The Flow of that id, or None."""
        return self._flows.get(flow_id)

    def find(self, waba_id: str, name: str) -> Flow | None:
        """The account's Flow of that name, or None."""
        return next((one for one in self if (one.waba_id, one.name) == (waba_id, name)), None)

    def all_of(self, waba_id: str) -> list[Flow]:
        """An account's Flows, the newest first."""
        return [one for one in reversed(list(self)) if one.waba_id == waba_id]

    def add(self, waba_id: str, name: str, categories: list[str]) -> Flow:
        """A new draft, and tell of it."""
        flow = Flow(self._new_id(), waba_id, name, categories)
        self.put(flow)
        self._tell(flow, None)
        return flow

    def put(self, flow: Flow) -> None:
        """Keep a Flow, or keep it anew; nothing is told."""
        flow.updated_at = self._clock()
        self._flows[flow.id] = flow
        self._archive.put("flow", flow.id, asdict(flow))

    def set_status(self, flow: Flow, status: str) -> None:
        """Set a status and tell of it."""
        before, flow.status = flow.status, status
        self.put(flow)
        self._tell(flow, before)

    def delete(self, flow: Flow) -> None:
        """Forget a Flow; Meta tells nobody."""
        del self._flows[flow.id]
        self._archive.remove("flow", flow.id)

    def key_of(self, phone_number_id: str) -> str | None:
        """A number's public key as PEM, or None."""
        return self._keys.get(phone_number_id)

    def set_key(self, phone_number_id: str, pem: str) -> None:
        """Set a number's public key."""
        self._keys[phone_number_id] = pem
        self._archive.put("public-key", phone_number_id, {"pem": pem})

    def save_all(self) -> None:
        """Keep everything anew, after the archive was emptied."""
        for flow in self:
            self._archive.put("flow", flow.id, asdict(flow))
        for phone_number_id, pem in self._keys.items():
            self.set_key(phone_number_id, pem)

    def check(self, waba_id: str, send: Send) -> None:
        """Refuse a message whose Flow cannot be opened; raises GraphRefusal.

        An account without any Flow here may have them elsewhere: then each is served.
        """
        if send.type != "interactive" or send.content.get("type") != "flow":
            return
        if not self.all_of(waba_id):
            return
        asked = send.content["action"]["parameters"]
        flow_id, name = asked.get("flow_id"), asked.get("flow_name")
        flow = self.find(waba_id, str(name)) if flow_id is None else self.get(str(flow_id))
        if flow is None or flow.waba_id != waba_id:
            raise GraphRefusal(131009, details="The Flow does not exist in this account.")
        if flow.status == "BLOCKED":
            raise GraphRefusal(132068)
        wanted = "DRAFT" if asked.get("mode") == "draft" else "PUBLISHED"
        if flow.status not in {wanted, "THROTTLED"}:
            raise GraphRefusal(
                131009, details=f"The Flow is {flow.status}, and the mode asks for {wanted}."
            )

    def opened(self, waba_id: str, parameters: Json) -> Json | None:
        """The JSON of the Flow that a message's parameters name; None where it is not here."""
        flow_id, name = parameters.get("flow_id"), parameters.get("flow_name")
        flow = self.find(waba_id, str(name)) if flow_id is None else self.get(str(flow_id))
        return flow.document if flow is not None and flow.waba_id == waba_id else None

    def _new_id(self) -> str:
        while True:
            made = str(random.randrange(10**14, 10**15))
            if made not in self._flows:
                return made

    def _tell(self, flow: Flow, before: str | None) -> None:
        value: Json = {
            "event": "FLOW_STATUS_CHANGE",
            "message": f"Flow {flow.name} changed status to {flow.status}",
            "flow_id": flow.id,
            "new_status": flow.status,
        }
        if before is not None:
            value["old_status"] = before
        self._post(account_update(flow.waba_id, "flows", value, self._clock()))
