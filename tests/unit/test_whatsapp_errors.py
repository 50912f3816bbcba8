"""Meta's codes as data: every code has an action, and unknown ones have a rule."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.whatsapp.errors import (
    RULES,
    UNKNOWN,
    Action,
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
