"""What is told of business accounts and numbers: their state, whether they send, and the log."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from switchboard.intake.document import build
from switchboard.store.events import SYSTEM_TENANT, take
from switchboard.whatsapp.webhook import Event, parse
from tests.databases import ClonedDatabase
from tests.deliveries import NOW, SECOND, Number, Place, body_of, in_threads, until
from tests.field_changes import TEMPLATE, Json, digits, entry, payload, post

PAST, FUTURE = SECOND - 3600, SECOND + 86_400
BUSINESS = "RESTRICTED_BIZ_INITIATED_MESSAGING"


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


def account(place: Place, *columns: str) -> tuple[Any, ...]:
    (row,) = place.rows(f"select {', '.join(columns)} from messaging.whatsapp_business_accounts")
    return row


def number_of(place: Place, *columns: str) -> tuple[Any, ...]:
    (row,) = place.rows(f"select {', '.join(columns)} from messaging.whatsapp_accounts")
    return row


def events(place: Place) -> list[tuple[Any, ...]]:
    return place.rows(
        "select field, event, account_id is not null from messaging.whatsapp_account_events"
        " order by field, event"
    )


def sends(place: Place, number: Number) -> bool:
    """Return what the send road asks: may this number send?"""
    active: bool = place.one(
        "select messaging.is_number_active(n) from messaging.whatsapp_accounts as n"
        " where n.id = %s",
        number.account_id,
    )
    return active


def account_update(number: Number, event: str, at: int = SECOND, **parts: Any) -> Json:
    return entry(number, "account_update", {"event": event, **parts}, at)


def ban(number: Number, state: str, at: int = SECOND) -> Json:
    return account_update(
        number, "DISABLED_UPDATE", at, ban_info={"waba_ban_state": state, "waba_ban_date": "x"}
    )


def restriction(number: Number, until: int | None, at: int = SECOND, kind: str = BUSINESS) -> Json:
    said = {"restriction_type": kind} | ({} if until is None else {"expiration": until})
    return account_update(number, "ACCOUNT_RESTRICTION", at, restriction_info=[said])


# --- Whether it sends ---------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_ban_stops_the_account_until_it_is_reinstated(
    place: Place, order: tuple[int, ...]
) -> None:
    number = place.number()
    words = ("SCHEDULE_FOR_DISABLE", "DISABLE", "REINSTATE")
    told = [ban(number, word, SECOND + at) for at, word in enumerate(words)]

    came = 0
    for n in order:
        post(place, told[n])
        came = max(came, n)
        assert sends(place, number) == (words[came] != "DISABLE")

    assert account(place, "ban_state") == ("REINSTATE",)
    assert sends(place, number)


def test_a_deleted_account_sends_no_more(place: Place) -> None:
    number, other = place.number(), place.number()
    post(place, account_update(number, "ACCOUNT_DELETED"))
    assert (sends(place, number), sends(place, other)) == (False, True)


@pytest.mark.parametrize(
    ("until", "kind", "stopped"),
    [
        (FUTURE, BUSINESS, True),
        (PAST, BUSINESS, False),
        (None, BUSINESS, True),
        (FUTURE, "RESTRICTED_CUSTOMER_INITIATED_MESSAGING", True),
        (FUTURE, "RESTRICTED_ADD_PHONE_NUMBER_ACTION", False),
    ],
    # By name: workers who start in different seconds must find the same tests.
    ids=["for_a_day", "over", "without_end", "of_answers", "of_other_things"],
)
def test_a_restriction_of_messaging_stops_the_account_while_it_lasts(
    place: Place, until: int | None, kind: str, stopped: bool
) -> None:
    number = place.number()
    post(place, restriction(number, until, kind=kind))
    assert sends(place, number) is not stopped
    assert account(place, "restrictions") == (
        [{"restriction_type": kind, "expiration": until, "at": SECOND}],
    )


def test_a_restriction_ends_by_itself(place: Place) -> None:
    number = place.number()
    post(place, restriction(number, FUTURE))
    assert not sends(place, number)
    # Nothing but time passes: as if it had been told to end a moment ago.
    place.everything.execute(
        "update messaging.whatsapp_business_accounts set sends_restricted_until = clock_timestamp()"
    )
    assert sends(place, number)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_reinstatement_lifts_what_was_told_before_it(
    place: Place, order: tuple[int, ...]
) -> None:
    number = place.number()
    told = [
        restriction(number, None, SECOND),
        ban(number, "REINSTATE", SECOND + 1),
        # A ban that is planned later must not bring the restriction back.
        ban(number, "SCHEDULE_FOR_DISABLE", SECOND + 2),
    ]
    for n in order:
        post(place, told[n])
    assert sends(place, number)

    post(place, restriction(number, FUTURE, SECOND + 3))
    assert not sends(place, number)


# --- The business account -----------------------------------------------------------------------


def test_reviews_limits_countries_and_violations_are_columns(place: Place) -> None:
    number = place.number()
    post(
        place,
        *payload("account_review_update", place, number),
        *payload("business_capability_update", place, number),
        *payload("account_update_volume_tier", place, number),
        *payload("payment_configuration_update", place, number),
        account_update(number, "BUSINESS_PRIMARY_LOCATION_COUNTRY_UPDATE", country="MX"),
        account_update(number, "ACCOUNT_VIOLATION", violation_info={"violation_type": "ADULT"}),
    )

    review, limits, country, violation, states = account(
        place, "review_status", "limits", "primary_country", "violation_type", "states"
    )
    assert (review, country, violation) == ("APPROVED", "MX", "ADULT")
    assert limits == {
        "max_daily_conversation_per_phone": 2000,
        "max_daily_conversations_per_business": 2000,
        "max_phone_numbers_per_business": 2,
        "max_phone_numbers_per_waba": 25,
    }
    assert states["volume_tier:UTILITY:Mexico"]["v"]["tier"] == "25000:MAX"
    assert states["payment:caja"]["v"]["status"] == "Needs Testing"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (2000, 2000),
        (-1, -1),
        ("TIER_UNLIMITED", -1),
        ("TIER_250", 250),
        ("TIER_100K", 100_000),
        ("TIER_OF_TOMORROW", "TIER_OF_TOMORROW"),
    ],
)
def test_a_limit_is_a_number_however_meta_writes_it(place: Place, said: Any, kept: Any) -> None:
    value = {"max_daily_conversations_per_business": said}
    post(place, entry(place.number(), "business_capability_update", value))
    assert account(place, "limits") == ({"max_daily_conversations_per_business": kept},)


@pytest.mark.parametrize(
    "name",
    [
        "account_update_partner_added",
        "account_update_fields_inside_value",
        "account_update_fields_on_entry",
    ],
)
def test_partners_events_find_their_account_wherever_meta_names_it(place: Place, name: str) -> None:
    number = place.number()
    post(place, *payload(name, place, number))
    ((field, event, _),) = events(place)
    assert (field, event.startswith("PARTNER_")) == ("account_update", True)
    (states,) = account(place, "states")
    assert [v["v"]["event"] for v in states.values()] == [event]


def test_a_partners_app_is_installed_until_it_is_not(place: Place) -> None:
    number = place.number()
    info = {"waba_id": number.waba_id, "partner_app_id": "88"}
    out = account_update(number, "PARTNER_APP_UNINSTALLED", SECOND + 1, waba_info=info)
    post(place, out)
    post(place, account_update(number, "PARTNER_APP_INSTALLED", SECOND, waba_info=info))
    (states,) = account(place, "states")
    assert states["partner_app:88"]["v"]["event"] == "PARTNER_APP_UNINSTALLED"


def test_an_event_of_tomorrow_is_kept_and_changes_nothing(place: Place) -> None:
    number = place.number()
    post(place, account_update(number, "EVENT_OF_TOMORROW", new={"x": 1}))
    assert events(place) == [("account_update", "EVENT_OF_TOMORROW", False)]
    assert account(place, "states") == ({},)


# --- The number ---------------------------------------------------------------------------------


def test_a_number_is_found_by_its_digits_within_the_account(place: Place) -> None:
    number = place.number()
    other = place.number(number.tenant_id)
    said = f"+{digits(place, number)[0]} {digits(place, number)[1:]}"
    value = {"display_phone_number": said, "event": "THROUGHPUT_UPGRADE"}
    value["max_daily_conversations_per_business"] = "TIER_UNLIMITED"
    post(place, entry(number, "phone_number_quality_update", value))

    rows = place.rows(
        "select phone_number_id, throughput, messaging_limit from messaging.whatsapp_accounts"
        " order by phone_number_id = %s desc",
        number.phone_number_id,
    )
    assert rows == [
        (number.phone_number_id, "HIGH", "TIER_UNLIMITED"),
        (other.phone_number_id, "STANDARD", None),
    ]


@pytest.mark.parametrize("registered", ["+5215550100301", "+525550100301"])
@pytest.mark.parametrize("shown", ["5215550100301", "525550100301"])
def test_a_mexican_number_is_found_in_both_forms(place: Place, registered: str, shown: str) -> None:
    number = place.number()
    place.everything.execute(
        "update messaging.whatsapp_accounts set phone_number = %s", (registered,)
    )
    value = {"display_phone_number": shown, "event": "FLAGGED"}
    post(place, entry(number, "phone_number_quality_update", value))
    assert number_of(place, "quality_rating") == ("RED",)


def test_a_number_that_the_account_does_not_have_waits_as_a_dead_letter(place: Place) -> None:
    number = place.number()
    other = place.number(number.tenant_id)  # under an account of its own
    value = {"display_phone_number": digits(place, other), "event": "FLAGGED"}
    alone = entry(number, "phone_number_quality_update", value)
    neighbour = entry(number, "account_review_update", {"decision": "APPROVED"})
    assert place.usual.post(body_of([neighbour, alone, neighbour])) == 200

    ((tenant, reason),) = place.letters()
    assert (tenant, reason) == (number.tenant_id, "refused_by_database")
    assert place.rows("select distinct quality_rating from messaging.whatsapp_accounts") == [
        ("UNKNOWN",)
    ]
    assert place.count("whatsapp_account_events") == 1

    # Registered later, it is replayed as it was kept.
    ((kept,),) = place.letters().values()
    place.everything.execute(
        "update messaging.whatsapp_accounts set phone_number = %s where id = %s",
        ("+19990000001", other.account_id),
    )
    place.everything.execute(
        "update messaging.whatsapp_accounts set phone_number = %s where id = %s",
        ("+" + value["display_phone_number"], number.account_id),
    )
    assert place.usual.post(kept) == 200
    assert place.one(
        "select quality_rating from messaging.whatsapp_accounts where id = %s", number.account_id
    ) == ("RED")


def test_an_approved_name_stays_when_the_next_one_is_refused(place: Place) -> None:
    number = place.number()
    shown = {"display_phone_number": digits(place, number)}
    approved = {**shown, "decision": "APPROVED", "requested_verified_name": "Taller"}
    refused = {**shown, "decision": "REJECTED", "requested_verified_name": "Otro"}
    for at, value in ((1, refused), (0, approved)):
        post(place, entry(number, "phone_number_name_update", value, SECOND + at))
    assert number_of(place, "verified_name", "name_status") == ("Taller", "REJECTED")


def test_a_username_and_the_settings_of_meta_are_the_numbers(place: Place) -> None:
    number = place.number()
    post(
        place,
        *payload("business_username_updates", place, number),
        *payload("account_settings_update", place, number),
    )
    assert number_of(place, "username", "username_status", "meta_settings") == (
        "taller.ferran", "approved", {"phone_number_settings": {"calling": {"status": "ENABLED"}}},
    )  # fmt: skip


def test_what_is_known_better_from_elsewhere_is_left_alone(place: Place) -> None:
    number = place.number()
    shown = {"display_phone_number": digits(place, number)}
    flagged = entry(number, "phone_number_quality_update", {**shown, "event": "FLAGGED"})
    post(place, flagged)
    place.everything.execute("update messaging.whatsapp_accounts set quality_rating = 'GREEN'")

    post(place, flagged)
    post(place, entry(number, "business_username_updates", {**shown, "username": "@t"}))

    assert number_of(place, "quality_rating", "username") == ("GREEN", "t")


# --- Two at once --------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["whatsapp_business_accounts", "whatsapp_accounts"])
def test_of_two_who_tell_at_once_neither_is_lost(place: Place, table: str) -> None:
    number = place.number()
    shown = {"display_phone_number": digits(place, number)}
    told = {
        "whatsapp_business_accounts": [
            entry(number, "account_review_update", {"decision": "APPROVED"}),
            entry(number, "business_capability_update", {"max_phone_numbers_per_waba": 25}),
        ],
        "whatsapp_accounts": [
            entry(number, "phone_number_quality_update", {**shown, "event": "FLAGGED"}),
            entry(number, "business_username_updates", {**shown, "username": "t"}),
        ],
    }[table]
    documents = [
        build([(item, None) for item in parse(body_of([each])) if isinstance(item, Event)], uuid4)
        for each in told
    ]
    held = threading.Event()

    def tell(n: int) -> None:
        if n == len(told):
            with psycopg.connect(place.database.superuser_url) as holder:
                holder.execute(f"select from messaging.{table} for update")
                held.set()
                until(lambda: waiting() == len(told))
            return
        assert held.wait(20)
        with psycopg.connect(place.database.app_url, autocommit=True) as connection:
            # However slow this machine is, they wait for each other.
            connection.execute("set lock_timeout = 0")
            connection.execute("set statement_timeout = 0")
            take(connection, number.tenant_id, documents[n], NOW)

    def waiting() -> int:
        count: int = place.one(
            "select count(*) from pg_stat_activity where datname = current_database()"
            " and usename = 'app' and wait_event_type = 'Lock'"
        )
        return count

    in_threads(len(told) + 1, tell)

    (states,) = place.rows(f"select states from messaging.{table}")
    assert len(states[0]) == 2


# --- The log ------------------------------------------------------------------------------------


def test_alerts_pins_and_handovers_are_kept_once_with_their_number(place: Place) -> None:
    number = place.number()
    told = [
        *payload("account_alerts", place, number),
        *payload("account_alerts_old", place, number),
        *payload("security", place, number),
        *payload("messaging_handovers", place, number),
        *payload("automatic_events", place, number),
        *payload("standby", place, number),
    ]
    post(place, *told)
    post(place, *told[::-1], *told)

    assert events(place) == [
        ("account_alerts", "OBA_APPROVED", False),
        ("account_alerts", "PROFILE_PICTURE_LOST", True),
        ("automatic_events", "Purchase", True),
        ("messaging_handovers", "control_passed", True),
        ("security", "PIN_CHANGED", True),
        ("standby", "text", True),
    ]
    assert place.one(
        "select detail from messaging.whatsapp_account_events where field = 'security'"
    ) == {
        "display_phone_number": digits(place, number),
        "event": "PIN_CHANGED",
        "requester": "61550000000099",
    }


def test_the_same_news_at_another_time_or_of_another_number_is_other_news(place: Place) -> None:
    number = place.number()
    other = place.number(number.tenant_id, waba_id=number.waba_id)
    shown = {"display_phone_number": digits(place, number), "event": "PIN_CHANGED"}
    elsewhere = {**shown, "display_phone_number": digits(place, other)}
    post(
        place,
        entry(number, "security", shown),
        entry(number, "security", shown, SECOND + 1),
        entry(number, "security", elsewhere),
        entry(number, "security", shown, None),
    )
    assert place.count("whatsapp_account_events") == 4
    shared = {"groups": [{"type": "group_create", "timestamp": str(SECOND), "errors": [{}]}]}
    for each in (number, other):
        post(place, entry(each, "group_lifecycle_update", shared, metadata=True))
    assert place.count("whatsapp_account_events") == 6


def test_a_copy_for_standby_is_no_message(place: Place) -> None:
    number = place.number()
    post(place, *payload("standby", place, number))
    for table in ("whatsapp_messages", "whatsapp_conversations", "contacts", "scheduled_jobs"):
        assert place.count(table) == 0
    detail = place.one("select detail from messaging.whatsapp_account_events")
    assert detail["messages"][0]["text"] == {"body": "copia"}
    assert detail["contacts"][0]["wa_id"] == "5215550100301"


def test_one_odd_part_costs_itself_only(place: Place) -> None:
    number = place.number()
    good = {"event_name": "Purchase", "timestamp": SECOND}
    value = {"automatic_events": [good, {"event_name": 7}, "x"]}
    body = body_of([entry(number, "automatic_events", value, metadata=True)])
    assert place.usual.post(body) == 200
    assert [event for _, event, _ in events(place)] == ["Purchase"]
    ((_, reason), odd) = next(iter(place.letters().items()))
    assert (reason, len(odd)) == ("malformed", 2)


def test_what_cannot_be_stored_costs_its_own_part_only(place: Place) -> None:
    number = place.number()
    events_of_two = [{"event_name": "Purchase"}, {"event_name": "LeadSubmitted", "x": "\0"}]
    value = {"automatic_events": events_of_two}
    body = body_of([entry(number, "automatic_events", value, metadata=True)])
    assert place.usual.post(body) == 200
    assert [event for _, event, _ in events(place)] == ["Purchase"]
    assert [(reason, len(odd)) for (_, reason), odd in place.letters().items()] == [
        ("malformed", 1)
    ]


def test_a_handover_finds_its_number_without_metadata_and_without_an_account(place: Place) -> None:
    number = place.number()
    (told,) = payload("messaging_handovers", place, number)
    del told["id"]
    post(place, told)
    assert events(place) == [("messaging_handovers", "control_passed", True)]
    assert place.one("select waba_id from messaging.whatsapp_account_events") == number.waba_id


def test_an_account_we_do_not_know_waits_in_the_system_and_can_be_replayed(place: Place) -> None:
    number = place.number()
    stranger = Number(number.tenant_id, uuid4(), "299999999999999", "3")
    value = {"event": "APPROVED", **TEMPLATE}
    assert (
        place.usual.post(body_of([entry(stranger, "message_template_status_update", value)])) == 200
    )

    ((tenant, reason),) = place.letters()
    assert (tenant, reason) == (SYSTEM_TENANT, "unknown_number")
    ((kept,),) = place.letters().values()
    assert json.loads(kept)["entry"][0]["time"] == SECOND
    place.everything.execute(
        "insert into messaging.whatsapp_business_accounts (tenant_id, waba_id) values (%s, %s)",
        (number.tenant_id, stranger.waba_id),
    )
    assert place.usual.post(kept) == 200
    assert place.one("select status from messaging.whatsapp_templates") == "APPROVED"


def test_tenants_share_nothing(place: Place) -> None:
    one, other = place.number(), place.number()
    post(place, restriction(one, FUTURE), *payload("flows_status_change", place, one))
    assert sends(place, other)
    assert place.rows("select distinct tenant_id from messaging.whatsapp_account_events") == [
        (one.tenant_id,)
    ]
    assert place.one(
        "select states from messaging.whatsapp_business_accounts where tenant_id = %s",
        other.tenant_id,
    ) == ({})
