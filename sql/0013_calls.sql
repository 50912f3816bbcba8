-- What is neither a message to us nor a status of ours: calls, payments, and copies of messages from
-- the Business app on the number's phone.

-- One row per call, whatever the order of its parts. Each part keeps what it says; status and end
-- reason follow from all of them (judge_call).
create table messaging.call_logs (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    account_id uuid not null,
    wa_call_id text collate "C" not null check (length(wa_call_id) between 1 and 1000),
    -- Null until a part of the call names the person or the direction.
    conversation_id uuid,
    contact_id uuid,
    direction text check (direction in ('inbound', 'outbound')),
    status text not null default 'initiated'
        check (status in ('initiated', 'accepted', 'ended', 'rejected', 'failed')),
    end_reason text check (end_reason in ('user_declined', 'user_busy', 'timeout', 'completed')),
    -- The earliest part of the call of any kind; the earliest of each kind.
    occurred_at timestamptz not null,
    connected_at timestamptz,
    ringing_at timestamptz,
    accepted_at timestamptz,
    rejected_at timestamptz,
    -- The newest terminate: when Meta told it, its word, and what it says of the call.
    terminated_at timestamptz,
    terminate_sha256 bytea,
    terminate_status text,
    started_at timestamptz,
    ended_at timestamptz,
    duration_seconds integer check (duration_seconds >= 0),
    cta_payload text,
    deeplink_payload text,
    callback_data text,
    -- The newest part of the call that had any.
    errors jsonb,
    errors_at timestamptz,
    -- {event: {"at": Meta's time in seconds, "what": Meta's object}}: recordings, transcripts.
    extras jsonb not null default '{}',
    -- What whoever takes the call needs (SDP): only while it can still be taken.
    session jsonb,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    unique (tenant_id, account_id, wa_call_id),
    foreign key (tenant_id, account_id) references messaging.whatsapp_accounts (tenant_id, id)
        on delete cascade,
    foreign key (tenant_id, conversation_id)
        references messaging.whatsapp_conversations (tenant_id, id) on delete set null (conversation_id),
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
);
create index call_logs_contact on messaging.call_logs (tenant_id, contact_id, occurred_at);
create index call_logs_conversation on messaging.call_logs (tenant_id, conversation_id, occurred_at);
create index call_logs_newest on messaging.call_logs (tenant_id, occurred_at, id);
create index call_logs_session on messaging.call_logs (tenant_id, account_id, occurred_at)
    where session is not null;
call messaging.protect('messaging.call_logs', 'select, insert, update, delete');

-- What became of a payment that one of our orders asked for, by the order's reference.
create table messaging.payments (
    tenant_id uuid not null,
    account_id uuid not null,
    reference_id text collate "C" not null check (length(reference_id) between 1 and 1000),
    -- Meta's word: captured, pending, failed.
    status text not null,
    status_at timestamptz not null,
    status_sha256 bytea not null,
    -- Meta's status object, whole: amount, transaction, refunds.
    detail jsonb not null,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, account_id, reference_id),
    foreign key (tenant_id, account_id) references messaging.whatsapp_accounts (tenant_id, id)
        on delete cascade
);
call messaging.protect('messaging.payments', 'select, insert, update, delete');

-- How far the phone's history has come, by phase and chunk.
create table messaging.history_chunks (
    tenant_id uuid not null,
    account_id uuid not null,
    phase integer not null,
    chunk_order integer not null,
    -- Per cent of all, 100: done.
    progress integer not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, account_id, phase, chunk_order),
    foreign key (tenant_id, account_id) references messaging.whatsapp_accounts (tenant_id, id)
        on delete cascade
);
call messaging.protect('messaging.history_chunks', 'select, insert, update, delete');

-- Who did not share the phone's history. Meta's sample names no number, and no time.
create table messaging.history_refusals (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    waba_id text collate "C" not null default '',
    phone_number_id text collate "C" not null default '',
    error_code text collate "C" not null default '',
    errors jsonb not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, waba_id, phone_number_id, error_code)
);
call messaging.protect('messaging.history_refusals', 'select, insert, update, delete');

alter table messaging.whatsapp_conversations
    -- The newest message that somebody typed in the phone's app: a person has taken over.
    add column answered_on_phone_at timestamptz;

-- A time more than 5 minutes ahead counts as receipt.
create function messaging.told_at(seconds bigint, at timestamptz) returns timestamptz
    language sql stable parallel safe
    return case when to_timestamp(seconds) > at + interval '5 minutes' then at
        else to_timestamp(seconds) end;

-- Finds or makes the contacts of events; returns [{"s": identifiers, "c": contact}, …] of the
-- distinct lists of identifiers. p_people: [{"i": [{"k", "v"}, …, the leading one first], "n": profile
-- name or null, "t": its time}, …]; without identifiers nobody is meant.
create function messaging.claim_people(p_tenant uuid, p_people jsonb, p_now timestamptz)
    returns jsonb
    language plpgsql as $$
declare
    v_sets jsonb[];
    v_names text[];
    v_times bigint[];
    v_shared boolean[];
    v_found jsonb := '[]';
    v_pick integer[];
    v_picks jsonb;
    v_contacts uuid[];
begin
    select array_agg(s.i order by s.i), array_agg(s.n order by s.i), array_agg(s.t order by s.i)
    into v_sets, v_names, v_times
    from (
        select e.i,
            (array_agg(e.n order by e.t desc, sha256(convert_to(e.n, 'UTF8')) desc)
                filter (where e.n is not null))[1] as n,
            max(e.t) filter (where e.n is not null) as t
        from jsonb_to_recordset(p_people) as e(i jsonb, n text, t bigint)
        where jsonb_array_length(e.i) > 0
        group by e.i
    ) as s;
    if v_sets is null then
        return v_found;
    end if;
    -- An identifier stands once in a call of claim_contacts: lists that share one come one by one.
    select array_agg(w.shared order by w.ord) into v_shared
    from (
        select x.ord, bool_or(x.times > 1) as shared
        from (
            select s.ord, count(*) over (partition by i.one) as times
            from unnest(v_sets) with ordinality as s(i, ord)
            cross join lateral jsonb_array_elements(s.i) as i(one)
        ) as x group by x.ord
    ) as w;
    for v_picks in
        select jsonb_agg(s.ord order by s.ord)
        from generate_subscripts(v_sets, 1) as s(ord)
        group by case when v_shared[s.ord] then s.ord else 0 end
        order by 1
    loop
        v_pick := array(select p::integer from jsonb_array_elements_text(v_picks) as p);
        v_contacts := messaging.claim_contacts(p_tenant, jsonb_build_object(
            'p', (select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
                    'n', v_names[k.ord], 'nt', v_times[k.ord],
                    'ph', (select min(i ->> 'v') from jsonb_array_elements(v_sets[k.ord]) as i
                        where i ->> 'k' = 'phone'))) order by k.place)
                from unnest(v_pick) with ordinality as k(ord, place)),
            'i', (select jsonb_agg(i.one || jsonb_build_object('p', k.place - 1, 'r', i.rank - 1)
                    order by k.place, i.rank)
                from unnest(v_pick) with ordinality as k(ord, place)
                cross join lateral jsonb_array_elements(v_sets[k.ord]) with ordinality as i(one, rank))
            ), p_now);
        v_found := v_found || (
            select jsonb_agg(jsonb_build_object('s', v_sets[k.ord], 'c', k.contact))
            from unnest(v_pick, v_contacts) as k(ord, contact));
    end loop;
    return v_found;
end
$$;

-- What a call is, by all that is known of it. Picked up: it has lasted, or was accepted.
create function messaging.judge_call(c messaging.call_logs, out status text, out end_reason text)
    language plpgsql immutable as $$
begin
    if c.duration_seconds is not null then
        status := 'ended';
        end_reason := 'completed';
    elsif c.rejected_at is not null and c.accepted_at is null then
        status := 'rejected';
        end_reason := 'user_declined';
    elsif c.terminated_at is not null then
        -- Meta's word for a call that nobody took is FAILED, COMPLETED in early payloads.
        status := case when c.terminate_status = 'FAILED' then 'failed' else 'ended' end;
        end_reason := 'timeout';
    elsif c.accepted_at is not null then
        status := 'accepted';
    else
        status := 'initiated';
    end if;
end
$$;

-- Whether a call was taken or refused is an interaction, too: one per call, as the call tells now.
create function messaging.note_call(c messaging.call_logs, p_now timestamptz) returns void
    language plpgsql as $$
declare
    v_id uuid := md5('call ' || c.id)::uuid;
    v_at timestamptz := case when c.status = 'rejected' then c.rejected_at
        when c.end_reason = 'completed' then coalesce(c.accepted_at, c.terminated_at)
        else c.accepted_at end;
begin
    if c.contact_id is null or v_at is null then
        return;
    end if;
    insert into messaging.user_interactions as i (tenant_id, id, account_id, conversation_id,
        contact_id, interaction_type, metadata, occurred_at, created_at)
    values (c.tenant_id, v_id, c.account_id, c.conversation_id, c.contact_id,
        case when c.status = 'rejected' then 'call_rejected' else 'call_accepted' end,
        jsonb_build_object('call_id', c.wa_call_id), v_at, p_now)
    on conflict (tenant_id, id) do update
    set interaction_type = excluded.interaction_type, occurred_at = excluded.occurred_at;
end
$$;

-- Parts of calls. d: {"w": Meta's id, "i" and "n": person, "dir": direction, "ev": Meta's event or
-- "status", "st": its status, "b", "e", "du": start and end in seconds, duration, "cta", "dl",
-- "cb": callback data, "er": errors, "x": other keys, "ss": session}. Returns how many were stored.
create function messaging.event_call(p_tenant uuid, p_events jsonb, p_now timestamptz)
    returns integer
    language plpgsql as $$
declare
    v_people jsonb := messaging.claim_people(p_tenant, (
        select jsonb_agg(jsonb_build_object('i', e.d -> 'i', 'n', e.d -> 'n', 't', e.t))
        from jsonb_to_recordset(p_events) as e(t bigint, d jsonb)), p_now);
    v_all integer := 0;
    v_contact uuid;
    v_conversation uuid;
    v_call messaging.call_logs;
    e record;
begin
    -- They are few. Conversations before calls, each sorted: the order of locks everywhere.
    for e in
        select x.a, p.c, max(messaging.told_at(x.t, p_now)) filter (
            where x.d ->> 'ev' = 'connect' and x.d ->> 'dir' = 'inbound') as opened_at
        from jsonb_to_recordset(p_events) as x(a uuid, t bigint, d jsonb)
        join jsonb_to_recordset(v_people) as p(s jsonb, c uuid) on p.s = x.d -> 'i'
        group by x.a, p.c order by x.a, p.c
    loop
        insert into messaging.whatsapp_conversations as c
            (tenant_id, id, account_id, contact_id, window_expires_at, created_at, updated_at)
        values (p_tenant, gen_random_uuid(), e.a, e.c, e.opened_at + interval '24 hours', p_now, p_now)
        on conflict (tenant_id, account_id, contact_id) do update
        set window_expires_at = excluded.window_expires_at,
            updated_at = p_now
        where excluded.window_expires_at > coalesce(c.window_expires_at, '-infinity');
    end loop;

    for e in
        select x.a, x.t, x.d, messaging.told_at(x.t, p_now) as at, p.c, x.d ->> 'ev' as event,
            sha256(convert_to(x.d::text, 'UTF8')) as sum
        from jsonb_to_recordset(p_events) as x(a uuid, t bigint, d jsonb)
        left join jsonb_to_recordset(v_people) as p(s jsonb, c uuid) on p.s = x.d -> 'i'
        order by x.a, (x.d ->> 'w') collate "C", x.t, x.d
    loop
        v_conversation := (select c.id from messaging.whatsapp_conversations as c
            where c.tenant_id = p_tenant and c.account_id = e.a and c.contact_id = e.c);
        insert into messaging.call_logs as l (tenant_id, account_id, wa_call_id, conversation_id,
            contact_id, occurred_at, created_at, updated_at)
        values (p_tenant, e.a, e.d ->> 'w', v_conversation, e.c, e.at, p_now, p_now)
        on conflict (tenant_id, account_id, wa_call_id) do update
        set occurred_at = least(l.occurred_at, excluded.occurred_at),
            contact_id = coalesce(l.contact_id, excluded.contact_id),
            conversation_id = coalesce(l.conversation_id, excluded.conversation_id),
            updated_at = p_now
        returning l.* into v_call;

        v_call.direction := least(v_call.direction, e.d ->> 'dir');
        v_call.cta_payload := least(v_call.cta_payload, e.d ->> 'cta');
        v_call.deeplink_payload := least(v_call.deeplink_payload, e.d ->> 'dl');
        v_call.callback_data := least(v_call.callback_data, e.d ->> 'cb');
        if e.event = 'connect' then
            v_call.connected_at := least(v_call.connected_at, e.at);
        elsif e.event = 'status' then
            case e.d ->> 'st'
                when 'RINGING' then v_call.ringing_at := least(v_call.ringing_at, e.at);
                when 'ACCEPTED' then v_call.accepted_at := least(v_call.accepted_at, e.at);
                when 'REJECTED' then v_call.rejected_at := least(v_call.rejected_at, e.at);
                else null;
            end case;
        elsif e.event = 'terminate' and (v_call.terminated_at is null
            or (e.at, e.sum) > (v_call.terminated_at, v_call.terminate_sha256))
        then
            v_call.terminated_at := e.at;
            v_call.terminate_sha256 := e.sum;
            v_call.terminate_status := e.d ->> 'st';
            v_call.started_at := to_timestamp((e.d ->> 'b')::bigint);
            v_call.ended_at := coalesce(to_timestamp((e.d ->> 'e')::bigint), e.at);
            v_call.duration_seconds := (e.d ->> 'du')::integer;
        end if;
        if e.d ->> 'b' is not null then
            -- Meta tells of no acceptance of a person's call: it was picked up when it started.
            v_call.accepted_at := least(v_call.accepted_at, to_timestamp((e.d ->> 'b')::bigint));
        end if;
        if e.d -> 'er' is not null and (v_call.errors_at is null
            or (e.at, e.d -> 'er') > (v_call.errors_at, v_call.errors))
        then
            v_call.errors := e.d -> 'er';
            v_call.errors_at := e.at;
        end if;
        if e.d -> 'x' is not null or e.event not in ('connect', 'status', 'terminate') then
            v_call.extras := v_call.extras || jsonb_build_object(e.event, greatest(
                v_call.extras -> e.event,
                jsonb_build_object('at', e.t, 'what', coalesce(e.d -> 'x', '{}'))));
        end if;
        select j.status, j.end_reason into v_call.status, v_call.end_reason
        from messaging.judge_call(v_call) as j;
        v_call.session := case
            when v_call.status not in ('initiated', 'accepted')
                or v_call.occurred_at < p_now - interval '1 hour' then null
            else greatest(v_call.session, e.d -> 'ss') end;

        update messaging.call_logs as l
        set direction = v_call.direction, status = v_call.status, end_reason = v_call.end_reason,
            connected_at = v_call.connected_at, ringing_at = v_call.ringing_at,
            accepted_at = v_call.accepted_at, rejected_at = v_call.rejected_at,
            terminated_at = v_call.terminated_at, terminate_sha256 = v_call.terminate_sha256,
            terminate_status = v_call.terminate_status, started_at = v_call.started_at,
            ended_at = v_call.ended_at, duration_seconds = v_call.duration_seconds,
            cta_payload = v_call.cta_payload, deeplink_payload = v_call.deeplink_payload,
            callback_data = v_call.callback_data, errors = v_call.errors,
            errors_at = v_call.errors_at, extras = v_call.extras, session = v_call.session
        where l.tenant_id = p_tenant and l.id = v_call.id;
        perform messaging.note_call(v_call, p_now);
        v_all := v_all + 1;
    end loop;

    -- Calls whose end never came: nobody takes them any more.
    update messaging.call_logs as l set session = null
    where l.tenant_id = p_tenant and l.session is not null
        and l.account_id in (select x.a from jsonb_to_recordset(p_events) as x(a uuid))
        and l.occurred_at < p_now - interval '1 hour';
    return v_all;
end
$$;

-- d: {"r": the order's reference, "st": Meta's word, "x": Meta's object}. Of two at one second the
-- one that ends the matter counts. Returns how many changed something.
create function messaging.event_payment_status(
    p_tenant uuid, p_events jsonb, p_now timestamptz
) returns integer
    language plpgsql as $$
declare
    v_changed integer;
begin
    with told as (
        select distinct on (e.a, e.d ->> 'r' collate "C") e.a, e.d ->> 'r' as r, e.d ->> 'st' as st,
            messaging.told_at(e.t, p_now) as at, e.d -> 'x' as x, k.sum
        from jsonb_to_recordset(p_events) as e(a uuid, t bigint, d jsonb)
        cross join lateral (select case e.d ->> 'st' when 'pending' then '\x00' else '\x01' end::bytea
            || sha256(convert_to(e.d::text, 'UTF8')) as sum) as k
        order by e.a, e.d ->> 'r' collate "C", e.t desc, k.sum desc
    ), kept as (
        insert into messaging.payments as p (tenant_id, account_id, reference_id, status, status_at,
            status_sha256, detail, created_at, updated_at)
        select p_tenant, t.a, t.r, t.st, t.at, t.sum, t.x, p_now, p_now
        from told as t order by t.a, t.r collate "C"
        on conflict (tenant_id, account_id, reference_id) do update
        set status = excluded.status, status_at = excluded.status_at,
            status_sha256 = excluded.status_sha256, detail = excluded.detail, updated_at = p_now
        where (excluded.status_at, excluded.status_sha256) > (p.status_at, p.status_sha256)
        returning 1
    )
    select count(*) into v_changed from kept;
    return v_changed;
end
$$;

-- d: {"ph": phase, "ch": chunk, "pr": per cent}. Returns how many are new or further.
create function messaging.event_history_chunk(p_tenant uuid, p_events jsonb, p_now timestamptz)
    returns integer
    language plpgsql as $$
declare
    v_changed integer;
begin
    with kept as (
        insert into messaging.history_chunks as h
            (tenant_id, account_id, phase, chunk_order, progress, created_at)
        select p_tenant, e.a, (e.d ->> 'ph')::integer, (e.d ->> 'ch')::integer,
            max((e.d ->> 'pr')::integer), p_now
        from jsonb_to_recordset(p_events) as e(a uuid, d jsonb)
        group by 2, 3, 4 order by 2, 3, 4
        on conflict (tenant_id, account_id, phase, chunk_order) do update
        set progress = excluded.progress where excluded.progress > h.progress
        returning 1
    )
    select count(*) into v_changed from kept;
    return v_changed;
end
$$;

-- d: {"n": phone_number_id or '', "code": Meta's code, "er": Meta's errors}. Of two texts of one
-- code the greater stays: they have no time. Returns how many are new or changed.
create function messaging.event_history_refusal(p_tenant uuid, p_events jsonb, p_now timestamptz)
    returns integer
    language plpgsql as $$
declare
    v_changed integer;
begin
    with kept as (
        insert into messaging.history_refusals as h
            (tenant_id, waba_id, phone_number_id, error_code, errors, created_at)
        select distinct on (1, 2, 3, 4) p_tenant, coalesce(e.b, ''), e.d ->> 'n', e.d ->> 'code',
            e.d -> 'er', p_now
        from jsonb_to_recordset(p_events) as e(b text, d jsonb)
        order by 1, 2, 3, 4, e.d -> 'er' desc
        on conflict (tenant_id, waba_id, phone_number_id, error_code) do update
        set errors = excluded.errors where excluded.errors > h.errors
        returning 1
    )
    select count(*) into v_changed from kept;
    return v_changed;
end
$$;

-- How much a stored message tells of those that the phone's app sends copies of; null: it is none.
create function messaging.copy_rank(origin text, message_type text) returns integer
    language sql immutable parallel safe
    return case origin when 'phone_app' then 2
        when 'history' then case message_type when 'media_placeholder' then 0 else 1 end end;

-- A copy on its way into the tables.
create type messaging.phone_copy as (
    account_id uuid, wa_message_id text, at timestamptz, inbound boolean, origin text, tells integer,
    message_type text, content jsonb, metadata jsonb, wa_context_id text, is_forwarded boolean,
    preview text, media jsonb, status text, rank smallint, group_id text, contact_id uuid, change jsonb
);

-- Messages from the phone's app: what somebody typed there (origin phone_app) and what was there
-- before (history). They are stored as messages of their time, and nothing more: no window, nothing
-- unread, nobody reacts. d: {"w": Meta's id, "i" and "n": the person, "g": group, "in": whether the
-- person wrote it, "o": origin, "ty": type, "c": content, "x": metadata, "cx": context id,
-- "f": forwarded, "pv": preview, where it is one, "md": media, "s": status in our words,
-- "r": copy_rank, "ch": of an edit or revoke, document of effect_changes}. Of two copies of one message the one that tells more is kept: the file after its
-- placeholder. Returns how many are new.
create function messaging.event_phone_app_message(
    p_tenant uuid, p_events jsonb, p_now timestamptz
) returns integer
    language plpgsql as $$
declare
    v_ids uuid[];
    v_new boolean[];
    v_people jsonb;
    v_copies messaging.phone_copy[];
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
    return messaging.keep_copies(p_tenant, v_copies, v_ids, v_new, p_now);
end
$$;

-- Writes copies: p_ids and p_new tell each one's message and whether it is new. Returns how many are.
create function messaging.keep_copies(
    p_tenant uuid, p_copies messaging.phone_copy[], p_ids uuid[], p_new boolean[], p_now timestamptz
) returns integer
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_threads uuid[];
    -- New, or tells more than what is stored.
    v_kept boolean[];
    v_files uuid[];
    v_changes jsonb;
    a record;
begin
    insert into messaging.whatsapp_conversations
        (tenant_id, id, account_id, contact_id, group_id, created_at, updated_at)
    select p_tenant, gen_random_uuid(), t.account_id, t.contact_id, t.group_id, p_now, p_now
    from (
        select distinct c.account_id, case when c.group_id is null then c.contact_id end as contact_id,
            c.group_id
        from unnest(p_copies) as c
    ) as t
    where not exists (select from messaging.whatsapp_conversations as v
            where v.tenant_id = p_tenant and v.account_id = t.account_id
                and v.contact_id = t.contact_id)
        and not exists (select from messaging.whatsapp_conversations as v
            where v.tenant_id = p_tenant and v.account_id = t.account_id
                and v.group_id = t.group_id)
    order by t.account_id, t.contact_id, t.group_id
    on conflict do nothing;
    select array_agg(v.id order by c.ord) into v_threads
    from unnest(p_copies) with ordinality as c(account_id, wa_message_id, at, inbound, origin, tells, message_type, content,
        metadata, wa_context_id, is_forwarded, preview, media, status, rank, group_id,
        contact_id, change,
        ord)
    left join lateral (
        select v.id from messaging.whatsapp_conversations as v
        where v.tenant_id = p_tenant and v.account_id = c.account_id
            and v.contact_id = c.contact_id and c.group_id is null
        union all
        select v.id from messaging.whatsapp_conversations as v
        where v.tenant_id = p_tenant and v.account_id = c.account_id and v.group_id = c.group_id
    ) as v on true;

    -- Conversations are locked before their messages, so that what is told anew stays so.
    perform 1 from messaging.whatsapp_conversations as v
    where v.tenant_id = p_tenant and v.id = any (v_threads) order by v.id for no key update;
    select array_agg(n.new or coalesce(messaging.copy_rank(m.origin, m.message_type) < n.tells, false)
        order by n.ord)
    into v_kept
    from unnest(p_copies, p_ids, p_new) with ordinality as n(account_id, wa_message_id, at, inbound, origin, tells, message_type, content,
        metadata, wa_context_id, is_forwarded, preview, media, status, rank, group_id,
        contact_id, change,
        id, new, ord)
    left join messaging.whatsapp_messages as m on m.tenant_id = p_tenant and m.id = n.id;

    update messaging.whatsapp_conversations as v
    set message_count = v.message_count + t.messages,
        last_inbound_at = greatest(v.last_inbound_at, t.inbound_at),
        answered_on_phone_at = greatest(v.answered_on_phone_at, t.answered_at),
        last_message_at = greatest(v.last_message_at, t.newest_at),
        last_message_key = case when t.key is not null and messaging.shows(t.newest_at, t.key,
            v.last_message_at, v.last_message_key) then t.key else v.last_message_key end,
        last_message_preview = case when t.key is not null and (messaging.shows(t.newest_at, t.key,
                v.last_message_at, v.last_message_key)
                or (t.newest_at, t.key) = (v.last_message_at, v.last_message_key))
            then t.preview else v.last_message_preview end,
        last_message_direction = case when t.key is not null and messaging.shows(t.newest_at, t.key,
            v.last_message_at, v.last_message_key) then t.direction else v.last_message_direction end,
        updated_at = p_now
    from (
        select c.thread, count(*) filter (where c.new) as messages,
            max(c.at) filter (where c.inbound) as inbound_at,
            max(c.at) filter (where c.origin = 'phone_app' and c.preview is not null) as answered_at,
            max(c.at) filter (where c.preview is not null) as newest_at,
            (array_agg(c.wa_message_id order by c.at desc, c.wa_message_id collate "C" desc)
                filter (where c.preview is not null))[1] as key,
            (array_agg(c.preview order by c.at desc, c.wa_message_id collate "C" desc)
                filter (where c.preview is not null))[1] as preview,
            (array_agg(case when c.inbound then 'inbound' else 'outbound' end
                order by c.at desc, c.wa_message_id collate "C" desc)
                filter (where c.preview is not null))[1] as direction
        from unnest(p_copies, p_new, v_kept, v_threads) as c(account_id, wa_message_id, at, inbound, origin, tells, message_type, content,
            metadata, wa_context_id, is_forwarded, preview, media, status, rank, group_id,
        contact_id, change,
            new, kept, thread)
        where c.kept
        group by c.thread order by c.thread
    ) as t
    where v.tenant_id = p_tenant and v.id = t.thread;

    insert into messaging.whatsapp_messages (tenant_id, id, account_id, conversation_id, contact_id,
        wa_message_id, wa_context_id, direction, origin, message_type, content, metadata, status,
        status_rank, is_forwarded, occurred_at, created_at, updated_at)
    select p_tenant, c.id, c.account_id, c.thread, c.contact_id, c.wa_message_id, c.wa_context_id,
        case when c.inbound then 'inbound' else 'outbound' end, c.origin, c.message_type, c.content,
        c.metadata, c.status, c.rank, c.is_forwarded, c.at, p_now, p_now
    from unnest(p_copies, p_ids, p_new, v_threads) as c(account_id, wa_message_id, at, inbound, origin, tells, message_type, content,
        metadata, wa_context_id, is_forwarded, preview, media, status, rank, group_id,
        contact_id, change,
        id, new, thread)
    where c.new order by c.id;

    -- What was stored of a copy takes what tells more, and climbs the ladder.
    update messaging.whatsapp_messages as m
    set origin = case when t.kept then t.origin else m.origin end,
        message_type = case when t.kept then t.message_type else m.message_type end,
        content = case when t.kept then t.content else m.content end,
        -- What was done to it is done to the new content, below.
        original_content = case when not t.kept then m.original_content end,
        metadata = case when t.kept then t.metadata else m.metadata end,
        wa_context_id = case when t.kept then t.wa_context_id else m.wa_context_id end,
        is_forwarded = case when t.kept then t.is_forwarded else m.is_forwarded end,
        status = case when t.rank > m.status_rank then t.status else m.status end,
        status_rank = greatest(m.status_rank, t.rank),
        updated_at = p_now
    from (
        select c.* from unnest(p_copies, p_ids, p_new, v_kept) as c(account_id, wa_message_id, at, inbound, origin, tells, message_type, content,
            metadata, wa_context_id, is_forwarded, preview, media, status, rank, group_id,
        contact_id, change,
            id, new, kept)
        where not c.new order by c.id
    ) as t
    where m.tenant_id = p_tenant and m.id = t.id
        and messaging.copy_rank(m.origin, m.message_type) is not null
        and (t.kept or t.rank > m.status_rank);

    with files as (
        insert into messaging.media (tenant_id, account_id, conversation_id, message_id, direction,
            media_type, wa_media_id, mime_type, sha256, file_name, caption, created_at, updated_at)
        select p_tenant, c.account_id, c.thread, c.id,
            case when c.inbound then 'inbound' else 'outbound' end, c.media ->> 'type',
            c.media ->> 'id', c.media ->> 'mime_type', c.media ->> 'sha256', c.media ->> 'file_name',
            c.media ->> 'caption', p_now, p_now
        from unnest(p_copies, p_ids, v_kept, v_threads) as c(account_id, wa_message_id, at, inbound, origin, tells, message_type, content,
            metadata, wa_context_id, is_forwarded, preview, media, status, rank, group_id,
        contact_id, change,
            id, kept, thread)
        where c.kept and c.media is not null order by c.id
        on conflict (tenant_id, message_id) do nothing
        returning message_id
    )
    select array_agg(f.message_id order by f.message_id) into v_files from files as f;

    for a in
        select c.account_id, array_agg(c.wa_message_id) as keys
        from unnest(p_copies, p_new) as c(account_id, wa_message_id, at, inbound, origin, tells, message_type, content,
            metadata, wa_context_id, is_forwarded, preview, media, status, rank, group_id,
        contact_id, change,
            new)
        where c.new and not c.inbound group by c.account_id order by c.account_id
    loop
        perform messaging.apply_status_events(p_tenant, a.account_id, a.keys, p_now);
    end loop;
    select jsonb_agg(jsonb_build_object('m', c.id, 'a', c.account_id, 'c', c.contact_id,
        'w', c.wa_message_id, 'cx', c.wa_context_id, 'at', c.at, 'd', c.change) order by c.id)
    into v_changes
    from unnest(p_copies, p_ids, p_new) as c(account_id, wa_message_id, at, inbound, origin, tells,
        message_type, content, metadata, wa_context_id, is_forwarded, preview, media, status, rank,
        group_id, contact_id, change, id, new)
    where c.new and c.change is not null and c.contact_id is not null;
    if v_changes is not null then
        perform messaging.effect_changes(p_tenant, v_changes, p_now);
    end if;
    perform messaging.apply_changes(p_tenant, array(
        select k.id from unnest(p_ids, v_kept) as k(id, kept) where k.kept), p_now);
    if v_files is not null then
        insert into messaging.scheduled_jobs (tenant_id, job_type, args, scheduled_for, created_at)
        select p_tenant, 'fetch_media', jsonb_build_object('message_id', f.id), p_now, p_now
        from unnest(v_files) as f(id);
    end if;
    return (select count(*) from unnest(p_new) as n(new) where n.new);
end
$$;

-- A message that comes as itself after its copy in a history: the copy goes, and the message is new.
-- It must open its window and be reacted to, whichever of the two was first. p_messages: those of
-- messaging.take that were not new. Returns whether there was any.
create function messaging.displace_copies(p_tenant uuid, p_messages jsonb, p_now timestamptz)
    returns boolean
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_ids uuid[];
begin
    select array_agg(k.message_id) into v_ids
    from (
        select k.message_id from jsonb_to_recordset(p_messages) as m(a uuid, w text)
        join messaging.message_keys as k on k.account_id = m.a and k.wa_message_id = m.w
        where k.message_id is not null
        order by k.account_id, k.wa_message_id for update of k
    ) as k
    join messaging.whatsapp_messages as m on m.tenant_id = p_tenant and m.id = k.message_id
    where m.origin = 'history' and m.direction = 'inbound';
    if v_ids is null then
        return false;
    end if;
    update messaging.message_keys as k set message_id = null
    from jsonb_to_recordset(p_messages) as m(a uuid, w text)
    where k.account_id = m.a and k.wa_message_id = m.w and k.message_id = any (v_ids);
    -- Whatever takes its place is shown if it was: of one time any id comes after none.
    update messaging.whatsapp_conversations as v
    set message_count = v.message_count - g.messages,
        last_message_key = case when v.last_message_key = any (g.keys) then null
            else v.last_message_key end
    from (
        select m.conversation_id as id, count(*) as messages, array_agg(m.wa_message_id) as keys
        from messaging.whatsapp_messages as m
        where m.tenant_id = p_tenant and m.id = any (v_ids)
        group by m.conversation_id order by m.conversation_id
    ) as g
    where v.tenant_id = p_tenant and v.id = g.id;
    delete from messaging.media as f where f.tenant_id = p_tenant and f.message_id = any (v_ids);
    delete from messaging.whatsapp_messages as m where m.tenant_id = p_tenant and m.id = any (v_ids);
    return true;
end
$$;

-- What Meta charges for these messages, as it said: one row per message and person of a group, from
-- the status that tells most (delivered or read before sent). Newer versions of Meta's webhooks leave
-- billable out: then a regular price is one. Meta says a price in two of the statuses at most, and a
-- conversation's end in sent alone.
create function messaging.pricing_of(p_tenant uuid, p_account uuid, p_wa_message_ids text[])
    returns table (wa_message_id text, participant text, is_billable boolean, category text,
        pricing_type text, pricing_model text, conversation_id text, conversation_origin text,
        conversation_expires text, told_at timestamptz)
    language sql stable
    begin atomic
    select f.wa_message_id, f.participant,
        case f.pricing -> 'billable' when 'true' then true when 'false' then false
            else f.pricing ->> 'type' = 'regular' end,
        f.pricing ->> 'category', f.pricing ->> 'type', f.pricing ->> 'pricing_model',
        f.conversation ->> 'id', f.conversation -> 'origin' ->> 'type', f.expires, f.told_at
    from (
        select e.wa_message_id, e.participant,
            (array_agg(e.detail -> 'pricing' order by messaging.status_rank(e.status) desc nulls last,
                e.occurred_at, e.detail) filter (where e.detail -> 'pricing' is not null))[1] as pricing,
            (array_agg(e.detail -> 'conversation' order by
                messaging.status_rank(e.status) desc nulls last, e.occurred_at, e.detail)
                filter (where e.detail -> 'conversation' is not null))[1] as conversation,
            max(e.detail -> 'conversation' ->> 'expiration_timestamp') as expires,
            min(e.occurred_at) filter (where e.detail -> 'pricing' is not null) as told_at
        from messaging.message_status_events as e
        where e.tenant_id = p_tenant and e.account_id = p_account
            and e.wa_message_id = any (p_wa_message_ids)
        group by e.wa_message_id, e.participant
    ) as f
    where f.pricing is not null;
    end;
