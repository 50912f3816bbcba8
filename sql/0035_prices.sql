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
