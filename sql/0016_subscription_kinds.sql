-- Tenants keep their subscriptions themselves, and are told of two more kinds of events: what somebody
-- types on the business's phone (echo), and each state that a call comes to (call).

-- These tables are of the same release, so they are empty here.
-- squawk-ignore-file ban-drop-constraint, constraint-missing-not-valid
-- squawk-ignore-file require-concurrent-index-creation, require-concurrent-index-deletion
alter table messaging.event_subscriptions
    drop constraint event_subscriptions_kinds_check,
    add constraint event_subscriptions_kinds_check check (cardinality(kinds) > 0
        and kinds <@ array['message', 'status', 'echo', 'call']),
    -- by_hand: through the API or by command (older code writes operator); gone: it answered 410.
    drop constraint event_subscriptions_disabled_reason_check,
    add constraint event_subscriptions_disabled_reason_check
        check (disabled_reason in ('by_hand', 'operator', 'gone'));
-- What is on its way to a deleted one ends with its next attempt.
grant delete on messaging.event_subscriptions to app;

alter table messaging.event_deliveries
    -- Of a call, which is told by (call, status).
    add column call_id uuid,
    drop constraint event_deliveries_kind_check,
    add constraint event_deliveries_kind_check
        check (kind in ('message', 'status', 'echo', 'call', 'test'));
-- A list of some states or all of them, the newest first, and the counts of those that wait or died.
create index event_deliveries_listed
    on messaging.event_deliveries (tenant_id, subscription_id, state, created_at, id);
drop index messaging.event_deliveries_recent;

-- One event to tell; what it is about as in event_deliveries.
create type messaging.told as (
    kind text, message_id uuid, account_id uuid, wa_message_id text, status text, participant text,
    occurred_at timestamptz, call_id uuid
);

-- Puts in a delivery and its job for each of these events and each subscription to its kind, once.
-- Returns whether there was any.
create function messaging.tell(p_tenant uuid, p_told messaging.told[], p_now timestamptz)
    returns boolean
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_count integer;
begin
    with told as materialized (
        select t.*, sha256(convert_to(case t.kind
            when 'status' then jsonb_build_array('status', t.account_id, t.wa_message_id, t.status,
                t.participant, extract(epoch from t.occurred_at))::text
            when 'call' then 'call ' || t.call_id || ' ' || t.status
            else t.kind || ' ' || t.message_id end, 'UTF8')) as event
        from unnest(p_told) as t
    ), put as (
        insert into messaging.event_deliveries (tenant_id, subscription_id, kind, message_id,
            account_id, wa_message_id, status, participant, occurred_at, call_id, event_sha256,
            next_attempt_at, created_at)
        select p_tenant, s.id, t.kind, t.message_id, t.account_id, t.wa_message_id, t.status,
            t.participant, t.occurred_at, t.call_id, t.event, p_now, p_now
        from messaging.event_subscriptions as s join told as t on t.kind = any (s.kinds)
        where s.tenant_id = p_tenant and s.is_active
        order by s.id, t.event
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

-- Called by take() where the tenant has a subscription at all: tells of new messages and statuses.
-- p_messages are new; of p_statuses (take()'s) those are new that this transaction has written.
-- Returns whether anything of this transaction is to be told.
create or replace function messaging.notify_subscribers(
    p_tenant uuid, p_messages uuid[], p_statuses jsonb, p_now timestamptz
) returns boolean
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_told messaging.told[];
begin
    select array_agg(n.told) into v_told
    from (
        select row('message', m.id, null, null, null, null, null, null)::messaging.told
        from messaging.whatsapp_messages as m
        left join messaging.contacts as c on c.tenant_id = m.tenant_id and c.id = m.contact_id
        where m.tenant_id = p_tenant and m.id = any (p_messages) and not coalesce(c.is_blocked, false)
        union all
        select row('status', null, e.account_id, e.wa_message_id, e.status, e.participant,
            e.occurred_at, null)::messaging.told
        from jsonb_to_recordset(p_statuses) as s(a uuid, w text, s text, pt text, t bigint)
        join messaging.message_status_events as e
            on e.tenant_id = p_tenant and e.account_id = s.a and e.wa_message_id = s.w
            and e.status = s.s and e.participant = s.pt and e.occurred_at = to_timestamp(s.t)
        where e.xmin = pg_current_xact_id()::xid
    ) as n(told);
    if messaging.tell(p_tenant, v_told, p_now) then
        return true;
    end if;
    -- Echoes and calls are told where they are stored. The time finds them by an index.
    return exists (select from messaging.event_deliveries as d
        where d.tenant_id = p_tenant and d.state = 'pending' and d.next_attempt_at = p_now
            and d.xmin = pg_current_xact_id()::xid);
end
$$;

-- As in sql/0013, and what somebody typed on the phone is told: what is new, and what its history
-- brought before. Of a history alone nothing is told.
create or replace function messaging.event_phone_app_message(
    p_tenant uuid, p_events jsonb, p_now timestamptz
) returns integer
    language plpgsql as $$
declare
    v_ids uuid[];
    v_new boolean[];
    v_people jsonb;
    v_copies messaging.phone_copy[];
    v_told messaging.told[];
    v_count integer;
begin
    -- Each key once, locked in their order. New is what got the id that it brought. What an edit or a
    -- revoke names is locked beside them: whoever brings it waits for us.
    with wanted as materialized (
        select w.a, w.w, case when bool_or(w.here) then messaging.new_id(p_now) end as id
        from (
            select e.a, (e.d ->> 'w') collate "C" as w, true as here
            from jsonb_to_recordset(p_events) as e(a uuid, d jsonb)
            union all
            select e.a, e.d ->> 'cx', false
            from jsonb_to_recordset(p_events) as e(a uuid, d jsonb) where e.d ? 'ch'
        ) as w
        group by w.a, w.w
    ), claimed as (
        insert into messaging.message_keys as k
            (tenant_id, account_id, wa_message_id, message_id, created_at)
        select p_tenant, w.a, w.w, w.id, p_now from wanted as w order by w.a, w.w
        on conflict (account_id, wa_message_id)
            do update set message_id = coalesce(k.message_id, excluded.message_id)
        returning k.account_id, k.wa_message_id, k.message_id
    )
    select array_agg(c.message_id order by w.a, w.w), array_agg(c.message_id = w.id order by w.a, w.w)
    into v_ids, v_new
    from wanted as w join claimed as c on c.account_id = w.a and c.wa_message_id = w.w
    where w.id is not null;

    v_people := messaging.claim_people(p_tenant, (
        select jsonb_agg(jsonb_build_object('i', e.d -> 'i', 'n', e.d -> 'n', 't', e.t))
        from jsonb_to_recordset(p_events) as e(t bigint, d jsonb)), p_now);

    -- One copy of each, in the order of the keys.
    select array_agg(row(u.a, u.w, u.at, u.inbound, u.o, u.r, u.ty, u.c, u.x, u.cx, u.f, u.pv, u.md,
        s.status, messaging.status_rank(s.status), u.g,
        case when u.g is null or u.inbound then p.c end, u.ch)::messaging.phone_copy order by u.a, u.w)
    into v_copies
    from (
        select distinct on (e.a, d.w collate "C") e.a, d.w collate "C" as w, d.i,
            messaging.told_at(e.t, p_now) as at, d."in" as inbound, d.o, d.r, d.ty, d.c,
            coalesce(d.x, '{}') as x, d.cx, coalesce(d.f, false) as f, d.pv, d.md, d.g,
            d.ch
        from jsonb_to_recordset(p_events) as e(a uuid, t bigint, d jsonb)
        cross join lateral jsonb_to_record(e.d) as d(w text, i jsonb, "in" boolean, o text, r integer,
            ty text, c jsonb, x jsonb, cx text, f boolean, pv text, md jsonb, g text,
            ch jsonb)
        order by e.a, d.w collate "C", d.r desc, e.t, e.d
    ) as u
    join (
        select e.a, (e.d ->> 'w') collate "C" as w, (array_agg(e.d ->> 's'
            order by messaging.status_rank(e.d ->> 's') desc))[1] as status
        from jsonb_to_recordset(p_events) as e(a uuid, d jsonb) group by 1, 2
    ) as s on s.a = u.a and s.w = u.w
    left join (select p.s, p.c from jsonb_to_recordset(v_people) as p(s jsonb, c uuid)) as p
        on p.s = u.i;
    if exists (select from messaging.event_subscriptions as s
        where s.tenant_id = p_tenant and s.is_active and 'echo' = any (s.kinds))
    then
        -- Its key is locked: nobody else brings it now.
        select array_agg(row('echo', n.id, null, null, null, null, null, null)::messaging.told)
        into v_told
        from unnest(v_copies, v_ids, v_new) as n(account_id, wa_message_id, at, inbound, origin, tells,
            message_type, content, metadata, wa_context_id, is_forwarded, preview, media, status, rank,
            group_id, contact_id, change, id, new)
        left join messaging.whatsapp_messages as m on m.tenant_id = p_tenant and m.id = n.id
        where n.origin = 'phone_app' and (n.new or m.origin = 'history');
    end if;
    v_count := messaging.keep_copies(p_tenant, v_copies, v_ids, v_new, p_now);
    if v_told is not null then
        perform messaging.tell(p_tenant, v_told, p_now);
    end if;
    return v_count;
end
$$;

-- Tells each state that a call comes to, whoever brings it; every call begins as initiated. Of blocked
-- people nothing is told.
create function messaging.tell_call() returns trigger
    language plpgsql as $$
begin
    if not exists (select from messaging.contacts as c
        where c.tenant_id = new.tenant_id and c.id = new.contact_id and c.is_blocked)
    then
        perform messaging.tell(new.tenant_id, array[row('call', null, new.account_id, null, new.status,
            null, case new.status when 'initiated' then new.occurred_at
                when 'accepted' then new.accepted_at when 'rejected' then new.rejected_at
                else new.ended_at end, new.id)::messaging.told], new.updated_at);
    end if;
    return null;
end
$$;
create trigger tell_new after insert on messaging.call_logs
    for each row execute function messaging.tell_call();
create trigger tell_state after update of status on messaging.call_logs
    for each row when (old.status is distinct from new.status)
    execute function messaging.tell_call();
