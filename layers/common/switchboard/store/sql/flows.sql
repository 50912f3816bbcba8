-- Flows as they are known here. Webhooks write their states (messaging.event_flow).

-- name: moment
-- When Meta is asked: the answer counts as told then.
select coalesce(%(now)s::timestamptz, clock_timestamp())

-- name: list
select f.flow_id, f.waba_id, f.name, f.categories, f.status, f.status_at, f.json_version, f.endpoint_uri,
    f.validation_errors, f.last_alert, f.last_alert_at, f.fetched_at, f.created_at
from messaging.whatsapp_flows as f
where f.tenant_id = %(tenant_id)s and (f.flow_id, f.waba_id) > (%(after)s::text, %(after_waba)s::text)
    and (%(waba_id)s::text is null or f.waba_id = %(waba_id)s)
    and (%(status)s::text is null or f.status = %(status)s)
order by f.flow_id, f.waba_id limit %(limit)s

-- name: show
-- Of one that two business accounts have had, where it was seen last.
select f.flow_id, f.waba_id, f.name, f.categories, f.status, f.status_at, f.json_version, f.endpoint_uri,
    f.validation_errors, f.last_alert, f.last_alert_at, f.fetched_at, f.created_at
from messaging.whatsapp_flows as f
where f.tenant_id = %(tenant_id)s and f.flow_id = %(flow_id)s
order by f.fetched_at desc nulls last, f.created_at desc limit 1

-- name: store
select messaging.fetched_flows(%(tenant_id)s, %(waba_id)s, %(flows)s::jsonb, %(asked_at)s::timestamptz)

-- name: delete
delete from messaging.whatsapp_flows
where tenant_id = %(tenant_id)s and waba_id = %(waba_id)s and flow_id = %(flow_id)s

-- name: retire_missing
-- Drafts that Meta does not list any more were deleted there; what has a history stays.
delete from messaging.whatsapp_flows as f
where f.tenant_id = %(tenant_id)s and f.waba_id = %(waba_id)s and f.flow_id <> all (%(listed)s::text[])
    and f.status = 'DRAFT' and f.fetched_at < %(asked_at)s::timestamptz
    and f.status_at < %(asked_at)s::timestamptz
