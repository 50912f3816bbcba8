"""What the tests of templates share: a simulated Meta that hosts a test's own accounts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from local.simulator.app import create_app
from local.simulator.config import BusinessNumber, Config
from switchboard.intake.store import store as take_in
from switchboard.tools import Tools
from tests.sending import Place
from tests.simulator_run import PATIENCE, SECRET, VERIFY_TOKEN, Backend, backend, serve

Json = dict[str, Any]

#: A body with two variables and their examples.
BODY: Json = {
    "type": "BODY",
    "text": "Hi {{1}}, your table is kept until {{2}} tonight.",
    "example": {"body_text": [["Ana", "21:30"]]},
}
PLAIN: Json = {"type": "BODY", "text": "Your order is ready."}


class Meta:
    """The running simulator, and what it has told."""

    def __init__(self, url: str, http: httpx.Client, receiver: Backend) -> None:
        self.url = url
        self.http = http
        self.receiver = receiver
        #: Seconds by which what Meta tells from now on is later than the machine's time.
        self.ahead = 0.0
        self._taken = 0

    def give(self, place: Place, name: str, language: str = "en_US", **more: Any) -> str:
        """Put an approved template there and return Meta's id of it."""
        given: Json = {"waba_id": place.waba_id, "name": name, "language": language}
        given |= {"category": "UTILITY", "components": [PLAIN], **more}
        answer = self.http.post("/simulator/templates", json=given)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def decide(self, template_id: str, **decision: Any) -> None:
        """Let Meta decide about a template; its webhook goes out."""
        answer = self.http.post(f"/simulator/templates/{template_id}", json=decision)
        assert answer.status_code == 200, answer.text

    def deliver(self, tools: Tools) -> int:
        """Take in what was told since the last time; returns how many webhooks."""
        self.http.post("/simulator/webhooks/flush").raise_for_status()
        fresh = self.receiver.received[self._taken :]
        self._taken += len(fresh)
        for received in fresh:
            take_in(tools, received.body, None)
        return len(fresh)

    def asked(self, method: str = "", ending: str = "") -> list[Json]:
        """Return the Graph calls so far, as they were logged."""
        calls = self.http.get("/simulator/requests").json()["requests"]
        return [
            call
            for call in calls
            if call["method"].startswith(method) and call["path"].endswith(ending)
        ]

    def statuses(self, place: Place) -> dict[tuple[str, str], str]:
        """Return the states of an account's templates by name and language."""
        found = self.http.get("/simulator/templates").json()["templates"]
        return {
            (one["name"], one["language"]): one["status"]
            for one in found
            if one["waba_id"] == place.waba_id
        }


@contextmanager
def meta_of(*places: Place) -> Iterator[Meta]:
    """Serve a simulator whose accounts and tokens are those of `places`."""
    made: list[Meta] = []
    with backend() as receiver:
        config = Config(
            webhook_url=receiver.url,
            app_secret=SECRET,
            verify_token=VERIFY_TOKEN,
            numbers=tuple(
                BusinessNumber(
                    waba_id=place.waba_id,
                    phone_number_id=place.phone_number_id,
                    display_phone_number=f"1{place.phone_number_id}",
                    verified_name="N",
                    access_token=f"token-{place.phone_number_id}",
                )
                for place in places
            ),
            greet=False,
            first_retry=0.05,
        )
        with (
            serve(create_app(config, lambda: time.time() + made[0].ahead)) as url,
            httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as http,
        ):
            made.append(Meta(url, http, receiver))
            yield made[0]
