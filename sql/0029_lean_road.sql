-- The send road at its real cost: what one message is asked about is read in two statements, and what
-- the limits look at is read by key, and seldom.

-- Until a table has been analyzed for the first time the planner takes each index that begins with the
-- tenant for as good as the key, and a connection keeps that plan while the table fills: an hour of
-- messages, all read for each. So it is told what is true of the worst case: all rows are one tenant's,
-- of one number, of one kind. The first ANALYZE replaces it. (PostgreSQL 18 has the function; before it,
-- autovacuum's first round ends the trouble.)
create procedure messaging.expect_one_tenant(target regclass)
    language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    v_column text;
    v_name text;
begin
    -- A partitioned table holds nothing, and nobody analyzes it.
    select c.relname into v_name
    from pg_class as c where c.oid = target and c.relkind = 'r' and c.reltuples < 0;
    if not found or to_regproc('pg_catalog.pg_restore_attribute_stats') is null then
        return;
    end if;
    for v_column in
        select a.attname from pg_attribute as a
        where a.attrelid = target and a.attname in ('tenant_id', 'account_id', 'kind')
    loop
        execute 'select pg_restore_attribute_stats(''schemaname'', ''messaging'', ''relname'', $1,'
            ' ''attname'', $2, ''inherited'', false, ''null_frac'', 0::real, ''avg_width'', 16,'
            ' ''n_distinct'', 1::real)' using v_name, v_column;
    end loop;
end
$$;

do $$
declare
    v_table regclass;
begin
    for v_table in select c.oid from pg_class as c
        where c.relnamespace = 'messaging'::regnamespace and c.relkind = 'r'
    loop
        call messaging.expect_one_tenant(v_table);
    end loop;
end
$$;

create or replace procedure messaging.protect(
    target regclass, privileges text, tenant_column text default 'tenant_id'
)
    language plpgsql as $$
begin
    execute format('alter table %s enable row level security', target);
    execute format('alter table %s force row level security', target);
    execute format(
        'create policy tenant on %s using (%I = nullif(current_setting(''switchboard.tenant_id'', true), '''')::uuid)'
        ' with check (%I = nullif(current_setting(''switchboard.tenant_id'', true), '''')::uuid)',
        target, tenant_column, tenant_column);
    if privileges is not null then
        execute format('grant %s on %s to app', privileges, target);
    end if;
    call messaging.expect_one_tenant(target);
end
$$;

-- Plans outlive the tables they were made for: a connection opened on an empty database must not walk
-- through a full one.
alter function messaging.reserve_sends(uuid, uuid, jsonb, interval, timestamptz)
    set enable_seqscan = off set enable_material = off;

set local role door;
alter function messaging.claim_sends(uuid, integer, interval, timestamptz)
    set plan_cache_mode = force_generic_plan set enable_seqscan = off
    set enable_hashjoin = off set enable_mergejoin = off set enable_material = off;
alter function messaging.next_sends(double precision, timestamptz)
    set plan_cache_mode = force_generic_plan set enable_seqscan = off
    set enable_hashjoin = off set enable_mergejoin = off;
reset role;
alter function messaging.lease_sends(uuid, uuid, uuid[], interval, timestamptz)
    set plan_cache_mode = force_generic_plan set enable_seqscan = off
    set enable_hashjoin = off set enable_mergejoin = off;

-- Arithmetic with intervals is stable, and what says less than it is cannot be inlined.
alter function messaging.rate_of(text, boolean, real, timestamptz, timestamptz) stable;
alter function messaging.claimable_at(smallint, timestamptz, real, timestamptz) stable;

-- Messages a second that a number handles now.
create function messaging.rate_now(
    bucket messaging.send_limits, number messaging.whatsapp_accounts, at timestamptz
) returns real
    language sql stable parallel safe
    return messaging.rate_of(number.throughput, number.is_coexistence, bucket.learned_rate,
        bucket.learned_at, at);

-- Whether a number may send as far as Meta and its owner are concerned.
create function messaging.may_send(
    number messaging.whatsapp_accounts, account messaging.whatsapp_business_accounts, at timestamptz
) returns boolean
    language sql immutable parallel safe
    return number.is_active and account.is_active and account.deleted_at is null
        and account.ban_state is distinct from 'DISABLE'
        and coalesce(account.sends_restricted_until <= at, true);

create or replace function messaging.is_number_active(number messaging.whatsapp_accounts)
    returns boolean
    language sql stable
    begin atomic
    select messaging.may_send(number, w, clock_timestamp())
    from messaging.whatsapp_business_accounts as w
    where w.tenant_id = number.tenant_id and w.waba_id = number.waba_id;
    end;

-- Until when a number is held back by what Meta answered: its own pause or its account's; null: none.
-- The year 9999: nobody knows. (Not infinity: no clock of a caller's knows it.)
create function messaging.paused_until(
    number messaging.whatsapp_accounts, account messaging.whatsapp_business_accounts, at timestamptz
) returns timestamptz
    language sql immutable parallel safe
    return case when number.sends_paused_until > at or account.sends_paused_until > at
        then least(greatest(number.sends_paused_until, account.sends_paused_until),
            '9999-12-31 00:00+00'::timestamptz) end;

create or replace function messaging.paused_until(
    number messaging.whatsapp_accounts, at timestamptz
) returns timestamptz
    language sql stable
    begin atomic
    select messaging.paused_until(number, w, at) from messaging.whatsapp_business_accounts as w
    where w.tenant_id = number.tenant_id and w.waba_id = number.waba_id;
    end;

create function messaging.paused_reason(
    number messaging.whatsapp_accounts, account messaging.whatsapp_business_accounts
) returns text
    language sql immutable parallel safe
    return case when account.sends_paused_until is not null
            and coalesce(account.sends_paused_until > number.sends_paused_until, true)
        then account.sends_paused_reason else number.sends_paused_reason end;

create or replace function messaging.paused_reason(number messaging.whatsapp_accounts) returns text
    language sql stable
    begin atomic
    select messaging.paused_reason(number, w) from messaging.whatsapp_business_accounts as w
    where w.tenant_id = number.tenant_id and w.waba_id = number.waba_id;
    end;

-- What the policy asks about new messages, in one round trip. p_items: [{"n": index,
-- "from": phone_number_id, "phone": canonical digits | "contact": contact id, "key": key, "template":
-- name, "language": with `_`}].
-- A number, contact or key that is unknown gives nulls. (Here and below: plans are generic, since
-- planning a join over partitions anew costs more than running it, and go from row to row by index,
-- since a generic plan may be made before a table has grown; one item goes in scalar steps, since
-- starting a chain of set steps costs more than its rows.)
create or replace function messaging.ask_sends(p_tenant uuid, p_items jsonb, p_now timestamptz default null)
    returns setof messaging.asked
    language plpgsql set plan_cache_mode = force_generic_plan
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
    set enable_material = off
    -- The joins as they are written: each by an index, whatever is known of the tables yet.
    set join_collapse_limit = 1 as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
begin
    perform set_config('switchboard.tenant_id', p_tenant::text, true);
    if jsonb_array_length(p_items) = 1 then
        return next messaging.ask_send(p_tenant, p_items -> 0, v_now);
        return;
    end if;
    return query
    with items as materialized (
        select i.* from jsonb_to_recordset(p_items) as i(n integer, "from" text, phone text,
            contact uuid, key text, template text, language text)
    ), senders as materialized (
        -- Once for each number, not for each message.
        select a.id, a.phone_number_id, a.status, a.sends_stopped_at is not null as is_stopped,
            a.access_token_sealed as token, messaging.is_number_active(a) as is_active,
            messaging.paused_until(a, v_now) as paused_until,
            messaging.paused_reason(a) as paused_reason,
            messaging.sendable_at(a, v_now) as sendable_at,
            o.portfolio, o.people, f.room, f.again_at
        from (select distinct i."from" as number from items as i) as u
        join messaging.whatsapp_accounts as a
            on a.tenant_id = p_tenant and a.phone_number_id = u.number
        left join lateral messaging.portfolio_of(a) as o on true
        left join lateral messaging.portfolio_room(p_tenant, o.portfolio, o.people, v_now) as f
            on o.people is not null
    ), templates as materialized (
        select u.number, u.template, u.language, u.n,
            messaging.stored_template(a, u.template, u.language) as told
        from (select i."from" as number, i.template, i.language, min(i.n) as n
            from items as i where i.template is not null group by 1, 2, 3) as u
        join messaging.whatsapp_accounts as a
            on a.tenant_id = p_tenant and a.phone_number_id = u.number
    )
    select i.n, t.is_active, t.sends_stopped_at is not null, a.id, a.phone_number_id, a.is_active,
        a.status, a.is_stopped, a.token, r.id, r.is_blocked, v.id, v.window_expires_at,
        case when i.phone is null then messaging.identifier_of(p_tenant, r.id, 'phone') end,
        case when i.phone is null then messaging.identifier_of(p_tenant, r.id, 'user_id') end,
        k.request_sha256, k.answer, k.lease_until, k.message_id, v_now, a.paused_until,
        a.paused_reason, v.last_inbound_at,
        case when r.opt_in_status = 'opted_out' then r.opted_out_at end,
        case when v.message_count >= 30 then messaging.pair_free_at(p_tenant, v.id, v_now) end,
        a.sendable_at,
        -- Its components stand in the row of the first message that names it.
        case when i.n = p.n then p.told else p.told - 'components' end,
        case when i.template is not null then messaging.person_of(r, t, v_now) end,
        case when i.template is not null and a.people is not null then jsonb_build_object(
            'limit', a.people, 'room', a.room, 'again_at', a.again_at,
            'counted', exists (select from messaging.portfolio_recipients as q
                where q.tenant_id = p_tenant and q.portfolio = a.portfolio
                    and q.contact_id = r.id and q.counted_at > v_now - interval '24 hours')) end
    from items as i
    left join messaging.tenants as t on t.id = p_tenant
    left join senders as a on a.phone_number_id = i."from"
    left join templates as p on p.number = i."from" and p.template = i.template
        and p.language = i.language
    left join messaging.contact_identifiers as d
        on d.tenant_id = p_tenant and d.kind = 'phone' and d.value = i.phone
    left join messaging.contacts as c on c.tenant_id = p_tenant
        and c.id = case when i.contact is not null then i.contact else d.contact_id end
        and (c.deleted_at is null or i.contact is null)
    -- A merged contact's id answers for ever. (Below row-level security no index serves a coalesce(): it is
    -- not taken to be leakproof, a case is.)
    left join messaging.contacts as r on r.tenant_id = p_tenant
        and r.id = case when c.merged_into is null then c.id else c.merged_into end
    left join messaging.whatsapp_conversations as v
        on v.tenant_id = p_tenant and v.account_id = a.id and v.contact_id = r.id
    left join messaging.idempotency_keys as k
        on k.tenant_id = p_tenant and k.key = i.key and k.expires_at > v_now;
end
$$;

-- The one-item road of ask_sends: whose number it is, and who is written to.
create or replace function messaging.ask_send(p_tenant uuid, p_item jsonb, p_now timestamptz)
    returns messaging.asked
    language plpgsql as $$
declare
    r messaging.asked;
    v_contact uuid := p_item ->> 'contact';
    v_number messaging.whatsapp_accounts;
    v_count integer;
begin
    r.n := p_item ->> 'n';
    r.at := p_now;
    if p_item ->> 'key' is not null then
        select k.request_sha256, k.answer, k.lease_until, k.message_id
        into r.key_sha256, r.key_answer, r.key_lease_until, r.key_message_id
        from messaging.idempotency_keys as k
        where k.tenant_id = p_tenant and k.key = p_item ->> 'key' and k.expires_at > p_now;
    end if;
    select t.is_active, t.sends_stopped_at is not null, a.id, a.phone_number_id, a.status,
        a.sends_stopped_at is not null, a.access_token_sealed,
        messaging.may_send(a, w, clock_timestamp()), messaging.paused_until(a, w, p_now),
        messaging.paused_reason(a, w),
        nullif(messaging.claimable_at(10::smallint, l.paid_until, messaging.rate_of(
            a.throughput, a.is_coexistence, l.learned_rate, l.learned_at, p_now), p_now), p_now)
    into r.tenant_active, r.tenant_stopped, r.account_id, r.phone_number_id, r.number_status,
        r.number_stopped, r.access_token, r.number_active, r.paused_until, r.paused_reason,
        r.sendable_at
    from messaging.tenants as t
    left join messaging.whatsapp_accounts as a
        on a.tenant_id = p_tenant and a.phone_number_id = p_item ->> 'from'
    left join messaging.whatsapp_business_accounts as w
        on w.tenant_id = p_tenant and w.waba_id = a.waba_id
    left join messaging.send_limits as l on l.tenant_id = p_tenant and l.account_id = a.id
    where t.id = p_tenant;
    if v_contact is null then
        select d.contact_id into v_contact from messaging.contact_identifiers as d
        where d.tenant_id = p_tenant and d.kind = 'phone' and d.value = p_item ->> 'phone';
    end if;
    select c.id, c.is_blocked, case when c.opt_in_status = 'opted_out' then c.opted_out_at end,
        v.id, v.window_expires_at, v.last_inbound_at, v.message_count
    into r.contact_id, r.is_blocked, r.opted_out_at,
        r.conversation_id, r.window_expires_at, r.last_inbound_at, v_count
    from messaging.contacts as o
    join messaging.contacts as c on c.tenant_id = p_tenant
        and c.id = case when o.merged_into is null then o.id else o.merged_into end
    left join messaging.whatsapp_conversations as v
        on v.tenant_id = p_tenant and v.account_id = r.account_id and v.contact_id = c.id
    where o.tenant_id = p_tenant and o.id = v_contact
        and (o.deleted_at is null or p_item ->> 'contact' is null);
    if p_item ->> 'phone' is null then
        r.known_phone := messaging.identifier_of(p_tenant, r.contact_id, 'phone');
        r.known_user_id := messaging.identifier_of(p_tenant, r.contact_id, 'user_id');
    end if;
    if v_count >= 30 then
        r.pair_free_at := messaging.pair_free_at(p_tenant, r.conversation_id, p_now);
    end if;
    if p_item ->> 'template' is null then
        return r;
    end if;
    select a.* into v_number from messaging.whatsapp_accounts as a
    where a.tenant_id = p_tenant and a.id = r.account_id;
    r.template := messaging.stored_template(
        v_number, p_item ->> 'template', p_item ->> 'language');
    r.person := (select messaging.person_of(c, t, p_now)
        from messaging.tenants as t
        left join messaging.contacts as c on c.tenant_id = p_tenant and c.id = r.contact_id
        where t.id = p_tenant);
    r.portfolio := messaging.portfolio_facts(v_number, r.contact_id, p_now);
    return r;
end
$$;

-- Books messages of one number, the most urgent first; p_wanted: of the priorities 10, 20, 30. Received
-- messages since the last look are booked with them, looked for four times a second at most: the table
-- has partitions, and all of them are locked to read one. Returns how many of each may go out now.
-- (Settings of its own would cost a tenth of a single send: its callers have them.)
create or replace function messaging.take_tokens(
    p_tenant uuid, p_account uuid, p_wanted integer[], p_now timestamptz,
    out granted integer[], out again_at timestamptz
)
    language plpgsql as $$
declare
    v_all integer := p_wanted[1] + p_wanted[2] + p_wanted[3];
    v_paid timestamptz;
    v_heard uuid;
    v_rate real;
    v_tokens integer;
    -- A moment late: by then intake has committed what it gave an id.
    v_until uuid;
    v_fresh uuid := (lpad(to_hex((extract(epoch from p_now) * 1000)::bigint - 500), 12, '0')
        || repeat('0', 20))::uuid;
    v_priority smallint;
begin
    -- Nothing to look for, and room for all: one step.
    update messaging.send_limits as l
    set paid_until = greatest(l.paid_until, p_now)
        + interval '1 second' * (v_all / messaging.rate_now(l, n, p_now))
    from messaging.whatsapp_accounts as n
    where l.tenant_id = p_tenant and l.account_id = p_account and n.tenant_id = p_tenant
        and n.id = p_account and l.heard_until >= v_fresh
        and messaging.tokens(l.paid_until, messaging.rate_now(l, n, p_now), p_now) >= v_all
            + case when p_wanted[3] > 0
                then messaging.kept_back(30::smallint, messaging.rate_now(l, n, p_now))
                when p_wanted[2] > 0
                then messaging.kept_back(20::smallint, messaging.rate_now(l, n, p_now)) else 0 end;
    if found then
        granted := p_wanted;
        return;
    end if;

    for k in 1 .. 2 loop
        select greatest(l.paid_until, p_now), l.heard_until, messaging.rate_now(l, n, p_now)
        into v_paid, v_heard, v_rate
        from messaging.send_limits as l
        join messaging.whatsapp_accounts as n on n.tenant_id = l.tenant_id and n.id = l.account_id
        where l.tenant_id = p_tenant and l.account_id = p_account
        for no key update of l;
        exit when found;
        insert into messaging.send_limits (tenant_id, account_id) values (p_tenant, p_account)
        on conflict (tenant_id, account_id) do nothing;
    end loop;
    if v_heard >= v_fresh then
        v_until := v_heard;
    else
        v_until := messaging.uuid_at(p_now - interval '0.25 seconds');
        -- Older ones than a second are paid for already, whoever counted them. In the order of the ids: by
        -- the key, also where the plan is as old as the connection and the table was empty then.
        v_paid := v_paid + interval '1 second' / v_rate * (
            select count(*) from (
                select m.account_id, m.direction from messaging.whatsapp_messages as m
                where m.tenant_id = p_tenant and m.id < v_until
                    and m.id >= greatest(v_heard, messaging.uuid_at(p_now - interval '1.25 seconds'))
                order by m.id offset 0) as m
            where m.account_id = p_account and m.direction = 'inbound');
    end if;
    v_tokens := messaging.tokens(v_paid, v_rate, p_now);
    granted := array[0, 0, 0];
    for k in 1 .. 3 loop
        v_priority := k * 10;
        granted[k] := greatest(0, least(p_wanted[k],
            v_tokens - granted[1] - granted[2] - messaging.kept_back(v_priority, v_rate)));
        if granted[k] < p_wanted[k] then
            again_at := coalesce(again_at, 'epoch');
        end if;
    end loop;
    v_paid := v_paid + interval '1 second' * ((granted[1] + granted[2] + granted[3]) / v_rate);
    if again_at is not null then
        again_at := messaging.claimable_at(case when granted[1] < p_wanted[1] then 10
            when granted[2] < p_wanted[2] then 20 else 30 end::smallint, v_paid, v_rate, p_now);
    end if;
    update messaging.send_limits as l set paid_until = v_paid, heard_until = greatest(v_heard, v_until)
    where l.tenant_id = p_tenant and l.account_id = p_account;
end
$$;

-- The same for one message, which is over no other limit.
create function messaging.book_send(
    p_tenant uuid, p_id uuid, p_account uuid, p_priority smallint, p_now timestamptz
) returns messaging.hold
    language plpgsql as $$
declare
    v_booked record;
begin
    v_booked := messaging.take_tokens(p_tenant, p_account, array[(p_priority = 10)::integer,
        (p_priority = 20)::integer, (p_priority = 30)::integer], p_now);
    if v_booked.again_at is not null then
        return row(p_id, 'throughput', v_booked.again_at)::messaging.hold;
    end if;
    return null;
end
$$;

-- Attempts that are about to go out, and what the limits say: no row, they may.
create or replace function messaging.book_sends(
    p_tenant uuid, p_items messaging.booking[], p_now timestamptz
) returns messaging.hold[]
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
    set join_collapse_limit = 1 as $$
declare
    v_held messaging.hold[] := '{}';
    v_long uuid[];
    v_place record;
    v_booked record;
    v_only messaging.booking := p_items[1];
    v_hold messaging.hold;
begin
    -- One message in a short thread within its window is over no limit but the number's.
    if cardinality(p_items) = 1 and not v_only.outside and not exists (
        select from messaging.whatsapp_conversations as c
        where c.tenant_id = p_tenant and c.id = v_only.conversation and c.message_count >= 30)
    then
        v_hold := messaging.book_send(p_tenant, v_only.id, v_only.account, v_only.priority, p_now);
        return case when v_hold.id is null then '{}' else array[v_hold] end;
    end if;

    -- The pair: only long threads can be over. Locked until the commit.
    v_long := array(select c.id from messaging.whatsapp_conversations as c
        where c.tenant_id = p_tenant and c.message_count >= 30
            and c.id = any (array(select i.conversation from unnest(p_items) as i))
        order by c.id);
    if v_long <> '{}' then
        insert into messaging.pair_limits (tenant_id, conversation_id, paid_until)
        select p_tenant, c, p_now + interval '6 seconds' * (
            select least(count(*), 44) from messaging.whatsapp_messages as m
            where m.tenant_id = p_tenant and m.conversation_id = c and m.direction = 'outbound'
                and m.accepted_at > p_now - interval '264 seconds')
        from unnest(v_long) as c
        where not exists (select from messaging.pair_limits as l
            where l.tenant_id = p_tenant and l.conversation_id = c)
        on conflict (tenant_id, conversation_id) do nothing;
        perform 1 from messaging.pair_limits as l
        where l.tenant_id = p_tenant and l.conversation_id = any (v_long)
        order by l.conversation_id for no key update;
        v_held := array(
            select row(i.id, 'pair', f.until)::messaging.hold
            from unnest(p_items) as i
            cross join lateral (
                select messaging.pair_free_at(p_tenant, i.conversation, p_now) as until) as f
            where i.conversation = any (v_long) and f.until is not null);
    end if;

    -- The portfolio, for messages outside a window.
    if exists (select from unnest(p_items) as i where i.outside) then
        for v_place in
            select w.portfolio, w.people,
                array_agg(i.contact order by i.priority, i.ord) as contacts
            from unnest(p_items) with ordinality
                as i(id, account, conversation, contact, priority, outside, ord)
            join messaging.whatsapp_accounts as n on n.tenant_id = p_tenant and n.id = i.account
            cross join lateral messaging.portfolio_of(n) as w
            where i.outside and w.people is not null
                and i.id <> all (array(select h.id from unnest(v_held) as h))
            group by w.portfolio, w.people order by w.portfolio
        loop
            select b.admitted, b.again_at into v_booked
            from messaging.book_recipients(
                p_tenant, v_place.portfolio, v_place.people, v_place.contacts, p_now) as b;
            v_held := v_held || array(
                -- Looked at again within the hour: a window may open, the limit may rise.
                select row(i.id, 'portfolio', least(coalesce(v_booked.again_at, 'infinity'),
                    p_now + interval '1 hour'))::messaging.hold
                from unnest(p_items) as i
                join messaging.whatsapp_accounts as n on n.tenant_id = p_tenant and n.id = i.account
                cross join lateral messaging.portfolio_of(n) as w
                where i.outside and w.portfolio = v_place.portfolio
                    and i.id <> all (array(select h.id from unnest(v_held) as h))
                    and i.contact <> all (v_booked.admitted));
        end loop;
    end if;

    -- The number, last: its row is everybody's.
    for v_place in
        select i.account, array_agg(i.id order by i.priority, i.ord) as ids,
            array_agg(i.priority order by i.priority, i.ord) as priorities,
            array[count(*) filter (where i.priority = 10), count(*) filter (where i.priority = 20),
                count(*) filter (where i.priority = 30)]::integer[] as wanted
        from (select i.account, i.id, i.priority, i.ord
            from unnest(p_items) with ordinality
                as i(id, account, conversation, contact, priority, outside, ord)
            where i.id <> all (array(select h.id from unnest(v_held) as h))) as i
        group by i.account order by i.account
    loop
        select t.granted, t.again_at into v_booked
        from messaging.take_tokens(p_tenant, v_place.account, v_place.wanted, p_now) as t;
        if v_booked.again_at is not null then
            v_held := v_held || array(
                select row(x.id, 'throughput', v_booked.again_at)::messaging.hold
                from (
                    select u.id, u.priority,
                        row_number() over (partition by u.priority order by u.ord) as place
                    from unnest(v_place.ids, v_place.priorities) with ordinality
                        as u(id, priority, ord)
                ) as x
                where x.place > v_booked.granted[x.priority / 10]);
        end if;
    end loop;

    if v_long <> '{}' then
        update messaging.pair_limits as l
        set paid_until = greatest(l.paid_until, p_now) + interval '6 seconds'
        where l.tenant_id = p_tenant and l.conversation_id = any (array(
            select i.conversation from unnest(p_items) as i
            where i.conversation = any (v_long)
                and i.id <> all (array(select h.id from unnest(v_held) as h))));
    end if;
    return v_held;
end
$$;

-- The one-item road of reserve_sends: the same rows in scalar steps, as few as there are rows.
create or replace function messaging.reserve_send(
    p_tenant uuid, p_token uuid, i messaging.outgoing, p_lease interval, p_now timestamptz
) returns messaging.outgoing
    language plpgsql as $$
declare
    v_shown boolean;
    v_due timestamptz;
    v_held messaging.hold;
    v_root uuid;
    v_count integer;
begin
    i.leased := false;
    if i.key is not null then
        insert into messaging.idempotency_keys as k (tenant_id, key, request_sha256, message_id,
            answer, lease_until, created_at, expires_at)
        values (p_tenant, i.key, decode(i.sha256, 'hex'), i.id, i.answer, p_now + p_lease, p_now,
            p_now + interval '7 days')
        on conflict (tenant_id, key) do update set request_sha256 = excluded.request_sha256,
            message_id = excluded.message_id, answer = excluded.answer,
            lease_until = excluded.lease_until, created_at = excluded.created_at,
            expires_at = excluded.expires_at
            where k.expires_at <= p_now;
        if not found then
            i.reserved := false;
            return i;
        end if;
    end if;
    i.reserved := true;

    -- The contact of the question may have been merged since.
    select c.merged_into into v_root
    from messaging.contacts as c where c.tenant_id = p_tenant and c.id = i.contact;
    if v_root is not null then
        i.contact := v_root;
    elsif i.contact is null then
        insert into messaging.contact_identifiers as d (tenant_id, kind, value, contact_id, created_at)
        values (p_tenant, 'phone', i.phone, i.new_contact, p_now)
        on conflict (tenant_id, kind, value) do update set value = excluded.value
        returning d.contact_id into i.contact;
        if i.contact = i.new_contact then
            insert into messaging.contacts (tenant_id, id, phone_number, created_at, updated_at)
            values (p_tenant, i.contact, '+' || i.phone, p_now, p_now);
        end if;
    end if;

    if i.cap is not null and i.state <> 'denied' then
        i := (messaging.apply_caps(p_tenant, array[i], p_now))[1];
    end if;
    v_shown := i.state <> 'denied';

    insert into messaging.whatsapp_conversations as c (tenant_id, id, account_id, contact_id,
        message_count, last_message_at, last_message_key, last_message_preview,
        last_message_direction, created_at, updated_at)
    values (p_tenant, i.new_conversation, i.account, i.contact, v_shown::integer,
        case when v_shown then p_now end, case when v_shown then i.id::text end,
        case when v_shown then i.preview end, case when v_shown then 'outbound' end, p_now, p_now)
    on conflict (tenant_id, account_id, contact_id) do update set
        message_count = c.message_count + excluded.message_count,
        last_message_key = case when messaging.outshines(excluded.last_message_at, c.last_message_at)
            then excluded.last_message_key else c.last_message_key end,
        last_message_preview = case when messaging.outshines(excluded.last_message_at, c.last_message_at)
            then excluded.last_message_preview else c.last_message_preview end,
        last_message_direction = case when messaging.outshines(excluded.last_message_at, c.last_message_at)
            then excluded.last_message_direction else c.last_message_direction end,
        last_message_at = greatest(c.last_message_at, excluded.last_message_at),
        updated_at = p_now
    returning c.id, c.message_count into i.conversation, v_count;

    if i.state <> 'denied' then
        i.leased := i.lease and not exists (select from messaging.send_attempts as o
            where o.tenant_id = p_tenant and o.lane = i.conversation and o.phase <> 'unconfirmed'
                and (o.lease_token is not null
                    or (o.priority <= i.priority
                        and messaging.holds_lane(o, p_now))));
        v_due := coalesce(i.due_at, p_now);
        if i.leased then
            -- In a short thread within its window it is over no limit but the number's.
            if v_count > 30 or i.outside then
                v_held := (messaging.book_sends(p_tenant, array[row(i.id, i.account, i.conversation,
                    i.contact, i.priority, coalesce(i.outside, false))::messaging.booking], p_now))[1];
            else
                v_held := messaging.book_send(p_tenant, i.id, i.account, i.priority, p_now);
            end if;
            if v_held.id is not null then
                i.leased := false;
                v_due := v_held.until;
                i.decision := coalesce(i.decision, '[]') || messaging.held_entry(
                    v_held.reason, v_held.until, i.kind, 1, p_now);
            end if;
        end if;
        -- Both loops end: a lane that a worker takes between our look and our insert leaves the
        -- attempt unleased, and unleased ones never collide.
        loop
            insert into messaging.send_attempts (tenant_id, message_id, account_id, contact_id,
                conversation_id, lane, kind, priority, phase, lease_token, lease_until, due_at,
                expires_at, intent_at, recipient, recipient_kind, created_at, held_by, template_id)
            values (p_tenant, i.id, i.account, i.contact, i.conversation, i.conversation, i.kind,
                i.priority, case when i.leased then i.state else 'pending' end,
                case when i.leased then p_token end, case when i.leased then p_now + p_lease end,
                v_due, i.expires_at,
                case when i.leased and i.state = 'sending' then p_now end, i.recipient,
                i.recipient_kind, p_now, v_held.reason, i.template)
            on conflict (tenant_id, lane) where lease_token is not null do nothing;
            exit when found;
            i.leased := false;
        end loop;
        if not i.leased then
            i.state := 'pending';
        end if;
    end if;

    insert into messaging.whatsapp_messages (tenant_id, id, account_id, conversation_id, contact_id,
        wa_context_id, direction, origin, origin_id, message_type, content, metadata, status,
        status_rank, decision, category, notification_category, urgent, expires_at, occurred_at,
        created_at, updated_at)
    values (p_tenant, i.id, i.account, i.conversation, i.contact, i.context, 'outbound', i.origin,
        i.origin_id, i.type, i.content, coalesce(i.metadata, '{}'), i.state,
        messaging.status_rank(i.state), i.decision, i.category, i.notification_category,
        coalesce(i.urgent, false), i.expires_at, p_now, p_now, p_now);
    return i;
end
$$;

-- The one-item road of advance_sends, likewise.
create or replace function messaging.settle_send(
    p_tenant uuid, p_token uuid, s messaging.settlement, p_now timestamptz
) returns messaging.step
    language plpgsql as $$
declare
    r messaging.step;
    v_stood boolean := false;
    v_falls boolean := s.result = 'retry';
    v_target text := case s.result when 'retry' then 'pending' else s.result end;
    v_rank smallint := messaging.status_rank(v_target);
begin
    if s.key is not null then
        update messaging.idempotency_keys as k set answer = s.answer
        where k.tenant_id = p_tenant and k.key = s.key and k.message_id = s.id and k.answer is null;
    end if;
    if s.wamid is not null then
        insert into messaging.message_keys as k
            (tenant_id, account_id, wa_message_id, message_id, created_at)
        values (p_tenant, s.account, s.wamid, s.id, p_now)
        on conflict (account_id, wa_message_id)
            do update set message_id = coalesce(k.message_id, excluded.message_id)
        returning k.xmax <> 0 into v_stood;
    end if;
    if s.wa_id is not null then
        insert into messaging.contact_identifiers (tenant_id, kind, value, contact_id, created_at)
        values (p_tenant, 'phone', s.wa_id, s.contact, p_now)
        on conflict (tenant_id, kind, value) do nothing;
    end if;

    perform 1 from messaging.whatsapp_messages as m
    where m.tenant_id = p_tenant and m.id = s.id for no key update;
    if s.result in ('accepted', 'failed') then
        with ended as (
            delete from messaging.send_attempts as a
            where a.tenant_id = p_tenant and a.message_id = s.id and a.lease_token = p_token
                and a.phase = 'sending'
            returning a.contact_id, a.recipient, a.attempt
        )
        insert into messaging.delivery_logs (tenant_id, id, message_id, contact_id, channel,
            recipient, attempt, status, provider_response, error_code, error_message, created_at)
        select p_tenant, messaging.new_id(p_now), s.id, e.contact_id, 'whatsapp', e.recipient,
            e.attempt, s.result, s.response, s.code, s.message, p_now
        from ended as e;
    else
        update messaging.send_attempts as a
        set phase = case when v_falls then 'pending' else 'unconfirmed' end,
            lease_token = null, lease_until = null,
            due_at = p_now + coalesce(s.delay, 0) * interval '1 second',
            tries = a.tries + (v_falls and not coalesce(s.keeps, false))::integer,
            settle_at = case when not v_falls then p_now + messaging.settle_time(a.kind) end
        where a.tenant_id = p_tenant and a.message_id = s.id and a.lease_token = p_token
            and a.phase = 'sending';
    end if;
    if not found then
        -- Fenced: only the id that Meta gave is kept.
        update messaging.whatsapp_messages as m
        set wa_message_id = coalesce(m.wa_message_id, s.wamid), updated_at = p_now
        where m.tenant_id = p_tenant and m.id = s.id
        returning m.id, 'fenced', m.status, m.wa_message_id into r;
    else
        update messaging.whatsapp_messages as m
        set wa_message_id = coalesce(m.wa_message_id, s.wamid),
            status = case when messaging.moves(m.status_rank, v_rank, v_falls)
                then v_target else m.status end,
            status_rank = case when messaging.moves(m.status_rank, v_rank, v_falls)
                then v_rank else m.status_rank end,
            accepted_at = case when v_target = 'accepted'
                then coalesce(m.accepted_at, p_now) else m.accepted_at end,
            failed_at = case when v_target = 'failed'
                then least(m.failed_at, p_now) else m.failed_at end,
            error_code = case when messaging.explains(v_target,
                    messaging.moves(m.status_rank, v_rank, v_falls), p_now, s.errors, m.failed_at, m.errors)
                then s.code else m.error_code end,
            error_message = case when messaging.explains(v_target,
                    messaging.moves(m.status_rank, v_rank, v_falls), p_now, s.errors, m.failed_at, m.errors)
                then s.message else m.error_message end,
            errors = case when messaging.explains(v_target,
                    messaging.moves(m.status_rank, v_rank, v_falls), p_now, s.errors, m.failed_at, m.errors)
                then s.errors else m.errors end,
            retry_count = m.retry_count + v_falls::integer,
            updated_at = p_now
        where m.tenant_id = p_tenant and m.id = s.id
        returning m.id, 'settled', m.status, m.wa_message_id into r;
    end if;
    if v_stood then
        perform messaging.apply_status_events(p_tenant, s.account, array[s.wamid], p_now);
    end if;
    return r;
end
$$;

-- What a leased attempt needs to be asked about and sent. (load_sends of sql/0006 serves a release that
-- is rolled back to.)
-- Made anew at once, with one column more: who names the columns sees no difference.
-- squawk-ignore ban-drop-function
drop function messaging.load_attempts(uuid, uuid, uuid[], timestamptz);
create function messaging.load_attempts(
    p_tenant uuid, p_token uuid, p_messages uuid[], p_now timestamptz default null
)
    returns table (message_id uuid, attempt smallint, account_id uuid, contact_id uuid, kind text,
        recipient text, recipient_kind text, tries smallint, expires_at timestamptz,
        message_type text, content jsonb, context text, metadata jsonb, phone_number_id text,
        tenant_active boolean,
        tenant_stopped boolean, number_active boolean, number_status text, number_stopped boolean,
        access_token bytea, is_blocked boolean, window_expires_at timestamptz, at timestamptz,
        paused_until timestamptz, paused_reason text, last_inbound_at timestamptz,
        opted_out_at timestamptz, confirms_consent boolean, template jsonb, person jsonb,
        notification_category text, urgent boolean,
        priority smallint)
    language plpgsql set plan_cache_mode = force_generic_plan
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
    set enable_material = off
    -- The joins as they are written: each by an index, whatever is known of the tables yet.
    set join_collapse_limit = 1 as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
begin
    perform set_config('switchboard.tenant_id', p_tenant::text, true);
    return query
    select a.message_id, a.attempt, a.account_id, a.contact_id, a.kind, a.recipient,
        a.recipient_kind, a.tries, a.expires_at, m.message_type, m.content, m.wa_context_id,
        m.metadata, n.phone_number_id, t.is_active, t.sends_stopped_at is not null,
        messaging.is_number_active(n), n.status, n.sends_stopped_at is not null, n.access_token_sealed,
        r.is_blocked, v.window_expires_at, v_now, messaging.paused_until(n, v_now),
        messaging.paused_reason(n), v.last_inbound_at,
        case when r.opt_in_status = 'opted_out' then r.opted_out_at end,
        m.origin = 'automation' and r.opt_in_status = 'opted_out'
            and exists (select from messaging.consents as k
                where k.tenant_id = p_tenant and k.id = m.origin_id),
        -- By its name again: a template may have been stored since.
        case when a.kind <> 'reply' then messaging.stored_template(n, m.content ->> 'name',
            replace(m.content -> 'language' ->> 'code', '-', '_')) end,
        case when a.kind <> 'reply' then messaging.person_of(r, t, null) end,
        m.notification_category, m.urgent, a.priority
    from unnest(p_messages) as x(id)
    join messaging.send_attempts as a on a.tenant_id = p_tenant and a.message_id = x.id
    join messaging.whatsapp_messages as m on m.tenant_id = p_tenant and m.id = x.id
    join messaging.tenants as t on t.id = p_tenant
    join messaging.whatsapp_accounts as n on n.tenant_id = p_tenant and n.id = a.account_id
    join messaging.whatsapp_conversations as v
        on v.tenant_id = p_tenant and v.id = a.conversation_id
    -- A merge gives attempts the winner's id: it is the root.
    join messaging.contacts as r on r.tenant_id = p_tenant and r.id = a.contact_id
    where a.message_id = any (p_messages) and m.id = any (p_messages)
        and a.lease_token = p_token and a.phase = 'pending'
    order by a.seq;
end
$$;

-- One commit: settles a slice and marks the next one as intent.
-- p_settle, one per transmitted attempt (messaging.settlement): id message id, account, contact,
--   result (accepted | failed | retry | unconfirmed), wamid, wa_id (another phone form of the
--   contact that Meta told), code, message, errors, response, delay seconds (retry), key, answer
-- p_intent, one per attempt that is asked for (messaging.intention): id, verdict (allowed | denied |
--   expired | deferred), decision to append, due_at or delay in seconds (deferred), code, message
-- p_release: attempts whose lease is given back untouched.
-- Guard: what is not leased to p_token any more (the worker was too slow and the sweep or another
-- worker took over) changes no state, is not sent, and says `fenced`; the id that Meta gave is
-- recorded all the same, so that its statuses find the message.
-- The limits have the last word on what is allowed: what is over is `held`, put off with its lease
-- given back.
-- Returns a row per settled, intended or refused attempt: step (settled | fenced | intended | held |
-- closed), the message's status and Meta's id.
create or replace function messaging.advance_sends(
    p_tenant uuid, p_token uuid, p_settle jsonb, p_intent jsonb, p_release uuid[],
    p_lease interval, p_now timestamptz default null
)
    returns setof messaging.step
    language plpgsql set plan_cache_mode = force_generic_plan
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
    set enable_material = off as $$
#variable_conflict use_column
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_settle messaging.settlement[];
    v_intent messaging.intention[];
    v_ids uuid[];
    v_first uuid;
    v_last uuid;
    v_unsent uuid[];
    v_taken uuid[];
    v_doubted uuid[];
    v_sent uuid[];
    v_held uuid[];
    v_early text[];
    v_accounts uuid[];
    v_account uuid;
    v_held_back messaging.hold[] := '{}';
    v_hold messaging.hold;
    v_stale uuid[];
    k integer;
begin
    perform set_config('switchboard.tenant_id', p_tenant::text, true);
    if p_intent = '[]' and jsonb_array_length(p_settle) = 1 and cardinality(p_release) = 0 then
        return next messaging.settle_send(p_tenant, p_token,
            jsonb_populate_record(null::messaging.settlement, p_settle -> 0), v_now);
        return;
    end if;
    v_settle := array(select s from jsonb_populate_recordset(null::messaging.settlement, p_settle) as s);
    v_intent := array(select i from jsonb_populate_recordset(null::messaging.intention, p_intent) as i);

    if jsonb_path_exists(p_settle, '$[*].key') then
        update messaging.idempotency_keys as k set answer = s.answer
        from (select * from unnest(v_settle) as s where s.key is not null order by s.key) as s
        where k.tenant_id = p_tenant and k.key = s.key and k.message_id = s.id and k.answer is null;
    end if;
    -- The key row is what a status of the same message waits for or has left behind. xmax is set
    -- where the row stood already: then its events are applied below.
    if jsonb_path_exists(p_settle, '$[*].wamid') then
        with claimed as (
            insert into messaging.message_keys as k
                (tenant_id, account_id, wa_message_id, message_id, created_at)
            select p_tenant, s.account, s.wamid, s.id, v_now
            from unnest(v_settle) as s
            where s.wamid is not null
            order by s.account, s.wamid collate "C"
            on conflict (account_id, wa_message_id)
                do update set message_id = coalesce(k.message_id, excluded.message_id)
            returning k.account_id, k.wa_message_id, k.xmax <> 0 as stood
        )
        select array_agg(c.wa_message_id), array_agg(c.account_id) into v_early, v_accounts
        from claimed as c where c.stood;
    end if;
    if jsonb_path_exists(p_settle, '$[*].wa_id') then
        insert into messaging.contact_identifiers (tenant_id, kind, value, contact_id, created_at)
        select distinct on (s.wa_id) p_tenant, 'phone', s.wa_id, s.contact, v_now
        from unnest(v_settle) as s
        where s.wa_id is not null order by s.wa_id
        on conflict (tenant_id, kind, value) do nothing;
    end if;

    v_ids := array(select s.id from unnest(v_settle) as s union all
        select i.id from unnest(v_intent) as i order by 1);
    v_first := v_ids[1];
    v_last := v_ids[cardinality(v_ids)];
    -- A status that came meanwhile proves that an earlier attempt arrived: nothing more to send.
    -- And so does the id that a late worker has brought.
    select coalesce(array_agg(m.id) filter (where m.status = 'pending' and m.wa_message_id is null), '{}'),
        array_agg(m.id) filter (where m.status = 'pending' and m.wa_message_id is not null)
    into v_unsent, v_taken
    from (
        select m.id, m.status, m.wa_message_id from messaging.whatsapp_messages as m
        where m.tenant_id = p_tenant and m.id = any (v_ids) and m.id between v_first and v_last
        order by m.id for no key update
    ) as m;
    select coalesce(array_agg(a.message_id) filter (where a.phase = 'sending'), '{}'),
        coalesce(array_agg(a.message_id) filter (where a.phase = 'pending'), '{}'),
        coalesce(array_agg(a.message_id) filter (where a.attempt > 1), '{}')
    into v_sent, v_held, v_doubted
    from (select a.message_id, a.phase, a.attempt from messaging.send_attempts as a
        where a.tenant_id = p_tenant and a.message_id = any (v_ids || p_release)
            and a.lease_token = p_token
        order by a.message_id for update) as a;

    -- What has changed since it was decided goes back into the queue, where the whole policy is asked again:
    -- a stop, a pause, a person who is blocked or has said STOP, its end.
    if cardinality(v_held) > 0 and cardinality(v_intent) > 0 then
        v_stale := array(
            select a.message_id
            from unnest(v_intent) as i
            join messaging.send_attempts as a on a.tenant_id = p_tenant and a.message_id = i.id
            join messaging.tenants as t on t.id = p_tenant
            join messaging.whatsapp_accounts as n on n.tenant_id = p_tenant and n.id = a.account_id
            join messaging.contacts as r on r.tenant_id = p_tenant and r.id = a.contact_id
            where i.verdict = 'allowed' and i.id = any (v_held)
                and (a.expires_at <= v_now or t.sends_stopped_at is not null or not t.is_active
                    or n.sends_stopped_at is not null or not messaging.is_number_active(n)
                    or messaging.paused_until(n, v_now) is not null or r.is_blocked
                    -- Since it was decided: what the policy lets pass after a STOP (a code, an answer to who
                    -- wrote again) would be held back for ever.
                    or (r.opt_in_status = 'opted_out' and r.opted_out_at
                        > coalesce((i.decision -> 0 ->> 'at')::timestamptz, a.created_at))));
        for k in 1 .. cardinality(v_intent) loop
            if v_intent[k].id = any (v_stale) then
                v_intent[k].verdict := 'held';
                v_intent[k].due_at := v_now;
                v_intent[k].code := null;
                v_intent[k].decision := null;
            end if;
        end loop;
    end if;
    -- The limits, right before the bytes: what is over waits, with its reason.
    if cardinality(v_held) > 0 and cardinality(v_intent) > 0 then
        v_held_back := messaging.book_sends(p_tenant, array(
            select row(a.message_id, a.account_id, a.conversation_id, a.contact_id, a.priority,
                coalesce(i.outside, false))::messaging.booking
            from unnest(v_intent) with ordinality
                as i(id, verdict, decision, due_at, delay, code, message, key, answer, outside, kind,
                    template, ord)
            join messaging.send_attempts as a on a.tenant_id = p_tenant and a.message_id = i.id
            where i.verdict = 'allowed' and i.id = any (v_held) and i.id = any (v_unsent)
            order by i.ord), v_now);
        foreach v_hold in array v_held_back loop
            for k in 1 .. cardinality(v_intent) loop
                continue when v_intent[k].id <> v_hold.id;
                v_intent[k].verdict := 'held';
                v_intent[k].due_at := v_hold.until;
                v_intent[k].code := v_hold.reason;
                -- The bucket of a number empties many times a second: that is told once, when stored.
                v_intent[k].decision := case when v_hold.reason <> 'throughput'
                    then jsonb_build_array(messaging.held_entry(v_hold.reason, v_hold.until,
                        v_intent[k].kind, coalesce((v_intent[k].decision -> 0 ->> 'attempt')::integer, 1),
                        v_now)) end;
            end loop;
        end loop;
    end if;

    return query
    with x as materialized (
        select s.id, s.id = any (v_sent) as ours, s.wamid, s.code, s.message, s.errors,
            null::jsonb as decision, t.target, messaging.status_rank(t.target) as rank,
            s.result = 'retry' as falls,
            case when s.id = any (v_sent) then 'settled' else 'fenced' end as step
        from unnest(v_settle) as s
        cross join lateral (select case s.result when 'retry' then 'pending' else s.result end) as t(target)
        where s.id = any (v_sent) or s.wamid is not null
        union all
        select i.id, true, null, case when i.verdict <> 'held' then i.code end, i.message, null,
            i.decision, t.target, messaging.status_rank(t.target), false,
            case i.verdict when 'allowed' then 'intended' when 'held' then 'held' else 'closed' end
        from unnest(v_intent) as i
        cross join lateral (select case i.verdict when 'allowed' then 'sending'
            when 'deferred' then 'pending' when 'held' then 'pending'
            -- Not sent once more; the first may have arrived.
            else case when i.id = any (v_doubted) then 'undetermined' else i.verdict end
            end) as t(target)
        where i.id = any (v_held) and i.id = any (v_unsent)
        union all
        select i.id, true, null, null, null, null, null, 'accepted',
            messaging.status_rank('accepted'), false, 'closed'
        from unnest(v_intent) as i
        where i.id = any (v_held) and i.id = any (v_taken)
    )
    update messaging.whatsapp_messages as m
    set wa_message_id = coalesce(m.wa_message_id, x.wamid),
        status = case when x.ours and messaging.moves(m.status_rank, x.rank, x.falls)
            then x.target else m.status end,
        status_rank = case when x.ours and messaging.moves(m.status_rank, x.rank, x.falls)
            then x.rank else m.status_rank end,
        accepted_at = case when x.ours and x.target = 'accepted'
            then coalesce(m.accepted_at, v_now) else m.accepted_at end,
        failed_at = case when x.ours and x.target = 'failed'
            then least(m.failed_at, v_now) else m.failed_at end,
        error_code = case when x.ours and messaging.explains(x.target,
                messaging.moves(m.status_rank, x.rank, x.falls), v_now, x.errors, m.failed_at, m.errors)
            then x.code else m.error_code end,
        error_message = case when x.ours and messaging.explains(x.target,
                messaging.moves(m.status_rank, x.rank, x.falls), v_now, x.errors, m.failed_at, m.errors)
            then x.message else m.error_message end,
        errors = case when x.ours and messaging.explains(x.target,
                messaging.moves(m.status_rank, x.rank, x.falls), v_now, x.errors, m.failed_at, m.errors)
            then x.errors else m.errors end,
        decision = case when x.decision is null then m.decision
            else coalesce(m.decision, '[]') || x.decision end,
        retry_count = m.retry_count + (x.ours and x.falls)::integer,
        updated_at = v_now
    from x
    -- By its own ids as well as by the join: whatever the plan, only these rows are visited; the
    -- bounds leave out the partitions that hold none of them.
    where m.tenant_id = p_tenant and m.id = x.id
        and m.id = any (v_ids) and m.id between v_first and v_last
    returning m.id, x.step, m.status, m.wa_message_id,
        case x.step when 'held' then x.decision -> 0 end;

    if cardinality(v_settle) > 0 then
        perform messaging.end_attempts(p_tenant, v_settle, v_sent, v_now);
    end if;
    if cardinality(v_intent) > 0 then
        perform messaging.mark_attempts(p_tenant, v_intent, v_held, v_unsent, p_lease, v_now);
    end if;
    if cardinality(p_release) > 0 then
        update messaging.send_attempts as a set lease_token = null, lease_until = null
        where a.tenant_id = p_tenant and a.message_id = any (p_release)
            and a.message_id = any (v_held);
    end if;
    for v_account in select distinct e from unnest(v_accounts) as e order by e loop
        perform messaging.apply_status_events(p_tenant, v_account, v_early, v_now);
    end loop;
end
$$;
