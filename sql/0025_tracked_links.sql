-- Links that are followed before they lead on.

create table messaging.tracked_links (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    -- Of the address that people see: found before its tenant is known.
    token text collate "C" not null unique check (length(token) between 22 and 200),
    url text not null check (length(url) <= 2000 and url ~ '^https?://'),
    -- What stands on the button.
    label text,
    message_id uuid not null,
    account_id uuid not null,
    contact_id uuid not null,
    conversation_id uuid,
    tap_count integer not null default 0 check (tap_count >= 0),
    first_tapped_at timestamptz,
    last_tapped_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    -- Leads nowhere from then on; null: never.
    expires_at timestamptz,
    primary key (tenant_id, id),
    foreign key (tenant_id, account_id) references messaging.whatsapp_accounts (tenant_id, id)
        on delete cascade,
    foreign key (tenant_id, conversation_id)
        references messaging.whatsapp_conversations (tenant_id, id)
        on delete set null (conversation_id),
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
);
create index tracked_links_recent on messaging.tracked_links (tenant_id, created_at, id);
create index tracked_links_message on messaging.tracked_links (tenant_id, message_id);
create index tracked_links_conversation
    on messaging.tracked_links (tenant_id, conversation_id, created_at);
create index tracked_links_contact on messaging.tracked_links (tenant_id, contact_id);
call messaging.protect('messaging.tracked_links', 'select, insert, update, delete');

-- d: {"tk": token, "u": address, "la": label}. A link lives for a year.
create function messaging.outgoing_effect_tracked_link(
    p_tenant uuid, p_rows jsonb, p_now timestamptz
) returns void
    language sql
    begin atomic
    insert into messaging.tracked_links (tenant_id, token, url, label, message_id, account_id,
        contact_id, conversation_id, created_at, expires_at)
    select p_tenant, d.tk, d.u, d.la, r.m, r.a, r.c, r.v, p_now, p_now + interval '1 year'
    from jsonb_to_recordset(p_rows) as r(m uuid, a uuid, c uuid, v uuid, d jsonb)
    cross join lateral jsonb_to_record(r.d) as d(tk text, u text, la text)
    order by d.tk collate "C";
    end;

-- Where a link leads, null where it is unknown or over. Where p_counts says so the tap is noted, one in
-- two seconds: a double tap, and a browser that asks twice, are one.
create policy door on messaging.tracked_links to door using (true);
grant select, update on messaging.tracked_links to door;
create policy door on messaging.user_interactions for insert to door with check (true);
grant insert on messaging.user_interactions to door;
create function messaging.resolve_link(
    p_token text, p_counts boolean, p_now timestamptz default null
) returns text
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_tenant uuid;
    v_id uuid;
    v_url text;
begin
    select l.tenant_id, l.id, l.url into v_tenant, v_id, v_url
    from messaging.tracked_links as l
    where l.token = p_token and (l.expires_at is null or l.expires_at > v_now);
    if v_id is not null and p_counts then
        perform messaging.hold_contacts(v_tenant);
        with tapped as (
            update messaging.tracked_links as l
            set tap_count = l.tap_count + 1, last_tapped_at = v_now,
                first_tapped_at = coalesce(l.first_tapped_at, v_now)
            where l.tenant_id = v_tenant and l.id = v_id
                and (l.last_tapped_at is null or l.last_tapped_at <= v_now - interval '2 seconds')
            returning l.*
        )
        insert into messaging.user_interactions (tenant_id, account_id, conversation_id, contact_id,
            interaction_type, button_title, button_url, metadata, occurred_at, created_at)
        select v_tenant, t.account_id, t.conversation_id, t.contact_id, 'cta_button_tap', t.label,
            t.url, jsonb_build_object('link_id', t.id, 'message_id', t.message_id), v_now, v_now
        from tapped as t;
    end if;
    return v_url;
end
$$;
revoke execute on function messaging.resolve_link(text, boolean, timestamptz) from public;
grant execute on function messaging.resolve_link(text, boolean, timestamptz) to app;
grant create on schema messaging to door;
alter function messaging.resolve_link(text, boolean, timestamptz) owner to door;
revoke create on schema messaging from door;
