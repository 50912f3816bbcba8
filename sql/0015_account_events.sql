-- The log of account events: read in the order of arrival, forgotten after a while, and never taken
-- for a repetition of something long past only because Meta told no time.

-- By arrival, which every row has; in the order of Meta's times a late one would slip in behind a
-- reader's back, and those without a time would have no place. (Built and dropped at once: these are
-- the rarest events of all, and intake waits for a lock or puts the body into the backlog.)
-- squawk-ignore require-concurrent-index-creation
create index whatsapp_account_events_received
    on messaging.whatsapp_account_events (tenant_id, created_at, id);
-- Nothing reads by it.
-- squawk-ignore require-concurrent-index-deletion
drop index messaging.whatsapp_account_events_newest;

-- Keeps each distinct event once. Returns how many are new. What came without a time is told apart
-- by the hour it was received in: within it nobody can tell Meta's second delivery from a second
-- event, and for longer than that Meta seldom tries again what it was not answered to.
create or replace function messaging.log_account_events(
    p_tenant uuid, p_events jsonb, p_now timestamptz
) returns integer
    language sql
    begin atomic
    with put as (
        insert into messaging.whatsapp_account_events as l (tenant_id, waba_id, account_id, field,
            event, detail, occurred_at, sha256, created_at)
        select distinct on (h.hash) p_tenant, r.waba_id, r.account_id, r.field, r.event, r.shown,
            to_timestamp(r.at), h.hash, p_now
        from messaging.read_told(p_tenant, p_events) as r
        cross join lateral (select sha256(convert_to((
            jsonb_build_array(r.waba_id, r.named, r.at, r.field, r.event, r.shown)
            || case when r.at is null
                then jsonb_build_array(floor(extract(epoch from p_now) / 3600)) else '[]' end
            )::text, 'UTF8')) as hash) as h
        order by h.hash
        -- The number may have been registered since.
        on conflict (tenant_id, sha256) do update set account_id = excluded.account_id
            where l.account_id is null and excluded.account_id is not null
        returning l.xmax = 0 as new
    )
    select count(*) filter (where put.new)::integer from put;
    end;

-- Deletes up to `p_limit` events of all tenants that were received more than `p_keep` ago. Returns
-- how many. Sorted: two who delete at once must not deadlock.
create policy door on messaging.whatsapp_account_events to door using (true);
grant select, delete on messaging.whatsapp_account_events to door;
create function messaging.retire_account_events(
    p_keep interval, p_limit integer, p_now timestamptz default null
) returns integer
    language sql security definer set search_path = pg_catalog, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
    begin atomic
    with old as materialized (
        select l.tenant_id, l.id
        from messaging.tenants as t
        cross join lateral (
            select e.tenant_id, e.id from messaging.whatsapp_account_events as e
            where e.tenant_id = t.id
                and e.created_at < coalesce(p_now, clock_timestamp()) - p_keep
            order by e.created_at, e.id limit p_limit
        ) as l
        order by l.tenant_id, l.id limit p_limit
    ), gone as (
        delete from messaging.whatsapp_account_events as d using old
        where d.tenant_id = old.tenant_id and d.id = old.id
        returning d.id
    )
    select count(*)::integer from gone;
    end;
revoke execute on function messaging.retire_account_events(interval, integer, timestamptz)
    from public;
grant execute on function messaging.retire_account_events(interval, integer, timestamptz) to app;
grant create on schema messaging to door;
alter function messaging.retire_account_events(interval, integer, timestamptz) owner to door;
revoke create on schema messaging from door;
