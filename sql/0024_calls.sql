-- Calls that are made and answered from here.

-- squawk-ignore-file ban-drop-constraint, ban-drop-not-null, constraint-missing-not-valid

-- A call of ours has a row before Meta has heard of it. Its key, "call." and the row's id, goes out
-- as biz_opaque_callback_data and comes back with parts of the call; Meta's id joins the row with the
-- answer or with the first part that carries the key, whichever comes first.
alter table messaging.call_logs
    alter column wa_call_id drop not null,
    -- What the caller of the API wants to find with the call.
    add column metadata jsonb not null default '{}',
    -- When Meta said that it makes no such call, or was not reached.
    add column refused_at timestamptz,
    -- unconfirmed: the request may have left, and nobody knows whether Meta took it.
    drop constraint call_logs_status_check,
    add constraint call_logs_status_check
        check (status in ('unconfirmed', 'initiated', 'accepted', 'ended', 'rejected', 'failed')),
    drop constraint call_logs_end_reason_check,
    add constraint call_logs_end_reason_check check (end_reason in
        ('user_declined', 'business_declined', 'user_busy', 'timeout', 'completed'));

-- Until Meta's id is known a call says what became of the request; then what its parts tell.
create or replace function messaging.judge_call(c messaging.call_logs, out status text,
    out end_reason text)
    language plpgsql immutable as $$
begin
    if c.wa_call_id is null then
        status := case when c.refused_at is null then 'unconfirmed' else 'failed' end;
    elsif c.duration_seconds is not null then
        status := 'ended';
        end_reason := 'completed';
    elsif c.rejected_at is not null and c.accepted_at is null then
        status := 'rejected';
        end_reason := case when c.direction = 'inbound' then 'business_declined'
            else 'user_declined' end;
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

-- An interaction is what a person did: a call that the business refused is none.
create or replace function messaging.note_call(c messaging.call_logs, p_now timestamptz) returns void
    language plpgsql as $$
declare
    v_id uuid := md5('call ' || c.id)::uuid;
    v_at timestamptz := case when c.status = 'rejected' then c.rejected_at
        when c.end_reason = 'completed' then coalesce(c.accepted_at, c.terminated_at)
        else c.accepted_at end;
begin
    if c.contact_id is null or v_at is null or c.end_reason = 'business_declined' then
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

-- That a request is under way is told to nobody: a call begins when Meta has taken it, or has failed.
create or replace function messaging.tell_call() returns trigger
    language plpgsql as $$
begin
    if new.status <> 'unconfirmed' and not exists (select from messaging.contacts as c
        where c.tenant_id = new.tenant_id and c.id = new.contact_id and c.is_blocked)
    then
        perform messaging.tell(new.tenant_id, array[row('call', null, new.account_id, null, new.status,
            null, case new.status when 'initiated' then new.occurred_at
                when 'accepted' then new.accepted_at when 'rejected' then new.rejected_at
                else coalesce(new.ended_at, new.refused_at) end, new.id)::messaging.told],
            new.updated_at);
    end if;
    return null;
end
$$;

-- The row that a part's callback data name; null for another key.
create function messaging.call_of_key(p_key text) returns uuid
    language sql immutable
    return case when p_key ~ '^call\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        then substr(p_key, 6)::uuid end;

-- What is known of one call by two rows, as if all of it had come to the first.
create function messaging.fold_call(a messaging.call_logs, b messaging.call_logs)
    returns messaging.call_logs
    language plpgsql immutable as $$
declare
    v_event text;
begin
    a.contact_id := coalesce(a.contact_id, b.contact_id);
    a.conversation_id := coalesce(a.conversation_id, b.conversation_id);
    a.direction := least(a.direction, b.direction);
    a.occurred_at := least(a.occurred_at, b.occurred_at);
    a.connected_at := least(a.connected_at, b.connected_at);
    a.ringing_at := least(a.ringing_at, b.ringing_at);
    a.accepted_at := least(a.accepted_at, b.accepted_at);
    a.rejected_at := least(a.rejected_at, b.rejected_at);
    if b.terminated_at is not null and (a.terminated_at is null
        or (b.terminated_at, b.terminate_sha256) > (a.terminated_at, a.terminate_sha256))
    then
        a.terminated_at := b.terminated_at;
        a.terminate_sha256 := b.terminate_sha256;
        a.terminate_status := b.terminate_status;
        a.started_at := b.started_at;
        a.ended_at := b.ended_at;
        a.duration_seconds := b.duration_seconds;
    end if;
    a.cta_payload := least(a.cta_payload, b.cta_payload);
    a.deeplink_payload := least(a.deeplink_payload, b.deeplink_payload);
    a.callback_data := least(a.callback_data, b.callback_data);
    if b.errors_at is not null and (a.errors_at is null
        or (b.errors_at, b.errors) > (a.errors_at, a.errors))
    then
        a.errors := b.errors;
        a.errors_at := b.errors_at;
    end if;
    for v_event in select jsonb_object_keys(b.extras) loop
        a.extras := a.extras || jsonb_build_object(v_event,
            greatest(a.extras -> v_event, b.extras -> v_event));
    end loop;
    a.session := greatest(a.session, b.session);
    return a;
end
$$;

-- Writes what follows from all that is known of a call.
create function messaging.keep_call(c messaging.call_logs, p_now timestamptz) returns void
    language plpgsql as $$
begin
    select j.status, j.end_reason into c.status, c.end_reason from messaging.judge_call(c) as j;
    if c.status not in ('initiated', 'accepted') or c.occurred_at < p_now - interval '1 hour' then
        c.session := null;
    end if;
    update messaging.call_logs as l
    set wa_call_id = c.wa_call_id, contact_id = c.contact_id, conversation_id = c.conversation_id,
        occurred_at = c.occurred_at, direction = c.direction, status = c.status,
        end_reason = c.end_reason, connected_at = c.connected_at, ringing_at = c.ringing_at,
        accepted_at = c.accepted_at, rejected_at = c.rejected_at, refused_at = c.refused_at,
        terminated_at = c.terminated_at, terminate_sha256 = c.terminate_sha256,
        terminate_status = c.terminate_status, started_at = c.started_at, ended_at = c.ended_at,
        duration_seconds = c.duration_seconds, cta_payload = c.cta_payload,
        deeplink_payload = c.deeplink_payload, callback_data = c.callback_data,
        errors = c.errors, errors_at = c.errors_at, extras = c.extras, session = c.session,
        updated_at = p_now
    where l.tenant_id = c.tenant_id and l.id = c.id;
    perform messaging.note_call(c, p_now);
end
$$;

-- What subscribers were told of one row was about the other: each state stays told once.
create function messaging.move_told_calls(p_tenant uuid, p_from uuid, p_to uuid) returns void
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_status text;
    v_of_from bytea;
    v_of_to bytea;
begin
    foreach v_status in array array['initiated', 'accepted', 'ended', 'rejected', 'failed'] loop
        v_of_from := sha256(convert_to('call ' || p_from || ' ' || v_status, 'UTF8'));
        v_of_to := sha256(convert_to('call ' || p_to || ' ' || v_status, 'UTF8'));
        update messaging.event_deliveries as d
        set call_id = p_to,
            event_sha256 = case when exists (select from messaging.event_deliveries as o
                where o.tenant_id = p_tenant and o.subscription_id = d.subscription_id
                    and o.event_sha256 = v_of_to) then d.event_sha256 else v_of_to end
        from messaging.event_subscriptions as s
        where s.tenant_id = p_tenant and d.tenant_id = p_tenant and d.subscription_id = s.id
            and d.event_sha256 = v_of_from;
    end loop;
end
$$;

-- Gives our row Meta's id of the call, and takes in the row that parts without our key have made.
-- False where the row is not here, or is another call's.
create function messaging.join_call(
    p_tenant uuid, p_account uuid, p_call uuid, p_wa_call text, p_now timestamptz
) returns boolean
    language plpgsql as $$
declare
    v_ours messaging.call_logs;
    v_theirs messaging.call_logs;
begin
    select l.* into v_ours from messaging.call_logs as l
    where l.tenant_id = p_tenant and l.id = p_call and l.account_id = p_account for update;
    if v_ours.id is null or v_ours.wa_call_id is not null then
        return coalesce(v_ours.wa_call_id = p_wa_call, false);
    end if;
    v_ours.wa_call_id := p_wa_call;
    if v_ours.refused_at is not null then
        -- There is such a call after all.
        v_ours.refused_at := null;
        v_ours.errors := null;
        v_ours.errors_at := null;
    end if;
    loop
        delete from messaging.call_logs as l
        where l.tenant_id = p_tenant and l.account_id = p_account and l.wa_call_id = p_wa_call
        returning l.* into v_theirs;
        if v_theirs.id is not null then
            v_ours := messaging.fold_call(v_ours, v_theirs);
            delete from messaging.user_interactions as i
            where i.tenant_id = p_tenant and i.id = md5('call ' || v_theirs.id)::uuid;
            perform messaging.move_told_calls(p_tenant, v_theirs.id, v_ours.id);
        end if;
        begin
            perform messaging.keep_call(v_ours, p_now);
            return true;
        exception when unique_violation then
            -- A part that came this moment has made another row: it is here now.
            null;
        end;
    end loop;
end
$$;

-- A call that we are about to ask for: nobody knows yet what becomes of it. Twice changes nothing.
create function messaging.start_call(
    p_tenant uuid, p_call uuid, p_account uuid, p_contact uuid, p_phone text, p_metadata jsonb,
    p_now timestamptz
) returns void
    language plpgsql as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_contact uuid;
    v_conversation uuid;
begin
    perform messaging.hold_contacts(p_tenant);
    v_contact := coalesce(messaging.contact_now(p_tenant, p_contact), (
        messaging.claim_people(p_tenant, jsonb_build_array(jsonb_build_object('i',
            jsonb_build_array(jsonb_build_object('k', 'phone', 'v', p_phone)), 'n', null,
            't', extract(epoch from v_now)::bigint)), v_now) -> 0 ->> 'c')::uuid);
    insert into messaging.whatsapp_conversations
        (tenant_id, id, account_id, contact_id, created_at, updated_at)
    values (p_tenant, gen_random_uuid(), p_account, v_contact, v_now, v_now)
    on conflict (tenant_id, account_id, contact_id) do nothing;
    select c.id into v_conversation from messaging.whatsapp_conversations as c
    where c.tenant_id = p_tenant and c.account_id = p_account and c.contact_id = v_contact;
    insert into messaging.call_logs (tenant_id, id, account_id, conversation_id, contact_id,
        direction, status, occurred_at, callback_data, metadata, created_at, updated_at)
    values (p_tenant, p_call, p_account, v_conversation, v_contact, 'outbound', 'unconfirmed', v_now,
        'call.' || p_call, p_metadata, v_now, v_now)
    on conflict (tenant_id, id) do nothing;
end
$$;

-- What Meta answered to that: its id of the call, or why there is none. What parts have told already
-- stands.
create function messaging.settle_call(
    p_tenant uuid, p_call uuid, p_wa_call text, p_errors jsonb, p_now timestamptz
) returns void
    language plpgsql as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_call messaging.call_logs;
begin
    perform messaging.hold_contacts(p_tenant);
    select l.* into v_call from messaging.call_logs as l
    where l.tenant_id = p_tenant and l.id = p_call for update;
    if v_call.id is null then
        return;
    elsif p_wa_call is not null then
        perform messaging.join_call(p_tenant, v_call.account_id, p_call, p_wa_call, v_now);
    elsif v_call.wa_call_id is null and v_call.refused_at is null then
        v_call.refused_at := v_now;
        v_call.errors := p_errors;
        v_call.errors_at := v_now;
        perform messaging.keep_call(v_call, v_now);
    end if;
end
$$;

-- Meta has taken our answer to a person's call. Of an acceptance it tells nothing else until the end.
create function messaging.answer_call(
    p_tenant uuid, p_call uuid, p_accepted boolean, p_now timestamptz
) returns void
    language plpgsql as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_call messaging.call_logs;
begin
    perform messaging.hold_contacts(p_tenant);
    select l.* into v_call from messaging.call_logs as l
    where l.tenant_id = p_tenant and l.id = p_call for update;
    if v_call.id is null then
        return;
    elsif p_accepted then
        v_call.accepted_at := least(v_call.accepted_at, v_now);
    else
        v_call.rejected_at := least(v_call.rejected_at, v_now);
    end if;
    perform messaging.keep_call(v_call, v_now);
end
$$;

-- As in sql/0013; a part that carries our key finds the row that waits for it.
-- Parts of calls. d: {"w": Meta's id, "i" and "n": person, "dir": direction, "ev": Meta's event or
-- "status", "st": its status, "b", "e", "du": start and end in seconds, duration, "cta", "dl",
-- "cb": callback data, "er": errors, "x": other keys, "ss": session}. Returns how many were stored.
create or replace function messaging.event_call(p_tenant uuid, p_events jsonb, p_now timestamptz)
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
        select distinct x.a, messaging.call_of_key(x.d ->> 'cb') as id, x.d ->> 'w' as w
        from jsonb_to_recordset(p_events) as x(a uuid, d jsonb)
        where messaging.call_of_key(x.d ->> 'cb') is not null
        order by x.a, 2, 3
    loop
        perform messaging.join_call(p_tenant, e.a, e.id, e.w, p_now);
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

-- What Meta said of a permission when it was asked, kept by the rule of effect_call_permissions.
create function messaging.keep_call_permission(
    p_tenant uuid, p_account uuid, p_contact uuid, p_response text, p_is_permanent boolean,
    p_expires_at timestamptz, p_told_at timestamptz, p_now timestamptz
) returns void
    language plpgsql as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
begin
    perform messaging.hold_contacts(p_tenant);
    insert into messaging.call_permissions as c (tenant_id, account_id, contact_id, response,
        is_permanent, expires_at, source, told_at, told_sha256, message_id, created_at, updated_at)
    values (p_tenant, p_account, messaging.contact_now(p_tenant, p_contact), p_response,
        p_is_permanent, p_expires_at, null, p_told_at,
        sha256(convert_to(jsonb_build_array(p_response, p_is_permanent,
            extract(epoch from p_expires_at))::text, 'UTF8')), null, v_now, v_now)
    on conflict (tenant_id, account_id, contact_id) do update
    set response = excluded.response, is_permanent = excluded.is_permanent,
        expires_at = excluded.expires_at, source = excluded.source, told_at = excluded.told_at,
        told_sha256 = excluded.told_sha256, message_id = excluded.message_id,
        updated_at = excluded.updated_at
    where (excluded.told_at, excluded.told_sha256) > (c.told_at, c.told_sha256);
end
$$;
