-- Uploads that Meta has forgotten are forgotten here, too.

-- (Built at once: a row is one file of one number and of the last 30 days, so there are few, and
-- whoever uploads waits for a moment.)
-- squawk-ignore require-concurrent-index-creation
create index media_uploads_expiry on messaging.media_uploads (expires_at);

-- Deletes up to `p_limit` uploads of all tenants that have expired. Returns how many. Sorted: two who
-- delete at once must not deadlock. Looked at again when it is locked: it may have been made anew.
create policy door on messaging.media_uploads to door using (true);
grant select, delete on messaging.media_uploads to door;
create function messaging.retire_uploads(p_limit integer, p_now timestamptz default null)
    returns integer
    language sql security definer set search_path = pg_catalog, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
    begin atomic
    with old as materialized (
        select l.tenant_id, l.account_id, l.sha256, l.mime_type
        from (
            select u.tenant_id, u.account_id, u.sha256, u.mime_type
            from messaging.media_uploads as u
            where u.expires_at < coalesce(p_now, clock_timestamp())
            order by u.expires_at limit p_limit
        ) as l
        order by l.tenant_id, l.account_id, l.sha256, l.mime_type
    ), gone as (
        delete from messaging.media_uploads as d using old
        where d.tenant_id = old.tenant_id and d.account_id = old.account_id
            and d.sha256 = old.sha256 and d.mime_type = old.mime_type
            and d.expires_at < coalesce(p_now, clock_timestamp())
        returning d.account_id
    )
    select count(*)::integer from gone;
    end;
revoke execute on function messaging.retire_uploads(integer, timestamptz) from public;
grant execute on function messaging.retire_uploads(integer, timestamptz) to app;
grant create on schema messaging to door;
alter function messaging.retire_uploads(integer, timestamptz) owner to door;
revoke create on schema messaging from door;
