"""Asks the gates and weighs their findings."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from switchboard.kernel.registry import Registry
from switchboard.policy.facts import Facts, Kind
from switchboard.policy.gates._gate import Defer, Deny, Gate
from switchboard.policy.verdict import Allowed, Deferred, Denied, Verdict

GATES: Registry[Gate] = Registry("switchboard.policy.gates", Gate)


def kind_of(message_type: str, category: str | None) -> Kind:
    """Return the kind of a message: a template's category, else reply.

    A template of unknown category counts as marketing, the strictest (design 4).
    """
    if message_type != "template":
        return Kind.REPLY
    try:
        return Kind((category or "").lower())
    except ValueError:
        return Kind.MARKETING


#: From the fewest gates to the most.
_STRICTNESS = (Kind.REPLY, Kind.AUTHENTICATION, Kind.UTILITY, Kind.MARKETING)


def stricter(one: Kind, other: Kind) -> Kind:
    """Return the kind of the two that more gates apply to."""
    return max(one, other, key=_STRICTNESS.index)


def decide(facts: Facts, kind: Kind) -> Verdict:
    """Return the verdict of all gates of `kind`: a denial, else the latest deferral, else allowed.

    A deferral past the message's expiry or, for a reply, its window is a denial at once. An urgent
    utility message passes the gates of a code; nothing else can be urgent.
    """
    if facts.urgent and kind is Kind.UTILITY:
        kind = Kind.AUTHENTICATION
    return weigh(_gates(kind), facts, kind)


def weigh(gates: Iterable[Gate], facts: Facts, kind: Kind) -> Verdict:
    """Return the verdict of these gates, in the order of their ranks; see `decide`."""
    findings: dict[str, str] = {}
    denial: Deny | None = None
    deferral: Defer | None = None
    for gate in gates:
        finding = gate.ask(facts)
        findings[gate.name] = "allowed" if finding is None else finding.reason
        if isinstance(finding, Deny):
            denial = denial or finding
        elif finding is not None:
            deferral = _later(deferral, finding)
    if denial is not None:
        return Denied(denial.reason, denial.hint, findings)
    if deferral is None:
        return Allowed(findings)
    if _too_late(deferral, facts, kind):
        return Denied(deferral.reason, f"too late by then: {deferral.hint}", findings)
    return Deferred(deferral.reason, deferral.hint, deferral.until, findings)


@cache
def _gates(kind: Kind) -> tuple[Gate, ...]:
    return tuple(sorted((g for g in GATES if kind in g.kinds), key=lambda gate: gate.rank))


def _later(one: Defer | None, other: Defer) -> Defer:
    # An unknown end is later than any known one.
    if one is None or other.until is None:
        return other
    if one.until is None:
        return one
    return one if one.until >= other.until else other


def _too_late(deferral: Defer, facts: Facts, kind: Kind) -> bool:
    if deferral.until is None:
        return False
    ends = [facts.expires_at]
    if kind is Kind.REPLY:
        ends.append(facts.window_expires_at)
    return any(end is not None and deferral.until >= end for end in ends)
