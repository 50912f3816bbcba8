-- Who wants to be told of new messages and statuses, and what became of telling them.

create table messaging.event_subscriptions (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    id uuid not null default gen_random_uuid(),
    -- https, but for the local run; that it is no private address is checked at every request.
    url text not null check (length(url) between 10 and 2000 and url ~ '^https?://'),
    kinds text[] not null
        check (cardinality(kinds) > 0 and kinds <@ array['message', 'status']),
    -- Sealed by KMS with the encryption context {tenant_id, purpose: subscription_secret}.
    secret_sealed bytea not null,
    -- Signs beside the present one until its end, so that a rotation loses nothing.
    secret_previous_sealed bytea,
    secret_previous_until timestamptz,
    is_active boolean not null default true,
    -- operator, or gone: the endpoint answered 410.
    disabled_reason text check (disabled_reason in ('operator', 'gone')),
    -- Failures since the last success. While it rests nothing is sent there: an endpoint that is away
    -- or slow costs the workers one request per rest, however many events wait.
    failures integer not null default 0 check (failures >= 0),
    rest_until timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    check (is_active = (disabled_reason is null))
);
call messaging.protect('messaging.event_subscriptions', 'select, insert, update');
create trigger touch before update on messaging.event_subscriptions
    for each row execute function messaging.touch();

-- One event on its way to one subscription.
create table messaging.event_deliveries (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    subscription_id uuid not null,
    kind text not null check (kind in ('message', 'status', 'test')),
    -- What it is about: a message, or the key of a status event. Its content is read when it is sent.
    message_id uuid,
    account_id uuid,
    wa_message_id text,
    status text,
    participant text,
    occurred_at timestamptz,
    -- The same event once per subscription.
    event_sha256 bytea not null check (length(event_sha256) = 32),
    state text not null default 'pending' check (state in ('pending', 'delivered', 'dead')),
    -- [{"at", "status": HTTP status or null, "error": word or null, "ms"}, …], oldest first.
    attempts jsonb not null default '[]',
    next_attempt_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    primary key (tenant_id, id),
    unique (tenant_id, subscription_id, event_sha256),
    check ((state = 'pending') = (finished_at is null))
-- No foreign keys: they would lock the subscription's row in every webhook's transaction.
);
create index event_deliveries_recent
    on messaging.event_deliveries (tenant_id, subscription_id, created_at);
create index event_deliveries_finished
    on messaging.event_deliveries (finished_at) where finished_at is not null;
create index event_deliveries_due
    on messaging.event_deliveries (next_attempt_at) where state = 'pending';
call messaging.protect('messaging.event_deliveries', 'select, insert, update');

-- Puts in a delivery and its job for each new event and each subscription to its kind; called by
-- take() where the tenant has a subscription at all. p_messages are new; of p_statuses (take()'s) those
-- are new that this transaction has written. Returns whether there was any.
create function messaging.notify_subscribers(
    p_tenant uuid, p_messages uuid[], p_statuses jsonb, p_now timestamptz
) returns boolean
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_count integer;
begin
    with new as materialized (
        select 'message' as kind, m.id as message_id, null::uuid as account_id,
            null::text as wa_message_id, null::text as status, null::text as participant,
            null::timestamptz as occurred_at, sha256(convert_to('message ' || m.id, 'UTF8')) as event
        from messaging.whatsapp_messages as m
        left join messaging.contacts as c on c.tenant_id = m.tenant_id and c.id = m.contact_id
        where m.tenant_id = p_tenant and m.id = any (p_messages) and not coalesce(c.is_blocked, false)
        union all
        select distinct 'status', null::uuid, e.account_id, e.wa_message_id, e.status, e.participant,
            e.occurred_at, sha256(convert_to(jsonb_build_array('status', e.account_id,
                e.wa_message_id, e.status, e.participant, extract(epoch from e.occurred_at))::text,
                'UTF8'))
        from jsonb_to_recordset(p_statuses) as s(a uuid, w text, s text, pt text, t bigint)
        join messaging.message_status_events as e
            on e.tenant_id = p_tenant and e.account_id = s.a and e.wa_message_id = s.w
            and e.status = s.s and e.participant = s.pt and e.occurred_at = to_timestamp(s.t)
        where e.xmin = pg_current_xact_id()::xid
    ), put as (
        insert into messaging.event_deliveries (tenant_id, subscription_id, kind, message_id,
            account_id, wa_message_id, status, participant, occurred_at, event_sha256,
            next_attempt_at, created_at)
        select p_tenant, s.id, n.kind, n.message_id, n.account_id, n.wa_message_id, n.status,
            n.participant, n.occurred_at, n.event, p_now, p_now
        from messaging.event_subscriptions as s join new as n on n.kind = any (s.kinds)
        where s.tenant_id = p_tenant and s.is_active
        order by s.id, n.event
        on conflict (tenant_id, subscription_id, event_sha256) do nothing
        returning id
    ), jobs as (
        insert into messaging.scheduled_jobs
            (tenant_id, job_type, args, unique_key, scheduled_for, created_at)
        select p_tenant, 'notify', jsonb_build_object('delivery_id', put.id), put.id::text, p_now, p_now
        from put order by put.id
        returning 1
    )
    select count(*) into v_count from jobs;
    return v_count > 0;
end
$$;

-- Seconds after the n-th failed attempt until the next one; null after the last. Days in all, at
-- first close together: most outages are short.
create function messaging.notify_again_after(p_attempts integer) returns interval
    language sql immutable parallel safe
    return make_interval(secs => (array[5, 60, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400,
        86400])[p_attempts]);

-- Records an attempt: {"status", "error", "ms"}, whether it was taken, whether the endpoint is gone.
-- A failure puts in the next attempt's job, or ends the delivery; what is finished stays so.
create function messaging.record_attempt(
    p_tenant uuid, p_delivery uuid, p_attempt jsonb, p_taken boolean, p_gone boolean,
    p_now timestamptz default null
) returns text
    language plpgsql as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_delivery messaging.event_deliveries;
    v_wait interval;
begin
    select * into v_delivery from messaging.event_deliveries as d
    where d.tenant_id = p_tenant and d.id = p_delivery and d.state = 'pending' for no key update;
    if not found then
        return null;
    end if;
    v_wait := messaging.notify_again_after(jsonb_array_length(v_delivery.attempts) + 1);
    -- A tenth sooner or later: those who failed together do not come back together.
    v_wait := v_wait * (0.9 + 0.2 * random());
    if p_taken or p_gone then
        v_wait := null;
    end if;
    update messaging.event_deliveries as d
    set attempts = d.attempts || (jsonb_build_object('at', v_now) || p_attempt),
        state = case when p_taken then 'delivered' when v_wait is null then 'dead' else 'pending' end,
        next_attempt_at = v_now + v_wait,
        finished_at = case when v_wait is null then v_now end
    where d.tenant_id = p_tenant and d.id = p_delivery
    returning d.state into v_delivery.state;
    if p_taken then
        update messaging.event_subscriptions as s set failures = 0, rest_until = null
        where s.tenant_id = p_tenant and s.id = v_delivery.subscription_id and s.failures > 0;
    else
        update messaging.event_subscriptions as s
        set failures = s.failures + 1,
            rest_until = v_now + least(300, 2 ^ least(s.failures, 20)) * interval '1 second',
            is_active = s.is_active and not p_gone,
            disabled_reason = case when s.is_active and p_gone then 'gone' else s.disabled_reason end
        where s.tenant_id = p_tenant and s.id = v_delivery.subscription_id;
    end if;
    if v_wait is not null then
        insert into messaging.scheduled_jobs
            (tenant_id, job_type, args, unique_key, scheduled_for, created_at)
        values (p_tenant, 'notify', jsonb_build_object('delivery_id', p_delivery), p_delivery::text,
            v_now + v_wait, v_now)
        on conflict (tenant_id, job_type, unique_key)
            where status = 'pending' and unique_key is not null do nothing;
    end if;
    return v_delivery.state;
end
$$;

-- Housekeeping over all tenants: forgets deliveries that were finished long ago, and gives those a job
-- again whose own was lost (a worker's error eight times over) an hour after they were due.
create policy door on messaging.event_deliveries to door using (true);
grant select, delete on messaging.event_deliveries to door;
grant insert on messaging.scheduled_jobs to door;
create function messaging.retire_deliveries(
    p_keep interval, p_limit integer, p_now timestamptz default null,
    out retired integer, out requeued integer
)
    language plpgsql security definer set search_path = pg_catalog, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
begin
    delete from messaging.event_deliveries as d
    using (
        select o.tenant_id, o.id from messaging.event_deliveries as o
        where o.finished_at < v_now - p_keep
        order by o.finished_at limit p_limit
    ) as old
    where d.tenant_id = old.tenant_id and d.id = old.id;
    get diagnostics retired = row_count;
    insert into messaging.scheduled_jobs
        (tenant_id, job_type, args, unique_key, scheduled_for, created_at)
    select d.tenant_id, 'notify', jsonb_build_object('delivery_id', d.id), d.id::text, v_now, v_now
    from messaging.event_deliveries as d
    where d.state = 'pending' and d.next_attempt_at < v_now - interval '1 hour'
    order by d.next_attempt_at limit p_limit
    on conflict (tenant_id, job_type, unique_key)
        where status = 'pending' and unique_key is not null do nothing;
    get diagnostics requeued = row_count;
end
$$;
revoke execute on function messaging.retire_deliveries(interval, integer, timestamptz) from public;
grant execute on function messaging.retire_deliveries(interval, integer, timestamptz) to app;
grant create on schema messaging to door;
alter function messaging.retire_deliveries(interval, integer, timestamptz) owner to door;
revoke create on schema messaging from door;
