"""A solution shared with a partner names a portfolio: kept with a reason that says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from uuid import UUID

import pytest

from switchboard.intake import letters
from switchboard.intake.store import store as take_in
from switchboard.store.events import SYSTEM_TENANT
from tests.databases import ClonedDatabase
from tests.deliveries import Number, Place, body_of
from tests.field_changes import Json, entry, payload, post

REASON = "unknown_portfolio"


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def solution(number: Number) -> Json:
    value = {"event": "SOLUTION_UPDATED", "solution_id": "66", "solution_status": "ACTIVE"}
    return entry(number, "partner_solutions", value)


def app_of(place: Place) -> UUID:
    """Make a tenant with a Meta app of its own and return its id."""
    tenant = place.tenant()
    place.everything.execute(
        "insert into messaging.meta_apps (tenant_id, app_id, app_secret_sealed,"
        " verify_token_sealed) values (%s, '7001', 'x', 'x')",
        (tenant,),
    )
    return tenant


def test_a_portfolios_event_waits_with_the_operator_under_its_own_reason(place: Place) -> None:
    number = place.number()
    place.everything.execute(
        "update messaging.whatsapp_business_accounts set portfolio_id = '990000000000001'"
    )
    assert place.usual.post(body_of(payload("partner_solutions", place, number))) == 200

    ((tenant, reason),) = place.letters()
    assert (tenant, reason) == (SYSTEM_TENANT, REASON)
    wanted = letters.LetterFilter(reason="unknown_portfolio")
    (letter,) = letters.browse(place.usual.tools, SYSTEM_TENANT, wanted).data
    assert (letter.field, letter.waba_id) == ("partner_solutions", "990000000000001")
    shown = letters.show(place.usual.tools, SYSTEM_TENANT, letter.id)
    assert json.loads(shown.text or "")["entry"][0]["changes"][0]["value"] == {
        "event": "SOLUTION_UPDATED",
        "solution_id": "660000000000001",
        "solution_status": "ACTIVE",
    }
    # A replay finds what it found.
    assert letters.replay(place.usual.tools, SYSTEM_TENANT, letter.id).reason == REASON


def test_another_event_of_the_same_stranger_asks_for_its_registration(place: Place) -> None:
    number = place.number()
    stranger = Number(number.tenant_id, number.account_id, "990000000000001", "3")
    alert = entry(stranger, "account_review_update", {"decision": "APPROVED"})
    assert place.usual.post(body_of([solution(stranger), alert])) == 200
    assert set(place.letters()) == {(SYSTEM_TENANT, REASON), (SYSTEM_TENANT, "unknown_number")}


def test_under_a_business_account_of_ours_it_is_that_accounts(place: Place) -> None:
    number = place.number()
    post(place, solution(number))
    states = place.one("select states from messaging.whatsapp_business_accounts")
    assert states["solution:66"]["v"] == "ACTIVE"
    assert place.one("select event from messaging.whatsapp_account_events") == "SOLUTION_UPDATED"


def test_of_a_tenants_own_app_the_letter_is_the_tenants(place: Place) -> None:
    number = place.number(app_of(place))
    body = body_of(payload("partner_solutions", place, number))
    take_in(place.usual.tools, body, "7001")
    assert set(place.letters()) == {(number.tenant_id, REASON)}


def test_signed_by_another_app_than_its_accounts_it_is_that_apps_affair(place: Place) -> None:
    number = place.number(app_of(place), app_id="7001")
    assert place.usual.post(body_of([solution(number)])) == 200
    assert set(place.letters()) == {(SYSTEM_TENANT, "another_app")}
