-- What the sending policy looks at, and Meta's limits.

alter table messaging.whatsapp_accounts
    -- Nothing goes out before; infinity: until somebody mends it. Ours, after what Meta answered.
    add column sends_paused_until timestamptz,
    add column sends_paused_reason text check (length(sends_paused_reason) <= 200),
    -- Shared with the WhatsApp Business app: 20 messages a second.
    add column is_coexistence boolean not null default false;

alter table messaging.whatsapp_business_accounts
    add column sends_paused_until timestamptz,
    add column sends_paused_reason text check (length(sends_paused_reason) <= 200);

-- How many marketing messages a person may get in so many hours; null: no cap.
alter table messaging.tenants
    add column marketing_cap smallint check (marketing_cap between 1 and 1000),
    add column marketing_cap_hours smallint not null default 168
        check (marketing_cap_hours between 1 and 8760);

alter table messaging.contacts
    -- Messages in a row that could not be delivered to the person (Meta's 131026), and the last one's time.
    add column unreachable_count smallint not null default 0 check (unreachable_count >= 0),
    add column unreachable_at timestamptz;

-- What a person wants to be told of; null: never decided. Who has no row has decided nothing.
create table messaging.notification_preferences (
    tenant_id uuid not null,
    contact_id uuid not null,
    trip_reminders boolean,
    booking_confirmations boolean,
    itinerary_updates boolean,
    budget_alerts boolean,
    ai_suggestions boolean,
    collaborator_updates boolean,
    marketing boolean,
    quiet_hours_enabled boolean not null default false,
    -- In the person's zone; an end before the start is on the next day, the same time is no hours.
    quiet_hours_start time,
    quiet_hours_end time,
    -- Null: contacts.timezone, else that of the number's country.
    timezone text check (length(timezone) between 1 and 64),
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, contact_id),
    check (not quiet_hours_enabled
        or (quiet_hours_start is not null and quiet_hours_end is not null)),
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
        on delete cascade
);
call messaging.protect('messaging.notification_preferences', 'select, insert, update, delete');
create trigger touch before update on messaging.notification_preferences
    for each row execute function messaging.touch();
