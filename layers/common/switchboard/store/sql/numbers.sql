-- What asks Meta about a number or a business account.

-- name: find
select n.id, n.waba_id, n.phone_number_id, n.access_token_sealed
from messaging.whatsapp_accounts as n
where n.tenant_id = %(tenant)s and n.phone_number_id = %(phone_number_id)s

-- name: find_account
select w.waba_id, w.app_id, (
    select n.access_token_sealed from messaging.whatsapp_accounts as n
    where n.tenant_id = w.tenant_id and n.waba_id = w.waba_id
        and n.access_token_sealed is not null
    order by n.is_active desc, n.created_at desc limit 1)
from messaging.whatsapp_business_accounts as w
where w.tenant_id = %(tenant)s and w.waba_id = %(waba_id)s

-- name: shown
-- Pauses are those that hold now; what ends with nobody's act but a person's has no end (null).
select n.phone_number_id, n.waba_id, n.phone_number, n.display_name, n.verified_name,
    n.name_status, n.username, n.username_status, n.quality_rating, n.messaging_limit, n.throughput,
    n.is_coexistence, n.status, n.states -> 'status' ->> 'v' as meta_status,
    n.states -> 'account_mode' ->> 'v' as account_mode,
    n.states -> 'code_verification' ->> 'v' as code_verification,
    n.states -> 'health' -> 'v' as health, n.meta_settings, n.is_active,
    n.sends_stopped_at as stopped_at, t.sends_stopped_at as tenant_stopped_at,
    array(
        select jsonb_build_object('of', p.of, 'until', nullif(p.until, 'infinity'),
            'reason', p.reason)
        from (values (1, 'number', n.sends_paused_until, n.sends_paused_reason),
            (2, 'account', w.sends_paused_until, w.sends_paused_reason),
            (3, 'account', w.sends_restricted_until, 'restricted by Meta')
        ) as p(place, of, until, reason)
        where p.until > coalesce(%(now)s::timestamptz, clock_timestamp()) order by p.place
    ) as pauses,
    jsonb_build_object('name', w.name, 'portfolio_id', w.portfolio_id, 'is_active', w.is_active,
        'review_status', w.review_status, 'ban_state', w.ban_state,
        'is_deleted', w.deleted_at is not null, 'restrictions', w.restrictions,
        'limits', w.limits, 'webhook_url', w.webhook_url) as account,
    n.webhook_url, n.access_token_sealed is not null as has_token, n.token_expires_at,
    n.auto_mark_read, n.acknowledging_reaction, n.resend_once, n.confirm_consents,
    n.last_synced_at, n.created_at
from messaging.whatsapp_accounts as n
join messaging.whatsapp_business_accounts as w
    on w.tenant_id = n.tenant_id and w.waba_id = n.waba_id
join messaging.tenants as t on t.id = n.tenant_id
where n.tenant_id = %(tenant)s and n.phone_number_id > %(after)s
    and (%(phone_number_id)s::text is null or n.phone_number_id = %(phone_number_id)s)
order by n.phone_number_id limit %(limit)s

-- name: change
update messaging.whatsapp_accounts as n
set auto_mark_read = coalesce((d.doc ->> 'auto_mark_read')::boolean, n.auto_mark_read),
    acknowledging_reaction = case when d.doc ? 'acknowledging_reaction'
        then d.doc ->> 'acknowledging_reaction' else n.acknowledging_reaction end,
    resend_once = coalesce((d.doc ->> 'resend_once')::boolean, n.resend_once),
    confirm_consents = coalesce((d.doc ->> 'confirm_consents')::boolean, n.confirm_consents)
from (select %(change)s::jsonb as doc) as d
where n.tenant_id = %(tenant)s and n.phone_number_id = %(phone_number_id)s

-- name: find_by_id
-- For the job: as it is now, and the database's time.
select n.id, n.waba_id, n.phone_number_id, n.access_token_sealed
from messaging.whatsapp_accounts as n
where n.tenant_id = %(tenant)s and n.id = %(account)s and n.access_token_sealed is not null
    and messaging.is_number_active(n)

-- name: clock
select coalesce(%(now)s::timestamptz, clock_timestamp())

-- name: keep_fetched
-- What Meta answered counts as told when it was asked: a webhook of a later second stays.
select messaging.merge_number_states(%(tenant)s, jsonb_build_object(%(account)s::text,
    messaging.states_at(%(told)s::jsonb, floor(extract(epoch from %(asked_at)s::timestamptz))::bigint)))

-- name: mark_synced
update messaging.whatsapp_accounts
set last_synced_at = greatest(last_synced_at, %(asked_at)s::timestamptz)
where tenant_id = %(tenant)s and id = %(account)s

-- name: set_override
-- After Meta's answer, so that an answer to a question asked before it loses.
update messaging.whatsapp_accounts as n
set webhook_url = %(url)s, webhook_verify_token_sealed = %(verify_token)s,
    states = n.states || jsonb_build_object('webhook', jsonb_build_object('v', %(url)s::text,
        'at', greatest((n.states -> 'webhook' ->> 'at')::bigint, ceil(extract(epoch
            from coalesce(%(now)s::timestamptz, clock_timestamp())))::bigint)))
where n.tenant_id = %(tenant)s and n.phone_number_id = %(phone_number_id)s

-- name: set_account_override
update messaging.whatsapp_business_accounts
set webhook_url = %(url)s, webhook_verify_token_sealed = %(verify_token)s
where tenant_id = %(tenant)s and waba_id = %(waba_id)s

-- name: account_override
select webhook_url from messaging.whatsapp_business_accounts
where tenant_id = %(tenant)s and waba_id = %(waba_id)s

-- name: enqueue_syncs
select messaging.enqueue_number_syncs(%(spread)s, %(now)s)
