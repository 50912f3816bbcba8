"""What is told of templates and Flows: each aspect keeps its newest value, whatever comes when."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.databases import ClonedDatabase
from tests.deliveries import SECOND, Place, body_of
from tests.field_changes import TEMPLATE, entry, payload, post

FLOW = "660000000000071"


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def template(place: Place, *columns: str) -> tuple[Any, ...]:
    (row,) = place.rows(f"select {', '.join(columns)} from messaging.whatsapp_templates")
    return row


def instant(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def test_the_first_news_of_a_template_makes_it(place: Place) -> None:
    number = place.number()

    post(place, *payload("message_template_status_update_rejected", place, number))

    assert template(
        place, "waba_id", "name", "language", "template_id", "status", "category",
        "rejection_reason", "rejection_info", "quality_score", "components_stale",
    ) == (
        number.waba_id, "cita_manana", "es_MX", "1550000000000071", "REJECTED", "MARKETING",
        "INVALID_FORMAT",
        {"reason": "Adjacent variables", "recommendation": "Add text between them"},
        "UNKNOWN", True,
    )  # fmt: skip


def test_what_was_said_of_a_status_goes_with_it(place: Place) -> None:
    number = place.number()
    rejected = payload("message_template_status_update_rejected", place, number)
    approved = {"event": "APPROVED", "reason": "NONE", **TEMPLATE}

    post(place, *rejected)
    post(place, entry(number, "message_template_status_update", approved, SECOND))

    assert template(place, "status", "rejection_reason", "rejection_info", "status_at") == (
        "APPROVED", "NONE", None, instant(SECOND),
    )  # fmt: skip
    assert place.count("whatsapp_account_events") == 2


def test_languages_with_a_dash_and_with_an_underscore_are_one(place: Place) -> None:
    number = place.number()
    for at, language in enumerate(("en_US", "en-US", "en_US")):
        value = {"event": f"E{at}", **TEMPLATE, "message_template_language": language}
        post(place, entry(number, "message_template_status_update", value, SECOND + at))

    assert template(place, "language", "status") == ("en_US", "E2")


def test_quality_is_known_by_its_keys_under_the_field_of_status(place: Place) -> None:
    number = place.number()
    post(place, *payload("message_template_quality_update_under_status_field", place, number))

    assert template(place, "quality_score", "status") == ("RED", None)
    assert place.one("select field from messaging.whatsapp_account_events") == (
        "message_template_quality_update"
    )


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_change_of_category_that_comes_is_over_when_it_is_done(
    place: Place, order: tuple[int, ...]
) -> None:
    number = place.number()
    coming = {"new_category": "UTILITY", "correct_category": "MARKETING", **TEMPLATE}
    coming["category_update_timestamp"] = SECOND + 86_400
    done = {"previous_category": "UTILITY", "new_category": "MARKETING", **TEMPLATE}
    again = {**coming, "new_category": "MARKETING", "correct_category": "AUTHENTICATION"}
    told = [
        entry(number, "template_category_update", value, SECOND + at)
        for at, value in enumerate((coming, done, again))
    ]

    for n in order:
        post(place, told[n])

    assert template(place, "category", "coming_category", "coming_category_at") == (
        "MARKETING", "AUTHENTICATION", instant(SECOND + 86_400),
    )  # fmt: skip
    post(place, entry(number, "template_category_update", done, SECOND + 3))
    assert template(place, "category", "coming_category", "coming_category_at") == (
        "MARKETING", None, None,
    )  # fmt: skip


def test_a_detected_category_stands_beside_the_one_it_has(place: Place) -> None:
    number = place.number()
    post(place, *payload("template_correct_category_detection", place, number))
    assert template(place, "category", "correct_category") == ("UTILITY", "MARKETING")


def test_edited_components_make_our_copy_stale_until_it_is_fetched(place: Place) -> None:
    number = place.number()
    edited = {"message_template_element": "Hola {{1}}", **TEMPLATE}
    fetch = (
        "update messaging.whatsapp_templates set components = '[]',"
        " components_fetched_at = to_timestamp(%s)"
    )
    post(place, entry(number, "message_template_components_update", edited, SECOND))
    assert template(place, "components", "components_stale") == (None, True)

    place.everything.execute(fetch, (SECOND + 1,))
    assert template(place, "components_stale") == (False,)
    # Told before the copy was made.
    post(place, entry(number, "message_template_components_update", edited, SECOND - 1))
    assert template(place, "components_stale") == (False,)
    post(place, entry(number, "message_template_components_update", edited, SECOND + 1))
    assert template(place, "components", "components_stale") == ([], True)


def test_of_two_values_of_one_second_the_same_one_stays(place: Place) -> None:
    one, other = place.number(), place.number()
    told = [{"event": word, **TEMPLATE} for word in ("PAUSED", "APPROVED", "DISABLED")]
    for number, values in ((one, told), (other, told[::-1])):
        for value in values:
            post(place, entry(number, "message_template_status_update", value))

    assert len(place.rows("select distinct status from messaging.whatsapp_templates")) == 1


def test_news_without_a_time_is_older_than_any_with_one(place: Place) -> None:
    number = place.number()
    timed = entry(number, "message_template_status_update", {"event": "PAUSED", **TEMPLATE})
    untimed = entry(
        number, "message_template_status_update", {"event": "APPROVED", **TEMPLATE}, None
    )
    post(place, untimed)
    assert template(place, "status") == ("APPROVED",)
    post(place, timed)
    post(place, untimed)
    assert template(place, "status") == ("PAUSED",)


def test_two_business_accounts_have_templates_of_their_own(place: Place) -> None:
    one = place.number()
    other = place.number(one.tenant_id)
    for number, word in ((one, "APPROVED"), (other, "PAUSED")):
        post(place, entry(number, "message_template_status_update", {"event": word, **TEMPLATE}))
    assert place.rows(
        "select waba_id, status from messaging.whatsapp_templates order by status"
    ) == [(one.waba_id, "APPROVED"), (other.waba_id, "PAUSED")]


def test_a_template_without_a_name_costs_itself_only(place: Place) -> None:
    number = place.number()
    nameless = {"event": "APPROVED", "message_template_id": 5}
    body = [
        entry(number, "message_template_status_update", nameless),
        entry(number, "message_template_status_update", {"event": "APPROVED", **TEMPLATE}),
    ]
    assert place.usual.post(body_of(body)) == 200
    assert template(place, "status") == ("APPROVED",)
    assert [key[1] for key in place.letters()] == ["malformed"]


def test_a_flow_has_its_status_and_its_last_alert(place: Place) -> None:
    number = place.number()
    blocked = {"event": "FLOW_STATUS_CHANGE", "flow_id": FLOW, "new_status": "BLOCKED"}
    post(place, *payload("flows_status_change", place, number))
    post(place, *payload("flows_endpoint_latency", place, number))
    post(place, entry(number, "flows", blocked))
    availability = {"event": "ENDPOINT_AVAILABILITY", "flow_id": FLOW, "alert_state": "ACTIVATED"}
    post(place, entry(number, "flows", availability))

    ((flow, status, at, alert, states),) = place.rows(
        "select flow_id, status, status_at, last_alert, states from messaging.whatsapp_flows"
    )
    assert (flow, status, at) == (FLOW, "BLOCKED", instant(SECOND))
    assert alert == {"event": "ENDPOINT_AVAILABILITY", "alert_state": "ACTIVATED"}
    assert states["alert:ENDPOINT_LATENCY"]["v"]["p90_latency"] == 5600
