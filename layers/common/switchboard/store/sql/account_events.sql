-- What Meta told about accounts, for people to read. Intake writes it (messaging.log_account_events).

-- name: list
-- The newest received first. The filters stand above a walk of at most `walk` rows, whose last one
-- is handed back whether it fits or not, so that the next page goes on there.
select w.id, w.waba_id, w.account_id, w.phone_number_id, w.field, w.event, w.detail, w.occurred_at,
    w.created_at, w.matches, w.place
from (
    select e.id, e.waba_id, e.account_id, n.phone_number_id, e.field, e.event, e.detail,
        e.occurred_at, e.created_at,
        row_number() over (order by e.created_at desc, e.id desc) as place,
        (%(waba_id)s::text is null or e.waba_id = %(waba_id)s)
        and (%(number)s::text is null
            or coalesce(%(number)s in (n.phone_number_id, e.account_id::text), false))
        and (%(field)s::text is null or e.field = %(field)s)
        and (%(event)s::text is null or e.event = %(event)s) as matches
    from (
        select * from messaging.whatsapp_account_events as o
        where o.tenant_id = %(tenant_id)s and o.created_at >= %(since)s::timestamptz
            and (o.created_at, o.id) < (%(before)s::timestamptz, %(before_id)s::uuid)
        order by o.created_at desc, o.id desc limit %(walk)s
    ) as e
    left join messaging.whatsapp_accounts as n
        on n.tenant_id = %(tenant_id)s and n.id = e.account_id
) as w
where w.matches or w.place = %(walk)s
order by w.place limit %(limit)s + 1

-- name: retire
select messaging.retire_account_events(%(keep)s, %(limit)s, %(now)s)
