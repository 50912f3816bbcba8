-- Work to do: jobs, leased by workers under a token, and the marks by which intake knows a worker is awake.

create table messaging.scheduled_jobs (
    tenant_id uuid not null,
    -- Order of insertion: inside a lane the smaller id goes first.
    id bigint generated always as identity,
    -- Due from then on. A retry and a snooze move it.
    scheduled_for timestamptz not null default clock_timestamp(),
    created_at timestamptz not null default clock_timestamp(),
    -- When its newest attempt began.
    executed_at timestamptz,
    finished_at timestamptz,
    -- Who runs it, until when: whoever finishes must bring this token.
    lease_until timestamptz,
    lease_token uuid,
    -- 0 housekeeping, 10 replies, 20 automations, 30 bulk.
    priority smallint not null default 20,
    attempts smallint not null default 0 check (attempts >= 0),
    -- The limit of the kind's code, stamped by each claim.
    max_attempts smallint not null default 8 check (max_attempts > 0),
    -- completed, failed and cancelled are final; what is to be tried again is pending.
    status text not null default 'pending'
        check (status in ('pending', 'running', 'completed', 'failed', 'cancelled')),
    -- Names a kind in the code. A worker claims only kinds that it knows.
    job_type text collate "C" not null check (length(job_type) between 1 and 100),
    -- Ids only: never text of a message, never a number.
    args jsonb not null default '{}' check (jsonb_typeof(args) = 'object'),
    -- Jobs of one lane run one at a time, in the order of their ids; one put off holds its lane.
    lane text collate "C" check (length(lane) between 1 and 200),
    -- The one waiting place of (tenant, kind, key). Given up when the job is claimed, so that work
    -- that comes while it runs waits in a job of its own, and a retry is in nobody's way.
    unique_key text collate "C" check (length(unique_key) between 1 and 200),
    -- The start of its period. Kept for ever: a period is put in once, however it went.
    period_key text collate "C" check (length(period_key) between 1 and 200),
    result jsonb,
    -- The class of the last error, never its text.
    error_message text,
    primary key (tenant_id, id),
    check ((status = 'running') = (lease_token is not null)),
    check ((status = 'running') = (lease_until is not null))
-- No foreign key to tenants: it would lock the tenant's row in every webhook's transaction.
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

-- Partial, so that finished jobs cost a claim nothing however many are kept. None names a column
-- that finishing changes except through its predicate: a finish writes to the primary key alone.
create index scheduled_jobs_due
    on messaging.scheduled_jobs (priority, tenant_id, scheduled_for, id) where status = 'pending';
create index scheduled_jobs_lane
    on messaging.scheduled_jobs (tenant_id, lane, id) where status = 'pending' and lane is not null;
create unique index scheduled_jobs_waiting
    on messaging.scheduled_jobs (tenant_id, job_type, unique_key)
    where status = 'pending' and unique_key is not null;
-- One running job per lane. The claim looks first, but a job whose smaller id is committed late is
-- seen by nobody's look: only this index stands between the two. Jobs without a lane are in it too
-- (nulls are distinct): it is how running jobs are counted and lost ones found.
create unique index scheduled_jobs_running
    on messaging.scheduled_jobs (tenant_id, lane) where status = 'running';
create unique index scheduled_jobs_period
    on messaging.scheduled_jobs (tenant_id, job_type, period_key) where period_key is not null;

call messaging.protect('messaging.scheduled_jobs', 'select, insert, update, delete');
create policy door on messaging.scheduled_jobs to door using (true) with check (true);
grant select, update on messaging.scheduled_jobs to door;
comment on column messaging.scheduled_jobs.lane is 'jobs of one lane run one at a time, in order';

-- Which workers are awake. Of no tenant; worth nothing after a crash, hence unlogged.
create unlogged table messaging.worker_marks (
    worker uuid primary key,
    marked_at timestamptz not null
) with (fillfactor = 50);
grant select, insert, update, delete on messaging.worker_marks to app;

-- Whether a job that this transaction puts in will be seen without a nudge: some worker's mark is
-- younger than a second. The shared lock, held until the commit, closes the gap between asking and
-- committing: a worker that ends clears its mark, waits for those who have seen it
-- (await_intakes), and only then looks for the last time.
create function messaging.worker_awake(p_now timestamptz default null) returns boolean
    language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(1398231883);
    return exists (select from messaging.worker_marks
        where marked_at > coalesce(p_now, clock_timestamp()) - interval '1 second');
end
$$;

-- Waits until every transaction has ended that still counts on a mark which is cleared by now.
-- Those that come meanwhile wait behind us, so not for long: raises lock_not_available.
create function messaging.await_intakes() returns void
    language plpgsql set lock_timeout = '100ms' as $$
begin
    perform pg_advisory_xact_lock(1398231883);
end
$$;

-- What a claim hands to a worker.
create type messaging.claimed_job as (
    tenant_id uuid, id bigint, job_type text, args jsonb, attempts smallint
);

-- Puts an end to leases that are over: back to pending, or failed when no attempt is left.
create function messaging.sweep_jobs(
    p_now timestamptz default null, out requeued integer, out failed integer
)
    language sql security definer set search_path = pg_catalog, pg_temp
    begin atomic
    with expired as materialized (
        select j.tenant_id, j.id from messaging.scheduled_jobs as j
        where j.status = 'running' and j.lease_until <= coalesce(p_now, clock_timestamp())
        for no key update skip locked
    ), swept as (
        update messaging.scheduled_jobs as j
        set status = case when j.attempts < j.max_attempts then 'pending' else 'failed' end,
            finished_at = case when j.attempts < j.max_attempts then null
                else coalesce(p_now, clock_timestamp()) end,
            lease_token = null, lease_until = null, error_message = 'LeaseExpired'
        from expired as e
        where j.tenant_id = e.tenant_id and j.id = e.id
        returning j.status
    )
    select count(*) filter (where s.status = 'pending')::integer,
        count(*) filter (where s.status = 'failed')::integer
    from swept as s;
    end;

-- Leases up to `p_limit` due jobs of these kinds to the worker that brings the token (a fresh one at
-- every call), and spends an attempt of each.
-- Order: the smaller priority first; inside it each tenant in turn, the one with the fewest running
-- jobs first (ten thousand jobs of one tenant do not delay another's one); inside a tenant the
-- longest due. A job of a lane waits for the older jobs of its lane, running or pending, due or not.
-- Nothing of an inactive tenant.
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
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_left integer := p_limit;
    v_busy uuid[];
    v_counts bigint[];
    v_expired boolean;
    v_level record;
    v_jobs messaging.claimed_job[];
begin
    select array_agg(r.tenant_id), array_agg(r.running), bool_or(r.expired)
    into v_busy, v_counts, v_expired
    from (
        select j.tenant_id, count(*) as running, bool_or(j.lease_until <= v_now) as expired
        from messaging.scheduled_jobs as j where j.status = 'running' group by j.tenant_id
    ) as r;
    if v_expired then
        perform messaging.sweep_jobs(v_now);
    end if;

    -- The head of the queue of each (priority, tenant), by jumping through the index.
    for v_level in
        with recursive head as (
            (select j.priority, j.tenant_id, j.scheduled_for from messaging.scheduled_jobs as j
            where j.status = 'pending'
            order by j.priority, j.tenant_id, j.scheduled_for limit 1)
            union all
            select n.priority, n.tenant_id, n.scheduled_for
            from head as h cross join lateral (
                select j.priority, j.tenant_id, j.scheduled_for from messaging.scheduled_jobs as j
                where j.status = 'pending' and (j.priority, j.tenant_id) > (h.priority, h.tenant_id)
                order by j.priority, j.tenant_id, j.scheduled_for limit 1
            ) as n
        )
        select h.priority,
            array_agg(h.tenant_id order by coalesce(b.running, 0), h.scheduled_for, h.tenant_id) as tenants,
            array_agg(coalesce(b.running, 0) order by coalesce(b.running, 0), h.scheduled_for, h.tenant_id) as running
        from head as h
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
                        -- Fill up from the least busy tenant: the level up to which the free places
                        -- lift the first k tenants is smallest at the right k.
                        select l.tenant_id, l.place,
                            ceil(min(l.level) over () - l.running)::integer as places
                        from (
                            select u.tenant_id, u.running, u.place,
                                (v_left + sum(u.running) over (order by u.place)) / u.place as level
                            from unnest(v_level.tenants, v_level.running)
                                with ordinality as u(tenant_id, running, place)
                        ) as l
                    ), chosen as materialized (
                        select c.place
                        from (select * from share where places > 0 order by share.place) as s
                        cross join lateral (
                            select j.ctid as place from messaging.scheduled_jobs as j
                            where j.status = 'pending' and j.priority = v_level.priority
                                and j.tenant_id = s.tenant_id and j.scheduled_for <= v_now
                                and j.job_type = any (p_kinds)
                                and (j.lane is null or (
                                    not exists (select from messaging.scheduled_jobs as older
                                        where older.status = 'pending' and older.tenant_id = j.tenant_id
                                            and older.lane = j.lane and older.id < j.id)
                                    and not exists (select from messaging.scheduled_jobs as current
                                        where current.status = 'running' and current.tenant_id = j.tenant_id
                                            and current.lane = j.lane)))
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
end
$$;

-- Records how claimed jobs ended, those alone that are still leased under this token: a worker that
-- comes after the end of its lease changes nothing. Returns the ids that were recorded.
-- p_ended: [{"t": tenant, "i": id, "o": outcome, "r": result, "e": error class, "u": time}, …]
--   completed  with its result
--   retry      pending again at u, else after a random part of 2, 4, 8 … 900 s (so that those who
--              failed together do not come back together); failed when no attempt is left
--   snoozed    pending again at u (default: now); no attempt spent
--   failed     at once
create function messaging.finish_jobs(
    p_token uuid, p_ended jsonb, p_now timestamptz default null
) returns bigint[]
    language plpgsql security definer set search_path = pg_catalog, pg_temp
    set plan_cache_mode = 'force_generic_plan' set enable_seqscan = off
    set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_recorded bigint[];
begin
    with recorded as (
        update messaging.scheduled_jobs as j
        set status = case
                when d.o = 'completed' then 'completed'
                when d.o = 'snoozed' or d.o = 'retry' and j.attempts < j.max_attempts then 'pending'
                else 'failed' end,
            finished_at = case
                when d.o = 'snoozed' or d.o = 'retry' and j.attempts < j.max_attempts then null
                else v_now end,
            scheduled_for = case d.o
                when 'retry' then coalesce(d.u,
                    v_now + random() * least(900, 2 ^ least(j.attempts, 20)) * interval '1 second')
                when 'snoozed' then coalesce(d.u, v_now)
                else j.scheduled_for end,
            attempts = j.attempts - (d.o = 'snoozed')::integer,
            lease_token = null, lease_until = null, result = d.r, error_message = d.e
        from jsonb_to_recordset(p_ended) as d(t uuid, i bigint, o text, r jsonb, e text, u timestamptz)
        -- Only running jobs hold a token; naming the status would invite a walk over all of them.
        where j.tenant_id = d.t and j.id = d.i and j.lease_token = p_token
        returning j.id
    )
    select coalesce(array_agg(r.id), '{}') into v_recorded from recorded as r;
    return v_recorded;
end
$$;

revoke execute on function messaging.sweep_jobs(timestamptz),
    messaging.claim_jobs(text[], smallint[], integer, interval, uuid, timestamptz),
    messaging.finish_jobs(uuid, jsonb, timestamptz) from public;
grant execute on function messaging.sweep_jobs(timestamptz),
    messaging.claim_jobs(text[], smallint[], integer, interval, uuid, timestamptz),
    messaging.finish_jobs(uuid, jsonb, timestamptz) to app;
grant create on schema messaging to door;
alter function messaging.sweep_jobs(timestamptz) owner to door;
alter function messaging.claim_jobs(text[], smallint[], integer, interval, uuid, timestamptz)
    owner to door;
alter function messaging.finish_jobs(uuid, jsonb, timestamptz) owner to door;
revoke create on schema messaging from door;
