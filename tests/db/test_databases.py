"""The tests' own databases: one that is used again is as one that was never used."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from local.postgres import PostgresServer
from tests.databases import ClonedDatabase, Spares, WarmDatabase, as_app

_JOB = (
    "insert into messaging.scheduled_jobs (tenant_id, job_type, scheduled_for)"
    " values (%s, 'work', now()) returning id"
)
_SYSTEM = uuid.UUID(int=0)


@pytest.fixture
def spares(postgres: PostgresServer, template: str) -> Iterator[Spares]:
    spares = Spares(postgres, template)
    yield spares
    spares.close()


def contents(database: ClonedDatabase) -> dict[str, int]:
    """Return how many rows there are in each table that is not empty."""
    with database.everything() as link:
        tables = link.execute(
            "select oid::regclass::text from pg_class"
            " where relkind = 'r' and relnamespace::regnamespace::text in ('messaging', 'public')"
        ).fetchall()
        counted = {
            table: link.execute(f"select count(*) from {table}").fetchone() for (table,) in tables
        }
    return {table: count[0] for table, count in counted.items() if count and count[0]}


def test_rows_are_gone_and_numbers_begin_anew(spares: Spares) -> None:
    with spares.database() as first, first.everything() as link:
        untouched = contents(first)
        link.execute(
            "insert into messaging.tenants (id, slug, name) values (gen_random_uuid(), 't', 'T')"
        )
        number = link.execute(_JOB, (_SYSTEM,)).fetchone()
        link.execute("insert into public.effects (note) values ('done')")
        assert contents(first) != untouched
    with spares.database() as second, second.everything() as link:
        assert second.name == first.name
        assert contents(second) == untouched
        assert link.execute(_JOB, (_SYSTEM,)).fetchone() == number


@pytest.mark.parametrize(
    "statement",
    [
        "create table public.other ()",
        "create index on messaging.contacts (created_at)",
        "alter table messaging.contacts disable row level security",
        "alter table messaging.contacts disable trigger user",
        "alter table messaging.contacts alter name set not null",
        "alter table messaging.contacts drop constraint contacts_pkey cascade",
        "drop policy tenant on messaging.contacts",
        "alter function messaging.await_intakes() set lock_timeout = '30s'",
        "grant select on messaging.api_keys to public",
        "create schema other",
        (
            "do $$ begin execute format('alter role app in database %I set work_mem = 64',"
            " current_database()); end $$"
        ),
        "analyze messaging.contacts",
        "update messaging.tenants set name = 'other' where slug = 'system'",
        "delete from schema_migrations where version = 1",
        (
            "insert into messaging.tenants (id, slug, name)"
            " select gen_random_uuid(), n::text, n from generate_series(1, 10000) n"
        ),
    ],
)
def test_what_is_more_than_rows_is_not_used_again(spares: Spares, statement: str) -> None:
    with spares.database() as first, first.everything() as link:
        link.execute(statement)
    with spares.database() as second:
        assert second.name != first.name


def test_partitions_that_a_worker_makes_are_taken_away(spares: Spares) -> None:
    with spares.database() as first, first.everything() as link:
        before = link.execute("select count(*) from pg_inherits").fetchone()
        link.execute("select messaging.ensure_partitions('2031-03-01')")
        assert link.execute("select count(*) from pg_inherits").fetchone() != before
    with spares.database() as second, second.everything() as link:
        assert second.name == first.name
        assert link.execute("select count(*) from pg_inherits").fetchone() == before


def test_who_is_still_at_work_is_ended(spares: Spares) -> None:
    with spares.database() as first:
        left = psycopg.connect(first.superuser_url)
        left.execute(_JOB, (_SYSTEM,))
    with spares.database() as second:
        assert second.name == first.name
        assert "messaging.scheduled_jobs" not in contents(second)
    with pytest.raises(psycopg.OperationalError):
        left.commit()
    left.close()


def test_a_session_forgets_what_was_set_and_keeps_what_was_planned(spares: Spares) -> None:
    asked = (
        "select pg_backend_pid(), current_setting('work_mem'),"
        " (select count(*) from pg_locks where locktype = 'advisory')"
    )
    with spares.database() as first:
        with as_app(first) as app:
            usual = app.execute(asked).fetchone()
            app.execute("set work_mem = 64")
            app.execute("select pg_advisory_lock(1)")
        begun = WarmDatabase(first)
        begun.connection().execute("begin")
        begun.give_back()
    with spares.database() as second, as_app(second) as app:
        assert second.name == first.name
        assert usual is not None
        row = app.execute(asked).fetchone()
        assert row is not None
        assert row[1:] == usual[1:]
        assert row[0] != usual[0], "the session that was in a transaction is not kept"
    with spares.database() as third, as_app(third) as app:
        again = app.execute(asked).fetchone()
        assert again == row, "the other one is"


def test_a_dropped_connection_is_not_had_again(spares: Spares) -> None:
    with spares.database() as database:
        with as_app(database) as app:
            pid = app.info.backend_pid
        db = WarmDatabase(database)
        assert db.connection().info.backend_pid == pid
        db.drop()
        assert db.connection().info.backend_pid != pid
        db.give_back()
