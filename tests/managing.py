"""What the tests of functions/manage share: its handler as API Gateway calls it, traffic."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from functions.manage import app
from switchboard.access import SCOPES
from switchboard.intake.store import store as take_in
from switchboard.kernel.clock import Clock
from switchboard.tools import Tools
from tests.databases import ClonedDatabase
from tests.sending import Place, World

Made = dict[str, Any]

#: The number as Meta displays it in every change.
BUSINESS = "15550001111"
#: When the first message of a test came; each later one comes a minute later.
START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)


class Desk:
    """The function, its database, and a tenant whose key may do everything."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.place = world.place()
        self.key = self.place.add_key(*SCOPES)
        self._monkeypatch = monkeypatch
        self.made: Tools = self.use()

    def use(self, **how: Any) -> Tools:
        """Let the function run with these settings."""
        self.made = self.world.tools(Clock(), **how)
        self._monkeypatch.setattr(app, "tools", lambda: self.made)
        return self.made

    def call(
        self,
        route: str,
        *ids: Any,
        body: Any = None,
        key: str | None = None,
        **query: Any,
    ) -> tuple[int, Made]:
        """Call `route` with `ids` for its parameters; return the status and the document."""
        method, _, path = route.partition(" ")
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        parameters = {name: str(value) for name, value in zip(names, ids, strict=True)}
        for name, value in parameters.items():
            path = path.replace(f"{{{name}}}", quote(value))
        event: Made = {
            "version": "2.0",
            "routeKey": route,
            "rawPath": path,
            "headers": {"authorization": f"Bearer {key or self.key}"},
            "requestContext": {"http": {"method": method, "path": path}},
            "isBase64Encoded": False,
        }
        if parameters:
            event["pathParameters"] = parameters
        if query:
            event["queryStringParameters"] = {name: str(value) for name, value in query.items()}
        if body is not None:
            event["body"] = body if isinstance(body, str) else json.dumps(body)
        response = app.handler(event, None)
        return response["statusCode"], json.loads(response["body"])

    def ok(self, route: str, *ids: Any, **how: Any) -> Made:
        """Call a route that must answer 200."""
        status, document = self.call(route, *ids, **how)
        assert status == 200, document
        return document

    def pages(self, route: str, *ids: Any, **how: Any) -> list[Made]:
        """Return all rows of a list, walked by its cursors."""
        rows: list[Made] = []
        cursor: Made = {}
        for _ in range(1000):
            page = self.ok(route, *ids, **how, **cursor)
            assert set(page) == {"data", "next_cursor"}
            rows += page["data"]
            if page["next_cursor"] is None:
                return rows
            cursor = {"cursor": page["next_cursor"]}
        raise AssertionError("the list does not end")

    def hear(
        self,
        phone: str,
        *texts: str,
        minute: int = 0,
        place: Place | None = None,
        name: str = "Ana",
    ) -> str:
        """Take texts in, a minute apart, and return the conversation's id."""
        place = place or self.place
        for index, text in enumerate(texts or ("hello",)):
            part = {
                "from": phone,
                "id": f"wamid.{phone}.{minute + index:04d}",
                "timestamp": str(int((START + timedelta(minutes=minute + index)).timestamp())),
                "type": "text",
                "text": {"body": text},
            }
            self.take(part, phone, place=place, name=name)
        (row,) = place.everything.execute(
            "select conversation_id from messaging.whatsapp_messages"
            " where tenant_id = %s and wa_message_id = %s",
            (place.tenant_id, f"wamid.{phone}.{minute:04d}"),
        )
        return str(row[0])

    def take(
        self, part: Made, phone: str, *, place: Place | None = None, name: str = "Ana"
    ) -> None:
        """Take one message in, as the webhook function does after the signature."""
        value = {
            "contacts": [{"profile": {"name": name}, "wa_id": phone}],
            "messages": [part],
        }
        self.tell("messages", value, place=place)

    def tell(self, field: str, value: Made, *, place: Place | None = None) -> None:
        """Take a change of one field in."""
        place = place or self.place
        value = {
            "messaging_product": "whatsapp",
            "metadata": {
                "phone_number_id": place.phone_number_id,
                "display_phone_number": BUSINESS,
            },
            **value,
        }
        entry = {"id": place.waba_id, "changes": [{"field": field, "value": value}]}
        body = {"object": "whatsapp_business_account", "entry": [entry]}
        take_in(self.made, json.dumps(body).encode(), None)

    def contact_of(self, conversation_id: str) -> str:
        """Return the id of a conversation's contact."""
        document = self.ok("GET /v1/conversations/{id}", conversation_id)
        return str(document["contact_id"])

    def set(self, table: str, row_id: Any, **columns: Any) -> None:
        """Change a row as nobody else can."""
        for name, value in columns.items():
            self.world.everything.execute(
                psycopg.sql.SQL("update messaging.{} set {} = %s where id = %s").format(
                    psycopg.sql.Identifier(table), psycopg.sql.Identifier(name)
                ),
                (value, row_id),
            )

    def user(self, email: str, *, place: Place | None = None) -> str:
        """Add a member of staff and return the id."""
        (row,) = self.world.everything.execute(
            "insert into messaging.users (tenant_id, email, full_name, role)"
            " values (%s, %s, 'U', 'agent') returning id",
            ((place or self.place).tenant_id, email),
        )
        return str(row[0])


@contextmanager
def desk_of(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Yield a desk on `database`."""
    with closing(World(database)) as world:
        yield Desk(world, monkeypatch)


def column(rows: Sequence[Made], name: str) -> list[Any]:
    """Return one member of each row."""
    return [row[name] for row in rows]
