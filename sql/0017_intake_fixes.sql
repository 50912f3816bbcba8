-- Functions of older files, mended.

-- Makes one conversation of several of one number: p_ids[1] stays. Every row of the others goes over to
-- it, sums and newest values as if all had come to it; the others' ids answer for ever.
create or replace function messaging.merge_conversations(
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
            -- What is spam stays archived, whatever comes to it.
            archived_at = case
                when c.status = 'spam' and v_one.status <> 'spam' then c.archived_at
                when v_one.status = 'spam' and c.status <> 'spam' then v_one.archived_at
                when c.archived_at is not null and v_one.archived_at is not null
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

-- A message that comes as itself after its copy in a history: the copy goes, and the message is new.
-- It must open its window and be reacted to, whichever of the two was first. p_messages: those of
-- messaging.take that were not new. Returns whether there was any.
create or replace function messaging.displace_copies(p_tenant uuid, p_messages jsonb, p_now timestamptz)
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
    delete from messaging.message_changes as c
    where c.tenant_id = p_tenant and c.message_id = any (v_ids);
    delete from messaging.media as f where f.tenant_id = p_tenant and f.message_id = any (v_ids);
    delete from messaging.whatsapp_messages as m where m.tenant_id = p_tenant and m.id = any (v_ids);
    return true;
end
$$;

-- Shows each of these messages as its newest edit and its revoke leave it. Changes call this for the
-- messages that are here, and whoever brings a message (its key row was there already) for that.
create or replace function messaging.apply_changes(p_tenant uuid, p_messages uuid[], p_now timestamptz)
    returns void
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_messages uuid[];
    v_told jsonb;
begin
    -- An edit among them shows nothing any more where its message was taken back.
    select p_messages || array_agg(k.message_id) into v_messages
    from messaging.message_changes as c
    join messaging.message_keys as k
        on k.account_id = c.account_id and k.wa_message_id = c.wa_message_id
    where c.tenant_id = p_tenant and c.message_id = any (p_messages) and c.kind = 'edit'
        and k.message_id is not null;

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
        where m.tenant_id = p_tenant and m.id = any (v_messages) and c.kind in ('edit', 'revoke')
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

-- Meta's own marketing opt-out and back: one walk for all, since a campaign may bring a thousand at
-- once. d: {"i": [{"k": kind, "v": value} …, the leading identifier first], "ph": phone or null,
-- "s": state, "w": Meta's sentence}. Returns how many are new.
create or replace function messaging.event_user_preferences(
    p_tenant uuid, p_events jsonb, p_now timestamptz
) returns integer
    language plpgsql as $$
declare
    v_people jsonb := messaging.claim_people(p_tenant, (
        select jsonb_agg(jsonb_build_object('i', e.d -> 'i'))
        from jsonb_to_recordset(p_events) as e(d jsonb)), p_now);
    v_new integer;
begin
    insert into messaging.consents (tenant_id, contact_id, scope, state, source, wording,
        account_id, statement_sha256, occurred_at, created_at)
    select p_tenant, p.c, 'marketing', e.d ->> 's', 'whatsapp', e.d ->> 'w', e.a, h.sum,
        messaging.told_at(e.t, p_now), p_now
    from jsonb_to_recordset(p_events) as e(a uuid, t bigint, d jsonb)
    join jsonb_to_recordset(v_people) as p(s jsonb, c uuid) on p.s = e.d -> 'i'
    cross join lateral (select sha256(convert_to(jsonb_build_object('a', e.a, 't', e.t,
        'd', e.d)::text, 'UTF8')) as sum) as h
    order by h.sum
    on conflict (tenant_id, statement_sha256) do nothing;
    get diagnostics v_new = row_count;
    perform messaging.apply_consents(p_tenant,
        array(select p.c from jsonb_to_recordset(v_people) as p(c uuid)), p_now);
    return v_new;
end
$$;
