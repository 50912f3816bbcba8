-- What people want to be told of, and the page on which they say so.

-- name: hold
-- Who changes a person's preferences reads them first: one after the other.
select from messaging.contacts as c
where c.tenant_id = %(tenant)s and c.id = %(contact)s for no key update

-- name: read
-- A number tells a time zone where nobody has named one; without a number the country of the
-- business-scoped user id does.
select c.id, c.opt_in_status,
    c.marketing_stopped_at is not null
        and coalesce(c.marketing_stopped_at >= c.marketing_resumed_at, true) as marketing_stopped,
    c.timezone, c.locale,
    coalesce(ltrim(c.phone_number, '+'), (
        select i.value from messaging.contact_identifiers as i
        where i.tenant_id = c.tenant_id and i.contact_id = c.id and i.kind = 'user_id'
        order by i.value limit 1), '') as recipient,
    coalesce(g.generation, 0) as generation, t.name as business, p.updated_at,
    p.trip_reminders, p.booking_confirmations, p.itinerary_updates, p.budget_alerts,
    p.ai_suggestions, p.collaborator_updates, p.marketing,
    coalesce(p.quiet_hours_enabled, false), p.quiet_hours_start, p.quiet_hours_end, p.timezone
from messaging.contacts as c
join messaging.tenants as t on t.id = c.tenant_id
left join messaging.notification_preferences as p
    on p.tenant_id = c.tenant_id and p.contact_id = c.id
left join messaging.preference_pages as g on g.tenant_id = c.tenant_id and g.contact_id = c.id
where c.tenant_id = %(tenant)s and c.id = %(contact)s and c.deleted_at is null

-- name: write
insert into messaging.notification_preferences as p (tenant_id, contact_id, trip_reminders,
    booking_confirmations, itinerary_updates, budget_alerts, ai_suggestions, collaborator_updates,
    marketing, quiet_hours_enabled, quiet_hours_start, quiet_hours_end, timezone)
values (%(tenant)s, %(contact)s, %(trip_reminders)s, %(booking_confirmations)s,
    %(itinerary_updates)s, %(budget_alerts)s, %(ai_suggestions)s, %(collaborator_updates)s,
    %(marketing)s, %(quiet_hours_enabled)s, %(quiet_hours_start)s, %(quiet_hours_end)s,
    %(timezone)s)
on conflict (tenant_id, contact_id) do update set
    trip_reminders = excluded.trip_reminders,
    booking_confirmations = excluded.booking_confirmations,
    itinerary_updates = excluded.itinerary_updates,
    budget_alerts = excluded.budget_alerts,
    ai_suggestions = excluded.ai_suggestions,
    collaborator_updates = excluded.collaborator_updates,
    marketing = excluded.marketing,
    quiet_hours_enabled = excluded.quiet_hours_enabled,
    quiet_hours_start = excluded.quiet_hours_start,
    quiet_hours_end = excluded.quiet_hours_end,
    timezone = excluded.timezone

-- name: count_save
-- A new count begins when the last one is old enough.
insert into messaging.preference_pages as g (tenant_id, contact_id, saves, saves_since)
values (%(tenant)s, %(contact)s, 1, coalesce(%(now)s::timestamptz, clock_timestamp()))
on conflict (tenant_id, contact_id) do update set
    saves = case when g.saves_since > excluded.saves_since - %(within)s::interval
        then g.saves + 1 else 1 end,
    saves_since = case when g.saves_since > excluded.saves_since - %(within)s::interval
        then g.saves_since else excluded.saves_since end
returning g.saves

-- name: revoke
insert into messaging.preference_pages as g (tenant_id, contact_id, generation)
values (%(tenant)s, %(contact)s, 1)
on conflict (tenant_id, contact_id) do update set generation = g.generation + 1
