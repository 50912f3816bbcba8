-- Messages, the keys that decide duplicates, what became of each message, and monthly partitions.

-- The status ladder as one number, so that "only upward, failed lifted by delivered" is a plain <.
-- Null: not a rung (deleted, warning, a word of tomorrow): kept as an event, moves nothing.
-- Not strict: a strict function with a CASE is never inlined.
create function messaging.status_rank(status text) returns smallint
    language sql immutable parallel safe
    return (case status
        when 'pending' then 10 when 'sending' then 20 when 'unconfirmed' then 30
        when 'undetermined' then 40 when 'accepted' then 50 when 'sent' then 60
        when 'failed' then 65 when 'delivered' then 70 when 'read' then 80 when 'played' then 90
        when 'received' then 10 when 'denied' then 100 when 'expired' then 100
        when 'cancelled' then 100 end)::smallint;

-- Decides duplicates; finds the row for statuses, replies, reactions, edits and revokes. Narrow and
-- unpartitioned; outlives its message by 8 days, so that no redelivery brings it back. A null
-- message_id: seen in a status, its message not (yet) here.
create table messaging.message_keys (
    account_id uuid not null,
    wa_message_id text collate "C" not null check (length(wa_message_id) between 1 and 1000),
    tenant_id uuid not null,
    message_id uuid,
    created_at timestamptz not null default clock_timestamp(),
    primary key (account_id, wa_message_id),
    foreign key (tenant_id, account_id) references messaging.whatsapp_accounts (tenant_id, id)
        on delete cascade
);
call messaging.protect('messaging.message_keys', 'select, insert, update, delete');

create table messaging.whatsapp_messages (
    tenant_id uuid not null,
    -- Version 7: carries the time of arrival here, which chooses the partition.
    id uuid not null,
    account_id uuid not null,
    conversation_id uuid not null,
    contact_id uuid,
    wa_message_id text collate "C",
    wa_context_id text collate "C",
    direction text not null check (direction in ('inbound', 'outbound')),
    origin text not null check (origin in ('person', 'api', 'chatbot', 'ai_agent', 'campaign',
        'automation', 'phone_app', 'history', 'web_session')),
    -- The row that caused it: a campaign, a rule run, an agent, a chatbot session.
    origin_id uuid,
    -- Meta's `type` as sent, and Meta's object of that name; of a type we do not know, the whole.
    message_type text not null,
    content jsonb not null,
    -- What else Meta said of it (referral, forwarded, identity, errors), and the caller's metadata.
    metadata jsonb not null default '{}',
    status text not null check (status in ('received', 'pending', 'sending', 'unconfirmed',
        'undetermined', 'accepted', 'sent', 'delivered', 'read', 'played', 'failed', 'denied',
        'expired', 'cancelled')),
    status_rank smallint not null,
    error_code text,
    error_message text,
    errors jsonb,
    -- Why it was sent, deferred or refused: each verdict of the policy, oldest first.
    decision jsonb,
    category text,
    notification_category text,
    urgent boolean not null default false,
    expires_at timestamptz,
    retry_count smallint not null default 0,
    subject_type text check (subject_type in ('trip', 'booking', 'rule_run')),
    subject_id uuid,
    tags text[] not null default '{}',
    is_forwarded boolean not null default false,
    lead_generated boolean not null default false,
    occurred_at timestamptz not null,
    accepted_at timestamptz,
    sent_at timestamptz,
    delivered_at timestamptz,
    read_at timestamptz,
    played_at timestamptz,
    failed_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    foreign key (tenant_id, conversation_id)
        references messaging.whatsapp_conversations (tenant_id, id) on delete cascade
) partition by range (id);
create index whatsapp_messages_thread
    on messaging.whatsapp_messages (tenant_id, conversation_id, occurred_at, wa_message_id);
call messaging.protect('messaging.whatsapp_messages', 'select, insert, update, delete');
comment on column messaging.whatsapp_messages.content is 'the object in Meta''s shape';

-- Each status webhook, once. participant: the person of a group, else ''.
create table messaging.message_status_events (
    tenant_id uuid not null,
    account_id uuid not null,
    wa_message_id text collate "C" not null,
    status text collate "C" not null,
    participant text collate "C" not null default '',
    occurred_at timestamptz not null,
    -- Meta's status object, whole.
    detail jsonb not null,
    primary key (tenant_id, account_id, wa_message_id, status, participant, occurred_at)
) partition by range (occurred_at);
call messaging.protect('messaging.message_status_events', 'select, insert, update, delete');

-- One row per finished attempt and channel.
create table messaging.delivery_logs (
    tenant_id uuid not null,
    id uuid not null,
    message_id uuid,
    contact_id uuid,
    channel text not null check (channel in ('whatsapp', 'email', 'push', 'sms')),
    recipient text not null,
    attempt smallint not null default 1,
    status text not null check (status in ('accepted', 'sent', 'delivered', 'bounced', 'failed',
        'deferred', 'unconfirmed')),
    provider_response jsonb,
    error_code text,
    error_message text,
    delivered_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id)
) partition by range (id);
create index delivery_logs_message on messaging.delivery_logs (tenant_id, message_id);
call messaging.protect('messaging.delivery_logs', 'select, insert, delete');

-- The file of a message. Fetching and storing it is a job's work.
create table messaging.media (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    account_id uuid not null,
    conversation_id uuid not null,
    message_id uuid not null,
    direction text not null check (direction in ('inbound', 'outbound')),
    media_type text not null,
    wa_media_id text,
    mime_type text,
    sha256 text,
    file_name text,
    caption text,
    size_bytes bigint check (size_bytes >= 0),
    s3_key text,
    thumbnail_s3_key text,
    status text not null default 'pending' check (status in ('pending', 'stored', 'failed')),
    -- Why it is not here: for good when failed, so far while pending.
    error_code text,
    error_message text,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    unique (tenant_id, message_id),
    foreign key (tenant_id, conversation_id)
        references messaging.whatsapp_conversations (tenant_id, id) on delete cascade
);
-- Of the messages of a conversation; deleting one looks here too.
create index media_conversation on messaging.media (tenant_id, conversation_id);
call messaging.protect('messaging.media', 'select, insert, update, delete');
create trigger touch before update on messaging.media
    for each row execute function messaging.touch();

-- What could not be processed, whole and as bytes: jsonb refuses \u0000 and lone surrogates.
create table messaging.webhook_dead_letters (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    id uuid not null default gen_random_uuid(),
    sha256 bytea not null check (length(sha256) = 32),
    body bytea not null,
    reason text not null check (length(reason) between 1 and 100),
    detail text,
    field text,
    waba_id text,
    phone_number_id text,
    -- The Meta app whose secret signed it; null: the operator's.
    app_id text,
    received_at timestamptz not null default clock_timestamp(),
    replays smallint not null default 0,
    resolved_at timestamptz,
    primary key (tenant_id, id),
    unique (tenant_id, sha256)
);
create index webhook_dead_letters_open
    on messaging.webhook_dead_letters (tenant_id, reason, received_at, id) where resolved_at is null;
create index webhook_dead_letters_received
    on messaging.webhook_dead_letters (tenant_id, received_at, id);
call messaging.protect('messaging.webhook_dead_letters', 'select, insert, update, delete');
create policy door on messaging.webhook_dead_letters to door using (true);
grant select, delete on messaging.webhook_dead_letters to door;

-- Deletes up to `p_limit` letters of all tenants: resolved ones `p_resolved` after that, open ones
-- `p_open` after they came. Returns how many. Sorted: two who delete at once must not deadlock.
create function messaging.retire_dead_letters(
    p_resolved interval, p_open interval, p_limit integer, p_now timestamptz default null
) returns integer
    language sql security definer set search_path = pg_catalog, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
    begin atomic
    with old as materialized (
        select l.tenant_id, l.id
        from messaging.tenants as t
        cross join (select coalesce(p_now, clock_timestamp()) as at) as n
        -- None is resolved before it came, so the time it came bounds both kinds.
        cross join lateral (
            select m.tenant_id, m.id from messaging.webhook_dead_letters as m
            where m.tenant_id = t.id and m.received_at < n.at - least(p_resolved, p_open)
                and case when m.resolved_at is null then m.received_at < n.at - p_open
                    else m.resolved_at < n.at - p_resolved end
            order by m.received_at, m.id limit p_limit
        ) as l
        order by l.tenant_id, l.id limit p_limit
    ), gone as (
        delete from messaging.webhook_dead_letters as d using old
        where d.tenant_id = old.tenant_id and d.id = old.id
        returning d.id
    )
    select count(*)::integer from gone;
    end;
revoke execute on function messaging.retire_dead_letters(interval, interval, integer, timestamptz)
    from public;
grant execute on function messaging.retire_dead_letters(interval, interval, integer, timestamptz)
    to app;
grant create on schema messaging to door;
alter function messaging.retire_dead_letters(interval, interval, integer, timestamptz)
    owner to door;
revoke create on schema messaging from door;

-- Creates the missing partitions of `parent`, stand-alone first (row-level security, FORCE, policy,
-- bounds as a CHECK), then attached: an ATTACH that waits behind a reader is refused after the lock
-- timeout without intake queueing behind it, and tried again by the next run. Owned by the owner of
-- the tables, as DDL must be. Returns the names made; raises lock_not_available.
create function messaging.ensure_partitions(at timestamptz default null) returns setof text
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp set lock_timeout = '500ms' set timezone = 'UTC' as $$
declare
    plan record;
    month timestamptz;
    name text;
    lower_bound text;
    upper_bound text;
begin
    for plan in
        select * from (values
            ('whatsapp_messages', 'id', 0, 2, 85), ('delivery_logs', 'id', 0, 2, 100),
            ('message_status_events', 'occurred_at', -7, 2, 100)
        ) as p(parent, key, first, last, fill)
    loop
        for month in
            select generate_series(
                date_trunc('month', coalesce(at, clock_timestamp())) + plan.first * interval '1 month',
                date_trunc('month', coalesce(at, clock_timestamp())) + plan.last * interval '1 month',
                interval '1 month')
        loop
            name := plan.parent || to_char(month, '_YYYY_MM');
            continue when to_regclass(format('messaging.%I', name)) is not null;
            if plan.key = 'id' then
                lower_bound := messaging.uuid_at(month)::text;
                upper_bound := messaging.uuid_at(month + interval '1 month')::text;
            else
                lower_bound := month::text;
                upper_bound := (month + interval '1 month')::text;
            end if;
            -- Room on each page keeps status updates HOT: no index names a column that they change.
            execute format('create table messaging.%I (like messaging.%I including defaults including constraints)'
                ' with (fillfactor = %s)', name, plan.parent, plan.fill);
            call messaging.protect(format('messaging.%I', name)::regclass, null);
            execute format('alter table messaging.%I add constraint bounds check (%I >= %L and %I < %L)',
                name, plan.key, lower_bound, plan.key, upper_bound);
            execute format('alter table messaging.%I attach partition messaging.%I for values from (%L) to (%L)',
                plan.parent, name, lower_bound, upper_bound);
            execute format('alter table messaging.%I drop constraint bounds', name);
            return next name;
        end loop;
    end loop;
end
$$;
revoke execute on function messaging.ensure_partitions(timestamptz) from public;
grant execute on function messaging.ensure_partitions(timestamptz) to app;

-- Catch what no month holds; both stay empty (a row here is an alarm).
create table messaging.whatsapp_messages_default
    partition of messaging.whatsapp_messages default;
call messaging.protect('messaging.whatsapp_messages_default', null);
create table messaging.delivery_logs_default partition of messaging.delivery_logs default;
call messaging.protect('messaging.delivery_logs_default', null);
select messaging.ensure_partitions();
