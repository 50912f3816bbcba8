"""What Meta's answer to one request means for the attempt (reliability 2.2, its classes)."""

from __future__ import annotations

import random
from typing import Any, assert_never

from switchboard.kernel import phones
from switchboard.outbox.answers import of_message
from switchboard.outbox.ready import Ready
from switchboard.outbox.timing import BACKOFF_BASE_S, BACKOFF_CAP_S, HOLD_CAP_S, TRIES
from switchboard.whatsapp.client import (
    Accepted,
    NotSent,
    Outcome,
    Rejected,
    Throttled,
    Unconfirmed,
)
from switchboard.whatsapp.errors import Action, Fate, Rule, Scope, rule_of

#: Limits that the number's other messages would hit as well.
_WIDE = frozenset({Scope.NUMBER, Scope.WABA, Scope.APP})


def settlement(ready: Ready, outcome: Outcome) -> dict[str, Any]:
    """Return the member of p_settle of messaging.advance_sends for what came back.

    `rest`, besides: seconds for which the number's other messages need not try.
    """
    row = _result(ready, outcome)
    row["id"] = ready.message_id
    row["account"] = ready.account_id
    row["contact"] = ready.contact_id
    if ready.idempotency_key is not None:
        row["key"] = ready.idempotency_key
        row["answer"] = of_message(
            ready.message_id,
            _STATUS[row["result"]],
            wa_message_id=row.get("wamid"),
            decision=ready.decision or (),
            error=error_of(row),
        ).stored()
    return row


#: What a message's status becomes by a result, unless a webhook was ahead of it.
_STATUS = {
    "accepted": "accepted",
    "failed": "failed",
    "retry": "pending",
    "unconfirmed": "unconfirmed",
}


def error_of(row: dict[str, Any]) -> dict[str, Any] | None:
    """Return the error of a settlement as a caller is told it."""
    errors = row.get("errors")
    return errors[0] if errors else None


def _result(ready: Ready, outcome: Outcome) -> dict[str, Any]:
    row: dict[str, Any]
    error: dict[str, Any]
    match outcome:
        case Accepted():
            row = {
                "result": "accepted",
                "wamid": outcome.wa_message_id,
                "response": outcome.raw,
            }
            if ready.recipient_kind == "phone" and outcome.wa_id:
                told = phones.national_variant(outcome.wa_id)
                # Meta's own answer names the person's other form (Argentina 54 and 549).
                if phones.digits(told) and told != phones.national_variant(ready.recipient):
                    row["wa_id"] = told
            return row
        case Rejected() | Throttled():
            return _refused(ready, outcome)
        case NotSent():
            error = {"code": "not_sent", "title": "Meta was not reached", "details": outcome.reason}
            if ready.tries + 1 >= TRIES:
                if ready.attempt > 1:
                    # An earlier attempt may have arrived: only a status tells.
                    row = {"result": "unconfirmed"}
                    return _with_error(row, "not_sent", outcome.reason, error)
                return _failed("not_sent", outcome.reason, error)
            row = {"result": "retry", "delay": backoff(ready.tries)}
            return _with_error(row, "not_sent", outcome.reason, error)
        case Unconfirmed():
            error = {"code": "unconfirmed", "title": "outcome unknown", "details": outcome.reason}
            if outcome.trace_id is not None:
                error["trace_id"] = outcome.trace_id
            return _with_error({"result": "unconfirmed"}, "unconfirmed", outcome.reason, error)
        case _:
            assert_never(outcome)


def backoff(tries: int) -> float:
    """Return the seconds until the next try: the first at once, then full jitter."""
    if tries == 0:
        return 0.0
    return random.uniform(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2 ** min(tries, 20)))


def _refused(ready: Ready, outcome: Rejected | Throttled) -> dict[str, Any]:
    """Return what becomes of a message that Meta refused: the code's rule says it."""
    error = _graph_error(outcome)
    code = _code(outcome)
    rule = None if outcome.code is None else rule_of(outcome.code, outcome.http_status)
    fate = _fate(outcome, rule)
    if fate is Fate.HOLD:
        row = {"result": "retry", "delay": _hold_delay(ready, outcome), "keeps": True}
        row["rest"] = row["delay"]
        return _with_error(row, code, outcome.title, error)
    if fate is Fate.RETRY and _may_try_again(ready, rule):
        delay = _retry_delay(ready, outcome, rule)
        if ready.lasts_s is None or delay < ready.lasts_s:
            row = {"result": "retry", "delay": delay}
            if isinstance(outcome, Throttled) and outcome.scope in _WIDE:
                row["rest"] = delay
            return _with_error(row, code, outcome.title, error)
        # When it might go out it is worth nothing any more.
        error["reason"] = "too_late"
        return _failed(code, f"too late to try again: {outcome.title}", error)
    return _failed(code, outcome.title, error)


def _fate(outcome: Rejected | Throttled, rule: Rule | None) -> Fate:
    fate = Fate.FAIL if rule is None else rule.message
    # An HTTP 429 is no last word, whatever its code.
    return Fate.RETRY if fate is Fate.FAIL and isinstance(outcome, Throttled) else fate


def _may_try_again(ready: Ready, rule: Rule | None) -> bool:
    # A limit of Meta's is nothing that a message could fail of.
    if rule is not None and rule.scope is Scope.PAIR:
        return True
    # What has an end of its own waits for the time that Meta names, however often.
    if rule is not None and rule.action is Action.LATER and ready.lasts_s is not None:
        return True
    return ready.tries + 1 < ((rule and rule.tries) or TRIES)


def _hold_delay(ready: Ready, outcome: Rejected | Throttled) -> float:
    """Return when to look again: the pause itself says how long, and may end before its time."""
    wait = (outcome.retry_after_s if isinstance(outcome, Throttled) else None) or 1.0
    return min(HOLD_CAP_S, wait + _jitter(ready.tries))


def _retry_delay(ready: Ready, outcome: Rejected | Throttled, rule: Rule | None) -> float:
    # Cloud API: after 131056 wait 4^X seconds, X from 0; the others say how long, or nothing.
    if isinstance(outcome, Throttled) and outcome.scope is Scope.PAIR:
        return min(BACKOFF_CAP_S, 4.0 ** min(ready.tries, TRIES)) + random.uniform(0, 0.5)
    wait = outcome.retry_after_s if isinstance(outcome, Throttled) else rule and rule.wait_s
    return (wait or 1.0) + _jitter(ready.tries)


def _jitter(tries: int) -> float:
    return random.uniform(0, BACKOFF_BASE_S * 2.0 ** min(tries, TRIES))


def _code(outcome: Rejected | Throttled) -> str:
    return f"http_{outcome.http_status}" if outcome.code is None else str(outcome.code)


def _graph_error(outcome: Rejected | Throttled) -> dict[str, Any]:
    return {
        "code": outcome.code,
        "subcode": outcome.subcode if isinstance(outcome, Rejected) else None,
        "title": outcome.title,
        "details": outcome.details,
        "trace_id": outcome.trace_id,
        "http_status": outcome.http_status,
    }


def _failed(code: str, message: str, error: dict[str, Any]) -> dict[str, Any]:
    return _with_error({"result": "failed", "response": error}, code, message, error)


def _with_error(
    row: dict[str, Any], code: str, message: str, error: dict[str, Any]
) -> dict[str, Any]:
    row.update(code=code, message=(message or "")[:500], errors=[error])
    return row
