-- What Meta takes for the messages of large campaigns, as far as it is counted.

-- name: find
select counting_since, place, counts, counted_at, counted
from messaging.campaign_costs
where tenant_id = %(tenant_id)s and campaign_id = %(campaign_id)s

-- name: hold
-- The row is ours until the commit; a count that goes on goes on.
insert into messaging.campaign_costs as c (tenant_id, campaign_id, counting_since)
select %(tenant_id)s, %(campaign_id)s::uuid, t.now
from (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now) as t
on conflict (tenant_id, campaign_id) do update
set counting_since = coalesce(c.counting_since, excluded.counting_since)
returning c.counting_since, c.place, c.counts, c.counted_at, c.counted

-- name: note
update messaging.campaign_costs
set place = %(place)s, counts = %(counts)s::jsonb
where tenant_id = %(tenant_id)s and campaign_id = %(campaign_id)s

-- name: end
update messaging.campaign_costs
set counted_at = counting_since, counted = %(counts)s::jsonb, counting_since = null, place = 0,
    counts = '{}'
where tenant_id = %(tenant_id)s and campaign_id = %(campaign_id)s
