"""Message templates as Meta keeps them, per business account: their states, and what it tells.

Made by the Graph API or by the page, reviewed after a moment, paused and disabled by the page's
switches. Every change of a state goes out as a webhook of its account.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from local.simulator.archive import Archive
from local.simulator.payloads import Update, account_update

Json = dict[str, Any]

#: Seconds until a submitted template is judged.
REVIEW_SECONDS = 2.0
#: Seconds for which the name of a deleted template that was approved is not free.
NAME_BLOCKED_SECONDS = 30 * 24 * 3600.0
STATUSES = ("APPROVED", "PENDING", "REJECTED", "PAUSED", "DISABLED", "IN_APPEAL", "DELETED")
QUALITIES = ("GREEN", "YELLOW", "RED", "UNKNOWN")


@dataclass(slots=True)
class Template:
    """A template in one language. `edits` are the times of edits while it was approved.

    `quality_at` is when the quality was decided on, 0 until the template is kept.
    `paused_by`: "pacing" can be ended by the business, "quality" cannot.
    """

    id: str
    waba_id: str
    name: str
    language: str
    category: str
    components: list[Json]
    status: str = "PENDING"
    quality: str = "UNKNOWN"
    quality_at: float = 0.0
    parameter_format: str = "POSITIONAL"
    message_send_ttl_seconds: int | None = None
    rejected_reason: str = "NONE"
    previous_category: str | None = None
    paused_by: str = "quality"
    was_approved: bool = False
    edits: list[float] = field(default_factory=list)

    def node(self) -> Json:
        """As the Graph API shows it, all fields."""
        shown: Json = {
            "id": self.id,
            "name": self.name,
            "language": self.language,
            "status": self.status,
            "category": self.category,
            "components": self.components,
            "parameter_format": self.parameter_format,
            "quality_score": {"score": self.quality, "date": int(self.quality_at)},
            "rejected_reason": self.rejected_reason,
            "previous_category": self.previous_category,
            "sub_category": None,
            "correct_category": None,
            "library_template_name": None,
            "message_send_ttl_seconds": self.message_send_ttl_seconds,
        }
        # Graph leaves out what is not set.
        return {key: value for key, value in shown.items() if value is not None}


#: The fields that can be asked for.
FIELDS = frozenset(
    (
        *("id", "name", "language", "status", "category", "components", "parameter_format"),
        *("quality_score", "rejected_reason", "previous_category", "sub_category"),
        *("correct_category", "library_template_name", "message_send_ttl_seconds"),
        *("cta_url_link_tracking_opted_out", "degrees_of_freedom_spec"),
    )
)


def _told_of(components: list[Json]) -> Json:
    """The texts and buttons that a webhook tells of new components."""
    parts = {str(part.get("type")).upper(): part for part in components}
    told: Json = {"message_template_element": str(parts.get("BODY", {}).get("text", ""))}
    for word, name in (("HEADER", "title"), ("FOOTER", "footer")):
        if parts.get(word, {}).get("text"):
            told[f"message_template_{name}"] = parts[word]["text"]
    buttons = parts.get("BUTTONS", {}).get("buttons") or []
    if buttons:
        told["message_template_buttons"] = [
            {
                f"message_template_button_{key}": str(button[key])
                for key in ("type", "text", "url", "phone_number")
                if key in button
            }
            for button in buttons
        ]
    return told


class Templates:
    """All templates; `clock` gives Unix seconds.

    `post` takes the webhooks that changes cause, `changed` is called after each change.
    """

    def __init__(
        self,
        archive: Archive,
        post: Callable[[Update], None],
        changed: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._archive = archive
        self._post = post
        self._changed = changed
        self._clock = clock
        self._templates: dict[str, Template] = {}
        self._gone: dict[str, float] = {}
        self.load()

    def __iter__(self) -> Iterator[Template]:
        return iter(list(self._templates.values()))

    def load(self) -> None:
        """Read what an earlier run kept."""
        for key, document in self._archive.documents("template"):
            self._templates[key] = Template(**document)
        for key, document in self._archive.documents("template-gone"):
            self._gone[key] = float(document["at"])

    def save_all(self) -> None:
        """Keep everything anew, after the archive was emptied."""
        for template in self:
            self.put(template)
        for key, at in self._gone.items():
            self._archive.put("template-gone", key, {"at": at})

    def is_known(self, waba_id: str) -> bool:
        """Whether this account has any template here: then there are no others."""
        return any(template.waba_id == waba_id for template in self)

    def find(self, waba_id: str, name: str, language: str) -> Template | None:
        """The template of that name in that language (`-` and `_` are alike), or None."""
        wanted = (waba_id, name, language.replace("-", "_"))
        return next((one for one in self if (one.waba_id, one.name, one.language) == wanted), None)

    def get(self, template_id: str) -> Template | None:
        """The template of that id, or None."""
        return self._templates.get(template_id)

    def all_of(self, waba_id: str) -> list[Template]:
        """An account's templates, the newest first, as Meta lists them."""
        return [one for one in reversed(list(self)) if one.waba_id == waba_id]

    def new_id(self) -> str:
        """An id that no template has."""
        while True:
            made = str(random.randrange(10**15, 10**16))
            if made not in self._templates:
                return made

    def put(self, template: Template) -> None:
        """Keep a template, or keep it anew; nothing is told."""
        template.quality_at = template.quality_at or self._clock()
        self._templates[template.id] = template
        self._archive.put("template", template.id, asdict(template))
        self._changed()

    def delete(self, template: Template) -> None:
        """Delete a template; one that was approved blocks its name."""
        del self._templates[template.id]
        self._archive.remove("template", template.id)
        if template.was_approved:
            key = f"{template.waba_id}/{template.name}"
            self._gone[key] = self._clock()
            self._archive.put("template-gone", key, {"at": self._gone[key]})
        self._changed()
        self._tell_status(template, "DELETED", "NONE")

    def is_blocked(self, waba_id: str, name: str) -> bool:
        """Whether the name was deleted lately."""
        at = self._gone.get(f"{waba_id}/{name}")
        return at is not None and self._clock() - at < NAME_BLOCKED_SECONDS

    def set_status(self, template: Template, status: str, **more: Any) -> None:
        """Set a status and tell of it; `more` are `reason` and members of the webhook's value."""
        reason = more.pop("reason", None) or "NONE"
        template.status = status
        template.rejected_reason = reason if status == "REJECTED" else "NONE"
        template.was_approved |= status == "APPROVED"
        self.put(template)
        self._tell_status(template, status, reason, **more)

    def set_quality(self, template: Template, quality: str) -> None:
        """Set a quality score and tell of it."""
        before, template.quality = template.quality, quality
        template.quality_at = self._clock()
        self.put(template)
        scores = {"previous_quality_score": before, "new_quality_score": quality}
        self._tell(template, "message_template_quality_update", scores)

    def set_category(self, template: Template, category: str) -> None:
        """Move a template into another category and tell of it."""
        before, template.category = template.category, category
        template.previous_category = before
        self.put(template)
        moved = {"previous_category": before, "new_category": category}
        self._tell(template, "template_category_update", moved)

    def set_components(self, template: Template, components: list[Json]) -> None:
        """Replace the components and tell of it."""
        template.components = components
        self.put(template)
        self._tell(template, "message_template_components_update", _told_of(components))

    def clear(self) -> None:
        """Forget all templates; nothing is told."""
        for template in self:
            self._archive.remove("template", template.id)
        for key in self._gone:
            self._archive.remove("template-gone", key)
        self._templates.clear()
        self._gone.clear()
        self._changed()

    def _tell_status(self, template: Template, event: str, reason: str, **more: Any) -> None:
        value = {"event": event, "reason": reason, "message_template_category": template.category}
        self._tell(template, "message_template_status_update", value | more)

    def _tell(self, template: Template, field: str, value: Json) -> None:
        named = {
            "message_template_id": int(template.id),
            "message_template_name": template.name,
            # Webhooks write it with a dash.
            "message_template_language": template.language.replace("_", "-"),
        }
        self._post(account_update(template.waba_id, field, named | value, self._clock()))
