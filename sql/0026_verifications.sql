-- Codes that prove a number.

alter table messaging.contact_identifiers
    -- When the person proved by a code that the phone is theirs.
    add column verified_at timestamptz;

create table messaging.phone_verifications (
    tenant_id uuid not null,
    id uuid not null,
    contact_id uuid not null,
    account_id uuid not null,
    -- Digits in the national form of contact_identifiers.
    phone text not null check (phone ~ '^[0-9]{7,15}$'),
    -- Of the code only HMAC-SHA256 is kept, under a random key that KMS has sealed. Both go when
    -- the code has ended.
    key_sealed bytea,
    code_hmac bytea check (length(code_hmac) = 32),
    -- pending may be over all the same: by its time (a job says so later) or its attempts.
    -- unsent: nobody has the code.
    status text not null default 'pending'
        check (status in ('pending', 'verified', 'replaced', 'expired', 'unsent')),
    attempts smallint not null default 0 check (attempts between 0 and 5),
    -- The message that carried the code; null until it was stored.
    message_id uuid,
    expires_at timestamptz not null,
    verified_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    check ((status = 'pending') = (code_hmac is not null)),
    check ((code_hmac is null) = (key_sealed is null)),
    check ((status = 'verified') = (verified_at is not null)),
    check (expires_at > created_at and expires_at <= created_at + interval '15 minutes'),
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
        on delete cascade,
    foreign key (tenant_id, account_id) references messaging.whatsapp_accounts (tenant_id, id)
        on delete cascade
);
create index phone_verifications_contact
    on messaging.phone_verifications (tenant_id, contact_id, created_at);
create index phone_verifications_phone
    on messaging.phone_verifications (tenant_id, phone, created_at);
create index phone_verifications_expiry on messaging.phone_verifications (expires_at);
call messaging.protect('messaging.phone_verifications', 'select, insert, update, delete');

-- Begins a verification unless the person got three codes within ten minutes or ten within a day: then
-- it returns how long to wait, else null. A new code ends the ones before it. Whoever asks at the same
-- time waits for the contact's row. (Call hold_contacts first. The same id again changes nothing.)
create function messaging.begin_verification(
    p_tenant uuid, p_id uuid, p_account uuid, p_contact uuid, p_phone text, p_key bytea,
    p_hmac bytea, p_lasts interval, p_now timestamptz default null
) returns interval
    language plpgsql as $$
declare
    v_now timestamptz;
    v_wait interval;
begin
    perform 1 from messaging.contacts as c
    where c.tenant_id = p_tenant and c.id = p_contact for no key update;
    v_now := coalesce(p_now, clock_timestamp());
    if exists (select from messaging.phone_verifications as v
        where v.tenant_id = p_tenant and v.id = p_id)
    then
        return null;
    end if;
    -- By the phone as well: a contact that was deleted leaves it to somebody new.
    select max(l.created_at + l.within - v_now) into v_wait
    from (
        select r.created_at, t.within
        from (values (3, interval '10 minutes'), (10, interval '1 day')) as t(most, within)
        cross join lateral (
            select v.created_at from messaging.phone_verifications as v
            where v.tenant_id = p_tenant and (v.contact_id = p_contact or v.phone = p_phone)
                and v.created_at > v_now - t.within
            order by v.created_at desc offset t.most - 1 limit 1
        ) as r
    ) as l;
    if v_wait is not null then
        return v_wait;
    end if;
    update messaging.phone_verifications as v
    set status = 'replaced', key_sealed = null, code_hmac = null
    where v.tenant_id = p_tenant and v.contact_id = p_contact and v.status = 'pending';
    insert into messaging.phone_verifications (tenant_id, id, contact_id, account_id, phone,
        key_sealed, code_hmac, expires_at, created_at)
    values (p_tenant, p_id, p_contact, p_account, p_phone, p_key, p_hmac, v_now + p_lasts, v_now);
    return null;
end
$$;

-- Takes the code out of the messages of a verification that no longer wait to be sent, and out of the
-- thread's preview where it is theirs, and notes the message. Returns whether one still waits. A message
-- of a code is never sent a second time.
create function messaging.hide_code(p_tenant uuid, p_id uuid, p_now timestamptz default null)
    returns boolean
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_one messaging.phone_verifications;
    v_message uuid;
    v_waits boolean := false;
    v_status text;
begin
    select * into v_one from messaging.phone_verifications as v
    where v.tenant_id = p_tenant and v.id = p_id;
    -- The thread before its messages: the order of locks everywhere.
    perform 1 from messaging.whatsapp_conversations as c
    where c.tenant_id = p_tenant and c.account_id = v_one.account_id
        and c.contact_id = v_one.contact_id
    for no key update;
    for v_message, v_status in
        select m.id, m.status
        from messaging.whatsapp_conversations as c
        join messaging.whatsapp_messages as m on m.tenant_id = p_tenant
            and m.conversation_id = c.id and m.occurred_at >= v_one.created_at - interval '1 minute'
        where c.tenant_id = p_tenant and c.account_id = v_one.account_id
            and c.contact_id = v_one.contact_id and m.origin_id = p_id and m.direction = 'outbound'
        order by m.id
        for no key update of m
    loop
        if v_status in ('pending', 'sending') then
            v_waits := true;
        else
            update messaging.whatsapp_conversations as c
            set last_message_preview = '[template]',
                updated_at = coalesce(p_now, clock_timestamp())
            where c.tenant_id = p_tenant and c.account_id = v_one.account_id
                and c.contact_id = v_one.contact_id and c.last_message_key = v_message::text
                and c.last_message_preview <> '[template]';
            update messaging.whatsapp_messages as m
            set content = m.content - 'components',
                updated_at = coalesce(p_now, clock_timestamp())
            where m.tenant_id = p_tenant and m.id = v_message and m.content ? 'components';
        end if;
        update messaging.phone_verifications as v set message_id = v_message
        where v.tenant_id = p_tenant and v.id = p_id and v.message_id is distinct from v_message;
    end loop;
    return v_waits;
end
$$;

-- Deletes up to p_limit verifications of all tenants that ended 30 days ago. Returns how many. Sorted:
-- two who delete at once must not deadlock.
create policy door on messaging.phone_verifications to door using (true);
grant select, delete on messaging.phone_verifications to door;
create function messaging.retire_verifications(p_limit integer, p_now timestamptz default null)
    returns integer
    language sql security definer set search_path = pg_catalog, pg_temp
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
    begin atomic
    with old as materialized (
        select l.tenant_id, l.id
        from (
            select v.tenant_id, v.id from messaging.phone_verifications as v
            where v.expires_at < coalesce(p_now, clock_timestamp()) - interval '30 days'
            order by v.expires_at limit p_limit
        ) as l
        order by l.tenant_id, l.id
    ), gone as (
        delete from messaging.phone_verifications as d using old
        where d.tenant_id = old.tenant_id and d.id = old.id
        returning d.id
    )
    select count(*)::integer from gone;
    end;
revoke execute on function messaging.retire_verifications(integer, timestamptz) from public;
grant execute on function messaging.retire_verifications(integer, timestamptz) to app;
grant create on schema messaging to door;
alter function messaging.retire_verifications(integer, timestamptz) owner to door;
revoke create on schema messaging from door;
