-- Trips and bookings, up to a thousand in one statement.
--
-- What is written decides alone: rows that are there are locked in the order of their external ids and
-- compared as they stand then, whatever this statement's snapshot says; what is new is inserted in the
-- same order. Where somebody else inserted it meanwhile the outcome is `raced`, and the same statement
-- once more, with a new snapshot, finds the row.
-- Content is compared as one JSON value. Of two with the same as_of the greater value holds, so that
-- any order of the same facts ends alike.

-- name: put_trips
with given as materialized (
    select f.*, t.now, coalesce(f.as_of, t.now) as at
    from jsonb_to_recordset(%(facts)s::jsonb) as f(place integer, external_id text, contact_id uuid,
        title text, destination text, status text, timezone text, start_date date, start_time time,
        end_date date, end_time time, budget_minor bigint, spent_minor bigint, currency text,
        attributes jsonb, as_of timestamptz)
    cross join (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now) as t
), zones as materialized (
    select z.name, messaging.knows_zone(z.name) as known
    from (select distinct g.timezone as name from given as g) as z
), held as materialized (
    select t.id, t.external_id, t.as_of, jsonb_build_array(t.title, t.destination, t.status,
        t.timezone, t.start_date, t.start_time, t.end_date, t.end_time, t.budget_minor, t.spent_minor,
        t.currency, t.attributes, t.contact_id) as content
    from messaging.trips as t
    where t.tenant_id = %(tenant_id)s
        and t.external_id = any (array(select g.external_id collate "C" from given as g))
    order by t.external_id for no key update of t
), decided as materialized (
    select g.*, h.id as known_id, h.as_of as known_as_of, w.wrong, case
        when w.wrong is not null then 'refused'
        when h.id is null then 'created'
        when g.at < h.as_of then 'stale'
        when c.content = h.content then 'unchanged'
        when g.at = h.as_of and c.content < h.content then 'stale'
        else 'updated' end as outcome
    from given as g
    join zones as z on z.name = g.timezone
    left join held as h on h.external_id = g.external_id
    cross join lateral (select case when g.at > g.now + interval '5 minutes' then 'as_of'
        when not z.known then 'timezone' end as wrong) as w
    cross join lateral (select jsonb_build_array(g.title, g.destination, g.status, g.timezone,
        g.start_date, g.start_time, g.end_date, g.end_time, g.budget_minor, g.spent_minor, g.currency,
        g.attributes, g.contact_id) as content) as c
), made as (
    insert into messaging.trips as t (tenant_id, external_id, contact_id, title, destination, status,
        timezone, start_date, start_time, end_date, end_time, budget_minor, spent_minor, currency,
        attributes, as_of, created_at, updated_at)
    select %(tenant_id)s, d.external_id, d.contact_id, d.title, d.destination, d.status, d.timezone,
        d.start_date, d.start_time, d.end_date, d.end_time, d.budget_minor, d.spent_minor, d.currency,
        d.attributes, d.at, d.now, d.now
    from decided as d where d.outcome = 'created' order by d.external_id collate "C"
    on conflict (tenant_id, external_id) do nothing
    returning t.external_id, t.id
), changed as (
    update messaging.trips as t
    set contact_id = d.contact_id, title = d.title, destination = d.destination, status = d.status,
        timezone = d.timezone, start_date = d.start_date, start_time = d.start_time,
        end_date = d.end_date, end_time = d.end_time, budget_minor = d.budget_minor,
        spent_minor = d.spent_minor, currency = d.currency, attributes = d.attributes, as_of = d.at,
        updated_at = case when d.outcome = 'updated' then d.now else t.updated_at end
    from decided as d
    where t.tenant_id = %(tenant_id)s and t.id = d.known_id
        -- The same once more at a later time is noted, so that nothing between the two passes it.
        and (d.outcome = 'updated' or (d.outcome = 'unchanged' and d.at > d.known_as_of))
)
select d.place, case when d.outcome = 'created' and m.id is null then 'raced' else d.outcome end,
    d.wrong, coalesce(m.id, d.known_id), d.contact_id, d.at
from decided as d left join made as m on m.external_id = d.external_id
order by d.place

-- name: put_bookings
-- The trips are locked against being deleted first: nothing is booked for one that goes meanwhile.
with given as materialized (
    select f.*, t.now, coalesce(f.as_of, t.now) as at
    from jsonb_to_recordset(%(facts)s::jsonb) as f(place integer, external_id text, contact_id uuid,
        trip text, kind text, title text, status text, starts_at timestamptz, timezone text,
        amount_minor bigint, currency text, attributes jsonb, as_of timestamptz)
    cross join (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now) as t
), zones as materialized (
    select z.name, messaging.knows_zone(z.name) as known
    from (select distinct g.timezone as name from given as g) as z
), journeys as materialized (
    select t.id, t.external_id from messaging.trips as t
    where t.tenant_id = %(tenant_id)s
        and t.external_id = any (array(select g.trip collate "C" from given as g where g.trip <> ''))
    order by t.external_id for key share of t
), held as materialized (
    select b.id, b.external_id, b.as_of, jsonb_build_array(b.trip_id, b.kind, b.title, b.status,
        b.starts_at, b.timezone, b.amount_minor, b.currency, b.attributes, b.contact_id) as content
    from messaging.bookings as b
    where b.tenant_id = %(tenant_id)s
        and b.external_id = any (array(select g.external_id collate "C" from given as g))
        -- Trips before bookings: so does whoever deletes a trip.
        and (select count(*) from journeys) >= 0
    order by b.external_id for no key update of b
), decided as materialized (
    select g.*, j.id as trip_id, h.id as known_id, h.as_of as known_as_of, w.wrong, case
        when w.wrong is not null then 'refused'
        when h.id is null then 'created'
        when g.at < h.as_of then 'stale'
        when c.content = h.content then 'unchanged'
        when g.at = h.as_of and c.content < h.content then 'stale'
        else 'updated' end as outcome
    from given as g
    join zones as z on z.name = g.timezone
    left join journeys as j on j.external_id = g.trip
    left join held as h on h.external_id = g.external_id
    cross join lateral (select case when g.at > g.now + interval '5 minutes' then 'as_of'
        when not z.known then 'timezone'
        when g.trip is not null and j.id is null then 'trip' end as wrong) as w
    cross join lateral (select jsonb_build_array(j.id, g.kind, g.title, g.status, g.starts_at,
        g.timezone, g.amount_minor, g.currency, g.attributes, g.contact_id) as content) as c
), made as (
    insert into messaging.bookings as b (tenant_id, external_id, contact_id, trip_id, kind, title,
        status, pending_since, starts_at, timezone, amount_minor, currency, attributes, as_of,
        created_at, updated_at)
    select %(tenant_id)s, d.external_id, d.contact_id, d.trip_id, d.kind, d.title, d.status,
        case when d.status = 'pending' then d.at end, d.starts_at, d.timezone, d.amount_minor,
        d.currency, d.attributes, d.at, d.now, d.now
    from decided as d where d.outcome = 'created' order by d.external_id collate "C"
    on conflict (tenant_id, external_id) do nothing
    returning b.external_id, b.id
), changed as (
    update messaging.bookings as b
    set contact_id = d.contact_id, trip_id = d.trip_id, kind = d.kind, title = d.title,
        status = d.status, starts_at = d.starts_at, timezone = d.timezone,
        pending_since = case when d.status = 'pending' then coalesce(b.pending_since, d.at) end,
        amount_minor = d.amount_minor, currency = d.currency, attributes = d.attributes,
        as_of = d.at, updated_at = case when d.outcome = 'updated' then d.now else b.updated_at end
    from decided as d
    where b.tenant_id = %(tenant_id)s and b.id = d.known_id
        and (d.outcome = 'updated' or (d.outcome = 'unchanged' and d.at > d.known_as_of))
)
select d.place, case when d.outcome = 'created' and m.id is null then 'raced' else d.outcome end,
    d.wrong, coalesce(m.id, d.known_id), d.contact_id, d.at
from decided as d left join made as m on m.external_id = d.external_id
order by d.place

-- name: load_trips
select t.external_id, t.id, t.contact_id, t.title, t.destination, t.status, t.timezone, t.start_date,
    t.start_time, t.end_date, t.end_time, t.budget_minor, t.spent_minor, t.currency, t.attributes,
    t.as_of, t.created_at, t.updated_at
from messaging.trips as t
where t.tenant_id = %(tenant_id)s and t.external_id = any (%(external_ids)s::text[])
order by t.created_at desc, t.id desc

-- name: load_bookings
-- A left join: most bookings are of a trip, some of none.
select b.external_id, b.id, b.contact_id, t.external_id, b.kind, b.title, b.status, b.pending_since,
    b.starts_at, b.timezone, b.amount_minor, b.currency, b.attributes, b.as_of, b.created_at,
    b.updated_at
from messaging.bookings as b
left join messaging.trips as t on t.tenant_id = %(tenant_id)s and t.id = b.trip_id
where b.tenant_id = %(tenant_id)s and b.external_id = any (%(external_ids)s::text[])
order by b.created_at desc, b.id desc

-- name: list_trips
select t.external_id from messaging.trips as t
where t.tenant_id = %(tenant_id)s
    and (t.created_at, t.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
order by t.created_at desc, t.id desc limit %(limit)s

-- name: list_trips_by_status
select t.external_id from messaging.trips as t
where t.tenant_id = %(tenant_id)s and t.status = %(status)s
    and (t.created_at, t.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
order by t.created_at desc, t.id desc limit %(limit)s

-- name: list_trips_of_contact
-- A person's trips are few: those of another status are passed over.
select t.external_id from messaging.trips as t
where t.tenant_id = %(tenant_id)s and t.contact_id = %(contact_id)s
    and (t.created_at, t.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
    and (%(status)s::text is null or t.status = %(status)s)
order by t.created_at desc, t.id desc limit %(limit)s

-- name: list_bookings
select b.external_id from messaging.bookings as b
where b.tenant_id = %(tenant_id)s
    and (b.created_at, b.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
order by b.created_at desc, b.id desc limit %(limit)s

-- name: list_bookings_by_status
select b.external_id from messaging.bookings as b
where b.tenant_id = %(tenant_id)s and b.status = %(status)s
    and (b.created_at, b.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
order by b.created_at desc, b.id desc limit %(limit)s

-- name: list_bookings_of_contact
select b.external_id from messaging.bookings as b
where b.tenant_id = %(tenant_id)s and b.contact_id = %(contact_id)s
    and (b.created_at, b.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
    and (%(status)s::text is null or b.status = %(status)s)
order by b.created_at desc, b.id desc limit %(limit)s

-- name: delete_trip
-- Its bookings stay, of no trip.
delete from messaging.trips where tenant_id = %(tenant_id)s and external_id = %(external_id)s

-- name: delete_booking
delete from messaging.bookings where tenant_id = %(tenant_id)s and external_id = %(external_id)s
