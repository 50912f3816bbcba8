"""What the phones show: chats between a person and a business number, with their ticks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from local.simulator.archive import Archive

Json = dict[str, Any]
Author = Literal["person", "business"]
State = Literal["accepted", "sent", "delivered", "read", "failed"]

WINDOW_SECONDS = 24 * 3600
TYPING_SECONDS = 25
# Load tests write a lot; a phone needs to show only the latest.
KEPT = 20_000
_RANK: dict[State, int] = {"accepted": 0, "sent": 1, "delivered": 2, "read": 3, "failed": 4}


@dataclass(slots=True)
class Message:
    """One bubble, or one reaction to a bubble.

    `content` is Meta's object of the type. `state` of a business's message: accepted by the API,
    sent, delivered to the phone, read on it, or failed (with Meta's `error`). Of a person's: sent,
    delivered once the backend answered the webhook with 200, read once it was marked as read.
    `shown` is what a template looks like (template_view.py), None where nobody knows.
    `product` is Meta's referred_product of a question about one. `at` is a Unix time in seconds.
    """

    id: str
    person_id: str
    phone_number_id: str
    author: Author
    type: str
    content: Json
    at: float
    state: State
    quoted_id: str | None = None
    callback_data: str | None = None
    error: Json | None = None
    reactions: dict[str, str] = field(default_factory=dict)
    product: Json | None = None
    shown: Json | None = None


ChatKey = tuple[str, str]


@dataclass(slots=True)
class Chat:
    """One person and one business number. `written_at`: the person's last message, None = never."""

    ids: list[str] = field(default_factory=list)
    written_at: float | None = None
    typing_until: float = 0.0


_FILES = {
    "image": ("📷", "Photo"),
    "video": ("🎞️", "Video"),
    "audio": ("🎵", "Audio"),
    "document": ("📄", "Document"),
}


def preview(message: Message) -> str:
    """A message in a line of text, as chat lists and quotes show it."""
    if message.shown is not None and message.shown.get("body"):
        return " ".join(str(message.shown["body"]).split())
    return _in_a_line(message.type, message.content)


def _in_a_line(kind: str, content: Json) -> str:
    match kind:
        case "text":
            return str(content.get("body", ""))
        case "interactive":
            return _asked_or_answered(content)
        case "button":
            return str(content.get("text", ""))
        case "order":
            count = sum(item.get("quantity", 1) for item in content.get("product_items") or [])
            return f"🛒 Order of {count}"
        case "location":
            return f"📍 {content.get('name') or 'Location'}"
        case "contacts":
            (card, *_) = content.get("items") or [{}]
            return f"👤 {(card.get('name') or {}).get('formatted_name') or 'Number shared'}"
        case "reaction":
            return str(content.get("emoji") or "reaction removed")
        case "template":
            return f"Template {content.get('name', '')}"
        case _ if kind in _FILES:
            sign, word = _FILES[kind]
            return f"{sign} {content.get('caption') or content.get('filename') or word}"
        case _:
            return kind.capitalize()


def _asked_or_answered(content: Json) -> str:
    kind = str(content.get("type", ""))
    reply = content.get(kind)
    if isinstance(reply, dict) and "title" in reply:
        return str(reply["title"])
    if isinstance(reply, dict) and kind == "call_permission_reply":
        return f"📞 Calls: {reply.get('response', '')}"
    return str((content.get("body") or {}).get("text", kind.replace("_", " ")))


class Phone:
    """All chats. Each change is archived and told to `changed` (a message as `view` shows it)."""

    def __init__(self, archive: Archive, changed: Callable[[Message], None]) -> None:
        self._archive = archive
        self._changed = changed
        self._messages: dict[str, Message] = {}
        self._chats: defaultdict[ChatKey, Chat] = defaultdict(Chat)
        self._played: set[str] = set()
        for _, document in archive.documents("message"):
            self._place(Message(**document))
        for key, document in archive.documents("chat"):
            person_id, _, phone_number_id = key.rpartition("/")
            self._chats[(person_id, phone_number_id)].written_at = document["written_at"]
            self._played.add(person_id)

    def add(self, message: Message) -> None:
        """A new message; a person's opens the 24-hour window, and any reply ends the typing."""
        self._place(message)
        self._save(message)
        chat = self._chats[(message.person_id, message.phone_number_id)]
        if message.author == "person":
            self._played.add(message.person_id)
            self.set_window((message.person_id, message.phone_number_id), message.at)
        elif message.type != "reaction":
            chat.typing_until = 0.0
        if len(self._messages) > KEPT:
            self._drop_oldest()

    def get(self, message_id: str) -> Message | None:
        """The message of that id, or None."""
        return self._messages.get(message_id)

    def all(self) -> Iterable[Message]:
        """Every message still kept, oldest first."""
        return list(self._messages.values())

    def chat(self, key: ChatKey) -> list[Message]:
        """One chat's messages, oldest first, reactions included."""
        return [self._messages[i] for i in self._chats[key].ids] if key in self._chats else []

    def advance(self, message: Message, state: State, *, error: Json | None = None) -> bool:
        """Move a message up the ladder; False (and no change) when it is already there or above."""
        if _RANK[state] <= _RANK[message.state]:
            return False
        message.state = state
        message.error = error
        self._save(message)
        return True

    def react(self, target_id: str, author: Author, emoji: str) -> None:
        """Put a reaction on a bubble; an empty emoji takes it off. Unknown bubbles are ignored."""
        target = self._messages.get(target_id)
        if target is None:
            return
        if emoji:
            target.reactions[author] = emoji
        else:
            target.reactions.pop(author, None)
        self._save(target)

    def mark_read(self, message: Message) -> None:
        """The business read this message of a person: it and all earlier ones turn blue."""
        for earlier in self.chat((message.person_id, message.phone_number_id)):
            if earlier.author == "person":
                self.advance(earlier, "read")
            if earlier.id == message.id:
                return

    def unread(self, key: ChatKey) -> list[Message]:
        """The business's messages that reached the phone and were not shown yet."""
        return [m for m in self.chat(key) if m.author == "business" and m.state == "delivered"]

    def window_open(self, key: ChatKey, now: float) -> bool:
        """Whether free-form messages to this person arrive.

        Whom this phone has never played is served as if the window were open: their webhooks may
        have come from elsewhere, such as a test.
        """
        if key[0] not in self._played:
            return True
        chat = self._chats.get(key)
        if chat is None or chat.written_at is None:
            return False
        return now - chat.written_at < WINDOW_SECONDS

    def set_window(self, key: ChatKey, written_at: float) -> None:
        """The person wrote then; a time long ago closes the window."""
        self._played.add(key[0])
        self._chats[key].written_at = written_at
        self._archive.put("chat", "/".join(key), {"written_at": written_at})

    def set_typing(self, key: ChatKey, now: float) -> None:
        """The business types: shown until it answers, at most 25 s."""
        self._chats[key].typing_until = now + TYPING_SECONDS

    def typing_until(self, key: ChatKey) -> float:
        """When the typing dots go away by themselves, as a Unix time; 0 = not typing."""
        return self._chats[key].typing_until if key in self._chats else 0.0

    def view(self, message: Message) -> Json:
        """A message as the page and the tests' API show it."""
        shown = asdict(message)
        shown["contact"] = shown.pop("person_id")
        shown["preview"] = preview(message)
        quoted = self._messages.get(message.quoted_id) if message.quoted_id else None
        if quoted is not None:
            text = preview(quoted)
            shown["quoted"] = {"id": quoted.id, "author": quoted.author, "preview": text}
        return shown

    def clear(self) -> None:
        """Empty every phone."""
        self._messages.clear()
        self._chats.clear()
        self._played.clear()

    def _place(self, message: Message) -> None:
        self._messages[message.id] = message
        self._chats[(message.person_id, message.phone_number_id)].ids.append(message.id)

    def _save(self, message: Message) -> None:
        self._archive.put("message", message.id, asdict(message))
        self._changed(message)

    def _drop_oldest(self) -> None:
        oldest = next(iter(self._messages.values()))
        del self._messages[oldest.id]
        self._chats[(oldest.person_id, oldest.phone_number_id)].ids.remove(oldest.id)
        self._archive.remove("message", oldest.id)
