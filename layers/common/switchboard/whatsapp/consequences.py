"""What one of Meta's codes leads to besides what becomes of the message, as the database takes it.

A consequence is {"k": kind, "c": code, …}; the kinds and their members are told in sql/0027. Whom
it is about (number, message, person) is added by whoever met the code.
"""

from __future__ import annotations

from typing import Any

from switchboard.whatsapp.errors import Action, Mending, Rule, rule_of

#: What holds up more than the message. An app's codes hold up the number whose token was used.
_PAUSES = {
    Action.PAUSE_NUMBER: "pause_number",
    Action.PAUSE_APP: "pause_number",
    Action.PAUSE_WABA: "pause_account",
}
_OTHERS = {
    Action.PAUSE_TEMPLATE: "pause_template",
    Action.OPT_OUT: "opt_out",
    Action.UNREACHABLE: "unreachable",
    Action.USE_TEMPLATE: "close_window",
}
#: Kept as an account event alone: what pauses a Flow comes as a webhook of its own, and calls have
#: their own refusals.
_TOLD = frozenset({Action.PAUSE_FLOW, Action.PAUSE_CALLS})
#: Code -> the status of a stored template, in Meta's words as far as it has one.
_TEMPLATE_STATUS = {132001: "UNAVAILABLE", 132007: "REJECTED", 132015: "PAUSED", 132016: "DISABLED"}
#: The number's bucket (sql/0020) knows by itself how long it rests.
_THROUGHPUT = 130429


def consequences_of(
    code: int, http_status: int | None = None, *, wait_s: float | None = None
) -> list[dict[str, Any]]:
    """Return what `code` leads to, mostly nothing; `wait_s` is what Meta itself asked to wait."""
    rule = rule_of(code, http_status)
    found: dict[str, dict[str, Any]] = {}
    for action in (rule.action, *rule.also):
        pause = _PAUSES.get(action)
        kind = pause or _OTHERS.get(action)
        if code == _THROUGHPUT and pause is not None:
            kind, pause = "throttle", None
        if kind is None or kind in found:
            continue
        consequence: dict[str, Any] = {"k": kind, "c": str(code)}
        if pause is not None:
            consequence["r"] = reason_of(code, rule)
            wait = max(wait_s or 0.0, rule.wait_s or 0.0)
            if rule.wait_s is not None:
                consequence["s"] = wait
        elif kind == "pause_template":
            consequence["v"] = _TEMPLATE_STATUS[code]
        found[kind] = consequence
    told = rule.alert or not _TOLD.isdisjoint((rule.action, *rule.also))
    if told:
        found["tell"] = {"k": "tell", "c": str(code), "r": rule.meaning, "e": rule.alert}
    return list(found.values())


def reason_of(code: int, rule: Rule) -> str:
    """Return why sends are paused: what ends it by itself, the code, what it means.

    A token that is dead is `token` alone.
    """
    if rule.mended_by is Mending.TOKEN and code in {0, 190}:
        return Mending.TOKEN
    sentence = f"{code} {rule.meaning}"
    return sentence if rule.mended_by is None else f"{rule.mended_by}: {sentence}"
