"""What the automation tests share: rules, facts written by the functions' role, evaluators."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from switchboard.automation import evaluate, rules
from switchboard.automation.due import Summary
from switchboard.automation.rules import NewRule, RuleChange
from switchboard.kernel.arguments import read
from switchboard.store.automations import Rule
from switchboard.tools import Tools
from switchboard.worker import drain
from tests.databases import ClonedDatabase
from tests.sending import Person, Place, World

#: The tests' own time, a Monday, far from the machine's: what asks the machine's is noticed.
START = datetime(2031, 3, 3, 12, 0, tzinfo=UTC)
TEXT: dict[str, Any] = {"text": "Hello {{contact.name|you}}"}


class Meta:
    """Meta's API: takes everything and keeps it."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer as Meta does; what is asked besides is refused."""
        if request.method != "POST":
            return httpx.Response(400, json={"error": {"code": 100, "message": "no"}})
        self.bodies.append(json.loads(request.content))
        answer = {"messages": [{"id": f"wamid.{uuid.uuid4().hex}"}]}
        return httpx.Response(200, json=answer)


class Automations:
    """One tenant with rules and facts, at a time that stands still until it is turned."""

    def __init__(self, database: ClonedDatabase, *, now: datetime = START) -> None:
        self.database = database
        self.world = World(database)
        self.place: Place = self.world.place()
        self.place.time.now = now
        self.meta = Meta()
        self._tools: Tools | None = None

    @property
    def now(self) -> datetime:
        """The present time."""
        return self.place.time.now

    def turn(self, **by: float) -> None:
        """Let time pass."""
        self.place.time.turn(**by)

    def tools(self) -> Tools:
        """Return the one process's tools, at the present time."""
        if self._tools is None:
            self._tools = self.another_process()
        self._tools.clock = self.place.time.clock()
        return self._tools

    def another_process(self, *, skew: timedelta = timedelta()) -> Tools:
        """Return a process of its own, whose clock is ahead by `skew`."""
        tools = self.world.tools(transport=httpx.MockTransport(self.meta))
        clock = self.place.time.clock()
        tools.clock = type(clock)(now=self.now + skew, new_id=self.place.time.new_id)
        return tools

    def rule(self, trigger: str, config: Mapping[str, Any], **more: Any) -> Rule:
        """Write a rule, as a caller of the API does."""
        given = {
            "name": "R",
            "trigger_type": trigger,
            "trigger_config": dict(config),
            "action_type": "send_whatsapp",
            "action_config": TEXT,
            **more,
        }
        return rules.create_rule(self.tools(), self.place.tenant_id, read(NewRule, given))

    def change(self, rule: Rule, **change: Any) -> Rule:
        """Change a rule, as a caller of the API does."""
        return rules.change_rule(
            self.tools(), self.place.tenant_id, rule.id, read(RuleChange, change)
        )

    def put(self, table: str, fact: UUID | None = None, **columns: Any) -> UUID:
        """Insert a trip or a booking, or change the one that is named, as the functions' role."""
        given = {
            name: Jsonb(value) if isinstance(value, dict) else value
            for name, value in columns.items()
        }
        if fact is None:
            fact = uuid.uuid4()
            given = {"external_id": f"x-{fact}", "as_of": self.now, **given, "id": fact}
            given["tenant_id"] = self.place.tenant_id
            statement = sql.SQL("insert into messaging.{} ({}) values ({})").format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, given)),
                sql.SQL(", ").join(map(sql.Placeholder, given)),
            )
        else:
            statement = sql.SQL("update messaging.{} set {} where id = {}").format(
                sql.Identifier(table),
                sql.SQL(", ").join(
                    sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name))
                    for name in given
                ),
                sql.Literal(fact),
            )
        with psycopg.connect(self.database.app_url) as link:
            self.enter(link)
            link.execute(statement, given)
        return fact

    def enter(self, link: psycopg.Connection[Any]) -> None:
        """Make a transaction of the functions' role the tenant's, at the present time."""
        link.execute(
            "select set_config('switchboard.tenant_id', %s, true),"
            " set_config('switchboard.now', %s, true)",
            (str(self.place.tenant_id), self.now.isoformat()),
        )

    def person(self) -> Person:
        """Add a person whose window stays open."""
        return self.place.person(window=100_000)

    def trip(self, person: Person, start: str | None = None, **columns: Any) -> UUID:
        """Put a trip in."""
        return self.put("trips", contact_id=person.contact_id, start_date=start, **columns)

    def booking(self, person: Person, since: datetime | None = None, **columns: Any) -> UUID:
        """Put a booking in that is pending since then."""
        given = {"pending_since": since or self.now, **columns}
        return self.put("bookings", contact_id=person.contact_id, **given)

    def due(self) -> list[tuple[UUID, str, datetime]]:
        """Return what is planned: subject, occurrence, when; the first one first."""
        rows = self.place.rows("automation_due")
        found = [(row["subject_id"], row["occurrence"], row["due_at"]) for row in rows]
        return sorted(found, key=lambda one: (one[2], str(one)))

    def evaluate(self, tools: Tools | None = None, **how: Any) -> Summary:
        """Take what is due now, as a tick does."""
        return evaluate(tools or self.tools(), time.monotonic() + 100.0, **how)

    def work(self) -> None:
        """Let a worker run what was put in, and send what it says."""
        drain(self.tools(), time.monotonic() + 100.0)

    def tick(self) -> Summary:
        """Evaluate and work."""
        summary = self.evaluate()
        self.work()
        return summary

    def runs(self, **where: Any) -> list[tuple[str, str, str | None]]:
        """Return occurrence, status and reason of each run, by occurrence."""
        rows = self.place.rows("automation_runs", **where)
        return sorted((row["occurrence"], row["status"], row["reason"]) for row in rows)

    def close(self) -> None:
        """Close every connection."""
        self.world.close()
