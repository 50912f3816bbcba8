-- Who is blocked: contacts.is_blocked, whichever number it was that blocked.

-- name: find
-- The contact of each, in their order: by id (its root, where it was merged), or by an identifier.
select messaging.contact_now(c.tenant_id, c.id), coalesce(r.phone_number, (
        select '+' || i.value from messaging.contact_identifiers as i
        where i.tenant_id = r.tenant_id and i.contact_id = r.id and i.kind = 'phone'
        order by i.value limit 1)),
    (select i.value from messaging.contact_identifiers as i
        where i.tenant_id = r.tenant_id and i.contact_id = r.id and i.kind = 'user_id'
        order by i.taken_at desc nulls last, i.value limit 1)
from unnest(%(ids)s::uuid[], %(kinds)s::text[], %(values)s::text[])
    with ordinality as g(id, kind, value, n)
left join messaging.contact_identifiers as f
    on f.tenant_id = %(tenant)s and f.kind = g.kind and f.value = g.value
left join messaging.contacts as c
    on c.tenant_id = %(tenant)s and c.deleted_at is null
        and c.id = case when g.id is null then f.contact_id else g.id end
left join messaging.contacts as r
    on r.tenant_id = %(tenant)s
        and r.id = case when c.merged_into is null then c.id else c.merged_into end
order by g.n

-- name: mark
-- Sorted: two who mark at once must not deadlock.
with who as (
    select messaging.contact_now(%(tenant)s, u.id) as id
    from unnest(%(contacts)s::uuid[]) as u(id)
    union
    select i.contact_id
    from unnest(%(kinds)s::text[], %(values)s::text[]) as g(kind, value)
    join messaging.contact_identifiers as i
        on i.tenant_id = %(tenant)s and i.kind = g.kind and i.value = g.value
), locked as (
    select c.id from messaging.contacts as c
    where c.tenant_id = %(tenant)s and c.id in (select who.id from who)
        and c.is_blocked <> %(blocked)s::boolean
    order by c.id for no key update
)
update messaging.contacts as c
set is_blocked = %(blocked)s::boolean,
    updated_at = coalesce(%(now)s::timestamptz, clock_timestamp())
from locked where c.tenant_id = %(tenant)s and c.id = locked.id

-- name: hold
select messaging.hold_contacts(%(tenant)s)
