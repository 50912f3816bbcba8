"""What intake must leave behind, said a second time: a small model in plain Python.

It knows the set of updates that were delivered and nothing of their order, number or grouping. The
rules are those of the design; `expected` and `found` are compared without generated ids and receipt
times. Contacts are named by their identifiers, conversations by number and contact (or group).
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
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
#: What is kept as dead letters: the parts as JSON, by tenant and reason.
Letters = dict[tuple[UUID, str], set[str]]
RUNGS = {"sent": 60, "failed": 65, "delivered": 70, "read": 80, "played": 90}
#: About a message or a chat, and no message that somebody has to read.
ADDS_NOTHING_TO_READ = {"reaction", "system", "edit", "revoke", "request_welcome"}
OPENS_NO_WINDOW = {"system", "edit", "revoke"}
MEDIA = {"image", "video", "audio", "voice", "document", "sticker"}
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


@dataclass(frozen=True)
class Said:
    """A message with the time that counts and its sender's name."""

    update: Update
    second: int
    name: str

    @property
    def part(self) -> Json:
        """Meta's object."""
        part: Json = self.update.part
        return part

    def target(self) -> tuple[str, str] | None:
        """Return the message that a change names, None where it names none."""
        key = {"edit": "original_message_id", "revoke": "original_message_id"}
        key["reaction"] = "message_id"
        kind = self.part["type"]
        named = self.part[kind].get(key[kind]) if kind in key else None
        if kind == "edit" and "message" not in self.part[kind]:
            return None
        return None if named is None else (self.update.number.phone_number_id, named)


def _second(update: Update, now: int) -> int:
    second = int(update.part["timestamp"])
    return now if second > now + 300 else second


def expected(updates: Iterable[Update], outbound: Iterable[Outbound], now: int) -> State:
    """Return what these updates leave behind, however they came; `now` is the tests' present."""
    messages = {
        (u.number.phone_number_id, u.part["id"]): u for u in updates if u.list_name == "messages"
    }
    statuses = [u for u in updates if u.list_name == "statuses"]
    state: State = defaultdict(dict)
    names = _contacts(messages.values(), state)
    said = {
        where: Said(u, _second(u, now), names[u.number.tenant_id, *_ids(u.part)[0]])
        for where, u in messages.items()
    }
    _messages(said, state)
    _brought(said, state)
    awaited = {
        where: None
        for one in said.values()
        if one.part["type"] in {"edit", "revoke"} and (where := one.target()) not in said
    }
    _statuses(statuses, list(outbound), {w: None for w in awaited if w is not None}, state)
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
    """Return the phones, the one that is shown first: taken up last, then the smallest."""
    taken: dict[str, int] = defaultdict(int)
    for part in (u.part for u in parts):
        for new in (value for kind, value in _new_ids(part) if kind == "phone"):
            taken[new] = max(taken[new], int(part["timestamp"]))
    phones = [value for kind, value in ids if kind == "phone"]
    return sorted(phones, key=lambda phone: (-taken[phone], phone))


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


def _messages(said: dict[tuple[str, str], Said], state: State) -> None:
    threads: dict[tuple[str, str], list[tuple[int, str, Update]]] = defaultdict(list)
    changed = {where: _change(where, said) for where in said}
    for where, one in said.items():
        part, number = one.part, one.update.number
        kind = part["type"]
        thread = (number.phone_number_id, part.get("group_id") or one.name)
        threads[thread].append((one.second, part["id"], one.update))
        context = part.get("context", {}).get("id")
        target = one.target()
        if target is not None:
            context = target[1]
        content = part.get(kind) or {}
        shown, edited, revoked = changed[where] or (content, None, None)
        state["messages"][where] = (
            *(kind, shown, "received", time(one.second), one.name, thread, context),
            any(part.get("context", {}).get(key) for key in ("forwarded", "frequently_forwarded")),
            *(content if changed[where] else None, edited, revoked),
        )
        about = part.get(kind)
        if kind in MEDIA and about:
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
            *(time(newest), time(newest), key),
            *(_preview(last.part, changed[last.number.phone_number_id, key]), "inbound"),
        )
        waking = {
            u.part["id"]
            for _, _, u in parts
            if u.part["type"] not in NOBODY_REACTS and "group_id" not in u.part
        }
        if waking:
            state["jobs"][thread] = waking


def _change(where: tuple[str, str], said: dict[tuple[str, str], Said]) -> Any:
    """Return what shows of a message that was changed, when it was edited and taken back."""

    def done_to(there: tuple[str, str], kind: str) -> list[Said]:
        return [one for one in said.values() if one.part["type"] == kind and one.target() == there]

    one = said[where]
    edits = done_to(where, "edit")
    revokes = done_to(where, "revoke")
    if one.part["type"] == "edit" and (target := one.target()) in said and target is not None:
        revokes += done_to(target, "revoke")
    if not edits and not revokes:
        return None
    content = one.part.get(one.part["type"]) or {}
    edited = None
    if edits:
        newest = max(edits, key=lambda e: (e.second, e.part["id"].encode()))
        edited = time(newest.second)
        new = newest.part["edit"]["message"]
        if new["type"] == one.part["type"]:
            content = content | new[new["type"]]
    if revokes:
        return {}, edited, time(min(revoke.second for revoke in revokes))
    return content, edited, None


def _brought(said: dict[tuple[str, str], Said], state: State) -> None:
    """Fill in what messages bring besides themselves."""
    reactions: dict[Any, tuple[Any, str | None]] = {}
    for where, one in said.items():
        kind = one.part["type"]
        content: Any = one.part.get(kind)
        target = one.target()
        if kind == "location":
            place = [round(Decimal(str(content[key])), 8) for key in ("latitude", "longitude")]
            state["locations"][where] = (*place, content.get("name"), one.name)
        elif kind == "button":
            state["interactions"][where] = ("button_tap", content["payload"], content["text"])
        elif kind == "interactive":
            tap = content[content["type"]]
            word = "button_tap" if content["type"] == "button_reply" else "list_choice"
            state["interactions"][where] = (word, tap["id"], tap["title"])
        elif kind == "order":
            items = content["product_items"]
            total = sum(Decimal(str(i["item_price"])) * i["quantity"] for i in items)
            state["orders"][where] = (len(items), total)
        elif kind == "reaction" and target is not None:
            newest = ((one.second, one.part["id"].encode()), content.get("emoji"))
            known = reactions.get((*target, one.name))
            reactions[*target, one.name] = newest if known is None else max(known, newest)
        if "referral" in one.part:
            state["referrals"][where] = one.part["referral"]["source_id"]
    for key, (_, emoji) in reactions.items():
        if emoji is not None:
            state["reactions"][key] = emoji


def _preview(part: Json, changed: Any) -> str:
    kind = part["type"]
    content = part.get(kind) or {}
    shown = None
    if changed and changed[2] is not None:
        return f"[{kind}]"
    if kind == "edit":
        shown = content.get("message", {}).get("text", {}).get("body")
    if kind == "order":
        shown = content["text"]
    if kind in {"text", "button", "location", "reaction"}:
        key = {"text": "body", "button": "text", "location": "name", "reaction": "emoji"}[kind]
        shown = content.get(key)
    elif kind in MEDIA:
        shown = content.get("caption") or content.get("filename")
    elif kind == "contacts":
        shown = content[0].get("name", {}).get("formatted_name")
    elif kind == "interactive":
        shown = content[content["type"]]["title"]
    return (shown or f"[{kind}]")[:200]


def _statuses(
    updates: Sequence[Update],
    outbound: Sequence[Outbound],
    wamids: dict[tuple[str, str], UUID | None],
    state: State,
) -> None:
    """Fill in what became of our messages; `wamids` are ids that were named, but never came."""
    events: dict[Any, Json] = {}
    for update in updates:
        part, number = update.part, update.number.phone_number_id
        wamids.setdefault((number, part["id"]), None)
        person = part.get("recipient_participant_id") or part.get("participant_recipient_id", "")
        key = (number, part["id"], part["status"], person, int(part["timestamp"]))
        # Two of one second: the one with the smaller errors, then the smaller object, is kept.
        events[key] = min(
            (p for p in (events.get(key), part) if p), key=lambda p: (_errors(p), _order(p))
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


def _errors(part: Json) -> tuple[Any, ...]:
    return _order(part.get("errors"))


def _order(value: Any) -> tuple[Any, ...]:
    """Return a key that sorts as Postgres sorts jsonb: kind, size, then what it holds."""
    match value:
        case None:
            return (0,)
        case str():
            return (1, value.encode())
        case bool():
            return (3, value)
        case int() | float():
            return (2, value)
        case list():
            return (4, len(value), [_order(part) for part in value])
        case _:
            keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
            return (5, len(value), [(key.encode(), _order(value[key])) for key in keys])


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
    " m.wa_context_id, m.is_forwarded, m.original_content, m.edited_at, m.revoked_at"
    " from messaging.whatsapp_messages as m"
    " join messaging.whatsapp_accounts as n on n.id = m.account_id"
    " join named as i on i.contact_id = m.contact_id"
    " join messaging.whatsapp_conversations as v on v.id = m.conversation_id"
    " left join named as w on w.contact_id = v.contact_id where m.direction = 'inbound'",
    "media": "select n.phone_number_id, m.wa_message_id, f.media_type, f.wa_media_id, f.mime_type,"
    " f.caption, f.file_name from messaging.media as f"
    " join messaging.whatsapp_messages as m on m.id = f.message_id"
    " join messaging.whatsapp_accounts as n on n.id = f.account_id",
    "locations": "select n.phone_number_id, m.wa_message_id, l.latitude, l.longitude, l.name,"
    " i.name from messaging.user_locations as l"
    " join messaging.whatsapp_messages as m on m.id = l.message_id"
    " and m.conversation_id = l.conversation_id"
    " join messaging.whatsapp_accounts as n on n.id = l.account_id"
    " join named as i on i.contact_id = l.contact_id",
    "interactions": "select n.phone_number_id, m.wa_message_id, l.interaction_type, l.button_id,"
    " l.button_title from messaging.user_interactions as l"
    " join messaging.whatsapp_messages as m on m.id = l.message_id"
    " and m.conversation_id = l.conversation_id and m.contact_id = l.contact_id"
    " join messaging.whatsapp_accounts as n on n.id = l.account_id",
    "orders": "select n.phone_number_id, m.wa_message_id, o.item_count, o.total_amount"
    " from messaging.orders as o join messaging.whatsapp_messages as m on m.id = o.message_id"
    " and m.conversation_id = o.conversation_id and m.contact_id = o.contact_id"
    " join messaging.whatsapp_accounts as n on n.id = o.account_id",
    "referrals": "select n.phone_number_id, m.wa_message_id, o.source_id"
    " from messaging.referrals as o join messaging.whatsapp_messages as m on m.id = o.message_id"
    " and m.conversation_id = o.conversation_id and m.contact_id = o.contact_id"
    " join messaging.whatsapp_accounts as n on n.id = o.account_id",
    "reactions": "select n.phone_number_id, r.wa_message_id, i.name, r.emoji"
    " from (select tenant_id, account_id, array_agg(distinct wa_message_id) as ids"
    " from messaging.message_changes group by 1, 2) as c"
    " join messaging.whatsapp_accounts as n on n.id = c.account_id"
    " cross join messaging.reactions_to(c.tenant_id, c.account_id, c.ids) as r"
    " join named as i on i.contact_id = r.contact_id",
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
_KEYS = {"events": 5, "reactions": 3}


def letters_of(place: Place) -> Letters:
    """Return the messages and statuses that are dead letters, by tenant and reason."""
    found: Letters = defaultdict(set)
    for where, bodies in place.letters().items():
        for body in bodies:
            ((change,),) = (entry["changes"] for entry in json.loads(body)["entry"])
            for name in ("messages", "statuses"):
                for part in change["value"].get(name, []):
                    found[where].add(json.dumps(part, sort_keys=True))
    return dict(found)


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
            wide = _KEYS.get(name, 2)
            state[name] = {
                row[:wide]: row[wide] if len(row) == wide + 1 else row[wide:] for row in rows
            }
            assert len(state[name]) == len(rows), f"{name} twice"
    return state


def assert_equal(place: Place, model: State, letters: Letters | None = None) -> None:
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
    assert letters_of(place) == (letters or {})
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


_WAMIDS = ["wamid.{}", "wamid.{}", "ABGG{}", "3EB0.{}é"]


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
        wamid = self.chance.choice(_WAMIDS).format(n)
        return message(number, wamid, person, at, kind=kind, content=content, **extra)

    def _content(self, n: int) -> tuple[str, Json | None, Json]:
        kind = self.chance.choice(
            ["text"] * 4
            + ["image", "document", "reaction", "button", "interactive", "location", "system"]
            + ["edit", "revoke", "unsupported", "request_welcome", "sparkles", "group", "forwarded"]
            + ["edit", "edit", "revoke", "list", "removal", "order", "ad"]
        )
        contents: dict[str, Json] = {
            "text": {
                "body": self.chance.choice(["hi", "x" * 300, "Привет 👋", "\u2028'\"\\"]) + str(n)
            },
            "image": {"id": f"img{n}", "mime_type": "image/jpeg", "caption": f"caption {n}"},
            "document": {"id": f"doc{n}", "filename": f"{n}.pdf"},
            "reaction": {
                "message_id": f"wamid.{self.chance.choice([n, 1, 2, 3])}",
                "emoji": self.chance.choice("👍🎉"),
            },
            "edit": {
                "original_message_id": self._any_id(),
                "message": {"type": "text", "text": {"body": f"edited {n}"}},
            },
            "revoke": {"original_message_id": self._any_id()},
            "order": {
                "text": f"wrap {n}",
                "product_items": [
                    {"product_retailer_id": f"sku{i}", "quantity": i, "item_price": 7.99}
                    | {"currency": "USD"}
                    for i in range(1, n % 3 + 2)
                ],
            },
            "button": {"text": f"Yes {n}", "payload": "yes"},
            "interactive": {
                "type": "button_reply",
                "button_reply": {"id": "1", "title": f"Tap {n}"},
            },
            "location": {
                "latitude": self.chance.choice([52.5, -90, 0.123456789]),
                "longitude": self.chance.choice([13.4, 180, -179.99999999]),
                "name": f"Place {n}",
            },
            "sparkles": {"new": [1, {"two": None}]},
            "system": self._system(n),
        }
        if kind == "group":
            return "text", contents["text"], {"group_id": f"group{n % 2}"}
        if kind == "forwarded":
            return "text", contents["text"], {"context": {"forwarded": True, "id": "wamid.0"}}
        if kind == "ad":
            return "text", contents["text"], {"referral": {"source_id": f"ad{n % 3}"}}
        if kind == "removal":
            return "reaction", {"message_id": f"wamid.{self.chance.choice([1, 2, 3])}"}, {}
        if kind == "list":
            reply = {"id": "row", "title": f"Row {n}", "description": "…"}
            return "interactive", {"type": "list_reply", "list_reply": reply}, {}
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

    def _any_id(self) -> str:
        """Draw Meta's id of a message: of this number or another, to come, or of nobody."""
        return self.chance.choice(_WAMIDS).format(self.chance.randrange(self.size + 2))

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
