"""Buttons that lead through a link of ours, since Meta tells nobody of a tap on an address.

Whoever knows a link's token is led on, so it is unguessable; where it leads is decided here, once,
and stands in the database: nothing in the link itself can choose another address.
"""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlsplit

from switchboard.kernel.errors import Unprocessable
from switchboard.outbox.effects._effect import Effect, Made, Options

#: Characters of an address.
LONGEST = 2000
#: Random bytes of a token.
_BYTES = 24
_ACTION = "message.interactive.action"


def _of(message: dict[str, Any], options: Options) -> Made:
    if not options.track_links:
        return message, ()
    if options.public_url is None:
        raise _refusal("links cannot be tracked here: PUBLIC_URL is not set", "track_links")
    match message:
        case {"type": "interactive", "interactive": {"type": "cta_url"} as interactive}:
            action, document = _tracked(interactive["action"], options.public_url, _ACTION)
            documents = [document]
        case {"type": "interactive", "interactive": {"type": "carousel"} as interactive}:
            action, documents = _carousel(interactive["action"], options.public_url)
        case {"type": "template"}:
            raise _refusal(
                "the address of a template's button begins with what Meta approved, so it cannot"
                " lead through a link of ours: let the template itself be one, or leave it out",
                "track_links",
            )
        case _:
            raise _refusal("this message has no button with an address", "track_links")
    return {**message, "interactive": {**interactive, "action": action}}, tuple(documents)


def _carousel(
    action: dict[str, Any], public_url: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    cards, documents = [], []
    for n, card in enumerate(action["cards"]):
        if card["action"].get("name") != "cta_url":
            raise _refusal("its cards have no button with an address", "track_links")
        changed, document = _tracked(card["action"], public_url, f"{_ACTION}.cards.{n}.action")
        cards.append({**card, "action": changed})
        documents.append(document)
    return {**action, "cards": cards}, documents


def _tracked(
    action: dict[str, Any], public_url: str, field: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the action with our address in it, and the link's document."""
    given = action["parameters"]
    _check(given["url"], f"{field}.parameters.url")
    token = secrets.token_urlsafe(_BYTES)
    changed = {**action, "parameters": {**given, "url": f"{public_url}/l/{token}"}}
    return changed, {"tk": token, "u": given["url"], "la": given["display_text"]}


def _check(url: str, field: str) -> None:
    """Refuse what a redirect must not hold: it is a header, read by any browser."""
    if len(url) > LONGEST:
        raise _refusal(f"{field} has {len(url)} characters, the limit is {LONGEST}", field)
    if not all("!" <= letter <= "~" for letter in url) or "\\" in url:
        raise _refusal(f"{field} holds what must be percent-encoded in a tracked link", field)
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        raise _refusal(f"{field} is no address", field) from None
    if parts.scheme not in {"http", "https"} or not host:
        raise _refusal(f"{field} must begin with https:// or http:// and name a host", field)
    if "@" in parts.netloc:
        raise _refusal(f"{field} holds a user's name or password", field)


def _refusal(detail: str, field: str) -> Unprocessable:
    return Unprocessable(detail, field=field)


KIND = Effect(name="tracked_link", of=_of)
