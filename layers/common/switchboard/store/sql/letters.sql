-- Dead letters: what could not be processed, kept whole until it is taken in or forgotten.

-- name: list
-- Newest first; without the bodies, which may be megabytes.
select l.id, l.reason, l.detail, l.field, l.waba_id, l.phone_number_id, l.app_id,
    octet_length(l.body) as bytes, l.received_at, l.replays, l.resolved_at
from messaging.webhook_dead_letters as l
where l.tenant_id = %(tenant_id)s
    and (%(reason)s::text is null or l.reason = %(reason)s)
    and (%(field)s::text is null or l.field = %(field)s)
    and (%(resolved)s::boolean is null or (l.resolved_at is not null) = %(resolved)s)
    and (%(since)s::timestamptz is null or l.received_at >= %(since)s)
    and (%(until)s::timestamptz is null or l.received_at < %(until)s)
    and (%(before)s::timestamptz is null or (l.received_at, l.id) < (%(before)s, %(before_id)s::uuid))
order by l.received_at desc, l.id desc
limit %(limit)s

-- name: find
select l.id, l.reason, l.detail, l.field, l.waba_id, l.phone_number_id, l.app_id,
    octet_length(l.body) as bytes, l.received_at, l.replays, l.resolved_at, l.body
from messaging.webhook_dead_letters as l
where l.tenant_id = %(tenant_id)s and l.id = %(id)s

-- name: open
-- Oldest first: what came first is taken in first. With ids just those of them that are open.
select l.id, l.received_at
from messaging.webhook_dead_letters as l
where l.tenant_id = %(tenant_id)s and l.resolved_at is null
    and (%(ids)s::uuid[] is null or l.id = any (%(ids)s))
    and (%(reason)s::text is null or l.reason = %(reason)s)
    and (%(since)s::timestamptz is null or l.received_at >= %(since)s)
    and (%(until)s::timestamptz is null or l.received_at < %(until)s)
    and (%(after)s::timestamptz is null or (l.received_at, l.id) > (%(after)s, %(after_id)s::uuid))
order by l.received_at, l.id
limit %(limit)s

-- name: count_open
select l.reason, l.field, count(*) as letters, min(l.received_at) as oldest
from messaging.webhook_dead_letters as l
where l.tenant_id = %(tenant_id)s and l.resolved_at is null
group by l.reason, l.field
order by letters desc, l.reason, l.field

-- name: resolve
update messaging.webhook_dead_letters as l
set resolved_at = coalesce(%(now)s::timestamptz, clock_timestamp()),
    replays = least(l.replays + 1, 32767)
where l.tenant_id = %(tenant_id)s and l.id = %(id)s and l.resolved_at is null

-- name: resolve_body
-- A body that was stored by another road than its letter.
update messaging.webhook_dead_letters as l
set resolved_at = coalesce(%(now)s::timestamptz, clock_timestamp()),
    replays = least(l.replays + 1, 32767)
where l.tenant_id = %(tenant_id)s and l.sha256 = %(sha256)s and l.resolved_at is null

-- name: keep
-- It stays, with the reason of now.
update messaging.webhook_dead_letters as l
set reason = %(reason)s, detail = %(detail)s, replays = least(l.replays + 1, 32767)
where l.tenant_id = %(tenant_id)s and l.id = %(id)s and l.resolved_at is null

-- name: retire
select messaging.retire_dead_letters(%(resolved)s, %(unresolved)s, %(limit)s, %(now)s)
