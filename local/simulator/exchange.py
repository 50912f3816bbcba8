"""What Meta does between the Graph API and the phones."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from local.simulator.archive import Archive
from local.simulator.calls import PERMISSION_SECONDS, Call, Calls
from local.simulator.config import BusinessNumber, Config
from local.simulator.faults import FaultBoard, Status
from local.simulator.flows import Flows
from local.simulator.graph_checks import Send, media_of
from local.simulator.graph_errors import GraphRefusal, status_error
from local.simulator.graph_shapes import unacceptable
from local.simulator.graph_templates import check_against, unknown_template
from local.simulator.journal import Journal
from local.simulator.limits import Limits
from local.simulator.media import MediaShelf
from local.simulator.numbers import Numbers
from local.simulator.payloads import Update, inbound, new_message_id, status
from local.simulator.people import People, Person, digits_of, whatsapp_id
from local.simulator.phone import Message, Phone
from local.simulator.preferences import Preferences
from local.simulator.template_view import view_of
from local.simulator.templates import REVIEW_SECONDS, Template, Templates
from local.simulator.webhooks import Webhooks

Json = dict[str, Any]


class Exchange:
    """The simulated Meta's state and its rules; knows nothing of HTTP requests.

    `clock` gives Unix seconds. Every method must run in the event loop's thread.
    """

    def __init__(self, config: Config, clock: Callable[[], float] = time.time) -> None:
        self.config = config
        self.clock = clock
        folder = config.local_dir
        self.archive = Archive(folder)
        self.journal = Journal()
        self.people = People(self.archive)
        self.phone = Phone(self.archive, self._tell)
        self.media = MediaShelf(self.archive, folder / "simulator-media" if folder else None)
        self.limits = Limits()
        self.faults = FaultBoard()
        for _, document in self.archive.documents("faults"):
            self.faults.change(document)
        self.webhooks = Webhooks(config, self.faults, self.journal, self.archive)
        self.webhooks.answered = self._taken_by_backend
        self.calls = Calls(
            self.archive,
            self.phone,
            self.webhooks.post,
            lambda call: self.journal.publish("phone_call", call),
            clock,
        )
        self.flows = Flows(self.archive, self.webhooks.post, clock)
        self.numbers = Numbers(self.archive, self.webhooks.post, clock)
        self.preferences = Preferences(self.archive, self.webhooks.post, clock)
        self.templates = Templates(
            self.archive,
            self.webhooks.post,
            lambda: self.journal.publish("templates", {}),
            clock,
        )

    async def start(self) -> None:
        """Begin delivering, and finish what an earlier run accepted."""
        await self.webhooks.start()
        for message in self.phone.all():
            if message.author == "business" and message.state in ("accepted", "sent"):
                person = self.people.find(message.person_id)
                if person is not None:
                    self.webhooks.run(self._travel(person, message))
        self._review_all()

    async def stop(self) -> None:
        """End the webhooks and the event streams, release the files."""
        self.journal.close()
        await self.webhooks.stop()
        self.archive.close()

    def view(self, message: Message) -> Json:
        """A message as pages and tests see it."""
        return self.phone.view(message)

    # The business's side

    def accept(self, number: BusinessNumber, send: Send) -> tuple[Person, Message]:
        """Take a message that passed its checks; its statuses follow. Raises GraphRefusal."""
        digits = digits_of(send.to)
        if digits is not None and whatsapp_id(digits) == whatsapp_id(number.display_phone_number):
            raise GraphRefusal(131021)
        self._check_allowed(send.to)
        shown = self._look_of_template(number, send)
        self._check_media(number, send)
        self.flows.check(number.waba_id, send)
        person = self.people.find_or_add(send.to)
        if person is None:
            raise GraphRefusal(131009, details="The recipient is not a valid WhatsApp user.")
        if send.type == "interactive" and send.content["type"] == "call_permission_request":
            self.calls.check_request(person, number)
        self._check_limits(number, person)
        message = Message(
            id=new_message_id(person.address, inbound=False),
            person_id=person.id,
            phone_number_id=number.phone_number_id,
            author="business",
            type=send.type,
            content=send.content if isinstance(send.content, dict) else {"items": send.content},
            at=self.clock(),
            state="accepted",
            quoted_id=send.context_id,
            callback_data=send.callback_data,
            shown=shown,
        )
        self.phone.add(message)
        self.webhooks.run(self._travel(person, message))
        return person, message

    def mark_read(self, number: BusinessNumber, message_id: str, *, typing: bool) -> None:
        """The business read a person's message. An id of another origin is taken silently.

        Raises GraphRefusal for a message the business wrote itself or another number's.
        """
        message = self.phone.get(message_id)
        if message is None:
            return
        if message.author != "person" or message.phone_number_id != number.phone_number_id:
            raise GraphRefusal(131009, details="Message ID is not a received message.")
        self.phone.mark_read(message)
        if typing:
            key = (message.person_id, message.phone_number_id)
            self.phone.set_typing(key, self.clock())
            until = self.phone.typing_until(key)
            typed = {"contact": key[0], "phone_number_id": key[1], "until": until}
            self.journal.publish("typing", typed)

    def review(self, template: Template) -> None:
        """Judge a submitted template in a moment: it is approved."""
        self.webhooks.run(self._judge(template.id))

    def _review_all(self) -> None:
        for template in self.templates:
            if template.status == "PENDING":
                self.review(template)

    async def _judge(self, template_id: str) -> None:
        await self.webhooks.pause(REVIEW_SECONDS)
        template = self.templates.get(template_id)
        if template is not None and template.status == "PENDING":
            self.templates.set_status(template, "APPROVED")

    def _check_allowed(self, to: str) -> None:
        allowed = self.faults.now.allowed_recipients
        if allowed and whatsapp_id(to) not in {whatsapp_id(digits_of(a) or a) for a in allowed}:
            raise GraphRefusal(131030)

    def _look_of_template(self, number: BusinessNumber, send: Send) -> Json | None:
        """Return what a template shows once it fits its definition; None for other messages.

        An account that has no templates here sends whatever it likes; nobody knows how it looks.
        """
        if send.type != "template" or not self.templates.is_known(number.waba_id):
            return None
        name, language = send.content["name"], send.content["language"]["code"]
        template = self.templates.find(number.waba_id, name, language)
        if template is None:
            raise unknown_template(send.content)
        check_against(template.node(), send.content)
        lite = {"category": "marketing_lite"} if send.is_lite else {}
        return view_of(template.node(), send.content) | lite

    def _check_media(self, number: BusinessNumber, send: Send) -> None:
        for path, media_id in media_of(send):
            media = self.media.get(media_id)
            if media is None or media.phone_number_id != number.phone_number_id:
                raise unacceptable(
                    f"Param {path}['id'] is not a valid whatsapp business account media"
                    " attachment ID"
                )

    def _check_limits(self, number: BusinessNumber, person: Person) -> None:
        faults, now = self.faults.now, self.clock()
        if faults.throughput_limit and not self.limits.take_throughput(
            number.phone_number_id, per_second=faults.throughput_per_second, now=now
        ):
            raise GraphRefusal(130429)
        if faults.pair_limit and not self.limits.take_pair(
            number.phone_number_id, person.address, burst=faults.pair_burst, now=now
        ):
            raise GraphRefusal(131056)

    async def _travel(self, person: Person, message: Message) -> None:
        """Accepted -> sent -> delivered, or failed; a reaction only ever gets to sent."""
        await self._gap()
        code = self._obstacle(person, message)
        if code is not None:
            if self.phone.advance(message, "failed", error=status_error(code)):
                self._post_status(person, message, "failed")
            return
        if self.phone.advance(message, "sent"):
            self._post_status(person, message, "sent")
        if message.type == "reaction":
            self.phone.react(
                str(message.content.get("message_id")),
                "business",
                str(message.content.get("emoji", "")),
            )
            return
        await self._gap()
        if self.phone.advance(message, "delivered"):
            self._post_status(person, message, "delivered")

    def _obstacle(self, person: Person, message: Message) -> int | None:
        """Meta's code for why a message does not arrive; None where it does."""
        if self.numbers.has_blocked(message.phone_number_id, person.id):
            return 131026
        if self.faults.now.failed_code is not None:
            return self.faults.now.failed_code
        if message.type != "template":
            key = (message.person_id, message.phone_number_id)
            return None if self.phone.window_open(key, message.at) else 131047
        number = self.config.number(message.phone_number_id)
        category = (message.shown or {}).get("category")
        is_marketing = category in ("marketing", "marketing_lite")
        if is_marketing and number and self.preferences.has_stopped(person, number.waba_id):
            return 131050
        return None

    async def _gap(self) -> None:
        await self.webhooks.pause(self.faults.now.status_gap_ms / 1000)

    def _post_status(self, person: Person, message: Message, word: Status) -> None:
        if word not in self.faults.now.lost_statuses:
            self.webhooks.post(status(person, message, word, self.clock()))

    # The people's side

    def write(
        self,
        person: Person,
        number: BusinessNumber,
        *,
        kind: str,
        content: Json,
        quoted_id: str | None = None,
        product: Json | None = None,
    ) -> Message:
        """A person sends something to a business number; its webhook leaves.

        `product`: what they ask about, as Meta's referred_product.
        """
        message = Message(
            id=new_message_id(person.address, inbound=True),
            person_id=person.id,
            phone_number_id=number.phone_number_id,
            author="person",
            type=kind,
            content=content,
            at=self.clock(),
            state="sent",
            quoted_id=quoted_id,
            product=product,
        )
        self.phone.add(message)
        if kind == "reaction":
            self.phone.react(content["message_id"], "person", content.get("emoji", ""))
        # In and out count together, but nobody refuses a person.
        self.limits.take_throughput(
            number.phone_number_id,
            per_second=self.faults.now.throughput_per_second,
            now=self.clock(),
        )
        if not self.numbers.has_blocked(number.phone_number_id, person.id):
            self.webhooks.post(inbound(number, person, message))
        return message

    def ring(self, person: Person, number: BusinessNumber, payload: str | None = None) -> Call:
        """A person calls; where the number is set so, that allows a call back."""
        call = self.calls.ring(person, number, payload)
        if self.calls.settings(number).get("callback_permission_status") == "ENABLED":
            reply: Json = {"response": "accept", "is_permanent": False}
            reply["expiration_timestamp"] = str(int(self.clock()) + PERMISSION_SECONDS)
            reply["response_source"] = "automatic"
            content = {"type": "call_permission_reply", "call_permission_reply": reply}
            self.write(person, number, kind="interactive", content=content, quoted_id=call.id)
        return call

    def show_chat(self, person: Person, number: BusinessNumber) -> list[Message]:
        """The person looks at the chat: what had arrived is read. Returns what was unread."""
        unread = self.phone.unread((person.id, number.phone_number_id))
        for message in unread:
            if message.type != "reaction" and self.phone.advance(message, "read"):
                self._post_status(person, message, "read")
        return unread

    # Switches and housekeeping

    def change_faults(self, changes: Json) -> Json:
        """Set some switches; raises pydantic's ValidationError."""
        self.faults.change(changes)
        return self._faults_changed()

    def reset_faults(self) -> Json:
        """A healthy Meta again."""
        self.faults.reset()
        return self._faults_changed()

    def forget_everything(self) -> None:
        """Empty phones, logs and shelves, a healthy Meta; accounts keep templates and Flows."""
        self.webhooks.forget()
        self.people.clear()
        self.phone.clear()
        self.media.clear()
        self.limits.clear()
        self.calls.clear()
        self.numbers.clear()
        self.preferences.clear()
        self.journal.clear()
        self.archive.clear()
        self.templates.save_all()
        self.flows.save_all()
        self._review_all()
        self.reset_faults()
        self.journal.publish("reload", {})

    def _faults_changed(self) -> Json:
        document = self.faults.now.model_dump(mode="json")
        self.archive.put("faults", "now", document)
        self.journal.publish("faults", document)
        return document

    def _taken_by_backend(self, updates: list[Update]) -> None:
        for update in updates:
            message = self.phone.get(update.item["id"]) if update.kind == "messages" else None
            if message is not None:
                self.phone.advance(message, "delivered")

    def _tell(self, message: Message) -> None:
        self.journal.publish("message", self.phone.view(message))
