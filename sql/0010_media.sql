-- Files that Meta keeps for us, so that a file is uploaded once per number, however often it is sent.

create table messaging.media_uploads (
    tenant_id uuid not null,
    account_id uuid not null,
    sha256 bytea not null check (length(sha256) = 32),
    -- Part of the key: Meta checks a file against the type it was uploaded as.
    mime_type text collate "C" not null check (length(mime_type) between 1 and 255),
    wa_media_id text not null check (length(wa_media_id) between 1 and 1000),
    size_bytes bigint not null check (size_bytes >= 0),
    uploaded_at timestamptz not null default clock_timestamp(),
    -- Meta forgets an upload after 30 days.
    expires_at timestamptz not null,
    primary key (tenant_id, account_id, sha256, mime_type),
    foreign key (tenant_id, account_id) references messaging.whatsapp_accounts (tenant_id, id)
        on delete cascade
);
call messaging.protect('messaging.media_uploads', 'select, insert, update, delete');
