-- What messages bring besides themselves: places, taps and answers, flows filled in, permissions to
-- call, orders, ads that led here; and what people do to messages: reactions, edits, taking back.
-- Each effect_<kind> is called by apply_effects (sql/0007) with the new messages of its kind, once.

create table messaging.user_locations (
    tenant_id uuid not null,
    message_id uuid not null,
    account_id uuid not null,
    conversation_id uuid not null,
    contact_id uuid not null,
    latitude numeric(10, 8) not null check (latitude between -90 and 90),
    longitude numeric(11, 8) not null check (longitude between -180 and 180),
    name text,
    address text,
    url text,
    occurred_at timestamptz not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, message_id),
    foreign key (tenant_id, conversation_id)
        references messaging.whatsapp_conversations (tenant_id, id) on delete cascade,
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
);
create index user_locations_contact
    on messaging.user_locations (tenant_id, contact_id, occurred_at);
create index user_locations_conversation
    on messaging.user_locations (tenant_id, conversation_id);
create index user_locations_time on messaging.user_locations (tenant_id, occurred_at);
call messaging.protect('messaging.user_locations', 'select, insert, update, delete');

-- d: {"lat", "lon": degrees, "n": name, "ad": address, "u": url}
create function messaging.effect_locations(p_tenant uuid, p_messages jsonb, p_now timestamptz)
    returns void
    language sql
    begin atomic
    insert into messaging.user_locations (tenant_id, message_id, account_id, conversation_id,
        contact_id, latitude, longitude, name, address, url, occurred_at, created_at)
    select p_tenant, m.m, m.a, m.v, m.c, d.lat, d.lon, d.n, d.ad, d.u, m.at, p_now
    from jsonb_to_recordset(p_messages)
        as m(m uuid, a uuid, v uuid, c uuid, at timestamptz, d jsonb)
    cross join lateral jsonb_to_record(m.d)
        as d(lat numeric(10, 8), lon numeric(11, 8), n text, ad text, u text)
    order by m.m;
    end;

-- What people did, whatever told us: a message, a call, the opening of a tracked link.
create table messaging.user_interactions (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    account_id uuid not null,
    conversation_id uuid,
    contact_id uuid not null,
    -- The message that was it, and Meta's id of the one it answers; null for calls and links.
    message_id uuid,
    wa_context_id text collate "C",
    interaction_type text not null check (interaction_type in ('button_tap', 'list_choice',
        'flow_completion', 'call_permission', 'payment_method', 'cta_button_tap',
        'call_accepted', 'call_rejected')),
    button_id text,
    button_title text,
    button_url text,
    metadata jsonb not null default '{}',
    occurred_at timestamptz not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    unique (tenant_id, message_id),
    foreign key (tenant_id, account_id) references messaging.whatsapp_accounts (tenant_id, id)
        on delete cascade,
    foreign key (tenant_id, conversation_id)
        references messaging.whatsapp_conversations (tenant_id, id)
        on delete set null (conversation_id),
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
);
create index user_interactions_contact
    on messaging.user_interactions (tenant_id, contact_id, occurred_at);
create index user_interactions_conversation
    on messaging.user_interactions (tenant_id, conversation_id);
create index user_interactions_type
    on messaging.user_interactions (tenant_id, interaction_type, occurred_at);
call messaging.protect('messaging.user_interactions', 'select, insert, update, delete');

-- d: {"k": interaction_type, "i": button_id, "ti": button_title, "x": metadata}
create function messaging.effect_interactions(p_tenant uuid, p_messages jsonb, p_now timestamptz)
    returns void
    language sql
    begin atomic
    insert into messaging.user_interactions (tenant_id, account_id, conversation_id, contact_id,
        message_id, wa_context_id, interaction_type, button_id, button_title, metadata, occurred_at,
        created_at)
    select p_tenant, m.a, m.v, m.c, m.m, m.cx, d.k, d.i, d.ti, coalesce(d.x, '{}'), m.at, p_now
    from jsonb_to_recordset(p_messages)
        as m(m uuid, a uuid, v uuid, c uuid, cx text, at timestamptz, d jsonb)
    cross join lateral jsonb_to_record(m.d) as d(k text, i text, ti text, x jsonb)
    order by m.m;
    end;

-- A flow sent to a person, from then until it is filled in. Whoever sends it opens the session.
create table messaging.flow_sessions (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    account_id uuid not null,
    conversation_id uuid,
    contact_id uuid not null,
    -- Our message that carries the flow.
    message_id uuid,
    flow_id text not null,
    -- Unguessable, one per message; `unused` is what Meta takes where none is given.
    flow_token text collate "C" not null
        check (length(flow_token) between 1 and 200 and flow_token <> 'unused'),
    flow_type text not null check (flow_type in ('navigate', 'data_exchange')),
    session_data jsonb not null default '{}',
    -- The newest answer by (its time, sha256 of it): a person can fill in a flow again.
    response_data jsonb,
    responded_at timestamptz,
    status text not null default 'pending'
        check (status in ('pending', 'in_progress', 'completed', 'expired', 'failed')),
    completed_at timestamptz,
    expires_at timestamptz not null default clock_timestamp() + interval '24 hours',
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    unique (tenant_id, flow_token),
    foreign key (tenant_id, account_id) references messaging.whatsapp_accounts (tenant_id, id)
        on delete cascade,
    foreign key (tenant_id, conversation_id)
        references messaging.whatsapp_conversations (tenant_id, id)
        on delete set null (conversation_id),
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
);
create index flow_sessions_contact on messaging.flow_sessions (tenant_id, contact_id);
create index flow_sessions_conversation on messaging.flow_sessions (tenant_id, conversation_id);
create index flow_sessions_open on messaging.flow_sessions (tenant_id, expires_at)
    where status in ('pending', 'in_progress');
call messaging.protect('messaging.flow_sessions', 'select, insert, update, delete');
create trigger touch before update on messaging.flow_sessions
    for each row execute function messaging.touch();

-- When a session was completed is the database's to say, whoever completes it; it stays.
create function messaging.complete_flow_session() returns trigger
    language plpgsql as $$
begin
    if new.status = 'completed' then
        new.completed_at := coalesce(
            case when tg_op = 'UPDATE' then old.completed_at end, clock_timestamp());
    end if;
    return new;
end
$$;
create trigger complete before insert or update on messaging.flow_sessions
    for each row execute function messaging.complete_flow_session();

-- d: {"tk": flow_token, "x": the answer}. A token that no session of this number has changes nothing:
-- the answer is in user_interactions.
create function messaging.effect_flow_replies(p_tenant uuid, p_messages jsonb, p_now timestamptz)
    returns void
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    -- Sorted, and the join is a nested loop: the rows are locked in the order of their tokens.
    update messaging.flow_sessions as s
    set status = 'completed',
        response_data = case when messaging.newer(s.responded_at, s.response_data::text, n.at, n.answer::text)
            then n.answer else s.response_data end,
        responded_at = greatest(s.responded_at, n.at)
    from (
        select distinct on (m.a, d.tk collate "C") m.a, d.tk collate "C" as token, m.at, d.x as answer
        from jsonb_to_recordset(p_messages) as m(a uuid, at timestamptz, d jsonb)
        cross join lateral jsonb_to_record(m.d) as d(tk text, x jsonb)
        order by m.a, d.tk collate "C", m.at desc, sha256(convert_to(d.x::text, 'UTF8')) desc
    ) as n
    where s.tenant_id = p_tenant and s.flow_token = n.token and s.account_id = n.a;
end
$$;

-- Whether a number may call a person: what was said last, by (time, sha256 of what was said).
create table messaging.call_permissions (
    tenant_id uuid not null,
    account_id uuid not null,
    contact_id uuid not null,
    -- Meta's word: accept, reject.
    response text not null,
    is_permanent boolean not null,
    -- None for a permanent permission and for a rejection.
    expires_at timestamptz,
    -- Meta's word: user_action; automatic: the person called.
    source text,
    told_at timestamptz not null,
    told_sha256 bytea not null check (length(told_sha256) = 32),
    -- The message that told it; null when Meta was asked.
    message_id uuid,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, account_id, contact_id),
    foreign key (tenant_id, account_id) references messaging.whatsapp_accounts (tenant_id, id)
        on delete cascade,
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
);
create index call_permissions_contact on messaging.call_permissions (tenant_id, contact_id);
call messaging.protect('messaging.call_permissions', 'select, insert, update, delete');

-- d: {"r": response, "p": is_permanent, "x": expires_at in seconds, "s": source}
create function messaging.effect_call_permissions(p_tenant uuid, p_messages jsonb, p_now timestamptz)
    returns void
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    insert into messaging.call_permissions as c (tenant_id, account_id, contact_id, response,
        is_permanent, expires_at, source, told_at, told_sha256, message_id, created_at, updated_at)
    select distinct on (t.a, t.c) p_tenant, t.a, t.c, d.r, d.p, to_timestamp(d.x), d.s, t.at, t.sha, t.m,
        p_now, p_now
    from (
        select m.*, sha256(convert_to(m.d::text, 'UTF8')) as sha
        from jsonb_to_recordset(p_messages)
            as m(m uuid, a uuid, c uuid, at timestamptz, d jsonb)
    ) as t
    cross join lateral jsonb_to_record(t.d) as d(r text, p boolean, x bigint, s text)
    order by t.a, t.c, t.at desc, t.sha desc, t.m
    on conflict (tenant_id, account_id, contact_id) do update
    set response = excluded.response, is_permanent = excluded.is_permanent,
        expires_at = excluded.expires_at, source = excluded.source, told_at = excluded.told_at,
        told_sha256 = excluded.told_sha256, message_id = excluded.message_id,
        updated_at = excluded.updated_at
    where (excluded.told_at, excluded.told_sha256) > (c.told_at, c.told_sha256);
end
$$;

-- Of two contacts that are one person: what was said last, on whichever of their identifiers.
create function messaging.merge_call_permissions_contact_id(
    p_tenant uuid, p_from uuid[], p_to uuid, p_now timestamptz
) returns void
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    -- All but the newest of each number go; the newest is moved by the caller, where it is not p_to's.
    delete from messaging.call_permissions as c
    where c.tenant_id = p_tenant and c.contact_id = any (p_to || p_from)
        and exists (select from messaging.call_permissions as o
            where o.tenant_id = p_tenant and o.account_id = c.account_id
                and o.contact_id = any (p_to || p_from) and o.contact_id <> c.contact_id
                and (o.told_at, o.told_sha256, o.contact_id)
                    > (c.told_at, c.told_sha256, c.contact_id));
end
$$;

create table messaging.orders (
    tenant_id uuid not null,
    message_id uuid not null,
    account_id uuid not null,
    conversation_id uuid not null,
    contact_id uuid not null,
    catalog_id text,
    -- What the person wrote with it.
    note text,
    item_count integer not null check (item_count >= 0),
    -- Null where a price is missing or the items are in several currencies.
    total_amount numeric check (total_amount >= 0),
    currency text,
    occurred_at timestamptz not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, message_id),
    foreign key (tenant_id, conversation_id)
        references messaging.whatsapp_conversations (tenant_id, id) on delete cascade,
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
);
create index orders_contact on messaging.orders (tenant_id, contact_id, occurred_at);
create index orders_conversation on messaging.orders (tenant_id, conversation_id);
create index orders_time on messaging.orders (tenant_id, occurred_at);
call messaging.protect('messaging.orders', 'select, insert, update, delete');

create table messaging.order_items (
    tenant_id uuid not null,
    message_id uuid not null,
    -- Its place in the order, from 0.
    position integer not null check (position >= 0),
    product_retailer_id text not null,
    quantity bigint not null check (quantity >= 0),
    -- Of one of them.
    item_price numeric check (item_price >= 0),
    currency text,
    primary key (tenant_id, message_id, position),
    foreign key (tenant_id, message_id) references messaging.orders (tenant_id, message_id)
        on delete cascade
);
call messaging.protect('messaging.order_items', 'select, insert, delete');

-- d: {"g": catalog_id, "n": note, "t": total or null, "y": currency or null,
-- "i": [{"p": product_retailer_id, "q": quantity, "e": price, "y": currency}, …]}; amounts are text.
create function messaging.effect_orders(p_tenant uuid, p_messages jsonb, p_now timestamptz)
    returns void
    language sql
    begin atomic
    insert into messaging.orders (tenant_id, message_id, account_id, conversation_id, contact_id,
        catalog_id, note, item_count, total_amount, currency, occurred_at, created_at)
    select p_tenant, m.m, m.a, m.v, m.c, d.g, d.n, jsonb_array_length(d.i), d.t, d.y, m.at, p_now
    from jsonb_to_recordset(p_messages)
        as m(m uuid, a uuid, v uuid, c uuid, at timestamptz, d jsonb)
    cross join lateral jsonb_to_record(m.d) as d(g text, n text, t numeric, y text, i jsonb)
    order by m.m;
    insert into messaging.order_items (tenant_id, message_id, position, product_retailer_id, quantity,
        item_price, currency)
    select p_tenant, m.m, i.ordinality - 1, e.p, e.q, e.e, e.y
    from jsonb_to_recordset(p_messages) as m(m uuid, d jsonb)
    cross join lateral jsonb_array_elements(m.d -> 'i') with ordinality as i
    cross join lateral jsonb_to_record(i.value) as e(p text, q bigint, e numeric, y text)
    order by m.m, i.ordinality;
    end;

-- The ad or post that led a person to write; Meta's whole object is in the message's metadata.
create table messaging.referrals (
    tenant_id uuid not null,
    message_id uuid not null,
    account_id uuid not null,
    conversation_id uuid not null,
    contact_id uuid not null,
    -- Meta's word: ad, post.
    source_type text,
    source_id text,
    source_url text,
    headline text,
    body text,
    media_type text,
    media_url text,
    -- The click, to tell Meta's conversions API of; absent for ads in a status.
    ctwa_clid text,
    occurred_at timestamptz not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, message_id),
    foreign key (tenant_id, conversation_id)
        references messaging.whatsapp_conversations (tenant_id, id) on delete cascade,
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
);
create index referrals_contact on messaging.referrals (tenant_id, contact_id, occurred_at);
create index referrals_conversation on messaging.referrals (tenant_id, conversation_id);
-- An id of Meta's is short, but nothing keeps it so: an index entry holds 2,704 bytes.
create index referrals_source on messaging.referrals (tenant_id, left(source_id, 200), occurred_at);
call messaging.protect('messaging.referrals', 'select, insert, update, delete');

-- d: {"ty": source_type, "i": source_id, "u": source_url, "h": headline, "b": body, "mt": media_type,
-- "mu": media_url, "cl": ctwa_clid}
create function messaging.effect_referrals(p_tenant uuid, p_messages jsonb, p_now timestamptz)
    returns void
    language sql
    begin atomic
    insert into messaging.referrals (tenant_id, message_id, account_id, conversation_id, contact_id,
        source_type, source_id, source_url, headline, body, media_type, media_url, ctwa_clid,
        occurred_at, created_at)
    select p_tenant, m.m, m.a, m.v, m.c, d.ty, d.i, d.u, d.h, d.b, d.mt, d.mu, d.cl, m.at, p_now
    from jsonb_to_recordset(p_messages)
        as m(m uuid, a uuid, v uuid, c uuid, at timestamptz, d jsonb)
    cross join lateral jsonb_to_record(m.d)
        as d(ty text, i text, u text, h text, b text, mt text, mu text, cl text)
    order by m.m;
    end;

-- What was done to messages, each once, under Meta's id of the message it was done to, which may come
-- later or never. What holds now is worked out from all of them, so their order does not matter.
create table messaging.message_changes (
    tenant_id uuid not null,
    -- The message that was it: an edit, a revoke, a reaction.
    message_id uuid not null,
    account_id uuid not null,
    contact_id uuid not null,
    -- Meta's id of the message it was done to.
    wa_message_id text collate "C" not null,
    kind text not null check (kind in ('edit', 'revoke', 'reaction')),
    -- edit: {"type", "content"}; reaction: {"emoji"}, null when it was taken back.
    content jsonb not null default '{}',
    -- Meta's id of the change; of two at one time the greater is the newer.
    wa_change_id text collate "C" not null,
    occurred_at timestamptz not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, message_id),
    foreign key (tenant_id, account_id) references messaging.whatsapp_accounts (tenant_id, id)
        on delete cascade,
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
);
create index message_changes_target
    on messaging.message_changes (tenant_id, account_id, wa_message_id);
create index message_changes_contact on messaging.message_changes (tenant_id, contact_id);
call messaging.protect('messaging.message_changes', 'select, insert, update, delete');

alter table messaging.whatsapp_messages
    add column original_content jsonb,
    add column edited_at timestamptz,
    add column revoked_at timestamptz;
comment on column messaging.whatsapp_messages.original_content is
    'what content was before the first edit or the revoke; no route shows it';

-- Shows each of these messages as its newest edit and its revoke leave it. Changes call this for the
-- messages that are here, and whoever brings a message (its key row was there already) for that.
create function messaging.apply_changes(p_tenant uuid, p_messages uuid[], p_now timestamptz)
    returns void
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_told jsonb;
begin
    -- The message itself ("e": its newest edit), and of a revoked one its edits, too: they tell the same.
    with told as (
        select m.id, m.conversation_id, m.wa_message_id,
            max(c.occurred_at) filter (where c.kind = 'edit') as edited_at,
            min(c.occurred_at) filter (where c.kind = 'revoke') as revoked_at,
            (array_agg(c.content order by c.occurred_at desc, c.wa_change_id desc)
                filter (where c.kind = 'edit'))[1] as edit,
            array_agg(c.message_id) filter (where c.kind = 'edit') as edits
        from messaging.whatsapp_messages as m
        join messaging.message_changes as c on c.tenant_id = p_tenant
            and c.account_id = m.account_id and c.wa_message_id = m.wa_message_id
        where m.tenant_id = p_tenant and m.id = any (p_messages) and c.kind in ('edit', 'revoke')
        group by m.id, m.conversation_id, m.wa_message_id
    )
    select jsonb_agg(f) into v_told
    from (
        select u.id, max(u.edited_at) as edited_at, min(u.revoked_at) as revoked_at,
            (array_agg(u.edit) filter (where u.edit is not null))[1] as edit
        from (
            select t.id, t.edited_at, t.revoked_at, t.edit from told as t
            union all
            select e.id, null, t.revoked_at, null
            from told as t cross join unnest(t.edits) as e(id) where t.revoked_at is not null
        ) as u(id, edited_at, revoked_at, edit)
        group by u.id
    ) as f;
    if v_told is null then
        return;
    end if;

    update messaging.whatsapp_conversations as v
    set last_message_preview = '[' || left(r.message_type, 190) || ']', updated_at = p_now
    from (
        select m.conversation_id, m.wa_message_id, m.message_type
        from jsonb_to_recordset(v_told) as t(id uuid, revoked_at timestamptz)
        join messaging.whatsapp_messages as m on m.tenant_id = p_tenant and m.id = t.id
        where t.revoked_at is not null
        order by m.conversation_id
    ) as r
    where v.tenant_id = p_tenant and v.id = r.conversation_id
        and v.last_message_key = r.wa_message_id;

    -- Sorted, and the join is a nested loop: the rows are locked in the order of their ids.
    update messaging.whatsapp_messages as m
    set original_content = coalesce(m.original_content, m.content),
        content = case
            when coalesce(m.revoked_at, t.revoked_at) is not null then '{}'
            -- A media message keeps its file: an edit brings the new caption.
            when t.edit ->> 'type' = m.message_type
                then coalesce(m.original_content, m.content) || (t.edit -> 'content')
            else coalesce(m.original_content, m.content) end,
        edited_at = greatest(m.edited_at, t.edited_at),
        revoked_at = least(m.revoked_at, t.revoked_at), updated_at = p_now
    from (
        select t.id, t.edited_at, t.revoked_at, t.edit
        from jsonb_to_recordset(v_told)
            as t(id uuid, edited_at timestamptz, revoked_at timestamptz, edit jsonb)
        order by t.id
    ) as t
    where m.tenant_id = p_tenant and m.id = t.id;
end
$$;

-- "cx" is the message it was done to; d: {"k": kind, "x": content}
create function messaging.effect_changes(p_tenant uuid, p_messages jsonb, p_now timestamptz)
    returns void
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_known uuid[];
begin
    insert into messaging.message_changes (tenant_id, message_id, account_id, contact_id,
        wa_message_id, kind, content, wa_change_id, occurred_at, created_at)
    select p_tenant, m.m, m.a, m.c, m.cx, d.k, coalesce(d.x, '{}'), m.w, m.at, p_now
    from jsonb_to_recordset(p_messages)
        as m(m uuid, a uuid, c uuid, w text, cx text, at timestamptz, d jsonb)
    cross join lateral jsonb_to_record(m.d) as d(k text, x jsonb)
    order by m.m;

    -- claim_keys has locked the keys of those that are not here: whoever brings one waits for us.
    select array_agg(distinct k.message_id) into v_known
    from jsonb_to_recordset(p_messages) as m(a uuid, cx text, d jsonb)
    join messaging.message_keys as k on k.account_id = m.a and k.wa_message_id = m.cx
    where k.message_id is not null and m.d ->> 'k' <> 'reaction';
    if v_known is not null then
        perform messaging.apply_changes(p_tenant, v_known, p_now);
    end if;
end
$$;

-- The reactions that these messages have now: each person's newest, unless that was taking it back.
create function messaging.reactions_to(p_tenant uuid, p_account uuid, p_wa_message_ids text[])
    returns table (wa_message_id text, contact_id uuid, emoji text, occurred_at timestamptz)
    language sql stable
    begin atomic
    select r.wa_message_id, r.contact_id, r.content ->> 'emoji', r.occurred_at
    from (
        select distinct on (c.wa_message_id, c.contact_id) c.wa_message_id, c.contact_id, c.content,
            c.occurred_at
        from messaging.message_changes as c
        where c.tenant_id = p_tenant and c.account_id = p_account
            and c.wa_message_id = any (p_wa_message_ids) and c.kind = 'reaction'
        order by c.wa_message_id, c.contact_id, c.occurred_at desc, c.wa_change_id desc
    ) as r
    where r.content ->> 'emoji' is not null
    order by r.wa_message_id, r.occurred_at, r.contact_id;
    end;
