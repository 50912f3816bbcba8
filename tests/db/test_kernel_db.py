"""The one connection: kept while it lives, replaced when it does not, quick to say no."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest

from local.ports import free_port
from switchboard.kernel.db import REFUSE_FOR_S, TRY_AFTER_S, Database, queries
from switchboard.kernel.errors import ConfigurationError, Unavailable
from tests.databases import ClonedDatabase


class Wall:
    """A wall clock that a test moves: a freeze is a gap in it."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def db(database: ClonedDatabase, wall: Wall) -> Iterator[Database]:
    db = Database(database.app_url, wall=wall)
    yield db
    db.drop()


def pid(db: Database) -> int:
    return db.connection().info.backend_pid


@pytest.fixture
def kill(database: ClonedDatabase) -> Callable[[int], None]:
    """End a backend as a restart of the server would, and wait until it is gone."""

    def kill(backend: int) -> None:
        with psycopg.connect(database.superuser_url, autocommit=True) as link:
            link.execute("select pg_terminate_backend(%s, 5000)", (backend,))

    return kill


def test_the_connection_is_kept(db: Database, wall: Wall) -> None:
    first = pid(db)
    wall.now += TRY_AFTER_S * 10
    assert pid(db) == first
    assert db.connection().autocommit


def test_a_connection_that_died_in_a_freeze_is_replaced_unseen(
    db: Database, wall: Wall, kill: Callable[[int], None]
) -> None:
    first = pid(db)
    kill(first)
    wall.now += TRY_AFTER_S
    with db.transaction() as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert pid(db) != first


def test_a_connection_that_dies_in_use_is_told_and_the_next_use_works(
    db: Database, kill: Callable[[int], None]
) -> None:
    first = pid(db)
    kill(first)
    with pytest.raises(Unavailable), db.transaction() as connection:
        connection.execute("select 1")
    assert pid(db) != first


def test_losing_the_link_inside_a_transaction_is_unavailable(
    db: Database, kill: Callable[[int], None]
) -> None:
    def lose() -> None:
        with db.transaction() as connection:
            kill(connection.info.backend_pid)
            connection.execute("select 1")

    with pytest.raises(Unavailable, match="lost"):
        lose()
    with db.transaction() as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_an_error_of_a_statement_keeps_its_class_and_the_connection(db: Database) -> None:
    first = pid(db)
    with pytest.raises(psycopg.errors.DivisionByZero), db.transaction() as connection:
        connection.execute("select 1 / 0")
    with pytest.raises(psycopg.errors.QueryCanceled), db.transaction() as connection:
        connection.execute("set local statement_timeout = '10ms'; select pg_sleep(10)")
    assert pid(db) == first


def test_after_a_failed_connect_the_answer_is_no_for_five_seconds(
    database: ClonedDatabase, wall: Wall
) -> None:
    asked: list[bool] = []
    gone = f"postgresql://app@127.0.0.1:{free_port()}/switchboard"
    url = gone

    def source(*, fresh: bool) -> str:
        asked.append(fresh)
        return url

    db = Database(source, wall=wall)
    with pytest.raises(Unavailable, match="cannot be reached"):
        db.connection()
    url = database.app_url
    for _ in range(50):
        wall.now += REFUSE_FOR_S / 51
        with pytest.raises(Unavailable, match="a moment ago"):
            db.connection()
    assert asked == [False]
    wall.now += REFUSE_FOR_S / 51 + 0.01
    assert db.connection().info.status == psycopg.pq.ConnStatus.OK
    db.drop()


@pytest.mark.parametrize("step", [-1.0, -3600.0])
def test_a_clock_set_back_neither_refuses_nor_trusts_for_long(
    database: ClonedDatabase, wall: Wall, step: float
) -> None:
    url = f"postgresql://app@127.0.0.1:{free_port()}/switchboard"
    db = Database(lambda *, fresh: url, wall=wall)
    with pytest.raises(Unavailable):
        db.connection()
    url = database.app_url
    wall.now += step
    assert db.connection().info.status == psycopg.pq.ConnStatus.OK
    db.drop()


def test_a_refused_password_is_read_anew_once(
    monkeypatch: pytest.MonkeyPatch, database: ClonedDatabase
) -> None:
    """The test server trusts everyone, so the refusal is the driver's word for word."""
    real = psycopg.connect
    asked: list[bool] = []

    def source(*, fresh: bool) -> str:
        asked.append(fresh)
        return database.app_url if fresh else "old"

    def connect(url: str, **options: object) -> object:
        if url == "old":
            raise psycopg.OperationalError(
                'connection failed: FATAL:  password authentication failed for user "app"'
            )
        return real(url, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(psycopg, "connect", connect)
    db = Database(source)
    assert db.connection().info.user == "app"
    assert asked == [False, True]
    db.drop()


def test_a_url_that_is_none_is_said_without_quoting_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Database("postgresql//app:hunter2@db").connection()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def tenant_of(connection: psycopg.Connection[tuple[object, ...]]) -> object:
    row = connection.execute("select messaging.current_tenant()").fetchone()
    assert row is not None
    return row[0]


def test_the_tenant_is_that_of_the_transaction_and_ends_with_it(db: Database) -> None:
    one, two = uuid4(), uuid4()
    for tenant in (one, two):
        with db.transaction(tenant) as connection:
            assert tenant_of(connection) == tenant
    assert tenant_of(db.connection()) is None
    with db.transaction() as connection:
        assert tenant_of(connection) is None
    with pytest.raises(ZeroDivisionError), db.transaction(one):
        raise ZeroDivisionError
    assert tenant_of(db.connection()) is None


def test_what_fails_is_rolled_back(db: Database, database: ClonedDatabase) -> None:
    tenant = UUID(int=0)
    insert = (
        "insert into messaging.users (tenant_id, email, full_name, role) values (%s, %s, %s, %s)"
    )

    def fail() -> None:
        with db.transaction(tenant) as connection:
            connection.execute(insert, (tenant, "a@b.c", "A", "agent"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with db.transaction(tenant) as connection:
        assert connection.execute("select count(*) from messaging.users").fetchone() == (0,)


@pytest.mark.parametrize("written", ["1e25", "1e308", "-1e20", "123456789012345678901234567890"])
def test_a_number_over_64_bits_can_be_written_as_json_again(db: Database, written: str) -> None:
    """One such number in one message would otherwise keep all lists that hold it from answering."""
    row = db.connection().execute("select %s::jsonb", (f'{{"n": {written}}}',)).fetchone()
    assert row is not None
    assert orjson.loads(orjson.dumps(row[0])) == {"n": float(written)}


def test_a_statement_timeout_lasts_one_transaction(db: Database) -> None:
    with db.transaction(statement_timeout_ms=12_000) as connection:
        assert connection.execute("show statement_timeout").fetchone() == ("12s",)
    assert db.connection().execute("show statement_timeout").fetchone() == ("3s",)


def test_the_app_waits_for_nothing_for_long(db: Database) -> None:
    for name, value in (
        ("statement_timeout", "3s"),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "5s"),
        ("TimeZone", "UTC"),
    ):
        assert db.connection().execute(f"show {name}").fetchone() == (value,)


# --- SQL by name ---


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Make a package with one file of statements, things.sql, and return its name."""

    def make(text: str) -> str:
        name = f"store_of_{uuid4().hex}"
        (tmp_path / name / "sql").mkdir(parents=True)
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "sql" / "things.sql").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        return name

    return make


def test_statements_are_found_by_their_names(package: Callable[[str], str]) -> None:
    found = queries(
        package(
            "-- What this file is.\n\n-- name: one\n-- Why so.\nselect 1;\n\n"
            "-- name: two\nselect %(x)s::int\n"
        ),
        "things",
    )
    assert found == {"one": "-- Why so.\nselect 1", "two": "select %(x)s::int"}


def test_a_name_used_twice_is_refused(package: Callable[[str], str]) -> None:
    with pytest.raises(ValueError, match="two statements named one"):
        queries(package("-- name: one\nselect 1\n-- name: one\nselect 2\n"), "things")
