-- The send road of sql/0006 with the policy's facts and Meta's limits (sql/0020): the same functions,
-- whole, as they are from here on.

alter table messaging.send_attempts
    -- The limit that put it off. Such an attempt keeps its place in its lane.
    add column held_by text check (held_by in ('pair', 'throughput', 'portfolio')),
    -- The stored template, where there is one: what it holds back waits until Meta approves it again.
    add column template_id uuid;
-- The table is small: what waits, and nothing else.
-- squawk-ignore require-concurrent-index-creation
create index send_attempts_template on messaging.send_attempts (tenant_id, template_id)
    where due_at = 'infinity';

-- paused_until, paused_reason: of the number, after what Meta answered. last_inbound_at: of the thread.
-- opted_out_at: only of who is opted out now. pair_free_at, sendable_at: of the limits, null now.
-- template: {"id", "status", "category", "parameter_format", "components"} of a stored one. person, portfolio: of
-- templates only, see person_of and portfolio_of.
alter type messaging.asked
    add attribute paused_until timestamptz, add attribute paused_reason text,
    add attribute last_inbound_at timestamptz, add attribute opted_out_at timestamptz,
    add attribute pair_free_at timestamptz, add attribute sendable_at timestamptz,
    add attribute template jsonb, add attribute person jsonb, add attribute portfolio jsonb;

-- effects: documents of sql/0023 that are written with the message. template: the stored one's id. cap,
-- cap_hours: of marketing. outside: counts against the portfolio's people.
alter type messaging.outgoing
    add attribute effects jsonb, add attribute template uuid, add attribute cap integer,
    add attribute cap_hours integer, add attribute outside boolean;

-- decision: the verdict of the limits, or of the cap, where it is another than the caller's.
alter type messaging.reservation add attribute status text, add attribute decision jsonb;
alter type messaging.intention
    add attribute outside boolean, add attribute kind text, add attribute template uuid;
-- keeps: what held it up was not its own doing, and is no try.
alter type messaging.settlement add attribute keeps boolean;
-- decision: the verdict of a limit on what was allowed.
alter type messaging.step add attribute decision jsonb;

-- Whether an attempt that waits keeps later ones of its lane back: it is due, or comes in a moment after
-- it went out once (what Meta held up is no try, and yet comes first) or after a limit. What waits for
-- hours holds nobody up.
create function messaging.holds_lane(o messaging.send_attempts, at timestamptz) returns boolean
    language sql immutable parallel safe
    return o.due_at <= at or ((o.intent_at is not null or o.held_by in ('pair', 'throughput'))
        and o.due_at <= at + interval '5 minutes');

-- What the policy asks about a person who is sent a template. Without `at` what they were sent is not
-- counted. (Questions of their own, not joins: beyond eight tables the planner takes joins as written.)
create function messaging.person_of(
    c messaging.contacts, t messaging.tenants, at timestamptz
) returns jsonb
    language sql stable
    begin atomic
    select jsonb_build_object('opt_in', c.opt_in_status,
        'marketing_stopped', c.marketing_stopped_at is not null
            and coalesce(c.marketing_stopped_at >= c.marketing_resumed_at, true),
        'timezone', coalesce(p.timezone, c.timezone),
        'quiet', case when p.quiet_hours_enabled
            then jsonb_build_array(p.quiet_hours_start, p.quiet_hours_end) end,
        'wants', case when p.contact_id is not null then to_jsonb(p) end,
        'cap', t.marketing_cap, 'cap_hours', t.marketing_cap_hours,
        'marketing_sent', case when t.marketing_cap is not null and at is not null then (
            select messaging.recent_sends(s.sent_at, t.marketing_cap_hours, at)
            from messaging.marketing_sends as s
            where s.tenant_id = t.id and s.contact_id = c.id) end)
    from (values (1)) as one
    left join messaging.notification_preferences as p
        on p.tenant_id = t.id and p.contact_id = c.id;
    end;

-- What the policy asks about a template; null: it is not stored.
create function messaging.stored_template(
    n messaging.whatsapp_accounts, p_name text, p_language text
) returns jsonb
    language sql stable
    begin atomic
    select jsonb_build_object('id', t.id, 'status', t.status, 'category', t.category,
        'parameter_format', t.parameter_format,
        -- A copy that is out of date would refuse what fits.
        'components', case when not t.components_stale then t.components end)
    from messaging.whatsapp_templates as t
    where t.tenant_id = n.tenant_id and t.waba_id = n.waba_id and t.name = p_name
        and t.language = p_language;
    end;

create function messaging.paused_reason(number messaging.whatsapp_accounts) returns text
    language sql stable
    begin atomic
    select case when coalesce(w.sends_paused_until > number.sends_paused_until, true)
            and w.sends_paused_until is not null
        then w.sends_paused_reason else number.sends_paused_reason end
    from messaging.whatsapp_business_accounts as w
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
    set enable_hashjoin = off set enable_mergejoin = off
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
        and c.id = coalesce(i.contact, d.contact_id)
        and (c.deleted_at is null or i.contact is null)
    -- A merged contact's id answers for ever.
    left join messaging.contacts as r on r.tenant_id = p_tenant
        and r.id = coalesce(c.merged_into, c.id)
    left join messaging.whatsapp_conversations as v
        on v.tenant_id = p_tenant and v.account_id = a.id and v.contact_id = r.id
    left join messaging.idempotency_keys as k
        on k.tenant_id = p_tenant and k.key = i.key and k.expires_at > v_now;
end
$$;

-- When a number's bucket allows one more message at the priority of replies; null: now.
create function messaging.sendable_at(n messaging.whatsapp_accounts, at timestamptz)
    returns timestamptz
    language sql stable
    begin atomic
    select case when x.again > at then x.again end
    from messaging.send_limits as l
    cross join lateral (select messaging.claimable_at(10::smallint, l.paid_until,
        messaging.rate_of(n.throughput, n.is_coexistence, l.learned_rate, l.learned_at, at), at)
        as again) as x
    where l.tenant_id = n.tenant_id and l.account_id = n.id;
    end;

-- {"limit", "room", "again_at", "counted": whether this person costs nothing}; null: no limit.
create function messaging.portfolio_facts(
    n messaging.whatsapp_accounts, p_contact uuid, at timestamptz
) returns jsonb
    language sql stable
    return (select jsonb_build_object('limit', w.people, 'room', r.room, 'again_at', r.again_at,
            'counted', exists (select from messaging.portfolio_recipients as c
                where c.tenant_id = n.tenant_id and c.portfolio = w.portfolio
                    and c.contact_id = p_contact and c.counted_at > at - interval '24 hours'))
        from messaging.portfolio_of(n) as w
        cross join lateral messaging.portfolio_room(n.tenant_id, w.portfolio, w.people, at) as r
        where w.people is not null);

-- The one-item road of ask_sends.
create or replace function messaging.ask_send(p_tenant uuid, p_item jsonb, p_now timestamptz)
    returns messaging.asked
    language plpgsql as $$
declare
    r messaging.asked;
    v_contact uuid := p_item ->> 'contact';
    v_tenant messaging.tenants;
    v_number messaging.whatsapp_accounts;
    v_person messaging.contacts;
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
    select t.* into v_tenant from messaging.tenants as t where t.id = p_tenant;
    r.tenant_active := v_tenant.is_active;
    r.tenant_stopped := v_tenant.sends_stopped_at is not null;
    select a.* into v_number from messaging.whatsapp_accounts as a
    where a.tenant_id = p_tenant and a.phone_number_id = p_item ->> 'from';
    if found then
        r.account_id := v_number.id;
        r.phone_number_id := v_number.phone_number_id;
        r.number_status := v_number.status;
        r.number_stopped := v_number.sends_stopped_at is not null;
        r.access_token := v_number.access_token_sealed;
        r.number_active := messaging.is_number_active(v_number);
        r.paused_until := messaging.paused_until(v_number, p_now);
        if r.paused_until is not null then
            r.paused_reason := messaging.paused_reason(v_number);
        end if;
        r.sendable_at := messaging.sendable_at(v_number, p_now);
    end if;
    if v_contact is null then
        select d.contact_id into v_contact from messaging.contact_identifiers as d
        where d.tenant_id = p_tenant and d.kind = 'phone' and d.value = p_item ->> 'phone';
    end if;
    select c.* into v_person from messaging.contacts as c
    where c.tenant_id = p_tenant and c.id = v_contact
        and (c.deleted_at is null or p_item ->> 'contact' is null);
    if v_person.merged_into is not null then
        select c.* into v_person
        from messaging.contacts as c where c.tenant_id = p_tenant and c.id = v_person.merged_into;
    end if;
    r.contact_id := v_person.id;
    r.is_blocked := v_person.is_blocked;
    r.opted_out_at := case when v_person.opt_in_status = 'opted_out' then v_person.opted_out_at end;
    if p_item ->> 'phone' is null then
        r.known_phone := messaging.identifier_of(p_tenant, r.contact_id, 'phone');
        r.known_user_id := messaging.identifier_of(p_tenant, r.contact_id, 'user_id');
    end if;
    select v.id, v.window_expires_at, v.last_inbound_at, v.message_count
    into r.conversation_id, r.window_expires_at, r.last_inbound_at, v_count
    from messaging.whatsapp_conversations as v
    where v.tenant_id = p_tenant and v.account_id = r.account_id and v.contact_id = r.contact_id;
    if v_count >= 30 then
        r.pair_free_at := messaging.pair_free_at(p_tenant, r.conversation_id, p_now);
    end if;
    if p_item ->> 'template' is null then
        return r;
    end if;
    r.template := messaging.stored_template(
        v_number, p_item ->> 'template', p_item ->> 'language');
    r.person := messaging.person_of(v_person, v_tenant, p_now);
    r.portfolio := messaging.portfolio_facts(v_number, r.contact_id, p_now);
    return r;
end
$$;

-- Stores messages with their verdict and leases what may go out now. One call for any number.
-- `sending` is reserve and intent in one commit: the first slice goes out right after it.
-- Returns per item whether its key was free, its ids, and whether it is leased to p_token: a lane
-- in use leases nothing, the message waits as pending.
create or replace function messaging.reserve_sends(
    p_tenant uuid, p_token uuid, p_items jsonb, p_lease interval, p_now timestamptz default null
)
    returns setof messaging.reservation
    language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_one messaging.outgoing;
    v_items messaging.outgoing[];
begin
    perform set_config('switchboard.tenant_id', p_tenant::text, true);
    perform messaging.hold_contacts(p_tenant);
    if jsonb_array_length(p_items) = 1 then
        v_one := messaging.reserve_send(p_tenant, p_token,
            jsonb_populate_record(null::messaging.outgoing, p_items -> 0), p_lease, v_now);
        if v_one.reserved and v_one.effects is not null and v_one.state <> 'denied' then
            perform messaging.outgoing_effects(p_tenant, jsonb_build_array(jsonb_build_object(
                'm', v_one.id, 'a', v_one.account, 'c', v_one.contact, 'v', v_one.conversation,
                'e', v_one.effects)), v_now);
        end if;
        return query select v_one.n, v_one.reserved, v_one.contact, v_one.conversation,
            v_one.leased, v_one.state, v_one.decision;
        return;
    end if;
    v_items := array(select i from jsonb_populate_recordset(null::messaging.outgoing, p_items) as i);
    if jsonb_path_exists(p_items, '$[*].key') then
        v_items := messaging.claim_send_keys(p_tenant, v_items, p_lease, v_now);
    end if;
    -- A contact of the question may have been merged since.
    v_items := messaging.follow_merges(p_tenant, v_items);
    if jsonb_path_exists(p_items, '$[*].new_contact') then
        v_items := messaging.claim_recipients(p_tenant, v_items, v_now);
    end if;
    return query select * from messaging.store_sends(p_tenant, p_token, v_items, p_lease, v_now);
end
$$;

-- The one-item road of reserve_sends: the same rows in scalar steps.
create or replace function messaging.reserve_send(
    p_tenant uuid, p_token uuid, i messaging.outgoing, p_lease interval, p_now timestamptz
) returns messaging.outgoing
    language plpgsql as $$
declare
    v_shown boolean;
    v_due timestamptz;
    v_held messaging.hold;
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
    i.contact := messaging.contact_now(p_tenant, i.contact);
    if i.contact is null then
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
    returning c.id into i.conversation;

    if i.state <> 'denied' then
        i.leased := i.lease and not exists (select from messaging.send_attempts as o
            where o.tenant_id = p_tenant and o.lane = i.conversation and o.phase <> 'unconfirmed'
                and (o.lease_token is not null
                    or (o.priority <= i.priority
                        and messaging.holds_lane(o, p_now))));
        v_due := coalesce(i.due_at, p_now);
        if i.leased then
            v_held := (messaging.book_sends(p_tenant, array[row(i.id, i.account, i.conversation,
                i.contact, i.priority, coalesce(i.outside, false))::messaging.booking], p_now))[1];
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

-- Counts marketing against the cap of each person, in the order of the call; what is over is denied. A
-- message counts when it is stored: two calls at once cannot both use the last place.
create function messaging.apply_caps(
    p_tenant uuid, p_items messaging.outgoing[], p_now timestamptz
) returns messaging.outgoing[]
    language plpgsql as $$
declare
    v_order integer[];
    v_contacts uuid[];
    -- How many each of them has had, as text by contact.
    v_sent jsonb;
    v_more jsonb := '{}';
    v_contact text;
    v_hours integer;
    k integer;
begin
    select array_agg(i.ord order by i.ord), array_agg(distinct i.contact), max(i.cap_hours)
    into v_order, v_contacts, v_hours
    from (select u.ordinality::integer as ord, u.contact, u.cap_hours
        from unnest(p_items) with ordinality as u where u.cap is not null
            and u.state <> 'denied' and coalesce(u.reserved, true) and u.contact is not null) as i;
    if v_order is null then
        return p_items;
    end if;
    insert into messaging.marketing_sends (tenant_id, contact_id, sent_at)
    select p_tenant, c, '{}' from unnest(v_contacts) as c order by c
    on conflict (tenant_id, contact_id) do nothing;
    select jsonb_object_agg(s.contact_id, messaging.recent_sends(s.sent_at, v_hours, p_now))
    into v_sent
    from (select o.contact_id, o.sent_at from messaging.marketing_sends as o
        where o.tenant_id = p_tenant and o.contact_id = any (v_contacts)
        order by o.contact_id for no key update) as s;
    foreach k in array v_order loop
        v_contact := p_items[k].contact::text;
        if (v_sent ->> v_contact)::integer + coalesce((v_more ->> v_contact)::integer, 0)
            < p_items[k].cap
        then
            v_more := jsonb_set(v_more, array[v_contact],
                to_jsonb(coalesce((v_more ->> v_contact)::integer, 0) + 1));
        else
            p_items[k].state := 'denied';
            p_items[k].lease := false;
            p_items[k].decision := jsonb_build_array((p_items[k].decision -> 0)
                || jsonb_build_object('verdict', 'denied', 'reason', 'frequency_cap', 'hint',
                    'the person has had as much marketing as the tenant allows'));
        end if;
    end loop;
    -- No cap looks back further than the tenant's own hours.
    update messaging.marketing_sends as s
    set sent_at = array(select t from unnest(s.sent_at) as t
            where t > p_now - v_hours * interval '1 hour')
        || array_fill(p_now, array[m.value::integer])
    from jsonb_each_text(v_more) as m
    where s.tenant_id = p_tenant and s.contact_id = m.key::uuid;
    return p_items;
end
$$;

-- Makes the contacts of people never seen before. The loser of a race takes the winner's contact.
create or replace function messaging.claim_recipients(
    p_tenant uuid, p_items messaging.outgoing[], p_now timestamptz
) returns messaging.outgoing[]
    language plpgsql as $$
declare
    v_known jsonb;
    k integer;
begin
    with wanted as (
        select distinct on (i.phone) i.phone, i.new_contact from unnest(p_items) as i
        where i.contact is null and coalesce(i.reserved, true) order by i.phone
    ), known as (
        insert into messaging.contact_identifiers as d (tenant_id, kind, value, contact_id, created_at)
        select p_tenant, 'phone', wanted.phone, wanted.new_contact, p_now from wanted
        order by wanted.phone
        on conflict (tenant_id, kind, value) do update set value = excluded.value
        returning d.value, d.contact_id
    ), made as (
        insert into messaging.contacts (tenant_id, id, phone_number, created_at, updated_at)
        select p_tenant, known.contact_id, '+' || known.value, p_now, p_now
        from known join wanted on wanted.phone = known.value
            and wanted.new_contact = known.contact_id
        order by known.contact_id
    )
    select jsonb_object_agg(known.value, known.contact_id) into v_known from known;
    for k in 1 .. cardinality(p_items) loop
        if p_items[k].contact is null then
            p_items[k].contact := (v_known ->> p_items[k].phone)::uuid;
        end if;
    end loop;
    return p_items;
end
$$;

-- The set road of reserve_sends: conversations, attempts, messages, each once and sorted.
create or replace function messaging.store_sends(
    p_tenant uuid, p_token uuid, p_items messaging.outgoing[], p_lease interval, p_now timestamptz
)
    returns setof messaging.reservation
    language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
    v_conversations uuid[];
    v_numbers integer[];
    v_leasable boolean[];
    v_leased uuid[];
    v_held messaging.hold[] := '{}';
    v_hold messaging.hold;
    k integer;
begin
    if exists (select from unnest(p_items) as i where i.cap is not null) then
        p_items := messaging.apply_caps(p_tenant, p_items, p_now);
    end if;

    -- The thread shows the newest message that was not denied.
    with threads as (
        insert into messaging.whatsapp_conversations as c (tenant_id, id, account_id, contact_id,
            message_count, last_message_at, last_message_key, last_message_preview,
            last_message_direction, created_at, updated_at)
        select p_tenant, (array_agg(i.new_conversation order by i.n))[1], i.account, i.contact,
            count(*) filter (where i.state <> 'denied'),
            max(p_now) filter (where i.state <> 'denied'),
            (array_agg(i.id::text order by i.n desc) filter (where i.state <> 'denied'))[1],
            (array_agg(i.preview order by i.n desc) filter (where i.state <> 'denied'))[1],
            max('outbound') filter (where i.state <> 'denied'), p_now, p_now
        from unnest(p_items) as i
        where coalesce(i.reserved, true)
        group by i.account, i.contact order by i.account, i.contact
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
        returning c.id, c.account_id, c.contact_id
    )
    select array_agg(i.n order by i.n), array_agg(t.id order by i.n)
    into v_numbers, v_conversations
    from unnest(p_items) as i
    join threads as t on t.account_id = i.account and t.contact_id = i.contact
    where coalesce(i.reserved, true);

    -- One per lane may run: the first of this call, unless an open attempt is ahead of it. A
    -- statement of its own: it sees what others have committed before our locks were granted.
    select array_agg(x.turn = 1 and x.wanted and not exists (
            select from messaging.send_attempts as o
            where o.tenant_id = p_tenant and o.lane = x.conversation and o.phase <> 'unconfirmed'
                and (o.lease_token is not null
                    or (o.priority <= x.priority
                        and messaging.holds_lane(o, p_now)))
        ) order by x.n)
    into v_leasable
    from (
        select i.n, c.conversation, i.priority, i.lease and i.state <> 'denied' as wanted,
            row_number() over (
                partition by c.conversation, i.lease and i.state <> 'denied' order by i.n) as turn
        from unnest(p_items) as i
        join unnest(v_numbers, v_conversations) as c(n, conversation) on c.n = i.n
    ) as x;

    -- What goes out right after this commit is booked; of the rest no more is leased than the limits
    -- will allow soon.
    if true = any (v_leasable) then
        v_held := messaging.book_sends(p_tenant, array(
            select row(i.id, i.account, x.conversation, i.contact, i.priority,
                coalesce(i.outside, false))::messaging.booking
            from unnest(p_items) as i
            join unnest(v_numbers, v_conversations, v_leasable) as x(n, conversation, leasable)
                on x.n = i.n
            where x.leasable and i.state = 'sending' order by i.n), p_now);
        v_leasable := messaging.leasable_now(p_tenant, p_items, v_numbers, v_leasable, v_held, p_now);
        if cardinality(v_held) > 0 then
            for k in 1 .. cardinality(p_items) loop
                v_hold := null;
                select h.* into v_hold from unnest(v_held) as h where h.id = p_items[k].id;
                if v_hold.id is not null then
                    p_items[k].decision := coalesce(p_items[k].decision, '[]')
                        || messaging.held_entry(v_hold.reason, v_hold.until, p_items[k].kind, 1, p_now);
                end if;
            end loop;
        end if;
    end if;

    with placed as (
        insert into messaging.send_attempts (tenant_id, message_id, account_id, contact_id,
            conversation_id, lane, kind, priority, phase, lease_token, lease_until, due_at,
            expires_at, intent_at, recipient, recipient_kind, created_at, held_by, template_id)
        select p_tenant, i.id, i.account, i.contact, x.conversation, x.conversation, i.kind,
            i.priority, case when x.leasable then i.state else 'pending' end,
            case when x.leasable then p_token end, case when x.leasable then p_now + p_lease end,
            coalesce(h.until, i.due_at, p_now), i.expires_at,
            case when x.leasable and i.state = 'sending' then p_now end,
            i.recipient, i.recipient_kind, p_now, h.reason, i.template
        from unnest(p_items) as i
        join unnest(v_numbers, v_conversations, v_leasable) as x(n, conversation, leasable)
            on x.n = i.n
        left join unnest(v_held) as h on h.id = i.id
        where i.state <> 'denied'
        order by i.n
        on conflict (tenant_id, lane) where lease_token is not null do nothing
        returning message_id, lease_token is not null as leased
    )
    select coalesce(array_agg(p.message_id) filter (where p.leased), '{}') into v_leased
    from placed as p;
    -- A worker took a lane between our look and our insert: that message waits its turn.
    if cardinality(v_leased) < (select count(*) from unnest(v_leasable) as l where l) then
        insert into messaging.send_attempts (tenant_id, message_id, account_id, contact_id,
            conversation_id, lane, kind, priority, due_at, expires_at, recipient, recipient_kind,
            created_at, template_id)
        select p_tenant, i.id, i.account, i.contact, x.conversation, x.conversation, i.kind,
            i.priority, p_now, i.expires_at, i.recipient, i.recipient_kind, p_now, i.template
        from unnest(p_items) as i
        join unnest(v_numbers, v_conversations, v_leasable) as x(n, conversation, leasable)
            on x.n = i.n
        where x.leasable and i.id <> all (v_leased)
        order by i.n;
    end if;

    insert into messaging.whatsapp_messages (tenant_id, id, account_id, conversation_id, contact_id,
        wa_context_id, direction, origin, origin_id, message_type, content, metadata, status,
        status_rank, decision, category, notification_category, urgent, expires_at, occurred_at,
        created_at, updated_at)
    select p_tenant, i.id, i.account, x.conversation, i.contact, i.context, 'outbound', i.origin,
        i.origin_id, i.type, i.content, coalesce(i.metadata, '{}'), r.status, r.rank, i.decision,
        i.category, i.notification_category, coalesce(i.urgent, false), i.expires_at, p_now, p_now,
        p_now
    from unnest(p_items) as i
    join unnest(v_numbers, v_conversations) as x(n, conversation) on x.n = i.n
    -- Ranks once per call: status_rank() costs a function call per row.
    join (values ('pending', messaging.status_rank('pending')),
            ('sending', messaging.status_rank('sending')),
            ('denied', messaging.status_rank('denied'))) as r(status, rank)
        on r.status = case when i.state = 'sending' and i.id <> all (v_leased)
            then 'pending' else i.state end
    order by i.id;

    if exists (select from unnest(p_items) as i where i.effects is not null) then
        perform messaging.outgoing_effects(p_tenant, jsonb_agg(jsonb_build_object('m', i.id,
            'a', i.account, 'c', i.contact, 'v', x.conversation, 'e', i.effects)
            order by i.n), p_now)
        from unnest(p_items) as i
        join unnest(v_numbers, v_conversations) as x(n, conversation) on x.n = i.n
        where i.effects is not null and i.state <> 'denied'
        having count(*) > 0;
    end if;

    return query
    select i.n, coalesce(i.reserved, true), i.contact, x.conversation, i.id = any (v_leased),
        case when i.state = 'sending' and i.id <> all (v_leased) then 'pending' else i.state end,
        i.decision
    from unnest(p_items) as i
    left join unnest(v_numbers, v_conversations) as x(n, conversation) on x.n = i.n;
end
$$;

-- Which of the attempts of a call may be leased: what is held may not, and of what waits for a later
-- slice no more than the buckets hold; the rest is leased as they fill.
create function messaging.leasable_now(
    p_tenant uuid, p_items messaging.outgoing[], p_numbers integer[], p_leasable boolean[],
    p_held messaging.hold[], p_now timestamptz
) returns boolean[]
    language sql stable
    begin atomic
    select array_agg(x.leasable and x.id <> all (array(select h.id from unnest(p_held) as h))
        and (x.state = 'sending' or x.place <= messaging.tokens(l.paid_until, messaging.rate_of(
                n.throughput, n.is_coexistence, l.learned_rate, l.learned_at, p_now), p_now)
            - messaging.kept_back(x.priority, messaging.rate_of(
                n.throughput, n.is_coexistence, l.learned_rate, l.learned_at, p_now)))
        order by x.n)
    from (
        select i.n, i.id, i.account, i.state, i.priority, u.leasable,
            row_number() over (partition by i.account, u.leasable and i.state = 'pending'
                order by i.priority, i.n) as place
        from unnest(p_items) as i
        join unnest(p_numbers, p_leasable) as u(n, leasable) on u.n = i.n
    ) as x
    join messaging.whatsapp_accounts as n on n.tenant_id = p_tenant and n.id = x.account
    left join messaging.send_limits as l on l.tenant_id = p_tenant and l.account_id = x.account;
    end;

-- Leases attempts of this tenant's messages that are due and whose lane is free: what a caller
-- reserved a moment ago and could not lease because an earlier message of its lane was going out.
create or replace function messaging.lease_sends(
    p_tenant uuid, p_token uuid, p_messages uuid[], p_lease interval, p_now timestamptz default null
)
    returns setof uuid
    language plpgsql as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
begin
    perform set_config('switchboard.tenant_id', p_tenant::text, true);
    return query
    with free as materialized (
        select a.message_id, a.account_id, a.lane, a.priority, a.seq from messaging.send_attempts as a
        where a.tenant_id = p_tenant and a.message_id = any (p_messages) and a.phase = 'pending'
            and a.lease_token is null and a.due_at <= v_now
            and not exists (select from messaging.send_attempts as o
                where o.tenant_id = p_tenant and o.lane = a.lane and o.phase <> 'unconfirmed'
                    and o.message_id <> a.message_id and (o.lease_token is not null
                        or (o.seq < a.seq and o.priority <= a.priority and messaging.holds_lane(o, v_now))))
        order by a.seq
        for update of a skip locked
    ), heads as (
        select distinct on (f.lane) f.message_id, f.account_id, f.priority, f.seq
        from free as f order by f.lane, f.priority, f.seq
    ), rationed as (
        -- No more of a number than its bucket holds.
        select h.message_id
        from (select o.*, row_number() over (partition by o.account_id
            order by o.priority, o.seq) as place from heads as o) as h
        join messaging.whatsapp_accounts as n on n.tenant_id = p_tenant and n.id = h.account_id
        left join messaging.send_limits as l
            on l.tenant_id = p_tenant and l.account_id = h.account_id
        where h.place <= messaging.claimable(h.priority, l.paid_until, messaging.rate_of(
            n.throughput, n.is_coexistence, l.learned_rate, l.learned_at, v_now), v_now)
    )
    update messaging.send_attempts as a set lease_token = p_token, lease_until = v_now + p_lease
    from rationed where a.tenant_id = p_tenant and a.message_id = rationed.message_id
    returning a.message_id;
exception when unique_violation then
    return;
end
$$;

-- What a leased attempt needs to be asked about and sent. (load_sends of sql/0006 serves a release that
-- is rolled back to.)
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
        notification_category text, urgent boolean)
    language plpgsql set plan_cache_mode = force_generic_plan
    set enable_hashjoin = off set enable_mergejoin = off
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
        m.notification_category, m.urgent
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
    set enable_hashjoin = off set enable_mergejoin = off as $$
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
                    or (r.opt_in_status = 'opted_out' and r.opted_out_at > a.created_at)));
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

-- Marks the attempts of p_held (locked, `pending` and ours) by their verdicts; those of messages
-- that are denied, or need no sending any more (not in p_unsent), are over.
create or replace function messaging.mark_attempts(
    p_tenant uuid, p_intent messaging.intention[], p_held uuid[], p_unsent uuid[],
    p_lease interval, p_now timestamptz
) returns void
    language plpgsql as $$
begin
    update messaging.send_attempts as a
    set phase = case i.verdict when 'allowed' then 'sending' else 'pending' end,
        lease_token = case i.verdict when 'allowed' then a.lease_token end,
        lease_until = case i.verdict when 'allowed' then p_now + p_lease end,
        intent_at = case i.verdict when 'allowed' then p_now else a.intent_at end,
        due_at = coalesce(i.due_at, p_now + i.delay * interval '1 second', a.due_at),
        held_by = case i.verdict when 'held' then i.code end,
        template_id = coalesce(i.template, a.template_id)
    from unnest(p_intent) as i
    where a.tenant_id = p_tenant and a.message_id = i.id and i.id = any (p_held)
        and i.id = any (p_unsent) and i.verdict in ('allowed', 'deferred', 'held');

    if exists (select from unnest(p_intent) as i
            where i.verdict not in ('allowed', 'deferred', 'held') or i.id <> all (p_unsent)) then
        delete from messaging.send_attempts as a
        using unnest(p_intent) as i
        where a.tenant_id = p_tenant and a.message_id = i.id and i.id = any (p_held)
            and (i.verdict not in ('allowed', 'deferred', 'held') or i.id <> all (p_unsent));
    end if;
end
$$;

-- Ends the attempts of p_sent (locked, `sending` and ours) by their results.
create or replace function messaging.end_attempts(
    p_tenant uuid, p_settle messaging.settlement[], p_sent uuid[], p_now timestamptz
) returns void
    language plpgsql as $$
begin
    with finished as (
        delete from messaging.send_attempts as a
        using unnest(p_settle) as s
        where a.tenant_id = p_tenant and a.message_id = s.id and s.id = any (p_sent)
            and s.result in ('accepted', 'failed')
        returning a.message_id, a.contact_id, a.recipient, a.attempt, s.result, s.response, s.code,
            s.message
    )
    insert into messaging.delivery_logs (tenant_id, id, message_id, contact_id, channel, recipient,
        attempt, status, provider_response, error_code, error_message, created_at)
    select p_tenant, messaging.new_id(p_now), f.message_id, f.contact_id, 'whatsapp', f.recipient,
        f.attempt, f.result, f.response, f.code, f.message, p_now
    from finished as f;

    if exists (select from unnest(p_settle) as s where s.result in ('retry', 'unconfirmed')) then
        update messaging.send_attempts as a
        set phase = case s.result when 'retry' then 'pending' else 'unconfirmed' end,
            lease_token = null, lease_until = null,
            due_at = p_now + coalesce(s.delay, 0) * interval '1 second',
            tries = a.tries + (s.result = 'retry' and not coalesce(s.keeps, false))::integer,
            settle_at = case s.result when 'unconfirmed' then p_now + messaging.settle_time(a.kind) end
        from unnest(p_settle) as s
        where a.tenant_id = p_tenant and a.message_id = s.id and s.id = any (p_sent)
            and s.result in ('retry', 'unconfirmed');
    end if;
end
$$;

-- The one-item road of advance_sends, for a single message: the same rows in scalar steps.
create or replace function messaging.settle_send(
    p_tenant uuid, p_token uuid, s messaging.settlement, p_now timestamptz
) returns messaging.step
    language plpgsql as $$
declare
    r messaging.step;
    v_attempt messaging.send_attempts;
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
        delete from messaging.send_attempts as a
        where a.tenant_id = p_tenant and a.message_id = s.id and a.lease_token = p_token
            and a.phase = 'sending'
        returning a.* into v_attempt;
    else
        update messaging.send_attempts as a
        set phase = case when v_falls then 'pending' else 'unconfirmed' end,
            lease_token = null, lease_until = null,
            due_at = p_now + coalesce(s.delay, 0) * interval '1 second',
            tries = a.tries + (v_falls and not coalesce(s.keeps, false))::integer,
            settle_at = case when not v_falls then p_now + messaging.settle_time(a.kind) end
        where a.tenant_id = p_tenant and a.message_id = s.id and a.lease_token = p_token
            and a.phase = 'sending'
        returning a.* into v_attempt;
    end if;
    if v_attempt.message_id is null then
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
        if s.result in ('accepted', 'failed') then
            insert into messaging.delivery_logs (tenant_id, id, message_id, contact_id, channel,
                recipient, attempt, status, provider_response, error_code, error_message, created_at)
            values (p_tenant, messaging.new_id(p_now), s.id, v_attempt.contact_id, 'whatsapp',
                v_attempt.recipient, v_attempt.attempt, s.result, s.response, s.code, s.message, p_now);
        end if;
    end if;
    if v_stood then
        perform messaging.apply_status_events(p_tenant, s.account, array[s.wamid], p_now);
    end if;
    return r;
end
$$;

grant create on schema messaging to door;
set local role door;

-- The numbers that have attempts waiting: one step of the index for each, not one for every number.
create function messaging.numbers_with_sends() returns table (tenant_id uuid, account_id uuid)
    language sql stable security definer set search_path = pg_catalog, pg_temp
    begin atomic
    with recursive queued as (
        (select a.tenant_id, a.account_id from messaging.send_attempts as a
            where a.phase = 'pending' and a.lease_token is null
            order by a.tenant_id, a.account_id limit 1)
        union all
        select n.tenant_id, n.account_id
        from queued as q
        cross join lateral (
            select a.tenant_id, a.account_id from messaging.send_attempts as a
            where a.phase = 'pending' and a.lease_token is null
                and (a.tenant_id, a.account_id) > (q.tenant_id, q.account_id)
            order by a.tenant_id, a.account_id limit 1
        ) as n
    )
    select q.tenant_id, q.account_id from queued as q;
    end;

-- Leases up to p_limit due attempts: replies before bulk, tenants in turn, one per lane and in the
-- lane's order; nothing of a stopped or inactive tenant or number. An older attempt of the lane
-- holds it while it is due, running, or was tried and waits for its retry. Raises
-- serialization_failure when another worker took a lane at the same moment: claim again.
create or replace function messaging.claim_sends(
    p_token uuid, p_limit integer, p_lease interval, p_now timestamptz default null
)
    returns table (tenant_id uuid, message_id uuid)
    language plpgsql security definer set search_path = pg_catalog, pg_temp
    set join_collapse_limit = 1 as $$
#variable_conflict use_column
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
begin
    return query
    with found as materialized (
        select d.tenant_id, d.message_id, d.lane, d.priority, d.due_at, d.seq
        from messaging.numbers_with_sends() as q
        join messaging.whatsapp_accounts as n on n.tenant_id = q.tenant_id and n.id = q.account_id
        join messaging.tenants as t on t.id = n.tenant_id
        left join messaging.send_limits as l
            on l.tenant_id = n.tenant_id and l.account_id = n.id
        cross join (values (10::smallint), (20::smallint), (30::smallint)) as u(priority)
        cross join lateral (
            select a.tenant_id, a.message_id, a.lane, a.priority, a.due_at, a.seq
            from messaging.send_attempts as a
            where a.tenant_id = n.tenant_id and a.account_id = n.id and a.priority = u.priority
                and a.phase = 'pending' and a.lease_token is null and a.due_at <= v_now
                and not exists (select from messaging.send_attempts as o
                    where o.tenant_id = a.tenant_id and o.lane = a.lane
                        and o.phase <> 'unconfirmed' and o.message_id <> a.message_id
                        and (o.lease_token is not null or (o.seq < a.seq
                            and o.priority <= a.priority and messaging.holds_lane(o, v_now))))
            order by a.due_at, a.seq
            -- No more than the number's bucket will let out.
            limit least(p_limit, messaging.claimable(u.priority, l.paid_until, messaging.rate_of(
                n.throughput, n.is_coexistence, l.learned_rate, l.learned_at, v_now), v_now))
            for update skip locked
        ) as d
        where messaging.is_number_active(n) and n.sends_stopped_at is null
            and t.is_active and t.sends_stopped_at is null
            and messaging.paused_until(n, v_now) is null
    ), heads as (
        -- A reply and older bulk of one lane are both free to go, but not at once.
        select distinct on (f.tenant_id, f.lane) f.* from found as f
        order by f.tenant_id, f.lane, f.priority, f.seq
    ), fair as (
        select f.tenant_id, f.message_id from (
            select h.*, row_number() over (partition by h.tenant_id, h.priority
                order by h.due_at, h.seq) as turn
            from heads as h
        ) as f
        order by f.priority, f.turn, f.due_at limit p_limit
    )
    update messaging.send_attempts as a
    set lease_token = p_token, lease_until = v_now + p_lease
    from fair where a.tenant_id = fair.tenant_id and a.message_id = fair.message_id
    returning a.tenant_id, a.message_id;
exception when unique_violation then
    raise serialization_failure using message = 'another worker took the lane';
end
$$;

-- Seconds until an attempt may go out that cannot now: it is due soon, or its number's bucket fills.
-- Null: nothing within p_within seconds.
create function messaging.next_sends(p_within double precision, p_now timestamptz default null)
    returns double precision
    language plpgsql security definer set search_path = pg_catalog, pg_temp
    set join_collapse_limit = 1 as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_next timestamptz;
begin
    select min(greatest(d.due_at, messaging.claimable_at(u.priority, l.paid_until,
        messaging.rate_of(n.throughput, n.is_coexistence, l.learned_rate, l.learned_at, v_now),
        v_now)))
    into v_next
    from messaging.numbers_with_sends() as q
    join messaging.whatsapp_accounts as n on n.tenant_id = q.tenant_id and n.id = q.account_id
    join messaging.tenants as t on t.id = n.tenant_id
    left join messaging.send_limits as l on l.tenant_id = n.tenant_id and l.account_id = n.id
    cross join (values (10::smallint), (20::smallint), (30::smallint)) as u(priority)
    cross join lateral (
        select a.due_at from messaging.send_attempts as a
        where a.tenant_id = n.tenant_id and a.account_id = n.id and a.priority = u.priority
            and a.phase = 'pending' and a.lease_token is null
            -- Due already and not claimed: its lane is busy, unless the bucket is what it waits for.
            and a.due_at > case when messaging.claimable(u.priority, l.paid_until,
                messaging.rate_of(n.throughput, n.is_coexistence, l.learned_rate, l.learned_at,
                    v_now), v_now) = 0 then '-infinity' else v_now end
            and a.due_at < v_now + p_within * interval '1 second'
        order by a.due_at limit 1
    ) as d
    where messaging.is_number_active(n) and n.sends_stopped_at is null
        and t.is_active and t.sends_stopped_at is null
        and messaging.paused_until(n, v_now) is null;
    return case when v_next < v_now + p_within * interval '1 second'
        then greatest(0, extract(epoch from v_next - v_now)) end;
end
$$;

-- Gives back what a dead worker leased and never marked as intent, forgets idempotency keys whose
-- days are over, and tells which tenants have attempts to recover.
create or replace function messaging.sweep_sends(p_now timestamptz default null) returns setof uuid
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
begin
    update messaging.send_attempts as a set lease_token = null, lease_until = null
    from (select s.tenant_id, s.message_id from messaging.send_attempts as s
        where s.lease_token is not null and s.lease_until <= v_now and s.phase = 'pending'
        order by s.tenant_id, s.message_id for update skip locked) as s
    where a.tenant_id = s.tenant_id and a.message_id = s.message_id;
    delete from messaging.idempotency_keys as k
    using (select o.tenant_id, o.key from messaging.idempotency_keys as o
        where o.expires_at <= v_now order by o.tenant_id, o.key limit 10000
        for update skip locked) as o
    where k.tenant_id = o.tenant_id and k.key = o.key;
    -- Held by a template that was approved while it was being held, or that is gone.
    update messaging.send_attempts as a set due_at = v_now
    from (select o.tenant_id, o.message_id from messaging.send_attempts as o
        where o.due_at = 'infinity' and o.lease_token is null and not exists (
            select from messaging.whatsapp_templates as t
            where t.tenant_id = o.tenant_id and t.id = o.template_id
                and t.status in ('PAUSED', 'PENDING', 'IN_APPEAL'))
        order by o.tenant_id, o.message_id for update skip locked) as o
    where a.tenant_id = o.tenant_id and a.message_id = o.message_id;
    -- Nobody asks about people who were counted more than a day ago.
    delete from messaging.portfolio_recipients as r
    using (select o.tenant_id, o.portfolio, o.contact_id from messaging.portfolio_recipients as o
        where o.counted_at < v_now - interval '25 hours' order by o.counted_at limit 10000
        for update skip locked) as o
    where r.tenant_id = o.tenant_id and r.portfolio = o.portfolio and r.contact_id = o.contact_id;
    delete from messaging.portfolio_counts as c where c.slot < v_now - interval '25 hours';
    return query select distinct a.tenant_id from messaging.send_attempts as a
        where a.phase = 'unconfirmed'
            or (a.phase = 'sending' and a.lease_token is not null and a.lease_until <= v_now)
            or (a.phase = 'pending' and a.lease_token is null and a.expires_at <= v_now)
        order by 1;
end
$$;

revoke execute on function messaging.numbers_with_sends(),
    messaging.next_sends(double precision, timestamptz) from public;
grant execute on function messaging.numbers_with_sends(),
    messaging.next_sends(double precision, timestamptz) to app;
reset role;
revoke create on schema messaging from door;

-- What a template of Meta's holds back goes on when Meta approves it again, or refuses it for good: then
-- the policy says so. While an edited one is looked at it waits on.
create function messaging.release_sends() returns trigger
    language plpgsql as $$
begin
    update messaging.send_attempts as a set due_at = clock_timestamp()
    where a.tenant_id = new.tenant_id and a.template_id = new.id and a.due_at = 'infinity';
    return null;
end
$$;
create trigger release_sends after update of states on messaging.whatsapp_templates
    for each row when (old.status is distinct from new.status
        and coalesce(new.status, '') not in ('PAUSED', 'PENDING', 'IN_APPEAL'))
    execute function messaging.release_sends();

create policy door on messaging.whatsapp_templates for select to door using (true);
grant select on messaging.whatsapp_templates to door;
create policy door on messaging.portfolio_recipients to door using (true);
create policy door on messaging.portfolio_counts to door using (true);
grant select, update, delete on messaging.portfolio_recipients, messaging.portfolio_counts to door;

-- What became of attempts whose worker died or whose outcome is unknown, one tenant at a time:
-- a lease that ended after the intent makes the message unconfirmed; a status that came, or Meta's
-- id recorded by a late worker, settles it; after the settle time it is undetermined, or sent once
-- more where the number allows it; what was to be sent once more and is too late for it stays
-- undetermined, since the first may have arrived. Takes only what can move at p_now, so that what waits for
-- its time is in nobody's way; fewer than p_limit rows returned says that nothing more can. Returns
-- the messages that were seen to and what they are now.
create or replace function messaging.recover_sends(
    p_tenant uuid, p_limit integer, p_now timestamptz default null
)
    returns table (message_id uuid, status text)
    language plpgsql set plan_cache_mode = force_generic_plan
    set enable_hashjoin = off set enable_mergejoin = off
    -- The joins as they are written: each by an index, whatever is known of the tables yet.
    set join_collapse_limit = 1 as $$
#variable_conflict use_column
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_ids uuid[];
    v_known uuid[];
    v_lost uuid[];
    v_again uuid[];
    v_given_up uuid[];
    v_expired uuid[];
    -- A resend that expired before it went out: of what is known to have arrived, and of the others.
    v_needless uuid[];
    v_stale uuid[];
begin
    perform set_config('switchboard.tenant_id', p_tenant::text, true);
    -- One select per reason: each goes by an index of its own.
    select array_agg(x.message_id order by x.message_id) into v_ids
    from (
        select w.message_id from (
            (select a.message_id from messaging.send_attempts as a
                where a.tenant_id = p_tenant and a.lease_token is not null
                    and a.phase = 'sending' and a.lease_until <= v_now limit p_limit)
            union all
            (select a.message_id from messaging.send_attempts as a
                where a.tenant_id = p_tenant and a.phase = 'unconfirmed' and a.settle_at <= v_now
                order by a.settle_at limit p_limit)
            union all
            (select a.message_id from messaging.send_attempts as a
                where a.tenant_id = p_tenant and a.phase = 'unconfirmed' and a.settle_at > v_now
                    and exists (select from messaging.whatsapp_messages as m
                        where m.tenant_id = p_tenant and m.id = a.message_id
                            and (m.status_rank >= 50 or m.wa_message_id is not null))
                limit p_limit)
            union all
            (select a.message_id from messaging.send_attempts as a
                where a.tenant_id = p_tenant and a.phase = 'pending' and a.lease_token is null
                    and a.expires_at <= v_now limit p_limit)
        ) as w limit p_limit
    ) as x;
    if v_ids is null then
        return;
    end if;
    perform 1 from messaging.whatsapp_messages as m
    where m.tenant_id = p_tenant and m.id = any (v_ids)
    order by m.id for no key update;
    perform 1 from messaging.send_attempts as a
    where a.tenant_id = p_tenant and a.message_id = any (v_ids)
    order by a.message_id for update;

    -- Locked: look again, since the worker may have settled meanwhile.
    select array_agg(a.message_id) filter (where a.phase <> 'pending' and a.known),
        array_agg(a.message_id) filter (where a.phase = 'sending' and not a.known),
        array_agg(a.message_id) filter (where a.phase = 'unconfirmed' and not a.known
            and a.settle_at <= v_now and a.again),
        array_agg(a.message_id) filter (where a.phase = 'unconfirmed' and not a.known
            and a.settle_at <= v_now and not a.again),
        array_agg(a.message_id) filter (where a.phase = 'pending' and not a.known and a.attempt = 1),
        array_agg(a.message_id) filter (where a.phase = 'pending' and a.known),
        array_agg(a.message_id) filter (where a.phase = 'pending' and not a.known and a.attempt > 1)
    into v_known, v_lost, v_again, v_given_up, v_expired, v_needless, v_stale
    from (
        select a.message_id, a.phase, a.attempt, a.settle_at,
            m.status_rank >= 50 or m.wa_message_id is not null as known,
            -- Codes and marketing never go out twice; a reply only while its window is open.
            n.resend_once and a.attempt = 1 and coalesce(a.expires_at > v_now, true)
                and (a.kind = 'utility' or (a.kind = 'reply' and v.window_expires_at > v_now))
                and exists (select from messaging.whatsapp_messages as later
                    where later.tenant_id = p_tenant and later.account_id = a.account_id
                        and later.id > messaging.uuid_at(a.intent_at)
                        and later.direction = 'outbound'
                        and least(later.sent_at, later.delivered_at, later.read_at) is not null
                ) as again
        from messaging.send_attempts as a
        join messaging.whatsapp_messages as m on m.tenant_id = p_tenant and m.id = a.message_id
        join messaging.whatsapp_accounts as n on n.tenant_id = p_tenant and n.id = a.account_id
        join messaging.whatsapp_conversations as v
            on v.tenant_id = p_tenant and v.id = a.conversation_id
        where a.tenant_id = p_tenant and a.message_id = any (v_ids) and m.id = any (v_ids)
            and (a.phase = 'unconfirmed' or (a.phase = 'sending' and a.lease_until <= v_now)
                or (a.phase = 'pending' and a.lease_token is null and a.expires_at <= v_now))
    ) as a;

    return query
    with moved as (
        update messaging.whatsapp_messages as m
        set status = x.target, status_rank = messaging.status_rank(x.target),
            accepted_at = case when x.target = 'accepted' then coalesce(m.accepted_at, v_now)
                else m.accepted_at end,
            -- A reason stands only while the outcome is open: what was accepted has none.
            error_code = case when x.target in ('unconfirmed', 'undetermined')
                then coalesce(m.error_code, 'no_answer')
                when x.target = 'expired' then 'expired'
                when x.target = 'pending' then m.error_code end,
            error_message = case when x.target in ('unconfirmed', 'undetermined', 'pending')
                then m.error_message when x.target = 'expired' then 'its expires_at is over' end,
            errors = case when x.target in ('unconfirmed', 'undetermined', 'pending')
                then m.errors end,
            updated_at = v_now
        from (
            select k, 'accepted' from unnest(v_known || v_needless) as k
            union all select k, 'unconfirmed' from unnest(v_lost) as k
            union all select k, 'pending' from unnest(v_again) as k
            union all select k, 'undetermined' from unnest(v_given_up || v_stale) as k
            union all select k, 'expired' from unnest(v_expired) as k
        ) as x(id, target)
        where m.tenant_id = p_tenant and m.id = x.id
            and case x.target
                when 'pending' then m.status_rank < 50
                when 'expired' then m.status = 'pending'
                else m.status_rank < messaging.status_rank(x.target) end
        returning m.id, m.status
    )
    select moved.id, moved.status from moved
    union all
    -- Statuses have moved these already; only their attempts are left to end.
    select m.id, m.status from messaging.whatsapp_messages as m
    where m.tenant_id = p_tenant and m.id = any (v_known || v_expired || v_needless || v_stale)
        and not exists (select from moved where moved.id = m.id);

    update messaging.send_attempts as a
    set phase = 'unconfirmed', lease_token = null, lease_until = null,
        settle_at = v_now + messaging.settle_time(a.kind)
    where a.tenant_id = p_tenant and a.message_id = any (v_lost);

    -- The attempt in doubt is over either way; a resend is attempt n + 1 of the same message.
    insert into messaging.delivery_logs (tenant_id, id, message_id, contact_id, channel, recipient,
        attempt, status, error_code, error_message, delivered_at, created_at)
    select p_tenant, messaging.new_id(v_now), a.message_id, a.contact_id, 'whatsapp', a.recipient,
        a.attempt, case when a.message_id = any (v_known) then case m.status
            when 'read' then 'delivered' when 'played' then 'delivered' else m.status end
            else 'unconfirmed' end,
        m.error_code, m.error_message, m.delivered_at, v_now
    from messaging.send_attempts as a
    join messaging.whatsapp_messages as m on m.tenant_id = p_tenant and m.id = a.message_id
    where a.tenant_id = p_tenant and a.message_id = any (v_known || v_given_up || v_again)
    order by a.message_id;

    update messaging.send_attempts as a
    set attempt = a.attempt + 1, phase = 'pending', due_at = v_now, settle_at = null, tries = 0
    where a.tenant_id = p_tenant and a.message_id = any (v_again);

    delete from messaging.send_attempts as a
    where a.tenant_id = p_tenant and a.message_id = any (
        v_known || v_given_up || v_expired || v_needless || v_stale);
end
$$;
