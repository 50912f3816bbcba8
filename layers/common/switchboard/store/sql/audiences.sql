-- Whom a campaign reaches, as queries that others stand in: each row is a person, once, with the
-- values that a list gives for them. Merged, deleted and blocked contacts are in none.
-- Contacts have no index for any of it: a query reads those of its tenant. See docs/audiences.md.

-- name: all_contacts
select c.id as contact_id, '{}'::jsonb as given
from messaging.contacts as c
where c.tenant_id = %(tenant_id)s
    and c.merged_into is null and c.deleted_at is null and not c.is_blocked

-- name: tagged
select c.id as contact_id, '{}'::jsonb as given
from messaging.contacts as c
where c.tenant_id = %(tenant_id)s
    and c.merged_into is null and c.deleted_at is null and not c.is_blocked
    and case when %(every_tag)s then c.tags @> %(tags)s::text[] else c.tags && %(tags)s::text[] end

-- name: segment
-- The condition of the filter takes the place of the mark. Where it does not ask for the times of
-- conversations the planner leaves them out.
select c.id as contact_id, '{}'::jsonb as given
from messaging.contacts as c
left join (
    select v.contact_id, max(v.last_inbound_at) as last_inbound_at,
        max(v.last_message_at) as last_message_at
    from messaging.whatsapp_conversations as v
    where v.tenant_id = %(tenant_id)s and v.contact_id is not null
    group by v.contact_id
) as heard on heard.contact_id = c.id
where c.tenant_id = %(tenant_id)s
    and c.merged_into is null and c.deleted_at is null and not c.is_blocked
    and /* filter */ true

-- name: people
-- Phones as contacts have them, and ids, of merged ones too: they answer for the root.
select c.id as contact_id, '{}'::jsonb as given
from messaging.contacts as c
where c.tenant_id = %(tenant_id)s
    and c.merged_into is null and c.deleted_at is null and not c.is_blocked
    and c.id in (
        select i.contact_id from messaging.contact_identifiers as i
        where i.tenant_id = %(tenant_id)s and i.kind = 'phone' and i.value = any (%(phones)s::text[])
        union
        select coalesce(o.merged_into, o.id) from messaging.contacts as o
        where o.tenant_id = %(tenant_id)s and o.id = any (%(contact_ids)s::uuid[])
    )

-- name: members
select m.contact_id, m.given
from messaging.contact_list_members as m
join messaging.contacts as c on c.tenant_id = m.tenant_id and c.id = m.contact_id
where m.tenant_id = %(tenant_id)s and m.list_id = %(list_id)s::uuid
    and c.merged_into is null and c.deleted_at is null and not c.is_blocked

-- name: count
-- The query of an audience takes the place of the mark.
select count(*) from (
/* people */ select %(tenant_id)s::uuid
) as people
