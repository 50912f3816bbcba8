"""The runner of sql/: once, in order, whole or not at all, whoever else runs at the same time."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from switchboard.kernel import migrations
from switchboard.kernel.errors import MigrationDrift, MigrationFailed
from switchboard.kernel.migrations import migrate, read
from tests.databases import SQL_FOLDER, ClonedDatabase

Write = Callable[..., None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder of migrations."""
    folder = tmp_path / "sql"
    folder.mkdir()
    return folder


@pytest.fixture
def write(folder: Path) -> Write:
    """Write migrations: write(**{"0001_one": "create table one ()"})."""

    def write(**files: str) -> None:
        for name, text in files.items():
            (folder / f"{name}.sql").write_text(text)

    return write


@pytest.fixture
def link(empty_database: ClonedDatabase) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(empty_database.owner_url, autocommit=True) as link:
        yield link


def ledger(link: psycopg.Connection[Any]) -> list[str]:
    query = "select name from public.schema_migrations order by version"
    return [name for (name,) in link.execute(query)]


def exists(link: psycopg.Connection[Any], table: str) -> bool:
    return link.execute("select to_regclass(%s) is not null", (table,)).fetchone() == (True,)


def test_the_schema_is_applied_whole_and_then_never_again(
    empty_database: ClonedDatabase, link: psycopg.Connection[Any]
) -> None:
    names = [path.name for path in sorted(SQL_FOLDER.glob("*.sql"))]
    assert migrate(empty_database.owner_url, SQL_FOLDER) == names
    assert ledger(link) == names
    assert exists(link, "messaging.whatsapp_messages")
    before = link.execute("select * from public.schema_migrations order by version").fetchall()
    assert migrate(empty_database.owner_url, SQL_FOLDER) == []
    assert (
        link.execute("select * from public.schema_migrations order by version").fetchall() == before
    )


def test_the_owner_that_migrates_is_a_plain_role(link: psycopg.Connection[Any]) -> None:
    row = link.execute(
        "select rolsuper, rolbypassrls, rolreplication, rolcreaterole from pg_roles"
        " where rolname = current_user"
    ).fetchone()
    assert row == (False, False, False, True)


def test_what_is_new_is_applied_after_what_was(
    empty_database: ClonedDatabase, folder: Path, write: Write, link: psycopg.Connection[Any]
) -> None:
    write(**{"0001_one": "create table one ()"})
    assert migrate(empty_database.owner_url, folder) == ["0001_one.sql"]
    write(**{"0002_two": "alter table one add a int", "0003_three": "alter table one add b int"})
    assert migrate(empty_database.owner_url, folder) == ["0002_two.sql", "0003_three.sql"]
    assert ledger(link) == ["0001_one.sql", "0002_two.sql", "0003_three.sql"]


@pytest.mark.parametrize("change", ["edited", "renamed", "one space"])
def test_a_file_that_changed_after_it_ran_stops_everything(
    empty_database: ClonedDatabase,
    folder: Path,
    write: Write,
    link: psycopg.Connection[Any],
    change: str,
) -> None:
    write(**{"0001_one": "create table one ()"})
    migrate(empty_database.owner_url, folder)
    if change == "edited":
        write(**{"0001_one": "create table one (a int)"})
    elif change == "one space":
        write(**{"0001_one": "create table one () "})
    else:
        (folder / "0001_one.sql").rename(folder / "0001_first.sql")
    write(**{"0002_two": "create table two ()"})
    with pytest.raises(MigrationDrift, match=r"0001_\w+\.sql differs .* as 0001_one\.sql"):
        migrate(empty_database.owner_url, folder)
    assert not exists(link, "two")


def test_a_failing_file_is_rolled_back_whole_and_named(
    empty_database: ClonedDatabase, folder: Path, write: Write, link: psycopg.Connection[Any]
) -> None:
    write(
        **{
            "0001_one": "create table one ()",
            "0002_two": "create table two (); insert into nowhere values (1);",
            "0003_three": "create table three ()",
        }
    )
    with pytest.raises(MigrationFailed, match=r'0002_two\.sql: relation "nowhere" does not exist'):
        migrate(empty_database.owner_url, folder)
    assert ledger(link) == ["0001_one.sql"]
    assert exists(link, "one")
    assert not exists(link, "two")
    assert not exists(link, "three")

    # It never ran, so it may be mended in place.
    write(**{"0002_two": "create table two ()"})
    assert migrate(empty_database.owner_url, folder) == ["0002_two.sql", "0003_three.sql"]


def test_two_runners_at_once_share_the_work_and_do_nothing_twice(
    empty_database: ClonedDatabase, folder: Path, write: Write, link: psycopg.Connection[Any]
) -> None:
    # Inserts would run twice without an error, unlike `create table`.
    write(**{"0001_one": "create table one (n int); select pg_sleep(0.3)"})
    for number in range(2, 8):
        write(**{f"000{number}_more": f"insert into one values ({number}); select pg_sleep(0.02)"})
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(migrate, empty_database.owner_url, folder) for _ in range(4)]
        applied = sorted(name for run in runs for name in run.result())
    assert applied == sorted(path.name for path in folder.glob("*.sql"))
    assert link.execute("select n from one order by n").fetchall() == [(n,) for n in range(2, 8)]


def test_a_runner_waits_for_another_longer_than_for_a_table(
    empty_database: ClonedDatabase,
    folder: Path,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A migration may take minutes; the lock timeout is for the tables that it changes."""
    monkeypatch.setattr(migrations, "_LOCK_TIMEOUT", "50ms")
    write(**{"0001_one": "select pg_sleep(0.5)", "0002_two": "create table two ()"})
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(migrate, empty_database.owner_url, folder) for _ in range(2)]
        applied = sorted(name for run in runs for name in run.result())
    assert applied == ["0001_one.sql", "0002_two.sql"]


def test_a_file_gives_up_on_a_table_that_others_hold(
    empty_database: ClonedDatabase,
    folder: Path,
    write: Write,
    link: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Waiting behind a reader, an ALTER TABLE would make everybody else wait behind it."""
    monkeypatch.setattr(migrations, "_LOCK_TIMEOUT", "50ms")
    write(**{"0001_one": "create table one ()"})
    migrate(empty_database.owner_url, folder)
    write(**{"0002_two": "alter table one add a int"})
    with link.transaction():
        link.execute("select from one")
        with pytest.raises(MigrationFailed, match=r"0002_two\.sql: .* lock timeout"):
            migrate(empty_database.owner_url, folder)
    assert migrate(empty_database.owner_url, folder) == ["0002_two.sql"]


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (["0001_one", "0003_three"], r"0003_three\.sql: expected number 0002"),
        (["0001_one", "0001_other"], r"0001_other\.sql: expected number 0002"),
        (["0002_two"], r"0002_two\.sql: expected number 0001"),
        (["1_one"], r"1_one\.sql: a migration is named NNNN_words\.sql"),
        (["0001-one"], r"0001-one\.sql: a migration is named"),
        (["0001_One"], r"0001_One\.sql: a migration is named"),
        (["0001_one copy"], r"0001_one copy\.sql: a migration is named"),
    ],
)
def test_numbers_have_no_gaps_twins_or_other_names(
    folder: Path, write: Write, files: list[str], problem: str
) -> None:
    write(**dict.fromkeys(files, "select 1"))
    with pytest.raises(MigrationDrift, match=problem):
        read(folder)


def test_older_code_leaves_a_newer_schema_alone(
    empty_database: ClonedDatabase, tmp_path: Path, link: psycopg.Connection[Any]
) -> None:
    """A rolled-back release runs with the older folder on the newer ledger."""
    older = tmp_path / "older"
    older.mkdir()
    *known, newest = sorted(SQL_FOLDER.glob("*.sql"))
    for path in known:
        shutil.copy(path, older)
    migrate(empty_database.owner_url, SQL_FOLDER)
    assert migrate(empty_database.owner_url, older) == []
    assert ledger(link)[-1] == newest.name


def test_a_file_outside_a_transaction_may_build_an_index_concurrently(
    empty_database: ClonedDatabase, folder: Path, write: Write, link: psycopg.Connection[Any]
) -> None:
    write(
        **{
            "0001_one": "create table one (n int)",
            "0002_index": "-- migrate: no transaction\n"
            "create index concurrently if not exists one_n on one (n);\n"
            "create index concurrently if not exists one_n_too on one (n);\n",
        }
    )
    # Two at once: a runner that waited in a transaction would be waited for by the index.
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(migrate, empty_database.owner_url, folder) for _ in range(3)]
        applied = sorted(name for run in runs for name in run.result())
    assert applied == ["0001_one.sql", "0002_index.sql"]
    assert link.execute(
        "select count(*) from pg_index where indrelid = 'one'::regclass and indisvalid"
    ).fetchone() == (2,)


def test_a_file_outside_a_transaction_is_run_again_after_a_failure(
    empty_database: ClonedDatabase, folder: Path, write: Write, link: psycopg.Connection[Any]
) -> None:
    text = (
        "-- migrate: no transaction\n"
        "create index concurrently if not exists one_n on one (n);\n"
        "create index concurrently if not exists two_n on two (n);\n"
    )
    write(**{"0001_one": "create table one (n int)", "0002_index": text})
    with pytest.raises(MigrationFailed, match=r"0002_index\.sql"):
        migrate(empty_database.owner_url, folder)
    assert ledger(link) == ["0001_one.sql"]
    assert exists(link, "one_n")
    link.execute("create table two (n int)")
    assert migrate(empty_database.owner_url, folder) == ["0002_index.sql"]


def test_the_password_of_app_is_set_and_changed_as_a_digest(
    empty_database: ClonedDatabase, folder: Path
) -> None:
    with psycopg.connect(empty_database.superuser_url, autocommit=True) as superuser:

        def stored() -> str:
            row = superuser.execute(
                "select rolpassword from pg_authid where rolname = 'app'"
            ).fetchone()
            assert row is not None
            return str(row[0])

        migrate(empty_database.owner_url, SQL_FOLDER, app_password="it's one")
        first = stored()
        migrate(empty_database.owner_url, SQL_FOLDER, app_password="another")
        assert re.match(r"SCRAM-SHA-256\$", first)
        assert stored() != first
        assert superuser.execute(
            "select rolcanlogin from pg_roles where rolname = 'app'"
        ).fetchone() == (True,)
