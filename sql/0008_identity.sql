-- One person, several identifiers: their changes as Meta tells them, and the merging of contacts that
-- turn out to be one.
-- Whoever writes rows that name a contact holds the tenant's lock (hold_contacts, sql/0003); a merge
-- takes it alone. So nothing that names a contact is written while one is merged, except by those who
-- go by rows that are locked here too (attempts and jobs under a lease).

-- What Meta said of a person's identifiers, each once, with Meta's time.
create table messaging.identity_changes (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    -- Meta's word: the type of the system message, or the field user_id_update.
    source text collate "C" not null,
    -- identity: the security code; its current value is Meta's hash.
    kind text collate "C" not null
        check (kind in ('phone', 'user_id', 'parent_user_id', 'identity')),
    -- The identifier by which Meta named the person.
    named text collate "C" not null,
    -- '' where Meta does not say what it was before.
    previous text collate "C" not null default '',
    current text collate "C" not null,
    occurred_at timestamptz not null,
    contact_id uuid not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, source, kind, named, previous, current, occurred_at),
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
        on delete cascade
);
create index identity_changes_contact on messaging.identity_changes (tenant_id, contact_id);
call messaging.protect('messaging.identity_changes', 'select, insert, update, delete');

-- Which contact went into which, and why. The winner of then: it may have lost to another since.
create table messaging.contact_merges (
    tenant_id uuid not null,
    loser_id uuid not null,
    winner_id uuid not null,
    -- late_pairing: a message showed identifiers of both. Else the change that Meta told.
    reason text not null check (reason in ('late_pairing', 'number_change', 'user_id_change')),
    -- Meta's time of what told it.
    told_at timestamptz,
    merged_at timestamptz not null,
    primary key (tenant_id, loser_id),
    foreign key (tenant_id, loser_id) references messaging.contacts (tenant_id, id)
        on delete cascade,
    foreign key (tenant_id, winner_id) references messaging.contacts (tenant_id, id)
        on delete cascade
);
create index contact_merges_winner on messaging.contact_merges (tenant_id, winner_id);
call messaging.protect('messaging.contact_merges', 'select, insert');

-- The ids of conversations that went into another of the same number: they answer for ever.
create table messaging.conversation_merges (
    tenant_id uuid not null,
    conversation_id uuid not null,
    -- The root, never a chain.
    merged_into uuid not null,
    merged_at timestamptz not null,
    primary key (tenant_id, conversation_id),
    foreign key (tenant_id, merged_into)
        references messaging.whatsapp_conversations (tenant_id, id) on delete cascade
);
create index conversation_merges_root on messaging.conversation_merges (tenant_id, merged_into);
call messaging.protect('messaging.conversation_merges', 'select, insert, update');

grant update (contact_id) on messaging.delivery_logs to app;
grant delete on messaging.whatsapp_conversations to app;

-- The conversation that an id stands for now: its own, or the one it went into.
create function messaging.conversation_now(p_tenant uuid, p_conversation uuid) returns uuid
    language sql stable
    return coalesce((select m.merged_into from messaging.conversation_merges as m
        where m.tenant_id = p_tenant and m.conversation_id = p_conversation), p_conversation);

-- Raises SQLSTATE SWM01 when identifiers of one person lead to several contacts; its detail is
-- [{"contacts": [id, …], "reason": of contact_merges, "at": Meta's seconds or null}, …]. Whoever holds the
-- lock of contacts beside others cannot merge: the caller does, alone, and comes again.
-- p_doc: claim_contacts'; p_candidates: contacts that only this transaction knows.
create function messaging.refuse_strangers(p_tenant uuid, p_doc jsonb, p_candidates uuid[])
    returns void
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_groups jsonb;
begin
    select jsonb_agg(jsonb_build_object('contacts', f.contacts,
        'reason', coalesce(p_doc -> 'p' -> f.p ->> 'why', 'late_pairing'),
        'at', p_doc -> 'p' -> f.p -> 'wt') order by f.p)
    into v_groups
    from (
        select i.p, array_agg(distinct ci.contact_id) as contacts
        from jsonb_to_recordset(p_doc -> 'i') as i(p integer, k text, v text)
        join messaging.contact_identifiers as ci
            on ci.tenant_id = p_tenant and ci.kind = i.k and ci.value = i.v
        where ci.contact_id <> all (p_candidates)
        group by i.p having count(distinct ci.contact_id) > 1
    ) as f;
    if v_groups is not null then
        raise exception using errcode = 'SWM01', detail = v_groups::text,
            message = 'identifiers of one person lead to several contacts';
    end if;
end
$$;

-- Shows each contact's phone: the one that a change brought last, else the smallest. Any order of what
-- was told gives the same.
create function messaging.show_phones(p_tenant uuid, p_contacts uuid[], p_now timestamptz)
    returns void
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    update messaging.contacts as c set phone_number = p.shown, updated_at = p_now
    from (
        select w.id, (
            select '+' || d.value from messaging.contact_identifiers as d
            where d.tenant_id = p_tenant and d.contact_id = w.id and d.kind = 'phone'
            order by d.taken_at desc nulls last, d.value limit 1) as shown
        from (select distinct u.id from unnest(p_contacts) as u(id)) as w order by w.id
    ) as p
    where c.tenant_id = p_tenant and c.id = p.id and p.shown is not null
        and c.phone_number is distinct from p.shown;
end
$$;

-- Keeps what Meta said of identifiers: the history, and when each was taken up last.
-- p_changes: [{"p": person's index from 0, "s": source, "k": kind, "n": named by, "o": previous or '',
-- "v": current, "t": Meta's time in seconds}, …]. Returns how many were not known yet.
create function messaging.note_changes(
    p_tenant uuid, p_contacts uuid[], p_changes jsonb, p_now timestamptz
) returns integer
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_new integer;
begin
    update messaging.contact_identifiers as ci
    set taken_at = d.taken
    from (
        select x.k, x.v, max(to_timestamp(x.t)) as taken
        from jsonb_to_recordset(p_changes) as x(k text, v text, t bigint)
        group by 1, 2 order by x.k collate "C", x.v collate "C"
    ) as d
    where ci.tenant_id = p_tenant and ci.kind = d.k and ci.value = d.v
        and d.taken > coalesce(ci.taken_at, '-infinity');

    insert into messaging.identity_changes as h (tenant_id, source, kind, named, previous, current,
        occurred_at, contact_id, created_at)
    select distinct on (1, 2, 3, 4, 5, 6, 7) p_tenant, x.s collate "C", x.k collate "C", x.n collate "C",
        x.o collate "C", x.v collate "C", to_timestamp(x.t), p_contacts[x.p + 1], p_now
    from jsonb_to_recordset(p_changes)
        as x(p integer, s text, k text, n text, o text, v text, t bigint)
    order by 1, 2, 3, 4, 5, 6, 7
    on conflict do nothing;
    get diagnostics v_new = row_count;

    perform messaging.show_phones(p_tenant, p_contacts, p_now);
    return v_new;
end
$$;

-- The field user_id_update. d: {"i": [{"k": kind, "v": value} …, the leading identifier first],
-- "ph": phone or null, "x": [change of note_changes without p, …]}. Returns how many changes are new.
create function messaging.event_user_id_update(
    p_tenant uuid, p_events jsonb, p_now timestamptz
) returns integer
    language plpgsql as $$
declare
    v_event record;
    v_contacts uuid[];
    v_all integer := 0;
begin
    -- They are few, and the person of each is found or made as that of a message.
    for v_event in
        select e.t, e.d from jsonb_to_recordset(p_events) as e(t bigint, d jsonb)
        order by e.d -> 'i', e.t, e.d
    loop
        v_contacts := messaging.claim_contacts(p_tenant, jsonb_build_object(
            'p', jsonb_build_array(jsonb_strip_nulls(jsonb_build_object('ph', v_event.d -> 'ph',
                'why', 'user_id_change', 'wt', v_event.t))),
            'i', (select jsonb_agg(i.value || jsonb_build_object('p', 0, 'r', i.ordinality - 1)
                    order by i.ordinality)
                from jsonb_array_elements(v_event.d -> 'i') with ordinality as i)), p_now);
        v_all := v_all + messaging.note_changes(p_tenant, v_contacts,
            (select coalesce(jsonb_agg(x || '{"p": 0}'), '[]')
                from jsonb_array_elements(v_event.d -> 'x') as x), p_now);
    end loop;
    return v_all;
end
$$;

-- The columns that hold ids of p_target (contacts or whatsapp_conversations): those of the usual name
-- and every foreign key, so that what a later migration adds is found.
create function messaging.columns_naming(p_target regclass, p_name text)
    returns table (relation regclass, name text)
    language sql stable as $$
    select c.oid::regclass, a.attname::text
    from pg_class as c
    join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'messaging'::regnamespace and c.relkind in ('r', 'p')
        and not c.relispartition and a.atttypid = 'uuid'::regtype and a.attname <> 'tenant_id'
        and (a.attname = p_name or exists (select from pg_constraint as k
            where k.conrelid = c.oid and k.contype = 'f' and k.confrelid = p_target
                and a.attnum = any (k.conkey) and k.confkey[array_position(k.conkey, a.attnum)] = (
                    select i.attnum from pg_attribute as i
                    where i.attrelid = p_target and i.attname = 'id')))
    order by c.relname, a.attname
$$;

-- Gives rows another id in one column. Where a unique key allows one row only, and both ids have it, the
-- row stays as it is (its id answers for ever), unless merge_<table>_<column>(tenant, from,
-- to, now) is there, which makes one row of them first.
create function messaging.move_rows(
    p_tenant uuid, p_relation regclass, p_column text, p_from uuid[], p_to uuid, p_now timestamptz
) returns void
    language plpgsql as $$
declare
    v_own regprocedure := to_regprocedure(format('messaging.%I(uuid,uuid[],uuid,timestamptz)',
        'merge_' || (select relname from pg_class where oid = p_relation) || '_' || p_column));
    v_free text;
    v_from uuid;
begin
    if v_own is not null then
        execute format('select %s($1, $2, $3, $4)', v_own::regproc) using p_tenant, p_from, p_to, p_now;
    end if;
    select coalesce(string_agg(format(' and not exists (select from %s as o where o.%I = $1%s)',
        p_relation, p_column, k.rest), '' order by k.rest), '')
    into v_free
    from (
        select string_agg(format(' and o.%1$I = t.%1$I', a.attname), '' order by a.attnum)
            filter (where a.attname <> p_column) as rest
        from pg_index as i
        join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
        where i.indrelid = p_relation and i.indisunique
        group by i.indexrelid having bool_or(a.attname = p_column)
    ) as k;
    foreach v_from in array p_from loop
        execute format('update %s as t set %I = $1 where t.tenant_id = $2 and t.%I = $3%s',
            p_relation, p_column, p_column, v_free)
        using p_to, p_tenant, v_from;
    end loop;
end
$$;

-- Moves the jobs of lanes that are no more into the lane of p_to. A running one is given back without
-- costing it an attempt: its worker brings a token that is no longer valid, and writes nothing.
create function messaging.move_lanes(p_tenant uuid, p_from uuid[], p_to uuid) returns void
    language plpgsql as $$
declare
    v_job record;
    v_args jsonb;
begin
    for v_job in
        select j.id, j.job_type, j.lane, j.unique_key, j.args, j.status
        from messaging.scheduled_jobs as j
        where j.tenant_id = p_tenant and j.lane = any (p_from::text[])
            and j.status in ('pending', 'running')
        order by j.id for no key update
    loop
        v_args := replace(v_job.args::text, v_job.lane, p_to::text)::jsonb;
        if v_job.unique_key is not null then
            -- The one waiting place is taken: the two become one.
            update messaging.scheduled_jobs as j
            set args = case when j.args ? 'message_ids' then jsonb_set(j.args, '{message_ids}',
                    (j.args -> 'message_ids') || coalesce(v_args -> 'message_ids', '[]'))
                else j.args end
            where j.tenant_id = p_tenant and j.job_type = v_job.job_type and j.status = 'pending'
                and j.unique_key = replace(v_job.unique_key, v_job.lane, p_to::text)
                and j.id <> v_job.id;
            if found then
                delete from messaging.scheduled_jobs as j
                where j.tenant_id = p_tenant and j.id = v_job.id;
                continue;
            end if;
        end if;
        update messaging.scheduled_jobs as j
        set lane = p_to::text, args = v_args,
            unique_key = replace(j.unique_key, v_job.lane, p_to::text), status = 'pending',
            attempts = j.attempts - (j.status = 'running')::integer, lease_token = null,
            lease_until = null
        where j.tenant_id = p_tenant and j.id = v_job.id;
    end loop;
end
$$;

-- Makes one conversation of several of one number: p_ids[1] stays. Every row of the others goes over to
-- it, sums and newest values as if all had come to it; the others' ids answer for ever.
create function messaging.merge_conversations(
    p_tenant uuid, p_contact uuid, p_ids uuid[], p_now timestamptz
) returns void
    language plpgsql as $$
declare
    v_kept uuid := p_ids[1];
    v_gone uuid[] := p_ids[2:];
    v_one messaging.whatsapp_conversations;
    v_place record;
    v_movable uuid;
begin
    -- In the order in which everybody locks: settling a send holds its message, then its attempt.
    perform 1 from messaging.whatsapp_conversations as c
    where c.tenant_id = p_tenant and c.id = any (p_ids) order by c.id for update;
    perform 1 from messaging.whatsapp_messages as m
    where m.tenant_id = p_tenant and m.conversation_id = any (p_ids)
        and (m.conversation_id <> v_kept or m.contact_id is distinct from p_contact)
    order by m.id for no key update;
    perform 1 from messaging.send_attempts as a
    where a.tenant_id = p_tenant and a.conversation_id = any (p_ids)
    order by a.message_id for update;

    update messaging.whatsapp_messages as m
    set conversation_id = v_kept, contact_id = p_contact
    where m.tenant_id = p_tenant and m.conversation_id = any (p_ids)
        and (m.conversation_id <> v_kept or m.contact_id is distinct from p_contact);

    -- Of two lanes with an attempt under way each keeps its own until that is over.
    select a.message_id into v_movable from messaging.send_attempts as a
    where a.tenant_id = p_tenant and a.conversation_id = any (p_ids) and a.lease_token is not null
    order by a.lane <> v_kept, a.seq limit 1;
    update messaging.send_attempts as a
    set contact_id = p_contact, conversation_id = v_kept,
        lane = case when a.lease_token is null or a.message_id = v_movable then v_kept
            else a.lane end
    where a.tenant_id = p_tenant and a.conversation_id = any (p_ids);

    -- Written by whoever ends an attempt, under the attempt's lock: all there are stand here now.
    update messaging.delivery_logs as l set contact_id = p_contact
    from messaging.whatsapp_messages as m
    where m.tenant_id = p_tenant and m.conversation_id = v_kept and m.direction = 'outbound'
        and l.tenant_id = p_tenant and l.message_id = m.id and l.contact_id <> p_contact;

    for v_one in
        select c.* from messaging.whatsapp_conversations as c
        where c.tenant_id = p_tenant and c.id = any (v_gone) order by c.created_at, c.id
    loop
        update messaging.whatsapp_conversations as c
        set -- A spammer stays one; else whatever still asks for somebody.
            status = (array['spam', 'open', 'pending', 'resolved', 'closed'])[least(
                array_position(array['spam', 'open', 'pending', 'resolved', 'closed'], c.status),
                array_position(array['spam', 'open', 'pending', 'resolved', 'closed'], v_one.status))],
            assigned_at = case when c.assigned_user_id is null then v_one.assigned_at
                else c.assigned_at end,
            assigned_user_id = coalesce(c.assigned_user_id, v_one.assigned_user_id),
            unread_count = c.unread_count + v_one.unread_count,
            message_count = c.message_count + v_one.message_count,
            window_expires_at = greatest(c.window_expires_at, v_one.window_expires_at),
            last_inbound_at = greatest(c.last_inbound_at, v_one.last_inbound_at),
            answered_on_phone_at = greatest(c.answered_on_phone_at, v_one.answered_on_phone_at),
            last_message_at = greatest(c.last_message_at, v_one.last_message_at),
            last_message_key = case when s.hows then v_one.last_message_key
                else c.last_message_key end,
            last_message_preview = case when s.hows then v_one.last_message_preview
                else c.last_message_preview end,
            last_message_direction = case when s.hows then v_one.last_message_direction
                else c.last_message_direction end,
            wa_conversation_id = coalesce(c.wa_conversation_id, v_one.wa_conversation_id),
            subject = coalesce(c.subject, v_one.subject),
            description = coalesce(c.description, v_one.description),
            tags = messaging.united(c.tags, v_one.tags),
            priority = (array['high', 'medium', 'low'])[least(
                array_position(array['high', 'medium', 'low'], c.priority),
                array_position(array['high', 'medium', 'low'], v_one.priority))],
            is_pinned = c.is_pinned or v_one.is_pinned,
            archived_at = case when c.archived_at is not null and v_one.archived_at is not null
                then greatest(c.archived_at, v_one.archived_at) end,
            closed_at = case when c.closed_at is not null and v_one.closed_at is not null
                then greatest(c.closed_at, v_one.closed_at) end,
            chatbot_active = c.chatbot_active or v_one.chatbot_active,
            chatbot_session_id = coalesce(c.chatbot_session_id, v_one.chatbot_session_id),
            lead_id = coalesce(c.lead_id, v_one.lead_id),
            campaign_id = coalesce(c.campaign_id, v_one.campaign_id),
            created_at = least(c.created_at, v_one.created_at), updated_at = p_now
        from (select messaging.shows(v_one.last_message_at, v_one.last_message_key,
            k.last_message_at, k.last_message_key) as hows
            from messaging.whatsapp_conversations as k
            where k.tenant_id = p_tenant and k.id = v_kept) as s
        where c.tenant_id = p_tenant and c.id = v_kept;
    end loop;

    if cardinality(v_gone) > 0 then
        update messaging.media as m set conversation_id = v_kept
        where m.tenant_id = p_tenant and m.conversation_id = any (v_gone);
        for v_place in
            select c.relation, c.name
            from messaging.columns_naming('messaging.whatsapp_conversations', 'conversation_id') as c
            where c.relation <> all (array['messaging.whatsapp_messages', 'messaging.send_attempts',
                    'messaging.media']::regclass[])
                and (c.relation, c.name) <> ('messaging.conversation_merges'::regclass, 'conversation_id')
        loop
            perform messaging.move_rows(p_tenant, v_place.relation, v_place.name, v_gone, v_kept, p_now);
        end loop;
        perform messaging.move_lanes(p_tenant, v_gone, v_kept);
        -- Nothing hangs on them any more. Whoever wants to add something waits, and finds them gone.
        delete from messaging.whatsapp_conversations as c
        where c.tenant_id = p_tenant and c.id = any (v_gone);
        insert into messaging.conversation_merges (tenant_id, conversation_id, merged_into, merged_at)
        select p_tenant, g.id, v_kept, p_now from unnest(v_gone) as g(id) order by g.id;
    end if;
    update messaging.whatsapp_conversations as c set contact_id = p_contact, updated_at = p_now
    where c.tenant_id = p_tenant and c.id = v_kept and c.contact_id <> p_contact;
end
$$;

-- Both lists without repetition, sorted.
create function messaging.united(one text[], other text[]) returns text[]
    language sql immutable parallel safe
    return array(select distinct t from unnest(one || other) as t order by t);

-- Makes one contact of several that are one person, and returns it; of contacts that are one already,
-- or none, it changes nothing. The oldest wins. No contact is deleted: every row that names a loser
-- names the winner from now on, the loser's row and id stay with merged_into.
-- Takes the tenant's lock of contacts alone: never call it in a transaction that holds it beside others.
create function messaging.merge_contacts(
    p_tenant uuid, p_contacts uuid[], p_reason text, p_told_at timestamptz default null,
    p_now timestamptz default null
) returns uuid
    language plpgsql as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_all uuid[];
    v_winner uuid;
    v_losers uuid[];
    v_one messaging.contacts;
    v_place record;
begin
    perform set_config('switchboard.tenant_id', p_tenant::text, true);
    perform pg_advisory_xact_lock(hashtextextended(p_tenant::text, 7));
    -- Somebody may have merged them while we waited.
    select array_agg(r.id order by r.created_at, r.id) into v_all
    from messaging.contacts as r
    where r.tenant_id = p_tenant and r.id = any (array(
        select coalesce(c.merged_into, c.id) from messaging.contacts as c
        where c.tenant_id = p_tenant and c.id = any (p_contacts)));
    v_winner := v_all[1];
    v_losers := v_all[2:];
    if coalesce(cardinality(v_losers), 0) = 0 then
        return v_winner;
    end if;
    perform 1 from messaging.contact_identifiers as d
    where d.tenant_id = p_tenant and d.contact_id = any (v_losers)
    order by d.kind, d.value for no key update;
    perform 1 from messaging.contacts as c
    where c.tenant_id = p_tenant and (c.id = any (v_all) or c.merged_into = any (v_losers))
    order by c.id for no key update;

    update messaging.contact_identifiers as d set contact_id = v_winner
    where d.tenant_id = p_tenant and d.contact_id = any (v_losers);

    for v_one in
        select c.* from messaging.contacts as c
        where c.tenant_id = p_tenant and c.id = any (v_losers) order by c.created_at, c.id
    loop
        -- The caller's own id of the person goes over where the winner has none.
        update messaging.contacts as c set external_user_id = null
        where c.tenant_id = p_tenant and c.id = v_one.id and c.external_user_id is not null
            and exists (select from messaging.contacts as w where w.tenant_id = p_tenant
                and w.id = v_winner and w.external_user_id is null);
        update messaging.contacts as c
        -- A name of staff's before one of an address book, and of those the newest.
        set name = case
                when c.name is distinct from c.phone_book_name then coalesce(c.name, v_one.name)
                when v_one.name is distinct from v_one.phone_book_name
                    then coalesce(v_one.name, c.name)
                when messaging.newer_entry(c.phone_book_name_at, c.phone_book_name,
                    v_one.phone_book_name_at, v_one.phone_book_name) then v_one.name
                else c.name end,
            phone_book_name = case when messaging.newer_entry(c.phone_book_name_at, c.phone_book_name,
                    v_one.phone_book_name_at, v_one.phone_book_name)
                then v_one.phone_book_name else c.phone_book_name end,
            phone_book_name_at = greatest(c.phone_book_name_at, v_one.phone_book_name_at),
            profile_name = case when messaging.newer(c.profile_name_at, c.profile_name,
                    v_one.profile_name_at, v_one.profile_name)
                then v_one.profile_name else c.profile_name end,
            profile_name_at = greatest(c.profile_name_at, v_one.profile_name_at),
            username = case when messaging.newer(c.username_at, c.username, v_one.username_at,
                v_one.username) then v_one.username else c.username end,
            username_at = greatest(c.username_at, v_one.username_at),
            phone_number = coalesce(c.phone_number, v_one.phone_number),
            country_code = coalesce(c.country_code, v_one.country_code),
            email = coalesce(c.email, v_one.email), company = coalesce(c.company, v_one.company),
            title = coalesce(c.title, v_one.title), about = coalesce(c.about, v_one.about),
            profile_picture_url = coalesce(c.profile_picture_url, v_one.profile_picture_url),
            locale = coalesce(c.locale, v_one.locale),
            timezone = coalesce(c.timezone, v_one.timezone),
            tags = messaging.united(c.tags, v_one.tags), attributes = v_one.attributes || c.attributes,
            external_user_id = coalesce(c.external_user_id, v_one.external_user_id),
            is_business = c.is_business or v_one.is_business,
            is_verified = c.is_verified or v_one.is_verified,
            is_blocked = c.is_blocked or v_one.is_blocked,
            is_online = c.is_online or v_one.is_online,
            last_seen_at = greatest(c.last_seen_at, v_one.last_seen_at),
            -- What the person said last, on whichever of their identifiers. No opt-out is lost: one of
            -- unknown time is later than anything, and of two at one time the opt-out counts.
            opt_in_status = case
                when v_one.opt_in_status = 'pending' then c.opt_in_status
                when c.opt_in_status = 'pending' then v_one.opt_in_status
                when c.opt_in_status = v_one.opt_in_status then c.opt_in_status
                when c.opt_in_status = 'opted_out' then case when v_one.opted_in_at > c.opted_out_at
                    then 'opted_in' else 'opted_out' end
                else case when c.opted_in_at > v_one.opted_out_at
                    then 'opted_in' else 'opted_out' end end,
            opted_in_at = greatest(c.opted_in_at, v_one.opted_in_at),
            opted_out_at = greatest(c.opted_out_at, v_one.opted_out_at),
            marketing_stopped_at = greatest(c.marketing_stopped_at, v_one.marketing_stopped_at),
            marketing_resumed_at = greatest(c.marketing_resumed_at, v_one.marketing_resumed_at),
            deleted_at = case when c.deleted_at is not null and v_one.deleted_at is not null
                then greatest(c.deleted_at, v_one.deleted_at) end,
            created_at = least(c.created_at, v_one.created_at), updated_at = v_now
        where c.tenant_id = p_tenant and c.id = v_winner;
    end loop;
    update messaging.contacts as c set merged_into = v_winner, updated_at = v_now
    where c.tenant_id = p_tenant and (c.id = any (v_losers) or c.merged_into = any (v_losers));

    for v_place in
        select v.account_id,
            array_agg(v.id order by v.contact_id <> v_winner, v.created_at, v.id) as ids
        from messaging.whatsapp_conversations as v
        where v.tenant_id = p_tenant and v.contact_id = any (v_all)
        group by v.account_id order by v.account_id
    loop
        perform messaging.merge_conversations(p_tenant, v_winner, v_place.ids, v_now);
    end loop;
    -- What they said in groups: those conversations are nobody's own.
    update messaging.whatsapp_messages as m set contact_id = v_winner
    where m.tenant_id = p_tenant and m.contact_id = any (v_losers)
        and m.conversation_id = any (array(select v.id from messaging.whatsapp_conversations as v
            where v.tenant_id = p_tenant and v.group_id is not null));

    for v_place in
        select c.relation, c.name
        from messaging.columns_naming('messaging.contacts', 'contact_id') as c
        -- Done above, or (contact_merges) told as it was.
        where c.relation <> all (array['messaging.contacts', 'messaging.contact_identifiers',
            'messaging.contact_merges', 'messaging.whatsapp_conversations',
            'messaging.whatsapp_messages', 'messaging.send_attempts',
            'messaging.delivery_logs']::regclass[])
    loop
        perform messaging.move_rows(p_tenant, v_place.relation, v_place.name, v_losers, v_winner, v_now);
    end loop;

    insert into messaging.contact_merges (tenant_id, loser_id, winner_id, reason, told_at, merged_at)
    select p_tenant, l.id, v_winner, p_reason, p_told_at, v_now from unnest(v_losers) as l(id)
    order by l.id;
    perform messaging.show_phones(p_tenant, array[v_winner], v_now);
    return v_winner;
end
$$;
