"""The policy: which gate says what, whose word counts, and what is stored of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from switchboard.policy import (
    Allowed,
    Deferred,
    Denied,
    Facts,
    Kind,
    decide,
    decision,
    kind_of,
    stricter,
)
from switchboard.policy.facts import Person
from switchboard.policy.gates._gate import ALL, Defer, Gate
from switchboard.policy.verdict import document

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
OPEN = Facts(
    at=NOW,
    tenant_active=True,
    tenant_stopped=False,
    number_active=True,
    number_status="connected",
    number_stopped=False,
    has_token=True,
    is_blocked=False,
    window_expires_at=NOW + timedelta(hours=1),
    recipient="4915112345678",
    person=Person(opt_in="opted_in"),
)


#: Which gates a message of each kind passes: this table and nothing else.
LIMITS = {"throughput", "pair"}
ALWAYS = {"key", "number", "recipient", "blocked", "expiry"} | LIMITS
CODE = ALWAYS | {"template", "portfolio"}
NOTICE = CODE | {"opt_out", "preference", "quiet_hours"}
TABLE = {
    Kind.REPLY: ALWAYS | {"stop", "window"},
    Kind.AUTHENTICATION: CODE,
    Kind.UTILITY: NOTICE,
    Kind.MARKETING: NOTICE | {"opt_in", "marketing_stop", "frequency", "country"},
}


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_passes_the_gates_of_the_table_and_no_others(kind: Kind) -> None:
    verdict = decide(OPEN, kind)
    assert isinstance(verdict, Allowed)
    assert set(verdict.findings) == TABLE[kind]
    assert set(verdict.findings.values()) == {"allowed"}


def test_an_urgent_notice_passes_the_gates_of_a_code_and_nothing_else_can_be_urgent() -> None:
    urgent = replace(OPEN, urgent=True)
    assert set(decide(urgent, Kind.UTILITY).findings) == CODE
    assert set(decide(urgent, Kind.MARKETING).findings) == TABLE[Kind.MARKETING]
    assert set(decide(urgent, Kind.REPLY).findings) == TABLE[Kind.REPLY]


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        (Kind.UTILITY, Kind.MARKETING, Kind.MARKETING),
        (Kind.MARKETING, Kind.AUTHENTICATION, Kind.MARKETING),
        (Kind.AUTHENTICATION, Kind.UTILITY, Kind.UTILITY),
    ],
)
def test_what_meta_tells_later_of_a_template_only_adds_gates(
    one: Kind, other: Kind, kind: Kind
) -> None:
    assert stricter(one, other) is stricter(other, one) is kind


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"scopes": frozenset({"messages:read"})}, "scope_missing"),
        ({"tenant_active": False}, "tenant_inactive"),
        ({"number_active": False}, "number_inactive"),
        ({"number_status": "suspended"}, "number_suspended"),
        ({"number_status": "disconnected"}, "number_disconnected"),
        ({"has_token": False}, "token_missing"),
        ({"is_blocked": True}, "contact_blocked"),
        ({"window_expires_at": None}, "window_closed"),
        ({"window_expires_at": NOW}, "window_closed"),
        ({"expires_at": NOW}, "expired"),
        ({"allow_list": frozenset({"34600000001"})}, "recipient_not_allowed"),
    ],
)
def test_each_gate_denies_with_its_reason(change: dict[str, Any], reason: str) -> None:
    verdict = decide(replace(OPEN, **change), Kind.REPLY)
    assert isinstance(verdict, Denied)
    assert verdict.reason == reason
    assert verdict.hint
    assert list(verdict.findings.values()).count(reason) == 1


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.REPLY])
def test_templates_need_no_window(kind: Kind) -> None:
    verdict = decide(replace(OPEN, window_expires_at=None), kind)
    assert isinstance(verdict, Allowed)
    assert "window" not in verdict.findings


def test_every_finding_is_kept_and_the_first_gate_gives_the_reason() -> None:
    facts = replace(OPEN, is_blocked=True, number_active=False, window_expires_at=None)
    verdict = decide(facts, Kind.REPLY)
    assert isinstance(verdict, Denied)
    assert verdict.reason == "number_inactive"
    assert verdict.findings["blocked"] == "contact_blocked"
    assert verdict.findings["window"] == "window_closed"


@pytest.mark.parametrize("switch", ["tenant_stopped", "number_stopped"])
def test_a_stop_defers_and_a_denial_outweighs_it(switch: str) -> None:
    change: dict[str, Any] = {switch: True}
    stopped = replace(OPEN, **change)
    verdict = decide(stopped, Kind.REPLY)
    assert isinstance(verdict, Deferred)
    assert (verdict.reason, verdict.until) == ("stopped", None)
    assert isinstance(decide(replace(stopped, is_blocked=True), Kind.REPLY), Denied)


def test_mexicos_forms_are_one_on_the_allow_list() -> None:
    facts = replace(OPEN, allow_list=frozenset({"5215550001234"}), recipient="525550001234")
    assert isinstance(decide(facts, Kind.REPLY), Allowed)


@pytest.mark.parametrize(
    ("until", "expected"),
    [(NOW + timedelta(minutes=30), Deferred), (NOW + timedelta(hours=2), Denied)],
)
def test_a_deferral_past_the_window_is_a_denial_at_once(
    monkeypatch: pytest.MonkeyPatch, until: datetime, expected: type
) -> None:
    gate = Gate("quiet", 60, ALL, lambda _: Defer("quiet", "later", until))
    monkeypatch.setattr(decision, "_gates", lambda _: (gate,))
    assert isinstance(decide(OPEN, Kind.REPLY), expected)
    assert isinstance(decide(OPEN, Kind.UTILITY), Deferred)


def test_the_latest_deferral_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [NOW + timedelta(minutes=n) for n in (10, 30, 20)]
    gates = tuple(
        Gate(f"g{n}", n, ALL, lambda _, time=time: Defer("r", "h", time))  # type: ignore[misc]
        for n, time in enumerate(times)
    )
    monkeypatch.setattr(decision, "_gates", lambda _: gates)
    verdict = decide(OPEN, Kind.REPLY)
    assert isinstance(verdict, Deferred)
    assert verdict.until == times[1]


@pytest.mark.parametrize(
    ("message_type", "category", "kind"),
    [
        ("text", None, Kind.REPLY),
        ("text", "marketing", Kind.REPLY),
        ("template", "UTILITY", Kind.UTILITY),
        ("template", "authentication", Kind.AUTHENTICATION),
        ("template", None, Kind.MARKETING),
        ("template", "tomorrow", Kind.MARKETING),
    ],
)
def test_the_kind_is_the_category_else_reply(
    message_type: str, category: str | None, kind: Kind
) -> None:
    assert kind_of(message_type, category) is kind


def test_what_is_stored_tells_when_why_and_what_to_do() -> None:
    verdict = decide(replace(OPEN, window_expires_at=None), Kind.REPLY)
    assert document(verdict, at=NOW, attempt=2, kind="reply") == {
        "at": "2026-11-20T12:00:00.000+00:00",
        "attempt": 2,
        "kind": "reply",
        "verdict": "denied",
        "reason": "window_closed",
        "hint": "the person has not written in the last 24 hours: send a template instead",
        "gates": {
            "key": "allowed",
            "number": "allowed",
            "recipient": "allowed",
            "blocked": "allowed",
            "stop": "allowed",
            "window": "window_closed",
            "expiry": "allowed",
            "throughput": "allowed",
            "pair": "allowed",
        },
    }
