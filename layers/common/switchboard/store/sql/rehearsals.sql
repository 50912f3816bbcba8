-- What a rule would have done: asked of the plan, of the facts and of what it did before. Writes nothing that stays.

-- name: begin
select set_config('switchboard.rehearsing', 'on', true)

-- name: planned
select subject_id, occurrence, due_at, total
from messaging.planned_between(%(tenant)s, %(rule_id)s, %(since)s::timestamptz, %(until)s::timestamptz,
    %(limit)s)

-- name: facts
-- What a run of each subject would look at: as automations.lock_run, without the runs.
select s.id, to_jsonb(c) as contact, to_jsonb(t) as trip, to_jsonb(b) as booking
from unnest(%(subjects)s::uuid[]) as s(id)
left join messaging.bookings as b on b.tenant_id = %(tenant)s and b.id = s.id
left join messaging.trips as t on t.tenant_id = %(tenant)s
    and t.id = case when b.trip_id is not null then b.trip_id else s.id end
left join messaging.contacts as c on c.tenant_id = %(tenant)s
    and c.id = case when %(whose)s::uuid is not null then %(whose)s::uuid
        when b.contact_id is not null then b.contact_id else t.contact_id end

-- name: acted_before
-- How often a rule had acted for people by then, and when last.
select u.contact_id, count(*), max(u.finished_at)
from messaging.automation_runs as u
where u.tenant_id = %(tenant)s and u.rule_id = %(rule_id)s and u.status = 'done'
    and u.contact_id = any (%(contacts)s::uuid[]) and u.finished_at <= %(since)s::timestamptz
group by u.contact_id
