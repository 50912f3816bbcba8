"""Calls between people and business numbers: who may call, what rings, and what is told of it.

One call is open between two at a time. What a business needs a person's leave for follows from the
chat: the newest call_permission_reply counts.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from local.simulator.archive import Archive
from local.simulator.config import BusinessNumber
from local.simulator.graph_errors import GraphRefusal
from local.simulator.payloads import Update
from local.simulator.people import Person
from local.simulator.phone import Message, Phone

Json = dict[str, Any]
State = Literal["ringing", "accepted", "completed", "rejected", "missed"]

DAY = 24 * 3600
#: How long a permission that is not for good lasts.
PERMISSION_SECONDS = 7 * DAY
#: Requests for a permission to one person: so many in so many seconds, since the last talk.
REQUESTS = ((DAY, 1), (7 * DAY, 2))
#: Questions about permissions that a number may ask in a second.
QUESTIONS = 5
#: Calls to one person in 24 hours.
MOST_CALLS = 100
#: What the other side's client offers or answers: invented, but well-formed (RFC 8866).
SDP = (
    "v=0\r\no=- 7669997803033704573 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    "m=audio 3480 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 127.0.0.1\r\na=mid:audio\r\na=sendrecv\r\n"
    "a=rtpmap:111 opus/48000/2\r\n"
)
_OPEN = ("ringing", "accepted")


class CallOver(ValueError):
    """The call is not there, or not in a state for that."""


@dataclass(slots=True)
class Call:
    """One call; times in Unix seconds. `by_person` tells whose call it is.

    `payload` is that of the button that was tapped, `callback_data` what the business gave.
    """

    id: str
    person_id: str
    phone_number_id: str
    by_person: bool
    at: float
    state: State = "ringing"
    accepted_at: float | None = None
    ended_at: float | None = None
    payload: str | None = None
    callback_data: str | None = None


class Calls:
    """All calls. Each change is archived and told to `changed`; webhooks leave by `post`."""

    def __init__(
        self,
        archive: Archive,
        phone: Phone,
        post: Callable[[Update], None],
        changed: Callable[[Json], None],
        clock: Callable[[], float],
    ) -> None:
        self._archive = archive
        self._phone = phone
        self._post = post
        self._changed = changed
        self._clock = clock
        self._calls = {key: Call(**document) for key, document in archive.documents("call")}
        self._settings = dict(archive.documents("calling"))
        self._questions: dict[str, list[float]] = {}

    def all(self) -> list[Json]:
        """Every call, oldest first, as the page and tests see it."""
        return [view(call) for call in self._calls.values()]

    def get(self, call_id: str) -> Call | None:
        """The call of that id, or None."""
        return self._calls.get(call_id)

    def clear(self) -> None:
        """Forget all calls and settings."""
        self._calls.clear()
        self._settings.clear()
        self._questions.clear()

    # What may be done

    def settings(self, number: BusinessNumber) -> Json:
        """The number's calling settings; calls are on until they are switched off."""
        return {"status": "ENABLED", **self._settings.get(number.phone_number_id, {})}

    def set_settings(self, number: BusinessNumber, calling: Json) -> None:
        """Change the settings that are given."""
        kept = {**self._settings.get(number.phone_number_id, {}), **calling}
        self._settings[number.phone_number_id] = kept
        self._archive.put("calling", number.phone_number_id, kept)

    def permission(self, person: Person, number: BusinessNumber) -> tuple[str, int | None]:
        """Meta's word for the permission, and when it ends."""
        for message in reversed(self._phone.chat((person.id, number.phone_number_id))):
            reply = message.content.get("call_permission_reply")
            if message.author != "person" or not isinstance(reply, dict):
                continue
            if reply.get("response") != "accept":
                break
            if reply.get("is_permanent"):
                return "permanent", None
            until = int(reply.get("expiration_timestamp") or 0)
            return ("temporary", until) if until > self._clock() else ("no_permission", None)
        return "no_permission", None

    def check_request(self, person: Person, number: BusinessNumber) -> None:
        """Whether the person may be asked for a permission now; raises GraphRefusal."""
        if self.permission(person, number)[0] == "permanent":
            raise GraphRefusal(138017)
        for seconds, most in REQUESTS:
            if self.requests(person, number, seconds) >= most:
                raise GraphRefusal(138009)

    def requests(self, person: Person, number: BusinessNumber, seconds: float) -> int:
        """How often the person was asked in that time, counted from the last talk."""
        talks = [c.accepted_at or 0.0 for c in self._between(person.id, number.phone_number_id)]
        since = max([self._clock() - seconds, *talks])
        chat = self._phone.chat((person.id, number.phone_number_id))
        return sum(_asks(message) and message.at > since for message in chat)

    def calls_of_a_day(self, person: Person, number: BusinessNumber) -> int:
        """How often the business called the person in 24 hours."""
        since = self._clock() - DAY
        between = self._between(person.id, number.phone_number_id)
        return sum(not call.by_person and call.at > since for call in between)

    def take_question(self, number: BusinessNumber) -> None:
        """Somebody asks about a permission; raises GraphRefusal for too many in a second."""
        now = self._clock()
        kept = [at for at in self._questions.get(number.phone_number_id, []) if now - at < 1]
        self._questions[number.phone_number_id] = kept
        if len(kept) >= QUESTIONS:
            raise GraphRefusal(613)
        kept.append(now)

    # The business's side

    def connect(self, person: Person, number: BusinessNumber, callback_data: str | None) -> Call:
        """The business calls; the phone rings. Raises GraphRefusal."""
        if self.permission(person, number)[0] == "no_permission":
            raise GraphRefusal(138006)
        if self.open_call(person.id, number.phone_number_id) is not None:
            raise GraphRefusal(138003)
        if self.calls_of_a_day(person, number) >= MOST_CALLS:
            raise GraphRefusal(138012)
        call = self._add(person, number, by_person=False, callback_data=callback_data)
        self._tell_status(person, number, call, "RINGING")
        return call

    def act(self, person: Person, number: BusinessNumber, call: Call, verb: str) -> None:
        """The business answers or ends a call; raises GraphRefusal."""
        if call.state not in _OPEN:
            raise GraphRefusal(138004, details="The call has ended.")
        if verb == "terminate":
            self._end(person, number, call, "completed" if call.accepted_at else "missed")
            return
        if not call.by_person or call.state != "ringing":
            raise GraphRefusal(138004, details=f"The call cannot be handled with {verb}.")
        if verb == "accept":
            call.state, call.accepted_at = "accepted", self._clock()
            self._keep(call)
        elif verb == "reject":
            self._end(person, number, call, "rejected")

    # The person's side

    def ring(self, person: Person, number: BusinessNumber, payload: str | None = None) -> Call:
        """The person calls the business. Raises CallOver while another call is open."""
        if self.open_call(person.id, number.phone_number_id) is not None:
            raise CallOver("another call is open")
        if self.settings(number)["status"] != "ENABLED":
            raise CallOver("the number takes no calls")
        call = self._add(person, number, by_person=True, payload=payload)
        self._phone.set_window((person.id, number.phone_number_id), call.at)
        offer: Json = {"session": {"sdp_type": "offer", "sdp": SDP}}
        if payload is not None:
            offer["cta_payload"] = payload
        self._tell(person, number, call, "connect", **offer)
        return call

    def take(self, person: Person, number: BusinessNumber) -> Call:
        """The person takes the business's call; raises CallOver."""
        call = self._ringing(person, number)
        call.state, call.accepted_at = "accepted", self._clock()
        self._keep(call)
        answer = {"sdp_type": "answer", "sdp": SDP}
        self._tell(person, number, call, "connect", session=answer)
        self._tell_status(person, number, call, "ACCEPTED")
        return call

    def decline(self, person: Person, number: BusinessNumber) -> Call:
        """The person refuses the business's call; raises CallOver."""
        call = self._ringing(person, number)
        self._tell_status(person, number, call, "REJECTED")
        self._end(person, number, call, "rejected")
        return call

    def miss(self, person: Person, number: BusinessNumber) -> Call:
        """It rang long enough: nobody took the call, whoever made it. Raises CallOver."""
        call = self.open_call(person.id, number.phone_number_id)
        if call is None or call.state != "ringing":
            raise CallOver("nothing rings")
        self._end(person, number, call, "missed")
        return call

    def hang_up(self, person: Person, number: BusinessNumber) -> Call:
        """The person ends the open call; raises CallOver."""
        call = self.open_call(person.id, number.phone_number_id)
        if call is None:
            raise CallOver("no call is open")
        self._end(person, number, call, "completed" if call.accepted_at else "missed")
        return call

    def open_call(self, person_id: str, phone_number_id: str) -> Call | None:
        """The call that rings or goes on between the two, or None."""
        between = self._between(person_id, phone_number_id)
        return next((call for call in between if call.state in _OPEN), None)

    def _between(self, person_id: str, phone_number_id: str) -> list[Call]:
        pair = (person_id, phone_number_id)
        return [c for c in self._calls.values() if (c.person_id, c.phone_number_id) == pair]

    def _ringing(self, person: Person, number: BusinessNumber) -> Call:
        call = self.open_call(person.id, number.phone_number_id)
        if call is None or call.by_person or call.state != "ringing":
            raise CallOver("the business does not ring")
        return call

    def _add(self, person: Person, number: BusinessNumber, **keys: Any) -> Call:
        call_id = f"wacid.{secrets.token_urlsafe(24)}"
        call = Call(call_id, person.id, number.phone_number_id, at=self._clock(), **keys)
        self._calls[call.id] = call
        self._keep(call)
        return call

    def _end(self, person: Person, number: BusinessNumber, call: Call, state: State) -> None:
        call.state, call.ended_at = state, self._clock()
        self._keep(call)
        told: Json = {"status": "FAILED"}
        if call.accepted_at is not None:
            times = {"start_time": str(int(call.accepted_at)), "end_time": str(int(call.ended_at))}
            duration = int(call.ended_at) - int(call.accepted_at)
            told = {"status": "COMPLETED", **times, "duration": duration}
        if call.callback_data is not None:
            told["biz_opaque_callback_data"] = call.callback_data
        self._tell(person, number, call, "terminate", **told)

    def _keep(self, call: Call) -> None:
        self._archive.put("call", call.id, asdict(call))
        self._changed(view(call))

    # Webhooks

    def _tell(
        self, person: Person, number: BusinessNumber, call: Call, event: str, **more: Any
    ) -> None:
        ends = [("from", "to"), ("to", "from")][not call.by_person]
        part: Json = {"id": call.id, ends[1]: number.display_phone_number}
        if person.wa_id:
            part[ends[0]] = person.wa_id
        if person.user_id:
            part[f"{ends[0]}_user_id"] = person.user_id
        part |= {
            "event": event,
            "timestamp": str(int(self._clock())),
            "direction": "USER_INITIATED" if call.by_person else "BUSINESS_INITIATED",
        }
        self._post(self._update(person, number, {"calls": [part | more]}))

    def _tell_status(self, person: Person, number: BusinessNumber, call: Call, word: str) -> None:
        status: Json = {
            "id": call.id,
            "timestamp": str(int(self._clock())),
            "type": "call",
            "status": word,
        }
        if person.wa_id:
            status["recipient_id"] = person.wa_id
        if person.user_id:
            status["recipient_user_id"] = person.user_id
        if call.callback_data is not None:
            status["biz_opaque_callback_data"] = call.callback_data
        self._post(self._update(person, number, {"statuses": [status]}))

    def _update(self, person: Person, number: BusinessNumber, told: Json) -> Update:
        metadata = {
            "display_phone_number": number.display_phone_number,
            "phone_number_id": number.phone_number_id,
        }
        value = {"messaging_product": "whatsapp", "metadata": metadata}
        return Update(
            id=secrets.token_hex(8),
            phone_number_id="",
            kind="account",
            item={**value, "contacts": [person.contact()], **told},
            lane=f"{number.phone_number_id}/{person.id}",
            waba_id=number.waba_id,
            field="calls",
            at=int(self._clock()),
        )


def view(call: Call) -> Json:
    """A call as the page and tests see it."""
    shown = asdict(call)
    shown["contact"] = shown.pop("person_id")
    return shown


def _asks(message: Message) -> bool:
    asks = message.content.get("type") == "call_permission_request"
    return asks and message.author == "business" and message.state != "failed"
