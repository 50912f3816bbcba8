-- What Meta tells about business accounts, numbers, templates, Flows and groups.
--
-- A state is kept by aspects: {aspect: {"at": Meta's time in seconds, "v": value}}. Of two values the
-- greater (time, sha256 of the value) stays, so that any order and any repetition ends alike; a value
-- that came without a time counts as the oldest. Columns are what the aspects say.

-- The greater of both for every aspect.
create function messaging.merge_states(old jsonb, new jsonb) returns jsonb
    -- Not immutable: convert_to is stable.
    language sql stable parallel safe
    return (
        select coalesce(jsonb_object_agg(s.key, s.value), '{}')
        from (
            select distinct on (e.key) e.key, e.value
            from (select * from jsonb_each(old) union all select * from jsonb_each(new)) as e
            order by e.key, (e.value ->> 'at')::bigint desc,
                sha256(convert_to((e.value -> 'v')::text, 'UTF8')) desc
        ) as s);

create aggregate messaging.merged_states(jsonb) (
    sfunc = messaging.merge_states, stype = jsonb, initcond = '{}', parallel = safe
);

-- Values of one time as states.
create function messaging.states_at(told jsonb, at bigint) returns jsonb
    language sql immutable parallel safe
    return (select coalesce(jsonb_object_agg(t.key,
            jsonb_build_object('at', coalesce(at, 0), 'v', t.value)), '{}')
        from jsonb_each(told) as t);

-- The values that are other ones than before.
create function messaging.changed_states(old jsonb, new jsonb) returns jsonb
    language sql immutable parallel safe
    return (select coalesce(jsonb_object_agg(n.key, n.value -> 'v'), '{}')
        from jsonb_each(new) as n where old -> n.key is distinct from n.value);

alter table messaging.whatsapp_business_accounts
    add column states jsonb not null default '{}',
    add column deleted_at timestamptz,
    add column violation_type text,
    add column primary_country text,
    -- Nothing is sent before; infinity: until a reinstatement.
    add column sends_restricted_until timestamptz;

alter table messaging.whatsapp_accounts
    add column states jsonb not null default '{}',
    -- Meta's decision on the name that was asked for last.
    add column name_status text,
    add column username text,
    add column username_status text,
    -- Meta's settings by their type, such as phone_number_settings.
    add column meta_settings jsonb not null default '{}';

-- What the address book of a number's phone calls the person, and its time.
alter table messaging.contacts
    add column phone_book_name text,
    add column phone_book_name_at timestamptz;

-- Whether a number may send at all: neither it nor its business account is disabled here, and Meta
-- has not deleted, banned or restricted the account. A restriction ends by itself, a ban by REINSTATE;
-- what waited goes out then.
create or replace function messaging.is_number_active(number messaging.whatsapp_accounts)
    returns boolean
    language sql stable
    begin atomic
    select number.is_active and w.is_active and w.deleted_at is null
        and w.ban_state is distinct from 'DISABLE'
        and coalesce(w.sends_restricted_until <= clock_timestamp(), true)
    from messaging.whatsapp_business_accounts as w
    where w.tenant_id = number.tenant_id and w.waba_id = number.waba_id;
    end;

create table messaging.whatsapp_account_events (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    waba_id text not null,
    -- The number that it is about; null: the whole business account, or a number we do not have.
    account_id uuid,
    field text not null,
    event text not null,
    detail jsonb not null,
    -- Meta's time; null where it told none.
    occurred_at timestamptz,
    -- Of all of the above: what comes again is the same row.
    sha256 bytea not null check (length(sha256) = 32),
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    unique (tenant_id, sha256),
    foreign key (tenant_id, waba_id)
        references messaging.whatsapp_business_accounts (tenant_id, waba_id) on delete cascade,
    foreign key (tenant_id, account_id)
        references messaging.whatsapp_accounts (tenant_id, id) on delete cascade
);
create index whatsapp_account_events_newest
    on messaging.whatsapp_account_events (tenant_id, occurred_at desc, id);
call messaging.protect('messaging.whatsapp_account_events', 'select, insert, update, delete');

create table messaging.whatsapp_templates (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    waba_id text not null,
    name text not null,
    -- With `_`, as in Meta's API: its webhooks write `-` as well.
    language text not null check (language !~ '-'),
    states jsonb not null default '{}',
    -- Meta's id, a number there.
    template_id text generated always as (states -> 'id' ->> 'v') stored,
    status text generated always as (states -> 'status' -> 'v' ->> 'status') stored,
    status_at timestamptz
        generated always as (to_timestamp((states -> 'status' ->> 'at')::bigint)) stored,
    -- Its newest approval.
    approved_at timestamptz
        generated always as (to_timestamp((states -> 'approved' ->> 'at')::bigint)) stored,
    rejection_reason text generated always as (states -> 'status' -> 'v' ->> 'reason') stored,
    rejection_info jsonb generated always as (states -> 'status' -> 'v' -> 'rejection_info') stored,
    disable_info jsonb generated always as (states -> 'status' -> 'v' -> 'disable_info') stored,
    other_info jsonb generated always as (states -> 'status' -> 'v' -> 'other_info') stored,
    category text generated always as (states -> 'category' ->> 'v') stored,
    coming_category text generated always as (states -> 'coming' -> 'v' ->> 'category') stored,
    coming_category_at timestamptz
        generated always as (to_timestamp((states -> 'coming' -> 'v' ->> 'at')::bigint)) stored,
    correct_category text generated always as (states -> 'correct_category' ->> 'v') stored,
    quality_score text generated always as (coalesce(states -> 'quality' ->> 'v', 'UNKNOWN')) stored,
    -- Fetched from Meta, never put together from webhooks.
    components jsonb,
    components_fetched_at timestamptz,
    components_changed_at timestamptz
        generated always as (to_timestamp((states -> 'components' ->> 'at')::bigint)) stored,
    components_stale boolean not null generated always as (components_fetched_at is null
        or coalesce(components_fetched_at <= to_timestamp((states -> 'components' ->> 'at')::bigint),
            false)) stored,
    -- When and by whom it was submitted from here.
    submitted_at timestamptz,
    created_by uuid,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    unique (tenant_id, waba_id, name, language),
    foreign key (tenant_id, waba_id)
        references messaging.whatsapp_business_accounts (tenant_id, waba_id) on delete cascade,
    foreign key (tenant_id, created_by) references messaging.users (tenant_id, id)
        on delete set null (created_by)
);
comment on table messaging.whatsapp_templates is 'message templates as Meta decides on them';
comment on column messaging.whatsapp_templates.components is 'the template in Meta''s format';
call messaging.protect('messaging.whatsapp_templates', 'select, insert, update, delete');
create trigger touch before update on messaging.whatsapp_templates
    for each row execute function messaging.touch();

create table messaging.whatsapp_flows (
    tenant_id uuid not null,
    waba_id text not null,
    flow_id text not null,
    -- Each kind of alert is an aspect, `alert:<EVENT>`.
    states jsonb not null default '{}',
    -- DRAFT, PUBLISHED, DEPRECATED, BLOCKED (nothing goes out), THROTTLED (ten sends an hour).
    status text generated always as (states -> 'status' ->> 'v') stored,
    status_at timestamptz
        generated always as (to_timestamp((states -> 'status' ->> 'at')::bigint)) stored,
    last_alert jsonb generated always as (states -> 'last_alert' -> 'v') stored,
    last_alert_at timestamptz
        generated always as (to_timestamp((states -> 'last_alert' ->> 'at')::bigint)) stored,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, flow_id, waba_id),
    foreign key (tenant_id, waba_id)
        references messaging.whatsapp_business_accounts (tenant_id, waba_id) on delete cascade
);
call messaging.protect('messaging.whatsapp_flows', 'select, insert, update, delete');

-- What a group has besides its conversation.
create table messaging.whatsapp_groups (
    tenant_id uuid not null,
    conversation_id uuid not null,
    states jsonb not null default '{}',
    lifecycle text generated always as (states -> 'lifecycle' ->> 'v') stored,
    is_suspended boolean not null
        generated always as (coalesce((states -> 'suspended' ->> 'v')::boolean, false)) stored,
    invite_link text generated always as (states -> 'invite_link' ->> 'v') stored,
    join_approval_mode text generated always as (states -> 'join_approval_mode' ->> 'v') stored,
    picture jsonb generated always as (states -> 'picture' -> 'v') stored,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, conversation_id),
    foreign key (tenant_id, conversation_id)
        references messaging.whatsapp_conversations (tenant_id, id) on delete cascade
);
call messaging.protect('messaging.whatsapp_groups', 'select, insert, update');

-- The events of one kind, each with its business account and its number. Their documents:
-- {"f": field, "e": Meta's word, "x": what the log keeps, "s": {aspect: value}, "phones": forms of
-- the number's digits, "number": its phone_number_id, and what else names the subject}
create function messaging.read_told(p_tenant uuid, p_events jsonb)
    returns table (waba_id text, account_id uuid, named uuid, at bigint, field text, event text,
        shown jsonb, states jsonb, subject jsonb)
    language sql stable
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
    begin atomic
    select coalesce(n.waba_id, e.b), n.id, e.a, e.t, d.f, d.e, d.x, messaging.states_at(d.s, e.t),
        e.d
    from jsonb_to_recordset(p_events) as e(a uuid, b text, t bigint, d jsonb)
    cross join lateral jsonb_to_record(e.d)
        as d(f text, e text, x jsonb, s jsonb, phones text[], number text)
    left join lateral (
        select o.id, o.waba_id from messaging.whatsapp_accounts as o
        where o.tenant_id = p_tenant and case when e.a is not null then o.id = e.a
            else o.waba_id = e.b
                and (o.phone_number_id = d.number or o.phone_number = any (d.phones)) end
        order by o.phone_number limit 1
    ) as n on true;
    end;

-- Keeps each distinct event once. Returns how many are new.
create function messaging.log_account_events(p_tenant uuid, p_events jsonb, p_now timestamptz)
    returns integer
    language sql
    begin atomic
    with put as (
        insert into messaging.whatsapp_account_events as l (tenant_id, waba_id, account_id, field,
            event, detail, occurred_at, sha256, created_at)
        select distinct on (h.hash) p_tenant, r.waba_id, r.account_id, r.field, r.event, r.shown,
            to_timestamp(r.at), h.hash, p_now
        from messaging.read_told(p_tenant, p_events) as r
        cross join lateral (select sha256(convert_to(jsonb_build_array(r.waba_id, r.named, r.at,
            r.field, r.event, r.shown)::text, 'UTF8')) as hash) as h
        order by h.hash
        -- The number may have been registered since.
        on conflict (tenant_id, sha256) do update set account_id = excluded.account_id
            where l.account_id is null and excluded.account_id is not null
        returning l.xmax = 0 as new
    )
    select count(*) filter (where put.new)::integer from put;
    end;

-- What has no state here: alerts, PINs, handovers, copies of other apps' messages.
create function messaging.event_account_event(p_tenant uuid, p_events jsonb, p_now timestamptz)
    returns integer
    language sql
    return messaging.log_account_events(p_tenant, p_events, p_now);

-- Aspects: review, ban, reinstated, restriction:<type>, deleted, violation, primary_country, limits,
-- volume_tier:<category>:<region>, auth_international_rate, payment:<name>, partner, …
create function messaging.event_business_account(
    p_tenant uuid, p_events jsonb, p_now timestamptz
) returns integer
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    perform 1 from messaging.whatsapp_business_accounts as w
    where w.tenant_id = p_tenant and w.waba_id = any (array(
        select r.waba_id from messaging.read_told(p_tenant, p_events) as r))
    order by w.waba_id for no key update;

    update messaging.whatsapp_business_accounts as w
    set states = m.states,
        review_status = m.states -> 'review' ->> 'v',
        ban_state = m.states -> 'ban' -> 'v' ->> 'state',
        ban_date = m.states -> 'ban' -> 'v' ->> 'date',
        deleted_at = to_timestamp((m.states -> 'deleted' ->> 'at')::bigint),
        violation_type = m.states -> 'violation' -> 'v' ->> 'violation_type',
        primary_country = m.states -> 'primary_country' ->> 'v',
        limits = coalesce(m.states -> 'limits' -> 'v', '{}'),
        restrictions = messaging.restrictions_of(m.states),
        sends_restricted_until = messaging.restricted_until(m.states)
    from (
        select o.waba_id, messaging.merge_states(o.states, t.states) as states
        from (
            select r.waba_id, messaging.merged_states(r.states) as states
            from messaging.read_told(p_tenant, p_events) as r group by r.waba_id
        ) as t
        join messaging.whatsapp_business_accounts as o
            on o.tenant_id = p_tenant and o.waba_id = t.waba_id
        order by o.waba_id
    ) as m
    where w.tenant_id = p_tenant and w.waba_id = m.waba_id and w.states <> m.states;
    return messaging.log_account_events(p_tenant, p_events, p_now);
end
$$;

-- The restrictions that no reinstatement has lifted, whether or not they are over.
create function messaging.restrictions_of(states jsonb) returns jsonb
    language sql immutable parallel safe
    return (
        select coalesce(jsonb_agg(jsonb_build_object(
            'restriction_type', substr(r.key, length('restriction:') + 1),
            'expiration', r.value -> 'v' -> 'expiration', 'at', r.value -> 'at') order by r.key), '[]')
        from jsonb_each(states) as r
        where starts_with(r.key, 'restriction:')
            and (r.value ->> 'at')::bigint > coalesce((states -> 'reinstated' ->> 'at')::bigint, -1));

-- Until when nothing may be sent for restrictions; one without an end lasts until a reinstatement.
create function messaging.restricted_until(states jsonb) returns timestamptz
    language sql immutable parallel safe
    return (
        select max(coalesce(to_timestamp((r ->> 'expiration')::bigint), 'infinity'::timestamptz))
        from jsonb_array_elements(messaging.restrictions_of(states)) as r
        where r ->> 'restriction_type' in
            ('RESTRICTED_BIZ_INITIATED_MESSAGING', 'RESTRICTED_CUSTOMER_INITIATED_MESSAGING'));

-- Aspects: quality, throughput, messaging_limit, name, verified_name, username, settings:<type>.
-- A number that we do not have is the event's fault: it is kept as a dead letter for its time.
create function messaging.event_number(p_tenant uuid, p_events jsonb, p_now timestamptz)
    returns integer
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    if exists (select from messaging.read_told(p_tenant, p_events) as r where r.account_id is null)
    then
        raise foreign_key_violation using message = 'the business account has no such number';
    end if;
    perform 1 from messaging.whatsapp_accounts as n
    where n.tenant_id = p_tenant and n.id = any (array(
        select r.account_id from messaging.read_told(p_tenant, p_events) as r))
    order by n.id for no key update;

    -- Only what changes is written: the rest may be known better from elsewhere.
    update messaging.whatsapp_accounts as n
    set states = m.states,
        quality_rating = coalesce(m.changed ->> 'quality', n.quality_rating),
        throughput = coalesce(m.changed ->> 'throughput', n.throughput),
        messaging_limit = coalesce(m.changed ->> 'messaging_limit', n.messaging_limit),
        verified_name = coalesce(m.changed ->> 'verified_name', n.verified_name),
        name_status = coalesce(m.changed -> 'name' ->> 'decision', n.name_status),
        username = case when m.changed ? 'username' then m.changed -> 'username' ->> 'username'
            else n.username end,
        username_status = case when m.changed ? 'username' then m.changed -> 'username' ->> 'status'
            else n.username_status end,
        meta_settings = n.meta_settings || (
            select coalesce(jsonb_object_agg(substr(s.key, length('settings:') + 1), s.value), '{}')
            from jsonb_each(m.changed) as s where starts_with(s.key, 'settings:'))
    from (
        select o.id, f.states, messaging.changed_states(o.states, f.states) as changed
        from (
            select r.account_id, messaging.merged_states(r.states) as states
            from messaging.read_told(p_tenant, p_events) as r group by r.account_id
        ) as t
        join messaging.whatsapp_accounts as o on o.tenant_id = p_tenant and o.id = t.account_id
        cross join lateral (select messaging.merge_states(o.states, t.states) as states) as f
        order by o.id
    ) as m
    where n.tenant_id = p_tenant and n.id = m.id and n.states <> m.states;
    return messaging.log_account_events(p_tenant, p_events, p_now);
end
$$;

-- A template that was not known is made by what is told of it first. Aspects: id, status, approved,
-- category, coming, correct_category, quality, components.
create function messaging.event_template(p_tenant uuid, p_events jsonb, p_now timestamptz)
    returns integer
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    insert into messaging.whatsapp_templates as t
        (tenant_id, waba_id, name, language, states, created_at, updated_at)
    select p_tenant, r.waba_id, r.subject ->> 'name', r.subject ->> 'language',
        messaging.merged_states(r.states), p_now, p_now
    from messaging.read_told(p_tenant, p_events) as r
    group by r.waba_id, r.subject ->> 'name', r.subject ->> 'language'
    order by r.waba_id, r.subject ->> 'name', r.subject ->> 'language'
    on conflict (tenant_id, waba_id, name, language) do update
        set states = messaging.merge_states(t.states, excluded.states)
        where messaging.merge_states(t.states, excluded.states) <> t.states;
    return messaging.log_account_events(p_tenant, p_events, p_now);
end
$$;

-- Aspects: status, alert:<EVENT>, last_alert.
create function messaging.event_flow(p_tenant uuid, p_events jsonb, p_now timestamptz)
    returns integer
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    insert into messaging.whatsapp_flows as f
        (tenant_id, waba_id, flow_id, states, created_at, updated_at)
    select p_tenant, r.waba_id, r.subject ->> 'flow', messaging.merged_states(r.states), p_now, p_now
    from messaging.read_told(p_tenant, p_events) as r
    group by r.waba_id, r.subject ->> 'flow'
    order by r.subject ->> 'flow', r.waba_id
    on conflict (tenant_id, flow_id, waba_id) do update
        set states = messaging.merge_states(f.states, excluded.states), updated_at = p_now
        where messaging.merge_states(f.states, excluded.states) <> f.states;
    return messaging.log_account_events(p_tenant, p_events, p_now);
end
$$;

-- The contacts of phone numbers (digits) and user ids, each named once, in their order; new ones are
-- made.
create function messaging.contacts_of(p_tenant uuid, p_ids text[], p_now timestamptz) returns uuid[]
    language sql
    return messaging.claim_contacts(p_tenant,
        (select jsonb_build_object(
            'p', jsonb_agg(case when i.id ~ '^[0-9]+$' then jsonb_build_object('ph', i.id)
                else '{}' end order by i.n),
            'i', jsonb_agg(jsonb_build_object('p', i.n - 1, 'r', 0, 'v', i.id,
                'k', case when i.id ~ '^[0-9]+$' then 'phone' else 'user_id' end) order by i.n))
        from unnest(p_ids) with ordinality as i(id, n)), p_now);

-- Aspects: subject, description, lifecycle, suspended, invite_link, join_approval_mode, picture. Of
-- people the newest coming and the newest leaving stay: who left last is out.
create function messaging.event_group(p_tenant uuid, p_events jsonb, p_now timestamptz)
    returns integer
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_people text[];
    v_contacts uuid[];
begin
    -- Contacts before conversations, as everywhere.
    select array_agg(distinct p.who order by p.who) into v_people
    from messaging.read_told(p_tenant, p_events) as r
    cross join lateral jsonb_to_recordset(r.subject -> 'people') as p(who text);
    if v_people is not null then
        v_contacts := messaging.contacts_of(p_tenant, v_people, p_now);
    end if;

    insert into messaging.whatsapp_conversations
        (tenant_id, id, account_id, group_id, created_at, updated_at)
    select p_tenant, gen_random_uuid(), r.account_id, r.subject ->> 'group', p_now, p_now
    from messaging.read_told(p_tenant, p_events) as r
    group by r.account_id, r.subject ->> 'group'
    order by r.account_id, r.subject ->> 'group'
    on conflict (tenant_id, account_id, group_id) do nothing;

    insert into messaging.whatsapp_groups as g
        (tenant_id, conversation_id, states, created_at, updated_at)
    select p_tenant, c.id, messaging.merged_states(r.states), p_now, p_now
    from messaging.read_told(p_tenant, p_events) as r
    join messaging.whatsapp_conversations as c on c.tenant_id = p_tenant
        and c.account_id = r.account_id and c.group_id = r.subject ->> 'group'
    group by c.id order by c.id
    on conflict (tenant_id, conversation_id) do update
        set states = messaging.merge_states(g.states, excluded.states), updated_at = p_now
        where messaging.merge_states(g.states, excluded.states) <> g.states;

    update messaging.whatsapp_conversations as c
    set subject = n.subject, description = n.description, updated_at = p_now
    from (
        select distinct o.id, g.states -> 'subject' ->> 'v' as subject,
            g.states -> 'description' ->> 'v' as description
        from messaging.read_told(p_tenant, p_events) as r
        join messaging.whatsapp_conversations as o on o.tenant_id = p_tenant
            and o.account_id = r.account_id and o.group_id = r.subject ->> 'group'
        join messaging.whatsapp_groups as g
            on g.tenant_id = p_tenant and g.conversation_id = o.id
        order by o.id
    ) as n
    where c.tenant_id = p_tenant and c.id = n.id
        and (c.subject, c.description) is distinct from (n.subject, n.description);

    insert into messaging.conversation_participants as p
        (tenant_id, conversation_id, participant, contact_id, type, joined_at, left_at, created_at)
    select p_tenant, c.id, k.who, v_contacts[array_position(v_people, k.who)], 'user',
        to_timestamp(max(r.at) filter (where k.came)), to_timestamp(max(r.at) filter (where not k.came)),
        p_now
    from messaging.read_told(p_tenant, p_events) as r
    cross join lateral jsonb_to_recordset(r.subject -> 'people') as k(who text, came boolean)
    join messaging.whatsapp_conversations as c on c.tenant_id = p_tenant
        and c.account_id = r.account_id and c.group_id = r.subject ->> 'group'
    group by c.id, k.who order by c.id, k.who
    on conflict (tenant_id, conversation_id, participant) do update
        set joined_at = greatest(p.joined_at, excluded.joined_at),
            left_at = greatest(p.left_at, excluded.left_at),
            contact_id = excluded.contact_id;
    return messaging.log_account_events(p_tenant, p_events, p_now);
end
$$;

-- Whether an entry of an address book is replaced: the greater (time, sha256 of the name) wins, and to
-- have been removed is a name like any other.
create function messaging.newer_entry(
    old_at timestamptz, old text, new_at timestamptz, new text
) returns boolean
    language sql stable parallel safe
    return new_at is not null and (old_at is null or old_at < new_at or (old_at = new_at
        and sha256(convert_to(coalesce(old, ''), 'UTF8'))
            < sha256(convert_to(coalesce(new, ''), 'UTF8'))));

-- Names from the address book of a number's phone. A name that staff gave stays.
create function messaging.event_address_book(p_tenant uuid, p_events jsonb, p_now timestamptz)
    returns integer
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_phones text[];
    v_contacts uuid[];
    v_count integer;
begin
    select array_agg(distinct r.subject ->> 'phone' order by r.subject ->> 'phone') into v_phones
    from messaging.read_told(p_tenant, p_events) as r;
    v_contacts := messaging.contacts_of(p_tenant, v_phones, p_now);

    update messaging.contacts as c
    set name = case when c.name is not distinct from c.phone_book_name then n.name else c.name end,
        phone_book_name = n.name, phone_book_name_at = n.at, updated_at = p_now
    from (
        select distinct on (k.contact_id) k.contact_id, r.subject ->> 'name' as name,
            to_timestamp(coalesce(r.at, 0)) as at
        from messaging.read_told(p_tenant, p_events) as r
        join unnest(v_phones, v_contacts) as k(phone, contact_id) on k.phone = r.subject ->> 'phone'
        order by k.contact_id, coalesce(r.at, 0) desc,
            sha256(convert_to(coalesce(r.subject ->> 'name', ''), 'UTF8')) desc
    ) as n
    where c.tenant_id = p_tenant and c.id = n.contact_id
        and messaging.newer_entry(c.phone_book_name_at, c.phone_book_name, n.at, n.name);
    get diagnostics v_count = row_count;
    return v_count;
end
$$;
