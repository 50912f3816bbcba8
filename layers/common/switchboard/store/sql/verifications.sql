-- Codes that prove a number.

-- name: find_number
select a.id from messaging.whatsapp_accounts as a
where a.tenant_id = %(tenant)s and a.phone_number_id = %(phone_number_id)s

-- name: find_category
select t.category
from messaging.whatsapp_accounts as a
join messaging.whatsapp_templates as t on t.tenant_id = a.tenant_id and t.waba_id = a.waba_id
where a.tenant_id = %(tenant)s and a.id = %(account)s and t.name = %(name)s
    and t.language = %(language)s

-- name: find_phone
select messaging.identifier_of(%(tenant)s, %(contact)s, 'phone')

-- name: begin
select messaging.begin_verification(%(tenant)s, %(id)s, %(account)s, %(contact)s, %(phone)s,
    %(key)s, %(hmac)s, %(lasts)s, %(now)s::timestamptz)

-- name: find
select id, contact_id, status, attempts, expires_at, key_sealed,
    coalesce(%(now)s::timestamptz, clock_timestamp()) >= expires_at
from messaging.phone_verifications
where tenant_id = %(tenant)s and id = %(id)s

-- name: attempt
-- Before the code is compared: of two who come at once one waits for the other's count, so nobody
-- gets a sixth. Only who was counted sees what to compare with.
update messaging.phone_verifications
set attempts = attempts + 1
where tenant_id = %(tenant)s and id = %(id)s and status = 'pending' and attempts < 5
    and expires_at > coalesce(%(now)s::timestamptz, clock_timestamp())
returning code_hmac, attempts

-- name: mark_phone
-- Where the phone still finds the person whom the code went to.
update messaging.contact_identifiers as i
set verified_at = coalesce(%(now)s::timestamptz, clock_timestamp())
from messaging.phone_verifications as v
where v.tenant_id = %(tenant)s and v.id = %(id)s and i.tenant_id = %(tenant)s
    and i.kind = 'phone' and i.value = v.phone and i.contact_id = v.contact_id

-- name: mark_contact
update messaging.contacts as c
set is_verified = true, updated_at = coalesce(%(now)s::timestamptz, clock_timestamp())
from messaging.phone_verifications as v
where v.tenant_id = %(tenant)s and v.id = %(id)s and c.tenant_id = %(tenant)s
    and c.id = v.contact_id

-- name: verify
update messaging.phone_verifications
set status = 'verified', verified_at = coalesce(%(now)s::timestamptz, clock_timestamp()),
    key_sealed = null, code_hmac = null
where tenant_id = %(tenant)s and id = %(id)s and status = 'pending'
    and expires_at > coalesce(%(now)s::timestamptz, clock_timestamp())

-- name: end_unsent
update messaging.phone_verifications
set status = 'unsent', key_sealed = null, code_hmac = null
where tenant_id = %(tenant)s and id = %(id)s and status = 'pending'

-- name: hide_code
select messaging.hide_code(%(tenant)s, %(id)s, %(now)s::timestamptz)

-- name: forget_code
-- Nothing that could be guessed at stays behind a code that is over.
update messaging.phone_verifications
set status = 'expired', key_sealed = null, code_hmac = null
where tenant_id = %(tenant)s and id = %(id)s and status = 'pending'
    and expires_at <= coalesce(%(now)s::timestamptz, clock_timestamp())

-- name: retire
select messaging.retire_verifications(%(limit)s, %(now)s::timestamptz)
