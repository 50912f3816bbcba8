"""Meta's codes as data: every code has an action, and unknown ones have a rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.whatsapp.consequences import consequences_of
from switchboard.whatsapp.errors import (
    RULES,
    UNKNOWN,
    Action,
    Fate,
    GraphError,
    Scope,
    read_error,
    rule_of,
)


@pytest.mark.parametrize(
    ("code", "action"),
    [
        (0, Action.PAUSE_APP),
        (10, Action.PAUSE_APP),
        (200, Action.PAUSE_APP),
        (299, Action.PAUSE_APP),
        (33, Action.PAUSE_NUMBER),
        (100, Action.FIX),
        (190, Action.PAUSE_APP),
        (368, Action.PAUSE_WABA),
        (130429, Action.BACKOFF),
        (130472, Action.NEVER),
        (131026, Action.UNREACHABLE),
        (131031, Action.PAUSE_WABA),
        (131042, Action.PAUSE_WABA),
        (131047, Action.USE_TEMPLATE),
        (131048, Action.PAUSE_NUMBER),
        (131049, Action.LATER),
        (131050, Action.OPT_OUT),
        (131056, Action.PAIR),
        (131215, Action.NEVER),
        (132001, Action.PAUSE_TEMPLATE),
        (132015, Action.PAUSE_TEMPLATE),
        (133010, Action.PAUSE_NUMBER),
        (138006, Action.ASK_PERMISSION),
        (138020, Action.NEVER),
        (139003, Action.FIX),
        (147003, Action.FIX),
        (2388040, Action.FIX),
    ],
)
def test_a_code_has_its_action_whatever_the_http_status(code: int, action: Action) -> None:
    assert {rule_of(code, status).action for status in (None, 200, 400, 403, 500, 503)} == {action}


def test_an_unknown_code_may_pass_on_a_failing_server_only() -> None:
    assert rule_of(999_999, 500).action is Action.BACKOFF
    assert rule_of(999_999, 503).action is Action.BACKOFF
    for status in (None, 200, 400, 499):
        assert rule_of(999_999, status) is UNKNOWN
    assert UNKNOWN.action is Action.NEVER
    assert UNKNOWN.alert


def test_the_limits_of_sending_name_what_has_to_wait() -> None:
    limits = {code: rule.scope for code, rule in RULES.items() if rule.scope is not None}
    assert {code: limits[code] for code in (4, 80007, 130429, 131048, 131056)} == {
        4: Scope.APP,
        80007: Scope.WABA,
        130429: Scope.NUMBER,
        131048: Scope.NUMBER,
        131056: Scope.PAIR,
    }
    assert all((RULES[code].wait_s or 0) > 0 for code in limits)


PAUSES = {Action.PAUSE_NUMBER, Action.PAUSE_WABA, Action.PAUSE_APP}
WAITS = {Action.BACKOFF, Action.LATER, Action.PAIR}


def test_a_message_waits_with_what_is_paused_and_with_nothing_else() -> None:
    for code, rule in RULES.items():
        pauses = not PAUSES.isdisjoint((rule.action, *rule.also))
        assert (rule.message is Fate.HOLD) == pauses, code
        waits = rule.action in WAITS and not pauses
        assert (rule.message in {Fate.RETRY, Fate.UNCONFIRMED}) == waits, code
        assert rule.tries is None or rule.message is Fate.RETRY, code


def test_a_permission_that_was_asked_for_too_often_is_not_asked_for_by_itself() -> None:
    assert rule_of(138009, 400).message is Fate.FAIL
    assert rule_of(138012, 400).message is Fate.RETRY


def test_what_is_sent_later_says_when() -> None:
    assert all(rule.wait_s for rule in RULES.values() if rule.action is Action.LATER)


def test_a_pause_ends_by_itself_or_somebody_hears_of_it() -> None:
    for code, rule in RULES.items():
        if rule.message is Fate.HOLD:
            assert rule.wait_s is not None or rule.alert, code


def consequences(code: int, **how: Any) -> dict[str, Any]:
    return {made["k"]: made for made in consequences_of(code, **how)}


def test_a_dead_token_pauses_the_number_until_there_is_another() -> None:
    for code in (0, 190):
        made = consequences(code, http_status=401)
        assert made["pause_number"] == {"k": "pause_number", "c": str(code), "r": "token"}
        assert made["tell"]["e"] is True
    missing = consequences(200)["pause_number"]
    assert missing["r"] == "token: 200 permission missing or removed"


def test_a_pause_lasts_as_long_as_the_rule_or_meta_says() -> None:
    assert consequences(80007)["pause_account"]["s"] == 60
    assert consequences(80007, wait_s=600.0)["pause_account"]["s"] == 600
    assert consequences(131048)["pause_number"]["s"] == 3_600
    assert consequences(131057)["pause_number"]["s"] == 60
    # Until somebody pays.
    assert "s" not in consequences(131042)["pause_account"]
    assert consequences(131031)["pause_account"]["r"] == "policy: 131031 the account is locked"


@pytest.mark.parametrize(
    ("code", "kinds"),
    [
        (4, {"pause_number"}),
        (100, set()),
        (130429, {"throttle"}),
        (131026, {"unreachable"}),
        (131047, {"close_window"}),
        (131049, set()),
        (131050, {"opt_out"}),
        (131056, set()),
        (132001, {"pause_template"}),
        (132015, {"pause_template"}),
        (132016, {"pause_template", "tell"}),
        (132068, {"tell"}),
        (132069, {"tell"}),
        (138000, {"tell"}),
        (138006, set()),
        (999_999, {"tell"}),
    ],
)
def test_a_code_leads_to_what_its_rule_says(code: int, kinds: set[str]) -> None:
    assert set(consequences(code)) == kinds


def test_what_a_code_leads_to_can_be_stored() -> None:
    for code in RULES:
        for made in consequences_of(code):
            assert len(made.get("r", "")) <= 200
            if made["k"] == "pause_template":
                assert made["v"]


def test_every_code_is_in_the_operators_table() -> None:
    """docs/operations.md tells of each what becomes of the message, and what follows."""
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    table = text.partition("| code | what it means |")[2].partition("\n\n")[0]
    rows = {}
    for line in table.splitlines()[2:]:
        codes, _, fate, follows = (cell.strip() for cell in line.strip("|").split("|")[:4])
        for one in codes.split(", "):
            first, _, last = one.partition("–")
            for code in range(int(first), int(last or first) + 1):
                assert code not in rows, code
                rows[code] = (fate, follows)
    for code, rule in RULES.items():
        kinds = {made["k"] for made in consequences_of(code)}
        if not (kinds - {"tell"}) and rule.message is Fate.FAIL and not rule.alert:
            # Nothing but a failed message: Meta's own list says what is wrong with it.
            assert code not in rows, code
            continue
        fate, follows = rows.pop(code)
        assert fate == rule.message, code
        assert ("alert" in follows) == rule.alert, code
        for kind, words in WORDS.items():
            assert (words in follows) == (kind in kinds), (code, words)
    assert set(rows) <= set(range(200, 300))


WORDS = {
    "pause_number": "number paused",
    "pause_account": "account paused",
    "pause_template": "template paused",
    "throttle": "number slowed",
    "opt_out": "opted out",
    "unreachable": "counted as unreachable",
    "close_window": "window closed",
}


def test_the_code_decides_and_not_the_status_of_the_known_ones() -> None:
    assert rule_of(131049).wait_s == 86_400
    assert rule_of(132069).wait_s == 3_600


def test_an_answers_error_object_is_read() -> None:
    error = {
        "message": "(#131056) pair rate limit hit",
        "type": "OAuthException",
        "code": 131056,
        "error_data": {"messaging_product": "whatsapp", "details": "Too many to one person."},
        "error_subcode": 2494055,
        "fbtrace_id": "Ax9",
    }
    assert read_error(error) == GraphError(
        131056, 2494055, "(#131056) pair rate limit hit", "Too many to one person.", "Ax9"
    )


def test_a_webhooks_error_object_is_read_old_ones_included() -> None:
    assert read_error(
        {"code": 131026, "title": "Message undeliverable", "error_data": {"details": "No."}}
    ) == GraphError(131026, None, "Message undeliverable", "No.", None)
    assert read_error({"code": "470", "title": "Failed", "details": "24 hours"}) == GraphError(
        470, None, "Failed", "24 hours", None
    )


@pytest.mark.parametrize(
    "error", [None, {}, [], "error", {"code": None}, {"code": True}, {"code": "x"}]
)
def test_what_has_no_code_is_no_error_of_metas(error: object) -> None:
    assert read_error(error) is None


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["code", "title", "message", "error_data", "details", "error_subcode"]),
        st.none()
        | st.integers()
        | st.text(alphabet=st.characters())
        | st.dictionaries(st.just("details"), st.text(alphabet=st.characters())),
    )
)
def test_what_is_read_of_an_error_can_be_stored(error: dict[str, object]) -> None:
    read = read_error(error)
    if read is not None:
        told = f"{read.title}{read.details}"
        assert "\0" not in told
        assert told.encode("utf-8")
        assert len(told) <= 2_000
