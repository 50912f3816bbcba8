"""The database's own catalogue keeps the promise that a tenant sees its own rows only.

Each check reads pg_catalog and names what breaks its rule; the same check is run against a
deliberately wrong object, so that a check which can no longer fail is noticed. Exemptions are lists
with a reason, and an exemption that no longer exists is an error too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from tests.databases import ClonedDatabase

Superuser = psycopg.Connection[Any]
Check = Callable[[Superuser], list[str]]

#: Tables without a tenant column of the usual name, and why.
TENANTLESS = {
    "tenants": "its id is the tenant",
    "worker_marks": "says which worker processes are awake: they work for all tenants",
    "job_looks": "where the queues of all tenants begin, for the door that claims from them all",
}
#: Tables that no tenant's policy guards.
UNGUARDED = {
    "worker_marks": "holds process names and times, nothing of any tenant",
    "job_looks": "the app may not read it: the door alone does",
}
#: Unique without the tenant (design: global keys), and why.
GLOBAL_KEYS = {
    ("tenants", "id"): "the tenant itself",
    ("tenants", "slug"): "operators name tenants by it",
    ("api_keys", "key_hash"): "a key is looked up before its tenant is known",
    ("meta_apps", "app_id"): "Meta's; one app belongs to one tenant",
    ("whatsapp_business_accounts", "waba_id"): "Meta's; webhooks are resolved by it",
    ("whatsapp_accounts", "phone_number_id"): "Meta's; webhooks are resolved by it",
    ("message_keys", "account_id,wa_message_id"): "the account names the tenant; kept narrow",
    ("tracked_links", "token"): "who follows a link is nobody's: its token is all that is known",
    ("worker_marks", "worker"): "see TENANTLESS",
    ("job_looks", "single"): "its one row",
}
#: Definer functions that the owner of the tables must own, since they are DDL.
OWNERS_FUNCTIONS = {"ensure_partitions", "retire_partitions"}
#: A killed function must not keep its locks, and nobody waits for ever.
APP_TIMEOUTS = {
    "idle_in_transaction_session_timeout": "5s",
    "lock_timeout": "2s",
    "statement_timeout": "3s",
}

_TABLES = """
select c.oid, c.relname, c.relkind, c.relispartition, c.relrowsecurity, c.relforcerowsecurity,
    coalesce((select p.relname from pg_partition_ancestors(c.oid) as a
        join pg_class as p on p.oid = a.relid where not p.relispartition), c.relname) as root
from pg_class as c
where c.relnamespace = 'messaging'::regnamespace and c.relkind in ('r', 'p', 'f')
order by c.relname
"""


@dataclass(frozen=True, slots=True)
class Table:
    """One table or partition; `root` is the partitioned table it hangs from, or itself."""

    oid: int
    name: str
    kind: str
    is_partition: bool
    row_security: bool
    forced: bool
    root: str

    @property
    def tenant_column(self) -> str:
        return "id" if self.root == "tenants" else "tenant_id"


def tables(connection: Superuser) -> list[Table]:
    return [Table(*row) for row in connection.execute(_TABLES)]


def names(connection: Superuser, query: str, *parameters: Any) -> list[str]:
    """Run a query whose first column names what is wrong."""
    return [str(row[0]) for row in connection.execute(query, parameters)]


# ------------------------------------------------------------------------------------ row security


def row_security_is_forced(connection: Superuser) -> list[str]:
    return [
        f"{table.name}: row-level security is not enabled and forced"
        for table in tables(connection)
        if table.root not in UNGUARDED and not (table.row_security and table.forced)
    ]


def every_table_has_its_tenant(connection: Superuser) -> list[str]:
    return names(
        connection,
        """
        select c.relname || ': no column tenant_id uuid not null'
        from pg_class as c
        where c.relnamespace = 'messaging'::regnamespace and c.relkind in ('r', 'p')
            and c.relname <> all (%s)
            and not exists (select from pg_attribute as a where a.attrelid = c.oid
                and a.attname = 'tenant_id' and a.atttypid = 'uuid'::regtype and a.attnotnull)
        order by 1
        """,
        list(TENANTLESS),
    )


def the_tenant_policy_is_the_only_way(connection: Superuser) -> list[str]:
    """One policy `tenant` with USING and WITH CHECK for everyone; else only `door`, for door."""
    found: dict[int, list[tuple[Any, ...]]] = {}
    for row in connection.execute(
        """
        select p.polrelid, p.polname, p.polcmd::text, p.polpermissive,
            p.polroles = array['door'::regrole::oid], p.polroles = array[0::oid],
            pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
        from pg_policy as p
        """
    ):
        found.setdefault(row[0], []).append(row[1:])
    wrong = []
    for table in tables(connection):
        if table.root in UNGUARDED:
            continue
        expression = (
            f"({table.tenant_column} = (NULLIF(current_setting("
            "'switchboard.tenant_id'::text, true), ''::text))::uuid)"
        )
        right = False
        for name, command, permissive, for_door, for_all, using, check in found.get(table.oid, []):
            if name == "tenant" and (command, permissive, for_all) == ("*", True, True):
                right = using == check == expression
            elif not (name == "door" and for_door):
                wrong.append(f"{table.name}: policy {name} opens it to others than door")
        if not right:
            wrong.append(
                f"{table.name}: no policy `tenant` with USING and WITH CHECK on its tenant"
            )
    return wrong


def views_ask_as_the_caller(connection: Superuser) -> list[str]:
    return names(
        connection,
        """
        select c.relname || ': a view reads as its owner unless security_invoker is true'
        from pg_class as c
        where c.relnamespace = 'messaging'::regnamespace and c.relkind in ('v', 'm')
            and not coalesce('security_invoker=true' = any (c.reloptions), false)
        order by 1
        """,
    )


# ------------------------------------------------------------------------------------------- keys


def unique_keys_contain_the_tenant(connection: Superuser) -> list[str]:
    roots = {table.oid: table.root for table in tables(connection)}
    wrong = []
    for oid, name, columns in connection.execute(
        """
        select i.indrelid, i.indexrelid::regclass::text,
            array(select pg_get_indexdef(i.indexrelid, k, true)
                from generate_series(1, i.indnkeyatts) as k)
        from pg_index as i where i.indisunique
        """
    ):
        root = roots.get(oid)
        if root is None or "tenant_id" in columns or (root, ",".join(columns)) in GLOBAL_KEYS:
            continue
        wrong.append(f"{name} on {root}: unique over {columns}, without the tenant")
    return wrong


_FOREIGN_KEYS = """
select k.conname, k.conrelid, k.confrelid, f.relkind, f.relispartition,
    array(select a.attname::text from unnest(k.conkey) with ordinality as u(n, o)
        join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = u.n order by u.o),
    array(select a.attname::text from unnest(k.confkey) with ordinality as u(n, o)
        join pg_attribute as a on a.attrelid = k.confrelid and a.attnum = u.n order by u.o)
from pg_constraint as k join pg_class as f on f.oid = k.confrelid
where k.contype = 'f' and k.connamespace = 'messaging'::regnamespace
order by k.conname
"""


def foreign_keys_stay_in_the_tenant(connection: Superuser) -> list[str]:
    known = {table.oid: table for table in tables(connection)}
    wrong = []
    for name, child, parent, _, _, here, there in connection.execute(_FOREIGN_KEYS):
        tenant = known[parent].tenant_column
        if ("tenant_id", tenant) not in zip(here, there, strict=True):
            wrong.append(f"{name} on {known[child].name}: does not carry the tenant")
    return wrong


def nothing_refers_to_a_partitioned_table(connection: Superuser) -> list[str]:
    return [
        f"{name}: refers to a partitioned table, whose months are dropped"
        for name, _, _, kind, is_partition, _, _ in connection.execute(_FOREIGN_KEYS)
        if kind == "p" or is_partition
    ]


# ---------------------------------------------------------------------------------------- grants


def app_reaches_no_partition(connection: Superuser) -> list[str]:
    return names(
        connection,
        """
        select distinct c.relname || ': ' || p.privilege || ' reaches a partition directly'
        from pg_class as c
        cross join unnest(array['select', 'insert', 'update', 'references']) as p(privilege)
        where c.relnamespace = 'messaging'::regnamespace and c.relispartition
            and c.relkind in ('r', 'p')
            and (has_any_column_privilege('app', c.oid, p.privilege)
                or has_table_privilege('app', c.oid, 'delete'))
        order by 1
        """,
    )


def app_may_not_get_round_row_security(connection: Superuser) -> list[str]:
    """TRUNCATE and foreign-key checks ignore policies; a trigger of app's would run as others."""
    return names(
        connection,
        """
        select c.relname || ': app has ' || p.privilege
        from pg_class as c
        cross join unnest(array['truncate', 'references', 'trigger']) as p(privilege)
        where c.relnamespace = 'messaging'::regnamespace and c.relkind in ('r', 'p')
            and has_table_privilege('app', c.oid, p.privilege)
        order by 1
        """,
    )


def nothing_is_granted_to_everyone(connection: Superuser) -> list[str]:
    return names(
        connection,
        """
        select c.relname || ': granted to public'
        from pg_class as c cross join lateral aclexplode(c.relacl) as g
        where c.relnamespace = 'messaging'::regnamespace and g.grantee = 0
        union
        select c.relname || '.' || a.attname || ': granted to public'
        from pg_class as c join pg_attribute as a on a.attrelid = c.oid
        cross join lateral aclexplode(a.attacl) as g
        where c.relnamespace = 'messaging'::regnamespace and g.grantee = 0
        union
        select 'schema messaging: granted to public'
        from pg_namespace as n cross join lateral aclexplode(n.nspacl) as g
        where n.nspname = 'messaging' and g.grantee = 0
        order by 1
        """,
    )


def everything_belongs_to_the_owner(connection: Superuser) -> list[str]:
    return names(
        connection,
        """
        select c.relname || ': belongs to ' || c.relowner::regrole
        from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = 'messaging' and c.relowner <> n.nspowner and c.relkind in ('r', 'p', 'v')
        order by 1
        """,
    )


# -------------------------------------------------------------------------------- definer functions


def definer_functions_are_pinned(connection: Superuser) -> list[str]:
    return names(
        connection,
        """
        select p.proname || ': runs as its owner with a search_path that the caller chooses'
        from pg_proc as p
        where p.pronamespace = 'messaging'::regnamespace and p.prosecdef
            and not coalesce('search_path=pg_catalog, pg_temp' = any (p.proconfig), false)
        order by 1
        """,
    )


def definer_functions_belong_to_door(connection: Superuser) -> list[str]:
    return names(
        connection,
        """
        select p.proname || ': a definer function of ' || p.proowner::regrole
        from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
        where n.nspname = 'messaging' and p.prosecdef and p.proowner <>
            case when p.proname = any (%s) then n.nspowner else 'door'::regrole end
        order by 1
        """,
        list(OWNERS_FUNCTIONS),
    )


def definer_functions_are_not_for_everyone(connection: Superuser) -> list[str]:
    return names(
        connection,
        """
        select distinct p.proname || ': a definer function that everyone may execute'
        from pg_proc as p
        cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as g
        where p.pronamespace = 'messaging'::regnamespace and p.prosecdef and g.grantee = 0
        order by 1
        """,
    )


def door_reaches_only_what_its_functions_use(connection: Superuser) -> list[str]:
    """Policies and grants of door stand on tables that a function of door's names."""
    bodies = "\n".join(
        names(
            connection,
            "select pg_get_functiondef(p.oid) from pg_proc as p "
            "where p.proowner = 'door'::regrole and p.prokind = 'f'",
        )
    )
    used = set(re.findall(r"messaging\.(\w+)", bodies))
    opened = names(
        connection,
        """
        select c.relname from pg_policy as p join pg_class as c on c.oid = p.polrelid
        where 'door'::regrole = any (p.polroles)
        union
        select c.relname from pg_class as c cross join lateral aclexplode(c.relacl) as g
        where c.relnamespace = 'messaging'::regnamespace and g.grantee = 'door'::regrole
        order by 1
        """,
    )
    return [f"{table}: open to door, whose functions do not use it" for table in opened
            if table not in used]  # fmt: skip


# ---------------------------------------------------------------------------------------- roles


def roles_have_no_more_than_they_need(connection: Superuser) -> list[str]:
    return names(
        connection,
        """
        select r.rolname || ': may do too much'
        from pg_roles as r
        where r.rolname in ('app', 'door', (select n.nspowner::regrole::text from pg_namespace as n
                where n.nspname = 'messaging'))
            and (r.rolsuper or r.rolbypassrls or r.rolreplication
                or (r.rolname in ('app', 'door') and (r.rolcreaterole or r.rolcreatedb))
                or (r.rolname = 'door' and r.rolcanlogin)
                or (r.rolname in ('app', 'door')
                    and has_schema_privilege(r.rolname, 'messaging', 'create')))
        union
        select m.member::regrole || ': is a member of ' || m.roleid::regrole
        from pg_auth_members as m
        where m.member = 'app'::regrole
            or (m.roleid = 'door'::regrole and m.member::regrole::text <> all (
                select n.nspowner::regrole::text from pg_namespace as n
                where n.nspname = 'messaging')
                -- The bootstrap superuser grants, and stands in the list as grantor's member.
                and not (select s.rolsuper from pg_roles as s where s.oid = m.member))
        order by 1
        """,
    )


def app_never_waits_for_ever(connection: Superuser) -> list[str]:
    row = connection.execute("select rolconfig from pg_roles where rolname = 'app'").fetchone()
    assert row is not None
    settings = dict(item.split("=", 1) for item in row[0] or [])
    return [
        f"app: {name} is {settings.get(name)}, not {value}"
        for name, value in APP_TIMEOUTS.items()
        if settings.get(name) != value
    ]


# ------------------------------------------------------------------------------------- partitions


def default_partitions_are_empty(connection: Superuser) -> list[str]:
    found = names(
        connection,
        "select partdefid::regclass::text from pg_partitioned_table as p "
        "join pg_class as c on c.oid = p.partrelid "
        "where c.relnamespace = 'messaging'::regnamespace and partdefid <> 0 order by 1",
    )
    return [
        f"{name}: a default partition holds rows"
        for name in found
        if connection.execute(f"select exists (select from {name})").fetchone() == (True,)
    ]


def months_are_made_ahead(connection: Superuser) -> list[str]:
    """What arrives now and next month has a partition, so that a late job costs nothing."""
    found = {
        (parent, partition)
        for parent, partition in connection.execute(
            """
            select p.relname, c.relname from pg_inherits as i
            join pg_class as p on p.oid = i.inhparent join pg_class as c on c.oid = i.inhrelid
            where p.relnamespace = 'messaging'::regnamespace
            """
        )
    }
    months = names(
        connection,
        "select to_char(clock_timestamp() at time zone 'UTC' + n * interval '1 month', '_YYYY_MM')"
        " from generate_series(0, 1) as n",
    )
    parents = [table.name for table in tables(connection) if table.kind == "p"]
    return [
        f"{parent}: no partition {parent}{month}"
        for parent in parents
        for month in months
        if (parent, parent + month) not in found
    ]


def exemptions_are_of_this_world(connection: Superuser) -> list[str]:
    existing = {table.name for table in tables(connection)}
    keys = {
        (table, ",".join(columns))
        for table, columns in connection.execute(
            """
            select c.relname, array(select pg_get_indexdef(i.indexrelid, k, true)
                from generate_series(1, i.indnkeyatts) as k)
            from pg_index as i join pg_class as c on c.oid = i.indrelid
            where i.indisunique and c.relnamespace = 'messaging'::regnamespace
            """
        )
    }
    return [f"{name}: exempted, but there is no such table" for name in
            (TENANTLESS.keys() | UNGUARDED.keys()) - existing] + [
        f"{key}: exempted, but there is no such key" for key in GLOBAL_KEYS.keys() - keys
    ]  # fmt: skip


#: Each check with an object that breaks its rule and nothing else of importance.
CHECKS: list[tuple[Check, str]] = [
    (row_security_is_forced, "create table messaging.wrong (tenant_id uuid not null)"),
    (
        row_security_is_forced,
        (
            "create table messaging.wrong (tenant_id uuid not null);"
            "call messaging.protect('messaging.wrong', 'select');"
            "alter table messaging.wrong no force row level security"
        ),
    ),
    (
        row_security_is_forced,
        (
            "create table messaging.wrong partition of messaging.delivery_logs"
            " for values from ('ffffffff-0000-0000-0000-000000000000') to"
            " ('ffffffff-ffff-0000-0000-000000000000')"
        ),
    ),
    (every_table_has_its_tenant, "create table messaging.wrong (id uuid primary key)"),
    (every_table_has_its_tenant, "create table messaging.wrong (tenant_id uuid)"),
    (every_table_has_its_tenant, "create table messaging.wrong (tenant_id text not null)"),
    (
        the_tenant_policy_is_the_only_way,
        (
            "create table messaging.wrong (tenant_id uuid not null);"
            "alter table messaging.wrong enable row level security;"
            "create policy tenant on messaging.wrong using (true) with check (true)"
        ),
    ),
    (
        the_tenant_policy_is_the_only_way,
        (
            "create table messaging.wrong (tenant_id uuid not null);"
            "alter table messaging.wrong enable row level security;"
            "create policy tenant on messaging.wrong using (tenant_id ="
            " nullif(current_setting('switchboard.tenant_id', true), '')::uuid)"
        ),
    ),
    (
        the_tenant_policy_is_the_only_way,
        "create policy wrong on messaging.contacts for select to app using (true)",
    ),
    (
        the_tenant_policy_is_the_only_way,
        "drop policy tenant on messaging.whatsapp_messages_default",
    ),
    (views_ask_as_the_caller, "create view messaging.wrong as select * from messaging.contacts"),
    (
        unique_keys_contain_the_tenant,
        "create table messaging.wrong (tenant_id uuid not null, id uuid primary key)",
    ),
    (
        unique_keys_contain_the_tenant,
        "create unique index wrong on messaging.contacts (phone_number) where email is null",
    ),
    (
        foreign_keys_stay_in_the_tenant,
        (
            "alter table messaging.whatsapp_accounts add constraint wrong foreign key (waba_id)"
            " references messaging.whatsapp_business_accounts (waba_id)"
        ),
    ),
    (
        nothing_refers_to_a_partitioned_table,
        (
            "alter table messaging.media add constraint wrong foreign key (tenant_id, message_id)"
            " references messaging.whatsapp_messages (tenant_id, id)"
        ),
    ),
    (app_reaches_no_partition, "grant select on messaging.delivery_logs_default to app"),
    (app_reaches_no_partition, "grant update (status) on messaging.delivery_logs_default to app"),
    (app_may_not_get_round_row_security, "grant truncate on messaging.contacts to app"),
    (nothing_is_granted_to_everyone, "grant select on messaging.contacts to public"),
    (nothing_is_granted_to_everyone, "grant select (email) on messaging.contacts to public"),
    (everything_belongs_to_the_owner, "alter table messaging.contacts owner to door"),
    (
        definer_functions_are_pinned,
        "create function messaging.wrong() returns int language sql security definer return 1",
    ),
    (
        definer_functions_are_pinned,
        (
            "create function messaging.wrong() returns int language sql security definer"
            " set search_path = messaging, pg_temp return 1"
        ),
    ),
    (
        definer_functions_belong_to_door,
        (
            "create function messaging.wrong() returns int language sql security definer"
            " set search_path = pg_catalog, pg_temp return 1"
        ),
    ),
    (
        definer_functions_belong_to_door,
        "alter function messaging.ensure_partitions(timestamptz) owner to door",
    ),
    (
        definer_functions_are_not_for_everyone,
        (
            "create function messaging.wrong() returns int language sql security definer"
            " set search_path = pg_catalog, pg_temp return 1"
        ),
    ),
    (
        door_reaches_only_what_its_functions_use,
        "create policy door on messaging.contacts to door using (true)",
    ),
    (door_reaches_only_what_its_functions_use, "grant select on messaging.media to door"),
    (app_never_waits_for_ever, "alter role app reset lock_timeout"),
    (roles_have_no_more_than_they_need, "alter role app bypassrls"),
    (roles_have_no_more_than_they_need, "alter role door login"),
    (roles_have_no_more_than_they_need, "grant door to app"),
    (roles_have_no_more_than_they_need, "grant create on schema messaging to app"),
    (
        default_partitions_are_empty,
        (
            "set local session_replication_role = replica;"
            "insert into messaging.delivery_logs_default"
            " (tenant_id, id, channel, recipient, status)"
            " values (gen_random_uuid(), gen_random_uuid(), 'sms', 'x', 'sent')"
        ),
    ),
    (
        months_are_made_ahead,
        (
            "do $$ begin execute 'drop table messaging.message_status_events'"
            " || to_char(now() at time zone 'UTC', '_YYYY_MM'); end $$"
        ),
    ),
    (exemptions_are_of_this_world, "drop table messaging.worker_marks cascade"),
    (
        exemptions_are_of_this_world,
        "alter table messaging.tenants drop constraint tenants_slug_key",
    ),
]


BY_NAME = {getattr(check, "__name__", str(check)): check for check, _ in CHECKS}


@pytest.fixture
def superuser(database: ClonedDatabase) -> Iterator[Superuser]:
    """A connection that sees everything, in a transaction that is rolled back: roles are shared."""
    with psycopg.connect(database.superuser_url) as connection:
        # Names in function bodies are printed with their schema.
        connection.execute("set local search_path = pg_catalog, pg_temp")
        yield connection
        connection.rollback()


@pytest.mark.parametrize(
    "check", [pytest.param(check, id=name) for name, check in sorted(BY_NAME.items())]
)
def test_the_schema_keeps(superuser: Superuser, check: Check) -> None:
    assert check(superuser) == []


@pytest.mark.parametrize(("check", "wrong"), CHECKS)
def test_the_check_notices(superuser: Superuser, check: Check, wrong: str) -> None:
    before = check(superuser)
    superuser.execute(wrong)
    assert set(check(superuser)) - set(before), wrong
