-- name: ask
-- Every call is one function: functions survive a transaction pooler without prepared statements. Columns
-- by name: a newer schema may tell more.
select n, tenant_active, tenant_stopped, account_id, phone_number_id, number_active, number_status,
    number_stopped, access_token, contact_id, is_blocked, conversation_id, window_expires_at,
    known_phone, known_user_id, key_sha256, key_answer, key_lease_until, key_message_id, at,
    paused_until, paused_reason, last_inbound_at, opted_out_at, pair_free_at, sendable_at, template,
    person, portfolio
from messaging.ask_sends(%(tenant)s, %(items)s::jsonb, %(now)s)

-- name: reserve
select n, reserved, contact_id, conversation_id, leased, status, decision
from messaging.reserve_sends(%(tenant)s, %(token)s, %(items)s::jsonb,
    make_interval(secs => %(lease_s)s), %(now)s)

-- name: end_keys
update messaging.idempotency_keys as k
set lease_until = least(k.lease_until, coalesce(%(now)s, clock_timestamp()))
from (select o.key from messaging.idempotency_keys as o
    where o.tenant_id = %(tenant)s and o.key = any (%(keys)s) and o.answer is null
    order by o.key for no key update) as o
where k.tenant_id = %(tenant)s and k.key = o.key

-- name: lease
select * from messaging.lease_sends(%(tenant)s, %(token)s, %(messages)s,
    make_interval(secs => %(lease_s)s), %(now)s)

-- name: claim
select tenant_id, message_id from messaging.claim_sends(%(token)s, %(limit)s,
    make_interval(secs => %(lease_s)s), %(now)s)

-- name: next_sends
select messaging.next_sends(%(within_s)s, %(now)s)

-- name: load
select message_id, attempt, account_id, contact_id, kind, recipient, recipient_kind, tries,
    expires_at, message_type, content, context, metadata, phone_number_id, tenant_active,
    tenant_stopped, number_active, number_status, number_stopped, access_token, is_blocked,
    window_expires_at, at, paused_until, paused_reason, last_inbound_at, opted_out_at,
    confirms_consent, template, person, notification_category, urgent, priority
from messaging.load_attempts(%(tenant)s, %(token)s, %(messages)s, %(now)s)

-- name: advance
select message_id, step, status, wa_message_id, decision
from messaging.advance_sends(%(tenant)s, %(token)s, %(settle)s::jsonb, %(intent)s::jsonb,
    %(release)s, make_interval(secs => %(lease_s)s), %(now)s)

-- name: sweep
select * from messaging.sweep_sends(%(now)s)

-- name: recover
select message_id, status from messaging.recover_sends(%(tenant)s, %(limit)s, %(now)s)

-- name: find
-- What GET /v1/messages/{id} shows. Inbound messages are found as well: an id is an id.
-- held: Meta keeps the message back to look at its template first, and no status has come since.
select id, status, wa_message_id, decision, direction, origin, message_type, category,
    conversation_id, contact_id, error_code, error_message, errors, retry_count, metadata,
    expires_at, occurred_at, accepted_at, sent_at, delivered_at, read_at, played_at, failed_at,
    created_at, updated_at,
    status = 'accepted' and exists (select from messaging.delivery_logs as l
        where l.tenant_id = %(tenant)s and l.message_id = %(id)s and l.status = 'accepted'
            and l.provider_response -> 'messages' -> 0 ->> 'message_status' <> 'accepted') as held
from messaging.whatsapp_messages where tenant_id = %(tenant)s and id = %(id)s

-- name: number
-- What marking as read needs; nothing of a stopped or inactive number.
select n.phone_number_id, n.access_token_sealed from messaging.whatsapp_accounts as n
join messaging.tenants as t on t.id = n.tenant_id
where n.tenant_id = %(tenant)s and n.id = %(account)s
    and messaging.is_number_active(n) and t.is_active
    and n.sends_stopped_at is null and t.sends_stopped_at is null
    and n.access_token_sealed is not null
