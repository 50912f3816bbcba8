"""What the policy answers: a tagged union, each with every gate's finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from switchboard.policy.facts import Kind
from switchboard.policy.gates.number import PAUSED as NUMBER_PAUSED
from switchboard.policy.gates.template import PAUSED

#: Gate name -> `allowed`, or the reason of its denial or deferral.
Findings = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Allowed:
    """Nothing speaks against sending now."""

    findings: Findings


@dataclass(frozen=True, slots=True)
class Denied:
    """This message must not go out; `hint` says what the caller can do instead."""

    reason: str
    hint: str
    findings: Findings


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now. `until` is None where nobody knows (a stopped number): lifting the stop resumes."""

    reason: str
    hint: str
    until: datetime | None
    findings: Findings


Verdict = Allowed | Denied | Deferred


def due_at(verdict: Deferred) -> datetime | str | None:
    """Return when a deferred attempt is due again; what a template holds back, when it is released.

    None: at once, when its number or its tenant may send again; until then nobody claims it, and
    lifting a pause before its time is one update.
    """
    if verdict.reason == PAUSED:
        return "infinity"
    return None if verdict.reason == NUMBER_PAUSED else verdict.until


def category_of(given: str | None, kind: Kind) -> str | None:
    """Return the category of notifications that a message belongs to."""
    return given or ("marketing" if kind is Kind.MARKETING else None)


def document(verdict: Verdict, *, at: datetime, attempt: int, kind: str) -> dict[str, Any]:
    """Return the verdict as it is stored with the message, one entry per attempt."""
    entry: dict[str, Any] = {
        "at": at.isoformat(timespec="milliseconds"),
        "attempt": attempt,
        "kind": kind,
        "verdict": type(verdict).__name__.lower(),
    }
    if not isinstance(verdict, Allowed):
        entry["reason"] = verdict.reason
        entry["hint"] = verdict.hint
    if isinstance(verdict, Deferred) and verdict.until is not None:
        entry["until"] = verdict.until.isoformat(timespec="milliseconds")
    entry["gates"] = dict(verdict.findings)
    return entry
