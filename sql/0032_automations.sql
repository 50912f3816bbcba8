-- Rules that start something when it is due, and what they started.

create table messaging.automation_rules (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    -- The person whose facts alone it looks at; null: all of the tenant's.
    contact_id uuid,
    name text not null check (length(name) between 1 and 200),
    description text,
    -- Names a trigger and an action in the code; an unknown one does nothing.
    trigger_type text collate "C" not null check (length(trigger_type) between 1 and 100),
    trigger_config jsonb not null default '{}' check (jsonb_typeof(trigger_config) = 'object'),
    conditions jsonb not null default '{}' check (jsonb_typeof(conditions) = 'object'),
    action_type text collate "C" not null check (length(action_type) between 1 and 100),
    action_config jsonb not null default '{}' check (jsonb_typeof(action_config) = 'object'),
    is_active boolean not null default true,
    -- No second run for one person within it; null: no cool-down.
    cool_down interval check (cool_down > '0'),
    -- Runs for one person in all; null: any number.
    cap_per_contact integer check (cap_per_contact > 0),
    -- An occurrence that is later than that is not run any more, with its reason. Ticks are a minute apart.
    grace interval not null default '1 day' check (grace >= '5 minutes'),
    -- What planning reads of trigger_config, written with it: typed, so that no fact's write can fail by a rule.
    -- Days after the fact's day at that local time, or that long after its instant; less than zero is before.
    plan_days integer,
    plan_at time,
    plan_delay interval,
    -- Of the budget, from which on it counts as crossed.
    plan_percent integer check (plan_percent > 0),
    -- The name of the outside event that starts it.
    listens_to text collate "C",
    last_triggered_at timestamptz,
    metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    foreign key (tenant_id) references messaging.tenants (id) on delete cascade,
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
        on delete cascade
);
create index automation_rules_active
    on messaging.automation_rules (tenant_id, trigger_type, contact_id) where is_active;
create index automation_rules_listening
    on messaging.automation_rules (tenant_id, listens_to) where is_active and listens_to is not null;
create index automation_rules_contact on messaging.automation_rules (tenant_id, contact_id)
    where contact_id is not null;
create index automation_rules_recent on messaging.automation_rules (tenant_id, created_at, id);
call messaging.protect('messaging.automation_rules', 'select, insert, update, delete');

-- What is due when: written with the fact or the rule, so that looking costs what is due and not what
-- there is. A row goes when it has run, was let pass, or is planned anew.
create table messaging.automation_due (
    tenant_id uuid not null,
    rule_id uuid not null,
    -- A trip, a booking; the rule itself where it has no subject.
    subject_id uuid not null,
    -- Of trips the date it is due for, of a pending booking since when, of a budget the crossing's number, of a
    -- schedule the planned instant.
    occurrence text collate "C" not null check (length(occurrence) between 1 and 200),
    due_at timestamptz not null,
    -- The rules whose doing brought it about, the first one first.
    chain uuid[] not null default '{}',
    primary key (tenant_id, rule_id, subject_id, occurrence),
    foreign key (tenant_id, rule_id) references messaging.automation_rules (tenant_id, id)
        on delete cascade
) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02);
create index automation_due_at on messaging.automation_due (due_at, tenant_id, rule_id);
create index automation_due_subject on messaging.automation_due (tenant_id, subject_id);
call messaging.protect('messaging.automation_due', 'select, insert, update, delete');

-- Each occurrence once, for ever: the key decides between evaluators.
create table messaging.automation_runs (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    rule_id uuid not null,
    subject_id uuid not null,
    occurrence text collate "C" not null check (length(occurrence) between 1 and 200),
    -- Whom it is for; null until it has begun and where it is for nobody.
    contact_id uuid,
    due_at timestamptz not null,
    -- It was due, or somebody outside said so.
    started_by text not null default 'due' check (started_by in ('due', 'event')),
    -- The rules whose doing brought it about: none of them can start again through it.
    chain uuid[] not null default '{}',
    status text not null default 'started' check (status in ('started', 'done', 'skipped', 'failed')),
    -- Why it was skipped or failed.
    reason text check (length(reason) <= 500),
    result jsonb,
    message_id uuid,
    started_at timestamptz not null,
    finished_at timestamptz,
    primary key (tenant_id, id),
    unique (tenant_id, rule_id, subject_id, occurrence),
    check ((status = 'started') = (finished_at is null)),
    foreign key (tenant_id, rule_id) references messaging.automation_rules (tenant_id, id)
        on delete cascade,
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
);
create index automation_runs_recent on messaging.automation_runs (tenant_id, started_at, id);
create index automation_runs_rule on messaging.automation_runs (tenant_id, rule_id, started_at, id);
create index automation_runs_done
    on messaging.automation_runs (tenant_id, rule_id, contact_id, finished_at) where status = 'done';
create index automation_runs_contact on messaging.automation_runs (tenant_id, contact_id)
    where contact_id is not null;
call messaging.protect('messaging.automation_runs', 'select, insert, update, delete');

-- Which trips are above a rule's share of their budget, and how often they came to be. No row: below, and
-- never above so far.
create table messaging.automation_crossings (
    tenant_id uuid not null,
    rule_id uuid not null,
    trip_id uuid not null,
    number integer not null check (number >= 0),
    is_above boolean not null,
    -- Null: above when the rule was made, which is no crossing.
    crossed_at timestamptz,
    primary key (tenant_id, rule_id, trip_id),
    foreign key (tenant_id, rule_id) references messaging.automation_rules (tenant_id, id)
        on delete cascade,
    foreign key (tenant_id, trip_id) references messaging.trips (tenant_id, id) on delete cascade
);
create index automation_crossings_trip on messaging.automation_crossings (tenant_id, trip_id);
call messaging.protect('messaging.automation_crossings', 'select, insert, update, delete');

-- The time of this transaction's writing: the database's clock, or what `switchboard.now` says.
create function messaging.writing_now() returns timestamptz
    language sql
    return coalesce(nullif(current_setting('switchboard.now', true), '')::timestamptz, clock_timestamp());

-- The rules that the open transaction acts for: what it writes must not start one of them again.
create function messaging.writing_chain() returns uuid[]
    language sql stable
    return coalesce(nullif(current_setting('switchboard.automation_chain', true), '')::uuid[], '{}');

-- Facts are written beside each other, a rule alone: either the fact's writer sees the rule or the rule's
-- sees the fact. Behind hold_contacts, before every row.
create function messaging.hold_facts(p_tenant uuid) returns text
    language sql
    return pg_advisory_xact_lock_shared(hashtextextended(p_tenant::text, 8))::text;
create function messaging.hold_rules(p_tenant uuid) returns text
    language sql
    return pg_advisory_xact_lock(hashtextextended(p_tenant::text, 8))::text;

-- The instant that is p_days after a day at the local time p_at, or p_delay after the day's own local time
-- (p_time, else p_at). A local time that a change of clocks skips is as much later; one that comes twice is
-- the second. Null: there is none (an unknown zone, a day beyond the calendar).
create function messaging.local_due(
    p_day date, p_time time, p_days integer, p_at time, p_delay interval, p_zone text
) returns timestamptz
    language plpgsql stable as $$
begin
    if p_days is not null then
        return (p_day + p_days + p_at) at time zone p_zone;
    end if;
    return (p_day + coalesce(p_time, p_at)) at time zone p_zone + p_delay;
exception when data_exception then
    return null;
end
$$;

-- What every active rule would start, of all facts as they are now: once more, whether it has run or not.
-- Asked by subject or by rule, each by index. A rule of one contact meets that contact's facts alone.
create view messaging.automation_plan with (security_invoker = true) as
    select r.tenant_id, r.id as rule_id, t.id as subject_id, t.start_date::text as occurrence, d.due_at, r.grace
    from messaging.automation_rules as r
    join messaging.trips as t on t.tenant_id = r.tenant_id
    cross join lateral messaging.local_due(
        t.start_date, t.start_time, r.plan_days, r.plan_at, r.plan_delay, t.timezone) as d(due_at)
    where r.is_active and r.trigger_type = 'trip_start' and r.contact_id is null
        and t.status <> 'cancelled' and t.start_date is not null
    union all
    select r.tenant_id, r.id, t.id, t.start_date::text, d.due_at, r.grace
    from messaging.automation_rules as r
    join messaging.trips as t on t.tenant_id = r.tenant_id and t.contact_id = r.contact_id
    cross join lateral messaging.local_due(
        t.start_date, t.start_time, r.plan_days, r.plan_at, r.plan_delay, t.timezone) as d(due_at)
    where r.is_active and r.trigger_type = 'trip_start'
        and t.status <> 'cancelled' and t.start_date is not null
    union all
    select r.tenant_id, r.id, t.id, t.end_date::text, d.due_at, r.grace
    from messaging.automation_rules as r
    join messaging.trips as t on t.tenant_id = r.tenant_id
    cross join lateral messaging.local_due(
        t.end_date, t.end_time, r.plan_days, r.plan_at, r.plan_delay, t.timezone) as d(due_at)
    where r.is_active and r.trigger_type = 'trip_end' and r.contact_id is null
        and t.status <> 'cancelled' and t.end_date is not null
    union all
    select r.tenant_id, r.id, t.id, t.end_date::text, d.due_at, r.grace
    from messaging.automation_rules as r
    join messaging.trips as t on t.tenant_id = r.tenant_id and t.contact_id = r.contact_id
    cross join lateral messaging.local_due(
        t.end_date, t.end_time, r.plan_days, r.plan_at, r.plan_delay, t.timezone) as d(due_at)
    where r.is_active and r.trigger_type = 'trip_end'
        and t.status <> 'cancelled' and t.end_date is not null
    union all
    select r.tenant_id, r.id, b.id,
        to_char(b.pending_since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        b.pending_since + r.plan_delay, r.grace
    from messaging.automation_rules as r
    join messaging.bookings as b on b.tenant_id = r.tenant_id
    where r.is_active and r.trigger_type = 'booking_pending' and r.contact_id is null
        and b.pending_since is not null
    union all
    select r.tenant_id, r.id, b.id,
        to_char(b.pending_since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        b.pending_since + r.plan_delay, r.grace
    from messaging.automation_rules as r
    join messaging.bookings as b on b.tenant_id = r.tenant_id and b.contact_id = r.contact_id
    where r.is_active and r.trigger_type = 'booking_pending' and b.pending_since is not null
    union all
    select r.tenant_id, r.id, c.trip_id, c.number::text, c.crossed_at, r.grace
    from messaging.automation_crossings as c
    join messaging.automation_rules as r on r.tenant_id = c.tenant_id and r.id = c.rule_id
    where r.is_active and r.trigger_type = 'budget_exceeded'
        and c.is_above and c.crossed_at is not null;
grant select on messaging.automation_plan to app;

-- Whether a trip's spending has reached that share of its budget.
create function messaging.is_above(p_trip messaging.trips, p_percent integer) returns boolean
    language sql immutable
    return coalesce(p_trip.status <> 'cancelled' and p_trip.spent_minor > 0
        and p_trip.spent_minor::numeric * 100 >= p_trip.budget_minor::numeric * p_percent, false);

-- Plans anew for facts that were just written: what is not so any more goes, what is new comes. What an
-- automation wrote plans nothing for the rules of its own chain. Late beyond its rule's grace nothing is
-- planned; what was planned and is late stays, so that it is let pass with its reason.
create function messaging.plan_facts(p_tenant uuid, p_subjects uuid[]) returns void
    language plpgsql
    -- As claim_jobs: the tables are empty one minute and full the next.
    set plan_cache_mode = 'force_generic_plan' set enable_seqscan = off set enable_hashjoin = off
    set enable_mergejoin = off as $$
declare
    v_chain uuid[] := messaging.writing_chain();
    v_now timestamptz := messaging.writing_now();
begin
    perform messaging.hold_facts(p_tenant);
    insert into messaging.automation_crossings as c
        (tenant_id, rule_id, trip_id, number, is_above, crossed_at)
    select t.tenant_id, r.id, t.id, 1, a.is_above, v_now
    from messaging.trips as t
    join messaging.automation_rules as r on r.tenant_id = t.tenant_id and r.is_active
        and r.trigger_type = 'budget_exceeded'
    cross join lateral messaging.is_above(t, r.plan_percent) as a(is_above)
    where t.tenant_id = p_tenant and t.id = any (p_subjects)
        and (r.contact_id is null or r.contact_id = t.contact_id)
        and (a.is_above or exists (select from messaging.automation_crossings as k
            where k.tenant_id = t.tenant_id and k.rule_id = r.id and k.trip_id = t.id))
    order by r.id, t.id
    on conflict (tenant_id, rule_id, trip_id) do update
    set number = c.number + excluded.is_above::integer, is_above = excluded.is_above,
        crossed_at = excluded.crossed_at
    where c.is_above <> excluded.is_above;

    delete from messaging.automation_due as d
    where d.tenant_id = p_tenant and d.subject_id = any (p_subjects)
        and d.subject_id <> d.rule_id
        and not exists (select from messaging.automation_plan as p
            where p.tenant_id = p_tenant and p.rule_id = d.rule_id and p.subject_id = d.subject_id
                and p.occurrence = d.occurrence);

    insert into messaging.automation_due as d
        (tenant_id, rule_id, subject_id, occurrence, due_at, chain)
    select p.tenant_id, p.rule_id, p.subject_id, p.occurrence, p.due_at, v_chain
    from messaging.automation_plan as p
    where p.tenant_id = p_tenant and p.subject_id = any (p_subjects)
        and p.due_at >= v_now - p.grace and p.rule_id <> all (v_chain)
        and not exists (select from messaging.automation_runs as u
            where u.tenant_id = p_tenant and u.rule_id = p.rule_id and u.subject_id = p.subject_id
                and u.occurrence = p.occurrence)
    order by p.rule_id, p.subject_id, p.occurrence
    on conflict (tenant_id, rule_id, subject_id, occurrence) do update
    set due_at = excluded.due_at where d.due_at <> excluded.due_at;
end
$$;

create function messaging.plan_written_facts() returns trigger
    language plpgsql as $$
begin
    perform messaging.plan_facts(w.tenant_id, array_agg(w.id order by w.id))
    from written as w group by w.tenant_id order by w.tenant_id;
    return null;
end
$$;
create function messaging.forget_facts() returns trigger
    language plpgsql as $$
begin
    delete from messaging.automation_due as d using gone as g
    where d.tenant_id = g.tenant_id and d.subject_id = g.id;
    return null;
end
$$;
create trigger plan_new after insert on messaging.trips
    referencing new table as written for each statement execute function messaging.plan_written_facts();
create trigger plan_changed after update on messaging.trips
    referencing new table as written for each statement execute function messaging.plan_written_facts();
create trigger forget after delete on messaging.trips
    referencing old table as gone for each statement execute function messaging.forget_facts();
create trigger plan_new after insert on messaging.bookings
    referencing new table as written for each statement execute function messaging.plan_written_facts();
create trigger plan_changed after update on messaging.bookings
    referencing new table as written for each statement execute function messaging.plan_written_facts();
create trigger forget after delete on messaging.bookings
    referencing old table as gone for each statement execute function messaging.forget_facts();

-- Plans anew for a rule that was just written. What is above its share of a budget by now is no crossing.
-- The instants of a schedule are not in the plan: whoever writes the rule writes the next one.
create function messaging.plan_rule() returns trigger
    language plpgsql
    set plan_cache_mode = 'force_generic_plan' set enable_seqscan = off set enable_hashjoin = off
    set enable_mergejoin = off as $$
declare
    v_now timestamptz := messaging.writing_now();
begin
    if tg_op = 'UPDATE' and (old.is_active, old.trigger_type, old.contact_id, old.plan_days, old.plan_at,
            old.plan_delay, old.plan_percent, old.grace)
        is not distinct from (new.is_active, new.trigger_type, new.contact_id, new.plan_days, new.plan_at,
            new.plan_delay, new.plan_percent, new.grace) then
        return null;
    end if;
    perform messaging.hold_rules(new.tenant_id);
    if new.is_active and new.trigger_type = 'budget_exceeded' then
        insert into messaging.automation_crossings as c (tenant_id, rule_id, trip_id, number, is_above)
        select t.tenant_id, new.id, t.id, 0, a.is_above
        from messaging.trips as t
        cross join lateral messaging.is_above(t, new.plan_percent) as a(is_above)
        where t.tenant_id = new.tenant_id and (new.contact_id is null or t.contact_id = new.contact_id)
            and (a.is_above or exists (select from messaging.automation_crossings as k
                where k.tenant_id = t.tenant_id and k.rule_id = new.id and k.trip_id = t.id))
        order by t.id
        on conflict (tenant_id, rule_id, trip_id) do update
        set is_above = excluded.is_above, crossed_at = null where c.is_above <> excluded.is_above;
    end if;

    delete from messaging.automation_due as d
    where d.tenant_id = new.tenant_id and d.rule_id = new.id and d.subject_id <> d.rule_id
        and not exists (select from messaging.automation_plan as p
            where p.tenant_id = d.tenant_id and p.rule_id = d.rule_id and p.subject_id = d.subject_id
                and p.occurrence = d.occurrence);

    insert into messaging.automation_due as d (tenant_id, rule_id, subject_id, occurrence, due_at)
    select p.tenant_id, p.rule_id, p.subject_id, p.occurrence, p.due_at
    from messaging.automation_plan as p
    where p.tenant_id = new.tenant_id and p.rule_id = new.id and p.due_at >= v_now - p.grace
        and not exists (select from messaging.automation_runs as u
            where u.tenant_id = p.tenant_id and u.rule_id = p.rule_id and u.subject_id = p.subject_id
                and u.occurrence = p.occurrence)
    order by p.subject_id, p.occurrence
    on conflict (tenant_id, rule_id, subject_id, occurrence) do update
    set due_at = excluded.due_at where d.due_at <> excluded.due_at;
    return null;
end
$$;
create trigger plan_new after insert on messaging.automation_rules
    for each row execute function messaging.plan_rule();
create trigger plan_changed after update of is_active, trigger_type, contact_id, plan_days, plan_at,
    plan_delay, plan_percent, grace on messaging.automation_rules
    for each row execute function messaging.plan_rule();

-- An occurrence whose turn has come: its run, and whether that was started or let pass.
create type messaging.due_occurrence as (
    tenant_id uuid, rule_id uuid, subject_id uuid, occurrence text, due_at timestamptz, trigger_type text,
    trigger_config jsonb, grace interval, is_started boolean
);

-- Takes up to `p_limit` of what is due, over all tenants, the longest due first: its run, its job, and the
-- due row gone, all or nothing. Who evaluates beside it takes others; what has run already is only taken out.
-- What is later than its rule's grace, and what is a disabled tenant's, is let pass with its reason.
create function messaging.due_occurrences(p_limit integer, p_now timestamptz default null)
    returns setof messaging.due_occurrence
    language plpgsql security definer set search_path = pg_catalog, pg_temp
    set plan_cache_mode = 'force_generic_plan' set enable_seqscan = off set enable_bitmapscan = off
    set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
begin
    return query
    with due as materialized (
        select d.tenant_id, d.rule_id, d.subject_id, d.occurrence, d.due_at, d.chain, r.trigger_type,
            r.trigger_config, r.grace,
            case when not t.is_active then 'tenant_disabled' when d.due_at < v_now - r.grace then 'late'
                end as reason
        from messaging.automation_due as d
        join messaging.automation_rules as r on r.tenant_id = d.tenant_id and r.id = d.rule_id
        join messaging.tenants as t on t.id = d.tenant_id
        where d.due_at <= v_now
        order by d.due_at, d.tenant_id, d.rule_id limit p_limit
        -- A rule that is being deleted or written anew takes its own due rows away: leave them.
        for no key update of d skip locked for key share of r skip locked
    ), run as (
        insert into messaging.automation_runs as u (tenant_id, rule_id, subject_id, occurrence, due_at, chain,
            status, reason, started_at, finished_at)
        select d.tenant_id, d.rule_id, d.subject_id, d.occurrence, d.due_at, d.chain,
            case when d.reason is null then 'started' else 'skipped' end, d.reason, v_now,
            case when d.reason is not null then v_now end
        from due as d
        order by d.tenant_id, d.rule_id, d.subject_id, d.occurrence
        on conflict (tenant_id, rule_id, subject_id, occurrence) do nothing
        returning u.tenant_id, u.rule_id, u.id, u.status, u.subject_id, u.occurrence
    ), taken as (
        delete from messaging.automation_due as d using due as o
        where d.tenant_id = o.tenant_id and d.rule_id = o.rule_id and d.subject_id = o.subject_id
            and d.occurrence = o.occurrence
    ), job as (
        insert into messaging.scheduled_jobs (tenant_id, job_type, args, priority, scheduled_for, created_at)
        select u.tenant_id, 'run_automation', jsonb_build_object('run_id', u.id), 20, v_now, v_now
        from run as u where u.status = 'started'
    ), seen as (
        -- Nobody waits for a rule's row: whoever holds it says about the same time.
        update messaging.automation_rules as r set last_triggered_at = v_now
        from (
            select k.tenant_id, k.id from messaging.automation_rules as k
            where (k.tenant_id, k.id) in (select u.tenant_id, u.rule_id from run as u where u.status = 'started')
                and (k.last_triggered_at is null or k.last_triggered_at < v_now - interval '1 second')
            for no key update skip locked
        ) as k
        where r.tenant_id = k.tenant_id and r.id = k.id
    )
    select d.tenant_id, d.rule_id, d.subject_id, d.occurrence, d.due_at, d.trigger_type, d.trigger_config,
        d.grace, coalesce(u.status = 'started', false)
    from due as d
    left join run as u on u.tenant_id = d.tenant_id and u.rule_id = d.rule_id
        and u.subject_id = d.subject_id and u.occurrence = d.occurrence;
end
$$;

-- The next instants of schedules whose turn has just come, in the transaction that took them.
-- p_next: [{"t": tenant, "r": rule, "o": occurrence, "u": time}, …]
create function messaging.plan_schedules(p_next jsonb) returns void
    language sql security definer set search_path = pg_catalog, pg_temp
    begin atomic
    insert into messaging.automation_due (tenant_id, rule_id, subject_id, occurrence, due_at)
    select n.t, n.r, n.r, n.o, n.u
    from jsonb_to_recordset(p_next) as n(t uuid, r uuid, o text, u timestamptz)
    order by n.t, n.r, n.o
    on conflict (tenant_id, rule_id, subject_id, occurrence) do nothing;
    end;

create policy door on messaging.automation_due to door using (true) with check (true);
grant select, insert, update, delete on messaging.automation_due to door;
create policy door on messaging.automation_runs to door using (true) with check (true);
grant select, insert on messaging.automation_runs to door;
create policy door on messaging.automation_rules to door using (true) with check (true);
grant select, update (last_triggered_at) on messaging.automation_rules to door;
grant insert on messaging.scheduled_jobs to door;
revoke execute on function messaging.due_occurrences(integer, timestamptz),
    messaging.plan_schedules(jsonb) from public;
grant execute on function messaging.due_occurrences(integer, timestamptz),
    messaging.plan_schedules(jsonb) to app;
grant create on schema messaging to door;
alter function messaging.due_occurrences(integer, timestamptz) owner to door;
alter function messaging.plan_schedules(jsonb) owner to door;
revoke create on schema messaging from door;
