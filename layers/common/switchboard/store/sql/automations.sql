-- Automations: rules, what is due, what ran.

-- name: is_tenant_active
select 1 from messaging.tenants where id = %(tenant)s and is_active

-- name: now
select coalesce(%(now)s::timestamptz, clock_timestamp())

-- name: set_now
-- Triggers that plan take their time from here; only tests have a time of their own.
select set_config('switchboard.now', coalesce(%(now)s::timestamptz::text, ''), true)

-- name: set_chain
select set_config('switchboard.automation_chain', %(chain)s::uuid[]::text, true)

-- name: hold_contacts
select messaging.hold_contacts(%(tenant)s)

-- name: hold_facts
select messaging.hold_facts(%(tenant)s)

-- name: hold_rules
-- Before the rule's row: those who write facts hold its key.
select messaging.hold_rules(%(tenant)s)

-- name: insert_rule
insert into messaging.automation_rules
    (tenant_id, id, contact_id, name, description, trigger_type, trigger_config, conditions, action_type,
    action_config, is_active, cool_down, cap_per_contact, grace, plan_days, plan_at, plan_delay,
    plan_percent, listens_to, metadata, created_at, updated_at)
select %(tenant)s, %(id)s, %(contact_id)s, %(name)s, %(description)s, %(trigger_type)s,
    %(trigger_config)s::jsonb, %(conditions)s::jsonb, %(action_type)s, %(action_config)s::jsonb,
    %(is_active)s, make_interval(secs => %(cool_down_s)s::integer), %(cap_per_contact)s,
    make_interval(secs => %(grace_s)s::integer), %(plan_days)s, %(plan_at)s, %(plan_delay)s,
    %(plan_percent)s, %(listens_to)s, %(metadata)s::jsonb, t.now, t.now
from (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now) as t
-- The use case may run twice: where the link was lost at the commit, the first run has written it.
on conflict (tenant_id, id) do nothing

-- name: lock_rule
-- For update, and not for less: evaluators that hold its key are through before we take its schedule away.
select id from messaging.automation_rules where tenant_id = %(tenant)s and id = %(id)s for update

-- name: update_rule
update messaging.automation_rules
set contact_id = %(contact_id)s, name = %(name)s, description = %(description)s,
    trigger_type = %(trigger_type)s, trigger_config = %(trigger_config)s::jsonb,
    conditions = %(conditions)s::jsonb, action_type = %(action_type)s,
    action_config = %(action_config)s::jsonb, is_active = %(is_active)s,
    cool_down = make_interval(secs => %(cool_down_s)s::integer), cap_per_contact = %(cap_per_contact)s,
    grace = make_interval(secs => %(grace_s)s::integer), plan_days = %(plan_days)s, plan_at = %(plan_at)s,
    plan_delay = %(plan_delay)s, plan_percent = %(plan_percent)s, listens_to = %(listens_to)s,
    metadata = %(metadata)s::jsonb,
    updated_at = coalesce(%(now)s::timestamptz, clock_timestamp())
where tenant_id = %(tenant)s and id = %(id)s

-- name: delete_rule
delete from messaging.automation_rules where tenant_id = %(tenant)s and id = %(id)s

-- name: find_rule
select r.id, r.name, r.description, r.contact_id, r.trigger_type, r.trigger_config, r.conditions,
    r.action_type, r.action_config, r.is_active, extract(epoch from r.cool_down)::integer as cool_down_s,
    r.cap_per_contact, extract(epoch from r.grace)::integer as grace_s, r.last_triggered_at, r.metadata,
    r.created_at, r.updated_at
from messaging.automation_rules as r
where r.tenant_id = %(tenant)s and r.id = %(id)s

-- name: find_rules
-- A page, the newest first: from a place in the index, also where none is given.
select r.id, r.name, r.description, r.contact_id, r.trigger_type, r.trigger_config, r.conditions,
    r.action_type, r.action_config, r.is_active, extract(epoch from r.cool_down)::integer as cool_down_s,
    r.cap_per_contact, extract(epoch from r.grace)::integer as grace_s, r.last_triggered_at, r.metadata,
    r.created_at, r.updated_at
from messaging.automation_rules as r
where r.tenant_id = %(tenant)s
    and (r.created_at, r.id) < (%(before_at)s::timestamptz, %(before_id)s::uuid)
order by r.created_at desc, r.id desc
limit %(limit)s

-- name: find_runs
select u.id, u.rule_id, u.subject_id, u.occurrence, u.contact_id, u.due_at, u.started_by, u.chain, u.status,
    u.reason, u.result, u.message_id, u.started_at, u.finished_at
from messaging.automation_runs as u
where u.tenant_id = %(tenant)s and u.rule_id = %(rule_id)s and u.status = any (%(states)s::text[])
    and (u.started_at, u.id) < (%(before_at)s::timestamptz, %(before_id)s::uuid)
order by u.started_at desc, u.id desc
limit %(limit)s

-- name: clear_schedule
delete from messaging.automation_due
where tenant_id = %(tenant)s and rule_id = %(id)s and subject_id = %(id)s

-- name: put_schedule
insert into messaging.automation_due (tenant_id, rule_id, subject_id, occurrence, due_at)
select %(tenant)s, %(id)s, %(id)s, %(occurrence)s, %(due_at)s::timestamptz
where not exists (select from messaging.automation_runs as u
    where u.tenant_id = %(tenant)s and u.rule_id = %(id)s and u.subject_id = %(id)s
        and u.occurrence = %(occurrence)s)
on conflict (tenant_id, rule_id, subject_id, occurrence) do nothing

-- name: due
select tenant_id, rule_id, subject_id, occurrence, due_at, trigger_type, trigger_config, grace, is_started
from messaging.due_occurrences(%(limit)s, %(now)s)

-- name: plan_schedules
select messaging.plan_schedules(%(next)s::jsonb)

-- name: find_subject
-- A trip or a booking by the service's own id or by ours; a trip first.
select t.id, t.contact_id, null::timestamptz as pending_since
from messaging.trips as t
where t.tenant_id = %(tenant)s and (t.external_id = %(subject)s or t.id = %(id)s::uuid)
union all
select b.id, b.contact_id, b.pending_since
from messaging.bookings as b
where b.tenant_id = %(tenant)s and (b.external_id = %(subject)s or b.id = %(id)s::uuid)
limit 1

-- name: find_contact
-- By our id, whichever contact it stands for now, or by phone number in digits.
select messaging.contact_now(c.tenant_id, c.id)
from messaging.contacts as c
where c.tenant_id = %(tenant)s and c.id = case when %(id)s::uuid is not null then %(id)s::uuid else (
    select i.contact_id from messaging.contact_identifiers as i
    where i.tenant_id = %(tenant)s and i.kind = 'phone' and i.value = %(phone)s) end

-- name: start_event
-- What an event starts is started at once, each with its job; who tells of it twice starts it once.
with listening as (
    select r.tenant_id, r.id,
        coalesce(%(subject_id)s::uuid, %(contact_id)s::uuid, r.id) as subject_id,
        coalesce(%(occurrence)s::text,
            case when r.trigger_type = 'booking_pending' then %(pending_since)s::text
                when r.trigger_type = 'budget_exceeded' then (
                    select c.number::text from messaging.automation_crossings as c
                    where c.tenant_id = r.tenant_id and c.rule_id = r.id
                        and c.trip_id = %(subject_id)s and c.is_above) end,
            %(told)s::text) as occurrence
    from messaging.automation_rules as r
    where r.tenant_id = %(tenant)s and r.listens_to = %(event)s and r.is_active
        and (r.contact_id is null or r.contact_id = %(contact_id)s)
), run as (
    insert into messaging.automation_runs
        (tenant_id, rule_id, subject_id, occurrence, contact_id, due_at, started_by, started_at)
    select l.tenant_id, l.id, l.subject_id, l.occurrence, %(contact_id)s, t.now, 'event', t.now
    from listening as l
    cross join (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now) as t
    order by l.id, l.subject_id, l.occurrence
    on conflict (tenant_id, rule_id, subject_id, occurrence) do nothing
    returning tenant_id, id, rule_id, started_at
), seen as (
    update messaging.automation_rules as r set last_triggered_at = k.started_at
    from (
        select h.tenant_id, h.id, u.started_at from messaging.automation_rules as h
        join run as u on u.tenant_id = h.tenant_id and u.rule_id = h.id
        for no key update of h skip locked
    ) as k
    where r.tenant_id = k.tenant_id and r.id = k.id
)
insert into messaging.scheduled_jobs (tenant_id, job_type, args, priority, scheduled_for, created_at)
select u.tenant_id, 'run_automation', jsonb_build_object('run_id', u.id), 20, u.started_at, u.started_at
from run as u

-- name: lock_run
-- A run that has not ended, with its rule and all that it looks at. The person: whom the event named, else
-- whose rule it is, else whose trip or booking.
select u.id, u.rule_id, u.subject_id, u.occurrence, u.started_by, u.chain, r.is_active, r.trigger_type,
    r.trigger_config, r.conditions, r.action_type, r.action_config,
    extract(epoch from r.cool_down)::integer as cool_down_s, r.cap_per_contact, r.contact_id as whose,
    to_jsonb(c) as contact, to_jsonb(t) as trip, to_jsonb(b) as booking
from messaging.automation_runs as u
join messaging.automation_rules as r on r.tenant_id = u.tenant_id and r.id = u.rule_id
left join messaging.bookings as b on b.tenant_id = u.tenant_id and b.id = u.subject_id
left join messaging.trips as t on t.tenant_id = u.tenant_id
    and t.id = case when b.trip_id is not null then b.trip_id else u.subject_id end
-- A merge gives each of these rows the winner's id.
left join messaging.contacts as c on c.tenant_id = u.tenant_id
    and c.id = case when u.contact_id is not null then u.contact_id
        when r.contact_id is not null then r.contact_id
        when b.contact_id is not null then b.contact_id else t.contact_id end
where u.tenant_id = %(tenant)s and u.id = %(id)s and u.status = 'started'
for no key update of u

-- name: hold_person
-- Two runs of one rule for one person decide one after the other.
select pg_advisory_xact_lock(hashtextextended(%(rule_id)s::text || %(contact_id)s::text, 9))

-- name: ran_before
select count(*), coalesce(max(u.finished_at) > coalesce(%(now)s::timestamptz, clock_timestamp())
        - make_interval(secs => coalesce(%(cool_down_s)s::integer, 0)), false)
from messaging.automation_runs as u
where u.tenant_id = %(tenant)s and u.rule_id = %(rule_id)s and u.contact_id = %(contact_id)s
    and u.status = 'done'

-- name: finish_run
update messaging.automation_runs
set status = %(status)s, reason = left(%(reason)s, 500), result = %(result)s::jsonb,
    message_id = %(message_id)s, contact_id = %(contact_id)s,
    finished_at = coalesce(%(now)s::timestamptz, clock_timestamp())
where tenant_id = %(tenant)s and id = %(id)s and status = 'started'

-- name: find_numbers
-- For each the number that the person last spoke with, else the tenant's oldest one; one that can send.
select p.contact_id, n.phone_number_id
from unnest(%(contacts)s::uuid[]) as p(contact_id)
cross join lateral (
    select a.phone_number_id
    from messaging.whatsapp_accounts as a
    left join messaging.whatsapp_conversations as v
        on v.tenant_id = a.tenant_id and v.account_id = a.id and v.contact_id = p.contact_id
    where a.tenant_id = %(tenant)s and a.is_active
    order by greatest(v.last_message_at, v.window_expires_at) desc nulls last, a.created_at, a.id
    limit 1
) as n

-- name: change_trip
update messaging.trips
set status = coalesce(%(status)s, status), title = coalesce(%(title)s, title),
    destination = coalesce(%(destination)s, destination),
    attributes = attributes || %(attributes)s::jsonb,
    -- A service that sends its last state again does not undo it.
    as_of = greatest(as_of, coalesce(%(now)s::timestamptz, clock_timestamp())),
    updated_at = coalesce(%(now)s::timestamptz, clock_timestamp())
where tenant_id = %(tenant)s and id = %(id)s

-- name: retire_runs
select retired, next_tenant, next_started, next_id
from messaging.retire_runs(%(keep)s, %(limit)s, %(tenant_id)s, %(started)s, %(id)s, %(now)s)
