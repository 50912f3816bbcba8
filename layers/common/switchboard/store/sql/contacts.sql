-- People as staff see them. A merged contact's id stands for the root's row.

-- name: walk
-- By id, which never changes: a walk over all sees each contact once. The filters stand above a
-- walk of at most `walk` rows, whose last one is handed back so that the next page goes on there.
-- (Neither time nor tags have an index: every message touches the one, and row-level security
-- lets no array operator into an index.)
select w.id, w.matches, w.place from (
    select c.id, row_number() over (order by c.id) as place,
        c.merged_into is null and c.deleted_at is null
        and (%(opt_in_status)s::text is null or c.opt_in_status = %(opt_in_status)s)
        and (%(is_blocked)s::boolean is null or c.is_blocked = %(is_blocked)s)
        and (%(tag)s::text is null or %(tag)s = any (c.tags))
        and (%(updated_since)s::timestamptz is null or c.updated_at >= %(updated_since)s) as matches
    from (
        select * from messaging.contacts
        where tenant_id = %(tenant_id)s and id > %(after)s order by id limit %(walk)s
    ) as c
) as w
where w.matches or w.place = %(walk)s
order by w.id limit %(limit)s + 1

-- name: find_by_identifier
select c.id from messaging.contact_identifiers as i
join messaging.contacts as c on c.tenant_id = i.tenant_id and c.id = i.contact_id
where i.tenant_id = %(tenant_id)s and i.kind = %(kind)s and i.value = %(value)s
    and c.deleted_at is null

-- name: find_by_external_user_id
select id from messaging.contacts
where tenant_id = %(tenant_id)s and external_user_id = %(value)s and deleted_at is null

-- name: find_root
-- A merge keeps the loser's row, and names the root in it: never a chain.
select coalesce(c.merged_into, c.id) from messaging.contacts as c
where c.tenant_id = %(tenant_id)s and c.id = %(id)s

-- name: load
select c.id, c.name, c.profile_name, c.phone_book_name, c.username, c.phone_number,
    c.country_code, c.email, c.company, c.title, c.about, c.profile_picture_url, c.locale,
    c.timezone, c.tags, c.attributes, c.external_user_id, c.is_business, c.is_verified,
    c.is_blocked, c.opt_in_status, c.opted_in_at, c.opted_out_at, c.marketing_stopped_at,
    c.marketing_resumed_at, messaging.unreachable_since(c.tenant_id, c.id) as unreachable_since,
    c.last_seen_at, c.created_at, c.updated_at,
    array(select jsonb_build_object('kind', i.kind, 'value', i.value)
        from messaging.contact_identifiers as i
        where i.tenant_id = c.tenant_id and i.contact_id = c.id
        order by i.kind, i.value) as identifiers
from messaging.contacts as c
where c.tenant_id = %(tenant_id)s and c.id = any (%(ids)s) and c.deleted_at is null
order by c.id

-- name: change
-- What the document names is changed, null clears; of `attributes` the members that it names.
update messaging.contacts as c
set name = case when d.doc ? 'name' then d.doc ->> 'name' else c.name end,
    email = case when d.doc ? 'email' then d.doc ->> 'email' else c.email end,
    company = case when d.doc ? 'company' then d.doc ->> 'company' else c.company end,
    title = case when d.doc ? 'title' then d.doc ->> 'title' else c.title end,
    locale = case when d.doc ? 'locale' then d.doc ->> 'locale' else c.locale end,
    timezone = case when d.doc ? 'timezone' then d.doc ->> 'timezone' else c.timezone end,
    external_user_id = case when d.doc ? 'external_user_id' then d.doc ->> 'external_user_id'
        else c.external_user_id end,
    is_blocked = coalesce((d.doc ->> 'is_blocked')::boolean, c.is_blocked),
    tags = case when d.doc ? 'tags'
        then array(select distinct t from jsonb_array_elements_text(d.doc -> 'tags') as t order by t)
        else c.tags end,
    attributes = case when d.doc ? 'attributes'
        then (c.attributes || (d.doc -> 'attributes')) - array(
            select a.key from jsonb_each(d.doc -> 'attributes') as a
            where jsonb_typeof(a.value) = 'null')
        else c.attributes end,
    updated_at = coalesce(%(now)s::timestamptz, clock_timestamp())
from (select %(change)s::jsonb as doc) as d
where c.tenant_id = %(tenant_id)s and c.id = %(id)s and c.deleted_at is null
returning pg_column_size(c.attributes)

-- name: hold
-- A merge waits for us or we for it: what is changed is the root's row.
select messaging.hold_contacts(%(tenant_id)s)
