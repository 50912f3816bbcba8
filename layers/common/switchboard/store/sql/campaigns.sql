-- Campaigns as people see and change them; sql/0037 tells the states.

-- name: insert
-- Once under its id: the work may run twice.
insert into messaging.whatsapp_campaigns (tenant_id, id, account_id, name, description, template_id,
    template_params, notification_category, audience_type, audience_config, timezone, scheduled_at,
    send_window, ramp, failure_limit, spending_cap, currency, created_at, updated_at)
select %(tenant_id)s, %(id)s::uuid, %(account_id)s::uuid, %(name)s, %(description)s,
    %(template_id)s::uuid, %(template_params)s::jsonb, %(notification_category)s,
    %(audience_type)s, %(audience_config)s::jsonb, %(timezone)s, %(scheduled_at)s::timestamptz,
    %(send_window)s::jsonb, %(ramp)s::jsonb, %(failure_limit)s::smallint,
    %(spending_cap)s::numeric, %(currency)s, t.now, t.now
from (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now) as t
on conflict (tenant_id, id) do nothing

-- name: update
update messaging.whatsapp_campaigns as c
set account_id = %(account_id)s::uuid, name = %(name)s, description = %(description)s,
    template_id = %(template_id)s::uuid, template_params = %(template_params)s::jsonb,
    notification_category = %(notification_category)s, audience_type = %(audience_type)s,
    audience_config = %(audience_config)s::jsonb, timezone = %(timezone)s,
    scheduled_at = %(scheduled_at)s::timestamptz, send_window = %(send_window)s::jsonb,
    ramp = %(ramp)s::jsonb, failure_limit = %(failure_limit)s::smallint,
    spending_cap = %(spending_cap)s::numeric, currency = %(currency)s
where c.tenant_id = %(tenant_id)s and c.id = %(id)s

-- name: find
select c.id, c.name, c.description, c.status, n.phone_number_id, t.name, t.language,
    c.template_params, c.notification_category, c.audience_type, c.audience_config, c.timezone,
    c.scheduled_at, c.send_window, c.ramp, c.failure_limit, c.spending_cap, c.estimated_cost,
    c.spent, c.currency, c.pause_reason, c.pause_detail, c.paused_at, c.started_at, c.completed_at,
    c.cancelled_at, c.total_recipients, c.skipped_count, c.sent_count, c.delivered_count,
    c.read_count, c.failed_count, c.opt_out_count, c.created_at, c.updated_at
from messaging.whatsapp_campaigns as c
join messaging.whatsapp_accounts as n on n.tenant_id = c.tenant_id and n.id = c.account_id
join messaging.whatsapp_templates as t on t.tenant_id = c.tenant_id and t.id = c.template_id
where c.tenant_id = %(tenant_id)s and c.id = %(id)s

-- name: list
select c.id, c.name, c.description, c.status, n.phone_number_id, t.name, t.language,
    c.template_params, c.notification_category, c.audience_type, c.audience_config, c.timezone,
    c.scheduled_at, c.send_window, c.ramp, c.failure_limit, c.spending_cap, c.estimated_cost,
    c.spent, c.currency, c.pause_reason, c.pause_detail, c.paused_at, c.started_at, c.completed_at,
    c.cancelled_at, c.total_recipients, c.skipped_count, c.sent_count, c.delivered_count,
    c.read_count, c.failed_count, c.opt_out_count, c.created_at, c.updated_at
from (
    select o.* from messaging.whatsapp_campaigns as o
    where o.tenant_id = %(tenant_id)s
        and (o.created_at, o.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
        and (%(status)s::text is null or o.status = %(status)s)
    order by o.created_at desc, o.id desc limit %(limit)s
) as c
join messaging.whatsapp_accounts as n on n.tenant_id = c.tenant_id and n.id = c.account_id
join messaging.whatsapp_templates as t on t.tenant_id = c.tenant_id and t.id = c.template_id
order by c.created_at desc, c.id desc

-- name: pace
select c.pace, coalesce(%(now)s::timestamptz, clock_timestamp())
from messaging.whatsapp_campaigns as c
where c.tenant_id = %(tenant_id)s and c.id = %(id)s

-- name: find_parts
-- The number and the template of its account, as a campaign names them.
select n.id as account_id, t.id as template_id, t.status, t.category, t.parameter_format,
    case when not t.components_stale then t.components end as components
from messaging.whatsapp_accounts as n
left join messaging.whatsapp_templates as t on t.tenant_id = n.tenant_id and t.waba_id = n.waba_id
    and t.name = %(template)s and t.language = %(language)s
where n.tenant_id = %(tenant_id)s and n.phone_number_id = %(number)s

-- name: lock
-- Whoever changes a campaign, and whoever feeds it, is alone with it until the commit; a message that falls
-- back waits (sql/0037). A template of another account than the number's (it has moved) has no status.
select c.id, c.status, c.audience_type, c.audience_config, c.template_params,
    c.notification_category, c.timezone, c.scheduled_at, c.send_window, c.ramp, c.ramp_paid_until,
    c.failure_limit, c.outcomes_before, c.failures_before, c.spending_cap, c.spent, c.currency, c.held_at,
    c.started_at, c.completed_at, c.pace, n.id, n.phone_number_id, n.status, n.quality_rating,
    messaging.is_number_active(n), n.access_token_sealed is not null,
    n.sends_stopped_at is not null or s.sends_stopped_at is not null,
    messaging.paused_until(n, d.now),
    messaging.rate_of(n.throughput, n.is_coexistence, l.learned_rate, l.learned_at, d.now),
    messaging.portfolio_facts(n, '00000000-0000-0000-0000-000000000000', d.now),
    t.name, t.language, case when t.waba_id = n.waba_id then t.status end, t.category, t.parameter_format,
    case when not t.components_stale then t.components end, d.now
from messaging.whatsapp_campaigns as c
join messaging.tenants as s on s.id = c.tenant_id
join messaging.whatsapp_accounts as n on n.tenant_id = c.tenant_id and n.id = c.account_id
join messaging.whatsapp_templates as t on t.tenant_id = c.tenant_id and t.id = c.template_id
left join messaging.send_limits as l on l.tenant_id = c.tenant_id and l.account_id = n.id
cross join (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now) as d
where c.tenant_id = %(tenant_id)s and c.id = %(id)s
for no key update of c

-- name: schedule
update messaging.whatsapp_campaigns as c
set status = 'scheduled', scheduled_at = %(at)s::timestamptz, timezone = %(timezone)s,
    pause_reason = null, pause_detail = null
where c.tenant_id = %(tenant_id)s and c.id = %(id)s and c.status in ('draft', 'scheduled')

-- name: unschedule
update messaging.whatsapp_campaigns as c
set status = 'draft', pause_reason = %(reason)s, pause_detail = %(detail)s
where c.tenant_id = %(tenant_id)s and c.id = %(id)s and c.status = 'scheduled'

-- name: begin
update messaging.whatsapp_campaigns as c
set status = 'sending', started_at = %(now)s::timestamptz, ramp_paid_until = %(now)s::timestamptz,
    total_recipients = %(total)s, estimated_cost = %(estimated_cost)s::numeric, pace = '[]'
where c.tenant_id = %(tenant_id)s and c.id = %(id)s and c.status = 'scheduled'

-- name: pause
update messaging.whatsapp_campaigns as c
set status = 'paused', pause_reason = %(reason)s, pause_detail = %(detail)s,
    paused_at = coalesce(%(now)s::timestamptz, clock_timestamp()), held_at = null
where c.tenant_id = %(tenant_id)s and c.id = %(id)s and c.status = 'sending'

-- name: hold
select messaging.hold_campaign(%(tenant_id)s::uuid, %(id)s::uuid, %(states)s::text[],
    coalesce(%(until)s::timestamptz, messaging.on_hold()))

-- name: note_held
update messaging.whatsapp_campaigns as c
set held_at = coalesce(%(now)s::timestamptz, clock_timestamp())
where c.tenant_id = %(tenant_id)s and c.id = %(id)s and c.status in ('paused', 'cancelled')
    and c.held_at is null

-- name: resume
-- Outcomes until now count no more for the failure share: somebody has looked at them.
update messaging.whatsapp_campaigns as c
set status = 'sending', pause_reason = null, pause_detail = null, paused_at = null, held_at = null,
    outcomes_before = %(outcomes)s, failures_before = %(failures)s,
    ramp_paid_until = coalesce(%(now)s::timestamptz, clock_timestamp()), pace = '[]'
where c.tenant_id = %(tenant_id)s and c.id = %(id)s and c.status = 'paused'

-- name: release
select messaging.release_campaign(%(tenant_id)s::uuid, %(id)s::uuid, %(due)s::timestamptz)

-- name: cancel
-- One that never began has nothing left to end.
update messaging.whatsapp_campaigns as c
set status = 'cancelled', cancelled_at = t.now, held_at = null,
    completed_at = case when c.started_at is null then t.now end
from (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now) as t
where c.tenant_id = %(tenant_id)s and c.id = %(id)s
    and c.status in ('draft', 'scheduled', 'sending', 'paused')

-- name: reopen
update messaging.whatsapp_campaigns as c
set status = 'sending', completed_at = null, pace = '[]',
    ramp_paid_until = coalesce(%(now)s::timestamptz, clock_timestamp())
where c.tenant_id = %(tenant_id)s and c.id = %(id)s and c.status = 'completed'

-- name: close
update messaging.whatsapp_campaigns as c
set closes_at = %(closes_at)s::timestamptz, opens_at = %(opens_at)s::timestamptz
where c.tenant_id = %(tenant_id)s and c.id = %(id)s
    and (c.closes_at, c.opens_at)
        is distinct from (%(closes_at)s::timestamptz, %(opens_at)s::timestamptz)

-- name: rebase
update messaging.whatsapp_campaigns as c
set outcomes_before = %(outcomes)s, failures_before = %(failures)s
where c.tenant_id = %(tenant_id)s and c.id = %(id)s

-- name: note_slice
update messaging.whatsapp_campaigns as c
set ramp_paid_until = coalesce(%(paid_until)s::timestamptz, c.ramp_paid_until),
    spent = c.spent + %(cost)s::numeric,
    pace = coalesce(%(pace)s::jsonb, c.pace)
where c.tenant_id = %(tenant_id)s and c.id = %(id)s

-- name: finish
-- The totals, when nobody waits any more.
update messaging.whatsapp_campaigns as c
set status = case c.status when 'cancelled' then 'cancelled' else 'completed' end,
    completed_at = coalesce(%(now)s::timestamptz, clock_timestamp()),
    skipped_count = %(skipped)s, sent_count = %(sent)s, delivered_count = %(delivered)s,
    read_count = %(read)s, failed_count = %(failed)s, opt_out_count = %(opt_outs)s
where c.tenant_id = %(tenant_id)s and c.id = %(id)s and c.status in ('sending', 'cancelled')

-- name: wake
-- Moves the run that waits, or puts one in: beside one that works now it comes after it.
with moved as (
    update messaging.scheduled_jobs as j
    set scheduled_for = coalesce(%(at)s::timestamptz, %(now)s::timestamptz, clock_timestamp())
    where j.tenant_id = %(tenant_id)s and j.lane = %(lane)s and j.status = 'pending'
    returning j.id
)
insert into messaging.scheduled_jobs
    (tenant_id, job_type, args, lane, priority, scheduled_for, created_at)
select %(tenant_id)s, 'run_campaign', jsonb_build_object('campaign_id', %(id)s::uuid), %(lane)s, 30,
    coalesce(%(at)s::timestamptz, %(now)s::timestamptz, clock_timestamp()),
    coalesce(%(now)s::timestamptz, clock_timestamp())
where not exists (select from moved)

-- name: put_runs
select messaging.put_campaign_runs(%(now)s)
