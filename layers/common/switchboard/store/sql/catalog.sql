-- Products: a route's values, and beside them what orders told (messaging.effect_catalog_orders).

-- name: list
select c.catalog_id, c.product_retailer_id, c.name, c.description,
    trim_scale(case when c.price is null then c.order_price else c.price end)::text,
    case when c.price is null then c.order_currency else c.currency end,
    case when c.price is not null then 'route' when c.order_price is not null then 'order' end,
    c.image_url, c.url, c.availability, c.is_active, c.source, c.last_ordered_at, c.created_at,
    c.updated_at
from messaging.catalog_products as c
where c.tenant_id = %(tenant_id)s
    and (c.catalog_id, c.product_retailer_id) > (%(after)s::text, %(after_product)s::text)
    and (%(catalog_id)s::text is null or c.catalog_id = %(catalog_id)s)
    and (%(product)s::text is null or c.product_retailer_id = %(product)s)
    and (%(is_active)s::boolean is null or c.is_active = %(is_active)s)
    and (%(source)s::text is null or c.source = %(source)s)
order by c.catalog_id, c.product_retailer_id limit %(limit)s

-- name: write
-- Sorted: two who write the same products at once must not deadlock, nor with an order.
insert into messaging.catalog_products as c (tenant_id, catalog_id, product_retailer_id, source, name,
    description, price, currency, image_url, url, availability, is_active, created_at, updated_at)
select %(tenant_id)s, p.catalog_id, p.product_retailer_id, 'route', p.name, p.description, p.price,
    p.currency, p.image_url, p.url, p.availability, p.is_active, t.now, t.now
from jsonb_to_recordset(%(products)s::jsonb) as p(catalog_id text, product_retailer_id text, name text,
    description text, price numeric, currency text, image_url text, url text, availability text,
    is_active boolean)
cross join (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now) as t
order by p.catalog_id collate "C", p.product_retailer_id collate "C"
on conflict (tenant_id, catalog_id, product_retailer_id) do update set
    source = excluded.source, name = excluded.name, description = excluded.description,
    price = excluded.price, currency = excluded.currency, image_url = excluded.image_url,
    url = excluded.url, availability = excluded.availability, is_active = excluded.is_active,
    updated_at = excluded.updated_at
returning c.catalog_id, c.product_retailer_id, c.name, c.description,
    trim_scale(case when c.price is null then c.order_price else c.price end)::text,
    case when c.price is null then c.order_currency else c.currency end,
    case when c.price is not null then 'route' when c.order_price is not null then 'order' end,
    c.image_url, c.url, c.availability, c.is_active, c.source, c.last_ordered_at, c.created_at,
    c.updated_at

-- name: delete
delete from messaging.catalog_products
where tenant_id = %(tenant_id)s and catalog_id = %(catalog_id)s and product_retailer_id = %(product)s
