"""What a template's parameter is made of: a fact, a fact with a fallback, or words."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from switchboard.automation.actions._kind import Pass
from switchboard.automation.facts import Facts, Path
from switchboard.kernel.arguments import Arguments


class Fact(Arguments):
    """A fact, and what stands there where it is missing."""

    value: Path
    fallback: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None


class Words(Arguments):
    """Words that are always the same."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=1000)]


Source = Path | Fact | Words


def words(source: Source, facts: Facts) -> str:
    """Return what stands in the parameter's place; raises Pass where the fact is missing."""
    if isinstance(source, Words):
        return source.text
    path, fallback = (source, None) if isinstance(source, str) else (source.value, source.fallback)
    told = facts.text(path) or fallback
    if told is None:
        raise Pass(f"missing: {path}")
    return told
