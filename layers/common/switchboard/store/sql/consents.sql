-- The history of what people have agreed to and taken back.

-- name: hold
-- Who confirms a change holds this until the commit: of two numbers that got STOP only one answers.
select pg_advisory_xact_lock(hashtextextended(%(contact)s::uuid::text, 11))

-- name: confirm
-- The newest statement, if it is among these messages and nothing since the last statement of the
-- other kind was confirmed: a repeated STOP changes nothing, and neither does a START that comes
-- after the STOP that followed it.
with newest as (
    select k.id, k.state, k.message_id, k.occurred_at from messaging.consents as k
    where k.tenant_id = %(tenant)s and k.contact_id = %(contact)s and k.scope = 'messages'
    order by k.occurred_at desc, (k.state = 'withdrawn') desc, k.id desc limit 1
), turn as (
    select max(k.occurred_at) as at from messaging.consents as k, newest as n
    where k.tenant_id = %(tenant)s and k.contact_id = %(contact)s and k.scope = 'messages'
        and k.state <> n.state
)
update messaging.consents as k
set confirmed_at = coalesce(%(now)s::timestamptz, clock_timestamp())
from newest as n, turn as t, messaging.contacts as c
where k.tenant_id = %(tenant)s and k.id = n.id and n.message_id = any (%(messages)s)
    and c.tenant_id = %(tenant)s and c.id = k.contact_id
    and not exists (
        select from messaging.consents as s
        where s.tenant_id = %(tenant)s and s.contact_id = %(contact)s and s.scope = 'messages'
            and s.state = n.state and s.confirmed_at is not null
            -- At the same second the refusal is the later one.
            and (t.at is null or s.occurred_at > t.at
                or (s.occurred_at = t.at and s.state = 'withdrawn')))
returning k.id, k.state, k.language, c.locale, c.phone_number

-- name: record
-- The same statement again is the row that is there. Nothing is agreed to in the future. Sorted: two
-- imports of the same statements must not deadlock.
insert into messaging.consents (tenant_id, contact_id, scope, state, source, wording, language,
    statement_sha256, occurred_at, created_at)
select %(tenant)s, s.contact, s.scope, s.state, s.source, s.wording, s.language,
    decode(s.sha256, 'hex'),
    least(s.occurred_at, coalesce(%(now)s::timestamptz, clock_timestamp())),
    coalesce(%(now)s::timestamptz, clock_timestamp())
from jsonb_to_recordset(%(statements)s::jsonb) as s(sha256 text, contact uuid, scope text,
    state text, source text, wording text, language text, occurred_at timestamptz)
order by s.sha256
on conflict (tenant_id, statement_sha256) do update set confirmed_at = consents.confirmed_at
returning statement_sha256, id, contact_id, scope, state, source, wording, language, account_id,
    message_id, occurred_at, created_at, confirmed_at

-- name: apply
select messaging.apply_consents(%(tenant)s, %(contacts)s::uuid[],
    coalesce(%(now)s::timestamptz, clock_timestamp()))

-- name: list_all
select id, contact_id, scope, state, source, wording, language, account_id, message_id,
    occurred_at, created_at, confirmed_at
from messaging.consents
where tenant_id = %(tenant)s
    and (created_at, id) < (%(before)s::timestamptz, %(before_id)s::uuid)
order by created_at desc, id desc limit %(limit)s

-- name: list_of_contact
-- As many as a person has ever said: few enough to sort.
select id, contact_id, scope, state, source, wording, language, account_id, message_id,
    occurred_at, created_at, confirmed_at
from messaging.consents
where tenant_id = %(tenant)s and contact_id = %(contact)s
    and (created_at, id) < (%(before)s::timestamptz, %(before_id)s::uuid)
order by created_at desc, id desc limit %(limit)s
