-- The messages of a conversation and their files, as staff see them.

-- name: list_newest_first
-- A message that Meta has not named yet stands after those of its time. The first page begins at
-- infinity: a bound that may be absent would keep a prepared plan from starting inside the index.
select m.id, m.wa_message_id, m.wa_context_id, m.conversation_id, m.contact_id, m.direction,
    m.origin, m.message_type, m.content, m.metadata, m.status, m.errors, m.error_code,
    m.error_message, m.decision, m.category, m.is_forwarded, m.tags, m.occurred_at, m.edited_at,
    m.revoked_at, m.accepted_at, m.sent_at, m.delivered_at, m.read_at, m.played_at, m.failed_at,
    m.created_at, m.updated_at,
    case when m.revoked_at is null then (
        select jsonb_build_object('id', f.id, 'status', f.status, 'mime_type', f.mime_type,
            'file_name', f.file_name, 'size_bytes', f.size_bytes)
        from messaging.media as f
        where f.tenant_id = %(tenant_id)s and f.message_id = m.id
    ) end as media
from (
    select * from messaging.whatsapp_messages
    where tenant_id = %(tenant_id)s and conversation_id = %(conversation_id)s
        and occurred_at <= %(at)s::timestamptz
        and (occurred_at < %(at)s::timestamptz or case when %(key)s::text is null
                then wa_message_id is not null or id < %(id)s::uuid
                else wa_message_id < %(key)s::text collate "C"
                    or wa_message_id = %(key)s::text and id < %(id)s::uuid end)
    order by occurred_at desc, wa_message_id desc, id desc limit %(limit)s + 1
) as m
order by m.occurred_at desc, m.wa_message_id desc, m.id desc

-- name: list_oldest_first
select m.id, m.wa_message_id, m.wa_context_id, m.conversation_id, m.contact_id, m.direction,
    m.origin, m.message_type, m.content, m.metadata, m.status, m.errors, m.error_code,
    m.error_message, m.decision, m.category, m.is_forwarded, m.tags, m.occurred_at, m.edited_at,
    m.revoked_at, m.accepted_at, m.sent_at, m.delivered_at, m.read_at, m.played_at, m.failed_at,
    m.created_at, m.updated_at,
    case when m.revoked_at is null then (
        select jsonb_build_object('id', f.id, 'status', f.status, 'mime_type', f.mime_type,
            'file_name', f.file_name, 'size_bytes', f.size_bytes)
        from messaging.media as f
        where f.tenant_id = %(tenant_id)s and f.message_id = m.id
    ) end as media
from (
    select * from messaging.whatsapp_messages
    where tenant_id = %(tenant_id)s and conversation_id = %(conversation_id)s
        and occurred_at >= %(at)s::timestamptz
        and (occurred_at > %(at)s::timestamptz or case when %(key)s::text is null
                then wa_message_id is null and id > %(id)s::uuid
                else wa_message_id is null or wa_message_id > %(key)s::text collate "C"
                    or wa_message_id = %(key)s::text and id > %(id)s::uuid end)
    order by occurred_at, wa_message_id, id limit %(limit)s + 1
) as m
order by m.occurred_at, m.wa_message_id, m.id

-- name: find_conversation
-- Two threads of one number that became one: the old id stands for the one that is left.
select id, account_id from messaging.whatsapp_conversations
where tenant_id = %(tenant_id)s and id = messaging.conversation_now(%(tenant_id)s, %(id)s)

-- name: find_reactions
-- Each side's newest reaction to these messages, unless that was taking it back. What people did is
-- found by the message they did it to, in whichever thread. Our own, and what came as a copy from the
-- phone, are messages of the thread, later than what they were made to: Meta takes a reaction for 30
-- days. (An hour and a day more: clocks differ.) A reaction of ours counts once Meta has it.
select r.wa_message_id, r.direction, r.contact_id, r.emoji, r.occurred_at
from (
    select distinct on (u.wa_message_id, u.direction, u.contact_id) u.*
    from (
        select c.wa_message_id, 'inbound' as direction, c.contact_id, c.content ->> 'emoji' as emoji,
            c.occurred_at, c.wa_change_id as key
        from messaging.message_changes as c
        where c.tenant_id = %(tenant_id)s and c.account_id = %(account_id)s
            and c.wa_message_id = any (%(keys)s::text[]) and c.kind = 'reaction'
        union all
        select (m.content ->> 'message_id') collate "C", m.direction,
            case when m.direction = 'inbound' then m.contact_id end,
            nullif(m.content ->> 'emoji', ''), m.occurred_at, m.wa_message_id
        from messaging.whatsapp_messages as m
        where m.tenant_id = %(tenant_id)s and m.conversation_id = %(conversation_id)s
            and m.occurred_at >= %(oldest)s::timestamptz - interval '1 hour'
            and m.occurred_at < %(newest)s::timestamptz + interval '31 days'
            and m.message_type = 'reaction' and m.content ->> 'message_id' = any (%(keys)s::text[])
            and (m.direction = 'inbound'
                or m.status in ('accepted', 'sent', 'delivered', 'read', 'played'))
    ) as u
    order by u.wa_message_id, u.direction, u.contact_id, u.occurred_at desc, u.key desc
) as r
where r.emoji is not null
order by r.wa_message_id, r.occurred_at, r.direction, r.contact_id

-- name: find_media
-- With the caption as edits leave it. What was taken back is nobody's to see.
select f.id, f.message_id, f.conversation_id, f.account_id, f.direction, f.media_type, f.wa_media_id,
    f.mime_type, f.sha256, f.file_name,
    case when m.edited_at is null then f.caption else m.content ->> 'caption' end as caption,
    f.size_bytes, f.thumbnail_s3_key is not null as has_thumbnail, f.status, f.error_code,
    f.error_message, f.created_at, f.updated_at
from messaging.media as f
left join messaging.whatsapp_messages as m on m.tenant_id = f.tenant_id and m.id = f.message_id
where f.tenant_id = %(tenant_id)s and f.id = %(id)s and m.revoked_at is null
