"""What intake must leave behind, said a second time: a small model in plain Python.

It knows the set of updates that were delivered and nothing of their order, number or grouping. The
rules are those of the design; `expected` and `found` are compared without generated ids and receipt
times. Contacts are named by their identifiers, conversations by number and contact (or group).
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from tests.deliveries import (
    SECOND,
    Json,
    Number,
    Person,
    Place,
    Update,
    failure,
    message,
    pack,
    status,
)

State = dict[str, dict[Any, Any]]
RUNGS = {"sent": 60, "failed": 65, "delivered": 70, "read": 80, "played": 90}
#: About a message or a chat, and no message that somebody has to read.
ADDS_NOTHING_TO_READ = {"reaction", "system", "edit", "revoke", "request_welcome"}
OPENS_NO_WINDOW = {"system", "edit", "revoke"}
#: System messages that bring the sender other identifiers.
CHANGES = {"user_changed_number", "customer_changed_number", "user_changed_user_id"}
NOBODY_REACTS = OPENS_NO_WINDOW | {"unsupported", "unknown"}


def time(second: int) -> datetime:
    """Return Meta's second as the database tells it."""
    return datetime.fromtimestamp(second, UTC)


@dataclass(frozen=True)
class Outbound:
    """A message of ours: `wamid` once its send is settled, None while its answer is lost."""

    number: Number
    id: UUID
    wamid: str | None


def expected(updates: Iterable[Update], outbound: Iterable[Outbound], now: int) -> State:
    """Return what these updates leave behind, however they came; `now` is the tests' present."""
    messages = {
        (u.number.phone_number_id, u.part["id"]): u for u in updates if u.list_name == "messages"
    }
    statuses = [u for u in updates if u.list_name == "statuses"]
    state: State = defaultdict(dict)
    names = _contacts(messages.values(), state)
    _messages(messages.values(), names, now, state)
    _statuses(statuses, list(outbound), state)
    return dict(state)


def _phone(written: str | None) -> str | None:
    if written and len(written) == 13 and written.startswith("521"):
        return "52" + written[3:]
    return written


def _ids(sender: Json) -> list[tuple[str, str]]:
    found = [
        ("phone", _phone(sender.get("from"))),
        ("user_id", sender.get("from_user_id")),
        ("parent_user_id", sender.get("from_parent_user_id")),
    ]
    return [(kind, value) for kind, value in found if value]


def _new_ids(part: Json) -> list[tuple[str, str]]:
    """Return what a system message says its sender has from now on."""
    about = part.get("system") or {}
    if about.get("type") not in CHANGES:
        return []
    found = [("phone", _phone(about.get("wa_id"))), ("user_id", about.get("user_id"))]
    return [(kind, value) for kind, value in found if value and (kind, value) not in _ids(part)]


def _contacts(updates: Iterable[Update], state: State) -> dict[tuple[UUID, str, str], str]:
    """Fill in the contacts; return the name of the contact that each identifier leads to."""
    groups: list[tuple[UUID, set[tuple[str, str]], list[Update]]] = []
    for update in updates:
        tenant, ids = update.number.tenant_id, {*_ids(update.part), *_new_ids(update.part)}
        mine = [g for g in groups if g[0] == tenant and g[1] & ids]
        merged = (
            tenant,
            ids.union(*(g[1] for g in mine)),
            [update, *(u for g in mine for u in g[2])],
        )
        groups = [g for g in groups if g not in mine] + [merged]
    names = {}
    for tenant, ids, parts in groups:
        name = " ".join(f"{kind}:{value}" for kind, value in sorted(ids))
        names.update({(tenant, kind, value): name for kind, value in ids})
        phones = _phones(ids, parts)
        state["contacts"][tenant, name] = (
            *_newest((int(u.part["timestamp"]), _profile(u, "name")) for u in parts),
            *_newest((int(u.part["timestamp"]), _profile(u, "username")) for u in parts),
            f"+{phones[0]}" if phones else None,
        )
    return names


def _phones(ids: set[tuple[str, str]], parts: Iterable[Update]) -> list[str]:
    """Return the phones, the one that is shown first: not left behind, newest, smallest."""
    taken: dict[str, int] = defaultdict(int)
    left: dict[str, int] = defaultdict(lambda: -1)
    for part in (u.part for u in parts):
        second = int(part["timestamp"])
        for new in (value for kind, value in _new_ids(part) if kind == "phone"):
            taken[new] = max(taken[new], second)
            for old in (value for kind, value in _ids(part) if kind == "phone"):
                left[old] = max(left[old], second)
    phones = [value for kind, value in ids if kind == "phone"]
    return sorted(phones, key=lambda p: (left[p] >= taken[p], -taken[p], p))


def _profile(update: Update, key: str) -> str | None:
    value = (update.contact or {}).get("profile", {}).get(key)
    return None if value is None else str(value)


def _newest(values: Iterable[tuple[int, str | None]]) -> tuple[str | None, datetime | None]:
    known = [
        (second, hashlib.sha256(value.encode()).digest(), value)
        for second, value in values
        if value is not None
    ]
    if not known:
        return None, None
    second, _, value = max(known)
    return value, time(second)


def _messages(
    updates: Iterable[Update], names: dict[tuple[UUID, str, str], str], now: int, state: State
) -> None:
    threads: dict[tuple[str, str], list[tuple[int, str, Update]]] = defaultdict(list)
    for update in updates:
        part, number = update.part, update.number
        kind = part["type"]
        name = names[number.tenant_id, *_ids(part)[0]]
        thread = (number.phone_number_id, part.get("group_id") or name)
        second = int(part["timestamp"])
        second = now if second > now + 300 else second
        threads[thread].append((second, part["id"], update))
        context = part.get("context", {}).get("id")
        if kind == "reaction":
            context = part["reaction"]["message_id"]
        state["messages"][number.phone_number_id, part["id"]] = (
            *(kind, part.get(kind) or {}, "received", time(second), name, thread, context),
            bool(part.get("context", {}).get("forwarded")),
        )
        if kind in {"image", "document"}:
            about = part[kind]
            state["media"][number.phone_number_id, part["id"]] = (
                *(kind, about["id"], about.get("mime_type"), about.get("caption")),
                about.get("filename"),
            )
    for thread, parts in threads.items():
        newest, key, last = max(parts, key=lambda p: (p[0], p[1].encode()))
        opening = [
            second
            for second, _, u in parts
            if u.part["type"] not in OPENS_NO_WINDOW and "group_id" not in u.part
        ]
        state["conversations"][thread] = (
            sum(u.part["type"] not in ADDS_NOTHING_TO_READ for _, _, u in parts),
            len(parts),
            time(max(opening) + 86_400) if opening else None,
            *(time(newest), time(newest), key, _preview(last.part), "inbound"),
        )
        waking = {
            u.part["id"]
            for _, _, u in parts
            if u.part["type"] not in NOBODY_REACTS and "group_id" not in u.part
        }
        if waking:
            state["jobs"][thread] = waking


def _preview(part: Json) -> str:
    kind = part["type"]
    content = part.get(kind) or {}
    shown = None
    if kind in {"text", "button", "location", "reaction"}:
        key = {"text": "body", "button": "text", "location": "name", "reaction": "emoji"}[kind]
        shown = content.get(key)
    elif kind in {"image", "document"}:
        shown = content.get("caption") or content.get("filename")
    elif kind == "interactive":
        shown = content[content["type"]]["title"]
    return (shown or f"[{kind}]")[:200]


def _statuses(updates: Sequence[Update], outbound: Sequence[Outbound], state: State) -> None:
    events: dict[Any, Json] = {}
    wamids: dict[tuple[str, str], UUID | None] = {}
    for update in updates:
        part, number = update.part, update.number.phone_number_id
        wamids.setdefault((number, part["id"]), None)
        person = part.get("recipient_participant_id", "")
        key = (number, part["id"], part["status"], person, int(part["timestamp"]))
        # Two of one second: the one with the smaller errors, then the smaller object, is kept.
        events[key] = min(
            (p for p in (events.get(key), part) if p), key=lambda p: (_errors(p), len(p))
        )
    for sent in outbound:
        if sent.wamid is not None:
            wamids[sent.number.phone_number_id, sent.wamid] = sent.id
        for update in updates:
            if (
                update.part.get("biz_opaque_callback_data") == f"{sent.id}.1"
                and update.number == sent.number
            ):
                wamids[sent.number.phone_number_id, update.part["id"]] = sent.id
    for key, part in events.items():
        state["events"][(*key[:4], time(key[4]))] = part
    for where, message_id in wamids.items():
        state["keys"][where] = message_id is not None
    for sent in outbound:
        mine = [where for where, message_id in wamids.items() if message_id == sent.id]
        told = [(key[2], key[4], part) for key, part in events.items() if key[:2] in mine]
        state["outbound"][sent.id] = _climb(
            told,
            mine[0][1] if mine else None,
            ("undetermined", 40) if sent.wamid is None else ("accepted", 50),
        )


def _errors(part: Json) -> tuple[int, int]:
    errors = part.get("errors")
    return (0, 0) if errors is None else (1, errors[0]["code"])


def _climb(
    told: list[tuple[str, int, Json]], wamid: str | None, start: tuple[str, int]
) -> tuple[Any, ...]:
    word, rank = max(
        [start, *((w, RUNGS[w]) for w, _, _ in told if w in RUNGS)], key=lambda known: known[1]
    )
    first = {
        rung: time(min(seconds)) if seconds else None
        for rung in RUNGS
        for seconds in [[second for w, second, _ in told if w == rung]]
    }
    failures = [(second, _errors(part), part) for w, second, part in told if w == "failed"]
    errors = min(failures, key=lambda f: f[:2])[2].get("errors") if failures else None
    return (
        *(wamid, word, rank),
        *(first[rung] for rung in ("sent", "delivered", "read", "played", "failed")),
        *((str(errors[0]["code"]), errors[0]["title"], errors) if errors else (None, None, None)),
    )


_FOUND = {
    "contacts": "select c.tenant_id, i.name, c.profile_name, c.profile_name_at, c.username,"
    " c.username_at, c.phone_number from messaging.contacts as c join named as i"
    " on i.contact_id = c.id where not exists (select from messaging.whatsapp_messages as m"
    " where m.contact_id = c.id and m.direction = 'outbound')",
    "messages": "select n.phone_number_id, m.wa_message_id, m.message_type, m.content, m.status,"
    " m.occurred_at, i.name, (n.phone_number_id, coalesce(v.group_id, w.name))::text,"
    " m.wa_context_id, m.is_forwarded from messaging.whatsapp_messages as m"
    " join messaging.whatsapp_accounts as n on n.id = m.account_id"
    " join named as i on i.contact_id = m.contact_id"
    " join messaging.whatsapp_conversations as v on v.id = m.conversation_id"
    " left join named as w on w.contact_id = v.contact_id where m.direction = 'inbound'",
    "media": "select n.phone_number_id, m.wa_message_id, f.media_type, f.wa_media_id, f.mime_type,"
    " f.caption, f.file_name from messaging.media as f"
    " join messaging.whatsapp_messages as m on m.id = f.message_id"
    " join messaging.whatsapp_accounts as n on n.id = f.account_id",
    "conversations": "select n.phone_number_id, coalesce(v.group_id, i.name), v.unread_count,"
    " v.message_count, v.window_expires_at, v.last_inbound_at, v.last_message_at,"
    " v.last_message_key, v.last_message_preview, v.last_message_direction"
    " from messaging.whatsapp_conversations as v"
    " join messaging.whatsapp_accounts as n on n.id = v.account_id"
    " left join named as i on i.contact_id = v.contact_id"
    " where not exists (select from messaging.whatsapp_messages as m"
    " where m.conversation_id = v.id and m.direction = 'outbound')",
    "jobs": "select n.phone_number_id, i.name, m.wa_message_id from messaging.scheduled_jobs as j"
    " join messaging.whatsapp_conversations as v on v.id::text = j.args ->> 'conversation_id'"
    " join named as i on i.contact_id = v.contact_id"
    " join messaging.whatsapp_accounts as n on n.id = v.account_id"
    " cross join jsonb_array_elements_text(j.args -> 'message_ids') as a(id)"
    " left join messaging.whatsapp_messages as m on m.id::text = a.id",
    "events": "select n.phone_number_id, e.wa_message_id, e.status, e.participant, e.occurred_at,"
    " e.detail from messaging.message_status_events as e"
    " join messaging.whatsapp_accounts as n on n.id = e.account_id",
    "keys": "select n.phone_number_id, k.wa_message_id, k.message_id is not null"
    " from messaging.message_keys as k join messaging.whatsapp_accounts as n on n.id = k.account_id"
    " where not exists (select from messaging.whatsapp_messages as m"
    " where m.id = k.message_id and m.direction = 'inbound')",
    "outbound": "select m.id, m.wa_message_id, m.status, m.status_rank, m.sent_at, m.delivered_at,"
    " m.read_at, m.played_at, m.failed_at, m.error_code, m.error_message, m.errors"
    " from messaging.whatsapp_messages as m where m.direction = 'outbound'",
}
_NAMED = (
    "with named as (select contact_id, string_agg(kind || ':' || value, ' ' order by kind, value)"
    " as name from messaging.contact_identifiers group by contact_id) "
)
_KEYS = {"contacts": 2, "messages": 2, "media": 2, "conversations": 2, "events": 5, "keys": 2}


def found(place: Place) -> State:
    """Return what the database holds, in the model's words."""
    state: State = {}
    for name, query in _FOUND.items():
        rows = place.rows(_NAMED + query)
        if name == "jobs":
            jobs: dict[Any, set[Any]] = defaultdict(set)
            for number, contact, wamid in rows:
                assert wamid not in jobs[number, contact], "a message twice in the waiting jobs"
                jobs[number, contact].add(wamid)
            state[name] = dict(jobs)
        elif name == "outbound":
            state[name] = {row[0]: row[1:] for row in rows}
        else:
            wide = _KEYS[name]
            state[name] = {
                row[:wide]: row[wide] if len(row) == wide + 1 else row[wide:] for row in rows
            }
            assert len(state[name]) == len(rows), f"{name} twice"
    return state


def assert_equal(place: Place, model: State) -> None:
    """Compare part by part, so that a difference is shown where it is."""
    really = found(place)
    for name in _FOUND:
        told = dict(model.get(name, {}))
        if name == "messages":
            told = {
                key: (*row[:5], f"({row[5][0]},{_quoted(row[5][1])})", *row[6:])
                for key, row in told.items()
            }
        assert really[name] == told, name
    assert place.letters() == {}
    assert place.one("select count(*) from messaging.whatsapp_messages_default") == 0
    assert (
        place.rows(
            "select id from messaging.contacts as c where merged_into is null and not exists"
            " (select from messaging.contact_identifiers as i where i.contact_id = c.id)"
        )
        == []
    )


def _quoted(text: str) -> str:
    return f'"{text}"' if " " in text else text


@dataclass
class History:
    """What happened to the numbers of two tenants, drawn by chance: updates without an order."""

    place: Place
    chance: random.Random
    size: int
    outbound: list[Outbound] = field(default_factory=list)

    def __post_init__(self) -> None:
        first = self.place.number()
        self.numbers = [first, self.place.number(first.tenant_id), self.place.number()]
        self._people = [self._person(n) for n in range(max(4, self.size // 12))]
        for n in range(self.size // 6):
            number = self.chance.choice(self.numbers)
            wamid = f"wamid.out{n}" if self.chance.random() < 0.6 else None
            state = "accepted" if wamid else "undetermined"
            (sent,) = self.place.sent_messages(number, [wamid], status=state)
            self.outbound.append(Outbound(number, sent, wamid))

    def updates(self) -> list[Update]:
        """Draw what happened; no two updates are the same."""
        drawn = [self._message(n) for n in range(self.size)]
        drawn += [s for n in range(self.size) if (s := self._status(n)) is not None]
        return list({pack([update]): update for update in drawn}.values())

    def _person(self, n: int) -> list[Person]:
        """Return how one person may appear; one identifier is always there."""
        phone, user, parent = f"4915550{n:06d}", f"DE.{n}aB", f"DE.ENT.{n}aB"
        if n % 5 == 0:
            looks = [Person(phone)]
        elif n % 5 == 1:
            # Met by either id before anything tells that they are one.
            looks = [Person(phone), Person(None, user), Person(phone, user, parent)]
        elif n % 5 == 2:
            looks = [Person(None, user), Person(phone, user)]
        elif n % 5 == 3:
            looks = [Person(f"521555000{n:04d}"), Person(f"52555000{n:04d}", user)]
        else:
            looks = [Person(None, user), Person(None, user, parent)]
        names = [None, f"Person {n}", f"Person {n} 🌵", "Zoë"]
        return [
            replace(look, name=name, username=self.chance.choice([None, f"user{n}", f"new{n}"]))
            for look in looks
            for name in names
        ]

    def _message(self, n: int) -> Update:
        number = self.chance.choice(self.numbers)
        person = self.chance.choice(self.chance.choice(self._people))
        # Few seconds, so that many are equal; some from before, some too far ahead to be true.
        at = SECOND + self.chance.choice([-90_000, -3600, -2, -1, 0, 0, 1, 250, 300, 301, 86_400])
        kind, content, extra = self._content(n)
        wamid = self.chance.choice(["wamid.{}", "ABGG{}", "3EB0.{}é"]).format(n)
        return message(number, wamid, person, at, kind=kind, content=content, **extra)

    def _content(self, n: int) -> tuple[str, Json | None, Json]:
        kind = self.chance.choice(
            ["text"] * 4
            + ["image", "document", "reaction", "button", "interactive", "location", "system"]
            + ["edit", "revoke", "unsupported", "request_welcome", "sparkles", "group", "forwarded"]
        )
        contents: dict[str, Json] = {
            "text": {
                "body": self.chance.choice(["hi", "x" * 300, "Привет 👋", "\u2028'\"\\"]) + str(n)
            },
            "image": {"id": f"img{n}", "mime_type": "image/jpeg", "caption": f"caption {n}"},
            "document": {"id": f"doc{n}", "filename": f"{n}.pdf"},
            "reaction": {"message_id": f"wamid.{n}", "emoji": "👍"},
            "button": {"text": f"Yes {n}", "payload": "yes"},
            "interactive": {
                "type": "button_reply",
                "button_reply": {"id": "1", "title": f"Tap {n}"},
            },
            "location": {"latitude": 52.5, "longitude": 13.4, "name": f"Place {n}"},
            "sparkles": {"new": [1, {"two": None}]},
            "system": self._system(n),
        }
        if kind == "group":
            return "text", contents["text"], {"group_id": f"group{n % 2}"}
        if kind == "forwarded":
            return "text", contents["text"], {"context": {"forwarded": True, "id": "wamid.0"}}
        if kind in contents:
            return kind, contents[kind], {}
        return kind, {"type": "whatever", "n": n}, {}

    def _system(self, n: int) -> Json:
        """Draw a new number, seldom one that somebody else here has already been seen with."""
        other = self.chance.randrange(len(self._people))
        number = self.chance.choice([f"4915559{n:06d}"] * 3 + [f"4915550{other:06d}"])
        return self.chance.choice(
            [
                {"type": "user_changed_number", "wa_id": number},
                {"type": "customer_changed_number", "wa_id": number},
                {"type": "user_changed_user_id", "user_id": f"DE.new{n}", "wa_id": number},
                {"type": "customer_identity_changed", "identity": f"hash{n}"},
                {"type": "whatever", "n": n},
            ]
        )

    def _status(self, n: int) -> Update | None:
        word = self.chance.choice([*RUNGS, "sent", "delivered", "deleted", "pending", "mystery"])
        at = SECOND + self.chance.choice([-5000, -1, 0, 0, 1, 2])
        extra: Json = {}
        if word == "failed":
            errors = self.chance.choice([None, failure(131026, "Gone"), failure(131049, "Held")])
            extra = {} if errors is None else {"errors": errors}
        if self.chance.random() < 0.1:
            extra["recipient_participant_id"] = f"49155500000{n % 3}"
        if not self.outbound or self.chance.random() < 0.15:
            # Sent by something else on this number.
            return status(self.chance.choice(self.numbers), f"wamid.far{n % 5}", word, at, **extra)
        sent = self.chance.choice(self.outbound)
        wamid = sent.wamid or f"wamid.lost.{sent.id}"
        key = f"{sent.id}.1" if self.chance.random() < 0.5 else None
        return status(sent.number, wamid, word, at, key=key, **extra)


def deliveries(updates: Sequence[Update], chance: random.Random, times: int) -> list[bytes]:
    """Return bodies that hold each update about `times` times, shuffled and split by chance."""
    bodies = []
    for _ in range(times):
        rest = list(updates)
        chance.shuffle(rest)
        while rest:
            size = chance.choice([1, 1, 1, 2, 3, 8, 40])
            bodies.append(pack(rest[:size]))
            rest = rest[size:]
    chance.shuffle(bodies)
    return bodies
