"""A template's text was edited (field message_template_components_update).

What is told here is not the whole template, so that nothing is rebuilt from it: our copy of the
components is marked as stale, to be fetched again.
"""

from __future__ import annotations

from collections.abc import Iterable

from switchboard.whatsapp.webhook.fields._field import Change, Field
from switchboard.whatsapp.webhook.fields._templates import KIND as TEMPLATE
from switchboard.whatsapp.webhook.fields._templates import template_event
from switchboard.whatsapp.webhook.items import Item

NAME = "message_template_components_update"
_SAID = ("title", "element", "footer", "buttons")


def _read(change: Change) -> Iterable[Item]:
    said = {key: change.value.get(f"message_template_{key}") for key in _SAID}
    return [template_event(change, NAME, "COMPONENTS", {"components": said})]


KIND = Field(name=NAME, read=_read, events=(TEMPLATE,))
