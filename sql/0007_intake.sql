-- What a webhook delivery writes: one call per tenant, one round trip.
-- Locks are taken in one order everywhere: message_keys, contact_identifiers, contacts,
-- whatsapp_conversations, whatsapp_messages, message_status_events, jobs; inside a table sorted by
-- key. Unsorted upserts of overlapping batches deadlock in nearly every run, sorted ones in none.

-- The set roads look rows up by key, whatever the statistics say: a batch is small beside any table,
-- and the planner cannot know how many elements a document has.

-- Folds status events into their messages: the highest rung wins, each rung keeps its earliest
-- time, the earliest failure its errors. Any order and any repetition give the same row. Of Meta's
-- words only these five are rungs: `pending` or `expired` from outside must not pass for our own.
create function messaging.fold_statuses(
    p_tenant uuid, p_messages uuid[], p_statuses text[], p_times timestamptz[], p_errors jsonb[],
    p_now timestamptz
) returns void
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    -- Sorted, and the join is a nested loop: the rows are locked in the order of their ids.
    update messaging.whatsapp_messages as m
    set status = case when f.top > m.status_rank then f.word else m.status end,
        status_rank = greatest(m.status_rank, f.top),
        sent_at = least(m.sent_at, f.sent_at),
        delivered_at = least(m.delivered_at, f.delivered_at),
        read_at = least(m.read_at, f.read_at),
        played_at = least(m.played_at, f.played_at),
        failed_at = least(m.failed_at, f.failed_at),
        -- Without a failure there is no error: why the send was throttled or in doubt is over.
        errors = case when messaging.earlier(f.failed_at, f.errors, m.failed_at, m.errors)
            then f.errors when m.failed_at is not null then m.errors end,
        error_code = case when messaging.earlier(f.failed_at, f.errors, m.failed_at, m.errors)
            then f.errors -> 0 ->> 'code' when m.failed_at is not null then m.error_code end,
        error_message = case when messaging.earlier(f.failed_at, f.errors, m.failed_at, m.errors)
            then left(f.errors -> 0 ->> 'title', 500)
            when m.failed_at is not null then m.error_message end,
        updated_at = p_now
    from (
        select e.message_id,
            max(messaging.status_rank(e.status)) as top,
            (array_agg(e.status order by messaging.status_rank(e.status) desc))[1] as word,
            min(e.at) filter (where e.status = 'sent') as sent_at,
            min(e.at) filter (where e.status = 'delivered') as delivered_at,
            min(e.at) filter (where e.status = 'read') as read_at,
            min(e.at) filter (where e.status = 'played') as played_at,
            min(e.at) filter (where e.status = 'failed') as failed_at,
            (array_agg(e.errors order by e.at, coalesce(e.errors, 'null')) filter (where e.status = 'failed'))[1] as errors
        from unnest(p_messages, p_statuses, p_times, p_errors) as e(message_id, status, at, errors)
        where e.status in ('sent', 'delivered', 'read', 'played', 'failed')
        group by e.message_id order by e.message_id
    ) as f
    where m.tenant_id = p_tenant and m.id = f.message_id and m.direction = 'outbound'
        and m.status_rank < 100;
end
$$;

-- Applies every stored event of these keys to their messages. For whoever brings the message after
-- its statuses (settle, echo): the caller has upserted the key rows in this transaction already.
create function messaging.apply_status_events(
    p_tenant uuid, p_account uuid, p_wa_message_ids text[], p_now timestamptz default null
) returns void
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_messages uuid[];
    v_statuses text[];
    v_times timestamptz[];
    v_errors jsonb[];
begin
    select array_agg(k.message_id), array_agg(e.status), array_agg(e.occurred_at),
        array_agg(e.detail -> 'errors')
    into v_messages, v_statuses, v_times, v_errors
    from messaging.message_keys as k
    join messaging.message_status_events as e
        on e.tenant_id = k.tenant_id and e.account_id = k.account_id
        and e.wa_message_id = k.wa_message_id
    where k.tenant_id = p_tenant and k.account_id = p_account
        and k.wa_message_id = any (p_wa_message_ids) and k.message_id is not null;
    if v_messages is not null then
        perform messaging.fold_statuses(p_tenant, v_messages, v_statuses, v_times, v_errors,
            coalesce(p_now, clock_timestamp()));
    end if;
end
$$;

-- Whether a profile value is replaced: the greater (time, sha256 of the value) wins.
create function messaging.newer(old_at timestamptz, old text, new_at timestamptz, new text)
    returns boolean
    -- Not immutable: convert_to is stable, and a function that promises more is never inlined.
    language sql stable parallel safe
    return new is not null and (old_at is null or old_at < new_at or (old_at = new_at
        and sha256(convert_to(old, 'UTF8')) < sha256(convert_to(new, 'UTF8'))));

-- Finds or makes the contact of each person and returns the contacts' ids in the persons' order.
-- p_doc: {"p": [{"n": profile name, "nt": its time, "u": username, "ut": its time, "ph": phone,
-- "why": reason of a change, "wt": its time}, …],
-- "i": [{"p": person's index from 0, "r": rank, "k": kind, "v": value}, …],
-- "x": [change of note_changes, …], where there are any}
-- No identifier stands twice. Raises SWM01 (refuse_strangers) where a person's identifiers lead to
-- several contacts: the caller merges them and comes again.
--
-- Row-level security makes an index condition only of comparisons that cannot leak: the other side
-- must be a plain column, so documents are taken apart by jsonb_to_recordset before they are joined.
create function messaging.claim_contacts(p_tenant uuid, p_doc jsonb, p_now timestamptz)
    returns uuid[]
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_contacts uuid[];
    v_candidates uuid[];
    v_missing boolean[];
    v_strangers boolean;
    v_grown uuid[];
begin
    select array_agg(f.ids[1] order by f.p), array_agg(f.missing order by f.p),
        bool_or(f.ids[1] <> any (f.ids))
    into v_contacts, v_missing, v_strangers
    from (
        select i.p, bool_or(ci.contact_id is null) as missing,
            array_agg(ci.contact_id order by i.r) filter (where ci.contact_id is not null) as ids
        from jsonb_to_recordset(p_doc -> 'i') as i(p integer, r integer, k text, v text)
        left join messaging.contact_identifiers as ci
            on ci.tenant_id = p_tenant and ci.kind = i.k and ci.value = i.v
        group by i.p
    ) as f;

    if v_strangers then
        perform messaging.refuse_strangers(p_tenant, p_doc, '{}');
    end if;
    if true = any (v_missing) then
        -- Losing the race for an identifier returns the winner's contact. Nobody else sees the
        -- contact id we bring until we commit, so ours alone is moved when another identifier lost.
        v_candidates := array(select gen_random_uuid() from unnest(v_contacts));
        insert into messaging.contact_identifiers as ci (tenant_id, kind, value, contact_id)
        select p_tenant, i.k, i.v, coalesce(v_contacts[i.p + 1], v_candidates[i.p + 1])
        from jsonb_to_recordset(p_doc -> 'i') as i(p integer, k text, v text)
        where not exists (select from messaging.contact_identifiers as known
            where known.tenant_id = p_tenant and known.kind = i.k and known.value = i.v)
        order by i.k collate "C", i.v collate "C"
        on conflict (tenant_id, kind, value) do update set value = excluded.value;

        -- A contact that is there before the one we bring.
        select array_agg(f.ids[1] order by f.p),
            bool_or(f.ids[1] <> any (array_remove(f.ids, v_candidates[f.p + 1])))
        into v_contacts, v_strangers
        from (
            select i.p, array_agg(ci.contact_id order by ci.contact_id = v_candidates[i.p + 1], i.r) as ids
            from jsonb_to_recordset(p_doc -> 'i') as i(p integer, r integer, k text, v text)
            join messaging.contact_identifiers as ci
                on ci.tenant_id = p_tenant and ci.kind = i.k and ci.value = i.v
            group by i.p
        ) as f;
        if v_strangers then
            perform messaging.refuse_strangers(p_tenant, p_doc, v_candidates);
        end if;

        update messaging.contact_identifiers as ci set contact_id = p.contact_id
        from unnest(v_contacts, v_candidates) as p(contact_id, c)
        where ci.tenant_id = p_tenant and ci.contact_id = p.c and p.c <> p.contact_id;

        insert into messaging.contacts (tenant_id, id, phone_number, created_at, updated_at)
        select p_tenant, p.c, '+' || p.ph, p_now, p_now
        from rows from (unnest(v_contacts), unnest(v_candidates),
                jsonb_to_recordset(p_doc -> 'p') as (ph text))
            as p(contact_id, c, ph)
        where p.contact_id = p.c
        order by p.c;
        v_grown := array(select p.contact_id from unnest(v_contacts, v_candidates, v_missing)
            as p(contact_id, c, missing) where p.missing and p.contact_id <> p.c);
    end if;

    if p_doc ? 'x' or v_grown <> '{}' or jsonb_path_exists(p_doc, '$.m[*].fx.consent_words') then
        -- All at once, sorted: what follows writes some of them, and consents do so later.
        perform 1 from messaging.contacts as c
        where c.tenant_id = p_tenant and c.id = any (v_contacts) order by c.id for no key update;
        if p_doc ? 'x' then
            perform messaging.note_changes(p_tenant, v_contacts, p_doc -> 'x', p_now);
        end if;
        if v_grown <> '{}' then
            perform messaging.show_phones(p_tenant, v_grown, p_now);
        end if;
    end if;

    -- Sorted, and the join is a nested loop: the rows are locked in the order of their ids. Two
    -- persons of one document may turn out to be one contact: then the newest of both counts.
    update messaging.contacts as c
    set phone_number = coalesce(c.phone_number, '+' || p.ph),
        profile_name = case when messaging.newer(c.profile_name_at, c.profile_name, to_timestamp(p.nt), p.n)
            then p.n else c.profile_name end,
        profile_name_at = greatest(c.profile_name_at, to_timestamp(p.nt)),
        username = case when messaging.newer(c.username_at, c.username, to_timestamp(p.ut), p.u)
            then p.u else c.username end,
        username_at = greatest(c.username_at, to_timestamp(p.ut)),
        updated_at = p_now
    from (
        select r.contact_id, max(r.ph) as ph, max(r.nt) as nt, max(r.ut) as ut,
            (array_agg(r.n order by r.nt desc nulls last, sha256(convert_to(r.n, 'UTF8')) desc))[1] as n,
            (array_agg(r.u order by r.ut desc nulls last, sha256(convert_to(r.u, 'UTF8')) desc))[1] as u
        from rows from (unnest(v_contacts),
                jsonb_to_recordset(p_doc -> 'p') as (n text, nt bigint, u text, ut bigint, ph text))
            as r(contact_id, n, nt, u, ut, ph)
        group by r.contact_id order by r.contact_id
    ) as p
    where c.tenant_id = p_tenant and c.id = p.contact_id
        and ((c.phone_number is null and p.ph is not null)
            or messaging.newer(c.profile_name_at, c.profile_name, to_timestamp(p.nt), p.n)
            or messaging.newer(c.username_at, c.username, to_timestamp(p.ut), p.u));
    return v_contacts;
end
$$;

-- Puts reaction jobs in: one waits per conversation, later messages join it. Returns whether one is
-- new: for one that waited already somebody was woken.
create function messaging.enqueue_reactions(
    p_tenant uuid, p_conversations uuid[], p_messages uuid[], p_now timestamptz
) returns boolean
    language sql
    begin atomic
    with put as (
        insert into messaging.scheduled_jobs as j
            (tenant_id, job_type, args, lane, unique_key, priority, scheduled_for, created_at)
        select p_tenant, 'react_to_message',
            jsonb_build_object('conversation_id', r.conversation_id,
                'message_ids', jsonb_agg(r.message_id order by r.message_id)),
            r.conversation_id::text, r.conversation_id::text, 10, p_now, p_now
        from unnest(p_conversations, p_messages) as r(conversation_id, message_id)
        group by r.conversation_id order by r.conversation_id
        on conflict (tenant_id, job_type, unique_key) where status = 'pending' and unique_key is not null
        do update set args = jsonb_set(j.args, '{message_ids}',
            (j.args -> 'message_ids') || (excluded.args -> 'message_ids'))
        returning j.xmax = 0 as new
    )
    select coalesce(bool_or(put.new), false) from put;
    end;

-- Whether a message is newer than the one a conversation shows: greatest (time, Meta's id).
create function messaging.shows(new_at timestamptz, new_key text, old_at timestamptz, old_key text)
    returns boolean
    language sql immutable parallel safe
    return old_at is null or new_at > old_at
        or (new_at = old_at and new_key collate "C" > coalesce(old_key, '') collate "C");

-- One inbound message on its way into the tables.
create type messaging.arrival as (
    id uuid, account_id uuid, wa_message_id text, contact_id uuid, group_id text, at timestamptz,
    preview text, unread boolean, opens boolean, reacts boolean, message_type text, content jsonb, metadata jsonb, wa_context_id text, is_forwarded boolean,
    media jsonb, effects jsonb
);

-- What new messages bring besides themselves. p_messages: [{"m": message, "a": account,
-- "v": conversation, "c": contact, "w": Meta's id, "cx": context id, "at": time,
-- "fx": {kind: its document}}, …]. Each kind is one function effect_<kind>(tenant, its messages with
-- "d" for its document, now), in the order of the kinds' names: the same order of locks everywhere.
create function messaging.apply_effects(p_tenant uuid, p_messages jsonb, p_now timestamptz)
    returns void
    language plpgsql as $$
declare
    v_effect record;
begin
    for v_effect in
        select f.key as kind,
            jsonb_agg(m - 'fx' || jsonb_build_object('d', f.value) order by m ->> 'm') as messages
        from jsonb_array_elements(p_messages) as m cross join lateral jsonb_each(m -> 'fx') as f
        group by f.key order by f.key collate "C"
    loop
        execute format('select messaging.%I($1, $2, $3)', 'effect_' || v_effect.kind)
        using p_tenant, v_effect.messages, p_now;
    end loop;
end
$$;

-- What is neither a message nor a status. p_events: [{"k": kind, "a": account or null, "b": WABA or
-- null, "t": Meta's time in seconds or null, "d": the kind's document}, …]. Each kind is one function
-- event_<kind>(tenant, its events, now) that returns how many changed something.
create function messaging.take_events(p_tenant uuid, p_events jsonb, p_now timestamptz)
    returns integer
    language plpgsql as $$
declare
    v_event record;
    v_changed integer;
    v_all integer := 0;
begin
    for v_event in
        select e ->> 'k' as kind, jsonb_agg(e - 'k' order by e) as events
        from jsonb_array_elements(p_events) as e
        group by 1 order by (e ->> 'k') collate "C"
    loop
        execute format('select messaging.%I($1, $2, $3)', 'event_' || v_event.kind)
        using p_tenant, v_event.events, p_now into v_changed;
        v_all := v_all + v_changed;
    end loop;
    return v_all;
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
-- Returns how many messages and status events were new, and whether a worker should be nudged.
create function messaging.take(
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

-- Keys decide what is new. A status whose message is known needs no lock: a key that has its
-- message keeps it. One whose message is not here locks the key row, so that whoever brings the
-- message waits for us or we for it, and the second of the two applies the event. So with the
-- messages that edits and revokes name ("w").
-- Returns the ids of the messages that are new, and those among them whose key was there already:
-- something may wait for them. Null when there are none.
create function messaging.claim_keys(
    p_tenant uuid, p_doc jsonb, p_now timestamptz, out new uuid[], out awaited uuid[]
)
    language sql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
    begin atomic
    with wanted as (
        select distinct on (e.a, e.w collate "C") e.a, e.w collate "C" as w, e.k
        from (
            select m.a, m.w, m.k from jsonb_to_recordset(p_doc -> 'm') as m(a uuid, w text, k uuid)
            union all
            select s.a, s.w, null
            from (select s.a, s.w from jsonb_to_recordset(p_doc -> 's') as s(a uuid, w text)
                union all
                select n.a, n.w from jsonb_to_recordset(p_doc -> 'w') as n(a uuid, w text)
            ) as s(a, w)
            where not exists (select from messaging.message_keys as known
                where known.account_id = s.a and known.wa_message_id = s.w
                    and known.message_id is not null)
        ) as e(a, w, k)
        order by e.a, e.w collate "C", e.k nulls last
    ), claimed as (
        insert into messaging.message_keys as k
            (tenant_id, account_id, wa_message_id, message_id, created_at)
        select p_tenant, wanted.a, wanted.w, wanted.k, p_now from wanted
        order by wanted.a, wanted.w
        on conflict (account_id, wa_message_id) do update set message_id = excluded.message_id
            where k.message_id is null
        returning k.message_id, k.xmax <> 0 as awaited
    )
    select array_agg(c.message_id), array_agg(c.message_id) filter (where c.awaited)
    from claimed as c where c.message_id is not null;
    end;

-- Finds or makes the conversation of each arrival and returns the conversations' ids in the
-- arrivals' order. Rows are made sorted: of two transactions that make the same one the second waits
-- and finds it. Of the arrivals they know only the time, which is indexed: what is filled in a moment
-- later then needs no second index entry.
create function messaging.claim_conversations(
    p_tenant uuid, p_arrivals messaging.arrival[], p_now timestamptz
) returns uuid[]
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_conversations uuid[];
begin
    loop
        select array_agg(c.id order by a.ord) into v_conversations
        from unnest(p_arrivals) with ordinality as a(id, account_id, wa_message_id, contact_id,
            group_id, at, preview, unread, opens, reacts, message_type, content, metadata,
            wa_context_id, is_forwarded, media, effects, ord)
        left join lateral (
            select c.id from messaging.whatsapp_conversations as c
            where c.tenant_id = p_tenant and c.account_id = a.account_id
                and c.contact_id = a.contact_id and a.group_id is null
            union all
            select c.id from messaging.whatsapp_conversations as c
            where c.tenant_id = p_tenant and c.account_id = a.account_id and c.group_id = a.group_id
        ) as c on true;
        if array_position(v_conversations, null) is null then
            return v_conversations;
        end if;
        insert into messaging.whatsapp_conversations (tenant_id, id, account_id, contact_id,
            group_id, last_message_at, created_at, updated_at)
        select p_tenant, gen_random_uuid(), t.account_id, t.contact_id, t.group_id, t.at, p_now, p_now
        from (
            select a.account_id, case when a.group_id is null then a.contact_id end as contact_id,
                a.group_id, max(a.at) as at
            from unnest(p_arrivals, v_conversations) as a(id, account_id, wa_message_id, contact_id,
                group_id, at, preview, unread, opens, reacts, message_type, content, metadata,
                wa_context_id, is_forwarded, media, effects, thread)
            where a.thread is null
            group by 1, 2, 3
        ) as t
        order by t.account_id, t.contact_id, t.group_id
        on conflict do nothing;
    end loop;
end
$$;

-- The many-message road: sum up per conversation, then write each table once, sorted. Returns
-- whether a job was put in.
create function messaging.take_messages(
    p_tenant uuid, p_doc jsonb, p_new uuid[], p_now timestamptz
) returns boolean
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_contacts uuid[] := messaging.claim_contacts(p_tenant, p_doc, p_now);
    v_arrivals messaging.arrival[];
    v_conversations uuid[];
    v_messages uuid[];
    v_effects jsonb;
    v_files uuid[];
    v_spam uuid[];
begin
    -- A time more than 5 minutes ahead counts as receipt.
    select array_agg(row(m.k, m.a, m.w, v_contacts[m.p + 1], m.g,
        case when to_timestamp(m.t) > p_now + interval '5 minutes' then p_now else to_timestamp(m.t) end,
        m.pv, m.n, m.o, m.r, m.ty, m.c, coalesce(m.x, '{}'), m.cx, coalesce(m.f, false), m.md, m.fx
        )::messaging.arrival)
    into v_arrivals
    from jsonb_to_recordset(p_doc -> 'm') as m(k uuid, a uuid, w text, p integer, g text,
        t bigint, pv text, n boolean, o boolean, r boolean, ty text, c jsonb, x jsonb, cx text,
        f boolean, md jsonb, fx jsonb)
    where m.k = any (p_new);

    v_conversations := messaging.claim_conversations(p_tenant, v_arrivals, p_now);

    -- One statement, so that the arrivals are taken apart once. Whichever of its parts runs first:
    -- nobody can wait for messages and files that are new.
    with arrived as materialized (
        select * from unnest(v_arrivals, v_conversations) as a(id, account_id, wa_message_id,
            contact_id, group_id, at, preview, unread, opens, reacts, message_type, content,
            metadata, wa_context_id, is_forwarded, media, effects, thread)
    ), summed as (
        -- Sorted, and the join is a nested loop: the rows are locked in the order of their ids.
        update messaging.whatsapp_conversations as c
        set unread_count = c.unread_count + t.unread,
            message_count = c.message_count + t.messages,
            window_expires_at = greatest(c.window_expires_at, t.opened_at + interval '24 hours'),
            last_inbound_at = greatest(c.last_inbound_at, t.newest_at),
            last_message_at = greatest(c.last_message_at, t.newest_at),
            last_message_key = case when messaging.shows(t.newest_at, t.key, c.last_message_at, c.last_message_key)
                then t.key else c.last_message_key end,
            last_message_preview = case when messaging.shows(t.newest_at, t.key, c.last_message_at, c.last_message_key)
                then t.preview else c.last_message_preview end,
            last_message_direction = case when messaging.shows(t.newest_at, t.key, c.last_message_at, c.last_message_key)
                then 'inbound' else c.last_message_direction end,
            -- Only what a person says brings a thread back; spam stays where it is.
            status = case when t.unread > 0 and c.status in ('resolved', 'closed')
                then 'open' else c.status end,
            closed_at = case when t.unread = 0 or c.status not in ('resolved', 'closed')
                then c.closed_at end,
            archived_at = case when t.unread = 0 or c.status = 'spam' then c.archived_at end,
            updated_at = p_now
        from (
            select a.thread, count(*) filter (where a.unread) as unread, count(*) as messages,
                max(a.at) filter (where a.opens) as opened_at, max(a.at) as newest_at,
                (array_agg(a.wa_message_id order by a.at desc, a.wa_message_id collate "C" desc))[1] as key,
                (array_agg(a.preview order by a.at desc, a.wa_message_id collate "C" desc))[1] as preview
            from arrived as a group by a.thread order by a.thread
        ) as t
        where c.tenant_id = p_tenant and c.id = t.thread
        returning c.id, c.status
    ), stored as (
        insert into messaging.whatsapp_messages (tenant_id, id, account_id, conversation_id,
            contact_id, wa_message_id, wa_context_id, direction, origin, message_type, content,
            metadata, status, status_rank, is_forwarded, occurred_at, created_at, updated_at)
        select p_tenant, a.id, a.account_id, a.thread, a.contact_id, a.wa_message_id,
            a.wa_context_id, 'inbound', 'person', a.message_type, a.content, a.metadata, 'received',
            10, a.is_forwarded, a.at, p_now, p_now
        from arrived as a order by a.id
    ), files as (
        insert into messaging.media (tenant_id, account_id, conversation_id, message_id, direction,
            media_type, wa_media_id, mime_type, sha256, file_name, caption, created_at, updated_at)
        select p_tenant, a.account_id, a.thread, a.id, 'inbound', a.media ->> 'type',
            a.media ->> 'id', a.media ->> 'mime_type', a.media ->> 'sha256',
            a.media ->> 'file_name', a.media ->> 'caption', p_now, p_now
        from arrived as a where a.media is not null order by a.id
    )
    select array_agg(a.thread) filter (where a.reacts), array_agg(a.id) filter (where a.reacts),
        array(select t.id from summed as t where t.status = 'spam'),
        jsonb_agg(jsonb_build_object('m', a.id, 'a', a.account_id, 'v', a.thread, 'c', a.contact_id,
            'w', a.wa_message_id, 'cx', a.wa_context_id, 'at', a.at, 'fx', a.effects))
            filter (where a.effects is not null),
        array_agg(a.id order by a.id) filter (where a.media is not null)
    into v_conversations, v_messages, v_spam, v_effects, v_files
    from arrived as a;
    if v_effects is not null then
        perform messaging.apply_effects(p_tenant, v_effects, p_now);
    end if;
    if v_files is not null then
        insert into messaging.scheduled_jobs (tenant_id, job_type, args, scheduled_for, created_at)
        select p_tenant, 'fetch_media', jsonb_build_object('message_id', f.id), p_now, p_now
        from unnest(v_files) as f(id);
    end if;
    if v_spam <> '{}' then
        select array_agg(r.thread), array_agg(r.id) into v_conversations, v_messages
        from unnest(v_conversations, v_messages) as r(thread, id) where r.thread <> all (v_spam);
    end if;
    -- Not one OR of the two: it need not look at its other side.
    if v_messages is not null
        and messaging.enqueue_reactions(p_tenant, v_conversations, v_messages, p_now)
    then
        return true;
    end if;
    return v_files is not null;
end
$$;

-- The one-message road of the usual webhook: the same rows as the road of many, in scalar steps
-- (a chain of set steps costs a third more). Anything unusual takes the other road.
-- Returns whether a job was put in; null for a message that is not new.
create function messaging.take_message(p_tenant uuid, p_doc jsonb, m jsonb, p_now timestamptz)
    returns boolean
    language plpgsql as $$
declare
    v_id uuid := m ->> 'k';
    v_account uuid := m ->> 'a';
    v_key text := m ->> 'w';
    v_at timestamptz := to_timestamp((m ->> 't')::bigint);
    v_person jsonb := p_doc -> 'p' -> 0;
    v_contact uuid;
    v_conversation uuid;
    v_index integer;
    v_other uuid;
    v_awaited boolean;
    v_status text;
    v_new boolean;
begin
    insert into messaging.message_keys as k
        (tenant_id, account_id, wa_message_id, message_id, created_at)
    values (p_tenant, v_account, v_key, v_id, p_now)
    on conflict (account_id, wa_message_id) do update set message_id = excluded.message_id
        where k.message_id is null
    returning k.xmax <> 0 into v_awaited;
    if not found then
        return null;
    end if;
    if v_awaited then
        -- Something named it before it came.
        v_new := messaging.take_messages(p_tenant, p_doc, array[v_id], p_now);
        perform messaging.apply_changes(p_tenant, array[v_id], p_now);
        return v_new;
    end if;

    -- The usual person: known by each identifier given, with a profile that is newer or the same.
    if m -> 'g' is null and p_doc -> 'x' is null then
        for v_index in 0 .. jsonb_array_length(p_doc -> 'i') - 1 loop
            select ci.contact_id into v_other from messaging.contact_identifiers as ci
            where ci.tenant_id = p_tenant and ci.kind = p_doc -> 'i' -> v_index ->> 'k'
                and ci.value = p_doc -> 'i' -> v_index ->> 'v';
            if v_index = 0 then
                v_contact := v_other;
            elsif v_other is distinct from v_contact then
                v_contact := null;
                exit;
            end if;
        end loop;
    end if;
    if v_contact is null then
        return messaging.take_messages(p_tenant, p_doc, array[v_id], p_now);
    end if;
    -- What they say of their consent changes the contact, whose lock comes before the conversation's.
    if m -> 'fx' ? 'consent_words' then
        perform 1 from messaging.contacts as c where c.tenant_id = p_tenant and c.id = v_contact
        for no key update;
    end if;
    update messaging.contacts as c
    set profile_name = v_person ->> 'n', profile_name_at = to_timestamp((v_person ->> 'nt')::bigint),
        updated_at = p_now
    where c.tenant_id = p_tenant and c.id = v_contact and messaging.newer(c.profile_name_at,
        c.profile_name, to_timestamp((v_person ->> 'nt')::bigint), v_person ->> 'n');
    if v_person -> 'u' is not null then
        update messaging.contacts as c
        set username = v_person ->> 'u', username_at = to_timestamp((v_person ->> 'ut')::bigint),
            updated_at = p_now
        where c.tenant_id = p_tenant and c.id = v_contact and messaging.newer(c.username_at,
            c.username, to_timestamp((v_person ->> 'ut')::bigint), v_person ->> 'u');
    end if;

    if v_at > p_now + interval '5 minutes' then
        v_at := p_now;
    end if;
    update messaging.whatsapp_conversations as c
    set unread_count = c.unread_count + (m ->> 'n')::boolean::integer,
        message_count = c.message_count + 1,
        window_expires_at = greatest(c.window_expires_at,
            case when (m ->> 'o')::boolean then v_at + interval '24 hours' end),
        last_inbound_at = greatest(c.last_inbound_at, v_at),
        last_message_at = greatest(c.last_message_at, v_at),
        last_message_key = case when messaging.shows(v_at, v_key, c.last_message_at, c.last_message_key)
            then v_key else c.last_message_key end,
        last_message_preview = case when messaging.shows(v_at, v_key, c.last_message_at, c.last_message_key)
            then m ->> 'pv' else c.last_message_preview end,
        last_message_direction = case when messaging.shows(v_at, v_key, c.last_message_at, c.last_message_key)
            then 'inbound' else c.last_message_direction end,
        -- Only what a person says brings a thread back; spam stays where it is.
        status = case when (m ->> 'n')::boolean and c.status in ('resolved', 'closed')
            then 'open' else c.status end,
        closed_at = case when not (m ->> 'n')::boolean or c.status not in ('resolved', 'closed')
            then c.closed_at end,
        archived_at = case when not (m ->> 'n')::boolean or c.status = 'spam' then c.archived_at end,
        updated_at = p_now
    where c.tenant_id = p_tenant and c.account_id = v_account and c.contact_id = v_contact
    returning c.id, c.status into v_conversation, v_status;
    if not found then
        -- Their first message to this number.
        return messaging.take_messages(p_tenant, p_doc, array[v_id], p_now);
    end if;

    insert into messaging.whatsapp_messages (tenant_id, id, account_id, conversation_id, contact_id,
        wa_message_id, wa_context_id, direction, origin, message_type, content, metadata, status,
        status_rank, is_forwarded, occurred_at, created_at, updated_at)
    values (p_tenant, v_id, v_account, v_conversation, v_contact, v_key, m ->> 'cx', 'inbound',
        'person', m ->> 'ty', m -> 'c', coalesce(m -> 'x', '{}'), 'received', 10,
        coalesce((m ->> 'f')::boolean, false), v_at, p_now, p_now);

    if m -> 'md' is not null then
        insert into messaging.media (tenant_id, account_id, conversation_id, message_id, direction,
            media_type, wa_media_id, mime_type, sha256, file_name, caption, created_at, updated_at)
        values (p_tenant, v_account, v_conversation, v_id, 'inbound', m -> 'md' ->> 'type',
            m -> 'md' ->> 'id', m -> 'md' ->> 'mime_type', m -> 'md' ->> 'sha256',
            m -> 'md' ->> 'file_name', m -> 'md' ->> 'caption', p_now, p_now);
        insert into messaging.scheduled_jobs (tenant_id, job_type, args, scheduled_for, created_at)
        values (p_tenant, 'fetch_media', jsonb_build_object('message_id', v_id), p_now, p_now);
    end if;

    if m -> 'fx' is not null then
        perform messaging.apply_effects(p_tenant, jsonb_build_array(jsonb_build_object('m', v_id,
            'a', v_account, 'v', v_conversation, 'c', v_contact, 'w', v_key, 'cx', m ->> 'cx',
            'at', v_at, 'fx', m -> 'fx')), p_now);
    end if;
    if not (m ->> 'r')::boolean or v_status = 'spam' then
        return m -> 'md' is not null;
    end if;
    insert into messaging.scheduled_jobs as j
        (tenant_id, job_type, args, lane, unique_key, priority, scheduled_for, created_at)
    values (p_tenant, 'react_to_message',
        jsonb_build_object('conversation_id', v_conversation, 'message_ids', jsonb_build_array(v_id)),
        v_conversation::text, v_conversation::text, 10, p_now, p_now)
    on conflict (tenant_id, job_type, unique_key) where status = 'pending' and unique_key is not null
    do update set args = jsonb_set(j.args, '{message_ids}',
        (j.args -> 'message_ids') || (excluded.args -> 'message_ids'))
    returning j.xmax = 0 into v_new;
    return v_new or m -> 'md' is not null;
end
$$;

-- Stores each status once, finds its message by key or by the attempt's key that we sent along,
-- and folds what is new. Of two with one key (the same word and second) the smaller detail stays.
-- Returns how many events were new.
create function messaging.take_statuses(p_tenant uuid, p_statuses jsonb, p_now timestamptz)
    returns integer
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_adopted text[];
    v_count integer;
    v_messages uuid[];
    v_statuses text[];
    v_times timestamptz[];
    v_errors jsonb[];
begin
    -- A send whose answer was lost: the status brings the id that Meta gave it.
    with adopted as (
        select distinct on (s.a, s.w collate "C") s.a, s.w collate "C" as w, m.id
        from jsonb_to_recordset(p_statuses) as s(a uuid, w text, cb uuid)
        join messaging.message_keys as k
            on k.account_id = s.a and k.wa_message_id = s.w and k.message_id is null
        join messaging.whatsapp_messages as m
            on m.tenant_id = p_tenant and m.id = s.cb and m.account_id = s.a
                and m.direction = 'outbound'
        where s.cb is not null
        order by s.a, s.w collate "C", m.id
    ), keyed as (
        update messaging.message_keys as k set message_id = adopted.id
        from adopted where k.account_id = adopted.a and k.wa_message_id = adopted.w
        returning k.wa_message_id
    )
    select array_agg(keyed.wa_message_id) into v_adopted from keyed;

    with stored as (
        insert into messaging.message_status_events as e
            (tenant_id, account_id, wa_message_id, status, participant, occurred_at, detail)
        select distinct on (s.a, s.w collate "C", s.s collate "C", s.pt collate "C", s.t)
            p_tenant, s.a, s.w, s.s, s.pt, to_timestamp(s.t), s.d
        from jsonb_to_recordset(p_statuses)
            as s(a uuid, w text, s text, pt text, t bigint, d jsonb)
        order by s.a, s.w collate "C", s.s collate "C", s.pt collate "C", s.t,
            coalesce(s.d -> 'errors', 'null'), s.d
        on conflict (tenant_id, account_id, wa_message_id, status, participant, occurred_at)
            do update set detail = excluded.detail
            where (coalesce(excluded.detail -> 'errors', 'null'), excluded.detail)
                < (coalesce(e.detail -> 'errors', 'null'), e.detail)
        returning account_id, wa_message_id, status, occurred_at, detail
    )
    select count(*), array_agg(k.message_id) filter (where k.message_id is not null),
        array_agg(e.status) filter (where k.message_id is not null),
        array_agg(e.occurred_at) filter (where k.message_id is not null),
        array_agg(e.detail -> 'errors') filter (where k.message_id is not null)
    into v_count, v_messages, v_statuses, v_times, v_errors
    from stored as e
    left join messaging.message_keys as k
        on k.account_id = e.account_id and k.wa_message_id = e.wa_message_id;

    if v_adopted is not null then
        perform messaging.name_adopted(p_tenant, p_statuses, v_adopted, p_now);
    end if;
    if v_messages is not null then
        perform messaging.fold_statuses(p_tenant, v_messages, v_statuses, v_times, v_errors, p_now);
    end if;
    return v_count;
end
$$;

-- Gives adopted messages the id that Meta gave them, and folds what came earlier under that id,
-- without the attempt's key.
create function messaging.name_adopted(
    p_tenant uuid, p_statuses jsonb, p_adopted text[], p_now timestamptz
) returns void
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_keys record;
begin
    -- All messages of the document at once, sorted: each later step writes some of them.
    perform 1 from messaging.whatsapp_messages as m
    where m.tenant_id = p_tenant and m.id = any (array(
        select k.message_id from jsonb_to_recordset(p_statuses) as s(a uuid, w text)
        join messaging.message_keys as k on k.account_id = s.a and k.wa_message_id = s.w
        where k.message_id is not null))
    order by m.id for no key update;
    for v_keys in
        select s.a, array_agg(distinct s.w) as ids
        from jsonb_to_recordset(p_statuses) as s(a uuid, w text)
        where s.w = any (p_adopted) group by s.a
    loop
        update messaging.whatsapp_messages as m set wa_message_id = k.id
        from (select message_id, min(wa_message_id) as id from messaging.message_keys
            where account_id = v_keys.a and wa_message_id = any (v_keys.ids) group by message_id) as k
        where m.tenant_id = p_tenant and m.id = k.message_id and m.wa_message_id is null
            and m.direction = 'outbound';
        perform messaging.apply_status_events(p_tenant, v_keys.a, v_keys.ids, p_now);
    end loop;
end
$$;
