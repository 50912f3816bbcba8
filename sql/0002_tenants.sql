-- Tenants, their staff, keys, Meta apps, business accounts and numbers, and the doors that find a
-- tenant before one is known.

create table messaging.tenants (
    id uuid primary key default gen_random_uuid(),
    slug text not null unique check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name text not null check (length(name) between 1 and 200),
    is_active boolean not null default true,
    -- The stop switch: while set, nothing of this tenant is sent. Lifting it is one update.
    sends_stopped_at timestamptz,
    settings jsonb not null default '{}',
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp()
);
call messaging.protect('messaging.tenants', 'select', 'id');
create trigger touch before update on messaging.tenants
    for each row execute function messaging.touch();

-- What belongs to nobody yet: events of unknown numbers, bodies that cannot be read.
select set_config('switchboard.tenant_id', '00000000-0000-0000-0000-000000000000', true);
insert into messaging.tenants (id, slug, name)
    values ('00000000-0000-0000-0000-000000000000', 'system', 'System');
select set_config('switchboard.tenant_id', '', true);

create table messaging.users (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    id uuid not null default gen_random_uuid(),
    email text not null check (email = lower(email) and email like '%_@_%'),
    full_name text not null check (length(full_name) between 1 and 200),
    role text not null check (role in ('admin', 'manager', 'agent')),
    is_active boolean not null default true,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    unique (tenant_id, email)
);
call messaging.protect('messaging.users', 'select, insert, update, delete');
create trigger touch before update on messaging.users
    for each row execute function messaging.touch();

create table messaging.api_keys (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    id uuid not null default gen_random_uuid(),
    name text not null check (length(name) between 1 and 100),
    -- sha256 of the whole key: the key itself has 256 random bits, so no slow hash is needed.
    key_hash bytea not null unique check (length(key_hash) = 32),
    -- The first characters, for people to tell keys apart.
    key_prefix text not null,
    scopes text[] not null default '{}',
    expires_at timestamptz,
    revoked_at timestamptz,
    created_by uuid,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    foreign key (tenant_id, created_by) references messaging.users (tenant_id, id)
        on delete set null (created_by)
);
call messaging.protect('messaging.api_keys', 'select, insert, update');

-- A tenant's own Meta app: its webhooks come to /webhook/{app_id}.
create table messaging.meta_apps (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    app_id text not null unique check (app_id ~ '^[0-9]{1,32}$'),
    name text not null default '',
    -- Sealed by KMS with the encryption context {tenant_id, purpose}.
    app_secret_sealed bytea not null,
    app_secret_previous_sealed bytea,
    verify_token_sealed bytea not null,
    is_active boolean not null default true,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, app_id)
);
call messaging.protect('messaging.meta_apps', 'select, insert, update, delete');
create trigger touch before update on messaging.meta_apps
    for each row execute function messaging.touch();

create table messaging.whatsapp_business_accounts (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    waba_id text not null unique check (length(waba_id) between 1 and 50),
    name text,
    portfolio_id text,
    -- Null: the operator's app.
    app_id text,
    review_status text,
    ban_state text,
    ban_date text,
    restrictions jsonb not null default '[]',
    limits jsonb not null default '{}',
    is_active boolean not null default true,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, waba_id),
    foreign key (tenant_id, app_id) references messaging.meta_apps (tenant_id, app_id)
);
call messaging.protect('messaging.whatsapp_business_accounts', 'select, insert, update, delete');
create trigger touch before update on messaging.whatsapp_business_accounts
    for each row execute function messaging.touch();

-- A business number.
create table messaging.whatsapp_accounts (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    id uuid not null default gen_random_uuid(),
    waba_id text not null,
    phone_number_id text not null unique check (length(phone_number_id) between 1 and 50),
    phone_number text not null check (phone_number ~ '^\+[1-9]\d{6,14}$'),
    display_name text not null check (length(display_name) between 1 and 100),
    verified_name text,
    -- Meta's words, so no CHECK: GREEN, YELLOW, RED, UNKNOWN; TIER_250 … TIER_UNLIMITED; STANDARD, HIGH.
    quality_rating text not null default 'UNKNOWN',
    messaging_limit text,
    throughput text not null default 'STANDARD',
    -- The callback override that Meta holds for this number, if any.
    webhook_url text check (length(webhook_url) <= 500),
    webhook_verify_token_sealed bytea,
    -- Sealed by KMS with the encryption context {tenant_id, purpose: access_token}.
    access_token_sealed bytea,
    token_expires_at timestamptz,
    status text not null default 'pending'
        check (status in ('pending', 'connected', 'disconnected', 'suspended', 'error')),
    is_active boolean not null default true,
    -- The stop switch of one number.
    sends_stopped_at timestamptz,
    auto_mark_read boolean not null default false,
    -- The emoji that answers each inbound message; null: none.
    acknowledging_reaction text check (length(acknowledging_reaction) between 1 and 16),
    -- Whether an undetermined utility message or in-window reply may be sent once more.
    resend_once boolean not null default false,
    last_synced_at timestamptz,
    created_by uuid,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    unique (tenant_id, phone_number),
    foreign key (tenant_id, waba_id)
        references messaging.whatsapp_business_accounts (tenant_id, waba_id) on delete cascade,
    foreign key (tenant_id, created_by) references messaging.users (tenant_id, id)
        on delete set null (created_by)
);
create index whatsapp_accounts_waba on messaging.whatsapp_accounts (tenant_id, waba_id);
call messaging.protect('messaging.whatsapp_accounts', 'select, insert, update, delete');
create trigger touch before update on messaging.whatsapp_accounts
    for each row execute function messaging.touch();
-- Whether a number may send at all: neither it nor its business account is disabled.
create function messaging.is_number_active(number messaging.whatsapp_accounts) returns boolean
    language sql stable
    begin atomic
    select number.is_active and w.is_active from messaging.whatsapp_business_accounts as w
    where w.tenant_id = number.tenant_id and w.waba_id = number.waba_id;
    end;

comment on table messaging.whatsapp_accounts is 'business numbers connected to WhatsApp';

-- The doors below answer who an id belongs to, before any tenant is known. They see their tables
-- through policies of the role that owns them, and give away no more than these columns.
create policy door on messaging.tenants for select to door using (true);
create policy door on messaging.meta_apps for select to door using (true);
create policy door on messaging.whatsapp_business_accounts for select to door using (true);
create policy door on messaging.whatsapp_accounts for select to door using (true);
create policy door on messaging.api_keys for select to door using (true);
grant select on messaging.tenants, messaging.meta_apps, messaging.whatsapp_business_accounts,
    messaging.whatsapp_accounts, messaging.api_keys to door;

create function messaging.resolve_app(wanted text)
    returns table (tenant_id uuid, app_secret bytea, app_secret_previous bytea, verify_token bytea)
    language sql stable security definer set search_path = pg_catalog, pg_temp
    begin atomic
    select a.tenant_id, a.app_secret_sealed, a.app_secret_previous_sealed, a.verify_token_sealed
    from messaging.meta_apps as a join messaging.tenants as t on t.id = a.tenant_id
    where a.app_id = wanted and a.is_active and t.is_active;
    end;

create function messaging.resolve_number(wanted text)
    returns table (tenant_id uuid, account_id uuid, waba_id text, app_id text)
    language sql stable security definer set search_path = pg_catalog, pg_temp
    begin atomic
    select n.tenant_id, n.id, n.waba_id, w.app_id
    from messaging.whatsapp_accounts as n
    join messaging.whatsapp_business_accounts as w using (tenant_id, waba_id)
    where n.phone_number_id = wanted;
    end;

create function messaging.resolve_waba(wanted text)
    returns table (tenant_id uuid, app_id text)
    language sql stable security definer set search_path = pg_catalog, pg_temp
    begin atomic
    select w.tenant_id, w.app_id from messaging.whatsapp_business_accounts as w
    where w.waba_id = wanted;
    end;

create function messaging.resolve_api_key(hash bytea)
    returns table (tenant_id uuid, key_id uuid, key_hash bytea, scopes text[])
    language sql stable security definer set search_path = pg_catalog, pg_temp
    begin atomic
    select k.tenant_id, k.id, k.key_hash, k.scopes
    from messaging.api_keys as k join messaging.tenants as t on t.id = k.tenant_id
    where k.key_hash = hash and k.revoked_at is null and t.is_active
        and (k.expires_at is null or k.expires_at > clock_timestamp());
    end;

-- For the command line, where people name a tenant by its slug or id.
create function messaging.resolve_tenant(wanted text) returns table (tenant_id uuid)
    language sql stable security definer set search_path = pg_catalog, pg_temp
    begin atomic
    select t.id from messaging.tenants as t where t.slug = wanted or t.id::text = wanted;
    end;

revoke execute on function messaging.resolve_app(text), messaging.resolve_number(text),
    messaging.resolve_waba(text), messaging.resolve_api_key(bytea), messaging.resolve_tenant(text)
    from public;
grant execute on function messaging.resolve_app(text), messaging.resolve_number(text),
    messaging.resolve_waba(text), messaging.resolve_api_key(bytea), messaging.resolve_tenant(text)
    to app;
grant create on schema messaging to door;
alter function messaging.resolve_tenant(text) owner to door;
alter function messaging.resolve_app(text) owner to door;
alter function messaging.resolve_number(text) owner to door;
alter function messaging.resolve_waba(text) owner to door;
alter function messaging.resolve_api_key(bytea) owner to door;
revoke create on schema messaging from door;
