"""What the tests of e-mail share: a tenant that may send mails, SES over HTTP, its events."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from local.aws.mail import Ses, envelope
from switchboard.automation import evaluate
from switchboard.jobs._kind import JOB_KINDS
from switchboard.kernel import aws
from switchboard.mail import events
from switchboard.ses.client import SesClient
from switchboard.tools import Tools
from switchboard.worker import drain
from tests.automating import Automations
from tests.databases import ClonedDatabase
from tests.sending import Person

NOW = {"hours_before": 0, "at": "12:00"}
ADDRESS = "ana@acme.example"
#: What a fault does instead of an answer; SES has taken the mail before `lost` and `broken`.
FAULTS = {
    "throttled": (429, "TooManyRequestsException"),
    "quota": (400, "LimitExceededException"),
    "paused": (400, "SendingPausedException"),
    "forbidden": (403, "AccessDeniedException"),
    "rejected": (400, "MessageRejected"),
    "unverified": (400, "MailFromDomainNotVerifiedException"),
}


class SesServer:
    """SES behind a real HTTP server; `faults` are taken one per request, then it is well."""

    def __init__(self) -> None:
        self.ses = Ses()
        self.faults: list[str] = []
        self.requests = 0
        #: Called when a request has come, before it is taken.
        self.before: Callable[[], None] = lambda: None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                outer.requests += 1
                outer.before()
                fault = outer.faults.pop(0) if outer.faults else None
                if fault in FAULTS:
                    status, code = FAULTS[fault]
                    return self.say(status, {"message": "no"}, code)
                if fault == "cut":
                    self.close_connection = True
                    return None
                status, document = outer.ses.answer(raw)
                if fault == "lost":
                    self.close_connection = True
                    return None
                if fault == "late":
                    time.sleep(1.0)
                    self.close_connection = True
                    return None
                if fault == "broken":
                    return self.say(500, {"message": "oh"}, "InternalFailure")
                return self.say(status, document, document.get("__type"))

            def say(self, status: int, document: Any, code: str | None = None) -> None:
                body = json.dumps(document).encode()
                self.send_response(status)
                if code is not None:
                    self.send_header("x-amzn-ErrorType", code)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def mails(self) -> list[dict[str, Any]]:
        """What SES has taken."""
        return self.ses.mails

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Mailing:
    """One tenant with a sender, a template and rules that mail."""

    def __init__(self, database: ClonedDatabase, server: SesServer) -> None:
        self.at = Automations(database)
        self.place = self.at.place
        self.server = server
        self.sql(
            "update messaging.tenants set email_from = 'trips@acme.example',"
            " email_from_name = 'Acme Trips', email_reply_to = 'desk@acme.example' where id = %s",
            self.place.tenant_id,
        )
        self.template()
        self.tools()

    def sql(self, statement: str, *values: Any) -> None:
        self.place.everything.execute(statement, values)

    def tools(self) -> Tools:
        tools = self.at.tools()
        tools.__dict__["ses"] = SesClient("switchboard")
        return tools

    def process(self) -> Tools:
        """Return another process's tools."""
        tools = self.at.another_process()
        tools.__dict__["ses"] = SesClient("switchboard")
        return tools

    def template(self, name: str = "trip_reminder", language: str = "en", **texts: str) -> None:
        given = {
            "subject": "Your trip, {{who}}",
            "text_body": "Hello {{who}}, it is {{where}}.",
            "html_body": "<p>Hello <b>{{who}}</b>, it is {{where}}.</p>",
            **texts,
        }
        self.sql(
            "insert into messaging.email_templates (tenant_id, id, name, language, subject,"
            " text_body, html_body) values (%s, gen_random_uuid(), %s, %s, %s, %s, %s)",
            self.place.tenant_id,
            name,
            language,
            *given.values(),
        )

    def person(self, address: str | None = ADDRESS, **columns: Any) -> Person:
        """Add a person who has opted in, with an address."""
        person = self.place.person(window=None)
        given = {
            "email": address,
            "name": "Ada",
            "opt_in_status": "opted_in",
            "opted_in_at": self.at.now,
            **columns,
        }
        for name, value in given.items():
            self.sql(
                f"update messaging.contacts set {name} = %s where id = %s", value, person.contact_id
            )
        return person

    def rule(self, **action: Any) -> None:
        """Make the rule that mails when a trip starts."""
        config = {
            "template": "trip_reminder",
            "category": "utility",
            "parameters": {"who": "contact.name", "where": {"text": "Rome"}},
            **action,
        }
        self.at.rule("trip_start", NOW, action_type="send_email", action_config=config)

    def put(self, person: Person, **trip: Any) -> dict[str, Any]:
        """Let the rule run for a trip, but no mail go; return the mail's row."""
        self.at.trip(person, "2031-03-03", **trip)
        self.queue()
        (row,) = self.rows(contact_id=person.contact_id)
        return row

    def queue(self) -> None:
        """Run what is due but sends."""
        evaluate(self.tools(), time.monotonic() + 100.0)
        kinds = _Without(JOB_KINDS, "send_email")
        drain(self.tools(), time.monotonic() + 100.0, kinds=kinds)

    def say(self, person: Person, **trip: Any) -> None:
        """Let the rule run for a trip, and the mail go."""
        self.at.trip(person, "2031-03-03", **trip)
        self.tools()
        self.at.tick()

    def work(self, **by: float) -> None:
        """Let a worker run what is due, `by` later."""
        self.at.turn(**by)
        self.tools()
        self.at.work()

    def rows(self, **where: Any) -> list[dict[str, Any]]:
        return sorted(self.place.rows("emails", **where), key=lambda row: row["id"])

    def row(self) -> dict[str, Any]:
        (row,) = self.rows()
        return row

    def logs(self) -> list[tuple[Any, ...]]:
        """Return the delivery log: channel, recipient, attempt, status, code."""
        rows = sorted(self.place.rows("delivery_logs"), key=lambda row: str(row["id"]))
        return [
            (one["channel"], one["recipient"], one["attempt"], one["status"], one["error_code"])
            for one in rows
        ]

    def runs(self) -> list[tuple[str, str | None]]:
        return [(row["status"], row["reason"]) for row in self.place.rows("automation_runs")]

    def take(self, event: dict[str, Any], tools: Tools | None = None) -> str:
        return events.take(tools or self.tools(), event)

    def event(self, row: dict[str, Any], kind: str, at: str, **told: Any) -> dict[str, Any]:
        """Return an event of a mail as EventBridge delivers it."""
        mail = {
            "MessageId": row["ses_message_id"] or "0100-made-up",
            "at": "2031-03-03T12:00:01.000Z",
            "FromEmailAddress": "trips@acme.example",
            "Destination": {"ToAddresses": [row["address"]]},
            "ConfigurationSetName": "switchboard",
            "EmailTags": [
                {"Name": "switchboard_tenant", "Value": str(row["tenant_id"])},
                {"Name": "switchboard_email", "Value": str(row["id"])},
            ],
        }
        member = {
            "Delivery": "delivery",
            "Bounce": "bounce",
            "Complaint": "complaint",
            "DeliveryDelay": "deliveryDelay",
            "Send": "send",
            "Reject": "reject",
        }.get(kind)
        details = {member: {"timestamp": at, **told}} if member else told
        return envelope(mail, kind, f"Email {kind}", details)

    def close(self) -> None:
        self.at.close()


class _Without:
    """The kinds of jobs but one."""

    def __init__(self, kinds: Any, name: str) -> None:
        self._kinds, self._name = kinds, name

    def __getitem__(self, name: str) -> Any:
        return self._kinds[name]

    def __iter__(self) -> Iterator[Any]:
        return (kind for kind in self._kinds if kind.name != self._name)


@contextmanager
def ses_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SesServer]:
    """Yield SES on this machine, which botocore finds by itself."""
    server = SesServer()
    for name, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    aws.client.cache_clear()
    try:
        yield server
    finally:
        aws.client.cache_clear()
        server.close()


@contextmanager
def mailing_of(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailing]:
    """Yield a tenant that mails, and SES."""
    with ses_server(monkeypatch) as server:
        made = Mailing(database, server)
        try:
            yield made
        finally:
            made.close()
