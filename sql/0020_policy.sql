-- What the sending policy looks at, and Meta's limits.

alter table messaging.whatsapp_accounts
    -- Nothing goes out before; infinity: until somebody mends it. Ours, after what Meta answered.
    add column sends_paused_until timestamptz,
    add column sends_paused_reason text check (length(sends_paused_reason) <= 200),
    -- Shared with the WhatsApp Business app: 20 messages a second.
    add column is_coexistence boolean not null default false;

alter table messaging.whatsapp_business_accounts
    add column sends_paused_until timestamptz,
    add column sends_paused_reason text check (length(sends_paused_reason) <= 200);

-- How many marketing messages a person may get in so many hours; null: no cap.
alter table messaging.tenants
    add column marketing_cap smallint check (marketing_cap between 1 and 1000),
    add column marketing_cap_hours smallint not null default 168
        check (marketing_cap_hours between 1 and 8760);

-- Messages in a row that could not be delivered to a person (Meta's 131026). Nobody has a row before the
-- first; one that arrives, or a word of theirs, after last_at makes it count for nothing.
create table messaging.unreachable_contacts (
    tenant_id uuid not null,
    contact_id uuid not null,
    misses smallint not null default 1 check (misses > 0),
    last_at timestamptz not null,
    last_message_id uuid,
    primary key (tenant_id, contact_id),
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
        on delete cascade
);
call messaging.protect('messaging.unreachable_contacts', 'select, insert, update, delete');

-- Of two contacts that are one person: the later one's.
create function messaging.merge_unreachable_contacts_contact_id(
    p_tenant uuid, p_from uuid[], p_to uuid, p_now timestamptz
) returns void
    language sql
    begin atomic
    delete from messaging.unreachable_contacts as u
    where u.tenant_id = p_tenant and u.contact_id = any (p_to || p_from)
        and exists (select from messaging.unreachable_contacts as o
            where o.tenant_id = p_tenant and o.contact_id = any (p_to || p_from)
                and (o.last_at, o.contact_id) > (u.last_at, u.contact_id));
    end;

-- What a person wants to be told of; null: never decided. Who has no row has decided nothing.
create table messaging.notification_preferences (
    tenant_id uuid not null,
    contact_id uuid not null,
    trip_reminders boolean,
    booking_confirmations boolean,
    itinerary_updates boolean,
    budget_alerts boolean,
    ai_suggestions boolean,
    collaborator_updates boolean,
    marketing boolean,
    quiet_hours_enabled boolean not null default false,
    -- In the person's zone; an end before the start is on the next day, the same time is no hours.
    quiet_hours_start time,
    quiet_hours_end time,
    -- Null: contacts.timezone, else that of the number's country.
    timezone text check (length(timezone) between 1 and 64),
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, contact_id),
    check (not quiet_hours_enabled
        or (quiet_hours_start is not null and quiet_hours_end is not null)),
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
        on delete cascade
);
call messaging.protect('messaging.notification_preferences', 'select, insert, update, delete');
create trigger touch before update on messaging.notification_preferences
    for each row execute function messaging.touch();

-- Of two contacts that are one person: what was written down last.
create function messaging.merge_notification_preferences_contact_id(
    p_tenant uuid, p_from uuid[], p_to uuid, p_now timestamptz
) returns void
    language sql
    begin atomic
    delete from messaging.notification_preferences as p
    where p.tenant_id = p_tenant and p.contact_id = any (p_to || p_from)
        and exists (select from messaging.notification_preferences as o
            where o.tenant_id = p_tenant and o.contact_id = any (p_to || p_from)
                and (o.updated_at, o.contact_id) > (p.updated_at, p.contact_id));
    end;

-- When a person was sent marketing lately, for tenants with a cap: as long as the cap looks back.
create table messaging.marketing_sends (
    tenant_id uuid not null,
    contact_id uuid not null,
    sent_at timestamptz[] not null,
    primary key (tenant_id, contact_id),
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
        on delete cascade
) with (fillfactor = 80);
call messaging.protect('messaging.marketing_sends', 'select, insert, update, delete');

-- Of two contacts that are one person: all of both.
create function messaging.merge_marketing_sends_contact_id(
    p_tenant uuid, p_from uuid[], p_to uuid, p_now timestamptz
) returns void
    language plpgsql as $$
declare
    v_all timestamptz[];
begin
    select array_agg(t order by t) into v_all
    from messaging.marketing_sends as s cross join unnest(s.sent_at) as t
    where s.tenant_id = p_tenant and s.contact_id = any (p_to || p_from);
    if v_all is null then
        return;
    end if;
    delete from messaging.marketing_sends as s
    where s.tenant_id = p_tenant and s.contact_id = any (p_from);
    insert into messaging.marketing_sends (tenant_id, contact_id, sent_at)
    values (p_tenant, p_to, v_all)
    on conflict (tenant_id, contact_id) do update set sent_at = excluded.sent_at;
end
$$;

-- How many marketing messages of the last p_hours a person has had.
create function messaging.recent_sends(sent timestamptz[], hours integer, at timestamptz)
    returns integer
    language sql immutable parallel safe
    return (select count(*)::integer from unnest(sent) as s(t)
        where s.t > at - hours * interval '1 hour');

-- ------------------------------------------------------------------------------------ Meta's limits
-- Per number: messages a second, in and out together (130429). Per pair of number and person: one in
-- 6 s, a burst of 45 borrows from the future (131056). Per portfolio: people who are sent to outside
-- their window in any 24 hours. All are booked by the commit that marks attempts as intent, right
-- before the requests go out; what is over waits.

-- A number's bucket. All that was booked is paid for at paid_until; half a second of the rate may be
-- ahead of that: what Meta counts comes later than what we book, and not evenly.
create table messaging.send_limits (
    tenant_id uuid not null,
    account_id uuid not null,
    paid_until timestamptz not null default '-infinity',
    -- Received messages with ids below are booked.
    heard_until uuid,
    -- Learned from 130429: Meta allows less than the number's level says.
    learned_rate real check (learned_rate > 0),
    learned_at timestamptz,
    primary key (tenant_id, account_id),
    foreign key (tenant_id, account_id) references messaging.whatsapp_accounts (tenant_id, id)
        on delete cascade
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0.01);
call messaging.protect('messaging.send_limits', 'select, insert, update, delete');
create policy door on messaging.send_limits for select to door using (true);
grant select on messaging.send_limits to door;

-- Messages a second that a number may handle: 20 beside the Business app, 1,000 at the level HIGH, 80.
-- What 130429 taught holds for an hour.
create function messaging.rate_of(
    level text, coexistence boolean, learned real, learned_at timestamptz, at timestamptz
) returns real
    language sql immutable parallel safe
    return least(case when coexistence then 20 when level = 'HIGH' then 1000 else 80 end,
        case when learned_at > at - interval '1 hour' then learned end)::real;

-- Messages that a bucket allows now, at least 0.
create function messaging.tokens(paid_until timestamptz, rate real, at timestamptz) returns integer
    language sql immutable parallel safe
    return greatest(0, floor(rate * (0.5
        - extract(epoch from greatest(coalesce(paid_until, '-infinity'), at) - at)) + 0.0001))::integer;

-- Of them, those that only more urgent messages may take: bulk leaves three tenths of the bucket.
create function messaging.kept_back(priority smallint, rate real) returns integer
    language sql immutable parallel safe
    return floor(rate * 0.5 * case priority when 10 then 0 when 20 then 0.15 else 0.3 end)::integer;

-- How many attempts of a priority a worker may claim: none before a quarter of the bucket is there,
-- since many small slices cost more than one; a reply waits for nothing.
create function messaging.claimable(
    priority smallint, paid_until timestamptz, rate real, at timestamptz
) returns integer
    language sql immutable parallel safe
    return (select case when t.free >= case priority when 10 then 1 else greatest(1, floor(rate / 8)) end
            then t.free else 0 end::integer
        from (select messaging.tokens(paid_until, rate, at) - messaging.kept_back(priority, rate)
            as free) as t);

-- When that many are there.
create function messaging.claimable_at(
    priority smallint, paid_until timestamptz, rate real, at timestamptz
) returns timestamptz
    language sql immutable parallel safe
    return greatest(at, coalesce(paid_until, '-infinity') - interval '0.5 seconds'
        + interval '1 second' * ((messaging.kept_back(priority, rate)
            + case priority when 10 then 1 else greatest(1, floor(rate / 8)) end) / rate));

-- Books messages of one number, the most urgent first; p_wanted: of the priorities 10, 20, 30. Received
-- messages since the last booking are booked with them. Returns how many of each may go out now.
create function messaging.take_tokens(
    p_tenant uuid, p_account uuid, p_wanted integer[], p_now timestamptz,
    out granted integer[], out again_at timestamptz
)
    language plpgsql
    set enable_seqscan = off as $$
declare
    v_paid timestamptz;
    v_heard uuid;
    v_rate real;
    v_tokens integer;
    v_inbound integer;
    -- A moment late: by then intake has committed what it gave an id.
    v_since uuid := messaging.uuid_at(p_now - interval '1.25 seconds');
    v_until uuid := messaging.uuid_at(p_now - interval '0.25 seconds');
    v_priority smallint;
begin
    select l.paid_until, l.heard_until,
        messaging.rate_of(n.throughput, n.is_coexistence, l.learned_rate, l.learned_at, p_now)
    into v_paid, v_heard, v_rate
    from messaging.send_limits as l
    join messaging.whatsapp_accounts as n on n.tenant_id = l.tenant_id and n.id = l.account_id
    where l.tenant_id = p_tenant and l.account_id = p_account
    for no key update of l;
    if not found then
        insert into messaging.send_limits (tenant_id, account_id) values (p_tenant, p_account)
        on conflict (tenant_id, account_id) do nothing;
        select l.paid_until, l.heard_until,
            messaging.rate_of(n.throughput, n.is_coexistence, l.learned_rate, l.learned_at, p_now)
        into v_paid, v_heard, v_rate
        from messaging.send_limits as l
        join messaging.whatsapp_accounts as n on n.tenant_id = l.tenant_id and n.id = l.account_id
        where l.tenant_id = p_tenant and l.account_id = p_account
        for no key update of l;
    end if;
    -- Older ones are paid for already, whoever counted them.
    select count(*) into v_inbound
    from messaging.whatsapp_messages as m
    where m.tenant_id = p_tenant and m.id >= greatest(v_heard, v_since) and m.id < v_until
        and m.account_id = p_account and m.direction = 'inbound';
    v_paid := greatest(v_paid, p_now) + interval '1 second' * (v_inbound / v_rate);
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

-- Meta said 130429: the bucket is empty, and for an hour the number is taken to allow a fifth less.
create function messaging.throttle_number(p_tenant uuid, p_account uuid, p_now timestamptz)
    returns void
    language plpgsql as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
begin
    perform messaging.take_tokens(p_tenant, p_account, array[0, 0, 0], v_now);
    update messaging.send_limits as l
    set paid_until = greatest(l.paid_until, v_now + interval '0.5 seconds'),
        -- One refusal of a slice teaches as much as all of them.
        learned_rate = case when l.learned_at > v_now - interval '1 second' then l.learned_rate
            else greatest(5, 0.8 * messaging.rate_of(n.throughput, n.is_coexistence, l.learned_rate,
                l.learned_at, v_now)) end,
        learned_at = case when l.learned_at > v_now - interval '1 second' then l.learned_at
            else v_now end
    from messaging.whatsapp_accounts as n
    where l.tenant_id = p_tenant and l.account_id = p_account
        and n.tenant_id = p_tenant and n.id = p_account;
end
$$;

-- The bucket of a pair, by its thread: one message in 6 s, 44 at once. Kept from the thirtieth message on,
-- beginning with what the last minutes sent: shorter threads cannot be over.
create table messaging.pair_limits (
    tenant_id uuid not null,
    conversation_id uuid not null,
    paid_until timestamptz not null,
    primary key (tenant_id, conversation_id),
    foreign key (tenant_id, conversation_id)
        references messaging.whatsapp_conversations (tenant_id, id) on delete cascade
) with (fillfactor = 50);
call messaging.protect('messaging.pair_limits', 'select, insert, update, delete');

-- Of two threads that become one: the later.
create function messaging.merge_pair_limits_conversation_id(
    p_tenant uuid, p_from uuid[], p_to uuid, p_now timestamptz
) returns void
    language sql
    begin atomic
    delete from messaging.pair_limits as l
    where l.tenant_id = p_tenant and l.conversation_id = any (p_to || p_from)
        and exists (select from messaging.pair_limits as o
            where o.tenant_id = p_tenant and o.conversation_id = any (p_to || p_from)
                and (o.paid_until, o.conversation_id) > (l.paid_until, l.conversation_id));
    end;

-- When a pair may exchange another message; null: now.
create function messaging.pair_free_at(p_tenant uuid, p_conversation uuid, p_now timestamptz)
    returns timestamptz
    language sql stable
    begin atomic
    select l.paid_until - interval '258 seconds' from messaging.pair_limits as l
    where l.tenant_id = p_tenant and l.conversation_id = p_conversation
        and l.paid_until > p_now + interval '258 seconds';
    end;

-- Whom a portfolio was sent to outside a window, when it was counted last: for 24 hours free of charge.
create table messaging.portfolio_recipients (
    tenant_id uuid not null,
    -- The portfolio's id, or the WABA's where Meta never told it.
    portfolio text collate "C" not null,
    contact_id uuid not null,
    counted_at timestamptz not null,
    primary key (tenant_id, portfolio, contact_id),
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
        on delete cascade
) with (fillfactor = 90);
create index portfolio_recipients_old on messaging.portfolio_recipients (counted_at);
call messaging.protect('messaging.portfolio_recipients', 'select, insert, update, delete');

-- Of two contacts that are one person: the later count.
create function messaging.merge_portfolio_recipients_contact_id(
    p_tenant uuid, p_from uuid[], p_to uuid, p_now timestamptz
) returns void
    language sql
    begin atomic
    delete from messaging.portfolio_recipients as r
    where r.tenant_id = p_tenant and r.contact_id = any (p_to || p_from)
        and exists (select from messaging.portfolio_recipients as o
            where o.tenant_id = p_tenant and o.portfolio = r.portfolio
                and o.contact_id = any (p_to || p_from)
                and (o.counted_at, o.contact_id) > (r.counted_at, r.contact_id));
    end;

-- How many of them, by the ten minutes in which they were counted: 145 rows tell a day.
create table messaging.portfolio_counts (
    tenant_id uuid not null,
    portfolio text collate "C" not null,
    slot timestamptz not null,
    people integer not null,
    primary key (tenant_id, portfolio, slot),
    foreign key (tenant_id) references messaging.tenants (id) on delete cascade
) with (fillfactor = 50);
call messaging.protect('messaging.portfolio_counts', 'select, insert, update, delete');

-- People a day that Meta allows, by the words of its webhooks and its API; null: unlimited, or nobody
-- told (then Meta is the judge).
create function messaging.recipient_limit(limits jsonb, tier text) returns integer
    language sql immutable parallel safe
    return (
        select case
            when w.word ~ '^\d{1,9}$' then w.word::integer
            when w.word ~ '^TIER_\d{1,6}K$' then substring(w.word from '\d+')::integer * 1000
            when w.word ~ '^TIER_\d{1,9}$' then substring(w.word from '\d+')::integer end
        from (select coalesce(limits ->> 'max_daily_conversations_per_business', tier) as word) as w);

-- A portfolio's day: how many more people it may be sent to, and when the next room comes.
create function messaging.portfolio_room(
    p_tenant uuid, p_portfolio text, p_limit integer, p_now timestamptz,
    out room integer, out again_at timestamptz
)
    language sql stable
    begin atomic
    select p_limit - coalesce(sum(c.people), 0)::integer,
        -- A slot's people are free 24 hours after its end at the latest.
        min(c.slot) + interval '24 hours 10 minutes'
    from messaging.portfolio_counts as c
    where c.tenant_id = p_tenant and c.portfolio = p_portfolio and c.people > 0
        and c.slot > p_now - interval '24 hours 10 minutes';
    end;

-- Counts people of one portfolio, in the order given, as many as there is room for. Who was counted in the
-- last 24 hours needs no room, and is counted anew: a day begins with the last message. Returns those
-- who may be sent to.
create function messaging.book_recipients(
    p_tenant uuid, p_portfolio text, p_limit integer, p_contacts uuid[], p_now timestamptz,
    out admitted uuid[], out again_at timestamptz
)
    language plpgsql
    set enable_seqscan = off as $$
declare
    v_known uuid[];
    v_room integer;
begin
    -- One after another: two slices must not see the same room.
    perform pg_advisory_xact_lock(hashtextextended(p_tenant || p_portfolio, 20));
    v_known := array(select r.contact_id from messaging.portfolio_recipients as r
        where r.tenant_id = p_tenant and r.portfolio = p_portfolio
            and r.contact_id = any (p_contacts) and r.counted_at > p_now - interval '24 hours');
    select r.room, r.again_at into v_room, again_at
    from messaging.portfolio_room(p_tenant, p_portfolio, p_limit, p_now) as r;
    admitted := v_known || array(
        select c from unnest(p_contacts) with ordinality as u(c, ord) where c <> all (v_known)
        group by c order by min(ord) limit greatest(0, v_room));
    if admitted = '{}' then
        return;
    end if;
    with moved as (
        select date_bin('10 minutes', r.counted_at, 'epoch') as slot, -count(*)::integer as people
        from messaging.portfolio_recipients as r
        where r.tenant_id = p_tenant and r.portfolio = p_portfolio and r.contact_id = any (v_known)
        group by 1
        union all
        select date_bin('10 minutes', p_now, 'epoch'), cardinality(admitted)
    )
    insert into messaging.portfolio_counts as c (tenant_id, portfolio, slot, people)
    select p_tenant, p_portfolio, m.slot, sum(m.people) from moved as m
    group by m.slot having sum(m.people) <> 0 order by m.slot
    on conflict (tenant_id, portfolio, slot) do update
        set people = greatest(0, c.people + excluded.people);
    insert into messaging.portfolio_recipients (tenant_id, portfolio, contact_id, counted_at)
    select p_tenant, p_portfolio, c, p_now from unnest(admitted) as c order by c
    on conflict (tenant_id, portfolio, contact_id) do update set counted_at = excluded.counted_at;
end
$$;

-- Attempts that are about to go out, and what the limits say: no row, they may.
create type messaging.booking as (
    id uuid, account uuid, conversation uuid, contact uuid, priority smallint, outside boolean
);
create type messaging.hold as (id uuid, reason text, until timestamptz);

create function messaging.book_sends(
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
begin
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

-- A number's portfolio and the people a day that it may be sent to; people null: no limit is known.
create function messaging.portfolio_of(
    number messaging.whatsapp_accounts, out portfolio text, out people integer
)
    language sql stable
    begin atomic
    select coalesce(w.portfolio_id, w.waba_id),
        messaging.recipient_limit(w.limits, number.messaging_limit)
    from messaging.whatsapp_business_accounts as w
    where w.tenant_id = number.tenant_id and w.waba_id = number.waba_id;
    end;

-- Until when a number is held back by what Meta answered: its own pause or its account's; null: none.
-- The year 9999: nobody knows.
create function messaging.paused_until(number messaging.whatsapp_accounts, at timestamptz)
    returns timestamptz
    language sql stable
    begin atomic
    -- Not infinity: no clock of a caller's knows it.
    select case when p.until > at then least(p.until, '9999-12-31 00:00+00') end
    from messaging.whatsapp_business_accounts as w
    cross join lateral (
        select greatest(number.sends_paused_until, w.sends_paused_until) as until) as p
    where w.tenant_id = number.tenant_id and w.waba_id = number.waba_id;
    end;

-- The verdict that a message gets when a limit holds it back.
create function messaging.held_entry(
    reason text, until timestamptz, kind text, attempt integer, at timestamptz
) returns jsonb
    language sql stable parallel safe
    return jsonb_build_object('at', at, 'attempt', attempt, 'kind', kind, 'verdict', 'deferred',
        'reason', reason || '_limit', 'until', until, 'hint', case reason
            when 'pair' then 'one person gets at most 45 messages at once and one in 6 seconds'
            when 'portfolio' then 'as many people as Meta allows were written to in the last 24 hours'
            else 'the number sends as fast as Meta allows' end);
