-- Jobs: put in, leased, ended; and the marks of workers that are awake.

-- name: enqueue
-- Where a job of the same kind and key waits already, the new one is not put in: no row comes back.
insert into messaging.scheduled_jobs
    (tenant_id, job_type, args, lane, unique_key, priority, scheduled_for, created_at)
values (%(tenant_id)s, %(job_type)s, %(args)s::jsonb, %(lane)s, %(unique_key)s, %(priority)s,
    coalesce(%(scheduled_for)s::timestamptz, %(now)s::timestamptz, clock_timestamp()),
    coalesce(%(now)s::timestamptz, clock_timestamp()))
on conflict (tenant_id, job_type, unique_key) where status = 'pending' and unique_key is not null
do nothing
returning id

-- name: enqueue_periods
-- The period that `now` is in, of each kind: however many ask, one row per period. A period that
-- nobody asked in is left out, never made up for. One asks at a time, and nobody waits for them:
-- where whoever is at it comes to no end, the next one to look puts the period in.
with turn as materialized (select pg_try_advisory_xact_lock(1398231884) as mine)
insert into messaging.scheduled_jobs
    (tenant_id, job_type, scheduled_for, created_at, priority, lane, period_key)
select '00000000-0000-0000-0000-000000000000', k.name, p.start, t.now, 0, k.name,
    to_char(p.start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
from unnest(%(names)s::text[], %(seconds)s::integer[]) as k(name, seconds)
cross join (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now) as t
cross join lateral (
    select to_timestamp(floor(extract(epoch from t.now) / k.seconds) * k.seconds) as start
) as p
where (select turn.mine from turn)
order by k.name
on conflict (tenant_id, job_type, period_key) where period_key is not null do nothing

-- name: claim
select tenant_id, id, job_type, args, attempts
from messaging.claim_jobs(%(kinds)s, %(max_attempts)s::smallint[], %(limit)s, %(lease)s, %(token)s,
    %(now)s)

-- name: finish
select messaging.finish_jobs(%(token)s, %(ended)s::jsonb, %(now)s)

-- name: finish_unflushed
-- The commit does not wait for the disk: the next one that does brings it there, such as the next
-- claim. A server that crashes first forgets it, and the jobs come back when their leases are over.
select messaging.finish_jobs(%(token)s, %(ended)s::jsonb, %(now)s)
from set_config('synchronous_commit', 'off', true)

-- name: sweep
select requeued, failed from messaging.sweep_jobs(%(now)s)

-- name: mark_worker
insert into messaging.worker_marks as m (worker, marked_at)
values (%(worker)s, coalesce(%(now)s::timestamptz, clock_timestamp()))
on conflict (worker) do update set marked_at = excluded.marked_at

-- name: clear_mark
-- With it the marks of workers that were killed long ago.
delete from messaging.worker_marks
where worker = %(worker)s
    or marked_at < coalesce(%(now)s::timestamptz, clock_timestamp()) - interval '1 hour'

-- name: await_intakes
select messaging.await_intakes()

-- name: ensure_partitions
select messaging.ensure_partitions(%(now)s)
