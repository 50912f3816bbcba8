"""python -m switchboard campaigns: what a command says is what the route says."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from switchboard.__main__ import DONE
from tests.campaigning import PARAMS, Campaigns, campaigns
from tests.commanding import CommandLine
from tests.databases import ClonedDatabase


@pytest.fixture
def at(database: ClonedDatabase) -> Iterator[Campaigns]:
    with campaigns(database) as made:
        yield made


def test_one_is_made_listed_and_cancelled_with_its_exact_amounts(
    at: Campaigns, call: CommandLine
) -> None:
    whose = ("--tenant", at.place.tenant_id)
    code, out, err = call(
        *("campaigns", "create", *whose, "--name", "Spring", "--from", at.place.phone_number_id),
        *("--template", "offer", "--template-params", json.dumps(PARAMS)),
        *("--audience", '{"type": "all_contacts"}'),
        *("--spending-cap", "12.30", "--currency", "EUR", "--json"),
    )
    assert (code, err) == (DONE, "")
    campaign = json.loads(out)["campaign"]
    assert (campaign["status"], campaign["spending_cap"]) == ("draft", "12.3000")
    code, out, _ = call("campaigns", "list", *whose)
    assert (code, "Spring" in out) == (DONE, True)
    code, out, _ = call("campaigns", "cancel", *whose, "--campaign", campaign["id"], "--json")
    assert (code, json.loads(out)["campaign"]["status"]) == (DONE, "cancelled")
