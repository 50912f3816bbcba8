"""The gate `recipient`."""

from __future__ import annotations

import pytest

from switchboard.policy.gates._gate import Deny
from switchboard.policy.gates.recipient import KIND
from tests.policy_facts import facts


def test_without_an_allow_list_everyone_is_served() -> None:
    assert KIND.ask(facts(allow_list=frozenset())) is None


@pytest.mark.parametrize(
    ("recipient", "passes"),
    [
        ("447700900142", True),
        ("447700900143", False),
        ("44770090014", False),
        # Mexico's two spellings are one person's.
        ("5215550001234", True),
        ("525550001234", True),
        ("MX.8800130000000001", False),
    ],
)
def test_staging_sends_to_its_list_alone(recipient: str, passes: bool) -> None:
    allowed = frozenset({"447700900142", "5215550001234"})
    finding = KIND.ask(facts(recipient=recipient, allow_list=allowed))
    assert (finding is None) == passes
    assert passes or (isinstance(finding, Deny) and finding.reason == "recipient_not_allowed")
