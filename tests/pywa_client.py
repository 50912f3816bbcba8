"""pywa, a client of the Cloud API that others wrote, with its requests led to the simulator.

What it sends is kept as its bytes left, so that nothing here depends on how the simulator reads it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
from pywa import WhatsApp, handlers
from pywa.types import templates as t

from tests.simulator_run import FIRST, PATIENCE, SECRET, VERIFY_TOKEN, Received, Simulator

Json = dict[str, Any]
Update = TypeVar("Update")

ANA = "525550001234"
ANA_ID = "5215550001234"
ANA_USER = "MX.508176302041297"
#: The app that the simulator's accounts are subscribed with.
APP = "100000000000001"
PICTURE = "https://img.example/a.png"

_HANDLERS: tuple[type[handlers.Handler[Any]], ...] = (
    handlers.MessageHandler,
    handlers.MessageStatusHandler,
    handlers.CallbackButtonHandler,
    handlers.CallbackSelectionHandler,
    handlers.FlowCompletionHandler,
    handlers.TemplateStatusUpdateHandler,
    handlers.TemplateCategoryUpdateHandler,
    handlers.TemplateQualityUpdateHandler,
    handlers.TemplateComponentsUpdateHandler,
    handlers.UserMarketingPreferencesHandler,
    handlers.CallConnectHandler,
    handlers.CallTerminateHandler,
    handlers.CallStatusHandler,
    handlers.CallPermissionUpdateHandler,
)


@dataclass
class Pywa:
    """A client of the first number; `sent` are its requests so far, `read` what it understood."""

    client: WhatsApp
    meta: Simulator
    sent: list[httpx.Request] = field(default_factory=list)
    read: list[Any] = field(default_factory=list)

    @property
    def last_body(self) -> Json:
        """The JSON object of its last request."""
        document: Json = json.loads(self.sent[-1].content)
        return document

    @property
    def last_journaled(self) -> Json:
        """The simulator's log of its last request."""
        (entry,) = self.meta.http.get("/simulator/requests", params={"limit": 1}).json()["requests"]
        journaled: Json = entry
        return journaled

    def understands(self, received: Received, kind: type[Update]) -> Update:
        """What pywa makes of a delivery, by its own checks: one object of that type."""
        header = received.headers["x-hub-signature-256"]
        assert self.client.webhook_update_validator(received.body, header) is None
        before = len(self.read)
        assert self.client.webhook_update_handler(received.body) == ("ok", 200)
        (update,) = self.read[before:]
        assert type(update) is kind
        return update

    def delivered(self) -> list[Received]:
        """The webhooks that came since the last time."""
        self.meta.flush()
        received, self.meta.backend.received = self.meta.backend.received, []
        return received

    def told(self, kind: type[Update]) -> Update:
        """The one webhook that came, as pywa understands it."""
        (received,) = self.delivered()
        return self.understands(received, kind)

    def store(self, template: t.Template) -> str:
        """Make a template as pywa does, and let the review end; its id."""
        created = self.client.create_template(template)
        self.meta.flush()
        return str(created.id)


@contextmanager
def pywa(meta: Simulator) -> Iterator[Pywa]:
    """A client that talks to this simulator."""
    with httpx.Client(timeout=PATIENCE, trust_env=False) as session:
        client = WhatsApp(
            phone_id=FIRST.phone_number_id,
            token=FIRST.access_token,
            waba_id=FIRST.waba_id,
            app_id=APP,
            app_secret=SECRET,
            verify_token=VERIFY_TOKEN,
            session=session,
        )
        # pywa sets the address of Meta, with its own version, on the session it is given.
        session.base_url = f"{meta.url}{session.base_url.path}"
        made = Pywa(client, meta)
        session.event_hooks["request"].append(made.sent.append)
        for handler in _HANDLERS:
            client.add_handlers(handler(lambda _, update: made.read.append(update)))
        yield made
