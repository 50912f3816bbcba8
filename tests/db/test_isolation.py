"""Two tenants in every table of the schema, whatever it is: neither touches a row of the other.

Rows are made from the catalogue by the superuser, so a table of tomorrow is tested without a word
here. What a person could try with the functions' own role is tried: read, change, delete, insert,
give away, reach a partition directly.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from switchboard.kernel.clock import uuid7
from tests.databases import ClonedDatabase

Row = dict[str, Any]
Link = psycopg.Connection[Any]

A, B = uuid4(), uuid4()
#: Tables of no tenant; test_catalogue says why each may be so.
TENANTLESS = {"worker_marks", "job_looks"}


@dataclass(frozen=True, slots=True)
class Table:
    """A table that statements name: no partition."""

    name: str
    tenant_column: str
    columns: list[tuple[str, str]]

    @property
    def sql(self) -> sql.Composed:
        return sql.SQL("messaging.{}").format(sql.Identifier(self.name))


def tables_of(superuser: Link) -> list[Table]:
    """Every table with the columns that a row must bring: not null, without default."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, column, kind in superuser.execute(
        """
        select c.relname, a.attname, format_type(a.atttypid, null)
        from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0
        where c.relnamespace = 'messaging'::regnamespace and c.relkind in ('r', 'p')
            and not c.relispartition and not a.attisdropped and a.attnotnull
            and a.attidentity = '' and a.attgenerated = ''
            and (not a.atthasdef or a.attname = 'id')
        order by c.relname, a.attnum
        """
    ):
        found.setdefault(name, []).append((column, kind))
    return [
        Table(name, "id" if name == "tenants" else "tenant_id", columns)
        for name, columns in found.items()
        if name not in TENANTLESS
    ]


def value_of(kind: str) -> Any:
    """Return some value of a type; a type met for the first time is an error to be mended here."""
    makers: dict[str, Any] = {
        # Version 7, since an id may choose the partition.
        "uuid": uuid7(),
        "text": f"x{uuid4().hex}",
        "bytea": os.urandom(32),
        "jsonb": "{}",
        "boolean": True,
        "smallint": 1,
        "integer": 1,
        "bigint": 1,
        "numeric": 1,
        "date": "2026-10-01",
        "timestamp with time zone": "now",
        "timestamp with time zone[]": "{now}",
        "text[]": [],
    }
    return makers[kind]


def row_for(table: Table, tenant: UUID) -> Row:
    row = {name: value_of(kind) for name, kind in table.columns}
    row[table.tenant_column] = tenant
    return row


def insert(link: Link, table: Table, row: Row) -> None:
    link.execute(
        sql.SQL("insert into {} ({}) values ({})").format(
            table.sql,
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Placeholder() * len(row)),
        ),
        list(row.values()),
    )


def as_tenant(link: Link, tenant: UUID | str) -> None:
    link.execute("select set_config('switchboard.tenant_id', %s, true)", (str(tenant),))


@pytest.fixture
def superuser(database: ClonedDatabase) -> Iterator[Link]:
    """Row-level security does not bind this one; checks and foreign keys are out of the way."""
    with psycopg.connect(database.superuser_url, autocommit=True) as link:
        link.execute("set session_replication_role = replica")
        for table, name in link.execute(
            "select conrelid::regclass::text, conname from pg_constraint where contype = 'c'"
            " and connamespace = 'messaging'::regnamespace and coninhcount = 0 and conrelid <> 0"
        ).fetchall():
            link.execute(f"alter table {table} drop constraint {name}")
        yield link


@pytest.fixture
def tables(superuser: Link) -> list[Table]:
    """All tables, each with one row of A and one of B."""
    found = tables_of(superuser)
    assert len(found) > 15
    for table in found:
        for tenant in (A, B):
            insert(superuser, table, row_for(table, tenant))
    return found


def rows_of(link: Link, table: Table, tenant: UUID) -> list[Any]:
    query = sql.SQL("select to_jsonb(t) from {} as t where {} = %s").format(
        table.sql, sql.Identifier(table.tenant_column)
    )
    return link.execute(query, (tenant,)).fetchall()


@pytest.fixture
def app(database: ClonedDatabase) -> Iterator[Link]:
    with psycopg.connect(database.app_url, autocommit=True) as link:
        yield link


@pytest.fixture
def owner(database: ClonedDatabase) -> Iterator[Link]:
    with psycopg.connect(database.owner_url, autocommit=True) as link:
        yield link


def attempts(table: Table) -> dict[str, tuple[sql.Composed, list[Any]]]:
    """What tenant B may try on A's row, and how: none may touch a row."""
    column = sql.Identifier(table.tenant_column)
    return {
        "read": (sql.SQL("select * from {} where {} = %s").format(table.sql, column), [A]),
        "update": (
            sql.SQL("update {} set {} = {} where {} = %s").format(
                table.sql, column, column, column
            ),
            [A],
        ),
        "steal": (
            sql.SQL("update {} set {} = %s where {} = %s").format(table.sql, column, column),
            [B, A],
        ),
        "delete": (sql.SQL("delete from {} where {} = %s").format(table.sql, column), [A]),
        "give away": (
            sql.SQL("update {} set {} = %s where {} = %s").format(table.sql, column, column),
            [A, B],
        ),
    }


def leaks(link: Link, tables: list[Table], role: str) -> list[str]:
    """Return what tenant B managed to do to A's rows."""
    found = []
    for table in tables:
        for name, (query, parameters) in attempts(table).items():
            try:
                with link.transaction(force_rollback=True):
                    as_tenant(link, B)
                    touched = link.execute(query, parameters).rowcount
            except psycopg.errors.InsufficientPrivilege:
                continue  # refused by policy or for want of a grant
            if touched:
                found.append(f"{role}: {name} {table.name}")
        try:
            with link.transaction(force_rollback=True):
                as_tenant(link, B)
                insert(link, table, row_for(table, A))
        except psycopg.errors.InsufficientPrivilege:
            continue
        except psycopg.errors.IntegrityError:
            pass  # past the policy already: only a foreign key stood in the way
        found.append(f"{role}: insert {table.name}")
    return found


def test_one_tenant_touches_no_row_of_another_in_any_table(
    superuser: Link, tables: list[Table], app: Link, owner: Link
) -> None:
    before = {table.name: rows_of(superuser, table, A) for table in tables}
    assert all(len(rows) == 1 for rows in before.values())
    assert leaks(app, tables, "app") == []
    # FORCE binds the owner of the tables too.
    assert leaks(owner, tables, "owner") == []
    assert {table.name: rows_of(superuser, table, A) for table in tables} == before


def test_a_tenant_sees_its_own_rows_and_no_others(tables: list[Table], app: Link) -> None:
    for table in tables:
        with app.transaction():
            as_tenant(app, B)
            query = sql.SQL("select distinct {} from {}").format(
                sql.Identifier(table.tenant_column), table.sql
            )
            assert app.execute(query).fetchall() == [(B,)], table.name


@pytest.mark.parametrize("setting", ["never set", "empty", "set and over"])
def test_without_a_tenant_there_is_nothing(
    tables: list[Table], app: Link, owner: Link, setting: str
) -> None:
    for link in (app, owner):
        for table in tables:
            if setting == "set and over":
                with link.transaction():
                    as_tenant(link, B)
            with link.transaction():
                if setting == "empty":
                    as_tenant(link, "")
                query = sql.SQL("select count(*) from {}").format(table.sql)
                assert link.execute(query).fetchone() == (0,), table.name


def test_a_partition_is_reached_through_its_parent_alone(superuser: Link, app: Link) -> None:
    partitions = superuser.execute(
        "select oid::regclass::text from pg_class where relispartition and relkind = 'r'"
        " and relnamespace = 'messaging'::regnamespace"
    ).fetchall()
    assert len(partitions) > 10
    app.execute("select set_config('switchboard.tenant_id', %s, false)", (str(B),))
    for (name,) in partitions:
        for query in (
            f"select from {name}",
            f"delete from {name}",
            f"update {name} set tenant_id = tenant_id",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(query)


@pytest.mark.parametrize(
    ("mistake", "expected"),
    [
        ("alter table messaging.wrong disable row level security", "read wrong"),
        ("create policy open on messaging.wrong using (true)", "read wrong"),
        ("create policy open on messaging.wrong for insert with check (true)", "insert wrong"),
        (
            (
                "create policy open on messaging.wrong for delete using (true);"
                "create policy look on messaging.wrong for select using (true)"
            ),
            "delete wrong",
        ),
    ],
)
def test_a_wrong_table_is_noticed(
    superuser: Link, owner: Link, app: Link, mistake: str, expected: str
) -> None:
    owner.execute("create table messaging.wrong (tenant_id uuid not null, word text not null)")
    owner.execute("call messaging.protect('messaging.wrong', 'select, insert, update, delete')")
    owner.execute(mistake)
    table = Table("wrong", "tenant_id", [("tenant_id", "uuid"), ("word", "text")])
    insert(superuser, table, row_for(table, A))
    insert(superuser, table, row_for(table, B))
    assert f"app: {expected}" in leaks(app, [table], "app")
