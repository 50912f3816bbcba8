"""Templates at Meta: listed, read, made, edited, deleted, unpaused.

Cloud API, Message templates, and Graph's reference of the edge message_templates. A name is unique
within a business account and language; deleting by name alone takes all its languages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, urlsplit

from switchboard.whatsapp.client import (
    Answer,
    GraphClient,
    NotSent,
    Rejected,
    Throttled,
    Unconfirmed,
)
from switchboard.whatsapp.errors import Action
from switchboard.whatsapp.storable import is_id, unfit

#: What is asked of a template.
FIELDS = (
    "id,name,language,status,category,components,quality_score,parameter_format,rejected_reason,"
    "sub_category,previous_category,correct_category,message_send_ttl_seconds,library_template_name"
)
#: Templates of a page; of the second size where a page of the first is too long to be read.
_SIZES = (100, 20)

#: Meta did not do as asked, or nobody knows.
NoAnswer = Rejected | Throttled | NotSent | Unconfirmed


@dataclass(frozen=True, slots=True)
class Found:
    """A template as Meta lists it. `states` are those that webhooks tell of, in their shapes."""

    name: str
    language: str
    states: dict[str, Any] = field(default_factory=dict)
    components: list[Any] | None = None
    parameter_format: str | None = None
    message_send_ttl_seconds: int | None = None
    sub_category: str | None = None
    previous_category: str | None = None
    library_template_name: str | None = None

    def row(self) -> dict[str, Any]:
        """Return it as `store.templates.keep` takes it."""
        return asdict(self)


class Listing(NamedTuple):
    """A page: `after` begins the next one (None: it is the last); `unreadable` were left out."""

    templates: list[Found]
    after: str | None
    unreadable: int


class Submitted(NamedTuple):
    """What Meta answers to a new template; the category may be another than was asked for."""

    template_id: str
    status: str | None
    category: str | None


def list_templates(
    client: GraphClient, waba_id: str, token: str, after: str | None = None
) -> Listing | NoAnswer:
    """Return the page behind `after`. GET /{waba_id}/message_templates.

    The list is at its end only where `paging.next` is absent, whatever the page holds.
    """
    answer: Answer | NoAnswer = NotSent("nothing was asked")
    for size in _SIZES:
        params = {"fields": FIELDS, "limit": str(size), **({"after": after} if after else {})}
        answer = client.call("GET", _templates_of(waba_id), token, params=params)
        # Longer than an answer may be: fewer at once.
        if not (isinstance(answer, Unconfirmed) and answer.http_status == 200):
            break
    if not isinstance(answer, Answer):
        return answer
    document = answer.document or {}
    listed = document.get("data")
    if not isinstance(listed, list):
        return Unconfirmed("the answer has no list", http_status=answer.status)
    goes_on, cursor = _next(document.get("paging"))
    if goes_on and (cursor is None or cursor == after):
        return Unconfirmed("the answer has no cursor", http_status=answer.status)
    found = [one for one in map(read_template, listed) if one is not None]
    return Listing(found, cursor if goes_on else None, len(listed) - len(found))


def find_template(client: GraphClient, template_id: str, token: str) -> Found | NoAnswer:
    """Return a template. GET /{template_id}."""
    answer = client.call("GET", quote(template_id, safe=""), token, params={"fields": FIELDS})
    if not isinstance(answer, Answer):
        return answer
    found = read_template(answer.document)
    return found or Unconfirmed("the answer is no template", http_status=answer.status)


def create_template(
    client: GraphClient, waba_id: str, token: str, definition: Mapping[str, Any]
) -> Submitted | NoAnswer:
    """Submit a template. POST /{waba_id}/message_templates."""
    answer = client.call("POST", _templates_of(waba_id), token, body=definition)
    if not isinstance(answer, Answer):
        return answer
    document = answer.document or {}
    template_id = _word(document.get("id"))
    if template_id is None:
        return Unconfirmed("the answer has no id", http_status=answer.status)
    return Submitted(template_id, _word(document.get("status")), _word(document.get("category")))


def edit_template(
    client: GraphClient, template_id: str, token: str, change: Mapping[str, Any]
) -> NoAnswer | None:
    """Change what is given, components as a whole; None when Meta took it. POST /{template_id}."""
    return _done(client.call("POST", quote(template_id, safe=""), token, body=change))


def delete_template(
    client: GraphClient, waba_id: str, token: str, name: str, template_id: str | None = None
) -> NoAnswer | None:
    """Delete one language by its id, else all of a name; None when it is done.

    DELETE /{waba_id}/message_templates?name=…&hsm_id=….
    """
    params = {"name": name, **({"hsm_id": template_id} if template_id else {})}
    return _done(client.call("DELETE", _templates_of(waba_id), token, params=params))


def unpause_template(client: GraphClient, template_id: str, token: str) -> NoAnswer | None:
    """End a pause that pacing made; None when it is done. POST /{template_id}/unpause."""
    return _done(client.call("POST", f"{quote(template_id, safe='')}/unpause", token))


def read_template(value: Any) -> Found | None:
    """Return a template as Graph writes it; None for what names none or cannot be stored.

    A language is kept with `_`, as everywhere; a quality score is an object or a word.
    """
    if not isinstance(value, dict) or unfit(value) is not None:
        return None
    name, language = _word(value.get("name")), _word(value.get("language"))
    if name is None or language is None:
        return None
    states: dict[str, Any] = {}
    template_id, status = _word(value.get("id")), _word(value.get("status"))
    if template_id is not None:
        states["id"] = template_id
    if status is not None:
        reason = _word(value.get("rejected_reason"))
        states["status"] = {"status": status, **({"reason": reason} if reason else {})}
    for key in ("category", "correct_category"):
        if (said := _word(value.get(key))) is not None:
            states[key] = said
    score = value.get("quality_score")
    if (said := _word(score.get("score") if isinstance(score, dict) else score)) is not None:
        states["quality"] = said
    components, ttl = value.get("components"), value.get("message_send_ttl_seconds")
    return Found(
        name,
        language.replace("-", "_"),
        states,
        components if isinstance(components, list) else None,
        _word(value.get("parameter_format")),
        ttl if type(ttl) is int and abs(ttl) < 2**62 else None,
        _word(value.get("sub_category")),
        _word(value.get("previous_category")),
        _word(value.get("library_template_name")),
    )


def _templates_of(waba_id: str) -> str:
    return f"{quote(waba_id, safe='')}/message_templates"


def _next(paging: Any) -> tuple[bool, str | None]:
    """Return whether there is another page, and the cursor that begins it."""
    if not isinstance(paging, dict) or not paging.get("next"):
        return False, None
    cursors = paging.get("cursors")
    cursor = cursors.get("after") if isinstance(cursors, dict) else None
    if not cursor:
        try:
            cursor = parse_qs(urlsplit(str(paging["next"])).query).get("after", [None])[0]
        except ValueError:
            cursor = None
    return True, _word(cursor)


def _done(answer: Answer | NoAnswer) -> NoAnswer | None:
    if not isinstance(answer, Answer):
        return answer
    document = answer.document or {}
    if document.get("success") is True:
        return None
    if document.get("success") is False:
        reason = _word(document.get("reason"))
        return Rejected(
            None, None, "Meta says that it did not", reason, None, answer.status, Action.NEVER
        )
    return Unconfirmed("the answer does not say so", http_status=answer.status)


def _word(value: object) -> str | None:
    """Return Meta's word or id; a number is one too."""
    if type(value) is int:
        value = str(value)
    return value if is_id(value) and unfit(value) is None else None
