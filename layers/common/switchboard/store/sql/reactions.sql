-- What a reaction to inbound messages reads and writes.

-- name: hold_contacts
select messaging.hold_contacts(%(tenant)s)

-- name: lock_conversation
-- Whoever reacts in a conversation holds its row: a late worker waits here and then fails at its
-- token. With it the settings of the number.
select c.contact_id, n.id as account_id, n.phone_number_id,
    messaging.is_number_active(n) and t.is_active as is_active,
    n.auto_mark_read, n.acknowledging_reaction, n.confirm_consents,
    coalesce(p.is_blocked, false) as is_blocked
from messaging.whatsapp_conversations as c
join messaging.whatsapp_accounts as n on n.tenant_id = c.tenant_id and n.id = c.account_id
join messaging.tenants as t on t.id = c.tenant_id
left join messaging.contacts as p on p.tenant_id = c.tenant_id and p.id = c.contact_id
where c.tenant_id = %(tenant)s and c.id = %(conversation)s
for no key update of c

-- name: find_conversation
select c.contact_id, n.id as account_id, n.phone_number_id,
    messaging.is_number_active(n) and t.is_active as is_active,
    n.auto_mark_read, n.acknowledging_reaction, n.confirm_consents,
    coalesce(p.is_blocked, false) as is_blocked
from messaging.whatsapp_conversations as c
join messaging.whatsapp_accounts as n on n.tenant_id = c.tenant_id and n.id = c.account_id
join messaging.tenants as t on t.id = c.tenant_id
left join messaging.contacts as p on p.tenant_id = c.tenant_id and p.id = c.contact_id
where c.tenant_id = %(tenant)s and c.id = %(conversation)s

-- name: load_messages
-- In the order in which they were written, which is not that of arrival.
select id, wa_message_id, message_type, content, occurred_at
from messaging.whatsapp_messages
where tenant_id = %(tenant)s and id = any (%(messages)s) and direction = 'inbound'
    and conversation_id = %(conversation)s
order by occurred_at, wa_message_id

-- name: mark_messages_read
update messaging.whatsapp_messages
set status = 'read', status_rank = messaging.status_rank('read'),
    read_at = coalesce(%(now)s::timestamptz, clock_timestamp()),
    updated_at = coalesce(%(now)s::timestamptz, clock_timestamp())
where tenant_id = %(tenant)s and id = any (%(messages)s) and direction = 'inbound'
    and status = 'received'

-- name: recount_unread
-- Marking a message as read marks those before it: unread is what came after it. Only ever less.
update messaging.whatsapp_conversations as c
set unread_count = least(c.unread_count, (
        select count(*) from messaging.whatsapp_messages as m
        where m.tenant_id = c.tenant_id and m.conversation_id = c.id and m.direction = 'inbound'
            and m.status = 'received'
            and (m.occurred_at, m.wa_message_id) > (%(occurred_at)s, %(wa_message_id)s))),
    updated_at = coalesce(%(now)s::timestamptz, clock_timestamp())
where c.tenant_id = %(tenant)s and c.id = %(conversation)s

-- name: clear_unread
-- Of somebody blocked nothing waits to be read.
update messaging.whatsapp_conversations
set unread_count = 0, updated_at = coalesce(%(now)s::timestamptz, clock_timestamp())
where tenant_id = %(tenant)s and id = %(conversation)s and unread_count > 0
