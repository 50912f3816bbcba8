-- Files of messages, and files that were uploaded to Meta.

-- name: find_wanted
-- A file still to be fetched, the number whose token opens it, and the database's time: how long
-- to wait is reckoned from it. In whichever direction: what a business sent from its own phone comes
-- in webhooks, too.
select f.id, f.media_type, f.wa_media_id, f.mime_type, f.sha256, f.file_name, f.error_code,
    f.created_at, coalesce(%(now)s::timestamptz, clock_timestamp()) as at,
    n.phone_number_id, n.access_token_sealed
from messaging.media as f
left join messaging.whatsapp_accounts as n
    on n.tenant_id = f.tenant_id and n.id = f.account_id and messaging.is_number_active(n)
where f.tenant_id = %(tenant)s and f.message_id = %(message)s and f.status = 'pending'

-- name: note_trouble
update messaging.media set error_code = %(code)s, error_message = %(message)s
where tenant_id = %(tenant)s and id = %(id)s and status = 'pending'

-- name: settle_stored
-- Only what is pending: of two workers the second changes nothing.
update messaging.media
set status = 'stored', s3_key = %(key)s, thumbnail_s3_key = %(thumbnail)s,
    size_bytes = %(size)s::bigint, mime_type = %(mime_type)s, sha256 = coalesce(sha256, %(sha256)s),
    error_code = null, error_message = null
where tenant_id = %(tenant)s and id = %(id)s and status = 'pending'

-- name: settle_failed
update messaging.media set status = 'failed', error_code = %(code)s, error_message = %(message)s
where tenant_id = %(tenant)s and id = %(id)s and status = 'pending'

-- name: find
-- Not that of a message that was taken back: its file stays, and nobody is given it.
select f.id, f.message_id, f.direction, f.media_type, f.mime_type, f.file_name, f.caption,
    f.size_bytes, f.s3_key, f.thumbnail_s3_key, f.status, f.error_code, f.error_message, f.created_at
from messaging.media as f
left join messaging.whatsapp_messages as m on m.tenant_id = f.tenant_id and m.id = f.message_id
where f.tenant_id = %(tenant)s and f.id = %(id)s and m.revoked_at is null

-- name: find_upload
-- With a day to spare: what is sent with it may wait.
select wa_media_id, expires_at from messaging.media_uploads
where tenant_id = %(tenant)s and account_id = %(account)s and sha256 = %(sha256)s
    and mime_type = %(mime_type)s
    and expires_at > coalesce(%(now)s::timestamptz, clock_timestamp()) + interval '1 day'

-- name: keep_upload
-- Two at once have two good ids: the one that lives longer stays.
with t as materialized (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now), put as (
    insert into messaging.media_uploads as u (tenant_id, account_id, sha256, mime_type,
        wa_media_id, size_bytes, uploaded_at, expires_at)
    select %(tenant)s, %(account)s, %(sha256)s, %(mime_type)s, %(wa_media_id)s, %(size)s::bigint,
        t.now, t.now + interval '30 days' from t
    on conflict (tenant_id, account_id, sha256, mime_type) do update
    set wa_media_id = excluded.wa_media_id, size_bytes = excluded.size_bytes,
        uploaded_at = excluded.uploaded_at, expires_at = excluded.expires_at
    where u.expires_at < excluded.expires_at
)
select t.now + interval '30 days' from t

-- name: number_of_upload
select n.phone_number_id from messaging.media_uploads as u
join messaging.whatsapp_accounts as n on n.tenant_id = u.tenant_id and n.id = u.account_id
where u.tenant_id = %(tenant)s and u.wa_media_id = %(wa_media_id)s limit 1

-- name: forget_upload
delete from messaging.media_uploads
where tenant_id = %(tenant)s and wa_media_id = %(wa_media_id)s

-- name: retire_uploads
select messaging.retire_uploads(%(limit)s, %(now)s)
