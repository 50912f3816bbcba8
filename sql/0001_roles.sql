-- Roles, schema and the two helpers that every later migration uses.
-- Runs as a plain owner (CREATEROLE, no superuser, no BYPASSRLS), as RDS's master user is.

-- The functions' role. Its password is set by the migrate step, never here.
do $$
begin
    if not exists (select from pg_roles where rolname = 'app') then
        create role app nologin nosuperuser nocreatedb nocreaterole noinherit;
    end if;
    if not exists (select from pg_roles where rolname = 'door') then
        create role door nologin nosuperuser nocreatedb nocreaterole;
    end if;
end
$$;
-- `door` owns the definer functions that look across tenants. The owner acts for it in migrations by
-- `set role door` and not otherwise: whoever inherits its rights sees what its policies show, which
-- would undo FORCE. (PostgreSQL 15 knows no such grant; there the owner inherits.)
do $$
begin
    if current_setting('server_version_num')::integer >= 160000 then
        execute 'grant door to current_user with inherit false, set true';
    else
        grant door to current_user;
    end if;
end
$$;

-- A killed Lambda must not keep its locks, and nobody waits for ever. Jobs raise the statement
-- timeout locally.
alter role app set idle_in_transaction_session_timeout = '5s';
alter role app set lock_timeout = '2s';
alter role app set statement_timeout = '3s';
alter role app set search_path = 'messaging', 'pg_catalog';
alter role app set timezone = 'UTC';
-- Statements here touch few rows: compiling one costs more than running it.
alter role app set jit = off;

create schema messaging;
grant usage on schema messaging to app, door;

-- The smallest version-7 UUID of an instant: the bound of a monthly partition.
create function messaging.uuid_at(at timestamptz) returns uuid
    language sql immutable strict parallel safe
    return (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;

-- The tenant of the open transaction. Unset is NULL, and '' after a transaction that set it
-- locally: both see nothing.
create function messaging.current_tenant() returns uuid
    language sql stable parallel safe
    return nullif(current_setting('switchboard.tenant_id', true), '')::uuid;

-- Row-level security, forced, with the one tenant policy, and the app's grants (none where
-- `privileges` is null: a partition is reached through its parent alone).
create procedure messaging.protect(target regclass, privileges text, tenant_column text default 'tenant_id')
    language plpgsql as $$
begin
    execute format('alter table %s enable row level security', target);
    execute format('alter table %s force row level security', target);
    execute format(
        'create policy tenant on %s using (%I = nullif(current_setting(''switchboard.tenant_id'', true), '''')::uuid)'
        ' with check (%I = nullif(current_setting(''switchboard.tenant_id'', true), '''')::uuid)',
        target, tenant_column, tenant_column);
    if privileges is not null then
        execute format('grant %s on %s to app', privileges, target);
    end if;
end
$$;

-- Keeps updated_at true on tables that people and services change. The hot tables (contacts,
-- conversations, messages, attempts, jobs) are written by named statements only, which set it.
create function messaging.touch() returns trigger
    language plpgsql as $$
begin
    new.updated_at := clock_timestamp();
    return new;
end
$$;
