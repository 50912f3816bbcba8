-- name: resolve
-- The door answers whose key it is before a tenant is known; the hash comes back to be compared.
select tenant_id, key_id, key_hash, scopes from messaging.resolve_api_key(%(hash)s)

-- name: resolve_tenant
select tenant_id from messaging.resolve_tenant(%(wanted)s)
