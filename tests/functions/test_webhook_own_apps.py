"""/webhook/{app_id}: a tenant's own Meta app, with its own secrets and only its own numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from switchboard.intake import backlog
from switchboard.kernel import aws
from switchboard.kernel.seal import Sealer
from tests.databases import ClonedDatabase
from tests.deliveries import (
    SECRET,
    TOKEN,
    Environment,
    Person,
    Place,
    Stopwatch,
    Update,
    aws_at_hand,
    body_of,
    get_event,
    message,
    pack,
    post_event,
    status,
    waiting,
)

ANA = Person("4915551234567", name="Ana")
APP, THEIR_SECRET, THEIR_TOKEN = "700000000000001", "their-app-secret", "their-verify-token"
SYSTEM = UUID(int=0)
STATUS = "select status from messaging.whatsapp_messages where id = %s"


class Apps(Place):
    """A place with KMS, where tenants have Meta apps of their own."""

    def __init__(self, database: ClonedDatabase) -> None:
        super().__init__(database)
        self.key_id = str(aws.client("kms").create_key()["KeyMetadata"]["KeyId"])
        self.s3 = aws.client("s3")

    def app(self, tenant: UUID, app_id: str = APP, *, previous: str | None = None) -> str:
        """Give the tenant a Meta app with sealed secrets; return its id."""
        sealer = Sealer(self.key_id)

        def seal(plain: str | None, purpose: str) -> bytes | None:
            return None if plain is None else sealer.seal(plain, tenant_id=tenant, purpose=purpose)

        self.everything.execute(
            "insert into messaging.meta_apps (tenant_id, app_id, app_secret_sealed,"
            " app_secret_previous_sealed, verify_token_sealed) values (%s, %s, %s, %s, %s)",
            (
                *(tenant, app_id, seal(THEIR_SECRET, "app_secret"), seal(previous, "app_secret")),
                seal(THEIR_TOKEN, "verify_token"),
            ),
        )
        return app_id

    def theirs(self, **parts: Any) -> Environment:
        """Return an environment that may use the key."""
        return self.environment(key_id=self.key_id, **parts)

    def stored(self) -> list[str]:
        """Return Meta's ids of the messages that are stored."""
        rows = self.rows("select wa_message_id from messaging.whatsapp_messages order by 1")
        return [wamid for (wamid,) in rows]


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Apps]:
    with aws_at_hand():
        place = Apps(database)
        yield place
        place.close()


def post(environment: Environment, *updates: Update, secret: str = THEIR_SECRET) -> int:
    return environment.post(updates, secret=secret, app_id=APP)


def test_the_handshake_of_an_own_app_takes_its_own_token(place: Apps) -> None:
    place.app(place.tenant())
    environment = place.theirs()

    def shake(token: str, app_id: str | None) -> Any:
        query = {"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": "c"}
        return environment.ask(get_event(query, app_id))["statusCode"]

    assert shake(THEIR_TOKEN, APP) == 200
    assert shake(TOKEN, APP) == 403
    assert shake("", APP) == 403
    assert shake(THEIR_TOKEN, None) == 403
    assert shake(THEIR_TOKEN, "700000000000009") == 404


def test_a_delivery_of_an_own_app_is_signed_with_its_own_secret(place: Apps) -> None:
    tenant = place.tenant()
    place.app(tenant, previous="their-old-secret")
    number = place.number(tenant, app_id=APP)
    environment = place.theirs()

    assert post(environment, message(number, "wamid.1", ANA)) == 200
    assert post(environment, message(number, "wamid.2", ANA), secret="their-old-secret") == 200
    for secret in (SECRET, "", "guess"):
        assert post(environment, message(number, "wamid.3", ANA), secret=secret) == 401
    assert environment.post([message(number, "wamid.3", ANA)], secret=THEIR_SECRET) == 401

    assert place.stored() == ["wamid.1", "wamid.2"]
    assert place.letters() == {}


def test_a_rotated_secret_of_an_own_app_is_seen_with_the_first_delivery(place: Apps) -> None:
    tenant = place.tenant()
    place.app(tenant)
    number = place.number(tenant, app_id=APP)
    stopwatch = Stopwatch()
    environment = place.theirs(stopwatch=stopwatch)
    assert post(environment, message(number, "wamid.1", ANA)) == 200
    sealed = Sealer(place.key_id).seal("rotated", tenant_id=tenant, purpose="app_secret")
    place.everything.execute("update messaging.meta_apps set app_secret_sealed = %s", (sealed,))

    # What was read within the last ten seconds is not read again.
    assert post(environment, message(number, "wamid.2", ANA), secret="rotated") == 401
    stopwatch.seconds += 10.1
    assert post(environment, message(number, "wamid.2", ANA), secret="rotated") == 200
    assert post(environment, message(number, "wamid.3", ANA)) == 401


def test_an_unknown_app_is_not_found_whatever_its_name(place: Apps) -> None:
    number = place.number()
    environment = place.theirs()
    for app_id in ("700000000000009", "x", "../webhook", "7" * 500, "ключ", "%00", "a/b"):
        event = post_event(pack([message(number, "wamid.1", ANA)]), app_id=app_id)
        assert environment.ask(event)["statusCode"] == 404
    assert place.count("whatsapp_messages") + place.count("webhook_dead_letters") == 0


def test_an_app_whose_name_the_database_cannot_hold_is_not_found(place: Apps) -> None:
    environment = place.theirs()
    shake = {"hub.mode": "subscribe", "hub.challenge": "c"}
    for app_id in ("7\0", "\ud800", "7" * 33, "٧", " 7", ""):
        for event in (
            post_event(b"{}", app_id=app_id),
            get_event(shake, app_id),
        ):
            assert environment.ask(event)["statusCode"] == 404


@pytest.mark.parametrize("of", ["app", "tenant"])
def test_a_disabled_app_or_tenant_is_not_found_within_a_minute(place: Apps, of: str) -> None:
    tenant = place.tenant()
    place.app(tenant)
    number = place.number(tenant, app_id=APP)
    stopwatch = Stopwatch()
    environment = place.theirs(stopwatch=stopwatch)
    assert post(environment, message(number, "wamid.1", ANA)) == 200
    table = "meta_apps" if of == "app" else "tenants"
    key = "tenant_id" if of == "app" else "id"
    place.everything.execute(
        f"update messaging.{table} set is_active = false where {key} = %s", (tenant,)
    )

    stopwatch.seconds += 61
    assert post(environment, message(number, "wamid.2", ANA)) == 404
    assert post(place.theirs(), message(number, "wamid.2", ANA)) == 404
    assert place.stored() == ["wamid.1"]


def test_what_an_own_app_says_of_numbers_not_bound_to_it_is_kept_and_never_applied(
    place: Apps,
) -> None:
    tenant = place.tenant()
    place.app(tenant)
    bound, operators = place.number(tenant, app_id=APP), place.number(tenant)
    victim = place.number()
    (sent,) = place.sent_messages(victim, ["wamid.out"])
    environment = place.theirs()

    assert (
        post(
            environment,
            message(victim, "wamid.forged", ANA),
            status(victim, "wamid.out", "read"),
            message(operators, "wamid.own", ANA),
            message(bound, "wamid.good", ANA),
        )
        == 200
    )

    assert place.stored() == ["wamid.good", "wamid.out"]
    assert place.one(STATUS, sent) == "accepted"
    letters = place.letters()
    # In the hands of whoever signed it: the victim's tenant is not to be filled by a stranger.
    assert set(letters) == {(tenant, "another_app")}
    assert len(letters[tenant, "another_app"]) == 3
    assert place.rows("select distinct app_id from messaging.webhook_dead_letters") == [(APP,)]


def test_what_the_operators_app_says_of_a_number_of_an_own_app_is_kept_and_never_applied(
    place: Apps,
) -> None:
    tenant = place.tenant()
    place.app(tenant)
    bound, free = place.number(tenant, app_id=APP), place.number(tenant)
    (sent,) = place.sent_messages(bound, ["wamid.out"])
    environment = place.theirs()

    updates = [
        message(bound, "wamid.1", ANA),
        status(bound, "wamid.out", "read"),
        message(free, "wamid.2", ANA),
    ]
    assert environment.post(updates) == 200

    assert place.stored() == ["wamid.2", "wamid.out"]
    assert place.one(STATUS, sent) == "accepted"
    assert {key: len(bodies) for key, bodies in place.letters().items()} == {
        (SYSTEM, "another_app"): 2
    }


def test_waba_wide_events_follow_the_same_rule(place: Apps) -> None:
    tenant = place.tenant()
    place.app(tenant)
    bound, victim = place.number(tenant, app_id=APP), place.number()

    def update(waba_id: str) -> bytes:
        change = {"field": "account_alerts", "value": {"alert": waba_id}}
        return body_of([{"id": waba_id, "changes": [change]}])

    environment = place.theirs()
    for waba_id in (bound.waba_id, victim.waba_id):
        body = update(waba_id)
        assert environment.post(body, secret=THEIR_SECRET, app_id=APP) == 200
        assert environment.post(body) == 200

    letters = place.rows(
        "select tenant_id, waba_id, app_id from messaging.webhook_dead_letters order by 1, 2, 3"
    )
    assert sorted(letters, key=str) == sorted(
        [
            (tenant, bound.waba_id, APP),  # its own
            (tenant, victim.waba_id, APP),  # a stranger's, kept with whoever signed
            (SYSTEM, bound.waba_id, None),  # the operator's app about a WABA of an own app
            (victim.tenant_id, victim.waba_id, None),  # the operator's own
        ],
        key=str,
    )


def test_the_backlog_remembers_which_app_had_signed(place: Apps) -> None:
    tenant = place.tenant()
    place.app(tenant)
    bound, victim = place.number(tenant, app_id=APP), place.number()
    environment = place.theirs()
    assert post(environment, message(bound, "wamid.1", ANA)) == 200
    body = pack([message(bound, "wamid.2", ANA), message(victim, "wamid.3", ANA)])
    with away(environment):
        # Its secrets are in memory; the same bytes signed by the operator's app are another body.
        assert environment.post(body, secret=THEIR_SECRET, app_id=APP) == 200
        assert environment.post(body) == 200

    assert len(waiting(place.s3)) == 2
    drained = backlog.drain(place.theirs().tools, lambda: True)

    assert drained.stored == 2
    assert place.stored() == ["wamid.1", "wamid.2", "wamid.3"]
    letters = place.letters()
    assert {key: len(bodies) for key, bodies in letters.items()} == {
        (tenant, "another_app"): 1,
        (SYSTEM, "another_app"): 1,
    }
    kept = json.loads(letters[tenant, "another_app"][0])["entry"][0]["id"]
    assert kept == victim.waba_id


def test_while_the_database_is_away_known_apps_are_served_and_others_asked_to_come_again(
    place: Apps,
) -> None:
    tenant = place.tenant()
    place.app(tenant)
    number = place.number(tenant, app_id=APP)
    stopwatch = Stopwatch()
    known, other = place.theirs(stopwatch=stopwatch), place.theirs()
    assert post(known, message(number, "wamid.1", ANA)) == 200
    stopwatch.seconds += 3600

    with away(known), away(other):
        assert post(known, message(number, "wamid.2", ANA)) == 200
        assert post(known, message(number, "wamid.2", ANA), secret="forged") == 401
        # Nobody can tell whether this is Meta's: nothing is kept, and Meta comes again.
        assert post(other, message(number, "wamid.3", ANA)) == 503
        assert post(other, message(number, "wamid.3", ANA), secret="forged") == 503
    assert len(waiting(place.s3)) == 1


def test_an_apps_lookup_that_loses_its_link_is_no_server_error(place: Apps) -> None:
    tenant = place.tenant()
    place.app(tenant)
    number = place.number(tenant, app_id=APP)
    stopwatch = Stopwatch()
    environment = place.theirs(stopwatch=stopwatch)
    assert post(environment, message(number, "wamid.1", ANA)) == 200
    stopwatch.seconds += 3600
    place.everything.execute(
        "select pg_terminate_backend(%s)", (environment.tools.db.connection().info.backend_pid,)
    )

    assert post(environment, message(number, "wamid.2", ANA)) == 200
    assert post(environment, message(number, "wamid.3", ANA)) == 200
    backlog.drain(environment.tools, lambda: True)
    assert place.stored() == ["wamid.1", "wamid.2", "wamid.3"]


def test_a_secret_sealed_for_another_tenant_or_purpose_opens_nothing(place: Apps) -> None:
    tenant, other = place.tenant(), place.tenant()
    place.app(tenant)
    number = place.number(tenant, app_id=APP)
    sealer = Sealer(place.key_id)
    for sealed in (
        sealer.seal(THEIR_SECRET, tenant_id=other, purpose="app_secret"),
        sealer.seal(THEIR_SECRET, tenant_id=tenant, purpose="verify_token"),
    ):
        place.everything.execute("update messaging.meta_apps set app_secret_sealed = %s", (sealed,))
        assert post(place.theirs(), message(number, "wamid.1", ANA)) == 500
    assert place.stored() == []


def away(environment: Environment) -> Any:
    """Make the environment's database unreachable for the time of a `with`."""
    patch = pytest.MonkeyPatch()
    environment.tools.db.drop()

    def connect(*_: Any, **__: Any) -> Any:
        raise psycopg.OperationalError("connection refused")

    patch.setattr(environment.tools.db, "_open", connect)

    class Until:
        def __enter__(self) -> None:
            return None

        def __exit__(self, *_: object) -> None:
            patch.undo()

    return Until()
