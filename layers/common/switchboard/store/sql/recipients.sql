-- The recipients of campaigns: frozen, fed to the send road in slices, counted.

-- name: freeze
-- The audience as it is now, each person once, in the order of their ids. Who has not agreed is put down
-- with the reason; the policy asks everybody again when it is their turn. The query of an audience takes
-- the place of the mark.
insert into messaging.campaign_recipients
    (tenant_id, campaign_id, contact_id, position, status, reason, variables, updated_at)
select %(tenant_id)s, %(campaign_id)s::uuid, p.contact_id,
    row_number() over (order by p.contact_id),
    case when s.reason is null then 'pending' else 'skipped' end, s.reason, p.given, t.now
from (
/* people */ select %(tenant_id)s::uuid as contact_id, '{}'::jsonb as given
) as p
join messaging.contacts as k on k.tenant_id = %(tenant_id)s and k.id = p.contact_id
cross join lateral (select case
    when k.opt_in_status = 'opted_out' then 'opted_out'
    when %(is_marketing)s::boolean and k.opt_in_status <> 'opted_in' then 'not_opted_in'
    when %(is_marketing)s::boolean and k.marketing_stopped_at is not null
        and coalesce(k.marketing_stopped_at >= k.marketing_resumed_at, true) then 'marketing_stopped'
    end as reason) as s
cross join (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now) as t
order by p.contact_id

-- name: follow_merges
-- Who was merged while the audience was being frozen: a merge does not wait for a million rows.
with late as (
    select r.contact_id, c.merged_into, row_number() over (
            partition by c.merged_into order by r.position) = 1
        and not exists (select from messaging.campaign_recipients as w
            where w.tenant_id = %(tenant_id)s and w.contact_id = c.merged_into
                and w.campaign_id = %(campaign_id)s::uuid) as takes_over
    from messaging.contacts as c
    join messaging.campaign_recipients as r on r.tenant_id = %(tenant_id)s
        and r.contact_id = c.id and r.campaign_id = %(campaign_id)s::uuid
    where c.tenant_id = %(tenant_id)s and c.merged_into is not null
)
update messaging.campaign_recipients as r
set contact_id = case when l.takes_over then l.merged_into else r.contact_id end,
    status = case when l.takes_over then r.status else 'skipped' end,
    reason = case when l.takes_over then r.reason else 'merged' end
from late as l
where r.tenant_id = %(tenant_id)s and r.campaign_id = %(campaign_id)s::uuid
    and r.contact_id = l.contact_id

-- name: waiting
-- How much bulk of the number is due and not taken yet, and how many messages of the campaign are open, each
-- counted no further than is asked.
select (select count(*) from (select a.seq from messaging.send_attempts as a
        where a.tenant_id = %(tenant_id)s and a.account_id = %(account_id)s::uuid and a.priority = 30
            and a.phase = 'pending' and a.lease_token is null and a.due_at <= %(now)s::timestamptz
        limit %(due)s) as d),
    (select count(*) from (select r.position from messaging.campaign_recipients as r
        where r.tenant_id = %(tenant_id)s and r.campaign_id = %(campaign_id)s::uuid
            and r.status = 'queued' limit %(open)s) as o)

-- name: take
-- The next ones; their rows are the feeder's until its commit. The last column: whether they are one person
-- by now with another recipient, who has a message or is before them. A merge skips whoever waits then; who is
-- to be written to once more waits later.
select r.contact_id, r.variables, r.previous_message_id, r.estimated_price, to_jsonb(k),
    k.deleted_at is not null,
    exists (select from messaging.campaign_recipients as o
        where o.tenant_id = %(tenant_id)s and o.contact_id = any (array(
                select s.id from messaging.contacts as s
                where s.tenant_id = %(tenant_id)s and s.merged_into = k.id) || k.id)
            and o.campaign_id = %(campaign_id)s::uuid and o.contact_id <> r.contact_id
            and case o.status when 'pending' then o.position < r.position
                else o.status not in ('skipped', 'failed', 'denied', 'expired', 'cancelled') end)
from messaging.campaign_recipients as r
join messaging.contacts as c on c.tenant_id = r.tenant_id and c.id = r.contact_id
join messaging.contacts as k on k.tenant_id = r.tenant_id
    and k.id = case when c.merged_into is null then c.id else c.merged_into end
where r.tenant_id = %(tenant_id)s and r.campaign_id = %(campaign_id)s::uuid and r.status = 'pending'
order by r.position limit %(limit)s
for no key update of r

-- name: take_back
-- Of those who are written to once more: whose first message has arrived after all. (Here and in `mark`
-- the state is asked so that no index serves it: many are pending, and these are few.)
update messaging.campaign_recipients as r
set status = messaging.recipient_status(m.status), message_id = m.id, previous_message_id = null,
    updated_at = %(now)s::timestamptz
from messaging.whatsapp_messages as m
where r.tenant_id = %(tenant_id)s and r.campaign_id = %(campaign_id)s::uuid
    and r.contact_id = any (%(contact_ids)s::uuid[]) and (r.status = 'pending') is true
    and m.tenant_id = %(tenant_id)s and m.id = r.previous_message_id
    and m.status not in ('failed', 'denied')
returning r.contact_id

-- name: mark
update messaging.campaign_recipients as r
set status = x.status, reason = x.reason, message_id = x.message_id, estimated_price = x.price,
    updated_at = %(now)s::timestamptz
from unnest(%(contact_ids)s::uuid[], %(statuses)s::text[], %(reasons)s::text[],
    %(message_ids)s::uuid[], %(prices)s::numeric[]) as x(contact_id, status, reason, message_id, price)
where r.tenant_id = %(tenant_id)s and r.campaign_id = %(campaign_id)s::uuid
    and r.contact_id = x.contact_id and r.contact_id = any (%(contact_ids)s::uuid[])
    and (r.status = 'pending') is true

-- name: count
select r.status, count(*) from messaging.campaign_recipients as r
where r.tenant_id = %(tenant_id)s and r.campaign_id = %(campaign_id)s::uuid
group by r.status

-- name: is_open
-- The first of each state: where nobody is in it, nothing is read.
select exists (select from unnest(%(statuses)s::text[]) as s(status)
    cross join lateral (
        select r.position from messaging.campaign_recipients as r
        where r.tenant_id = %(tenant_id)s and r.campaign_id = %(campaign_id)s::uuid
            and r.status = s.status
        order by r.position limit 1
    ) as f)

-- name: reasons
-- Of those who got nothing.
select r.status, r.reason, count(*) from messaging.campaign_recipients as r
where r.tenant_id = %(tenant_id)s and r.campaign_id = %(campaign_id)s::uuid
    and r.status in ('skipped', 'denied', 'failed', 'expired')
group by r.status, r.reason order by count(*) desc, r.status, r.reason limit 50

-- name: opt_outs
-- Recipients who have taken their consent back since then, after a message of the campaign.
select count(distinct k.contact_id) from messaging.consents as k
where k.tenant_id = %(tenant_id)s and k.created_at >= %(since)s::timestamptz
    and k.state = 'withdrawn'
    and exists (select from messaging.campaign_recipients as r
        where r.tenant_id = %(tenant_id)s and r.contact_id = k.contact_id
            and r.campaign_id = %(campaign_id)s::uuid and r.message_id is not null)

-- name: groups
-- People by the beginnings and lengths of their numbers, which tell the country. The query of an audience
-- takes the place of the mark.
select min(k.phone_number), count(*)
from (
/* people */ select %(tenant_id)s::uuid as contact_id, '{}'::jsonb as given
) as p
join messaging.contacts as k on k.tenant_id = %(tenant_id)s and k.id = p.contact_id
group by left(k.phone_number, 8), length(k.phone_number)

-- name: pending
-- Those who wait of a frozen audience, as the query of one.
select r.contact_id, r.variables as given from messaging.campaign_recipients as r
where r.tenant_id = %(tenant_id)s and r.campaign_id = %(campaign_id)s::uuid and r.status = 'pending'

-- name: messages
-- All that went out for the recipients of these places, or wait to: a place stays whatever becomes of the
-- message, so that each is met once. Of those who were written to once more the first one too, where it has
-- arrived after all.
select x.id from unnest(%(statuses)s::text[]) as s(status)
cross join lateral (
    select q.message_id, q.previous_message_id from messaging.campaign_recipients as q
    where q.tenant_id = %(tenant_id)s and q.campaign_id = %(campaign_id)s::uuid
        and q.status = s.status and q.position > %(after)s and q.position <= %(until)s
) as r
cross join lateral (
    select r.message_id as id
    where r.message_id is not null and s.status not in ('denied', 'cancelled', 'expired')
    union all
    select m.id from messaging.whatsapp_messages as m
    where m.tenant_id = %(tenant_id)s and m.id = r.previous_message_id
        and m.status in ('delivered', 'read', 'played')
) as x

-- name: list
-- In the order of their turns: a walk of the index for each state, merged.
select r.contact_id, r.position, r.status, r.reason, r.message_id, r.variables, r.estimated_price,
    r.updated_at, c.phone_number
from (
    select o.* from unnest(%(statuses)s::text[]) as s(status)
    cross join lateral (
        select q.* from messaging.campaign_recipients as q
        where q.tenant_id = %(tenant_id)s and q.campaign_id = %(campaign_id)s::uuid
            and q.status = s.status and q.position > %(after)s
        order by q.position limit %(limit)s
    ) as o
    order by o.position limit %(limit)s
) as r
left join messaging.contacts as c on c.tenant_id = r.tenant_id and c.id = r.contact_id
order by r.position

-- name: contact
-- A person as a preview sees them, with what the list gives them where the audience is one.
select to_jsonb(k), coalesce(m.given, '{}')
from messaging.contacts as c
join messaging.contacts as k on k.tenant_id = c.tenant_id
    and k.id = case when c.merged_into is null then c.id else c.merged_into end
left join messaging.contact_list_members as m on m.tenant_id = c.tenant_id
    and m.list_id = %(list_id)s::uuid and m.contact_id = k.id
where c.tenant_id = %(tenant_id)s and c.id = %(contact_id)s::uuid and k.deleted_at is null

-- name: cancel_messages
select messaging.cancel_campaign_messages(%(tenant_id)s::uuid, %(campaign_id)s::uuid, %(limit)s,
    coalesce(%(now)s::timestamptz, clock_timestamp()))

-- name: cancel_pending
update messaging.campaign_recipients as r
set status = 'cancelled', reason = 'campaign_cancelled',
    updated_at = coalesce(%(now)s::timestamptz, clock_timestamp())
from (
    select o.contact_id from messaging.campaign_recipients as o
    where o.tenant_id = %(tenant_id)s and o.campaign_id = %(campaign_id)s::uuid
        and o.status = 'pending'
    order by o.position limit %(limit)s for no key update
) as o
where r.tenant_id = %(tenant_id)s and r.campaign_id = %(campaign_id)s::uuid
    and r.contact_id = o.contact_id

-- name: retry
select looked_at, retried from messaging.retry_recipients(%(tenant_id)s::uuid,
    %(campaign_id)s::uuid, %(denied)s::text[], %(before)s::timestamptz, %(limit)s,
    coalesce(%(now)s::timestamptz, clock_timestamp()))
