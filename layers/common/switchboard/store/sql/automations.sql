-- name: is_tenant_active
select 1 from messaging.tenants where id = %(tenant)s and is_active
