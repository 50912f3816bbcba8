-- Subscriptions to events, and the deliveries to them.

-- name: find_subscriptions
-- With what became of the deliveries: the state at a glance. Of more than 1,000 it says 1,000, so that
-- an endpoint that is away does not make the list slow.
select s.id, s.url, s.kinds, s.is_active, s.disabled_reason, s.failures, s.rest_until,
    s.secret_previous_until, s.created_at,
    (select count(*) from (select from messaging.event_deliveries as d
        where d.tenant_id = s.tenant_id and d.subscription_id = s.id and d.state = 'pending'
        limit 1000) as few) as pending,
    (select count(*) from (select from messaging.event_deliveries as d
        where d.tenant_id = s.tenant_id and d.subscription_id = s.id and d.state = 'dead'
        limit 1000) as few) as dead
from messaging.event_subscriptions as s
where s.tenant_id = %(tenant_id)s and (%(wanted)s::uuid is null or s.id = %(wanted)s::uuid)
order by s.created_at, s.id

-- name: hold_subscriptions
-- Whoever adds one holds this until the commit: of two at once the second counts the first.
select pg_advisory_xact_lock(hashtextextended(%(tenant_id)s::uuid::text, 13))

-- name: insert_subscription
insert into messaging.event_subscriptions (tenant_id, id, url, kinds, secret_sealed, created_at)
select %(tenant_id)s, %(id)s, %(url)s, %(kinds)s, %(secret_sealed)s,
    coalesce(%(now)s::timestamptz, clock_timestamp())
where (select count(*) from messaging.event_subscriptions as s
    where s.tenant_id = %(tenant_id)s) < %(most)s
on conflict (tenant_id, id) do nothing

-- name: change_subscription
update messaging.event_subscriptions
set url = coalesce(%(url)s, url), kinds = coalesce(%(kinds)s::text[], kinds),
    failures = case when url <> %(url)s then 0 else failures end,
    rest_until = case when url <> %(url)s then null else rest_until end
where tenant_id = %(tenant_id)s and id = %(id)s

-- name: delete_subscription
-- Not its deliveries, which may be many: the worker ends what waits, the rest goes in its time.
delete from messaging.event_subscriptions where tenant_id = %(tenant_id)s and id = %(id)s

-- name: set_subscription_active
-- Switched on again, it starts without a rest; what died meanwhile stays dead.
update messaging.event_subscriptions
set is_active = %(is_active)s, disabled_reason = case when %(is_active)s then null
        else coalesce(disabled_reason, 'by_hand') end,
    failures = case when %(is_active)s then 0 else failures end,
    rest_until = case when %(is_active)s then null else rest_until end
where tenant_id = %(tenant_id)s and id = %(id)s

-- name: rotate_secret
-- Both sign until the previous one's end. One statement: of two rotations at once the second makes the
-- first one's secret the previous one.
update messaging.event_subscriptions
set secret_previous_sealed = secret_sealed,
    secret_previous_until = coalesce(%(now)s::timestamptz, clock_timestamp()) + interval '24 hours',
    secret_sealed = %(secret_sealed)s
where tenant_id = %(tenant_id)s and id = %(id)s and secret_sealed <> %(secret_sealed)s

-- name: put_test
-- An event of its own each time, on the way of all others.
with put as (
    insert into messaging.event_deliveries
        (tenant_id, subscription_id, kind, event_sha256, next_attempt_at, created_at)
    select s.tenant_id, s.id, 'test', sha256(convert_to('test ' || gen_random_uuid(), 'UTF8')),
        coalesce(%(now)s::timestamptz, clock_timestamp()),
        coalesce(%(now)s::timestamptz, clock_timestamp())
    from messaging.event_subscriptions as s
    where s.tenant_id = %(tenant_id)s and s.id = %(id)s and s.is_active
    returning tenant_id, id, created_at
)
insert into messaging.scheduled_jobs
    (tenant_id, job_type, args, unique_key, scheduled_for, created_at)
select put.tenant_id, 'notify', jsonb_build_object('delivery_id', put.id), put.id::text,
    put.created_at, put.created_at
from put returning args ->> 'delivery_id'

-- name: list_deliveries
-- The newest first: the first ones of each state, merged.
select d.id, d.kind, d.state, d.message_id, d.wa_message_id, d.call_id, d.status, d.attempts,
    d.next_attempt_at, d.created_at, d.finished_at
from unnest(%(states)s::text[]) as wanted(state)
cross join lateral (
    select * from messaging.event_deliveries as e
    where e.tenant_id = %(tenant_id)s and e.subscription_id = %(subscription_id)s
        and e.state = wanted.state
        and (e.created_at, e.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
    order by e.created_at desc, e.id desc limit %(limit)s
) as d
order by d.created_at desc, d.id desc limit %(limit)s

-- name: load_delivery
-- Everything that one attempt needs; no row once it is finished.
select d.kind, d.created_at, s.url, s.secret_sealed,
    case when s.secret_previous_until > coalesce(%(now)s::timestamptz, clock_timestamp())
        then s.secret_previous_sealed end as secret_previous_sealed,
    coalesce(s.is_active, false) as is_active,
    case when s.rest_until > coalesce(%(now)s::timestamptz, clock_timestamp()) and d.kind <> 'test'
        then s.rest_until end as rests_until,
    d.message_id, d.call_id, d.account_id, d.wa_message_id, d.status, d.participant, d.occurred_at
from messaging.event_deliveries as d
left join messaging.event_subscriptions as s
    on s.tenant_id = d.tenant_id and s.id = d.subscription_id
where d.tenant_id = %(tenant_id)s and d.id = %(id)s and d.state = 'pending'

-- name: load_message
-- One that came in, or one that was typed on the phone.
select jsonb_build_object('id', m.id, 'wa_message_id', m.wa_message_id,
    case m.direction when 'inbound' then 'from' else 'to' end, c.phone_number,
    'phone_number_id', n.phone_number_id, 'conversation_id', m.conversation_id,
    'contact_id', m.contact_id, 'group_id', v.group_id, 'type', m.message_type,
    'content', m.content, 'context_id', m.wa_context_id, 'is_forwarded', m.is_forwarded,
    'occurred_at', m.occurred_at)
from messaging.whatsapp_messages as m
join messaging.whatsapp_accounts as n on n.tenant_id = m.tenant_id and n.id = m.account_id
join messaging.whatsapp_conversations as v
    on v.tenant_id = m.tenant_id and v.id = m.conversation_id
left join messaging.contacts as c on c.tenant_id = m.tenant_id and c.id = m.contact_id
where m.tenant_id = %(tenant_id)s and m.id = %(message_id)s

-- name: load_status
select jsonb_build_object('message_id', k.message_id, 'wa_message_id', e.wa_message_id,
    'phone_number_id', n.phone_number_id, 'status', e.status,
    'participant', nullif(e.participant, ''), 'errors', e.detail -> 'errors',
    'occurred_at', e.occurred_at)
from messaging.message_status_events as e
join messaging.whatsapp_accounts as n on n.tenant_id = e.tenant_id and n.id = e.account_id
left join messaging.message_keys as k
    on k.account_id = e.account_id and k.wa_message_id = e.wa_message_id
where e.tenant_id = %(tenant_id)s and e.account_id = %(account_id)s
    and e.wa_message_id = %(wa_message_id)s and e.status = %(status)s
    and e.participant = %(participant)s and e.occurred_at = %(occurred_at)s

-- name: load_call
-- The state that is told, and the rest as the call stands now.
select jsonb_build_object('id', l.id, 'wa_call_id', l.wa_call_id, 'phone_number', c.phone_number,
    'phone_number_id', n.phone_number_id, 'conversation_id', l.conversation_id,
    'contact_id', l.contact_id, 'direction', l.direction, 'status', %(status)s::text,
    'occurred_at', %(occurred_at)s::timestamptz, 'accepted_at', l.accepted_at,
    'ended_at', l.ended_at, 'end_reason', l.end_reason, 'duration_seconds', l.duration_seconds,
    'errors', l.errors)
from messaging.call_logs as l
join messaging.whatsapp_accounts as n on n.tenant_id = l.tenant_id and n.id = l.account_id
left join messaging.contacts as c on c.tenant_id = l.tenant_id and c.id = l.contact_id
where l.tenant_id = %(tenant_id)s and l.id = %(call_id)s

-- name: record_attempt
select messaging.record_attempt(%(tenant_id)s, %(id)s, %(attempt)s::jsonb, %(taken)s, %(gone)s,
    %(now)s)

-- name: end_delivery
-- Nobody wants it any more, or there is nothing to tell.
update messaging.event_deliveries
set state = 'dead', next_attempt_at = null,
    finished_at = coalesce(%(now)s::timestamptz, clock_timestamp()),
    attempts = attempts || jsonb_build_object('at',
        coalesce(%(now)s::timestamptz, clock_timestamp()), 'error', %(error)s::text)
where tenant_id = %(tenant_id)s and id = %(id)s and state = 'pending'

-- name: retire
select retired, requeued from messaging.retire_deliveries(%(keep)s, %(limit)s, %(now)s)
