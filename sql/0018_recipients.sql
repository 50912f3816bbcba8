-- A status names whom its message went to by phone and by user id: so these are one person.

-- Gives the contact of a message that we sent whatever identifiers its status adds to one that the
-- contact has. p_recipients: [{"n": number of the status, "a": account, "w": Meta's id, "cb": our
-- message id or null, "k": kind, "v": value of one identifier}, …]. A status whose message is not here,
-- or went to somebody else's identifiers, tells nothing. Raises SWM01 as claim_contacts does.
create function messaging.pair_recipients(p_tenant uuid, p_recipients jsonb, p_now timestamptz)
    returns void
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_apart integer[];
    v_contacts uuid[];
    v_kinds text[];
    v_values text[];
    v_strangers jsonb;
begin
    -- The usual recipient is paired already: nothing is locked, and no message looked up.
    select array_agg(f.n) into v_apart
    from (
        select i.n, array_agg(ci.contact_id) as ids
        from jsonb_to_recordset(p_recipients) as i(n integer, k text, v text)
        left join messaging.contact_identifiers as ci
            on ci.tenant_id = p_tenant and ci.kind = i.k and ci.value = i.v
        group by i.n
    ) as f
    where array_position(f.ids, null) is not null or f.ids[1] <> any (f.ids);
    if v_apart is null then
        return;
    end if;

    -- Materialized: the message's id must be a plain column to be looked up by.
    with sent as materialized (
        select i.n, i.a, coalesce(key.message_id, i.cb) as id, i.k, i.v
        from jsonb_to_recordset(p_recipients)
            as i(n integer, a uuid, w text, cb uuid, k text, v text)
        join messaging.message_keys as key on key.account_id = i.a and key.wa_message_id = i.w
        where i.n = any (v_apart)
    )
    select array_agg(t.contact_id), array_agg(t.k), array_agg(t.v)
    into v_contacts, v_kinds, v_values
    from (
        select m.contact_id, s.k, s.v,
            bool_or(ci.contact_id = m.contact_id) over (partition by s.n) as is_theirs
        from sent as s
        join messaging.whatsapp_messages as m on m.tenant_id = p_tenant and m.id = s.id
            and m.account_id = s.a and m.direction = 'outbound'
        left join messaging.contact_identifiers as ci
            on ci.tenant_id = p_tenant and ci.kind = s.k and ci.value = s.v
    ) as t
    where t.is_theirs;
    if v_contacts is null then
        return;
    end if;

    insert into messaging.contact_identifiers (tenant_id, kind, value, contact_id)
    select distinct on (1, 2, 3) p_tenant, t.k collate "C", t.v collate "C", t.contact_id
    from unnest(v_contacts, v_kinds, v_values) as t(contact_id, k, v)
    order by 1, 2, 3, 4
    on conflict (tenant_id, kind, value) do nothing;

    select jsonb_agg(jsonb_build_object('contacts', f.ids, 'reason', 'late_pairing', 'at', null))
    into v_strangers
    from (
        select array_agg(distinct ci.contact_id) || t.contact_id as ids
        from unnest(v_contacts, v_kinds, v_values) as t(contact_id, k, v)
        join messaging.contact_identifiers as ci
            on ci.tenant_id = p_tenant and ci.kind = t.k and ci.value = t.v
        where ci.contact_id <> t.contact_id
        group by t.contact_id order by t.contact_id
    ) as f;
    if v_strangers is not null then
        raise exception using errcode = 'SWM01', detail = v_strangers::text,
            message = 'identifiers of one person lead to several contacts';
    end if;
    perform messaging.show_phones(p_tenant, v_contacts, p_now);
end
$$;

-- Takes the readable events of one delivery for one tenant:
-- {"p" and "i": persons and identifiers of claim_contacts, "m": [message …], "s": [status …],
-- "e": [event of take_events …], where there are any,
-- "w": [{"a": account, "w": Meta's id of a message that an edit or revoke names}, …], likewise}
-- message: k id to use, a account, w Meta's id, p person's index
--   from 0, g group, t time, ty type, c content, x metadata, cx context id, f forwarded,
--   pv preview, n whether it counts as unread, o whether it opens the window, r whether anybody
--   reacts, md media {"type", "id", "mime_type", "sha256", "file_name", "caption"},
--   fx effects {kind: document} of apply_effects
-- status: a account, w Meta's id, s word, pt participant, t time, d Meta's object, cb our message id
--   from biz_opaque_callback_data
-- "q": [identifier of pair_recipients, …], where statuses tell any
-- Returns how many messages and status events were new, and whether a worker should be nudged.
create or replace function messaging.take(
    p_tenant uuid, p_doc jsonb, p_now timestamptz default null,
    out messages integer, out events integer, out nudge boolean
)
    language plpgsql as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_new uuid[];
    v_awaited uuid[];
    v_reacts boolean := false;
begin
    messages := 0;
    events := 0;
    -- Assignments, not PERFORM: a lone function call is evaluated without a query around it.
    v_reacts := set_config('switchboard.tenant_id', p_tenant::text, true) is null;
    v_reacts := messaging.hold_contacts(p_tenant) is null;
    if jsonb_array_length(p_doc -> 'm') = 1 and jsonb_array_length(p_doc -> 's') = 0
        and not p_doc ?| array['e', 'w']
    then
        v_reacts := messaging.take_message(p_tenant, p_doc, p_doc -> 'm' -> 0, v_now);
        if v_reacts is null and messaging.displace_copies(p_tenant, p_doc -> 'm', v_now) then
            v_reacts := messaging.take_message(p_tenant, p_doc, p_doc -> 'm' -> 0, v_now);
        end if;
        messages := (v_reacts is not null)::integer;
    else
        select k.new, k.awaited into v_new, v_awaited
        from messaging.claim_keys(p_tenant, p_doc, v_now) as k;
        if cardinality(v_new) is distinct from jsonb_array_length(p_doc -> 'm')
            and messaging.displace_copies(p_tenant, p_doc -> 'm', v_now)
        then
            select v_new || k.new, v_awaited || k.awaited into v_new, v_awaited
            from messaging.claim_keys(p_tenant, p_doc, v_now) as k;
        end if;
        if p_doc ? 'q' then
            perform messaging.pair_recipients(p_tenant, p_doc -> 'q', v_now);
        end if;
        if v_new is not null then
            messages := cardinality(v_new);
            v_reacts := messaging.take_messages(p_tenant, p_doc, v_new, v_now);
        end if;
        if v_awaited is not null then
            perform messaging.apply_changes(p_tenant, v_awaited, v_now);
        end if;
        if jsonb_array_length(p_doc -> 's') > 0 then
            events := messaging.take_statuses(p_tenant, p_doc -> 's', v_now);
        end if;
        if p_doc ? 'e' then
            events := events + messaging.take_events(p_tenant, p_doc -> 'e', v_now);
        end if;
    end if;
    -- Where somebody has subscribed to what is new, they are told of it.
    if (messages > 0 or events > 0) and exists (select from messaging.event_subscriptions as s
        where s.tenant_id = p_tenant and s.is_active)
    then
        if messaging.notify_subscribers(p_tenant,
            coalesce(v_new, array[(p_doc -> 'm' -> 0 ->> 'k')::uuid]), p_doc -> 's', v_now)
        then
            v_reacts := true;
        end if;
    end if;
    -- A worker that is awake looks once more before it ends: no need to wake another.
    nudge := v_reacts and not messaging.worker_awake(p_now);
end
$$;
