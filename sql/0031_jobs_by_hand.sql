-- Jobs as people see them: failed ones found by index, all of them counted, old ones forgotten.

-- Failed jobs are few among many: a tenant's newest first, and everybody's of the last hour.
-- (Built at once: the table is of the same release, so it is empty here.)
-- squawk-ignore-file require-concurrent-index-creation
create index scheduled_jobs_failed
    on messaging.scheduled_jobs (tenant_id, id) where status = 'failed';
create index scheduled_jobs_dead
    on messaging.scheduled_jobs (finished_at) where status = 'failed';

grant delete on messaging.scheduled_jobs to door;

-- How many jobs there are, by tenant and priority: pending, of these due, running, and those that
-- failed in the hour before. `oldest_due` is when the longest waiting one became due; not counted
-- there are jobs that wait for another of their lane, which may be put off, and those of tenants
-- that are switched off.
create function messaging.measure_jobs(p_now timestamptz default null)
    returns table (
        tenant_id uuid, priority smallint, pending bigint, due bigint, running bigint, failed bigint,
        oldest_due timestamptz
    )
    language plpgsql security definer set search_path = pg_catalog, pg_temp
    set plan_cache_mode = 'force_generic_plan' set enable_seqscan = off
    set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
begin
    return query
    with counted as (
        select j.tenant_id, j.priority, count(*) as pending,
            count(*) filter (where j.scheduled_for <= v_now) as due, 0::bigint as running,
            0::bigint as failed
        from messaging.scheduled_jobs as j where j.status = 'pending'
        group by j.tenant_id, j.priority
        union all
        select j.tenant_id, j.priority, 0, 0, count(*), 0
        from messaging.scheduled_jobs as j where j.status = 'running'
        group by j.tenant_id, j.priority
        union all
        select j.tenant_id, j.priority, 0, 0, 0, count(*)
        from messaging.scheduled_jobs as j
        where j.status = 'failed' and j.finished_at > v_now - interval '1 hour'
        group by j.tenant_id, j.priority
    ), summed as (
        select c.tenant_id, c.priority, sum(c.pending)::bigint as pending, sum(c.due)::bigint as due,
            sum(c.running)::bigint as running, sum(c.failed)::bigint as failed
        from counted as c group by c.tenant_id, c.priority
    )
    select s.tenant_id, s.priority, s.pending, s.due, s.running, s.failed, h.scheduled_for
    from summed as s
    left join lateral (
        select j.scheduled_for from messaging.scheduled_jobs as j
        where j.status = 'pending' and j.priority = s.priority and j.tenant_id = s.tenant_id
            and j.scheduled_for <= v_now
            and exists (select from messaging.tenants as t where t.id = s.tenant_id and t.is_active)
            and (j.lane is null or (
                not exists (select from messaging.scheduled_jobs as older
                    where older.status = 'pending' and older.tenant_id = j.tenant_id
                        and older.lane = j.lane and older.id < j.id)
                and not exists (select from messaging.scheduled_jobs as current
                    where current.status = 'running' and current.tenant_id = j.tenant_id
                        and current.lane = j.lane)))
        order by j.scheduled_for limit 1
    ) as h on true
    order by s.priority, s.tenant_id;
end
$$;

-- Forgets jobs that ended longer ago than p_keep: some p_limit of them, behind the place (p_tenant,
-- p_id). Returns how many, and the place to go on behind; no tenant when all is looked through.
-- It goes along the primary key, since an index on the time would cost every finish a write. Ids are
-- given in the order of time, near enough: behind a job that is younger than p_keep nothing is old.
-- The newest period of each kind stays whatever its age: it says that this period was put in.
create function messaging.retire_jobs(
    p_keep interval, p_limit integer, p_tenant uuid, p_id bigint, p_now timestamptz default null,
    out retired integer, out next_tenant uuid, out next_id bigint
)
    language plpgsql security definer set search_path = pg_catalog, pg_temp
    set plan_cache_mode = 'force_generic_plan' set enable_seqscan = off set enable_bitmapscan = off
    set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_before timestamptz := coalesce(p_now, clock_timestamp()) - p_keep;
    v_walked integer := 0;
    v_stretch record;
begin
    retired := 0;
    next_tenant := p_tenant;
    next_id := p_id;
    loop
        with stretch as materialized (
            select j.tenant_id, j.id, j.created_at >= v_before as young,
                j.period_key is null or exists (
                    select from messaging.scheduled_jobs as newer
                    where newer.tenant_id = j.tenant_id and newer.job_type = j.job_type
                        and newer.period_key > j.period_key) as free
            from messaging.scheduled_jobs as j
            where j.tenant_id = next_tenant and j.id > next_id
            order by j.id limit p_limit
        ), gone as (
            -- Only what is final has ended; one that somebody retries at this moment has not.
            delete from messaging.scheduled_jobs as d using stretch as s
            where s.free and d.tenant_id = s.tenant_id and d.id = s.id and d.finished_at < v_before
            returning d.id
        )
        select count(*)::integer as walked, max(s.id) as last,
            coalesce(bool_or(s.young), false) as young,
            (select count(*) from gone)::integer as gone
        into v_stretch from stretch as s;
        retired := retired + v_stretch.gone;
        v_walked := v_walked + v_stretch.walked;
        if v_stretch.walked = p_limit and not v_stretch.young then
            next_id := v_stretch.last;
        else
            next_id := 0;
            next_tenant := (
                select j.tenant_id from messaging.scheduled_jobs as j
                where j.tenant_id > next_tenant order by j.tenant_id limit 1
            );
            exit when next_tenant is null;
        end if;
        exit when retired >= p_limit or v_walked >= 20 * p_limit;
    end loop;
end
$$;

revoke execute on function messaging.measure_jobs(timestamptz),
    messaging.retire_jobs(interval, integer, uuid, bigint, timestamptz) from public;
grant execute on function messaging.measure_jobs(timestamptz),
    messaging.retire_jobs(interval, integer, uuid, bigint, timestamptz) to app;
grant create on schema messaging to door;
alter function messaging.measure_jobs(timestamptz) owner to door;
alter function messaging.retire_jobs(interval, integer, uuid, bigint, timestamptz) owner to door;
revoke create on schema messaging from door;
