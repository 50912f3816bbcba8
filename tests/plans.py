"""What the tests of plans share: a tenant with many rows, and what Postgres would do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg

from tests.databases import ClonedDatabase


@contextmanager
def seeded(
    database: ClonedDatabase, tenant_id: UUID, seed: str, parameters: Mapping[str, Any]
) -> Iterator[psycopg.Connection[Any]]:
    """Run the statements of `seed`, which know the tenant as `tenant`; yield the tenant's link.

    The link is the role's that the functions have, and statistics are up to date.
    """
    with psycopg.connect(database.superuser_url, autocommit=True) as superuser:
        for statement in filter(str.strip, seed.split(";\n")):
            superuser.execute(statement.encode(), {"tenant": tenant_id, **parameters})
        superuser.execute("analyze")
    with psycopg.connect(database.app_url, autocommit=True) as link:
        link.execute("select set_config('switchboard.tenant_id', %s, false)", (str(tenant_id),))
        yield link


def explain(
    link: psycopg.Connection[Any], statement: str, parameters: dict[str, Any], *, generic: bool
) -> str:
    """Return the plan for these values, or the one that a prepared statement keeps for all."""
    if not generic:
        rows = link.execute(f"explain {statement}".encode(), parameters)
        return "\n".join(line for (line,) in rows)
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement)))
    text = re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", statement)
    link.execute("set plan_cache_mode = force_generic_plan")
    try:
        link.execute(f"prepare walk as {text.replace('%%', '%')}".encode())
        values = psycopg.sql.SQL(", ").join(
            psycopg.sql.SQL("{}").format(_as_literal(parameters[name])) for name in names
        )
        rows = link.execute(psycopg.sql.SQL("explain execute walk({})").format(values))
        return "\n".join(line for (line,) in rows)
    finally:
        link.execute("deallocate walk")
        link.execute("reset plan_cache_mode")


def _as_literal(value: Any) -> psycopg.sql.Composable:
    if isinstance(value, list):
        return psycopg.sql.Literal("{" + ",".join(map(str, value)) + "}")
    return psycopg.sql.Literal(str(value) if isinstance(value, UUID) else value)
