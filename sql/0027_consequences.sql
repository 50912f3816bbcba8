-- What Meta's error codes lead to.
--
-- A code comes in Meta's answer to a request or with a failed status; both are told here as items, as
-- often and in whatever order. A pause or a status is kept with the time of what it says, and only
-- what is later than the present word changes it; a consent, an alert and a miss count once by keys of
-- their own.

alter table messaging.whatsapp_accounts
    -- Meta's time of the answer that paused, and when a person last let it go on: what Meta said before
    -- pauses nothing any more.
    add column sends_paused_at timestamptz,
    add column sends_resumed_at timestamptz;

alter table messaging.whatsapp_business_accounts
    add column sends_paused_at timestamptz,
    add column sends_resumed_at timestamptz;

-- An item, with everything it is about found.
create type messaging.consequence as (
    kind text, account_id uuid, waba_id text, code text, at timestamptz, until timestamptz,
    reason text, token bytea, template_status text, alerts boolean, title text, message_id uuid,
    statement text, contact_id uuid, conversation_id uuid, template_name text,
    template_language text
);

-- Applies p_items: {"k": kind, "a": account, "c": code, "t": Meta's time in seconds (null: now)} and
--   "m" our message or "w" Meta's id of it; "p" phone (canonical digits) and "u" user id of whom it
--   went to, for a message that is not here; "d" Meta's words
-- pause_number and pause_account: "s" seconds (null: until somebody mends it), "r" reason, "x" the
--   sealed token that was refused (hex), where that is the reason
-- throttle: the number's bucket is empty
-- pause_template: "v" status of the message's template
-- opt_out, unreachable, close_window: of whom the message went to
-- tell: an account event, once an hour; "r" what the code means, "e" whether somebody must look
-- Returns the alerts that are new.
create function messaging.apply_consequences(
    p_tenant uuid, p_items jsonb, p_now timestamptz default null
)
    returns table (account_id uuid, phone_number_id text, code text, meaning text)
    language plpgsql as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_items messaging.consequence[];
    v_kinds text[];
begin
    perform set_config('switchboard.tenant_id', p_tenant::text, true);
    -- What names a contact is written below: a merge waits for us or we for it.
    perform messaging.hold_contacts(p_tenant);
    v_items := messaging.read_consequences(p_tenant, p_items, v_now);
    v_kinds := array(select distinct i.kind from unnest(v_items) as i);
    -- In the order of locks: contacts, conversations, accounts, numbers, templates, buckets.
    if v_kinds && array['opt_out', 'unreachable'] then
        perform 1 from messaging.contacts as c
        where c.tenant_id = p_tenant and c.id = any (array(select i.contact_id
            from unnest(v_items) as i where i.kind in ('opt_out', 'unreachable')))
        order by c.id for no key update;
        perform messaging.opt_out_by_code(p_tenant, v_items, v_now);
        perform messaging.count_misses(p_tenant, array(select distinct i.contact_id
            from unnest(v_items) as i where i.kind = 'unreachable' and i.contact_id is not null));
    end if;
    if 'close_window' = any (v_kinds) then
        perform messaging.close_windows(p_tenant, v_items, v_now);
    end if;
    if 'pause_account' = any (v_kinds) then
        perform messaging.pause_accounts(p_tenant, v_items, v_now);
    end if;
    if 'pause_number' = any (v_kinds) then
        perform messaging.pause_numbers(p_tenant, v_items, v_now);
    end if;
    if 'pause_template' = any (v_kinds) then
        perform messaging.pause_templates(p_tenant, v_items);
    end if;
    if 'throttle' = any (v_kinds) then
        -- An old one says nothing of what the number may send now.
        perform messaging.throttle_number(p_tenant, t.account_id, v_now)
        from (select distinct i.account_id from unnest(v_items) as i
            where i.kind = 'throttle' and i.at > v_now - interval '10 seconds'
            order by i.account_id) as t;
    end if;
    if 'tell' = any (v_kinds) then
        return query select * from messaging.tell_consequences(p_tenant, v_items, v_now);
    end if;
end
$$;

-- Finds what each item is about. A message that is not here (another app's, or the phone's) leaves
-- the person by the ids in its status. A number that is not here drops its items.
create function messaging.read_consequences(p_tenant uuid, p_items jsonb, p_now timestamptz)
    returns messaging.consequence[]
    language plpgsql stable set plan_cache_mode = force_generic_plan
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    return array(
        select row(i.k, n.id, n.waba_id, i.c, f.at,
            case when i.s is null then 'infinity' else f.at + i.s * interval '1 second' end,
            left(i.r, 200), decode(i.x, 'hex'), i.v, i.e, left(i.d, 500), m.id,
            coalesce(i.w, i.m::text), messaging.contact_now(p_tenant, p.contact_id),
            coalesce(m.conversation_id, v.id), m.content ->> 'name',
            replace(m.content -> 'language' ->> 'code', '-', '_'))::messaging.consequence
        from jsonb_to_recordset(p_items) as i(k text, a uuid, c text, t bigint, m uuid, w text,
            p text, u text, d text, s double precision, r text, x text, v text, e boolean)
        join messaging.whatsapp_accounts as n on n.tenant_id = p_tenant and n.id = i.a
        -- A time ahead of ours counts as ours.
        cross join lateral (select least(to_timestamp(i.t), p_now) as at) as f
        left join messaging.message_keys as k on k.account_id = i.a and k.wa_message_id = i.w
        cross join lateral (select coalesce(i.m, k.message_id) as id) as o
        left join messaging.whatsapp_messages as m on m.tenant_id = p_tenant and m.id = o.id
            and m.account_id = i.a and m.direction = 'outbound'
        left join messaging.contact_identifiers as ph
            on ph.tenant_id = p_tenant and ph.kind = 'phone' and ph.value = i.p
        left join messaging.contact_identifiers as us
            on us.tenant_id = p_tenant and us.kind = 'user_id' and us.value = i.u
        cross join lateral (
            select coalesce(m.contact_id, us.contact_id, ph.contact_id) as contact_id) as p
        left join messaging.whatsapp_conversations as v on v.tenant_id = p_tenant
            and v.account_id = i.a and v.contact_id = p.contact_id);
end
$$;

-- Of two pauses the one that lasts longer; of two that end together the one whose reason comes first,
-- and of the same reason the later word: any order of any pauses ends alike.
create function messaging.outlasts(
    until timestamptz, reason text, at timestamptz,
    old_until timestamptz, old_reason text, old_at timestamptz
) returns boolean
    language sql immutable parallel safe
    return old_until is null or old_reason is null or until > old_until
        or (until = old_until and (reason collate "C" < old_reason collate "C"
            or (reason = old_reason and at > coalesce(old_at, '-infinity'))));

-- A token that has been replaced since pauses nothing: what was refused goes out with the new one.
create function messaging.pause_numbers(
    p_tenant uuid, p_items messaging.consequence[], p_now timestamptz
) returns void
    language plpgsql as $$
begin
    perform 1 from messaging.whatsapp_accounts as n
    where n.tenant_id = p_tenant and n.id = any (array(
        select i.account_id from unnest(p_items) as i where i.kind = 'pause_number'))
    order by n.id for no key update;

    update messaging.whatsapp_accounts as n
    set sends_paused_until = p.until, sends_paused_reason = p.reason, sends_paused_at = p.at
    from (
        select distinct on (o.id) o.id, i.until, i.reason, i.at
        from unnest(p_items) as i
        join messaging.whatsapp_accounts as o on o.tenant_id = p_tenant and o.id = i.account_id
        where i.kind = 'pause_number' and i.until > p_now
            and i.at > coalesce(o.sends_resumed_at, '-infinity')
            and (i.token is null or i.token = o.access_token_sealed)
        order by o.id, i.until desc, i.reason collate "C", i.at desc
    ) as p
    where n.tenant_id = p_tenant and n.id = p.id and messaging.outlasts(p.until, p.reason, p.at,
        n.sends_paused_until, n.sends_paused_reason, n.sends_paused_at);
end
$$;

-- When Meta reinstated an account; what it did to the account before is over.
create function messaging.reinstated_at(states jsonb) returns timestamptz
    language sql immutable parallel safe
    return to_timestamp((states -> 'reinstated' ->> 'at')::bigint);

create function messaging.pause_accounts(
    p_tenant uuid, p_items messaging.consequence[], p_now timestamptz
) returns void
    language plpgsql as $$
begin
    perform 1 from messaging.whatsapp_business_accounts as w
    where w.tenant_id = p_tenant and w.waba_id = any (array(
        select i.waba_id from unnest(p_items) as i where i.kind = 'pause_account'))
    order by w.waba_id for no key update;

    update messaging.whatsapp_business_accounts as w
    set sends_paused_until = p.until, sends_paused_reason = p.reason, sends_paused_at = p.at
    from (
        select distinct on (o.waba_id) o.waba_id, i.until, i.reason, i.at
        from unnest(p_items) as i
        join messaging.whatsapp_business_accounts as o
            on o.tenant_id = p_tenant and o.waba_id = i.waba_id
        where i.kind = 'pause_account' and i.until > p_now
            and i.at > coalesce(o.sends_resumed_at, '-infinity')
            and not (starts_with(i.reason, 'policy')
                and i.at <= coalesce(messaging.reinstated_at(o.states), '-infinity'))
        order by o.waba_id, i.until desc, i.reason collate "C", i.at desc
    ) as p
    where w.tenant_id = p_tenant and w.waba_id = p.waba_id and messaging.outlasts(p.until, p.reason,
        p.at, w.sends_paused_until, w.sends_paused_reason, w.sends_paused_at);
end
$$;

-- Meta's reinstatement ends the pauses that were Meta's measures, whichever webhook brings it.
create function messaging.end_policy_pause() returns trigger
    language plpgsql as $$
begin
    new.sends_paused_until := null;
    new.sends_paused_reason := null;
    new.sends_paused_at := null;
    return new;
end
$$;
create trigger end_policy_pause before update of states on messaging.whatsapp_business_accounts
    for each row when (starts_with(new.sends_paused_reason, 'policy')
        and new.sends_paused_at <= messaging.reinstated_at(new.states))
    execute function messaging.end_policy_pause();

-- The status of a template is an aspect like those that webhooks tell (sql/0011): the later word stays.
-- Only a template that is stored has one.
create function messaging.pause_templates(p_tenant uuid, p_items messaging.consequence[])
    returns void
    language sql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
    begin atomic
    update messaging.whatsapp_templates as t set states = m.states
    from (
        select o.id, messaging.merge_states(o.states, s.states) as states
        from (
            select i.waba_id, i.template_name, i.template_language,
                messaging.merged_states(messaging.states_at(jsonb_build_object('status',
                    jsonb_build_object('status', i.template_status, 'reason', i.code)),
                    floor(extract(epoch from i.at))::bigint)) as states
            from unnest(p_items) as i where i.kind = 'pause_template'
            group by 1, 2, 3
        ) as s
        join messaging.whatsapp_templates as o on o.tenant_id = p_tenant and o.waba_id = s.waba_id
            and o.name = s.template_name and o.language = s.template_language
        order by o.id
    ) as m
    where t.tenant_id = p_tenant and t.id = m.id and t.states <> m.states;
    end;

-- The person stopped marketing, says Meta's refusal: a consent like one of user_preferences (sql/0009).
-- One message says it once.
create function messaging.opt_out_by_code(
    p_tenant uuid, p_items messaging.consequence[], p_now timestamptz
) returns void
    language plpgsql as $$
begin
    insert into messaging.consents (tenant_id, contact_id, scope, state, source, wording, account_id,
        message_id, statement_sha256, occurred_at, created_at)
    select distinct on (h.hash) p_tenant, i.contact_id, 'marketing', 'withdrawn', 'whatsapp',
        'error ' || i.code, i.account_id, i.message_id, h.hash, i.at, p_now
    from unnest(p_items) as i
    cross join lateral (select sha256(convert_to(jsonb_build_array('code', i.code, i.account_id,
        i.statement)::text, 'UTF8')) as hash) as h
    where i.kind = 'opt_out' and i.contact_id is not null
    order by h.hash, i.at
    on conflict (tenant_id, statement_sha256) do nothing;
    perform messaging.apply_consents(p_tenant, array(select distinct i.contact_id
        from unnest(p_items) as i where i.kind = 'opt_out' and i.contact_id is not null), p_now);
end
$$;

-- Messages to a person that could not be delivered since the last sign of life: an arrival, or a word
-- of theirs. Read from the messages, so that it counts each once, in whatever order they failed; of
-- each thread the newest 50 are looked at.
create function messaging.misses_of(
    p_tenant uuid, p_contact uuid,
    out misses integer, out since timestamptz, out last_at timestamptz, out last_message_id uuid
)
    language sql stable
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
    begin atomic
    with recent as materialized (
        select m.id, m.direction, m.error_code, m.status, m.failed_at,
            greatest(c.last_inbound_at, m.delivered_at, m.read_at, m.played_at) as alive_at
        from messaging.whatsapp_conversations as c
        cross join lateral (
            select o.id, o.direction, o.error_code, o.status, o.failed_at, o.delivered_at,
                o.read_at, o.played_at
            from messaging.whatsapp_messages as o
            where o.tenant_id = p_tenant and o.conversation_id = c.id
            order by o.occurred_at desc limit 50
        ) as m
        where c.tenant_id = p_tenant and c.contact_id = p_contact
    )
    select count(*)::integer, min(r.failed_at), max(r.failed_at),
        (array_agg(r.id order by r.failed_at desc, r.id desc))[1]
    from recent as r
    where r.direction = 'outbound' and r.status = 'failed' and r.error_code = '131026'
        and r.failed_at > coalesce((select max(a.alive_at) from recent as a), '-infinity');
    end;

-- Since when a person has been unreachable: three misses in a row make it so; null: is not.
create function messaging.unreachable_since(p_tenant uuid, p_contact uuid) returns timestamptz
    language plpgsql stable as $$
begin
    -- Nearly nobody has a row.
    if exists (select from messaging.unreachable_contacts as u
        where u.tenant_id = p_tenant and u.contact_id = p_contact and u.misses >= 3)
    then
        return (select m.since from messaging.misses_of(p_tenant, p_contact) as m
            where m.misses >= 3);
    end if;
    return null;
end
$$;

-- The contacts' rows are locked: of two at once the second sees what the first has seen, and more.
create function messaging.count_misses(p_tenant uuid, p_contacts uuid[]) returns void
    language plpgsql as $$
begin
    insert into messaging.unreachable_contacts as u
        (tenant_id, contact_id, misses, last_at, last_message_id)
    select p_tenant, c.id, m.misses, m.last_at, m.last_message_id
    from unnest(p_contacts) as c(id)
    cross join lateral messaging.misses_of(p_tenant, c.id) as m
    where m.misses > 0
    order by c.id
    on conflict (tenant_id, contact_id) do update
        set misses = excluded.misses, last_at = excluded.last_at,
            last_message_id = excluded.last_message_id
        where (u.misses, u.last_at, u.last_message_id)
            is distinct from (excluded.misses, excluded.last_at, excluded.last_message_id);
end
$$;

-- Meta says that the 24 hours are over. A window that was opened after that stays open.
create function messaging.close_windows(
    p_tenant uuid, p_items messaging.consequence[], p_now timestamptz
) returns void
    language sql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
    begin atomic
    update messaging.whatsapp_conversations as c
    set window_expires_at = t.at, updated_at = p_now
    from (
        select o.id, min(i.at) as at
        from unnest(p_items) as i
        join messaging.whatsapp_conversations as o
            on o.tenant_id = p_tenant and o.id = i.conversation_id
        where i.kind = 'close_window' and o.window_expires_at - interval '24 hours' < i.at
            and coalesce(o.last_inbound_at < i.at, true)
        group by o.id order by o.id
    ) as t
    where c.tenant_id = p_tenant and c.id = t.id and c.window_expires_at > t.at
        and c.window_expires_at - interval '24 hours' < t.at
        and coalesce(c.last_inbound_at < t.at, true);
    end;

-- Keeps what people should see as events of the account, once per number, code and hour. Returns
-- those that somebody must look at.
create function messaging.tell_consequences(
    p_tenant uuid, p_items messaging.consequence[], p_now timestamptz
)
    returns table (account_id uuid, phone_number_id text, code text, meaning text)
    language sql
    begin atomic
    with told as (
        select distinct on (h.hash) h.hash, i.account_id, i.waba_id, i.code, i.reason, i.alerts,
            i.title, i.message_id, i.at
        from unnest(p_items) as i
        cross join lateral (select sha256(convert_to(jsonb_build_array(i.account_id, 'send_errors',
            i.code, date_trunc('hour', i.at at time zone 'UTC'))::text, 'UTF8')) as hash) as h
        where i.kind = 'tell'
        order by h.hash, i.at, i.message_id
    ), put as (
        insert into messaging.whatsapp_account_events as l (tenant_id, waba_id, account_id, field,
            event, detail, occurred_at, sha256, created_at)
        select p_tenant, t.waba_id, t.account_id, 'send_errors', t.code,
            jsonb_strip_nulls(jsonb_build_object('meaning', t.reason, 'title', t.title,
                'message_id', t.message_id, 'alert', t.alerts)), t.at, t.hash, p_now
        from told as t order by t.hash
        on conflict (tenant_id, sha256) do nothing
        returning l.sha256
    )
    select t.account_id, n.phone_number_id, t.code, t.reason
    from put join told as t on t.hash = put.sha256
    join messaging.whatsapp_accounts as n on n.tenant_id = p_tenant and n.id = t.account_id
    where t.alerts;
    end;
