-- Jobs of all tenants, for the operator; both run as role door, which alone sees them.

-- name: find
-- Pending ones by how long they are due, running ones by how long they run, failed ones the latest
-- first: what has ended well is read tenant by tenant.
(select t.slug, j.id, j.job_type, j.status, j.priority, j.lane, j.attempts, j.scheduled_for,
    j.executed_at, j.finished_at, j.error_message
from messaging.scheduled_jobs as j left join messaging.tenants as t on t.id = j.tenant_id
where %(status)s::text = 'pending' and j.status = 'pending'
    and (%(job_type)s::text is null or j.job_type = %(job_type)s)
order by j.scheduled_for, j.id limit %(limit)s)
union all
(select t.slug, j.id, j.job_type, j.status, j.priority, j.lane, j.attempts, j.scheduled_for,
    j.executed_at, j.finished_at, j.error_message
from messaging.scheduled_jobs as j left join messaging.tenants as t on t.id = j.tenant_id
where %(status)s::text = 'running' and j.status = 'running'
    and (%(job_type)s::text is null or j.job_type = %(job_type)s)
order by j.executed_at, j.id limit %(limit)s)
union all
(select t.slug, j.id, j.job_type, j.status, j.priority, j.lane, j.attempts, j.scheduled_for,
    j.executed_at, j.finished_at, j.error_message
from messaging.scheduled_jobs as j left join messaging.tenants as t on t.id = j.tenant_id
where %(status)s::text = 'failed' and j.status = 'failed'
    and (%(job_type)s::text is null or j.job_type = %(job_type)s)
order by j.finished_at desc, j.id desc limit %(limit)s)

-- name: measure
select m.priority, t.slug, m.pending, m.due, m.running, m.failed, m.oldest_due
from messaging.measure_jobs(%(now)s) as m
left join messaging.tenants as t on t.id = m.tenant_id
order by m.priority, m.oldest_due, m.pending desc, t.slug
