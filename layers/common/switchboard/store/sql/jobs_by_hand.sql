-- Jobs as people see and change them; workers claim and finish them by store/sql/jobs.sql.

-- name: list
-- The newest first. The filters stand above a walk of at most `walk` rows, whose last one is handed
-- back whether it fits or not, so that the next page goes on there.
select w.id, w.job_type, w.status, w.priority, w.lane, w.unique_key, w.period_key, w.args, w.attempts,
    w.max_attempts, w.created_at, w.scheduled_for, w.executed_at, w.lease_until, w.finished_at,
    w.result, w.error_message, w.matches, w.place
from (
    select j.*, row_number() over (order by j.id desc) as place,
        (%(status)s::text is null or j.status = %(status)s)
        and (%(job_type)s::text is null or j.job_type = %(job_type)s)
        and (%(lane)s::text is null or coalesce(j.lane = %(lane)s, false))
        and (%(unique_key)s::text is null or coalesce(j.unique_key = %(unique_key)s, false)) as matches
    from (
        select * from messaging.scheduled_jobs as o
        where o.tenant_id = %(tenant_id)s and o.id < %(before)s::bigint
        order by o.id desc limit %(walk)s
    ) as j
) as w
where w.matches or w.place = %(walk)s
order by w.place limit %(limit)s + 1

-- name: list_failed
-- The same along the failed ones alone, which may lie far behind what went well.
select w.id, w.job_type, w.status, w.priority, w.lane, w.unique_key, w.period_key, w.args, w.attempts,
    w.max_attempts, w.created_at, w.scheduled_for, w.executed_at, w.lease_until, w.finished_at,
    w.result, w.error_message, w.matches, w.place
from (
    select j.*, row_number() over (order by j.id desc) as place,
        (%(job_type)s::text is null or j.job_type = %(job_type)s)
        and (%(lane)s::text is null or coalesce(j.lane = %(lane)s, false))
        and (%(unique_key)s::text is null or coalesce(j.unique_key = %(unique_key)s, false)) as matches
    from (
        select * from messaging.scheduled_jobs as o
        where o.tenant_id = %(tenant_id)s and o.id < %(before)s::bigint and o.status = 'failed'
        order by o.id desc limit %(walk)s
    ) as j
) as w
where w.matches or w.place = %(walk)s
order by w.place limit %(limit)s + 1

-- name: find
select j.id, j.job_type, j.status, j.priority, j.lane, j.unique_key, j.period_key, j.args, j.attempts,
    j.max_attempts, j.created_at, j.scheduled_for, j.executed_at, j.lease_until, j.finished_at,
    j.result, j.error_message
from messaging.scheduled_jobs as j
where j.tenant_id = %(tenant_id)s and j.id = %(id)s

-- name: cancel
-- Of a running one the lease goes: its worker brings a token that is no longer valid, and writes
-- nothing.
update messaging.scheduled_jobs as j
set status = 'cancelled', finished_at = coalesce(%(now)s::timestamptz, clock_timestamp()),
    lease_token = null, lease_until = null
where j.tenant_id = %(tenant_id)s and j.id = %(id)s and j.status in ('pending', 'running')

-- name: retry
update messaging.scheduled_jobs as j
set status = 'pending', attempts = 0, finished_at = null, result = null, error_message = null,
    scheduled_for = coalesce(%(now)s::timestamptz, clock_timestamp())
where j.tenant_id = %(tenant_id)s and j.id = %(id)s and j.status in ('failed', 'cancelled')

-- name: snooze
update messaging.scheduled_jobs as j
set scheduled_for = %(until)s::timestamptz
where j.tenant_id = %(tenant_id)s and j.id = %(id)s and j.status = 'pending'

-- name: measure
select tenant_id, priority, pending, due, running, failed, oldest_due,
    greatest(extract(epoch from
        coalesce(%(now)s::timestamptz, clock_timestamp()) - oldest_due), 0)::float8
from messaging.measure_jobs(%(now)s)

-- name: retire
select retired, next_tenant, next_id
from messaging.retire_jobs(%(keep)s, %(limit)s, %(tenant_id)s, %(id)s, %(now)s)
