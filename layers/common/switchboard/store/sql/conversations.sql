-- Conversations as staff see them: lists, one, and what staff do with them.

-- name: walk_inbox
-- One walk of the index per state, each newest first and no further than a page can need; those
-- without any message (a call opened them) come last. The filters stand above it all, and the last
-- row that was looked at is handed back, so that the next page goes on there.
select w.id, w.last_message_at, w.matches, w.place from (
    select c.id, c.last_message_at,
        row_number() over (order by c.last_message_at desc nulls last, c.id desc) as place,
        (%(number)s::text is null or n.phone_number_id = %(number)s)
        and (%(tag)s::text is null or %(tag)s = any (c.tags))
        and (%(unread)s::boolean is null or (c.unread_count > 0) = %(unread)s)
        and (%(archived)s::boolean is null or (c.archived_at is not null) = %(archived)s) as matches
    from (
        select v.* from unnest(%(statuses)s::text[]) as s(status) cross join lateral (
            (select t.* from messaging.whatsapp_conversations as t
            where t.tenant_id = %(tenant_id)s and t.status = s.status
                and (t.last_message_at, t.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
            order by t.last_message_at desc nulls last, t.id desc limit %(walk)s)
            union all
            (select t.* from messaging.whatsapp_conversations as t
            where t.tenant_id = %(tenant_id)s and t.status = s.status
                and t.last_message_at is null and t.id < %(empty_before)s::uuid
            order by t.last_message_at desc nulls last, t.id desc limit %(walk)s)
        ) as v
        order by v.last_message_at desc nulls last, v.id desc limit %(walk)s
    ) as c
    join messaging.whatsapp_accounts as n on n.tenant_id = %(tenant_id)s and n.id = c.account_id
) as w
where w.matches or w.place = %(walk)s
order by w.place limit %(limit)s + 1

-- name: walk_user
-- What is assigned to somebody is little: found by its index, sorted, then cut.
select c.id, c.last_message_at, true, 0
from messaging.whatsapp_conversations as c
join messaging.whatsapp_accounts as n on n.tenant_id = c.tenant_id and n.id = c.account_id
where c.tenant_id = %(tenant_id)s and c.assigned_user_id = %(user_id)s
    and c.status = any (%(statuses)s)
    and (c.last_message_at is null and c.id < %(empty_before)s::uuid
        or (c.last_message_at, c.id) < (%(before)s::timestamptz, %(before_id)s::uuid))
    and (%(number)s::text is null or n.phone_number_id = %(number)s)
    and (%(tag)s::text is null or %(tag)s = any (c.tags))
    and (%(unread)s::boolean is null or (c.unread_count > 0) = %(unread)s)
    and (%(archived)s::boolean is null or (c.archived_at is not null) = %(archived)s)
order by c.last_message_at desc nulls last, c.id desc limit %(limit)s + 1

-- name: walk_contact
-- A person's: one per number that they wrote to.
select c.id, c.last_message_at, true, 0
from messaging.whatsapp_conversations as c
join messaging.whatsapp_accounts as n on n.tenant_id = c.tenant_id and n.id = c.account_id
where c.tenant_id = %(tenant_id)s and c.contact_id = %(contact_id)s
    and (%(user_id)s::uuid is null or c.assigned_user_id = %(user_id)s)
    and c.status = any (%(statuses)s)
    and (c.last_message_at is null and c.id < %(empty_before)s::uuid
        or (c.last_message_at, c.id) < (%(before)s::timestamptz, %(before_id)s::uuid))
    and (%(number)s::text is null or n.phone_number_id = %(number)s)
    and (%(tag)s::text is null or %(tag)s = any (c.tags))
    and (%(unread)s::boolean is null or (c.unread_count > 0) = %(unread)s)
    and (%(archived)s::boolean is null or (c.archived_at is not null) = %(archived)s)
order by c.last_message_at desc nulls last, c.id desc limit %(limit)s + 1

-- name: find_root
-- Two threads of one number that became one: the old id stands for the one that is left.
select messaging.conversation_now(%(tenant_id)s, %(id)s)

-- name: load
select c.id, c.account_id, n.phone_number_id, c.contact_id,
    (select jsonb_build_object('id', p.id, 'name', p.name, 'profile_name', p.profile_name,
            'phone_number', p.phone_number)
        from messaging.contacts as p
        where p.tenant_id = c.tenant_id and p.id = c.contact_id) as contact,
    c.group_id, c.subject, c.description, c.status, c.assigned_user_id, c.assigned_at,
    c.unread_count, c.message_count, c.window_expires_at,
    coalesce(c.window_expires_at > coalesce(%(now)s::timestamptz, clock_timestamp()), false)
        as is_window_open,
    c.last_inbound_at, c.last_message_at, c.last_message_preview, c.last_message_direction,
    c.tags, c.priority, c.is_pinned, c.archived_at, c.closed_at, c.created_at, c.updated_at
from messaging.whatsapp_conversations as c
join messaging.whatsapp_accounts as n on n.tenant_id = c.tenant_id and n.id = c.account_id
where c.tenant_id = %(tenant_id)s and c.id = any (%(ids)s)
order by c.last_message_at desc nulls last, c.id desc

-- name: set_status
-- From these states only: whoever comes late changes nothing.
update messaging.whatsapp_conversations
set status = %(status)s,
    closed_at = case when %(status)s = 'closed'
        then coalesce(%(now)s::timestamptz, clock_timestamp()) end,
    updated_at = coalesce(%(now)s::timestamptz, clock_timestamp())
where tenant_id = %(tenant_id)s and id = %(id)s and status = any (%(allowed)s)

-- name: find_user
select id from messaging.users
where tenant_id = %(tenant_id)s and is_active and %(wanted)s::text in (email, id::text)

-- name: assign
-- To the same person again: the first time stays.
update messaging.whatsapp_conversations
set assigned_user_id = %(user_id)s::uuid,
    assigned_at = case when %(user_id)s::uuid is not null
        then coalesce(%(now)s::timestamptz, clock_timestamp()) end,
    updated_at = coalesce(%(now)s::timestamptz, clock_timestamp())
where tenant_id = %(tenant_id)s and id = %(id)s
    and assigned_user_id is distinct from %(user_id)s::uuid

-- name: tag
update messaging.whatsapp_conversations as c
set tags = array(select distinct t from unnest(c.tags || %(add)s::text[]) as t
        where t <> all (%(remove)s::text[]) order by t),
    updated_at = coalesce(%(now)s::timestamptz, clock_timestamp())
where c.tenant_id = %(tenant_id)s and c.id = %(id)s
returning cardinality(c.tags)

-- name: archive
update messaging.whatsapp_conversations
set archived_at = case when %(archived)s::boolean
        then coalesce(%(now)s::timestamptz, clock_timestamp()) end,
    updated_at = coalesce(%(now)s::timestamptz, clock_timestamp())
where tenant_id = %(tenant_id)s and id = %(id)s and (archived_at is not null) <> %(archived)s

-- name: change
update messaging.whatsapp_conversations
set priority = coalesce(%(priority)s::text, priority),
    is_pinned = coalesce(%(is_pinned)s::boolean, is_pinned),
    updated_at = coalesce(%(now)s::timestamptz, clock_timestamp())
where tenant_id = %(tenant_id)s and id = %(id)s

-- name: find_newest_inbound
select m.account_id, m.wa_message_id, m.occurred_at,
    m.status = 'received' or c.unread_count > 0 as is_unread,
    coalesce((select p.is_blocked from messaging.contacts as p
        where p.tenant_id = c.tenant_id and p.id = c.contact_id), false) as is_blocked,
    m.occurred_at > coalesce(%(now)s::timestamptz, clock_timestamp()) - interval '30 days'
        as is_readable
from messaging.whatsapp_messages as m
join messaging.whatsapp_conversations as c on c.tenant_id = m.tenant_id and c.id = m.conversation_id
where m.tenant_id = %(tenant_id)s and m.conversation_id = %(id)s and m.direction = 'inbound'
    and m.wa_message_id is not null
order by m.occurred_at desc, m.wa_message_id desc limit 1

-- name: lock
select id from messaging.whatsapp_conversations
where tenant_id = %(tenant_id)s and id = %(id)s for no key update

-- name: find_unread
select m.id from messaging.whatsapp_messages as m
where m.tenant_id = %(tenant_id)s and m.conversation_id = %(id)s and m.direction = 'inbound'
    and m.status = 'received' and m.occurred_at <= %(occurred_at)s
    and (m.occurred_at < %(occurred_at)s or m.wa_message_id <= %(wa_message_id)s)
order by m.occurred_at desc, m.wa_message_id desc limit %(limit)s

-- name: mark_read
update messaging.whatsapp_messages
set status = 'read', status_rank = messaging.status_rank('read'),
    read_at = coalesce(%(now)s::timestamptz, clock_timestamp()),
    updated_at = coalesce(%(now)s::timestamptz, clock_timestamp())
where tenant_id = %(tenant_id)s and id = any (%(ids)s) and direction = 'inbound'
    and status = 'received'

-- name: recount_unread
-- Unread is what came after the message that was read. Only ever less.
update messaging.whatsapp_conversations as c
set unread_count = least(c.unread_count, (
        select count(*) from messaging.whatsapp_messages as m
        where m.tenant_id = c.tenant_id and m.conversation_id = c.id and m.direction = 'inbound'
            and m.status = 'received' and m.occurred_at >= %(occurred_at)s
            and (m.occurred_at, m.wa_message_id) > (%(occurred_at)s, %(wa_message_id)s))),
    updated_at = coalesce(%(now)s::timestamptz, clock_timestamp())
where c.tenant_id = %(tenant_id)s and c.id = %(id)s
