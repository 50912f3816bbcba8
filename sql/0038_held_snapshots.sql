-- Claims while a snapshot stays open: index entries of jobs that left the queue since then cannot be
-- taken away, and a claim that begins at the queue's start steps over every one of them.

-- Leases in the order in which they end, which is nearly that of the rows: to count what runs costs
-- a page for many dead entries, where the index of lanes costs one for each. Only running jobs have
-- a lease; said by the lease, so that no plan takes the other index.
-- (Built at once: the table is of the same release, so it is empty here.)
-- squawk-ignore-file require-concurrent-index-creation
create index scheduled_jobs_leased
    on messaging.scheduled_jobs (lease_until) where lease_until is not null;

-- Where one queue (a priority of a tenant) begins: its first pending job.
create type messaging.job_head as (
    priority smallint, tenant_id uuid, scheduled_for timestamptz, id bigint
);

-- What the newest look over all queues found, for the claims of the next second; written only where
-- the look was a long one. One row, of no tenant; worth nothing after a crash, hence unlogged.
create unlogged table messaging.job_looks (
    single boolean primary key default true check (single),
    looked_at timestamptz not null,
    -- When `heads` was last moved on to where the queues began by then.
    advanced_at timestamptz not null,
    -- Before these nothing was pending.
    heads messaging.job_head[] not null,
    -- How many jobs ran, of these tenants.
    busy uuid[] not null,
    running bigint[] not null
);
grant select, insert, update on messaging.job_looks to door;

-- squawk-ignore ban-drop-function
drop function messaging.claim_jobs(text[], smallint[], integer, interval, uuid, timestamptz);

-- Leases up to `p_limit` due jobs of these kinds to the worker that brings the token (a fresh one at
-- every call), and spends an attempt of each.
-- Order: the smaller priority first; inside it each tenant in turn, the one with the fewest running
-- jobs first (ten thousand jobs of one tenant do not delay another's one); inside a tenant the
-- longest due. A job of a lane waits for the older jobs of its lane, running or pending, due or not.
-- Nothing of an inactive tenant.
-- A look over all queues from their start goes before each claim, unless it has become a long one:
-- then there is one in a second, whoever claims, and the claims between begin where it found the
-- queues to begin. A job that comes in before that (a late commit, an earlier time, a queue that was
-- empty) waits for the next look; a lost lease likewise, and the count of what runs is as old.
create function messaging.claim_jobs(
    p_kinds text[], p_max_attempts smallint[], p_limit integer, p_lease interval, p_token uuid,
    p_now timestamptz default null
) returns setof messaging.claimed_job
    language plpgsql security definer set search_path = pg_catalog, pg_temp
    -- The plan must not depend on the statistics of a table that is empty one minute and full the
    -- next: every step is an index look-up. Planned once per connection.
    set plan_cache_mode = 'force_generic_plan' set enable_seqscan = off set enable_bitmapscan = off
    set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    -- Dead entries that a look may step over before it counts as long: a millisecond's worth.
    c_long constant bigint := 2000;
    c_turn constant bigint := 1398231885;
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    -- Jobs due now are put in at this moment: heads stay behind transactions that are under way.
    v_settled timestamptz := v_now - interval '2 seconds';
    v_left integer := p_limit;
    v_look messaging.job_looks;
    v_all boolean;
    v_read bigint;
    v_heads messaging.job_head[];
    v_busy uuid[];
    v_counts bigint[];
    v_expired boolean;
    v_level record;
    v_jobs messaging.claimed_job[];
begin
    -- Whoever comes first after a second looks; for as long as that takes, others go on without.
    select l.* into v_look from messaging.job_looks as l
    where l.looked_at <= v_now and l.looked_at > v_now - interval '2 seconds';
    v_all := v_look.looked_at is null
        or v_look.looked_at <= v_now - interval '1 second' and pg_try_advisory_xact_lock(c_turn);

    loop
        if v_all then
            select coalesce(array_agg(r.tenant_id), '{}'), coalesce(array_agg(r.running), '{}'),
                bool_or(r.expired)
            into v_busy, v_counts, v_expired
            from (
                select j.tenant_id, count(*) as running, bool_or(j.lease_until <= v_now) as expired
                from messaging.scheduled_jobs as j where j.lease_until is not null
                group by j.tenant_id
            ) as r;
            if v_expired then
                perform messaging.sweep_jobs(v_now);
            end if;

            -- The head of the queue of each (priority, tenant), by jumping through the index. What it
            -- steps over is counted by the server: entries read, those of dead rows too.
            v_read := pg_stat_get_xact_tuples_returned('messaging.scheduled_jobs_due'::regclass);
            v_heads := array(
                with recursive head as (
                    (select j.priority, j.tenant_id, j.scheduled_for, j.id
                    from messaging.scheduled_jobs as j where j.status = 'pending'
                    order by j.priority, j.tenant_id, j.scheduled_for, j.id limit 1)
                    union all
                    select n.priority, n.tenant_id, n.scheduled_for, n.id
                    from head as h cross join lateral (
                        select j.priority, j.tenant_id, j.scheduled_for, j.id
                        from messaging.scheduled_jobs as j
                        where j.status = 'pending'
                            and (j.priority, j.tenant_id) > (h.priority, h.tenant_id)
                        order by j.priority, j.tenant_id, j.scheduled_for, j.id limit 1
                    ) as n
                )
                select row(h.priority, h.tenant_id, h.scheduled_for, h.id)::messaging.job_head
                from head as h
            );
            v_read := pg_stat_get_xact_tuples_returned('messaging.scheduled_jobs_due'::regclass) - v_read;
            if v_read > c_long + cardinality(v_heads) and pg_try_advisory_xact_lock(c_turn) then
                insert into messaging.job_looks as l
                    (looked_at, advanced_at, heads, busy, running)
                values (v_now, v_now, v_heads, v_busy, v_counts)
                on conflict (single) do update
                set looked_at = excluded.looked_at, advanced_at = excluded.advanced_at,
                    heads = excluded.heads, busy = excluded.busy, running = excluded.running;
            end if;
        else
            v_busy := v_look.busy;
            v_counts := v_look.running;
            v_heads := array(
                select row(m.priority, m.tenant_id, coalesce(n.scheduled_for, 'infinity'), n.id)::messaging.job_head
                from unnest(v_look.heads) as m
                left join lateral (
                    select j.scheduled_for, j.id from messaging.scheduled_jobs as j
                    where j.status = 'pending' and j.priority = m.priority
                        and j.tenant_id = m.tenant_id
                        and (j.scheduled_for, j.id) >= (least(m.scheduled_for, v_settled),
                            case when m.scheduled_for <= v_settled then m.id else 0 end)
                    order by j.scheduled_for, j.id limit 1
                ) as n on true
            );
            if v_look.advanced_at <= v_now - interval '0.1 seconds'
                and pg_try_advisory_xact_lock(c_turn) then
                update messaging.job_looks as l set heads = v_heads, advanced_at = v_now
                where l.looked_at = v_look.looked_at;
            end if;
        end if;

        for v_level in
            select h.priority,
                array_agg(h.tenant_id order by coalesce(b.running, 0), h.scheduled_for, h.tenant_id) as tenants,
                array_agg(coalesce(b.running, 0) order by coalesce(b.running, 0), h.scheduled_for, h.tenant_id) as running,
                array_agg(h.scheduled_for order by coalesce(b.running, 0), h.scheduled_for, h.tenant_id) as dues,
                array_agg(h.id order by coalesce(b.running, 0), h.scheduled_for, h.tenant_id) as ids
            from unnest(v_heads) as h
            join messaging.tenants as t on t.id = h.tenant_id and t.is_active
            left join unnest(v_busy, v_counts) as b(tenant_id, running) on b.tenant_id = h.tenant_id
            where h.scheduled_for <= v_now
            group by h.priority order by h.priority
        loop
            -- Rounds: what one tenant leaves of its share goes to the others.
            loop
                -- A claim that loses the race for a lane takes nothing and looks again.
                for v_try in 1..3 loop
                    begin
                        with share as (
                            -- Fill up from the least busy tenant: the level up to which the free
                            -- places lift the first k tenants is smallest at the right k.
                            select l.tenant_id, l.due, l.id, l.place,
                                ceil(min(l.level) over () - l.running)::integer as places
                            from (
                                select u.tenant_id, u.running, u.due, u.id, u.place,
                                    (v_left + sum(u.running) over (order by u.place)) / u.place as level
                                from unnest(v_level.tenants, v_level.running, v_level.dues, v_level.ids)
                                    with ordinality as u(tenant_id, running, due, id, place)
                            ) as l
                        ), chosen as materialized (
                            select c.place
                            from (select * from share where places > 0 order by share.place) as s
                            cross join lateral (
                                select j.ctid as place from messaging.scheduled_jobs as j
                                where j.status = 'pending' and j.priority = v_level.priority
                                    and j.tenant_id = s.tenant_id and j.scheduled_for <= v_now
                                    and (j.scheduled_for, j.id) >= (s.due, s.id)
                                    and j.job_type = any (p_kinds)
                                    -- `offset 0`: asked for each job. Without it the planner
                                    -- may gather all that runs beforehand, what ran included.
                                    and (j.lane is null or (
                                        not exists (select from messaging.scheduled_jobs as older
                                            where older.status = 'pending' and older.tenant_id = j.tenant_id
                                                and older.lane = j.lane and older.id < j.id offset 0)
                                        and not exists (select from messaging.scheduled_jobs as current
                                            where current.status = 'running' and current.tenant_id = j.tenant_id
                                                and current.lane = j.lane offset 0)))
                                order by j.scheduled_for, j.id
                                limit s.places for no key update skip locked
                            ) as c
                            limit v_left
                        ), leased as (
                            -- By its place in the table: locked a moment ago, it cannot have moved.
                            update messaging.scheduled_jobs as j
                            set status = 'running', lease_token = p_token, lease_until = v_now + p_lease,
                                executed_at = v_now, attempts = j.attempts + 1, unique_key = null,
                                max_attempts = p_max_attempts[array_position(p_kinds, j.job_type)]
                            where j.ctid = any (array(select chosen.place from chosen))
                            returning j.tenant_id, j.id, j.job_type, j.args, j.attempts, j.scheduled_for
                        )
                        select array_agg(row(l.tenant_id, l.id, l.job_type, l.args, l.attempts)::messaging.claimed_job
                            order by l.scheduled_for, l.id)
                        into v_jobs from leased as l;
                        exit;
                    exception when unique_violation or deadlock_detected then
                        v_jobs := null;
                    end;
                end loop;
                exit when v_jobs is null;
                return query select * from unnest(v_jobs);
                v_left := v_left - cardinality(v_jobs);
                exit when v_left <= 0;
            end loop;
            exit when v_left <= 0;
        end loop;
        -- Nothing was found where it was left: before anybody ends for that, one looks everywhere.
        exit when v_all or v_left < p_limit;
        v_all := true;
    end loop;
end
$$;

revoke execute on function
    messaging.claim_jobs(text[], smallint[], integer, interval, uuid, timestamptz) from public;
grant execute on function
    messaging.claim_jobs(text[], smallint[], integer, interval, uuid, timestamptz) to app;
grant create on schema messaging to door;
alter function messaging.claim_jobs(text[], smallint[], integer, interval, uuid, timestamptz)
    owner to door;
revoke create on schema messaging from door;
