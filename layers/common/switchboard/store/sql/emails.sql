-- E-mails: decided, sent, and what SES told of them.

-- name: ask
-- What the policy asks before a mail to a person; no row where there is no such contact. Ids and address
-- are found first, each for itself: below row-level security an index takes no function's result.
with root as materialized (
    select messaging.contact_now(%(tenant)s, %(contact)s) as id,
        coalesce(%(now)s::timestamptz, clock_timestamp()) as at
), known as materialized (
    select n.at, t, c, lower(coalesce(%(address)s::text, c.email)) as address
    from root as n
    join messaging.tenants as t on t.id = %(tenant)s
    join messaging.contacts as c on c.tenant_id = %(tenant)s and c.id = n.id
    where c.deleted_at is null
)
select k.at, (k.c).id as contact_id, (k.t).is_active as tenant_active,
    (k.t).sends_stopped_at is not null as tenant_stopped, (k.t).email_from, (k.t).email_from_name,
    (k.t).email_reply_to, (k.c).email, (k.c).phone_number, (k.c).is_blocked,
    messaging.person_of(k.c, k.t, k.at) as person,
    coalesce((
        select o.state = 'withdrawn' from messaging.consents as o
        where o.tenant_id = %(tenant)s and o.contact_id = (k.c).id and o.scope = 'email'
        -- At the same time the refusal is the later one.
        order by o.occurred_at desc, o.state = 'withdrawn' desc limit 1), false) as withdrawn,
    (select s.reason from messaging.email_suppressions as s
        where s.tenant_id = %(tenant)s and s.address = k.address
        order by s.reason desc limit 1) as suppressed
from known as k

-- name: insert
-- Performed again, a run has its mail already.
insert into messaging.emails (tenant_id, id, contact_id, rule_id, run_id, template_id, template_name,
    language, category, notification_category, address, subject, text_body, html_body, status, reason,
    decisions, due_at, expires_at, created_at, updated_at)
select %(tenant)s, %(id)s, %(contact)s, %(rule_id)s, %(run_id)s, %(template_id)s, %(template_name)s,
    %(language)s, %(category)s, %(notification_category)s, %(address)s, %(subject)s, %(text_body)s,
    %(html_body)s, %(status)s, left(%(reason)s, 500), jsonb_build_array(%(decision)s::jsonb),
    coalesce(%(due_at)s::timestamptz, n.at), %(expires_at)s, n.at, n.at
from (select coalesce(%(now)s::timestamptz, clock_timestamp()) as at) as n

-- name: lock
select m.id, m.contact_id, m.category, m.notification_category, m.address, m.subject, m.text_body,
    m.html_body, m.status, m.attempt, m.lease_token, m.lease_until, m.due_at, m.expires_at, n.at
from messaging.emails as m,
    (select coalesce(%(now)s::timestamptz, clock_timestamp()) as at) as n
where m.tenant_id = %(tenant)s and m.id = %(id)s
for no key update of m

-- name: find_contact
select contact_id from messaging.emails
where tenant_id = %(tenant)s and id = %(id)s and status = 'pending'

-- name: begin
-- The intent: from here on nobody sends this mail again but who knows that it did not go out.
update messaging.emails
set status = 'sending', attempt = attempt + 1, lease_token = %(token)s,
    address = %(address)s,
    lease_until = coalesce(%(now)s::timestamptz, clock_timestamp()) + %(lease)s,
    decisions = decisions || %(decision)s::jsonb,
    updated_at = coalesce(%(now)s::timestamptz, clock_timestamp())
where tenant_id = %(tenant)s and id = %(id)s and status = 'pending'
returning attempt

-- name: hold_back
-- A denial, or a wait; only of what nobody has begun to send. The same wait told again takes the place of
-- the last one: a tenant that is stopped for days is asked about every few minutes.
update messaging.emails
set status = %(status)s, reason = left(%(reason)s, 500),
    decisions = case when decisions -> -1 -> 'attempt' = %(decision)s::jsonb -> 'attempt'
            and decisions -> -1 -> 'verdict' = %(decision)s::jsonb -> 'verdict'
            and decisions -> -1 -> 'reason' = %(decision)s::jsonb -> 'reason'
        then decisions - -1 else decisions end || %(decision)s::jsonb, due_at = coalesce(%(due_at)s, due_at),
    updated_at = coalesce(%(now)s::timestamptz, clock_timestamp())
where tenant_id = %(tenant)s and id = %(id)s and status = 'pending'

-- name: settle
-- What came of attempt number `attempt`. A late worker may still tell that SES took it, or refused it;
-- only who holds the lease lets it go out again. An event that was quicker has the last word.
with settled as (
    update messaging.emails as m
    set status = case when m.status in ('sending', 'unconfirmed') then %(status)s::text else m.status end,
        reason = case when m.status in ('sending', 'unconfirmed') then left(%(reason)s, 500)
            else m.reason end,
        lease_token = case when m.status <> 'sending' then m.lease_token end,
        lease_until = case when m.status <> 'sending' then m.lease_until end,
        ses_message_id = coalesce(m.ses_message_id, %(ses_message_id)s),
        sent_at = case when %(status)s::text = 'sent' then least(m.sent_at, n.at) else m.sent_at end,
        due_at = case when %(status)s::text = 'pending' then n.at + make_interval(secs => %(delay_s)s)
            else m.due_at end,
        updated_at = n.at
    from (select coalesce(%(now)s::timestamptz, clock_timestamp()) as at) as n
    where m.tenant_id = %(tenant)s and m.id = %(id)s and m.attempt = %(attempt)s
        and (m.lease_token = %(token)s or %(status)s::text in ('sent', 'failed'))
    returning m.id, m.contact_id, m.address, m.attempt, m.status, m.due_at, n.at
), logged as (
    insert into messaging.delivery_logs (tenant_id, id, message_id, contact_id, channel, recipient,
        attempt, status, provider_response, error_code, error_message, created_at)
    select %(tenant)s, %(log_id)s, s.id, s.contact_id, 'email', s.address, s.attempt, %(log_status)s,
        %(response)s::jsonb, %(code)s, %(message)s, s.at
    from settled as s
    on conflict do nothing
)
select status, due_at from settled

-- name: hold_contacts
-- The log's row names the contact.
select messaging.hold_contacts(%(tenant)s)

-- name: take_event
select messaging.take_email_event(%(tenant)s, %(id)s, %(event)s::jsonb, %(log_id)s, %(now)s)

-- name: list
select m.id, m.contact_id, m.rule_id, m.run_id, m.template_name, m.language, m.category,
    m.notification_category, m.address, m.subject, m.status, m.reason, m.attempt, m.ses_message_id,
    m.sent_at, m.delivered_at, m.bounced_at, m.complained_at, m.expires_at, m.created_at
from messaging.emails as m
where m.tenant_id = %(tenant)s and (m.created_at, m.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
order by m.created_at desc, m.id desc limit %(limit)s

-- name: list_of_status
select m.id, m.contact_id, m.rule_id, m.run_id, m.template_name, m.language, m.category,
    m.notification_category, m.address, m.subject, m.status, m.reason, m.attempt, m.ses_message_id,
    m.sent_at, m.delivered_at, m.bounced_at, m.complained_at, m.expires_at, m.created_at
from messaging.emails as m
where m.tenant_id = %(tenant)s and m.status = %(status)s
    and (m.created_at, m.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
order by m.created_at desc, m.id desc limit %(limit)s

-- name: list_of_contact
-- As many as one person ever got: few enough to look through.
select m.id, m.contact_id, m.rule_id, m.run_id, m.template_name, m.language, m.category,
    m.notification_category, m.address, m.subject, m.status, m.reason, m.attempt, m.ses_message_id,
    m.sent_at, m.delivered_at, m.bounced_at, m.complained_at, m.expires_at, m.created_at
from messaging.emails as m
where m.tenant_id = %(tenant)s and m.contact_id = %(contact)s
    and (%(status)s::text is null or m.status = %(status)s)
    and (m.created_at, m.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
order by m.created_at desc, m.id desc limit %(limit)s

-- name: show
select m.id, m.contact_id, m.rule_id, m.run_id, m.template_name, m.language, m.category,
    m.notification_category, m.address, m.subject, m.status, m.reason, m.attempt, m.ses_message_id,
    m.sent_at, m.delivered_at, m.bounced_at, m.complained_at, m.expires_at, m.created_at,
    m.text_body, m.html_body, m.decisions,
    coalesce((
        select jsonb_agg(jsonb_build_object('kind', e.kind, 'reason', e.reason,
            'occurred_at', e.occurred_at) order by e.occurred_at, e.sha256)
        from messaging.email_events as e
        where e.tenant_id = m.tenant_id and e.email_id = m.id), '[]') as events
from messaging.emails as m
where m.tenant_id = %(tenant)s and m.id = %(id)s

-- name: list_suppressions
select id, address, reason, detail, email_id, contact_id, occurred_at, created_at
from messaging.email_suppressions
where tenant_id = %(tenant)s and (created_at, id) < (%(before)s::timestamptz, %(before_id)s::uuid)
order by created_at desc, id desc limit %(limit)s

-- name: lock_suppression
select id, address, reason, detail, email_id, contact_id, occurred_at, created_at
from messaging.email_suppressions
where tenant_id = %(tenant)s and id = %(id)s for update

-- name: delete_suppression
delete from messaging.email_suppressions where tenant_id = %(tenant)s and id = %(id)s

-- name: retire
select retired, next_tenant, next_created, next_id
from messaging.retire_emails(%(keep)s, %(limit)s, %(tenant_id)s, %(created)s, %(id)s, %(now)s)
