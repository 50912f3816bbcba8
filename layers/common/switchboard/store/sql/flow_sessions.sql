-- Flow sessions: opened by messaging.outgoing_effect_flow_session, completed by intake.

-- name: show
select s.id, s.account_id, n.phone_number_id, s.conversation_id, s.contact_id, s.message_id, s.flow_id,
    s.flow_name, s.template_name, s.flow_token, s.flow_type, s.session_data, s.response_data,
    s.responded_at, s.status, s.completed_at, s.expires_at, s.created_at
from messaging.flow_sessions as s
join messaging.whatsapp_accounts as n on n.tenant_id = %(tenant_id)s and n.id = s.account_id
where s.tenant_id = %(tenant_id)s and s.id = %(id)s

-- name: list
-- The newest first. The filters stand above a walk of at most `walk` rows, whose last one is handed
-- back whether it fits or not, so that the next page goes on there.
select w.*
from (
    select s.id, s.account_id, n.phone_number_id, s.conversation_id, s.contact_id, s.message_id,
        s.flow_id, s.flow_name, s.template_name, s.flow_token, s.flow_type, s.session_data,
        s.response_data, s.responded_at, s.status, s.completed_at, s.expires_at, s.created_at,
        (%(status)s::text is null or s.status = %(status)s)
        and (%(flow)s::text is null or coalesce(%(flow)s in (s.flow_id, s.flow_name), false)) as matches,
        row_number() over (order by s.created_at desc, s.id desc) as place
    from (
        select * from messaging.flow_sessions as o
        where o.tenant_id = %(tenant_id)s
            and (o.created_at, o.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
        order by o.created_at desc, o.id desc limit %(walk)s
    ) as s
    join messaging.whatsapp_accounts as n on n.tenant_id = %(tenant_id)s and n.id = s.account_id
) as w
where w.matches or w.place = %(walk)s
order by w.place limit %(limit)s + 1

-- name: list_of_contact
-- One person's, by their own index: all of them are few. A merged contact's id stands for the winner.
select s.id, s.account_id, n.phone_number_id, s.conversation_id, s.contact_id, s.message_id, s.flow_id,
    s.flow_name, s.template_name, s.flow_token, s.flow_type, s.session_data, s.response_data,
    s.responded_at, s.status, s.completed_at, s.expires_at, s.created_at, true,
    row_number() over (order by s.created_at desc, s.id desc) as place
from messaging.flow_sessions as s
join messaging.whatsapp_accounts as n on n.tenant_id = %(tenant_id)s and n.id = s.account_id
where s.tenant_id = %(tenant_id)s
    and s.contact_id = messaging.contact_now(%(tenant_id)s::uuid, %(contact)s::uuid)
    and (s.created_at, s.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
    and (%(status)s::text is null or s.status = %(status)s)
    and (%(flow)s::text is null or %(flow)s in (s.flow_id, s.flow_name))
order by s.created_at desc, s.id desc limit %(limit)s + 1

-- name: find_used
-- Tokens that a session has, except where the request's key was used before: it is that session's own
-- request, or one that its key answers.
select distinct w.token
from unnest(%(tokens)s::text[], %(keys)s::text[]) as w(token, key)
join messaging.flow_sessions as s on s.tenant_id = %(tenant_id)s and s.flow_token = w.token
where not exists (select from messaging.idempotency_keys as k
    where k.tenant_id = %(tenant_id)s and k.key = w.key)

-- name: expire
select messaging.expire_flow_sessions(%(limit)s, %(now)s)
