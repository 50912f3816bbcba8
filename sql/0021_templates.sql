-- Templates as they are synced, made and checked.
--
-- What a sync finds becomes states of the second before it asked: whatever a webhook says of that
-- second or a later one wins, whatever is older loses, and the order in which they come is nothing.

alter table messaging.whatsapp_templates
    -- Fetched and replaced together with the components.
    add column parameter_format text,
    add column message_send_ttl_seconds bigint,
    add column sub_category text,
    add column previous_category text,
    add column library_template_name text,
    -- When the newest question was asked that found it at Meta.
    add column found_at timestamptz;

alter table messaging.whatsapp_business_accounts
    -- When the newest sync began that came to its end; what the newest failure was, if it came after.
    add column templates_synced_at timestamptz,
    add column templates_sync_error text check (length(templates_sync_error) <= 200),
    -- The newest sync that was left to a job: when it began, Meta's cursor where it goes on.
    add column templates_sync_began_at timestamptz,
    add column templates_sync_after text;

-- As before; and where our copy is missing or stale now, a sync is put in, one per business account.
-- It waits a moment: changes come in groups.
create or replace function messaging.event_template(
    p_tenant uuid, p_events jsonb, p_now timestamptz
) returns integer
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_stale text[];
    v_new integer;
begin
    with put as (
        insert into messaging.whatsapp_templates as t
            (tenant_id, waba_id, name, language, states, created_at, updated_at)
        select p_tenant, r.waba_id, r.subject ->> 'name', r.subject ->> 'language',
            messaging.merged_states(r.states), p_now, p_now
        from messaging.read_told(p_tenant, p_events) as r
        group by r.waba_id, r.subject ->> 'name', r.subject ->> 'language'
        order by r.waba_id, r.subject ->> 'name', r.subject ->> 'language'
        on conflict (tenant_id, waba_id, name, language) do update
            set states = messaging.merge_states(t.states, excluded.states)
            where messaging.merge_states(t.states, excluded.states) <> t.states
        returning t.waba_id, t.components_stale, t.status
    )
    select array_agg(distinct p.waba_id) into v_stale
    from put as p where p.components_stale and p.status is distinct from 'DELETED';

    v_new := messaging.log_account_events(p_tenant, p_events, p_now);

    insert into messaging.scheduled_jobs
        (tenant_id, job_type, args, scheduled_for, created_at, unique_key)
    select p_tenant, 'sync_templates', jsonb_build_object('waba_id', s.waba_id),
        p_now + interval '5 seconds', p_now, s.waba_id
    from unnest(v_stale) as s(waba_id) order by s.waba_id
    on conflict (tenant_id, job_type, unique_key)
        where status = 'pending' and unique_key is not null do nothing;
    return v_new;
end
$$;

-- Puts in the sync of every active business account that has a token, of all tenants, spread over
-- `p_spread`. Returns how many; one that waits already is left.
create function messaging.put_template_syncs(p_spread interval, p_now timestamptz default null)
    returns integer
    language sql security definer set search_path = pg_catalog, pg_temp
    begin atomic
    with put as (
        insert into messaging.scheduled_jobs
            (tenant_id, job_type, args, scheduled_for, created_at, priority, unique_key)
        select w.tenant_id, 'sync_templates', jsonb_build_object('waba_id', w.waba_id),
            n.now + (abs(hashtext(w.waba_id)::bigint) % 3600) / 3600.0 * p_spread, n.now, 30,
            w.waba_id
        from messaging.whatsapp_business_accounts as w
        join messaging.tenants as t on t.id = w.tenant_id and t.is_active
        cross join (select coalesce(p_now, clock_timestamp()) as now) as n
        where w.is_active and exists (select from messaging.whatsapp_accounts as o
            where o.tenant_id = w.tenant_id and o.waba_id = w.waba_id
                and o.access_token_sealed is not null)
        order by w.tenant_id, w.waba_id
        on conflict (tenant_id, job_type, unique_key)
            where status = 'pending' and unique_key is not null do nothing
        returning id
    )
    select count(*)::integer from put;
    end;
revoke execute on function messaging.put_template_syncs(interval, timestamptz) from public;
grant execute on function messaging.put_template_syncs(interval, timestamptz) to app;
grant create on schema messaging to door;
alter function messaging.put_template_syncs(interval, timestamptz) owner to door;
revoke create on schema messaging from door;
