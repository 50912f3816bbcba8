-- Endpoints that run_ai_agent asks.

-- name: list
select id, name, url, created_at, updated_at from messaging.agent_endpoints
where tenant_id = %(tenant)s order by name

-- name: find
select id, name, url, created_at, updated_at from messaging.agent_endpoints
where tenant_id = %(tenant)s and id = %(id)s

-- name: find_named
-- With the secrets that sign.
select url, secret_sealed,
    case when secret_previous_until > coalesce(%(now)s::timestamptz, clock_timestamp())
        then secret_previous_sealed end as secret_previous_sealed
from messaging.agent_endpoints where tenant_id = %(tenant)s and name = %(name)s

-- name: insert
-- Where the link was lost at the commit, the first run has written it.
insert into messaging.agent_endpoints (tenant_id, id, name, url, secret_sealed)
select %(tenant)s, %(id)s, %(name)s, %(url)s, %(sealed)s
where (select count(*) from messaging.agent_endpoints where tenant_id = %(tenant)s) < %(most)s
on conflict (tenant_id, id) do nothing

-- name: change
update messaging.agent_endpoints set url = %(url)s where tenant_id = %(tenant)s and id = %(id)s

-- name: rotate
-- Run twice it is one rotation: the second run finds its own secret.
update messaging.agent_endpoints
set secret_previous_sealed = secret_sealed, secret_sealed = %(sealed)s,
    secret_previous_until = coalesce(%(now)s::timestamptz, clock_timestamp()) + interval '1 day'
where tenant_id = %(tenant)s and id = %(id)s and secret_sealed <> %(sealed)s

-- name: delete
delete from messaging.agent_endpoints where tenant_id = %(tenant)s and id = %(id)s
