"""What is asked of dead letters and answered, by route and by command."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, Field, model_validator

from switchboard.intake.letters import Reason, Selection, Shown
from switchboard.kernel.arguments import Arguments
from switchboard.store.letters import Letter


class LetterSelection(Arguments):
    """Which open letters to replay; at least one of the members."""

    reason: Reason | None = Field(None, description="all that are letters for this reason")
    since: AwareDatetime | None = Field(None, description="received then or later")
    until: AwareDatetime | None = Field(None, description="received before")
    ids: list[UUID] | None = Field(
        None, min_length=1, max_length=100, description="just these, at most 100"
    )

    @model_validator(mode="after")
    def _something(self) -> LetterSelection:
        if not self.model_dump(exclude_none=True):
            raise ValueError("name a reason, a time or ids: a replay of all is asked for by a time")
        return self

    def selection(self) -> Selection:
        """Return it as the use case takes it."""
        return Selection(
            self.reason, self.since, self.until, None if self.ids is None else tuple(self.ids)
        )


def as_document(letter: Letter | Shown) -> dict[str, Any]:
    """Return a letter as a caller sees it: its body as `text`, or `base64` where it is none."""
    whole = {}
    if isinstance(letter, Shown):
        whole = {"text": letter.text, "base64": letter.base64}
        letter = letter.letter
    document = asdict(letter)
    document.pop("body", None)
    return {**document, **whole}
