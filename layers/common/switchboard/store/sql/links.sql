-- Links that lead through us, and their taps.

-- name: resolve
select messaging.resolve_link(%(token)s, %(counts)s, %(now)s::timestamptz)

-- name: list_all
select l.id, l.token, l.url, l.label, l.message_id, l.account_id, l.contact_id, l.conversation_id,
    l.tap_count, l.first_tapped_at, l.last_tapped_at, l.created_at, l.expires_at
from messaging.tracked_links as l
where l.tenant_id = %(tenant)s and l.created_at >= %(since)s::timestamptz
    and (l.created_at, l.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
order by l.created_at desc, l.id desc limit %(limit)s

-- name: list_of_conversation
-- The id of a conversation that became part of another stands for that one.
select l.id, l.token, l.url, l.label, l.message_id, l.account_id, l.contact_id, l.conversation_id,
    l.tap_count, l.first_tapped_at, l.last_tapped_at, l.created_at, l.expires_at
from messaging.tracked_links as l
where l.tenant_id = %(tenant)s
    and l.conversation_id = messaging.conversation_now(%(tenant)s, %(conversation)s)
    and l.created_at >= %(since)s::timestamptz
    and (l.created_at, l.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
order by l.created_at desc, l.id desc limit %(limit)s

-- name: list_of_message
-- As many as a message has buttons: few enough to sort.
select l.id, l.token, l.url, l.label, l.message_id, l.account_id, l.contact_id, l.conversation_id,
    l.tap_count, l.first_tapped_at, l.last_tapped_at, l.created_at, l.expires_at
from messaging.tracked_links as l
where l.tenant_id = %(tenant)s and l.message_id = %(message)s
    and l.created_at >= %(since)s::timestamptz
    and (l.created_at, l.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
order by l.created_at desc, l.id desc limit %(limit)s
