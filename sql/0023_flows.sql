-- Flows, their sessions, and the catalogue.

-- What Meta's API says of a Flow besides its states; null until it was fetched.
alter table messaging.whatsapp_flows
    add column name text,
    add column categories text[] not null default '{}',
    add column json_version text,
    add column endpoint_uri text,
    -- Meta's objects, as it told them last: a Flow with any cannot be published.
    add column validation_errors jsonb not null default '[]',
    add column fetched_at timestamptz;

-- Writes what Meta's API answered when it was asked for Flows at p_now. p_flows: [{"flow", "name",
-- "categories", "json_version", "endpoint_uri", "errors", "status"}, …], each whole. Of two answers the
-- one asked for later stays. The status counts as told at the end of the second in which it was asked
-- for: what webhooks tell of that second or before has been answered already, and a later one wins.
-- Sorted: two may write at once.
create function messaging.fetched_flows(
    p_tenant uuid, p_waba text, p_flows jsonb, p_now timestamptz
) returns void
    language sql
    begin atomic
    insert into messaging.whatsapp_flows as f (tenant_id, waba_id, flow_id, states, name, categories,
        json_version, endpoint_uri, validation_errors, fetched_at, created_at, updated_at)
    select p_tenant, p_waba, d.flow,
        case when d.status is null then '{}' else messaging.states_at(
            jsonb_build_object('status', d.status), floor(extract(epoch from p_now))::bigint + 1) end,
        d.name, coalesce(d.categories, '{}'), d.json_version, d.endpoint_uri,
        coalesce(d.errors, '[]'), p_now, p_now, p_now
    from jsonb_to_recordset(p_flows) as d(flow text, name text, categories text[], json_version text,
        endpoint_uri text, errors jsonb, status text)
    order by d.flow
    on conflict (tenant_id, flow_id, waba_id) do update set
        -- Not by merge_states alone: of two answers of one second the later one is right.
        states = case when f.states -> 'status' -> 'at' = excluded.states -> 'status' -> 'at'
            then f.states || excluded.states
            else messaging.merge_states(f.states, excluded.states) end,
        name = excluded.name,
        categories = excluded.categories, json_version = excluded.json_version,
        endpoint_uri = excluded.endpoint_uri, validation_errors = excluded.validation_errors,
        fetched_at = excluded.fetched_at, updated_at = excluded.updated_at
        where f.fetched_at is null or f.fetched_at <= excluded.fetched_at;
    end;

-- A Flow can be sent by its name, or behind the button of a template. (Nothing read flow_id before.)
alter table messaging.flow_sessions
    -- squawk-ignore ban-drop-not-null
    alter column flow_id drop not null,
    add column flow_name text,
    add column template_name text;
-- (Built at once: nothing has opened a session before this release.)
-- squawk-ignore require-concurrent-index-creation
create index flow_sessions_time on messaging.flow_sessions (tenant_id, created_at, id);

-- What messages bring besides themselves, in the transaction that stores them. p_rows: [{"m": message,
-- "a": account, "c": contact, "v": conversation, "e": [{"k": kind, …}, …]}, …]. Each kind is one function
-- outgoing_effect_<kind>(tenant, [{"m", "a", "c", "v", "d": a document}, …], now), in the order of the
-- kinds' names: the same order of locks everywhere.
create function messaging.outgoing_effects(p_tenant uuid, p_rows jsonb, p_now timestamptz)
    returns void
    language plpgsql as $$
declare
    v_effect record;
begin
    for v_effect in
        select e ->> 'k' as kind,
            jsonb_agg(r - 'e' || jsonb_build_object('d', e - 'k') order by r ->> 'm') as told
        from jsonb_array_elements(p_rows) as r cross join lateral jsonb_array_elements(r -> 'e') as e
        group by 1 order by (e ->> 'k') collate "C"
    loop
        execute format('select messaging.%I($1, $2, $3)', 'outgoing_effect_' || v_effect.kind)
        using p_tenant, v_effect.told, p_now;
    end loop;
end
$$;

-- d: {"tk": flow_token, "x": session_data, and of a message's own Flow "f": flow_id or null, "n": flow_name
-- or null, "ty": flow_type, of a template's "t": its name, "l": its language, "i": the button's place}.
-- Which Flow a button opens is told by the template, where it is known here. A token that was used
-- before keeps the session of its first message.
create function messaging.outgoing_effect_flow_session(p_tenant uuid, p_rows jsonb, p_now timestamptz)
    returns void
    language sql
    begin atomic
    insert into messaging.flow_sessions (tenant_id, account_id, conversation_id, contact_id, message_id,
        flow_id, flow_name, template_name, flow_token, flow_type, session_data, expires_at, created_at,
        updated_at)
    select p_tenant, r.a, r.v, r.c, r.m, coalesce(d.f, b.told ->> 'flow_id'), d.n, d.t, d.tk,
        coalesce(d.ty, case when lower(b.told ->> 'flow_action') = 'data_exchange'
            then 'data_exchange' else 'navigate' end), coalesce(d.x, '{}'), p_now + interval '24 hours', p_now, p_now
    from jsonb_to_recordset(p_rows) as r(m uuid, a uuid, c uuid, v uuid, d jsonb)
    cross join lateral jsonb_to_record(r.d)
        as d(tk text, f text, n text, t text, l text, i integer, ty text, x jsonb)
    left join messaging.whatsapp_accounts as n on d.t is not null
        and n.tenant_id = p_tenant and n.id = r.a
    left join messaging.whatsapp_templates as t on t.tenant_id = p_tenant and t.waba_id = n.waba_id
        and t.name = d.t and t.language = d.l
    -- Lax: whatever else stands there is no button.
    left join lateral (select jsonb_path_query_first(t.components,
        '$[*] ? (@.type like_regex "^buttons$" flag "i").buttons[$i]',
        jsonb_build_object('i', d.i)) as told) as b on true
    order by d.tk collate "C", r.m
    on conflict (tenant_id, flow_token) do nothing;
    end;

-- Ends up to p_limit sessions of all tenants whose time is over: expired, or failed where their message
-- could not be sent. One whose message still waits has its 24 hours before it. Returns how many it
-- looked at. Locked in the order of their tokens, as answers do; looked at again when it is locked.
create policy door on messaging.flow_sessions to door using (true) with check (true);
grant select, update on messaging.flow_sessions to door;
create policy door on messaging.whatsapp_messages for select to door using (true);
grant select on messaging.whatsapp_messages to door;
create function messaging.expire_flow_sessions(p_limit integer, p_now timestamptz default null)
    returns integer
    language sql security definer set search_path = pg_catalog, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
    begin atomic
    with due as materialized (
        select o.tenant_id, o.id, o.message_id, t.now
        from (select coalesce(p_now, clock_timestamp()) as now) as t
        cross join lateral (
            select l.tenant_id, l.id, l.message_id, l.account_id, l.flow_token
            from messaging.tenants as n
            cross join lateral (
                select s.tenant_id, s.id, s.message_id, s.account_id, s.flow_token, s.expires_at
                from messaging.flow_sessions as s
                where s.tenant_id = n.id and s.expires_at <= t.now
                    and s.status in ('pending', 'in_progress')
                order by s.expires_at limit p_limit
            ) as l
            order by l.expires_at limit p_limit
        ) as o
        order by o.tenant_id, o.account_id, o.flow_token
    ), ended as (
        update messaging.flow_sessions as s
        set status = case
                when a.due_at is not null then s.status
                when m.status in ('failed', 'denied', 'cancelled') then 'failed'
                else 'expired' end,
            expires_at = case when a.due_at is not null
                then greatest(case when isfinite(a.due_at) then a.due_at end, due.now)
                    + interval '24 hours' else s.expires_at end
        from due
        left join messaging.send_attempts as a on a.tenant_id = due.tenant_id
            and a.message_id = due.message_id and a.phase = 'pending'
        left join messaging.whatsapp_messages as m on m.tenant_id = due.tenant_id
            and m.id = due.message_id
        where s.tenant_id = due.tenant_id and s.id = due.id and s.expires_at <= due.now
            and s.status in ('pending', 'in_progress')
        returning s.id
    )
    select count(*)::integer from ended;
    end;
revoke execute on function messaging.expire_flow_sessions(integer, timestamptz) from public;
grant execute on function messaging.expire_flow_sessions(integer, timestamptz) to app;
grant create on schema messaging to door;
alter function messaging.expire_flow_sessions(integer, timestamptz) owner to door;
revoke create on schema messaging from door;

-- What is known of products: written by a route, and what orders say of them. Meta's catalogue is not
-- read. What a route wrote and what an order told stand beside each other, so neither overwrites the
-- other whatever comes first.
create table messaging.catalog_products (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    catalog_id text collate "C" not null check (length(catalog_id) between 1 and 100),
    product_retailer_id text collate "C" not null
        check (length(product_retailer_id) between 1 and 100),
    -- Who wrote it; an order until a route does.
    source text not null check (source in ('route', 'order')),
    name text,
    description text,
    price numeric check (price >= 0),
    currency text check (currency ~ '^[A-Z]{3}$'),
    image_url text,
    url text,
    -- Meta's word: in stock, out of stock, preorder, …
    availability text,
    is_active boolean not null default true,
    -- The newest price that an order told, by (Meta's time, sha256 of it as text: `7.99 USD`).
    order_price numeric check (order_price >= 0),
    order_currency text,
    order_price_at timestamptz,
    last_ordered_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, catalog_id, product_retailer_id),
    check ((price is null) = (currency is null))
);
call messaging.protect('messaging.catalog_products', 'select, insert, update, delete');

-- d: {"g": catalog_id, "i": [{"p": product_retailer_id, "e": price as text or null, "y": currency or
-- null}, …]}. Only a price with its currency is one; an item without tells that the product is sold.
create function messaging.effect_catalog_orders(p_tenant uuid, p_messages jsonb, p_now timestamptz)
    returns void
    language plpgsql as $$
begin
    insert into messaging.catalog_products as c (tenant_id, catalog_id, product_retailer_id, source,
        order_price, order_currency, order_price_at, last_ordered_at, created_at, updated_at)
    select distinct on (o.g, o.p) p_tenant, o.g, o.p, 'order', o.e, o.y,
        case when o.e is not null then o.at end, max(o.at) over (partition by o.g, o.p), p_now, p_now
    from (
        select d.g collate "C" as g, e.p collate "C" as p, m.at,
            case when e.y is not null then trim_scale(e.e) end as e,
            case when e.e is not null then e.y end as y
        from jsonb_to_recordset(p_messages) as m(at timestamptz, d jsonb)
        cross join lateral jsonb_to_record(m.d) as d(g text, i jsonb)
        cross join lateral jsonb_to_recordset(d.i) as e(p text, e numeric, y text)
    ) as o
    order by o.g, o.p, o.e is null, o.at desc, sha256(convert_to(o.e || ' ' || o.y, 'UTF8')) desc
    on conflict (tenant_id, catalog_id, product_retailer_id) do update set
        (order_price, order_currency, order_price_at) = (
            select n.e, n.y, n.at
            from (select messaging.newer(c.order_price_at, c.order_price || ' ' || c.order_currency,
                excluded.order_price_at, excluded.order_price || ' ' || excluded.order_currency)
                as is_newer) as k
            cross join lateral (select
                case when k.is_newer then excluded.order_price else c.order_price end as e,
                case when k.is_newer then excluded.order_currency else c.order_currency end as y,
                case when k.is_newer then excluded.order_price_at else c.order_price_at end as at) as n),
        last_ordered_at = greatest(c.last_ordered_at, excluded.last_ordered_at),
        updated_at = p_now;
end
$$;
