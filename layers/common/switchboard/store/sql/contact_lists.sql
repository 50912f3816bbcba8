-- Lists of people and their members.

-- name: insert_list
-- Once under its id: the work may run twice.
insert into messaging.contact_lists (tenant_id, id, name, description, created_at, updated_at)
select %(tenant_id)s, %(id)s::uuid, %(name)s, %(description)s, t.now, t.now
from (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now) as t
on conflict (tenant_id, id) do nothing

-- name: hold_list
-- A list that members are added to is not deleted meanwhile.
select id from messaging.contact_lists
where tenant_id = %(tenant_id)s and id = %(id)s for key share

-- name: find_list
-- Members are counted: a total beside them would be a row that all imports write.
select l.id, l.name, l.description, l.created_at, l.updated_at,
    (select count(*) from messaging.contact_list_members as m
        where m.tenant_id = l.tenant_id and m.list_id = l.id) as members
from messaging.contact_lists as l
where l.tenant_id = %(tenant_id)s and l.id = %(id)s

-- name: list_lists
select l.id, l.name, l.description, l.created_at, l.updated_at, null::bigint as members
from messaging.contact_lists as l
where l.tenant_id = %(tenant_id)s
    and (l.created_at, l.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
order by l.created_at desc, l.id desc limit %(limit)s

-- name: delete_list
delete from messaging.contact_lists where tenant_id = %(tenant_id)s and id = %(id)s
returning id

-- name: put_members
-- Sorted, as all that write several rows. Who is on the list with other values gets the new ones;
-- where nothing differs nothing is written, so that a file that is sent again soon is where it was.
with wanted as (
    select w.contact_id, w.given
    from unnest(%(contact_ids)s::uuid[], %(given)s::jsonb[]) as w(contact_id, given)
), different as (
    select w.contact_id, w.given from wanted as w
    left join messaging.contact_list_members as o on o.tenant_id = %(tenant_id)s
        and o.list_id = %(list_id)s and o.contact_id = w.contact_id
        -- Of a long list these alone are read.
        and o.contact_id = any (%(contact_ids)s::uuid[])
    where o.contact_id is null or o.given <> w.given
), put as (
    insert into messaging.contact_list_members as m (tenant_id, list_id, contact_id, given, created_at)
    select %(tenant_id)s, %(list_id)s, d.contact_id, d.given, t.now
    from different as d
    cross join (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now) as t
    order by d.contact_id
    on conflict (tenant_id, list_id, contact_id) do update set given = excluded.given
    returning xmax = 0 as is_new
)
select count(*) filter (where is_new), count(*) filter (where not is_new) from put

-- name: delete_members
delete from messaging.contact_list_members
where tenant_id = %(tenant_id)s and list_id = %(list_id)s
    and contact_id = any (%(contact_ids)s::uuid[])
returning contact_id

-- name: list_members
-- The contact is looked up for each row of the page, and for no other.
select m.contact_id,
    (select c.phone_number from messaging.contacts as c
        where c.tenant_id = m.tenant_id and c.id = m.contact_id) as phone_number,
    m.given, m.created_at
from messaging.contact_list_members as m
where m.tenant_id = %(tenant_id)s and m.list_id = %(list_id)s and m.contact_id > %(after)s::uuid
order by m.contact_id limit %(limit)s
