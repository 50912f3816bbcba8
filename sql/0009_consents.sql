-- What people have agreed to and taken back: the history, and the state that follows from it.

alter table messaging.contacts
    -- What the person told Meta about marketing of this business: the newest of each.
    add column marketing_stopped_at timestamptz,
    add column marketing_resumed_at timestamptz;

alter table messaging.whatsapp_accounts
    -- Whether STOP and START are answered by a sentence that confirms them.
    add column confirm_consents boolean not null default true;

create table messaging.consents (
    tenant_id uuid not null,
    id uuid not null default gen_random_uuid(),
    contact_id uuid not null,
    -- messages: ours, the opt-in state; marketing: what the person told Meta.
    scope text not null check (scope in ('messages', 'marketing')),
    state text not null check (state in ('given', 'withdrawn')),
    source text not null check (source in ('keyword', 'button', 'whatsapp', 'api')),
    -- The person's own words, Meta's sentence, or what whoever recorded it wrote down.
    wording text check (length(wording) <= 500),
    -- Of the word, where it is of one language only.
    language text,
    -- Where it was said. No foreign keys: a proof outlives both.
    account_id uuid,
    message_id uuid,
    -- The same statement twice is one row.
    statement_sha256 bytea not null check (length(statement_sha256) = 32),
    occurred_at timestamptz not null,
    created_at timestamptz not null default clock_timestamp(),
    -- When the sentence that confirms the change was put into the outbox.
    confirmed_at timestamptz,
    primary key (tenant_id, id),
    unique (tenant_id, statement_sha256),
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
        on delete cascade
);
create index consents_contact on messaging.consents (tenant_id, contact_id, scope, occurred_at);
create index consents_recent on messaging.consents (tenant_id, created_at, id);
-- A history: rows are added. A merge gives them the winner's id, a confirmation is noted.
call messaging.protect('messaging.consents', 'select, insert');
grant update (contact_id, confirmed_at) on messaging.consents to app;

-- Of two times which word holds: the later one, and at the same second the refusal.
create function messaging.is_withdrawn(given_at timestamptz, withdrawn_at timestamptz)
    returns boolean
    language sql immutable parallel safe
    return withdrawn_at is not null and (given_at is null or withdrawn_at >= given_at);

-- Brings the contacts' states up to their histories. Any order and any repetition of calls ends in
-- the same state: the newest given and the newest withdrawn are kept, the state follows from both.
create function messaging.apply_consents(p_tenant uuid, p_contacts uuid[], p_now timestamptz)
    returns void
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    -- Sorted, and the join is a nested loop: the rows are locked in the order of their ids.
    update messaging.contacts as c
    set opted_in_at = greatest(c.opted_in_at, s.opted_in_at),
        opted_out_at = greatest(c.opted_out_at, s.opted_out_at),
        opt_in_status = case
            when s.opted_in_at is null and s.opted_out_at is null then c.opt_in_status
            when messaging.is_withdrawn(greatest(c.opted_in_at, s.opted_in_at),
                greatest(c.opted_out_at, s.opted_out_at)) then 'opted_out'
            else 'opted_in' end,
        marketing_stopped_at = greatest(c.marketing_stopped_at, s.stopped_at),
        marketing_resumed_at = greatest(c.marketing_resumed_at, s.resumed_at),
        updated_at = p_now
    from (
        select k.contact_id,
            max(k.occurred_at) filter (where k.scope = 'messages' and k.state = 'given') as opted_in_at,
            max(k.occurred_at) filter (where k.scope = 'messages' and k.state = 'withdrawn') as opted_out_at,
            max(k.occurred_at) filter (where k.scope = 'marketing' and k.state = 'withdrawn') as stopped_at,
            max(k.occurred_at) filter (where k.scope = 'marketing' and k.state = 'given') as resumed_at
        from messaging.consents as k
        where k.tenant_id = p_tenant and k.contact_id = any (p_contacts)
        group by k.contact_id order by k.contact_id
    ) as s
    where c.tenant_id = p_tenant and c.id = s.contact_id
        and (c.opted_in_at, c.opted_out_at, c.marketing_stopped_at, c.marketing_resumed_at)
            is distinct from (greatest(c.opted_in_at, s.opted_in_at),
                greatest(c.opted_out_at, s.opted_out_at),
                greatest(c.marketing_stopped_at, s.stopped_at),
                greatest(c.marketing_resumed_at, s.resumed_at));
end
$$;

-- STOP and START as messages. d: {"s": state, "by": keyword or button, "w": their words, "l": the
-- word's language or null}. The contacts' rows are locked already (sql/0007): before their
-- conversations', as everywhere.
create function messaging.effect_consent_words(p_tenant uuid, p_messages jsonb, p_now timestamptz)
    returns void
    language plpgsql as $$
begin
    insert into messaging.consents (tenant_id, contact_id, scope, state, source, wording, language,
        account_id, message_id, statement_sha256, occurred_at, created_at)
    select p_tenant, e.c, 'messages', e.d ->> 's', e.d ->> 'by', e.d ->> 'w', e.d ->> 'l', e.a,
        e.m, sha256(convert_to(e.a::text || ' ' || e.w, 'UTF8')), e.at, p_now
    from jsonb_to_recordset(p_messages) as e(m uuid, a uuid, c uuid, w text, at timestamptz, d jsonb)
    order by 10
    on conflict (tenant_id, statement_sha256) do nothing;
    perform messaging.apply_consents(p_tenant,
        array(select distinct e.c from jsonb_to_recordset(p_messages) as e(c uuid)), p_now);
end
$$;

-- Meta's own marketing opt-out and back. d: {"i": [{"k": kind, "v": value} …, the leading identifier
-- first], "ph": phone or null, "s": state, "w": Meta's sentence}. Returns how many are new.
create function messaging.event_user_preferences(
    p_tenant uuid, p_events jsonb, p_now timestamptz
) returns integer
    language plpgsql as $$
declare
    v_event record;
    v_contact uuid;
    v_contacts uuid[] := '{}';
    v_new boolean;
    v_all integer := 0;
begin
    -- They are few, and the person of each is found or made as that of a message.
    for v_event in
        select e.a, e.t, e.d from jsonb_to_recordset(p_events) as e(a uuid, t bigint, d jsonb)
        order by e.d -> 'i', e.t, e.d, e.a
    loop
        v_contact := (messaging.claim_contacts(p_tenant, jsonb_build_object(
            'p', jsonb_build_array(jsonb_strip_nulls(jsonb_build_object('ph', v_event.d -> 'ph'))),
            'i', (select jsonb_agg(i.value || jsonb_build_object('p', 0, 'r', i.ordinality - 1)
                    order by i.ordinality)
                from jsonb_array_elements(v_event.d -> 'i') with ordinality as i)), p_now))[1];
        insert into messaging.consents (tenant_id, contact_id, scope, state, source, wording,
            account_id, statement_sha256, occurred_at, created_at)
        values (p_tenant, v_contact, 'marketing', v_event.d ->> 's', 'whatsapp', v_event.d ->> 'w',
            v_event.a, sha256(convert_to(jsonb_build_object('a', v_event.a, 't', v_event.t,
                'd', v_event.d)::text, 'UTF8')),
            case when to_timestamp(v_event.t) > p_now + interval '5 minutes' then p_now
                else to_timestamp(v_event.t) end, p_now)
        on conflict (tenant_id, statement_sha256) do nothing
        returning true into v_new;
        v_all := v_all + coalesce(v_new, false)::integer;
        v_contacts := v_contacts || v_contact;
    end loop;
    perform messaging.apply_consents(p_tenant, v_contacts, p_now);
    return v_all;
end
$$;

-- Whoever deletes a contact takes away what finds it, in the same statement: who writes again is
-- somebody new, an empty contact with a conversation of their own. The row answers for its history.
create function messaging.forget_identifiers() returns trigger
    language plpgsql as $$
begin
    delete from messaging.contact_identifiers as ci
    where ci.tenant_id = new.tenant_id and ci.contact_id = new.id;
    return null;
end
$$;
create trigger forget_identifiers after update of deleted_at on messaging.contacts
    for each row when (old.deleted_at is null and new.deleted_at is not null)
    execute function messaging.forget_identifiers();
