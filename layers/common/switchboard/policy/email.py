"""What may go out by e-mail: the gates that are about the person, and some of its own.

Numbers, windows, Meta's limits and Meta's templates are WhatsApp's alone. What a person refuses,
their quiet hours, STOP and blocks count wherever they are written to.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from switchboard.policy.decision import GATES, weigh
from switchboard.policy.facts import Facts, Kind
from switchboard.policy.gates._gate import Defer, Deny, Finding, Gate
from switchboard.policy.verdict import Verdict

#: The gates of a message that a mail passes, too.
SHARED = frozenset(
    {
        "recipient",
        "blocked",
        "expiry",
        "opt_out",
        "opt_in",
        "preference",
        "marketing_stop",
        "frequency",
        "quiet_hours",
    }
)
_BOTH = frozenset({Kind.UTILITY, Kind.MARKETING})
#: Reasons of a denial that are the address's.
SUPPRESSED = {"bounce": "suppressed_bounce", "complaint": "suppressed_complaint"}


@dataclass(frozen=True, slots=True)
class Mailing:
    """What is known of a tenant's mails to an address, besides the facts of any message.

    `has_sender`: the operator has given the tenant an address to send from. `withdrawn`: the person
    called a mail spam and has not agreed since. `suppressed` is bounce or complaint where the
    address gets nothing more.
    """

    has_sender: bool
    withdrawn: bool
    suppressed: str | None


def decide_email(facts: Facts, mailing: Mailing, kind: Kind) -> Verdict:
    """Return the verdict on a mail of `kind` (utility or marketing), as `decide` does."""
    own = [
        Gate("sender", 10, _BOTH, partial(_sender, mailing)),
        Gate("address", 25, _BOTH, partial(_address, mailing)),
        Gate("email_consent", 33, _BOTH, partial(_consent, mailing)),
        Gate("marketing_choice", 39, frozenset({Kind.MARKETING}), _marketing),
    ]
    own = [gate for gate in own if kind in gate.kinds]
    shared = [gate for gate in GATES if kind in gate.kinds and gate.name in SHARED]
    return weigh(sorted([*own, *shared], key=lambda gate: gate.rank), facts, kind)


def _sender(mailing: Mailing, facts: Facts) -> Finding:
    if not facts.tenant_active:
        return Deny("tenant_inactive", "the tenant is disabled")
    if not mailing.has_sender:
        return Deny("sender_missing", "the operator has not set an address to send from")
    if facts.tenant_stopped:
        return Defer("stopped", "sending is stopped; it goes out when the stop is lifted", None)
    return None


def _address(mailing: Mailing, _: Facts) -> Finding:
    if mailing.suppressed is None:
        return None
    told = "a mail came back for good" if mailing.suppressed == "bounce" else "it was called spam"
    return Deny(SUPPRESSED[mailing.suppressed], f"this address gets nothing more: {told}")


def _consent(mailing: Mailing, _: Facts) -> Finding:
    if mailing.withdrawn:
        return Deny("email_opted_out", "the person called a mail spam; only they can agree again")
    return None


def _marketing(facts: Facts) -> Finding:
    # Whatever else the mail is called: the button of a mail program ends mails like it (RFC 8058).
    if facts.person is not None and facts.person.wants.get("marketing") is False:
        return Deny("preference", "the person does not want marketing")
    return None
