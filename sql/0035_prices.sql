-- What Meta charges for a message, as an operator or a tenant has imported it.

create table messaging.price_rates (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    currency text collate "C" not null check (currency ~ '^[A-Z]{3}$'),
    -- From this day on (UTC), until a later row of the same category, country and currency.
    valid_from date not null,
    -- Meta's word, with `_`.
    category text collate "C" not null check (length(category) between 1 and 50),
    -- Of the recipient's number; other: every country without rows of its own.
    country text collate "C" not null check (country ~ '^([A-Z]{2}|other)$'),
    -- Messages of the calendar month in that category and market that come before the first at this price.
    from_volume bigint not null default 0 check (from_volume >= 0),
    -- The countries of one market count their volume together.
    market text collate "C" not null check (length(market) between 1 and 100),
    -- Of one message, in the currency's whole units; never a float. (NaN is greater than any number.)
    amount numeric(20, 10) not null check (amount between 0 and 1000000000),
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, category, country, currency, valid_from, from_volume)
);
create index price_rates_card on messaging.price_rates (tenant_id, currency, valid_from);
call messaging.protect('messaging.price_rates', 'select, insert, update, delete');
create trigger touch before update on messaging.price_rates
    for each row execute function messaging.touch();

-- A rule that is only tried out (automation/rehearsal.py): written for a moment in a transaction that is
-- rolled back, so that the plan can be asked for it. Nothing is planned for it, and nobody waits for it.
drop trigger plan_new on messaging.automation_rules;
create trigger plan_new after insert on messaging.automation_rules
    for each row when (coalesce(current_setting('switchboard.rehearsing', true), '') <> 'on')
    execute function messaging.plan_rule();

-- What a rule is planned for in a stretch of time, by the same view that writing facts and rules reads: the
-- first `p_limit`, each with how many they are.
create function messaging.planned_between(
    p_tenant uuid, p_rule uuid, p_since timestamptz, p_until timestamptz, p_limit integer
) returns table (subject_id uuid, occurrence text, due_at timestamptz, total bigint)
    language plpgsql stable
    set plan_cache_mode = 'force_generic_plan' set enable_seqscan = off set enable_hashjoin = off
    set enable_mergejoin = off as $$
begin
    return query
    select p.subject_id, p.occurrence, p.due_at, count(*) over ()
    from messaging.automation_plan as p
    where p.tenant_id = p_tenant and p.rule_id = p_rule
        and p.due_at > p_since and p.due_at <= p_until
    order by p.due_at, p.subject_id, p.occurrence
    limit p_limit;
end
$$;

-- Forgets runs that ended longer than p_keep ago: one stretch of at most p_limit, behind the place p_tenant,
-- p_started, p_id (null: the tenant's first). Not those that still count: what a cap counts, what a cool-down looks
-- at, and what is not beyond its rule's grace and could be planned again. Returns the next place; no tenant: that was all.
create function messaging.retire_runs(
    p_keep interval, p_limit integer, p_tenant uuid, p_started timestamptz, p_id uuid,
    p_now timestamptz default null,
    out retired integer, out next_tenant uuid, out next_started timestamptz, out next_id uuid
)
    language plpgsql security definer set search_path = pg_catalog, pg_temp
    set plan_cache_mode = 'force_generic_plan' set enable_seqscan = off set enable_bitmapscan = off
    set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_walked integer;
begin
    with stretch as materialized (
        select u.tenant_id, u.id, u.started_at
        from messaging.automation_runs as u
        where u.tenant_id = p_tenant and u.started_at < v_now - p_keep
            and (u.started_at, u.id) > (coalesce(p_started, '-infinity'::timestamptz),
                coalesce(p_id, '00000000-0000-0000-0000-000000000000'::uuid))
        order by u.started_at, u.id limit p_limit
    ), gone as (
        delete from messaging.automation_runs as d
        using stretch as s, messaging.automation_rules as r
        where d.tenant_id = s.tenant_id and d.id = s.id
            and r.tenant_id = d.tenant_id and r.id = d.rule_id
            and d.finished_at < v_now - p_keep and d.due_at < v_now - r.grace
            and (d.status <> 'done' or (r.cap_per_contact is null
                and (r.cool_down is null or d.finished_at < v_now - r.cool_down)))
        returning d.id
    ), last as (
        select s.started_at, s.id from stretch as s order by s.started_at desc, s.id desc limit 1
    )
    select (select count(*) from stretch), (select count(*) from gone), l.started_at, l.id
    into v_walked, retired, next_started, next_id
    from (values (1)) as one left join last as l on true;
    next_tenant := p_tenant;
    if v_walked < p_limit then
        next_started := null;
        next_id := null;
        next_tenant := (select u.tenant_id from messaging.automation_runs as u
            where u.tenant_id > p_tenant order by u.tenant_id limit 1);
    end if;
end
$$;
grant delete on messaging.automation_runs to door;
revoke execute on function
    messaging.retire_runs(interval, integer, uuid, timestamptz, uuid, timestamptz) from public;
grant execute on function
    messaging.retire_runs(interval, integer, uuid, timestamptz, uuid, timestamptz) to app;
grant create on schema messaging to door;
alter function messaging.retire_runs(interval, integer, uuid, timestamptz, uuid, timestamptz)
    owner to door;
revoke create on schema messaging from door;
