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

-- name: claim_phones
-- Sorted: two who claim the same phones must not deadlock. The loser of a race takes the winner's
-- contact. (A statement of its own: claim_contacts compares what Meta told of names as well, which
-- takes seconds for a thousand.)
with wanted as materialized (
    select p.value collate "C" as value, p.contact_id
    from unnest(%(phones)s::text[], %(ids)s::uuid[]) as p(value, contact_id)
), known as (
    insert into messaging.contact_identifiers as d (tenant_id, kind, value, contact_id, created_at)
    select %(tenant_id)s, 'phone', w.value, w.contact_id, t.now
    from wanted as w
    cross join (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now) as t
    order by w.value
    on conflict (tenant_id, kind, value) do update set value = excluded.value
    returning d.value, d.contact_id, d.created_at
), made as (
    insert into messaging.contacts (tenant_id, id, phone_number, created_at, updated_at)
    select %(tenant_id)s, k.contact_id, '+' || k.value, k.created_at, k.created_at
    from known as k join wanted as w on w.value = k.value and w.contact_id = k.contact_id
    order by k.contact_id
)
select known.value, known.contact_id from known

-- name: find_phones
select d.value, d.contact_id from messaging.contact_identifiers as d
where d.tenant_id = %(tenant_id)s and d.kind = 'phone' and d.value = any (%(phones)s::text[])

-- name: find_roots
select c.id, r.id from messaging.contacts as c
join messaging.contacts as r on r.tenant_id = %(tenant_id)s
        and r.id = case when c.merged_into is null then c.id else c.merged_into end
where c.tenant_id = %(tenant_id)s and c.id = any (%(ids)s::uuid[]) and r.deleted_at is null
