-- People, their identifiers, and the conversations of a number with a person or a group.

create table messaging.contacts (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    id uuid not null,
    -- What staff call the person; the profile name is what the person calls themself.
    name text,
    profile_name text,
    profile_name_at timestamptz,
    username text,
    username_at timestamptz,
    phone_number text,
    country_code text check (country_code ~ '^[A-Z]{2}$'),
    email text,
    company text,
    title text,
    about text,
    profile_picture_url text,
    locale text,
    timezone text,
    tags text[] not null default '{}',
    attributes jsonb not null default '{}',
    external_user_id text,
    is_business boolean not null default false,
    is_verified boolean not null default false,
    is_blocked boolean not null default false,
    is_online boolean not null default false,
    last_seen_at timestamptz,
    opt_in_status text not null default 'pending'
        check (opt_in_status in ('pending', 'opted_in', 'opted_out')),
    opted_in_at timestamptz,
    opted_out_at timestamptz,
    -- The root of a merge, never a chain; the row stays and its id answers for ever.
    merged_into uuid,
    deleted_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    unique (tenant_id, external_user_id),
    foreign key (tenant_id, merged_into) references messaging.contacts (tenant_id, id)
) with (fillfactor = 85);
create index contacts_merged on messaging.contacts (tenant_id, merged_into)
    where merged_into is not null;
call messaging.protect('messaging.contacts', 'select, insert, update');

-- Whoever writes rows that name a contact holds this until the commit, beside all others that do; a
-- merge of contacts takes the same lock alone, so that no row slips past it. First of all locks.
create function messaging.hold_contacts(p_tenant uuid) returns text
    language sql
    return pg_advisory_xact_lock_shared(hashtextextended(p_tenant::text, 7))::text;

-- The contact that an id stands for now: its own, or the root it was merged into.
create function messaging.contact_now(p_tenant uuid, p_contact uuid) returns uuid
    language sql stable
    return coalesce((select c.merged_into from messaging.contacts as c
        where c.tenant_id = p_tenant and c.id = p_contact), p_contact);

create table messaging.contact_identifiers (
    tenant_id uuid not null,
    kind text not null check (kind in ('phone', 'user_id', 'parent_user_id', 'session_id')),
    value text collate "C" not null check (length(value) between 1 and 200),
    contact_id uuid not null,
    -- Meta's time of the last change of number or user id that brought it.
    taken_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, kind, value),
    -- Deferred: intake claims the identifier first and writes the contact after it has won.
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
        on delete cascade deferrable initially deferred
);
create index contact_identifiers_contact on messaging.contact_identifiers (tenant_id, contact_id);
call messaging.protect('messaging.contact_identifiers', 'select, insert, update, delete');

create table messaging.whatsapp_conversations (
    tenant_id uuid not null,
    id uuid not null,
    account_id uuid not null,
    -- Exactly one of the two: a person or a group.
    contact_id uuid,
    group_id text,
    status text not null default 'open'
        check (status in ('open', 'pending', 'resolved', 'closed', 'spam')),
    assigned_user_id uuid,
    assigned_at timestamptz,
    unread_count integer not null default 0 check (unread_count >= 0),
    message_count integer not null default 0 check (message_count >= 0),
    -- Free-form messages may go out until then; open or not is read from it, never stored.
    window_expires_at timestamptz,
    last_inbound_at timestamptz,
    -- The newest message by (occurred_at, wa_message_id), whatever the order of arrival.
    last_message_at timestamptz,
    last_message_key text collate "C",
    last_message_preview text check (length(last_message_preview) <= 200),
    last_message_direction text check (last_message_direction in ('inbound', 'outbound')),
    wa_conversation_id text,
    subject text,
    description text,
    tags text[] not null default '{}',
    priority text not null default 'medium' check (priority in ('low', 'medium', 'high')),
    is_pinned boolean not null default false,
    archived_at timestamptz,
    closed_at timestamptz,
    chatbot_active boolean not null default false,
    chatbot_session_id uuid,
    lead_id uuid,
    campaign_id uuid,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    check (num_nonnulls(contact_id, group_id) = 1),
    unique (tenant_id, account_id, contact_id),
    unique (tenant_id, account_id, group_id),
    foreign key (tenant_id, account_id) references messaging.whatsapp_accounts (tenant_id, id)
        on delete cascade,
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id),
    foreign key (tenant_id, assigned_user_id) references messaging.users (tenant_id, id)
        on delete set null (assigned_user_id)
) with (fillfactor = 85);
create index whatsapp_conversations_contact
    on messaging.whatsapp_conversations (tenant_id, contact_id);
-- Newest first; a list over several states merges one walk of each.
create index whatsapp_conversations_inbox on messaging.whatsapp_conversations
    (tenant_id, status, last_message_at desc nulls last, id desc);
create index whatsapp_conversations_assigned
    on messaging.whatsapp_conversations (tenant_id, assigned_user_id)
    where assigned_user_id is not null;
call messaging.protect('messaging.whatsapp_conversations', 'select, insert, update');
comment on column messaging.whatsapp_conversations.window_expires_at is
    'end of the 24-hour customer service window';

-- Who takes part: the people of a group, and staff or businesses of an imported thread.
create table messaging.conversation_participants (
    tenant_id uuid not null,
    conversation_id uuid not null,
    participant text not null check (length(participant) between 1 and 200),
    contact_id uuid,
    user_id uuid,
    type text not null check (type in ('user', 'business', 'group')),
    name text,
    unread_count integer not null default 0 check (unread_count >= 0),
    joined_at timestamptz,
    left_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, conversation_id, participant),
    foreign key (tenant_id, conversation_id)
        references messaging.whatsapp_conversations (tenant_id, id) on delete cascade,
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id),
    foreign key (tenant_id, user_id) references messaging.users (tenant_id, id)
        on delete set null (user_id)
);
create index conversation_participants_contact
    on messaging.conversation_participants (tenant_id, contact_id) where contact_id is not null;
call messaging.protect('messaging.conversation_participants', 'select, insert, update, delete');
