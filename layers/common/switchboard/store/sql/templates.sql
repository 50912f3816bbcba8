-- Templates: what Meta answers is kept as what its webhooks say, by aspects with their times.

-- name: tell_time
select coalesce(%(now)s::timestamptz, clock_timestamp())

-- name: begin_change
-- When Meta is asked for a change. What it answers comes after all that is known by now, even of the
-- same second.
select greatest(coalesce(%(now)s::timestamptz, clock_timestamp()), (
    select t.status_at + interval '2 seconds' from messaging.whatsapp_templates as t
    where t.tenant_id = %(tenant_id)s and t.waba_id = %(waba_id)s and t.name = %(name)s
        and t.language = %(language)s))

-- name: keep
-- A page in one statement. States are of the second before the question: what a webhook tells of the
-- same second may be newer. What is not told by aspects comes from the newest question. Of two of one
-- name and language the one that lives counts.
insert into messaging.whatsapp_templates as t (tenant_id, waba_id, name, language, states,
    components, components_fetched_at, parameter_format, message_send_ttl_seconds, sub_category,
    previous_category, library_template_name, found_at, submitted_at, created_at, updated_at)
select %(tenant_id)s, %(waba_id)s, d.name, d.language,
    messaging.states_at(d.states, floor(extract(epoch from %(asked)s::timestamptz))::bigint - 1),
    d.components, case when %(whole)s::boolean then %(asked)s::timestamptz end, d.parameter_format,
    d.message_send_ttl_seconds, d.sub_category, d.previous_category, d.library_template_name,
    %(asked)s, %(submitted)s::timestamptz, n.now, n.now
from (
    select distinct on (f.name, f.language) f.*
    from jsonb_to_recordset(%(templates)s::jsonb) as f(name text, language text, states jsonb,
        components jsonb, parameter_format text, message_send_ttl_seconds bigint,
        sub_category text, previous_category text, library_template_name text)
    order by f.name, f.language, f.states -> 'status' ->> 'status' = 'DELETED', f.states ->> 'id'
) as d
cross join (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now) as n
order by d.name, d.language
on conflict (tenant_id, waba_id, name, language) do update set
    states = messaging.merge_states(t.states, excluded.states),
    found_at = greatest(t.found_at, excluded.found_at),
    submitted_at = coalesce(excluded.submitted_at, t.submitted_at),
    (components, components_fetched_at, parameter_format, message_send_ttl_seconds, sub_category,
        previous_category, library_template_name) = (
        select k.components, k.fetched_at, k.parameter_format, k.ttl, k.sub_category,
            k.previous_category, k.library_template_name
        from (values
            (1, excluded.components, excluded.components_fetched_at, excluded.parameter_format,
                excluded.message_send_ttl_seconds, excluded.sub_category,
                excluded.previous_category, excluded.library_template_name),
            (2, t.components, t.components_fetched_at, t.parameter_format,
                t.message_send_ttl_seconds, t.sub_category, t.previous_category,
                t.library_template_name)
        ) as k(place, components, fetched_at, parameter_format, ttl, sub_category,
            previous_category, library_template_name)
        order by k.fetched_at desc nulls last, k.place limit 1)
returning t.id

-- name: end_sync
-- Only after the last page: what was there before the sync began and on none of its pages is gone.
with gone as materialized (
    select t.id, messaging.merge_states(t.states, messaging.states_at(
        '{"status": {"status": "DELETED"}}',
        floor(extract(epoch from %(asked)s::timestamptz))::bigint - 1)) as states
    from messaging.whatsapp_templates as t
    where t.tenant_id = %(tenant_id)s and t.waba_id = %(waba_id)s
        and t.created_at < %(asked)s::timestamptz
        and coalesce(t.found_at < %(asked)s::timestamptz, true)
        and t.status is distinct from 'DELETED'
    order by t.name, t.language for no key update
), marked as (
    update messaging.whatsapp_templates as t set states = g.states
    from gone as g
    where t.tenant_id = %(tenant_id)s and t.id = g.id and t.states <> g.states
    returning t.id
)
select count(*) from marked

-- name: note_synced
-- A sync that began before another one that ended says nothing new.
update messaging.whatsapp_business_accounts as w
set templates_synced_at = %(asked)s, templates_sync_error = null
where w.tenant_id = %(tenant_id)s and w.waba_id = %(waba_id)s
    and coalesce(w.templates_synced_at < %(asked)s::timestamptz, true)

-- name: leave_sync
-- A sync that began before the one that was left last gives way to it.
update messaging.whatsapp_business_accounts as w
set templates_sync_began_at = %(began_at)s, templates_sync_after = %(after)s
where w.tenant_id = %(tenant_id)s and w.waba_id = %(waba_id)s
    and coalesce(w.templates_sync_began_at <= %(began_at)s::timestamptz, true)

-- name: find_left_sync
select w.templates_sync_after from messaging.whatsapp_business_accounts as w
where w.tenant_id = %(tenant_id)s and w.waba_id = %(waba_id)s
    and w.templates_sync_began_at = %(began_at)s

-- name: note_sync_error
update messaging.whatsapp_business_accounts as w set templates_sync_error = left(%(reason)s, 200)
where w.tenant_id = %(tenant_id)s and w.waba_id = %(waba_id)s

-- name: mark_deleted
-- Meta has just said so: after all that is known.
with gone as materialized (
    select t.id, messaging.merge_states(t.states, messaging.states_at(
        '{"status": {"status": "DELETED"}}', greatest(
            floor(extract(epoch from coalesce(%(now)s::timestamptz, clock_timestamp())))::bigint,
            (t.states -> 'status' ->> 'at')::bigint + 1))) as states
    from messaging.whatsapp_templates as t
    where t.tenant_id = %(tenant_id)s and t.waba_id = %(waba_id)s and t.name = %(name)s
        and (%(language)s::text is null or t.language = %(language)s)
    order by t.name, t.language for no key update
)
update messaging.whatsapp_templates as t set states = g.states
from gone as g where t.tenant_id = %(tenant_id)s and t.id = g.id and t.states <> g.states

-- name: walk
-- By account, name and language, which never change, through their unique index. The filters stand
-- above a walk of at most `walk` rows, whose last one is handed back so that the next page goes on
-- there.
select w.id, w.waba_id, w.name, w.language, w.matches, w.place from (
    select c.id, c.waba_id, c.name, c.language,
        row_number() over (order by c.waba_id, c.name, c.language) as place,
        (%(waba)s::text is null or c.waba_id = %(waba)s)
        and (%(status)s::text is null or c.status = %(status)s)
        and (%(category)s::text is null or c.category = %(category)s)
        and (%(name)s::text is null or c.name = %(name)s)
        and (%(language)s::text is null or c.language = %(language)s)
        and (%(quality)s::text is null or c.quality_score = %(quality)s) as matches
    from (
        select * from messaging.whatsapp_templates
        where tenant_id = %(tenant_id)s
            and (waba_id, name, language) > (%(after_waba)s, %(after_name)s, %(after_language)s)
        order by waba_id, name, language limit %(walk)s
    ) as c
) as w
where w.matches or w.place = %(walk)s
order by w.place limit %(limit)s + 1

-- name: load
-- What Meta said with a status is kept under the status, too: a sync knows the bare word.
select t.id, t.waba_id, t.template_id, t.name, t.language, t.status, t.status_at, t.approved_at,
    coalesce(t.rejection_reason, s.said ->> 'reason') as rejection_reason,
    coalesce(t.rejection_info, s.said -> 'rejection_info') as rejection_info,
    coalesce(t.disable_info, s.said -> 'disable_info') as disable_info,
    coalesce(t.other_info, s.said -> 'other_info') as other_info,
    t.category, t.sub_category, t.previous_category, t.coming_category, t.coming_category_at,
    t.correct_category, t.quality_score, t.parameter_format, t.message_send_ttl_seconds,
    t.library_template_name, t.components, t.components_fetched_at, t.components_stale,
    t.submitted_at, t.created_at, t.updated_at
from messaging.whatsapp_templates as t
cross join lateral (select t.states -> ('said:' || t.status) -> 'v' as said) as s
where t.tenant_id = %(tenant_id)s and t.id = any (%(ids)s)
order by t.waba_id, t.name, t.language

-- name: put_syncs
select messaging.put_template_syncs(%(spread)s, %(now)s)
