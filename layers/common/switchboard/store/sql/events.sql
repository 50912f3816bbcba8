-- name: take
-- One round trip, one transaction: the function sets the tenant itself (sql/0007).
select t.messages, t.events, t.nudge from messaging.take(%(tenant)s, %(doc)s::jsonb, %(now)s) as t

-- name: resolve_numbers
select w.phone_number_id, r.tenant_id, r.account_id, r.waba_id, r.app_id
from unnest(%(ids)s::text[]) as w(phone_number_id)
cross join lateral messaging.resolve_number(w.phone_number_id) as r

-- name: resolve_wabas
select w.waba_id, r.tenant_id, r.app_id
from unnest(%(ids)s::text[]) as w(waba_id)
cross join lateral messaging.resolve_waba(w.waba_id) as r

-- name: resolve_app
select r.tenant_id, r.app_secret, r.app_secret_previous, r.verify_token
from messaging.resolve_app(%(app_id)s) as r

-- name: keep_dead_letters
-- Twice the same bytes is one letter; an open letter keeps its reason. One that was resolved is open
-- again and begins anew: nobody has stored what came just now.
insert into messaging.webhook_dead_letters as k
    (tenant_id, sha256, body, reason, detail, field, waba_id, phone_number_id, app_id, received_at)
select distinct on (l.sha256) %(tenant)s, l.sha256, l.body, l.reason, l.detail, l.field, l.waba_id,
    l.phone_number_id, %(app_id)s, coalesce(%(now)s, clock_timestamp())
from unnest(%(sha256)s::bytea[], %(body)s::bytea[], %(reason)s::text[], %(detail)s::text[],
    %(field)s::text[], %(waba_id)s::text[], %(phone_number_id)s::text[])
    as l(sha256, body, reason, detail, field, waba_id, phone_number_id)
order by l.sha256
on conflict (tenant_id, sha256) do update
set reason = excluded.reason, detail = excluded.detail, field = excluded.field,
    waba_id = excluded.waba_id, phone_number_id = excluded.phone_number_id,
    app_id = excluded.app_id, received_at = excluded.received_at, resolved_at = null
where k.resolved_at is not null
