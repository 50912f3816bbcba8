-- What the operator's admin commands read and write, as the owner of the tables. Each statement
-- names the tenant itself: a local run may connect as a superuser, whom row-level security skips.

-- name: find_tenants
-- Runs as role door, the only one that sees all tenants.
select id, slug, name, is_active, sends_stopped_at, marketing_cap, marketing_cap_hours,
    email_from, email_from_name, email_reply_to, created_at
from messaging.tenants
where %(wanted)s::text is null or %(wanted)s::text in (slug, id::text)
order by created_at, slug

-- name: insert_tenant
insert into messaging.tenants (id, slug, name) values (%(id)s, %(slug)s, %(name)s)
on conflict (slug) do nothing

-- name: set_tenant_active
update messaging.tenants set is_active = %(is_active)s where id = %(tenant_id)s

-- name: update_tenant
-- A cap of 0 and an empty text take it away; what is null stays.
update messaging.tenants
set name = coalesce(%(name)s, name),
    marketing_cap = case when %(marketing_cap)s::integer is null then marketing_cap
        else nullif(%(marketing_cap)s::integer, 0) end,
    marketing_cap_hours = coalesce(%(marketing_cap_hours)s, marketing_cap_hours),
    email_from = nullif(coalesce(%(email_from)s::text, email_from), ''),
    email_from_name = nullif(coalesce(%(email_from_name)s::text, email_from_name), ''),
    email_reply_to = nullif(coalesce(%(email_reply_to)s::text, email_reply_to), '')
where id = %(tenant_id)s

-- name: set_tenant_stopped
-- Stopping twice keeps the first time.
update messaging.tenants
set sends_stopped_at = case when %(stopped)s::boolean
    then coalesce(sends_stopped_at, %(now)s::timestamptz, clock_timestamp()) end
where id = %(tenant_id)s

-- name: find_users
select id, email, full_name, role, is_active, created_at
from messaging.users
where tenant_id = %(tenant_id)s
    and (%(wanted)s::text is null or %(wanted)s::text in (email, id::text))
order by created_at, email

-- name: insert_user
insert into messaging.users (tenant_id, email, full_name, role)
values (%(tenant_id)s, %(email)s, %(full_name)s, %(role)s)
on conflict (tenant_id, email) do nothing

-- name: set_user_active
update messaging.users set is_active = %(is_active)s
where tenant_id = %(tenant_id)s and id = %(id)s

-- name: find_apps
select app_id, name, is_active, app_secret_previous_sealed is not null as has_previous_secret,
    created_at
from messaging.meta_apps
where tenant_id = %(tenant_id)s and (%(wanted)s::text is null or app_id = %(wanted)s)
order by created_at, app_id

-- name: insert_app
insert into messaging.meta_apps (tenant_id, app_id, name, app_secret_sealed, verify_token_sealed)
values (%(tenant_id)s, %(app_id)s, %(name)s, %(app_secret_sealed)s, %(verify_token_sealed)s)
on conflict (app_id) do nothing

-- name: update_app
-- A new secret keeps the old one as the previous, so that what Meta signed before still counts.
update messaging.meta_apps
set name = coalesce(%(name)s::text, name),
    app_secret_previous_sealed = case when %(app_secret_sealed)s::bytea is null
        then app_secret_previous_sealed else app_secret_sealed end,
    app_secret_sealed = coalesce(%(app_secret_sealed)s::bytea, app_secret_sealed),
    verify_token_sealed = coalesce(%(verify_token_sealed)s::bytea, verify_token_sealed)
where tenant_id = %(tenant_id)s and app_id = %(app_id)s

-- name: set_app_active
update messaging.meta_apps set is_active = %(is_active)s
where tenant_id = %(tenant_id)s and app_id = %(id)s

-- name: find_business_accounts
-- Pauses are those that hold now; a reason without a time has no end of its own.
select waba_id, name, portfolio_id, app_id, is_active,
    case when sends_paused_until > clock_timestamp()
        then nullif(sends_paused_until, 'infinity') end as sends_paused_until,
    case when sends_paused_until > clock_timestamp() then sends_paused_reason end
        as sends_paused_reason, created_at
from messaging.whatsapp_business_accounts
where tenant_id = %(tenant_id)s and (%(wanted)s::text is null or waba_id = %(wanted)s)
order by created_at, waba_id

-- name: insert_business_account
insert into messaging.whatsapp_business_accounts (tenant_id, waba_id, name, portfolio_id, app_id)
values (%(tenant_id)s, %(waba_id)s, %(name)s, %(portfolio_id)s, %(app_id)s)
on conflict (waba_id) do nothing

-- name: set_business_account_active
update messaging.whatsapp_business_accounts set is_active = %(is_active)s
where tenant_id = %(tenant_id)s and waba_id = %(id)s

-- name: find_numbers
select id, waba_id, phone_number_id, phone_number, display_name, status, is_active,
    sends_stopped_at, case when sends_paused_until > clock_timestamp()
        then nullif(sends_paused_until, 'infinity') end as sends_paused_until,
    case when sends_paused_until > clock_timestamp() then sends_paused_reason end
        as sends_paused_reason,
    access_token_sealed is not null as has_access_token, token_expires_at,
    auto_mark_read, acknowledging_reaction, confirm_consents, resend_once, created_at
from messaging.whatsapp_accounts
where tenant_id = %(tenant_id)s and (%(wanted)s::text is null
    or %(wanted)s::text in (phone_number_id, phone_number, id::text))
order by created_at, phone_number_id

-- name: insert_number
-- A number with a token can send, so it counts as connected.
insert into messaging.whatsapp_accounts (tenant_id, waba_id, phone_number_id, phone_number,
    display_name, access_token_sealed, token_expires_at, status, auto_mark_read,
    acknowledging_reaction, confirm_consents, resend_once)
values (%(tenant_id)s, %(waba_id)s, %(phone_number_id)s, %(phone_number)s, %(display_name)s,
    %(access_token_sealed)s, %(token_expires_at)s, case when %(access_token_sealed)s::bytea is null
        then 'pending' else 'connected' end,
    %(auto_mark_read)s, nullif(%(acknowledging_reaction)s, ''),
    %(confirm_consents)s, %(resend_once)s)
on conflict do nothing

-- name: update_number
-- Null leaves a column as it is; an empty reaction takes it away; a new token brings its own end, and
-- ends the pause that the old one brought.
update messaging.whatsapp_accounts
set display_name = coalesce(%(display_name)s::text, display_name),
    access_token_sealed = coalesce(%(access_token_sealed)s::bytea, access_token_sealed),
    token_expires_at = case when %(access_token_sealed)s::bytea is null
        then coalesce(%(token_expires_at)s::timestamptz, token_expires_at)
        else %(token_expires_at)s::timestamptz end,
    status = case when %(access_token_sealed)s::bytea is null then status else 'connected' end,
    (sends_paused_until, sends_paused_reason, sends_paused_at) = (
        select p.until, p.reason, p.at
        from (values (sends_paused_until, sends_paused_reason, sends_paused_at))
            as p(until, reason, at)
        where %(access_token_sealed)s::bytea is null
            or not coalesce(starts_with(p.reason, 'token'), false)),
    auto_mark_read = coalesce(%(auto_mark_read)s::boolean, auto_mark_read),
    acknowledging_reaction = nullif(
        coalesce(%(acknowledging_reaction)s::text, acknowledging_reaction), ''),
    confirm_consents = coalesce(%(confirm_consents)s::boolean, confirm_consents),
    resend_once = coalesce(%(resend_once)s::boolean, resend_once)
where tenant_id = %(tenant_id)s and id = %(id)s

-- name: set_number_active
update messaging.whatsapp_accounts set is_active = %(is_active)s
where tenant_id = %(tenant_id)s and id = %(id)s

-- name: set_number_stopped
-- To let a number go on is to end what Meta's answers paused, too, and what they said until now.
update messaging.whatsapp_accounts
set sends_stopped_at = case when %(stopped)s::boolean
        then coalesce(sends_stopped_at, %(now)s::timestamptz, clock_timestamp()) end,
    sends_paused_until = case when %(stopped)s::boolean then sends_paused_until end,
    sends_paused_reason = case when %(stopped)s::boolean then sends_paused_reason end,
    sends_paused_at = case when %(stopped)s::boolean then sends_paused_at end,
    sends_resumed_at = case when %(stopped)s::boolean then sends_resumed_at
        else coalesce(%(now)s::timestamptz, clock_timestamp()) end
where tenant_id = %(tenant_id)s and id = %(id)s

-- name: resume_business_account
update messaging.whatsapp_business_accounts
set sends_paused_until = null, sends_paused_reason = null, sends_paused_at = null,
    sends_resumed_at = coalesce(%(now)s::timestamptz, clock_timestamp())
where tenant_id = %(tenant_id)s and waba_id = %(waba_id)s

-- name: find_keys
select id, name, key_prefix, scopes, expires_at, revoked_at, created_at
from messaging.api_keys
where tenant_id = %(tenant_id)s
    and (%(wanted)s::text is null or %(wanted)s::text in (key_prefix, id::text))
order by created_at, id

-- name: insert_key
insert into messaging.api_keys (tenant_id, name, key_hash, key_prefix, scopes, expires_at)
values (%(tenant_id)s, %(name)s, %(key_hash)s, %(key_prefix)s, %(scopes)s, %(expires_at)s)
returning id

-- name: revoke_key
update messaging.api_keys
set revoked_at = coalesce(revoked_at, %(now)s::timestamptz, clock_timestamp())
where tenant_id = %(tenant_id)s and id = %(id)s

-- name: find_owner
-- Whose a globally unique id is; asked only after an insert found it taken.
select coalesce(
    (select n.tenant_id from messaging.resolve_number(%(phone_number_id)s::text) as n),
    (select w.tenant_id from messaging.resolve_waba(%(waba_id)s::text) as w),
    (select a.tenant_id from messaging.resolve_app(%(app_id)s::text) as a))
