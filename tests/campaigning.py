"""What the campaign tests share: people who agreed, a template, a Meta that keeps a ledger."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx

from switchboard.campaigns import control, drafts
from switchboard.campaigns.control import CampaignPause, CampaignSchedule
from switchboard.campaigns.drafts import CampaignChange, NewCampaign, Shown
from switchboard.kernel.arguments import read
from switchboard.kernel.clock import Clock
from switchboard.tools import Tools
from switchboard.worker import drain
from tests.databases import ClonedDatabase
from tests.limited import Simulated, quiet
from tests.sending import Place, World, deliver, status_body

BODY = [{"type": "BODY", "text": "Hello {{1}}, {{2}}!", "example": {"body_text": [["Ana", "ten"]]}}]
PARAMS = {"body": {"1": {"value": "contact.name", "fallback": "you"}, "2": {"text": "come in"}}}
#: Of a message, what its recipient is.
STATUS = {"pending": "queued", "sending": "queued", "accepted": "sent", "played": "read"}


@dataclass
class Ledger(httpx.BaseTransport):
    """A Meta that notes each message it takes, by the phone it is for.

    `answer` says how a request fails: a code of Meta's, `timeout` (taken, and nobody is told),
    `connect` (never taken), None: it is taken. `before` runs before anything is answered.
    """

    answer: Callable[[str], str | int | None] = lambda _: None
    before: Callable[[dict[str, Any]], None] = lambda _: None
    taken: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one POST of a message."""
        body = json.loads(request.read())
        self.before(body)
        phone, key = body["to"].lstrip("+"), body["biz_opaque_callback_data"]
        wrong = self.answer(phone)
        if wrong == "connect":
            raise httpx.ConnectError("refused")
        if isinstance(wrong, int):
            return httpx.Response(400, json={"error": {"message": "no", "code": wrong}})
        self.taken.append((phone, key))
        self.bodies.append(body)
        if wrong == "timeout":
            raise httpx.ReadTimeout("no answer")
        return httpx.Response(
            200,
            json={
                "messaging_product": "whatsapp",
                "contacts": [{"input": body["to"], "wa_id": phone}],
                "messages": [{"id": f"wamid.{key}"}],
            },
        )

    @property
    def phones(self) -> Counter[str]:
        """How many messages each phone was sent."""
        return Counter(phone for phone, _ in self.taken)


class Campaigns:
    """One tenant with a number and a template, and workers in simulated time."""

    def __init__(self, database: ClonedDatabase, *, status: str = "APPROVED") -> None:
        self.database = database
        self.world = World(database)
        self.place: Place = self.world.place()
        self.clock = Simulated()
        self.place.time.now = self.clock.now
        self.meta = Ledger()
        self.tools = self.process()
        self.place.set_number(throughput="HIGH")
        self.template(status)

    def process(self, clock: Clock | None = None) -> Tools:
        """Return a process of its own; `clock`: real time, where several work at once."""
        made: Any = clock or self.clock
        return self.world.tools(made, transport=self.meta)

    def real(self) -> Tools:
        """Return a process in real time."""
        return self.process(Clock())

    def template(
        self, status: str = "APPROVED", *, category: str = "MARKETING", at: int = 1
    ) -> None:
        """Store the template `offer` as a sync does."""
        states = {
            "status": {"at": at, "v": {"status": status}},
            "category": {"at": at, "v": category},
        }
        self.place.everything.execute(
            "insert into messaging.whatsapp_templates (tenant_id, waba_id, name, language, states,"
            " components, components_fetched_at, parameter_format)"
            " values (%s, %s, 'offer', 'en', %s, %s, clock_timestamp(), 'POSITIONAL')"
            " on conflict (tenant_id, waba_id, name, language) do update"
            " set states = excluded.states",
            (self.place.tenant_id, self.place.waba_id, json.dumps(states), json.dumps(BODY)),
        )

    def people(self, count: int, *, first: int = 0, state: str = "opted_in") -> list[str]:
        """Make people who have agreed, and return their phones."""
        start = 4915200000000 + first
        self.place.everything.execute(
            """
            with made as (
                insert into messaging.contacts
                    (tenant_id, id, name, phone_number, opt_in_status, opted_in_at)
                select %(t)s, messaging.new_id(clock_timestamp() - interval '1 day'
                    + (%(f)s - 4915200000000 + n) * interval '1 millisecond'),
                    'P' || n, '+' || (%(f)s + n), %(s)s, clock_timestamp() - interval '1 day'
                from generate_series(0, %(c)s - 1) as n returning id, phone_number
            )
            insert into messaging.contact_identifiers (tenant_id, kind, value, contact_id)
            select %(t)s, 'phone', substr(phone_number, 2), id from made
            """,
            {"t": self.place.tenant_id, "f": start, "c": count, "s": state},
        )
        return [str(start + n) for n in range(count)]

    def contact(self, phone: str) -> UUID:
        """Return whose phone it is."""
        (row,) = self.place.rows("contact_identifiers", value=phone)
        found: UUID = row["contact_id"]
        return found

    def create(self, **more: Any) -> UUID:
        """Make a campaign, as a caller of the API does, and return its id."""
        given = {
            "name": "Spring",
            "from": self.place.phone_number_id,
            "template": "offer",
            "template_params": PARAMS,
            "audience": {"type": "all_contacts"},
            **more,
        }
        made = drafts.create_campaign(self.tools, self.tenant, read(NewCampaign, given))
        return made.campaign.id

    @property
    def tenant(self) -> UUID:
        """The tenant's id."""
        return self.place.tenant_id

    def change(self, campaign: UUID, **change: Any) -> Shown:
        """Change one."""
        return drafts.change_campaign(
            self.tools, self.tenant, campaign, read(CampaignChange, change)
        )

    def schedule(self, campaign: UUID, at: str | None = None, zone: str | None = None) -> Shown:
        """Schedule one."""
        wanted = CampaignSchedule(scheduled_at=at, timezone=zone)
        return control.schedule_campaign(self.tools, self.tenant, campaign, wanted)

    def start(self, campaign: UUID) -> UUID:
        """Start one."""
        control.start_campaign(self.tools, self.tenant, campaign)
        return campaign

    def pause(self, campaign: UUID, tools: Tools | None = None) -> Shown:
        """Pause one."""
        return control.pause_campaign(tools or self.tools, self.tenant, campaign, CampaignPause())

    def resume(self, campaign: UUID) -> Shown:
        """Resume one."""
        return control.resume_campaign(self.tools, self.tenant, campaign)

    def cancel(self, campaign: UUID) -> Shown:
        """Cancel one."""
        return control.cancel_campaign(self.tools, self.tenant, campaign)

    def show(self, campaign: UUID) -> Shown:
        """Show one."""
        return drafts.show_campaign(self.tools, self.tenant, campaign)

    def work(self, seconds: float = 120, tools: Tools | None = None) -> None:
        """Let a worker run for simulated seconds: ticked once a minute, nudged when time is up."""
        end = self.clock.monotonic() + seconds
        with quiet():
            while self.clock.monotonic() < end:
                began = self.clock.monotonic()
                summary = drain(tools or self.tools, began + 120)
                left = min(end, began + 60) - self.clock.monotonic()
                if summary.stopped == "idle" and left > 0:
                    self.clock.turn(left)
        self.place.time.now = self.clock.now

    def statuses(self, campaign: UUID, *steps: str, phones: set[str] | None = None) -> None:
        """Take in statuses of a campaign's messages, as Meta tells them."""
        for phone, key in self.meta.taken:
            if phones is None or phone in phones:
                told = [(step, self.clock.now) for step in steps]
                deliver(self.tools, status_body(self.place, f"wamid.{key}", key, *told))

    def stop(self, phone: str) -> None:
        """The person says STOP."""
        self.place.everything.execute(
            "insert into messaging.consents (tenant_id, contact_id, scope, state, source,"
            " statement_sha256, occurred_at, created_at)"
            " values (%s, %s, 'messages', 'withdrawn', 'keyword', sha256(%s), %s, %s)",
            (self.tenant, self.contact(phone), phone.encode(), self.clock.now, self.clock.now),
        )
        self.place.everything.execute(
            "update messaging.contacts set opt_in_status = 'opted_out', opted_out_at = %s"
            " where id = %s",
            (self.clock.now, self.contact(phone)),
        )

    def lose_runs(self) -> None:
        """As when the worker that would have run them is gone for long."""
        self.place.everything.execute(
            "delete from messaging.scheduled_jobs"
            " where job_type in ('run_campaign', 'watch_campaigns') and status = 'pending'"
        )

    def recipients(self, campaign: UUID) -> dict[str, tuple[str, str | None]]:
        """Return state and reason by phone."""
        rows = self.place.everything.execute(
            "select substr(c.phone_number, 2), r.status, r.reason"
            " from messaging.campaign_recipients as r join messaging.contacts as c"
            " on c.tenant_id = r.tenant_id and c.id = r.contact_id where r.campaign_id = %s",
            (campaign,),
        )
        return {row[0]: (row[1], row[2]) for row in rows}

    def counts(self, campaign: UUID) -> dict[str, int]:
        """Return the counters that a caller sees."""
        return self.show(campaign).progress.by_status

    def check(self, campaign: UUID) -> None:
        """The counters are the recipients' states, and those are their messages'."""
        rows = self.place.everything.execute(
            "select r.status, m.status, m.origin_id, r.contact_id = m.contact_id"
            " from messaging.campaign_recipients as r left join messaging.whatsapp_messages as m"
            " on m.tenant_id = r.tenant_id and m.id = r.message_id where r.campaign_id = %s",
            (campaign,),
        ).fetchall()
        recount: Counter[str] = Counter()
        for status, message, origin_id, same in rows:
            recount[status] += 1
            if status in {"pending", "skipped"} or message is None:
                assert message is None
                assert status in {"pending", "skipped", "cancelled"}
            else:
                assert STATUS.get(message, message) == status
                assert origin_id == campaign
                assert same
        assert self.counts(campaign) == dict(recount)
        # Nobody's message is without its recipient, but those that were sent again.
        ((stray,),) = self.place.everything.execute(
            "select count(*) from messaging.whatsapp_messages as m where m.origin_id = %s"
            " and not exists (select from messaging.campaign_recipients as r"
            " where m.id in (r.message_id, r.previous_message_id))",
            (campaign,),
        )
        assert stray == 0

    def close(self) -> None:
        """Close every connection."""
        self.world.close()


@contextmanager
def campaigns(database: ClonedDatabase, **how: Any) -> Iterator[Campaigns]:
    """Yield a tenant's campaigns, closed afterwards."""
    made = Campaigns(database, **how)
    try:
        yield made
    finally:
        made.close()
