"""A person's own page of preferences, behind a signed link: shown, and saved.

No other site can save it: what authorises a request is the signature in the address alone, no
cookie or login that a browser would add by itself, and other sites never learn the address.
Looking changes nothing, so that programs which preview links may.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import time, timedelta
from functools import cache
from urllib.parse import parse_qs
from uuid import UUID
from zoneinfo import available_timezones

from switchboard.inbox import preferences
from switchboard.inbox.preference_html import (
    Form,
    choose_language,
    texts,
    write_form,
    write_sentence,
)
from switchboard.inbox.preference_links import Ticket, not_valid, read_token
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import (
    BadRequest,
    NotFound,
    ProblemError,
    TooMany,
    Unprocessable,
)
from switchboard.policy.facts import CATEGORIES
from switchboard.store import consents, contacts
from switchboard.store import preferences as store
from switchboard.store.consents import State, Statement
from switchboard.store.preferences import Choices, Known
from switchboard.tools import Tools
from switchboard.transact import transact

#: Bytes of the form: it has a dozen short fields.
LIMIT = 8_192
_FIELDS = 64
#: How often a page may be saved in a time; looking costs one read and has no limit of its own.
_SAVES, _WITHIN = 20, timedelta(minutes=10)
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}(?::[0-9]{2})?")
_TIMES = ("quiet_hours_start", "quiet_hours_end")


@dataclass(frozen=True, slots=True)
class Given:
    """What a form brings, as it was typed; `shown` are the categories that it had boxes for."""

    shown: frozenset[str]
    wanted: frozenset[str]
    quiet: bool
    start: str
    end: str
    timezone: str


def show(tools: Tools, token: str, accepted: str, *, saved: bool = False) -> str:
    """Return the page; `accepted` is the header Accept-Language.

    Raises NotFound for a link that does not open it, Unavailable.
    """
    ticket = read_token(tools, token)
    known = transact(tools, ticket.tenant_id, lambda connection: _find(connection, ticket))
    return _written(known, accepted, replace(_stored(known), saved=saved))


def save(tools: Tools, token: str, body: bytes, accepted: str) -> str | None:
    """Save what a form brings; return None, or the page again where something in it is wrong.

    Raises NotFound, BadRequest for what is not the page's form, TooMany, Unavailable.
    """
    ticket, given = read_token(tools, token), _read(body)
    names = (tools.clock.new_id(), tools.clock.new_id())  # named once: the work may run twice

    def write(connection: Connection) -> str | None:
        contacts.hold(connection, ticket.tenant_id)
        known = _find(connection, ticket, hold=True)
        saves = store.count_save(
            connection, ticket.tenant_id, known.contact_id, within=_WITHIN, now=tools.clock.now
        )
        if saves > _SAVES:
            raise TooMany("saved too often", wait_s=_WITHIN.total_seconds())
        choices, problems = _choose(known, given)
        if problems:
            return _written(known, accepted, _typed(_stored(known), given, problems))
        if choices != known.choices:
            store.write(connection, ticket.tenant_id, known.contact_id, choices)
        said = _statements(known, given, choose_language(accepted, known.locale), names)
        if said:
            consents.record(connection, ticket.tenant_id, said, now=tools.clock.now)
        return None

    return transact(tools, ticket.tenant_id, write)


def is_one_click(body: bytes) -> bool:
    """Return whether a mail program asks to unsubscribe, for a person who pressed its button.

    RFC 8058: the body says `List-Unsubscribe=One-Click`, as a form of either kind.
    """
    return b"List-Unsubscribe" in body and b"One-Click" in body


def unsubscribe(tools: Tools, token: str) -> None:
    """Take marketing back; done again it changes nothing. Raises NotFound, Unavailable."""
    ticket = read_token(tools, token)
    name = tools.clock.new_id()  # named once: the work may run twice

    def write(connection: Connection) -> None:
        contacts.hold(connection, ticket.tenant_id)
        known = _find(connection, ticket, hold=True)
        if known.choices.marketing is False:
            return
        choices = replace(known.choices, marketing=False)
        store.write(connection, ticket.tenant_id, known.contact_id, choices)
        said = Statement(
            name,
            known.contact_id,
            "withdrawn",
            "List-Unsubscribe: One-Click",
            None,
            scope="marketing",
            source="page",
        )
        consents.record(connection, ticket.tenant_id, [said], now=tools.clock.now)

    transact(tools, ticket.tenant_id, write)


def apologise(error: ProblemError, accepted: str) -> str:
    """Return a page that says what the person can do."""
    key = "gone" if isinstance(error, NotFound) else "later"
    return write_sentence(key, choose_language(accepted))


def _find(connection: Connection, ticket: Ticket, *, hold: bool = False) -> Known:
    root = contacts.find_root(connection, ticket.tenant_id, ticket.contact_id)
    known = None if root is None else store.read(connection, ticket.tenant_id, root, hold=hold)
    if known is None or known.generation != ticket.generation:
        raise not_valid()
    return known


def _read(body: bytes) -> Given:
    try:
        fields = parse_qs(
            body.decode(), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict"
        )
    except ValueError:
        raise BadRequest("the form cannot be read") from None
    # Text fields are sent empty, too: without them this is not the whole form, and boxes that are
    # missing are not boxes that the person did not tick.
    if not fields.keys() >= {*_TIMES, "timezone"}:
        raise BadRequest("this is not the page's form")
    return Given(
        frozenset(fields.get("shown", ())),
        frozenset(fields.get("wanted", ())),
        "quiet" in fields,
        *(fields[name][-1].strip() for name in (*_TIMES, "timezone")),
    )


def _choose(known: Known, given: Given) -> tuple[Choices, Mapping[str, str]]:
    """Return the person's choices from now on, and the text's key of each field that is wrong."""
    problems: dict[str, str] = {}
    times: dict[str, time | None] = {}
    for name, text in zip(_TIMES, (given.start, given.end), strict=True):
        try:
            times[name] = time.fromisoformat(text) if _TIME.fullmatch(text) else None
        except ValueError:
            times[name] = None
        if text and times[name] is None:
            problems[name] = "time_needed"
    if given.timezone and given.timezone not in _zones(known):
        problems["timezone"] = "zone_unknown"
    changed = _changed(known, given)
    choices = replace(
        known.choices,
        **changed,
        quiet_hours_enabled=given.quiet,
        quiet_hours_start=times["quiet_hours_start"],
        quiet_hours_end=times["quiet_hours_end"],
        timezone=given.timezone or None,
    )
    try:
        preferences.check(choices)
    except Unprocessable as error:
        missing = times[str(error.field)] is None
        problems.setdefault(str(error.field), "time_needed" if missing else "time_same")
    return choices, problems


def _changed(known: Known, given: Given) -> dict[str, bool]:
    """Return the categories that the person decided otherwise than the page had them.

    What they left as it was stays undecided where it was: a default may change with an opt-in.
    """
    shown = preferences.effective(known).categories
    return {
        name: name in given.wanted
        for name in _offered(known)
        if name in given.shown and (name in given.wanted) is not shown[name].wanted
    }


def _offered(known: Known) -> tuple[str, ...]:
    """Return the categories that a box of ours can decide.

    After STOP the person's own word in the chat brings messages back, and what they told WhatsApp
    they tell WhatsApp otherwise.
    """
    if known.opt_in_status == "opted_out":
        return ()
    return tuple(one for one in CATEGORIES if one != "marketing" or not known.marketing_stopped)


def _statements(
    known: Known, given: Given, language: str, names: tuple[UUID, UUID]
) -> list[Statement]:
    """Return what is kept of a decision about marketing.

    To tick its box is to agree to it: who had not been asked so far has opted in.
    """
    wish = _changed(known, given).get("marketing")
    if wish is None:
        return []
    said = texts()[language]
    wording = f"{said['title']}: {said['marketing']} ({said['on' if wish else 'off']})"
    state: State = "given" if wish else "withdrawn"
    made = Statement(
        names[0],
        known.contact_id,
        state,
        wording,
        None,
        scope="marketing",
        source="page",
        language=language,
    )
    if wish and known.opt_in_status == "pending":
        return [made, replace(made, name=names[1], scope="messages")]
    return [made]


def _stored(known: Known) -> Form:
    found = preferences.effective(known)
    own = known.choices.timezone
    without = replace(known, choices=replace(known.choices, timezone=None))
    notice = None
    if known.opt_in_status == "opted_out":
        notice = "opt_out"
    elif known.marketing_stopped:
        notice = "whatsapp"
    return Form(
        business=known.business,
        categories=CATEGORIES,
        wanted={name for name, one in found.categories.items() if one.wanted},
        offered=_offered(known),
        quiet=found.quiet_hours.enabled,
        start=found.quiet_hours.start or "",
        end=found.quiet_hours.end or "",
        timezone=own or "",
        automatic=preferences.effective(without).timezone.name,
        notice=notice,
    )


def _typed(form: Form, given: Given, problems: Mapping[str, str]) -> Form:
    kept = set(form.wanted) - given.shown
    return replace(
        form,
        wanted=kept | (given.wanted & given.shown),
        quiet=given.quiet,
        start=given.start,
        end=given.end,
        timezone=given.timezone,
        problems=problems,
    )


def _written(known: Known, accepted: str, form: Form) -> str:
    return write_form(form, _zones(known), choose_language(accepted, known.locale))


def _zones(known: Known) -> tuple[str, ...]:
    """Return the zones to choose from; one that a service has set is among them."""
    own, zones = known.choices.timezone, _zones_of_people()
    return zones if own is None or own in zones else (*zones, own)


@cache
def _zones_of_people() -> tuple[str, ...]:
    """Return the zones that people live in, by name: continents' and oceans', and UTC."""
    named = (name for name in available_timezones() if "/" in name)
    return ("UTC", *sorted(one for one in named if not one.startswith(("Etc/", "SystemV/", "US/"))))
