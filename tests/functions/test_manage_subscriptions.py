"""A tenant keeps its subscriptions itself: secrets once, kinds and addresses checked, few."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from switchboard.inbox import subscriptions
from switchboard.inbox.subscriptions import MOST, NewSubscription
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Conflict, Unavailable
from switchboard.kernel.outside import Outside
from switchboard.store import subscriptions as store
from switchboard.tools import Tools
from tests.databases import ClonedDatabase
from tests.deliveries import in_threads
from tests.managing import START, Desk, Made, column, desk_of
from tests.sending import poll
from tests.subscribers import Wax

LIST, ONE = "GET /v1/subscriptions", "GET /v1/subscriptions/{id}"
URL = "https://127.0.0.1/hook"


@pytest.fixture
def desk(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_of(database, monkeypatch) as desk:
        desk.made.sealer = Wax()
        yield desk


def subscribe(desk: Desk, *kinds: str, url: str = URL, **how: Any) -> Made:
    body = {"url": url, "kinds": list(kinds or ("message",))}
    status, made = desk.call("POST /v1/subscriptions", body=body, **how)
    assert status == 201, made
    return made


def waits(desk: Desk, made: Made, count: int, state: str = "pending", *, at: Any = START) -> None:
    """Give a subscription deliveries of one time."""
    desk.world.everything.execute(
        "insert into messaging.event_deliveries (tenant_id, subscription_id, kind, event_sha256,"
        " state, finished_at, created_at) select %s, %s, 'test', sha256(gen_random_uuid()::text"
        "::bytea), %s, case when %s <> 'pending' then now() end, %s from generate_series(1, %s)",
        (desk.place.tenant_id, made["subscription"]["id"], state, state, at, count),
    )


def test_a_secret_is_shown_once_and_kept_sealed(desk: Desk) -> None:
    made = subscribe(desk, "status", "message", "status")
    secret, row = made["secret"], made["subscription"]
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert (row["url"], row["kinds"], row["is_active"]) == (URL, ["message", "status"], True)
    shown = [desk.ok(LIST), desk.ok(ONE, row["id"]), desk.ok(f"{ONE}/deliveries", row["id"])]
    assert desk.ok(LIST)["data"] == [row]
    rotated = desk.ok("POST /v1/subscriptions/{id}/rotate", row["id"])
    shown += [desk.ok(LIST), desk.ok(ONE, row["id"])]
    assert rotated["secret"] != secret
    for text in (secret, rotated["secret"], "whsec_", "sealed"):
        assert text not in json.dumps(shown)
    (kept,) = desk.place.rows("event_subscriptions")
    seal = f"{desk.place.tenant_id}/subscription_secret/"
    assert bytes(kept["secret_sealed"]).decode() == seal + rotated["secret"]
    assert bytes(kept["secret_previous_sealed"]).decode() == seal + secret
    end = desk.ok(ONE, row["id"])["secret_previous_until"]
    assert abs(kept["secret_previous_until"] - kept["updated_at"] - timedelta(days=1)) < timedelta(
        minutes=1
    )
    assert end is not None


def test_a_subscription_is_changed_switched_tested_and_deleted(desk: Desk) -> None:
    made = subscribe(desk)
    which = made["subscription"]["id"]
    change = {"url": "https://127.0.0.1/other", "kinds": ["call", "echo"]}
    changed = desk.ok("PATCH /v1/subscriptions/{id}", which, body=change)
    assert (changed["url"], changed["kinds"]) == (change["url"], change["kinds"])
    kinds = desk.ok("PATCH /v1/subscriptions/{id}", which, body={"kinds": ["message"]})
    assert (kinds["url"], kinds["kinds"]) == (change["url"], ["message"])
    for _ in range(2):
        off = desk.ok("POST /v1/subscriptions/{id}/disable", which)
        assert (off["is_active"], off["disabled_reason"]) == (False, "by_hand")
    status, problem = desk.call("POST /v1/subscriptions/{id}/test", which)
    assert (status, problem["detail"]) == (409, "this subscription is disabled")
    for _ in range(2):
        on = desk.ok("POST /v1/subscriptions/{id}/enable", which)
        assert (on["is_active"], on["disabled_reason"]) == (True, None)
    status, put = desk.call("POST /v1/subscriptions/{id}/test", which)
    assert status == 202
    (delivery,) = desk.ok(f"{ONE}/deliveries", which)["data"]
    assert (delivery["id"], delivery["kind"], delivery["state"]) == (
        put["delivery_id"],
        "test",
        "pending",
    )
    (job,) = desk.place.rows("scheduled_jobs", job_type="notify")
    assert job["args"] == {"delivery_id": put["delivery_id"]}
    gone = desk.ok("DELETE /v1/subscriptions/{id}", which)
    assert (gone["id"], gone["pending"]) == (which, 1)
    for route in (ONE, f"{ONE}/deliveries", "DELETE /v1/subscriptions/{id}"):
        assert desk.call(route, which)[0] == 404
    assert desk.ok(LIST) == {"data": [], "next_cursor": None}


@pytest.mark.parametrize(
    "url",
    [
        *("http://93.184.215.14/", "https://10.0.0.1/", "https://169.254.169.254/latest"),
        *("https://a:b@93.184.215.14/", "ftp://93.184.215.14/", "HTTPS://93.184.215.14/"),
        *("https://a", "93.184.215.14", "", "https://93.184.215.14/\x07", "https://[fe80::1]/"),
        "https://acme.example/" + "x" * 2000,
    ],
)
def test_an_address_that_nobody_would_ask_is_refused(desk: Desk, url: str) -> None:
    desk.made.__dict__["outside"] = Outside()  # as in a deployed stack
    body = {"url": url, "kinds": ["message"]}
    status, problem = desk.call("POST /v1/subscriptions", body=body)
    assert (status, problem["field"]) == (422, "url"), problem
    which = subscribe(desk, url="https://93.184.215.14/")["subscription"]["id"]
    status, problem = desk.call("PATCH /v1/subscriptions/{id}", which, body={"url": url})
    assert (status, problem["field"]) == (422, "url"), problem
    assert column(desk.place.rows("event_subscriptions"), "url") == ["https://93.184.215.14/"]


def test_a_name_that_is_not_known_yet_is_taken(desk: Desk) -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise OSError

    desk.made.__dict__["outside"] = Outside(resolve=resolve)
    assert subscribe(desk, url="https://soon.acme.example/hook")["subscription"]["is_active"]


@pytest.mark.parametrize(
    ("body", "field", "word"),
    [
        ({"url": URL, "kinds": ["message", "orders"]}, "kinds.1", "'message', 'status', 'echo'"),
        ({"url": URL, "kinds": []}, "kinds", "at least 1"),
        ({"url": URL, "kinds": "message"}, "kinds", "list"),
        ({"url": URL}, "kinds", "required"),
        ({"url": "acme.example/hook", "kinds": ["call"]}, "url", "https://acme.example"),
    ],
)
def test_what_is_wrong_is_named(desk: Desk, body: Made, field: str, word: str) -> None:
    status, problem = desk.call("POST /v1/subscriptions", body=body)
    assert (status, problem["field"]) == (422, field)
    assert word in problem["detail"]
    assert desk.place.rows("event_subscriptions") == []


def test_a_change_of_nothing_is_refused(desk: Desk) -> None:
    which = subscribe(desk)["subscription"]["id"]
    status, problem = desk.call("PATCH /v1/subscriptions/{id}", which, body={})
    assert status == 422
    assert "url or kinds must be given" in problem["detail"]


def test_deliveries_are_walked_by_cursor_and_state(desk: Desk) -> None:
    made, other = subscribe(desk), subscribe(desk)
    which = made["subscription"]["id"]
    # Those of one webhook have one time.
    for number, state in enumerate(("delivered", "dead", "pending", "delivered")):
        waits(desk, made, 3, state, at=START + timedelta(minutes=number))
    waits(desk, other, 5)
    route = f"{ONE}/deliveries"
    rows = desk.pages(route, which, limit=2)
    assert column(rows, "state") == [
        *("delivered",) * 3,
        *("pending",) * 3,
        *("dead",) * 3,
        *("delivered",) * 3,
    ]
    assert len(set(column(rows, "id"))) == 12
    assert column(rows, "id") == column(desk.pages(route, which, limit=200), "id")
    for state, count in {"delivered": 6, "dead": 3, "pending": 3}.items():
        found = desk.pages(route, which, limit=2, state=state)
        assert column(found, "id") == [row["id"] for row in rows if row["state"] == state]
        assert len(found) == count
    cursor = desk.ok(route, which, limit=2)["next_cursor"]
    for ids, query in (((other["subscription"]["id"],), {}), ((which,), {"state": "dead"})):
        status, problem = desk.call(route, *ids, cursor=cursor, **query)
        assert (status, problem["field"]) == (400, "cursor")
    assert desk.call(route, which, state="late")[0] == 400
    shown = desk.ok(ONE, which)
    assert (shown["pending"], shown["dead"]) == (3, 3)


def test_of_very_many_deliveries_a_thousand_are_counted(desk: Desk) -> None:
    made = subscribe(desk)
    waits(desk, made, 1001)
    waits(desk, made, 1001, "dead")
    shown = desk.ok(ONE, made["subscription"]["id"])
    assert (shown["pending"], shown["dead"]) == (1000, 1000)


def test_a_tenant_has_a_bounded_number_of_them(desk: Desk) -> None:
    other = desk.world.place()
    key = other.add_key("subscriptions:write")
    made = [subscribe(desk)["subscription"]["id"] for _ in range(MOST)]
    desk.ok("POST /v1/subscriptions/{id}/disable", made[0])  # it counts all the same
    body = {"url": URL, "kinds": ["message"]}
    status, problem = desk.call("POST /v1/subscriptions", body=body)
    assert status == 409
    assert f"there are {MOST} subscriptions" in problem["detail"]
    subscribe(desk, key=key)
    desk.ok("DELETE /v1/subscriptions/{id}", made[7])
    subscribe(desk)
    assert len(desk.ok(LIST)["data"]) == MOST


def test_two_at_once_do_not_exceed_it(desk: Desk, database: ClonedDatabase) -> None:
    """The second waits for the first to commit, and then counts it."""
    for _ in range(MOST - 1):
        subscribe(desk)
    first = psycopg.connect(database.app_url)
    first.execute(
        "select set_config('switchboard.tenant_id', %s, false)", (str(desk.place.tenant_id),)
    )
    add(first, desk, uuid4())
    refused: list[Conflict] = []

    def second() -> None:
        tools = desk.world.tools()
        tools.sealer = Wax()
        new = NewSubscription(url=URL, kinds=["message"])
        try:
            subscriptions.create_subscription(tools, desk.place.tenant_id, new)
        except Conflict as conflict:
            refused.append(conflict)

    thread = threading.Thread(target=second)
    thread.start()

    def is_waiting() -> bool:
        row = desk.world.everything.execute(
            "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        ).fetchone()
        return not thread.is_alive() or row != (0,)

    poll(is_waiting)
    first.commit()
    first.close()
    thread.join()
    assert len(refused) == 1
    assert len(desk.place.rows("event_subscriptions")) == MOST


def test_many_at_once_do_not_exceed_it(desk: Desk) -> None:
    for _ in range(MOST - 3):
        subscribe(desk)
    others = [desk.world.tools() for _ in range(6)]
    for tools in others:
        tools.sealer = Wax()
    new = NewSubscription(url=URL, kinds=["message"])

    def create(number: int) -> bool:
        try:
            subscriptions.create_subscription(others[number], desk.place.tenant_id, new)
        except Conflict:
            return False
        return True

    assert sorted(in_threads(6, create)) == [False] * 3 + [True] * 3
    assert len(desk.place.rows("event_subscriptions")) == MOST


def add(connection: Connection, desk: Desk, wanted: UUID) -> None:
    store.insert(
        connection,
        tenant_id=desk.place.tenant_id,
        subscription_id=wanted,
        url=URL,
        kinds=["message"],
        secret_sealed=b"x",
        most=MOST,
        now=None,
    )


class TestALinkLostAtTheCommit:
    """Whoever asked is answered by a second run: what the first has done is not done again."""

    @pytest.fixture
    def lost(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
        """Returns what makes the next transaction commit and seem lost."""
        usual = desk.made.db.transaction

        def lose() -> None:
            @contextmanager
            def once(*args: Any, **how: Any) -> Iterator[Connection]:
                with usual(*args, **how) as connection:
                    yield connection
                monkeypatch.setattr(desk.made.db, "transaction", usual)
                raise Unavailable("the database was lost")

            monkeypatch.setattr(desk.made.db, "transaction", once)

        return lose

    @pytest.mark.parametrize("before", [0, MOST - 1])
    def test_one_subscription_is_made_even_the_last_possible(
        self, desk: Desk, lost: Callable[[], None], before: int
    ) -> None:
        for _ in range(before):
            subscribe(desk)
        lost()
        made = subscribe(desk)
        rows = desk.place.rows("event_subscriptions")
        assert len(rows) == before + 1
        (row,) = [row for row in rows if str(row["id"]) == made["subscription"]["id"]]
        assert bytes(row["secret_sealed"]).decode().endswith(made["secret"])

    def test_the_secret_from_before_a_rotation_still_signs(
        self, desk: Desk, lost: Callable[[], None]
    ) -> None:
        made = subscribe(desk)
        lost()
        new = desk.ok("POST /v1/subscriptions/{id}/rotate", made["subscription"]["id"])
        (row,) = desk.place.rows("event_subscriptions")
        assert bytes(row["secret_sealed"]).decode().endswith(new["secret"])
        assert bytes(row["secret_previous_sealed"]).decode().endswith(made["secret"])

    def test_what_was_deleted_is_told(self, desk: Desk, lost: Callable[[], None]) -> None:
        which = subscribe(desk)["subscription"]["id"]
        lost()
        assert desk.ok("DELETE /v1/subscriptions/{id}", which)["id"] == which
        assert desk.place.rows("event_subscriptions") == []


def test_no_transaction_is_open_while_others_are_asked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither while a name is looked up nor while KMS seals: both may take seconds."""
    which = subscribe(desk)["subscription"]["id"]
    asked: list[str] = []

    def note(what: str) -> None:
        idle = desk.made.db.connection().info.transaction_status
        assert idle == psycopg.pq.TransactionStatus.IDLE
        asked.append(what)

    def resolve(host: str, port: int) -> list[str]:
        note("name")
        return ["93.184.215.14"]

    class Watched(Wax):
        def seal(self, plain: str, *, tenant_id: UUID | str, purpose: str) -> bytes:
            note("seal")
            return super().seal(plain, tenant_id=tenant_id, purpose=purpose)

    made: Tools = desk.made
    made.__dict__["outside"] = Outside(resolve=resolve)
    made.sealer = Watched()
    subscribe(desk, url="https://acme.example/hook")
    desk.ok("PATCH /v1/subscriptions/{id}", which, body={"url": "https://acme.example/hook"})
    desk.ok("POST /v1/subscriptions/{id}/rotate", which)
    assert asked == ["name", "seal", "name", "seal"]
