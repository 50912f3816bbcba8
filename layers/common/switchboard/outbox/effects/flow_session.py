"""A message with a Flow opens a session: a token of its own, by which the answer finds it.

The token is the only link between a Flow's endpoint and the person (WhatsApp Flows, Implementing
endpoints), so it is unguessable where the caller gives none. It stands in the stored message: every
try of the message carries the same one.
"""

from __future__ import annotations

import secrets
from typing import Any

from switchboard.kernel.errors import Unprocessable
from switchboard.outbox.effects._effect import Effect, Made, Options

#: What Meta takes for a Flow sent without a token: it names no session, so it counts as none.
_NO_TOKEN = "unused"  # nosec B105
_LONGEST = 200


def _of(message: dict[str, Any], _: Options) -> Made:
    match message:
        case {"type": "interactive", "interactive": {"type": "flow"} as interactive}:
            return _of_interactive(message, interactive)
        case {"type": "template", "template": {"components": list(components)} as template}:
            return _of_template(message, template, components)
        case _:
            return message, ()


def _of_interactive(message: dict[str, Any], interactive: dict[str, Any]) -> Made:
    action = interactive["action"]
    given = action["parameters"]
    field = "message.interactive.action.parameters.flow_token"
    token, own = _token(given, field)
    changed = {**interactive, "action": {**action, "parameters": {**given, "flow_token": token}}}
    document = {
        "tk": token,
        "own": own,
        "at": field,
        "f": given.get("flow_id"),
        "n": given.get("flow_name"),
        "ty": given.get("flow_action", "navigate"),
        "x": given.get("flow_action_payload", {}),
    }
    return {**message, "interactive": changed}, (document,)


def _of_template(message: dict[str, Any], template: dict[str, Any], components: list[Any]) -> Made:
    """Each button component of a Flow; which Flow it opens stands in the template, at Meta."""
    changed: list[Any] = []
    documents: list[dict[str, Any]] = []
    for n, component in enumerate(components):
        if not _is_flow_button(component):
            changed.append(component)
            continue
        given = component.get("parameters")
        parts = [{"type": "action"}] if not isinstance(given, list) or not given else given
        part, *rest = parts
        action = part.get("action") if isinstance(part, dict) else None
        action = action if isinstance(action, dict) else {}
        field = f"message.template.components.{n}.parameters.0.action.flow_token"
        token, own = _token(action, field)
        changed.append(
            {
                **component,
                "parameters": [
                    {"type": "action", "action": {**action, "flow_token": token}},
                    *rest,
                ],
            }
        )
        data = action.get("flow_action_data")
        documents.append(
            {
                "tk": token,
                "own": own,
                "at": field,
                "t": template.get("name"),
                "l": _language(template),
                "i": _place(component.get("index")),
                "x": data if isinstance(data, dict) else {},
            }
        )
    if not documents:
        return message, ()
    return {**message, "template": {**template, "components": changed}}, tuple(documents)


def _language(template: dict[str, Any]) -> Any:
    language = template.get("language")
    return language.get("code") if isinstance(language, dict) else None


def _place(index: Any) -> int:
    """Return a button's place among the template's, from 0; Meta writes it as text."""
    text = str(index)
    return int(text) if text.isascii() and text.isdigit() and len(text) == 1 else 0


def _is_flow_button(component: Any) -> bool:
    return (
        isinstance(component, dict)
        and str(component.get("type")).lower() == "button"
        and str(component.get("sub_type")).lower() == "flow"
    )


def _token(given: dict[str, Any], field: str) -> tuple[str, bool]:
    """Return the token and whether it is the caller's own."""
    token = given.get("flow_token")
    if token is None or token == _NO_TOKEN:
        return secrets.token_urlsafe(24), False
    if not isinstance(token, str) or not 1 <= len(token) <= _LONGEST:
        raise Unprocessable(f"{field}: must have 1 to {_LONGEST} characters", field=field)
    return token, True


KIND = Effect(name="flow_session", of=_of)
