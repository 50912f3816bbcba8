-- The log of calls, those that are made here among them, and what is known of permissions to call.

-- name: list
-- The newest first. The filters stand above a walk of at most `walk` rows, whose last one is handed
-- back whether it fits or not, so that the next page goes on there. A session is shown with one call.
select w.id, w.wa_call_id, w.account_id, n.phone_number_id, w.conversation_id, w.contact_id,
    c.phone_number, w.direction, w.status, w.end_reason, w.occurred_at, w.connected_at,
    w.ringing_at, w.accepted_at, w.rejected_at, w.started_at, w.ended_at, w.duration_seconds,
    w.cta_payload, w.deeplink_payload, w.metadata, w.errors, w.extras, null::jsonb, w.created_at,
    w.updated_at, w.matches, w.place
from (
    select e.*, row_number() over (order by e.occurred_at desc, e.id desc) as place,
        (%(number)s::text is null or e.account_id in (
            select a.id from messaging.whatsapp_accounts as a
            where a.tenant_id = %(tenant_id)s and %(number)s in (a.phone_number_id, a.id::text)))
        and (%(direction)s::text is null or coalesce(e.direction = %(direction)s, false))
        and (%(status)s::text is null or e.status = %(status)s) as matches
    from (
        select * from messaging.call_logs as o
        where o.tenant_id = %(tenant_id)s and o.occurred_at >= %(since)s::timestamptz
            and (o.occurred_at, o.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
        order by o.occurred_at desc, o.id desc limit %(walk)s
    ) as e
) as w
join messaging.whatsapp_accounts as n on n.tenant_id = %(tenant_id)s and n.id = w.account_id
left join messaging.contacts as c on c.tenant_id = %(tenant_id)s and c.id = w.contact_id
where w.matches or w.place = %(walk)s
order by w.place limit %(limit)s + 1

-- name: list_of_contact
-- As list, along the calls of one contact.
select w.id, w.wa_call_id, w.account_id, n.phone_number_id, w.conversation_id, w.contact_id,
    c.phone_number, w.direction, w.status, w.end_reason, w.occurred_at, w.connected_at,
    w.ringing_at, w.accepted_at, w.rejected_at, w.started_at, w.ended_at, w.duration_seconds,
    w.cta_payload, w.deeplink_payload, w.metadata, w.errors, w.extras, null::jsonb, w.created_at,
    w.updated_at, w.matches, w.place
from (
    select e.*, row_number() over (order by e.occurred_at desc, e.id desc) as place,
        (%(number)s::text is null or e.account_id in (
            select a.id from messaging.whatsapp_accounts as a
            where a.tenant_id = %(tenant_id)s and %(number)s in (a.phone_number_id, a.id::text)))
        and (%(direction)s::text is null or coalesce(e.direction = %(direction)s, false))
        and (%(status)s::text is null or e.status = %(status)s) as matches
    from (
        select * from messaging.call_logs as o
        where o.tenant_id = %(tenant_id)s and o.contact_id = %(contact_id)s
            and o.occurred_at >= %(since)s::timestamptz
            and (o.occurred_at, o.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
        order by o.occurred_at desc, o.id desc limit %(walk)s
    ) as e
) as w
join messaging.whatsapp_accounts as n on n.tenant_id = %(tenant_id)s and n.id = w.account_id
left join messaging.contacts as c on c.tenant_id = %(tenant_id)s and c.id = w.contact_id
where w.matches or w.place = %(walk)s
order by w.place limit %(limit)s + 1

-- name: load
select l.id, l.wa_call_id, l.account_id, n.phone_number_id, l.conversation_id, l.contact_id,
    c.phone_number, l.direction, l.status, l.end_reason, l.occurred_at, l.connected_at,
    l.ringing_at, l.accepted_at, l.rejected_at, l.started_at, l.ended_at, l.duration_seconds,
    l.cta_payload, l.deeplink_payload, l.metadata, l.errors, l.extras, l.session, l.created_at,
    l.updated_at
from messaging.call_logs as l
join messaging.whatsapp_accounts as n on n.tenant_id = l.tenant_id and n.id = l.account_id
left join messaging.contacts as c on c.tenant_id = l.tenant_id and c.id = l.contact_id
where l.tenant_id = %(tenant_id)s and l.id = %(id)s

-- name: find_callee
-- A number and a person, by phone or by contact: everything that speaks against a call.
select k.now, n.id, n.access_token_sealed, t.is_active, messaging.is_number_active(n), n.status,
    t.sends_stopped_at is not null or n.sends_stopped_at is not null,
    coalesce(greatest(n.sends_paused_until, w.sends_paused_until) > k.now, false),
    case when n.sends_paused_until > k.now then n.sends_paused_reason
        when w.sends_paused_until > k.now then w.sends_paused_reason end,
    p.id, coalesce(p.is_blocked, false), messaging.identifier_of(%(tenant_id)s, p.id, 'phone'),
    messaging.identifier_of(%(tenant_id)s, p.id, 'user_id')
from messaging.whatsapp_accounts as n
cross join (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now) as k
join messaging.tenants as t on t.id = n.tenant_id
join messaging.whatsapp_business_accounts as w
    on w.tenant_id = n.tenant_id and w.waba_id = n.waba_id
left join messaging.contact_identifiers as i
    on i.tenant_id = n.tenant_id and i.kind = 'phone' and i.value = %(phone)s
left join messaging.contacts as c on c.tenant_id = n.tenant_id
    and c.id = case when %(contact_id)s::uuid is null then i.contact_id
        else %(contact_id)s::uuid end
    and (c.deleted_at is null or %(contact_id)s::uuid is null)
-- A merged contact's id answers for ever.
left join messaging.contacts as p
    on p.tenant_id = n.tenant_id
    and p.id = case when c.merged_into is null then c.id else c.merged_into end
where n.tenant_id = %(tenant_id)s and n.phone_number_id = %(phone_number_id)s

-- name: start
select messaging.start_call(%(tenant_id)s, %(id)s, %(account_id)s, %(contact_id)s, %(phone)s,
    %(metadata)s::jsonb, %(now)s)

-- name: settle
select messaging.settle_call(%(tenant_id)s, %(id)s, %(wa_call_id)s, %(errors)s::jsonb, %(now)s)

-- name: answer
select messaging.answer_call(%(tenant_id)s, %(id)s, %(accepted)s, %(now)s)

-- name: keep_permission
select messaging.keep_call_permission(%(tenant_id)s, %(account_id)s, %(contact_id)s, %(response)s,
    %(is_permanent)s, %(expires_at)s, %(told_at)s, %(now)s)
