-- Facts that internal services write under their own ids, for automations to look at.

-- Whether a time can be told in this zone: what Python's zones know and these do not would fail later,
-- where a due time is worked out.
create function messaging.knows_zone(p_name text) returns boolean
    language plpgsql stable parallel restricted as $$
begin
    return '2000-01-01'::timestamp at time zone p_name is not null;
exception when invalid_parameter_value then
    return false;
end
$$;

create table messaging.trips (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    id uuid not null default gen_random_uuid(),
    -- The service's own id.
    external_id text collate "C" not null check (length(external_id) between 1 and 200),
    contact_id uuid not null,
    title text check (length(title) <= 500),
    destination text check (length(destination) <= 500),
    status text not null default 'planned'
        check (status in ('planned', 'active', 'completed', 'cancelled')),
    -- IANA name: dates and times below are local there.
    timezone text not null default 'UTC' check (length(timezone) between 1 and 64),
    start_date date,
    start_time time,
    end_date date,
    end_time time,
    -- In the currency's minor unit (cents), ISO 4217.
    budget_minor bigint check (budget_minor >= 0),
    spent_minor bigint not null default 0 check (spent_minor >= 0),
    currency text check (currency ~ '^[A-Z]{3}$'),
    attributes jsonb not null default '{}' check (jsonb_typeof(attributes) = 'object'),
    -- When it was true at the service; an older one changes nothing.
    as_of timestamptz not null,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    unique (tenant_id, external_id),
    check (end_date >= start_date),
    check (start_time is null or start_date is not null),
    check (end_time is null or end_date is not null),
    check (budget_minor is null or currency is not null),
    check (spent_minor = 0 or currency is not null),
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
        on delete cascade
-- Sent again and again: a new as_of finds room beside the old one and touches no index.
) with (fillfactor = 85);
create index trips_contact on messaging.trips (tenant_id, contact_id, created_at, id);
create index trips_status on messaging.trips (tenant_id, status, created_at, id);
create index trips_recent on messaging.trips (tenant_id, created_at, id);
call messaging.protect('messaging.trips', 'select, insert, update, delete');

create table messaging.bookings (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    id uuid not null default gen_random_uuid(),
    external_id text collate "C" not null check (length(external_id) between 1 and 200),
    contact_id uuid not null,
    trip_id uuid,
    -- The service's word: flight, hotel, table.
    kind text check (length(kind) between 1 and 100),
    title text check (length(title) <= 500),
    status text not null default 'pending'
        check (status in ('pending', 'confirmed', 'completed', 'cancelled')),
    -- Since when it has been pending without a break, by the service's as_of; null: it is not.
    pending_since timestamptz,
    starts_at timestamptz,
    timezone text not null default 'UTC' check (length(timezone) between 1 and 64),
    amount_minor bigint check (amount_minor >= 0),
    currency text check (currency ~ '^[A-Z]{3}$'),
    attributes jsonb not null default '{}' check (jsonb_typeof(attributes) = 'object'),
    as_of timestamptz not null,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    unique (tenant_id, external_id),
    check ((status = 'pending') = (pending_since is not null)),
    check (amount_minor is null or currency is not null),
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
        on delete cascade,
    foreign key (tenant_id, trip_id) references messaging.trips (tenant_id, id)
        on delete set null (trip_id)
) with (fillfactor = 85);
create index bookings_contact on messaging.bookings (tenant_id, contact_id, created_at, id);
create index bookings_status on messaging.bookings (tenant_id, status, created_at, id);
create index bookings_trip on messaging.bookings (tenant_id, trip_id, created_at, id)
    where trip_id is not null;
create index bookings_recent on messaging.bookings (tenant_id, created_at, id);
call messaging.protect('messaging.bookings', 'select, insert, update, delete');
