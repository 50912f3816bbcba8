-- What is known of numbers from Meta's API.

alter table messaging.whatsapp_business_accounts
    -- The callback override that Meta holds for this account, if any.
    add column webhook_url text check (length(webhook_url) <= 500),
    -- Sealed by KMS with the encryption context {tenant_id, purpose: verify_token}.
    add column webhook_verify_token_sealed bytea;

-- Which upload an id of Meta's is.
-- (Built at once: a row is one file of one number and of the last 30 days, so there are few.)
-- squawk-ignore require-concurrent-index-creation
create index media_uploads_id on messaging.media_uploads (tenant_id, wa_media_id);

-- Takes up what was told of numbers by whatever way: p_told is {account id: states}. Aspects: quality,
-- throughput, messaging_limit, name, verified_name, username, settings:<type>; those that only
-- fetching tells are status, coexistence, webhook, health, account_mode, code_verification. Only what
-- changes is written: the rest may be known better from elsewhere.
create function messaging.merge_number_states(p_tenant uuid, p_told jsonb) returns void
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    perform 1 from messaging.whatsapp_accounts as n
    where n.tenant_id = p_tenant
        and n.id = any (array(select k::uuid from jsonb_object_keys(p_told) as k))
    order by n.id for no key update;

    update messaging.whatsapp_accounts as n
    set states = m.states,
        quality_rating = coalesce(m.changed ->> 'quality', n.quality_rating),
        throughput = coalesce(m.changed ->> 'throughput', n.throughput),
        messaging_limit = coalesce(m.changed ->> 'messaging_limit', n.messaging_limit),
        verified_name = coalesce(m.changed ->> 'verified_name', n.verified_name),
        name_status = coalesce(m.changed -> 'name' ->> 'decision', n.name_status),
        username = case when m.changed ? 'username' then m.changed -> 'username' ->> 'username'
            else n.username end,
        username_status = case when m.changed ? 'username' then m.changed -> 'username' ->> 'status'
            else n.username_status end,
        meta_settings = n.meta_settings || (
            select coalesce(jsonb_object_agg(substr(s.key, length('settings:') + 1), s.value), '{}')
            from jsonb_each(m.changed) as s where starts_with(s.key, 'settings:')),
        status = coalesce(messaging.number_status(m.changed ->> 'status'), n.status),
        is_coexistence = coalesce((m.changed ->> 'coexistence')::boolean, n.is_coexistence),
        webhook_url = case when m.changed ? 'webhook' then m.changed ->> 'webhook'
            else n.webhook_url end,
        -- Another address was set elsewhere: the token that is kept here is not its own.
        webhook_verify_token_sealed = case when m.changed ? 'webhook'
                and m.changed ->> 'webhook' is distinct from n.webhook_url
            then null else n.webhook_verify_token_sealed end
    from (
        select o.id, f.states, messaging.changed_states(o.states, f.states) as changed
        from jsonb_each(p_told) as t
        join messaging.whatsapp_accounts as o on o.tenant_id = p_tenant and o.id = t.key::uuid
        cross join lateral (select messaging.merge_states(o.states, t.value) as states) as f
        order by o.id
    ) as m
    where n.tenant_id = p_tenant and n.id = m.id and n.states <> m.states;
end
$$;

-- Our word for Meta's status of a number; null for a word of tomorrow. A number that is flagged,
-- restricted or at its limit still sends what it may.
create function messaging.number_status(word text) returns text
    language sql immutable parallel safe
    return case
        when word in ('CONNECTED', 'LINKED', 'FLAGGED', 'RESTRICTED', 'RATE_LIMITED') then 'connected'
        when word in ('PENDING', 'UNVERIFIED') then 'pending'
        when word in ('DISCONNECTED', 'UNLINKED', 'MIGRATED', 'DELETED') then 'disconnected'
        when word = 'BANNED' then 'suspended'
        end;

-- A number that we do not have is the event's fault: it is kept as a dead letter for its time.
create or replace function messaging.event_number(p_tenant uuid, p_events jsonb, p_now timestamptz)
    returns integer
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    if exists (select from messaging.read_told(p_tenant, p_events) as r where r.account_id is null)
    then
        raise foreign_key_violation using message = 'the business account has no such number';
    end if;
    perform messaging.merge_number_states(p_tenant, (
        select coalesce(jsonb_object_agg(t.account_id, t.states), '{}')
        from (
            select r.account_id, messaging.merged_states(r.states) as states
            from messaging.read_told(p_tenant, p_events) as r group by r.account_id
        ) as t));
    return messaging.log_account_events(p_tenant, p_events, p_now);
end
$$;

-- Puts in a job for every number of every tenant that Meta can be asked about, spread over
-- `p_spread` seconds; one that waits already is left. Returns how many are new.
create function messaging.enqueue_number_syncs(p_spread integer, p_now timestamptz default null)
    returns integer
    language sql security definer set search_path = pg_catalog, pg_temp
    set enable_hashjoin = off set enable_mergejoin = off
    begin atomic
    with put as (
        insert into messaging.scheduled_jobs
            (tenant_id, job_type, args, unique_key, priority, scheduled_for, created_at)
        select n.tenant_id, 'sync_number', jsonb_build_object('account_id', n.id), n.id::text, 30,
            t.now + make_interval(secs => abs(hashtext(n.id::text)::bigint) % greatest(p_spread, 1)),
            t.now
        from messaging.whatsapp_accounts as n
        cross join (select coalesce(p_now, clock_timestamp()) as now) as t
        where n.access_token_sealed is not null and messaging.is_number_active(n)
        order by n.tenant_id, n.id
        on conflict (tenant_id, job_type, unique_key)
            where status = 'pending' and unique_key is not null do nothing
        returning id
    )
    select count(*)::integer from put;
    end;
revoke execute on function messaging.enqueue_number_syncs(integer, timestamptz) from public;
grant execute on function messaging.enqueue_number_syncs(integer, timestamptz) to app;
grant create on schema messaging to door;
alter function messaging.enqueue_number_syncs(integer, timestamptz) owner to door;
revoke create on schema messaging from door;
