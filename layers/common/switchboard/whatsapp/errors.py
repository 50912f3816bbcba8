"""Meta's error codes as data: what each means and what to do next.

Source: Cloud API, Error codes, and what the codes' pages advise. The HTTP status does not tell the
class of an error (rate limits come as 400), so everything is decided by `error.code`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from switchboard.kernel.errors import Unprocessable


class InvalidMessage(Unprocessable):
    """A message beyond Meta's rules: names the field, the limit and the length, never the value.

    `extra["errors"]` lists every fault: {"field", "detail"} and, of a length, {"limit", "length"}.
    """

    title = "Message beyond Meta's limits"


class Action(StrEnum):
    """What to do next about an error."""

    BACKOFF = "backoff"
    """Try again a few times, with exponential back-off and jitter."""
    PAIR = "pair"
    """Wait 4^n seconds for this recipient only."""
    LATER = "later"
    """Try again, but not before the stated time."""
    NEVER = "never"
    """Permanent for this message."""
    FIX = "fix"
    """Permanent, and our fault: somebody has to look."""
    PAUSE_NUMBER = "pause_number"
    PAUSE_WABA = "pause_waba"
    PAUSE_APP = "pause_app"
    """The number whose token was used: others of the app may have one that works."""
    PAUSE_TEMPLATE = "pause_template"
    PAUSE_FLOW = "pause_flow"
    PAUSE_CALLS = "pause_calls"
    UNREACHABLE = "unreachable"
    """The contact cannot be reached; after two or three in a row, mark it so."""
    OPT_OUT = "opt_out"
    """The person stopped marketing messages."""
    USE_TEMPLATE = "use_template"
    """The 24-hour window is closed: only a template may be sent."""
    ASK_PERMISSION = "ask_permission"
    """The person has not allowed calls."""


class Scope(StrEnum):
    """What a refusal for the moment holds up."""

    PAIR = "pair"
    NUMBER = "number"
    WABA = "waba"
    APP = "app"
    MESSAGE = "message"
    """Only this message, or nobody knows."""


class Fate(StrEnum):
    """What becomes of the message that was refused."""

    FAIL = "fail"
    RETRY = "retry"
    """It is tried again, some times at most and never after its end."""
    HOLD = "hold"
    """Not its fault: it waits with whatever is paused, however long, until its end."""
    UNCONFIRMED = "unconfirmed"
    """Meta may have taken it: only a status tells, and it is never sent again blindly."""


class Mending(StrEnum):
    """What ends a pause before its time, besides a person: the first word of the pause's reason."""

    TOKEN = "token"  # nosec B105
    """A new access token of the number."""
    POLICY = "policy"
    """Meta's reinstatement of the account."""


class Rule(NamedTuple):
    """One code: the first action, what it means, and what else to do.

    `scope` is set where the code is a limit that was hit: refused now, welcome later. `wait_s` is
    the least time to wait in seconds; a pause without one lasts until somebody mends what is wrong
    (`mended_by`, or a person says so). `alert` says that a person should hear of it. `message` is
    what becomes of a message whose request was answered so, `tries` how often it goes out at most.
    """

    action: Action
    meaning: str
    scope: Scope | None = None
    wait_s: float | None = None
    alert: bool = False
    also: tuple[Action, ...] = ()
    message: Fate = Fate.FAIL
    tries: int | None = None
    mended_by: Mending | None = None


_A = Action
_HOLD, _RETRY, _UNCONFIRMED = Fate.HOLD, Fate.RETRY, Fate.UNCONFIRMED
_TOKEN, _POLICY = Mending.TOKEN, Mending.POLICY
_DAY_S = 86_400
RULES: dict[int, Rule] = {
    0: Rule(
        _A.PAUSE_APP,
        "authentication failed, a new token is needed",
        alert=True,
        message=_HOLD,
        mended_by=_TOKEN,
    ),
    1: Rule(_A.BACKOFF, "unknown API error", also=(_A.FIX,), message=_RETRY, tries=3),
    2: Rule(_A.BACKOFF, "temporary outage", wait_s=5, message=_RETRY),
    3: Rule(
        _A.PAUSE_APP, "the app lacks the capability", alert=True, message=_HOLD, mended_by=_TOKEN
    ),
    4: Rule(_A.LATER, "the app's call limit", Scope.APP, 300, also=(_A.PAUSE_APP,), message=_HOLD),
    10: Rule(
        _A.PAUSE_APP, "permission missing or removed", alert=True, message=_HOLD, mended_by=_TOKEN
    ),
    33: Rule(
        _A.PAUSE_NUMBER,
        "the number was deleted or is out of reach",
        alert=True,
        also=(_A.FIX,),
        message=_HOLD,
        mended_by=_TOKEN,
    ),
    100: Rule(_A.FIX, "invalid parameter"),
    190: Rule(
        _A.PAUSE_APP,
        "the access token is invalid or expired",
        alert=True,
        message=_HOLD,
        mended_by=_TOKEN,
    ),
    368: Rule(
        _A.PAUSE_WABA,
        "blocked for a policy violation",
        wait_s=_DAY_S,
        alert=True,
        message=_HOLD,
        mended_by=_POLICY,
    ),
    501: Rule(_A.FIX, "unsupported message type (old)"),
    613: Rule(_A.BACKOFF, "limit of the call-permission API", Scope.NUMBER, 1, message=_RETRY),
    80007: Rule(
        _A.PAUSE_WABA, "the WABA's rate limit", Scope.WABA, 60, also=(_A.LATER,), message=_HOLD
    ),
    80008: Rule(_A.LATER, "rate limit of business management", Scope.WABA, 60, message=_RETRY),
    130429: Rule(
        _A.BACKOFF,
        "the number's throughput",
        Scope.NUMBER,
        1,
        also=(_A.PAUSE_NUMBER,),
        message=_HOLD,
    ),
    130472: Rule(_A.NEVER, "the person is in a marketing experiment"),
    130497: Rule(_A.NEVER, "the WABA may not message this country"),
    130501: Rule(_A.FIX, "unsupported message type (old)"),
    131000: Rule(_A.BACKOFF, "unknown error", message=_UNCONFIRMED),
    131005: Rule(_A.PAUSE_WABA, "access denied", alert=True, message=_HOLD),
    131008: Rule(_A.FIX, "a required parameter is missing"),
    131009: Rule(_A.FIX, "a parameter's value is invalid"),
    131016: Rule(_A.BACKOFF, "service unavailable", message=_UNCONFIRMED),
    131020: Rule(_A.NEVER, "groups"),
    131021: Rule(_A.NEVER, "the recipient is the sender"),
    131026: Rule(_A.UNREACHABLE, "undeliverable", also=(_A.NEVER,)),
    131030: Rule(_A.NEVER, "the recipient is not on the test number's list"),
    131031: Rule(
        _A.PAUSE_WABA, "the account is locked", alert=True, message=_HOLD, mended_by=_POLICY
    ),
    131037: Rule(_A.PAUSE_NUMBER, "the display name is not approved", alert=True, message=_HOLD),
    131041: Rule(_A.NEVER, "groups"),
    131042: Rule(_A.PAUSE_WABA, "a payment problem", alert=True, message=_HOLD),
    131044: Rule(_A.PAUSE_WABA, "a payment problem of calling", alert=True, message=_HOLD),
    131045: Rule(_A.PAUSE_NUMBER, "the number's registration", alert=True, message=_HOLD),
    131047: Rule(_A.USE_TEMPLATE, "more than 24 hours since the person last wrote"),
    131048: Rule(
        _A.PAUSE_NUMBER, "spam rate limit", Scope.NUMBER, 3_600, alert=True, message=_HOLD
    ),
    131049: Rule(
        _A.LATER, "not delivered to keep the ecosystem healthy", wait_s=_DAY_S, message=_RETRY
    ),
    131050: Rule(_A.OPT_OUT, "the person stopped marketing messages"),
    131051: Rule(_A.FIX, "unsupported message type"),
    131052: Rule(_A.NEVER, "the person's media could not be downloaded"),
    131053: Rule(_A.FIX, "our media could not be uploaded", also=(_A.NEVER,)),
    131055: Rule(_A.FIX, "method not allowed (marketing messages API)"),
    131056: Rule(_A.PAIR, "the pair's rate limit", Scope.PAIR, 1, message=_RETRY),
    131057: Rule(_A.PAUSE_NUMBER, "maintenance, about a minute", Scope.NUMBER, 60, message=_HOLD),
    131060: Rule(_A.FIX, "the message is unavailable (linked device)"),
    131062: Rule(_A.NEVER, "a business-scoped user id is not supported here, use the phone"),
    131063: Rule(_A.FIX, "marketing is disabled on Cloud API, use the marketing messages API"),
    131064: Rule(
        _A.PAUSE_WABA,
        "limited for misclassified templates",
        wait_s=_DAY_S,
        alert=True,
        message=_HOLD,
        mended_by=_POLICY,
    ),
    132000: Rule(_A.FIX, "the number of template parameters does not match"),
    132001: Rule(_A.PAUSE_TEMPLATE, "the template does not exist in this language"),
    132005: Rule(_A.FIX, "the filled-in text is too long"),
    132007: Rule(_A.PAUSE_TEMPLATE, "the template violates the content policy"),
    132008: Rule(_A.FIX, "a template parameter is wrong"),
    132012: Rule(_A.FIX, "a template parameter's format is wrong"),
    132015: Rule(_A.PAUSE_TEMPLATE, "the template is paused"),
    132016: Rule(_A.PAUSE_TEMPLATE, "the template is disabled for good", alert=True),
    132018: Rule(_A.FIX, "a template parameter is invalid"),
    132068: Rule(_A.PAUSE_FLOW, "the flow is blocked", alert=True),
    132069: Rule(
        _A.LATER, "the flow is throttled", wait_s=3_600, also=(_A.PAUSE_FLOW,), message=_RETRY
    ),
    133000: Rule(_A.FIX, "an earlier deregistration failed"),
    133004: Rule(_A.BACKOFF, "registration is unavailable", message=_RETRY),
    133005: Rule(_A.FIX, "the PIN does not match"),
    133006: Rule(_A.FIX, "the number must be verified first"),
    133008: Rule(_A.FIX, "too many PIN guesses"),
    133009: Rule(_A.FIX, "PIN guesses came too fast"),
    133010: Rule(_A.PAUSE_NUMBER, "the number is not registered", alert=True, message=_HOLD),
    133015: Rule(_A.LATER, "the number was deleted just now", wait_s=300, message=_RETRY),
    133016: Rule(_A.LATER, "too many registrations", wait_s=72 * 3_600, message=_RETRY),
    134011: Rule(_A.FIX, "the payments terms are not accepted", alert=True),
    134100: Rule(_A.FIX, "the marketing messages API takes marketing templates only"),
    134101: Rule(_A.LATER, "the template is still being synced", wait_s=600, message=_RETRY),
    134102: Rule(_A.FIX, "the template is unavailable for marketing messages", alert=True),
    135000: Rule(_A.FIX, "generic error, mostly of a parameter"),
    137000: Rule(_A.NEVER, "the recipient's identity changed", alert=True),
    138000: Rule(_A.PAUSE_CALLS, "calling is not enabled"),
    138001: Rule(_A.NEVER, "the person cannot receive calls"),
    138002: Rule(_A.BACKOFF, "too many calls at once", Scope.NUMBER, 5, message=_RETRY),
    138003: Rule(_A.NEVER, "a call is open already"),
    138004: Rule(_A.NEVER, "the call could not be connected"),
    138005: Rule(_A.BACKOFF, "the limit of calls", Scope.NUMBER, 5, message=_RETRY),
    138006: Rule(_A.ASK_PERMISSION, "the person has not allowed calls"),
    138007: Rule(_A.NEVER, "the call was not connected in time"),
    # One in 24 hours, two in seven days: what is asked later is asked by whoever wants to call.
    138009: Rule(_A.NEVER, "too many permission requests"),
    138012: Rule(_A.LATER, "too many calls to this person", wait_s=3_600, message=_RETRY),
    138013: Rule(_A.PAUSE_CALLS, "calling is unavailable"),
    138014: Rule(_A.LATER, "calling is paused for low quality", wait_s=3_600, message=_RETRY),
    138015: Rule(_A.PAUSE_CALLS, "calling is unavailable"),
    138017: Rule(_A.NEVER, "the person allowed calls for good already"),
    138018: Rule(_A.PAUSE_CALLS, "calling is unavailable"),
    **dict.fromkeys(range(138019, 138024), Rule(_A.NEVER, "the call's media failed")),
    **dict.fromkeys(range(139000, 139005), Rule(_A.FIX, "a change of a flow failed")),
    139100: Rule(_A.FIX, "some persons could not be blocked"),
    139101: Rule(_A.NEVER, "the block list is full"),
    139102: Rule(_A.BACKOFF, "the block list changed meanwhile", message=_RETRY),
    139103: Rule(_A.BACKOFF, "the block list failed", message=_RETRY),
    **dict.fromkeys(range(147001, 147006), Rule(_A.FIX, "a business username")),
    2494100: Rule(_A.LATER, "maintenance", wait_s=300, message=_RETRY),
    **dict.fromkeys((2593107, 2593108, 2593109), Rule(_A.FIX, "the sync of the history")),
}
"""Meta's code -> what to do."""

_RANGES: tuple[tuple[range, Rule], ...] = (
    (range(200, 300), RULES[10]),
    (range(131200, 131300), Rule(_A.NEVER, "groups")),
    (range(2388019, 2388300), Rule(_A.FIX, "the making of a template")),
)
_SERVER_FAILED = Rule(_A.BACKOFF, "unknown code of a failing server", message=_RETRY)
UNKNOWN = Rule(_A.NEVER, "unknown code", alert=True)


def rule_of(code: int, http_status: int | None = None) -> Rule:
    """Return what to do about `code`; of a status webhook's error there is no `http_status`.

    An unknown code of HTTP 500 and more may pass, any other is permanent and worth an alert.
    """
    rule = RULES.get(code)
    if rule is not None:
        return rule
    for codes, rule in _RANGES:
        if code in codes:
            return rule
    return _SERVER_FAILED if http_status is not None and http_status >= 500 else UNKNOWN


@dataclass(frozen=True, slots=True)
class GraphError:
    """Meta's error object, of an answer or of a webhook: the two differ in their keys."""

    code: int
    subcode: int | None
    title: str
    details: str | None
    trace_id: str | None


def read_error(error: Any) -> GraphError | None:
    """Return Meta's error object as a model, None where `error` is none.

    An answer's has message, type and fbtrace_id, a webhook's title and message; old webhooks have
    `details` at the top (Cloud API, Error codes).
    """
    if not isinstance(error, dict):
        return None
    code = _number(error.get("code"))
    if code is None:
        return None
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, dict) else None
    return GraphError(
        code,
        _number(error.get("error_subcode")),
        _text(error.get("title")) or _text(error.get("message")) or f"error {code}",
        _text(details) or _text(error.get("details")) or _text(error.get("error_user_msg")),
        _text(error.get("fbtrace_id")),
    )


def _number(value: Any) -> int | None:
    if isinstance(value, str) and len(value) <= 12 and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    """Return at most 1,000 characters that a text column can hold."""
    if not isinstance(value, str):
        return None
    return value.replace("\0", "")[:1_000].encode("utf-8", "replace").decode() or None
