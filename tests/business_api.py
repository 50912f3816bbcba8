"""A stand-in for /v1 where the page's second view asks; it answers with the product's own types."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from switchboard.campaigns.drafts import Shown
from switchboard.campaigns.progress import Progress, Reason
from switchboard.store.automations import Rule, Run
from switchboard.store.campaigns import Campaign
from tests.simulator_run import PATIENCE, serve

Json = dict[str, Any]
#: When everything happens; no test looks at the machine's clock.
NOW = datetime(2027, 1, 25, 12, 0, tzinfo=UTC)


def campaign(name: str, status: str, **more: Any) -> Campaign:
    """A campaign in that state, made a moment ago."""
    given: Json = dict.fromkeys(Campaign.__slots__) | {
        "id": uuid4(),
        "name": name,
        "status": status,
        "phone_number_id": "310000000000001",
        "template": "table_confirmed",
        "language": "en_US",
        "started_at": NOW,
        "created_at": NOW,
    }
    return Campaign(**(given | more))


def progress(by_status: dict[str, int], **more: Any) -> Progress:
    """How far it has come."""
    given: Json = {
        "total": sum(by_status.values()),
        "by_status": by_status,
        "undetermined": by_status.get("undetermined", 0),
        "opted_out": 0,
        "reasons": [],
        "rate_per_minute": None,
        "seconds_left": None,
    }
    return Progress(**(given | more))


def money(amount: str) -> Decimal:
    """An amount as the database has it."""
    return Decimal(amount)


def reason(status: str, word: str | None, recipients: int) -> Reason:
    """Why so many got nothing."""
    return Reason(status, word, recipients)


def rule(name: str, trigger: str = "event", action: str = "send_whatsapp") -> Rule:
    """A rule."""
    return Rule(
        id=uuid4(),
        name=name,
        description=None,
        contact_id=None,
        trigger_type=trigger,
        trigger_config={},
        conditions={},
        action_type=action,
        action_config={},
        is_active=True,
        cool_down_s=None,
        cap_per_contact=None,
        grace_s=3600,
        last_triggered_at=None,
        metadata={},
        created_at=NOW,
        updated_at=NOW,
    )


def run(of: Rule, status: str, *, at: datetime = NOW, **more: Any) -> Run:
    """A run of a rule."""
    given: Json = {
        "id": uuid4(),
        "rule_id": of.id,
        "subject_id": uuid4(),
        "occurrence": "INV-7",
        "contact_id": None,
        "due_at": at,
        "started_by": "due",
        "chain": [],
        "status": status,
        "reason": None,
        "result": None,
        "message_id": None,
        "started_at": at,
        "finished_at": at + timedelta(seconds=1),
    }
    return Run(**(given | more))


@dataclass
class Api:
    """One tenant's. `broken`: the status that everything is answered with."""

    key: str
    url: str = ""
    campaigns: dict[UUID, Shown] = field(default_factory=dict)
    rules: dict[UUID, Rule] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    #: By path behind /v1/.
    others: dict[str, Json] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    deeds: list[tuple[str, str]] = field(default_factory=list)
    #: Paths that are refused with a status, and such as are answered only when told so.
    refused: dict[str, int] = field(default_factory=dict)
    held: dict[str, threading.Event] = field(default_factory=dict)
    page: int = 200
    broken: int | None = None

    def start_afresh(self) -> None:
        """Forget everything."""
        for kept in (self.campaigns, self.rules, self.others, self.refused, self.held):
            kept.clear()
        for listed in (self.runs, self.asked, self.deeds):
            listed.clear()
        self.page, self.broken = 200, None

    def show(
        self, one: Campaign, done: Progress | None = None, what_to_do: str | None = None
    ) -> UUID:
        """Put a campaign there, or change it; return its id."""
        self.campaigns[one.id] = Shown(one, what_to_do, done or progress({}))
        return one.id

    def ran(self, of: Rule, *runs: Run) -> None:
        """Put a rule there with its runs."""
        self.rules[of.id] = of
        self.runs.extend(runs)

    async def answer(self, request: Request) -> Response:
        """Answer as the routes of /v1 do."""
        path = request.path_params["path"]
        self.asked.append(f"{path}?{request.url.query}" if request.url.query else path)
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return _json({"detail": "the key is not known"}, 401)
        if path in self.held:
            await asyncio.to_thread(self.held[path].wait, PATIENCE)
        if wrong := self.broken or self.refused.get(path):
            return _json({"detail": "the database is away"}, wrong)
        parts = path.split("/")
        if request.method == "POST":
            assert await request.json() == {}
            self.deeds.append((parts[1], parts[2]))
            state = {"start": "sending", "pause": "paused", "resume": "sending"}
            shown = self.campaigns[UUID(parts[1])]
            if shown.campaign.status == "completed":
                return _json({"detail": "the campaign is completed, not sending"}, 409)
            row = {name: getattr(shown.campaign, name) for name in Campaign.__slots__}
            row["status"] = state.get(parts[2], "cancelled")
            self.show(Campaign(**row), shown.progress)
            return _json(self.campaigns[UUID(parts[1])])
        if path == "campaigns":
            return _json(self._page(request, [one.campaign for one in self.campaigns.values()]))
        if parts[0] == "campaigns" and len(parts) == 2:
            return _json(self.campaigns[UUID(parts[1])])
        if path == "rules":
            return _json(self._page(request, list(self.rules.values())))
        if parts[0] == "rules":
            own = [one for one in self.runs if one.rule_id == UUID(parts[1])]
            own.sort(key=lambda one: one.started_at, reverse=True)
            return _json(self._page(request, own))
        found = self.others.get(path)
        return _json({"detail": "not known"}, 404) if found is None else _json(found)

    def _page(self, request: Request, rows: list[Any]) -> Json:
        begin = int(request.query_params.get("cursor", 0))
        end = begin + min(self.page, int(request.query_params.get("limit", 50)))
        return {"data": rows[begin:end], "next_cursor": str(end) if rows[end:] else None}


def _json(document: Any, status: int = 200) -> Response:
    content = orjson.dumps(document, default=str)
    return Response(content, status_code=status, media_type="application/json")


@contextmanager
def listening(key: str) -> Iterator[Api]:
    """One that listens; its keys are `key` alone."""
    api = Api(key)
    routes = [Route("/v1/{path:path}", api.answer, methods=["GET", "POST"])]
    with serve(Starlette(routes=routes)) as url:
        api.url = url
        yield api
