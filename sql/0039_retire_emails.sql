-- E-mails are kept for a time only: they hold people's addresses and what was written to them.

-- Forgets mails of which nothing was heard for longer than p_keep: one stretch of at most p_limit, behind the place
-- p_tenant, p_created, p_id (null: the tenant's first). Not one that may still go out. What SES told of a mail and what
-- the delivery log has of it go with it; suppressions and consents stay. Returns the next place; no tenant: that was all.
create function messaging.retire_emails(
    p_keep interval, p_limit integer, p_tenant uuid, p_created timestamptz, p_id uuid,
    p_now timestamptz default null,
    out retired integer, out next_tenant uuid, out next_created timestamptz, out next_id uuid
)
    language plpgsql security definer set search_path = pg_catalog, pg_temp
    set plan_cache_mode = 'force_generic_plan' set enable_seqscan = off set enable_bitmapscan = off
    set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_walked integer;
begin
    with stretch as materialized (
        select m.tenant_id, m.id, m.created_at
        from messaging.emails as m
        where m.tenant_id = p_tenant and m.created_at < v_now - p_keep
            and (m.created_at, m.id) > (coalesce(p_created, '-infinity'::timestamptz),
                coalesce(p_id, '00000000-0000-0000-0000-000000000000'::uuid))
        order by m.created_at, m.id limit p_limit
    ), gone as (
        delete from messaging.emails as d
        using stretch as s
        where d.tenant_id = s.tenant_id and d.id = s.id and d.updated_at < v_now - p_keep
            and (d.status not in ('pending', 'sending')
                or (d.expires_at < v_now and coalesce(d.lease_until < v_now, true)))
        returning d.tenant_id, d.id
    ), unlogged as (
        delete from messaging.delivery_logs as l
        using gone as g
        where l.tenant_id = g.tenant_id and l.message_id = g.id and l.channel = 'email'
    ), last as (
        select s.created_at, s.id from stretch as s order by s.created_at desc, s.id desc limit 1
    )
    select (select count(*) from stretch), (select count(*) from gone), l.created_at, l.id
    into v_walked, retired, next_created, next_id
    from (values (1)) as one left join last as l on true;
    next_tenant := p_tenant;
    if v_walked < p_limit then
        next_created := null;
        next_id := null;
        next_tenant := (select m.tenant_id from messaging.emails as m
            where m.tenant_id > p_tenant order by m.tenant_id limit 1);
    end if;
end
$$;
create policy door on messaging.emails to door using (true);
grant select, delete on messaging.emails to door;
create policy door on messaging.delivery_logs to door using (true);
grant select, delete on messaging.delivery_logs to door;
revoke execute on function
    messaging.retire_emails(interval, integer, uuid, timestamptz, uuid, timestamptz) from public;
grant execute on function
    messaging.retire_emails(interval, integer, uuid, timestamptz, uuid, timestamptz) to app;
grant create on schema messaging to door;
alter function messaging.retire_emails(interval, integer, uuid, timestamptz, uuid, timestamptz)
    owner to door;
revoke create on schema messaging from door;
