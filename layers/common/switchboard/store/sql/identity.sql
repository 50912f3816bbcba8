-- name: allow_time
select set_config('statement_timeout', %(timeout)s, true)

-- name: merge
-- The function sets the tenant itself and takes the lock of contacts alone (sql/0008).
select messaging.merge_contacts(%(tenant)s, %(contacts)s::uuid[], %(reason)s,
    %(told_at)s::timestamptz, %(now)s::timestamptz)

-- name: all_known
-- After merge, in its transaction: it has set the tenant.
select count(*) = cardinality(%(contacts)s::uuid[]) as all_known
from messaging.contacts as c
where c.tenant_id = %(tenant)s and c.id = any(%(contacts)s::uuid[])
