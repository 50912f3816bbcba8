-- The road of a send: policy -> reserve -> intent -> transmit -> settle, and what puts right a
-- worker that died on it. send_attempts is the only queue of sends.
-- Rows are locked in one order: idempotency_keys, message_keys, contact_identifiers, contacts,
-- whatsapp_conversations, whatsapp_messages, send_attempts, delivery_logs; each sorted by key.

-- A version-7 UUID of an instant (RFC 9562, 5.7): the log's partitions follow it.
create function messaging.new_id(at timestamptz) returns uuid
    language sql volatile strict parallel safe
    return (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7'
        || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid;

-- How long an unknown outcome may still be settled by a status. A code is useless after 30 s.
create function messaging.settle_time(kind text) returns interval
    language sql immutable parallel safe
    return case when kind = 'authentication' then interval '30 seconds' else interval '15 minutes' end;

-- One open attempt per message; the row goes when the attempt is finished. Small, unpartitioned.
create table messaging.send_attempts (
    tenant_id uuid not null,
    message_id uuid not null,
    -- The n of the attempt's key `<message id>.<n>`, which goes out as biz_opaque_callback_data.
    attempt smallint not null default 1 check (attempt >= 1),
    -- Order of reservation: ids of one millisecond are in no order.
    seq bigint generated always as identity,
    account_id uuid not null,
    contact_id uuid not null,
    conversation_id uuid not null,
    -- Attempts of one lane go out one at a time, in order. The conversation.
    lane uuid not null,
    -- Which gates of the policy apply, and whether an unknown outcome may be sent once more.
    kind text not null check (kind in ('reply', 'utility', 'authentication', 'marketing')),
    -- 10 replies, 20 automations, 30 bulk.
    priority smallint not null check (priority in (10, 20, 30)),
    -- pending: no byte may leave. sending: intent is committed, a byte may have left.
    phase text not null default 'pending' check (phase in ('pending', 'sending', 'unconfirmed')),
    lease_token uuid,
    lease_until timestamptz,
    due_at timestamptz not null,
    expires_at timestamptz,
    intent_at timestamptz,
    settle_at timestamptz,
    -- Transmissions that provably sent nothing (no connection, throttled).
    tries smallint not null default 0,
    -- Digits for Meta's `to`, or a business-scoped user id for `recipient`.
    recipient text not null check (length(recipient) between 1 and 200),
    recipient_kind text not null check (recipient_kind in ('phone', 'user_id')),
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, message_id),
    check ((lease_token is null) = (lease_until is null)),
    check (phase <> 'sending' or lease_token is not null),
    check (phase <> 'unconfirmed' or (lease_token is null and settle_at is not null)),
    foreign key (tenant_id, conversation_id)
        references messaging.whatsapp_conversations (tenant_id, id) on delete cascade
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01);
create index send_attempts_due
    on messaging.send_attempts (tenant_id, account_id, priority, due_at, seq)
    where phase = 'pending' and lease_token is null;
create index send_attempts_lane on messaging.send_attempts (tenant_id, lane, seq)
    where phase <> 'unconfirmed';
-- Never two of one lane at once, whoever races.
create unique index send_attempts_running on messaging.send_attempts (tenant_id, lane)
    where lease_token is not null;
create index send_attempts_unconfirmed on messaging.send_attempts (tenant_id, settle_at)
    where phase = 'unconfirmed';
create index send_attempts_expiring on messaging.send_attempts (expires_at)
    where phase = 'pending' and expires_at is not null;
call messaging.protect('messaging.send_attempts', 'select, insert, update, delete');

-- A caller's Idempotency-Key: taken in the transaction that reserves the message, so a crash leaves
-- both or neither. Until the answer stands here the lease says that the first request still runs;
-- after it the message itself tells what became of it.
create table messaging.idempotency_keys (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    key text not null check (length(key) between 1 and 255),
    request_sha256 bytea not null check (length(request_sha256) = 32),
    message_id uuid not null,
    -- {"status": HTTP status, "body": the whole document}
    answer jsonb,
    lease_until timestamptz not null,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    primary key (tenant_id, key)
);
create index idempotency_keys_expiry on messaging.idempotency_keys (expires_at);
call messaging.protect('messaging.idempotency_keys', 'select, insert, update, delete');

-- What the policy is told about a new message.
create type messaging.asked as (
    n integer, tenant_active boolean, tenant_stopped boolean, account_id uuid, phone_number_id text,
    number_active boolean, number_status text, number_stopped boolean, access_token bytea,
    contact_id uuid, is_blocked boolean, conversation_id uuid, window_expires_at timestamptz,
    known_phone text, known_user_id text, key_sha256 bytea, key_answer jsonb,
    key_lease_until timestamptz, key_message_id uuid, at timestamptz
);

-- What the policy asks about new messages, in one round trip. p_items: [{"n": index,
-- "from": phone_number_id, "phone": canonical digits | "contact": contact id, "key": key}].
-- A number, contact or key that is unknown gives nulls. (Here and below: plans are generic, since
-- planning a join over partitions anew costs more than running it, and go from row to row by index,
-- since a generic plan may be made before a table has grown; one item goes in scalar steps, since
-- starting a chain of set steps costs more than its rows.)
create function messaging.ask_sends(p_tenant uuid, p_items jsonb, p_now timestamptz default null)
    returns setof messaging.asked
    language plpgsql set plan_cache_mode = force_generic_plan
    set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
begin
    perform set_config('switchboard.tenant_id', p_tenant::text, true);
    if jsonb_array_length(p_items) = 1 then
        return next messaging.ask_send(p_tenant, p_items -> 0, v_now);
        return;
    end if;
    return query
    select i.n, t.is_active, t.sends_stopped_at is not null, a.id, a.phone_number_id,
        messaging.is_number_active(a),
        a.status, a.sends_stopped_at is not null, a.access_token_sealed, r.id, r.is_blocked,
        v.id, v.window_expires_at,
        case when i.phone is null then messaging.identifier_of(p_tenant, r.id, 'phone') end,
        case when i.phone is null then messaging.identifier_of(p_tenant, r.id, 'user_id') end,
        k.request_sha256, k.answer, k.lease_until, k.message_id, v_now
    from jsonb_to_recordset(p_items) as i(n integer, "from" text, phone text, contact uuid, key text)
    left join messaging.tenants as t on t.id = p_tenant
    left join messaging.whatsapp_accounts as a
        on a.tenant_id = p_tenant and a.phone_number_id = i."from"
    left join messaging.contact_identifiers as d
        on d.tenant_id = p_tenant and d.kind = 'phone' and d.value = i.phone
    left join messaging.contacts as c on c.tenant_id = p_tenant
        and c.id = coalesce(i.contact, d.contact_id)
        and (c.deleted_at is null or i.contact is null)
    -- A merged contact's id answers for ever.
    left join messaging.contacts as r on r.tenant_id = p_tenant
        and r.id = coalesce(c.merged_into, c.id)
    left join messaging.whatsapp_conversations as v
        on v.tenant_id = p_tenant and v.account_id = a.id and v.contact_id = r.id
    left join messaging.idempotency_keys as k
        on k.tenant_id = p_tenant and k.key = i.key and k.expires_at > v_now;
end
$$;

-- The one-item road of ask_sends.
create function messaging.ask_send(p_tenant uuid, p_item jsonb, p_now timestamptz)
    returns messaging.asked
    language plpgsql as $$
declare
    r messaging.asked;
    v_contact uuid := p_item ->> 'contact';
    v_merged uuid;
begin
    r.n := p_item ->> 'n';
    r.at := p_now;
    if p_item ->> 'key' is not null then
        select k.request_sha256, k.answer, k.lease_until, k.message_id
        into r.key_sha256, r.key_answer, r.key_lease_until, r.key_message_id
        from messaging.idempotency_keys as k
        where k.tenant_id = p_tenant and k.key = p_item ->> 'key' and k.expires_at > p_now;
    end if;
    select t.is_active, t.sends_stopped_at is not null into r.tenant_active, r.tenant_stopped
    from messaging.tenants as t where t.id = p_tenant;
    select a.id, a.phone_number_id, messaging.is_number_active(a), a.status,
        a.sends_stopped_at is not null, a.access_token_sealed
    into r.account_id, r.phone_number_id, r.number_active, r.number_status, r.number_stopped,
        r.access_token
    from messaging.whatsapp_accounts as a
    where a.tenant_id = p_tenant and a.phone_number_id = p_item ->> 'from';
    if v_contact is null then
        select d.contact_id into v_contact from messaging.contact_identifiers as d
        where d.tenant_id = p_tenant and d.kind = 'phone' and d.value = p_item ->> 'phone';
    end if;
    select c.id, c.is_blocked, c.merged_into into r.contact_id, r.is_blocked, v_merged
    from messaging.contacts as c
    where c.tenant_id = p_tenant and c.id = v_contact
        and (c.deleted_at is null or p_item ->> 'contact' is null);
    if v_merged is not null then
        select c.id, c.is_blocked into r.contact_id, r.is_blocked
        from messaging.contacts as c where c.tenant_id = p_tenant and c.id = v_merged;
    end if;
    if p_item ->> 'phone' is null then
        r.known_phone := messaging.identifier_of(p_tenant, r.contact_id, 'phone');
        r.known_user_id := messaging.identifier_of(p_tenant, r.contact_id, 'user_id');
    end if;
    select v.id, v.window_expires_at into r.conversation_id, r.window_expires_at
    from messaging.whatsapp_conversations as v
    where v.tenant_id = p_tenant and v.account_id = r.account_id and v.contact_id = r.contact_id;
    return r;
end
$$;

-- The identifier to reach a contact by: the one that a change brought last; else the phone it was first
-- known by, its newest user id.
create function messaging.identifier_of(p_tenant uuid, p_contact uuid, p_kind text) returns text
    language sql stable
    begin atomic
    select d.value from messaging.contact_identifiers as d
    where d.tenant_id = p_tenant and d.contact_id = p_contact and d.kind = p_kind
    order by d.taken_at desc nulls last,
        case when p_kind = 'user_id' then d.created_at end desc, d.created_at, d.value limit 1;
    end;

-- A message to be stored:
--   n index, id message id, account, contact (null: new), new_contact, phone canonical digits of a
--   new contact, new_conversation, type, content, context, metadata, preview, origin, origin_id,
--   category, notification_category, urgent, kind, priority, expires_at, recipient, recipient_kind,
--   decision, state (sending | pending | denied), due_at (pending: not before), lease (whether to
--   lease it), key, sha256 (hex), answer (known already: denied or deferred)
-- and what reserve_sends finds out: conversation, leased, reserved.
create type messaging.outgoing as (
    n integer, id uuid, account uuid, contact uuid, new_contact uuid, phone text,
    new_conversation uuid, type text, content jsonb, context text, metadata jsonb, preview text,
    origin text, origin_id uuid, category text, notification_category text, urgent boolean,
    kind text, priority smallint, expires_at timestamptz, recipient text, recipient_kind text,
    decision jsonb, state text, due_at timestamptz, lease boolean, key text, sha256 text,
    answer jsonb, conversation uuid, leased boolean, reserved boolean
);

-- What became of one of them.
create type messaging.reservation as (
    n integer, reserved boolean, contact_id uuid, conversation_id uuid, leased boolean
);

-- Stores messages with their verdict and leases what may go out now. One call for any number.
-- `sending` is reserve and intent in one commit: the first slice goes out right after it.
-- Returns per item whether its key was free, its ids, and whether it is leased to p_token: a lane
-- in use leases nothing, the message waits as pending.
create function messaging.reserve_sends(
    p_tenant uuid, p_token uuid, p_items jsonb, p_lease interval, p_now timestamptz default null
)
    returns setof messaging.reservation
    language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_one messaging.outgoing;
    v_items messaging.outgoing[];
begin
    perform set_config('switchboard.tenant_id', p_tenant::text, true);
    perform messaging.hold_contacts(p_tenant);
    if jsonb_array_length(p_items) = 1 then
        v_one := messaging.reserve_send(p_tenant, p_token,
            jsonb_populate_record(null::messaging.outgoing, p_items -> 0), p_lease, v_now);
        return query select v_one.n, v_one.reserved, v_one.contact, v_one.conversation, v_one.leased;
        return;
    end if;
    v_items := array(select i from jsonb_populate_recordset(null::messaging.outgoing, p_items) as i);
    if jsonb_path_exists(p_items, '$[*].key') then
        v_items := messaging.claim_send_keys(p_tenant, v_items, p_lease, v_now);
    end if;
    -- A contact of the question may have been merged since.
    v_items := messaging.follow_merges(p_tenant, v_items);
    if jsonb_path_exists(p_items, '$[*].new_contact') then
        v_items := messaging.claim_recipients(p_tenant, v_items, v_now);
    end if;
    return query select * from messaging.store_sends(p_tenant, p_token, v_items, p_lease, v_now);
end
$$;

-- The one-item road of reserve_sends: the same rows in scalar steps.
create function messaging.reserve_send(
    p_tenant uuid, p_token uuid, i messaging.outgoing, p_lease interval, p_now timestamptz
) returns messaging.outgoing
    language plpgsql as $$
declare
    v_shown boolean := i.state <> 'denied';
begin
    i.leased := false;
    if i.key is not null then
        insert into messaging.idempotency_keys as k (tenant_id, key, request_sha256, message_id,
            answer, lease_until, created_at, expires_at)
        values (p_tenant, i.key, decode(i.sha256, 'hex'), i.id, i.answer, p_now + p_lease, p_now,
            p_now + interval '7 days')
        on conflict (tenant_id, key) do update set request_sha256 = excluded.request_sha256,
            message_id = excluded.message_id, answer = excluded.answer,
            lease_until = excluded.lease_until, created_at = excluded.created_at,
            expires_at = excluded.expires_at
            where k.expires_at <= p_now;
        if not found then
            i.reserved := false;
            return i;
        end if;
    end if;
    i.reserved := true;

    -- The contact of the question may have been merged since.
    i.contact := messaging.contact_now(p_tenant, i.contact);
    if i.contact is null then
        insert into messaging.contact_identifiers as d (tenant_id, kind, value, contact_id, created_at)
        values (p_tenant, 'phone', i.phone, i.new_contact, p_now)
        on conflict (tenant_id, kind, value) do update set value = excluded.value
        returning d.contact_id into i.contact;
        if i.contact = i.new_contact then
            insert into messaging.contacts (tenant_id, id, phone_number, created_at, updated_at)
            values (p_tenant, i.contact, '+' || i.phone, p_now, p_now);
        end if;
    end if;

    insert into messaging.whatsapp_conversations as c (tenant_id, id, account_id, contact_id,
        message_count, last_message_at, last_message_key, last_message_preview,
        last_message_direction, created_at, updated_at)
    values (p_tenant, i.new_conversation, i.account, i.contact, v_shown::integer,
        case when v_shown then p_now end, case when v_shown then i.id::text end,
        case when v_shown then i.preview end, case when v_shown then 'outbound' end, p_now, p_now)
    on conflict (tenant_id, account_id, contact_id) do update set
        message_count = c.message_count + excluded.message_count,
        last_message_key = case when messaging.outshines(excluded.last_message_at, c.last_message_at)
            then excluded.last_message_key else c.last_message_key end,
        last_message_preview = case when messaging.outshines(excluded.last_message_at, c.last_message_at)
            then excluded.last_message_preview else c.last_message_preview end,
        last_message_direction = case when messaging.outshines(excluded.last_message_at, c.last_message_at)
            then excluded.last_message_direction else c.last_message_direction end,
        last_message_at = greatest(c.last_message_at, excluded.last_message_at),
        updated_at = p_now
    returning c.id into i.conversation;

    if i.state <> 'denied' then
        i.leased := i.lease and not exists (select from messaging.send_attempts as o
            where o.tenant_id = p_tenant and o.lane = i.conversation and o.phase <> 'unconfirmed'
                and (o.lease_token is not null
                    or (o.priority <= i.priority and (o.due_at <= p_now or o.tries > 0))));
        -- Both loops end: a lane that a worker takes between our look and our insert leaves the
        -- attempt unleased, and unleased ones never collide.
        loop
            insert into messaging.send_attempts (tenant_id, message_id, account_id, contact_id,
                conversation_id, lane, kind, priority, phase, lease_token, lease_until, due_at,
                expires_at, intent_at, recipient, recipient_kind, created_at)
            values (p_tenant, i.id, i.account, i.contact, i.conversation, i.conversation, i.kind,
                i.priority, case when i.leased then i.state else 'pending' end,
                case when i.leased then p_token end, case when i.leased then p_now + p_lease end,
                coalesce(i.due_at, p_now), i.expires_at,
                case when i.leased and i.state = 'sending' then p_now end, i.recipient,
                i.recipient_kind, p_now)
            on conflict (tenant_id, lane) where lease_token is not null do nothing;
            exit when found;
            i.leased := false;
        end loop;
        if not i.leased then
            i.state := 'pending';
        end if;
    end if;

    insert into messaging.whatsapp_messages (tenant_id, id, account_id, conversation_id, contact_id,
        wa_context_id, direction, origin, origin_id, message_type, content, metadata, status,
        status_rank, decision, category, notification_category, urgent, expires_at, occurred_at,
        created_at, updated_at)
    values (p_tenant, i.id, i.account, i.conversation, i.contact, i.context, 'outbound', i.origin,
        i.origin_id, i.type, i.content, coalesce(i.metadata, '{}'), i.state,
        messaging.status_rank(i.state), i.decision, i.category, i.notification_category,
        coalesce(i.urgent, false), i.expires_at, p_now, p_now, p_now);
    return i;
end
$$;

-- Whether a message of ours is the one that a conversation shows from now on.
create function messaging.outshines(ours timestamptz, shown timestamptz) returns boolean
    language sql immutable parallel safe
    return ours is not null and (shown is null or ours >= shown);

-- Takes the idempotency keys of p_items; those whose key is taken come back as not reserved.
create function messaging.claim_send_keys(
    p_tenant uuid, p_items messaging.outgoing[], p_lease interval, p_now timestamptz
) returns messaging.outgoing[]
    language plpgsql as $$
declare
    v_free text[];
    k integer;
begin
    with taken as (
        insert into messaging.idempotency_keys as k (tenant_id, key, request_sha256, message_id,
            answer, lease_until, created_at, expires_at)
        select p_tenant, i.key, decode(i.sha256, 'hex'), i.id, i.answer, p_now + p_lease, p_now,
            p_now + interval '7 days'
        from unnest(p_items) as i
        where i.key is not null
        order by i.key
        on conflict (tenant_id, key) do update set request_sha256 = excluded.request_sha256,
            message_id = excluded.message_id, answer = excluded.answer,
            lease_until = excluded.lease_until, created_at = excluded.created_at,
            expires_at = excluded.expires_at
            where k.expires_at <= p_now
        returning k.key
    )
    select coalesce(array_agg(taken.key), '{}') into v_free from taken;
    for k in 1 .. cardinality(p_items) loop
        if p_items[k].key is not null then
            p_items[k].reserved := p_items[k].key = any (v_free);
        end if;
    end loop;
    return p_items;
end
$$;

-- Puts the winner in the place of a contact that was merged after its question was asked.
create function messaging.follow_merges(p_tenant uuid, p_items messaging.outgoing[])
    returns messaging.outgoing[]
    language plpgsql as $$
declare
    k integer;
begin
    if exists (select from unnest(p_items) as i
        join messaging.contacts as c on c.tenant_id = p_tenant and c.id = i.contact
        where c.merged_into is not null)
    then
        for k in 1 .. cardinality(p_items) loop
            p_items[k].contact := messaging.contact_now(p_tenant, p_items[k].contact);
        end loop;
    end if;
    return p_items;
end
$$;

-- Makes the contacts of people never seen before. The loser of a race takes the winner's contact.
create function messaging.claim_recipients(
    p_tenant uuid, p_items messaging.outgoing[], p_now timestamptz
) returns messaging.outgoing[]
    language sql
    begin atomic
    with wanted as (
        select distinct on (i.phone) i.phone, i.new_contact from unnest(p_items) as i
        where i.contact is null and coalesce(i.reserved, true) order by i.phone
    ), known as (
        insert into messaging.contact_identifiers as d (tenant_id, kind, value, contact_id, created_at)
        select p_tenant, 'phone', wanted.phone, wanted.new_contact, p_now from wanted
        order by wanted.phone
        on conflict (tenant_id, kind, value) do update set value = excluded.value
        returning d.value, d.contact_id
    ), made as (
        insert into messaging.contacts (tenant_id, id, phone_number, created_at, updated_at)
        select p_tenant, known.contact_id, '+' || known.value, p_now, p_now
        from known join wanted on wanted.phone = known.value
            and wanted.new_contact = known.contact_id
        order by known.contact_id
    )
    select array_agg(row(i.n, i.id, i.account, coalesce(i.contact, known.contact_id), i.new_contact,
        i.phone, i.new_conversation, i.type, i.content, i.context, i.metadata, i.preview, i.origin,
        i.origin_id, i.category, i.notification_category, i.urgent, i.kind, i.priority,
        i.expires_at, i.recipient, i.recipient_kind, i.decision, i.state, i.due_at, i.lease, i.key,
        i.sha256, i.answer, i.conversation, i.leased, i.reserved)::messaging.outgoing order by i.n)
    from unnest(p_items) as i
    left join known on i.contact is null and known.value = i.phone;
    end;

-- The set road of reserve_sends: conversations, attempts, messages, each once and sorted.
create function messaging.store_sends(
    p_tenant uuid, p_token uuid, p_items messaging.outgoing[], p_lease interval, p_now timestamptz
)
    returns setof messaging.reservation
    language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
    v_conversations uuid[];
    v_numbers integer[];
    v_leasable boolean[];
    v_leased uuid[];
begin
    -- The thread shows the newest message that was not denied.
    with threads as (
        insert into messaging.whatsapp_conversations as c (tenant_id, id, account_id, contact_id,
            message_count, last_message_at, last_message_key, last_message_preview,
            last_message_direction, created_at, updated_at)
        select p_tenant, (array_agg(i.new_conversation order by i.n))[1], i.account, i.contact,
            count(*) filter (where i.state <> 'denied'),
            max(p_now) filter (where i.state <> 'denied'),
            (array_agg(i.id::text order by i.n desc) filter (where i.state <> 'denied'))[1],
            (array_agg(i.preview order by i.n desc) filter (where i.state <> 'denied'))[1],
            max('outbound') filter (where i.state <> 'denied'), p_now, p_now
        from unnest(p_items) as i
        where coalesce(i.reserved, true)
        group by i.account, i.contact order by i.account, i.contact
        on conflict (tenant_id, account_id, contact_id) do update set
            message_count = c.message_count + excluded.message_count,
            last_message_key = case when messaging.outshines(excluded.last_message_at, c.last_message_at)
                then excluded.last_message_key else c.last_message_key end,
            last_message_preview = case when messaging.outshines(excluded.last_message_at, c.last_message_at)
                then excluded.last_message_preview else c.last_message_preview end,
            last_message_direction = case when messaging.outshines(excluded.last_message_at, c.last_message_at)
                then excluded.last_message_direction else c.last_message_direction end,
            last_message_at = greatest(c.last_message_at, excluded.last_message_at),
            updated_at = p_now
        returning c.id, c.account_id, c.contact_id
    )
    select array_agg(i.n order by i.n), array_agg(t.id order by i.n)
    into v_numbers, v_conversations
    from unnest(p_items) as i
    join threads as t on t.account_id = i.account and t.contact_id = i.contact
    where coalesce(i.reserved, true);

    -- One per lane may run: the first of this call, unless an open attempt is ahead of it. A
    -- statement of its own: it sees what others have committed before our locks were granted.
    select array_agg(x.turn = 1 and x.wanted and not exists (
            select from messaging.send_attempts as o
            where o.tenant_id = p_tenant and o.lane = x.conversation and o.phase <> 'unconfirmed'
                and (o.lease_token is not null
                    or (o.priority <= x.priority and (o.due_at <= p_now or o.tries > 0)))
        ) order by x.n)
    into v_leasable
    from (
        select i.n, c.conversation, i.priority, i.lease and i.state <> 'denied' as wanted,
            row_number() over (
                partition by c.conversation, i.lease and i.state <> 'denied' order by i.n) as turn
        from unnest(p_items) as i
        join unnest(v_numbers, v_conversations) as c(n, conversation) on c.n = i.n
    ) as x;

    with placed as (
        insert into messaging.send_attempts (tenant_id, message_id, account_id, contact_id,
            conversation_id, lane, kind, priority, phase, lease_token, lease_until, due_at,
            expires_at, intent_at, recipient, recipient_kind, created_at)
        select p_tenant, i.id, i.account, i.contact, x.conversation, x.conversation, i.kind,
            i.priority, case when x.leasable then i.state else 'pending' end,
            case when x.leasable then p_token end, case when x.leasable then p_now + p_lease end,
            coalesce(i.due_at, p_now), i.expires_at,
            case when x.leasable and i.state = 'sending' then p_now end,
            i.recipient, i.recipient_kind, p_now
        from unnest(p_items) as i
        join unnest(v_numbers, v_conversations, v_leasable) as x(n, conversation, leasable)
            on x.n = i.n
        where i.state <> 'denied'
        order by i.n
        on conflict (tenant_id, lane) where lease_token is not null do nothing
        returning message_id, lease_token is not null as leased
    )
    select coalesce(array_agg(p.message_id) filter (where p.leased), '{}') into v_leased
    from placed as p;
    -- A worker took a lane between our look and our insert: that message waits its turn.
    if cardinality(v_leased) < (select count(*) from unnest(v_leasable) as l where l) then
        insert into messaging.send_attempts (tenant_id, message_id, account_id, contact_id,
            conversation_id, lane, kind, priority, due_at, expires_at, recipient, recipient_kind,
            created_at)
        select p_tenant, i.id, i.account, i.contact, x.conversation, x.conversation, i.kind,
            i.priority, p_now, i.expires_at, i.recipient, i.recipient_kind, p_now
        from unnest(p_items) as i
        join unnest(v_numbers, v_conversations, v_leasable) as x(n, conversation, leasable)
            on x.n = i.n
        where x.leasable and i.id <> all (v_leased)
        order by i.n;
    end if;

    insert into messaging.whatsapp_messages (tenant_id, id, account_id, conversation_id, contact_id,
        wa_context_id, direction, origin, origin_id, message_type, content, metadata, status,
        status_rank, decision, category, notification_category, urgent, expires_at, occurred_at,
        created_at, updated_at)
    select p_tenant, i.id, i.account, x.conversation, i.contact, i.context, 'outbound', i.origin,
        i.origin_id, i.type, i.content, coalesce(i.metadata, '{}'), r.status, r.rank, i.decision,
        i.category, i.notification_category, coalesce(i.urgent, false), i.expires_at, p_now, p_now,
        p_now
    from unnest(p_items) as i
    join unnest(v_numbers, v_conversations) as x(n, conversation) on x.n = i.n
    -- Ranks once per call: status_rank() costs a function call per row.
    join (values ('pending', messaging.status_rank('pending')),
            ('sending', messaging.status_rank('sending')),
            ('denied', messaging.status_rank('denied'))) as r(status, rank)
        on r.status = case when i.state = 'sending' and i.id <> all (v_leased)
            then 'pending' else i.state end
    order by i.id;

    return query
    select i.n, coalesce(i.reserved, true), i.contact, x.conversation, i.id = any (v_leased)
    from unnest(p_items) as i
    left join unnest(v_numbers, v_conversations) as x(n, conversation) on x.n = i.n;
end
$$;

-- Leases attempts of this tenant's messages that are due and whose lane is free: what a caller
-- reserved a moment ago and could not lease because an earlier message of its lane was going out.
create function messaging.lease_sends(
    p_tenant uuid, p_token uuid, p_messages uuid[], p_lease interval, p_now timestamptz default null
)
    returns setof uuid
    language plpgsql as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
begin
    perform set_config('switchboard.tenant_id', p_tenant::text, true);
    return query
    with free as materialized (
        select a.message_id, a.lane, a.priority, a.seq from messaging.send_attempts as a
        where a.tenant_id = p_tenant and a.message_id = any (p_messages) and a.phase = 'pending'
            and a.lease_token is null and a.due_at <= v_now
            and not exists (select from messaging.send_attempts as o
                where o.tenant_id = p_tenant and o.lane = a.lane and o.phase <> 'unconfirmed'
                    and o.message_id <> a.message_id and (o.lease_token is not null
                        or (o.seq < a.seq and o.priority <= a.priority
                            and (o.due_at <= v_now or o.tries > 0))))
        order by a.seq
        for update skip locked
    ), heads as (
        select distinct on (f.lane) f.message_id from free as f order by f.lane, f.priority, f.seq
    )
    update messaging.send_attempts as a set lease_token = p_token, lease_until = v_now + p_lease
    from heads where a.tenant_id = p_tenant and a.message_id = heads.message_id
    returning a.message_id;
exception when unique_violation then
    return;
end
$$;

-- What a leased attempt needs to be asked about and sent.
create function messaging.load_sends(
    p_tenant uuid, p_token uuid, p_messages uuid[], p_now timestamptz default null
)
    returns table (message_id uuid, attempt smallint, account_id uuid, contact_id uuid, kind text,
        recipient text, recipient_kind text, tries smallint, expires_at timestamptz,
        message_type text, content jsonb, context text, metadata jsonb, phone_number_id text,
        tenant_active boolean,
        tenant_stopped boolean, number_active boolean, number_status text, number_stopped boolean,
        access_token bytea, is_blocked boolean, window_expires_at timestamptz, at timestamptz)
    language plpgsql set plan_cache_mode = force_generic_plan
    set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
begin
    perform set_config('switchboard.tenant_id', p_tenant::text, true);
    return query
    select a.message_id, a.attempt, a.account_id, a.contact_id, a.kind, a.recipient,
        a.recipient_kind, a.tries, a.expires_at, m.message_type, m.content, m.wa_context_id,
        m.metadata, n.phone_number_id, t.is_active, t.sends_stopped_at is not null,
        messaging.is_number_active(n), n.status, n.sends_stopped_at is not null, n.access_token_sealed, r.is_blocked, v.window_expires_at,
        v_now
    from unnest(p_messages) as x(id)
    join messaging.send_attempts as a on a.tenant_id = p_tenant and a.message_id = x.id
    join messaging.whatsapp_messages as m on m.tenant_id = p_tenant and m.id = x.id
    join messaging.tenants as t on t.id = p_tenant
    join messaging.whatsapp_accounts as n on n.tenant_id = p_tenant and n.id = a.account_id
    join messaging.whatsapp_conversations as v
        on v.tenant_id = p_tenant and v.id = a.conversation_id
    join messaging.contacts as c on c.tenant_id = p_tenant and c.id = a.contact_id
    join messaging.contacts as r on r.tenant_id = p_tenant and r.id = coalesce(c.merged_into, c.id)
    where a.message_id = any (p_messages) and m.id = any (p_messages)
        and a.lease_token = p_token and a.phase = 'pending'
    order by a.seq;
end
$$;

-- What one request came to.
create type messaging.settlement as (
    id uuid, account uuid, contact uuid, result text, wamid text, wa_id text, code text,
    message text, errors jsonb, response jsonb, delay double precision, key text, answer jsonb
);

-- What became of one attempt in a commit of advance_sends.
create type messaging.step as (message_id uuid, step text, status text, wa_message_id text);

-- What is asked for before a request: the verdict of this attempt.
create type messaging.intention as (
    id uuid, verdict text, decision jsonb, due_at timestamptz, delay double precision, code text,
    message text, key text, answer jsonb
);

-- One commit: settles a slice and marks the next one as intent.
-- p_settle, one per transmitted attempt (messaging.settlement): id message id, account, contact,
--   result (accepted | failed | retry | unconfirmed), wamid, wa_id (another phone form of the
--   contact that Meta told), code, message, errors, response, delay seconds (retry), key, answer
-- p_intent, one per attempt that is asked for (messaging.intention): id, verdict (allowed | denied |
--   expired | deferred), decision to append, due_at or delay in seconds (deferred), code, message
-- p_release: attempts whose lease is given back untouched.
-- Guard: what is not leased to p_token any more (the worker was too slow and the sweep or another
-- worker took over) changes no state, is not sent, and says `fenced`; the id that Meta gave is
-- recorded all the same, so that its statuses find the message.
-- Returns a row per settled, intended or refused attempt: step (settled | fenced | intended |
-- closed), the message's status and Meta's id.
create function messaging.advance_sends(
    p_tenant uuid, p_token uuid, p_settle jsonb, p_intent jsonb, p_release uuid[],
    p_lease interval, p_now timestamptz default null
)
    returns setof messaging.step
    language plpgsql set plan_cache_mode = force_generic_plan
    set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_settle messaging.settlement[];
    v_intent messaging.intention[];
    v_ids uuid[];
    v_first uuid;
    v_last uuid;
    v_unsent uuid[];
    v_sent uuid[];
    v_held uuid[];
    v_early text[];
    v_accounts uuid[];
    v_account uuid;
begin
    perform set_config('switchboard.tenant_id', p_tenant::text, true);
    if p_intent = '[]' and jsonb_array_length(p_settle) = 1 and cardinality(p_release) = 0 then
        return next messaging.settle_send(p_tenant, p_token,
            jsonb_populate_record(null::messaging.settlement, p_settle -> 0), v_now);
        return;
    end if;
    v_settle := array(select s from jsonb_populate_recordset(null::messaging.settlement, p_settle) as s);
    v_intent := array(select i from jsonb_populate_recordset(null::messaging.intention, p_intent) as i);

    if jsonb_path_exists(p_settle, '$[*].key') then
        update messaging.idempotency_keys as k set answer = s.answer
        from (select * from unnest(v_settle) as s where s.key is not null order by s.key) as s
        where k.tenant_id = p_tenant and k.key = s.key and k.message_id = s.id and k.answer is null;
    end if;
    -- The key row is what a status of the same message waits for or has left behind. xmax is set
    -- where the row stood already: then its events are applied below.
    if jsonb_path_exists(p_settle, '$[*].wamid') then
        with claimed as (
            insert into messaging.message_keys as k
                (tenant_id, account_id, wa_message_id, message_id, created_at)
            select p_tenant, s.account, s.wamid, s.id, v_now
            from unnest(v_settle) as s
            where s.wamid is not null
            order by s.account, s.wamid collate "C"
            on conflict (account_id, wa_message_id)
                do update set message_id = coalesce(k.message_id, excluded.message_id)
            returning k.account_id, k.wa_message_id, k.xmax <> 0 as stood
        )
        select array_agg(c.wa_message_id), array_agg(c.account_id) into v_early, v_accounts
        from claimed as c where c.stood;
    end if;
    if jsonb_path_exists(p_settle, '$[*].wa_id') then
        insert into messaging.contact_identifiers (tenant_id, kind, value, contact_id, created_at)
        select distinct on (s.wa_id) p_tenant, 'phone', s.wa_id, s.contact, v_now
        from unnest(v_settle) as s
        where s.wa_id is not null order by s.wa_id
        on conflict (tenant_id, kind, value) do nothing;
    end if;

    v_ids := array(select s.id from unnest(v_settle) as s union all
        select i.id from unnest(v_intent) as i order by 1);
    v_first := v_ids[1];
    v_last := v_ids[cardinality(v_ids)];
    -- A status that came meanwhile proves that an earlier attempt arrived: nothing more to send.
    select coalesce(array_agg(m.id) filter (where m.status = 'pending' and m.wa_message_id is null), '{}')
    into v_unsent
    from (
        select m.id, m.status, m.wa_message_id from messaging.whatsapp_messages as m
        where m.tenant_id = p_tenant and m.id = any (v_ids) and m.id between v_first and v_last
        order by m.id for no key update
    ) as m;
    select coalesce(array_agg(a.message_id) filter (where a.phase = 'sending'), '{}'),
        coalesce(array_agg(a.message_id) filter (where a.phase = 'pending'), '{}')
    into v_sent, v_held
    from (select a.message_id, a.phase from messaging.send_attempts as a
        where a.tenant_id = p_tenant and a.message_id = any (v_ids || p_release)
            and a.lease_token = p_token
        order by a.message_id for update) as a;

    return query
    with x as materialized (
        select s.id, s.id = any (v_sent) as ours, s.wamid, s.code, s.message, s.errors,
            null::jsonb as decision, t.target, messaging.status_rank(t.target) as rank,
            s.result = 'retry' as falls,
            case when s.id = any (v_sent) then 'settled' else 'fenced' end as step
        from unnest(v_settle) as s
        cross join lateral (select case s.result when 'retry' then 'pending' else s.result end) as t(target)
        where s.id = any (v_sent) or s.wamid is not null
        union all
        select i.id, true, null, i.code, i.message, null, i.decision, t.target,
            messaging.status_rank(t.target), false,
            case i.verdict when 'allowed' then 'intended' else 'closed' end
        from unnest(v_intent) as i
        cross join lateral (select case i.verdict when 'allowed' then 'sending'
            when 'deferred' then 'pending' else i.verdict end) as t(target)
        where i.id = any (v_held) and i.id = any (v_unsent)
    )
    update messaging.whatsapp_messages as m
    set wa_message_id = coalesce(m.wa_message_id, x.wamid),
        status = case when x.ours and messaging.moves(m.status_rank, x.rank, x.falls)
            then x.target else m.status end,
        status_rank = case when x.ours and messaging.moves(m.status_rank, x.rank, x.falls)
            then x.rank else m.status_rank end,
        accepted_at = case when x.ours and x.target = 'accepted'
            then coalesce(m.accepted_at, v_now) else m.accepted_at end,
        failed_at = case when x.ours and x.target = 'failed'
            then least(m.failed_at, v_now) else m.failed_at end,
        error_code = case when x.ours and messaging.explains(x.target,
                messaging.moves(m.status_rank, x.rank, x.falls), v_now, x.errors, m.failed_at, m.errors)
            then x.code else m.error_code end,
        error_message = case when x.ours and messaging.explains(x.target,
                messaging.moves(m.status_rank, x.rank, x.falls), v_now, x.errors, m.failed_at, m.errors)
            then x.message else m.error_message end,
        errors = case when x.ours and messaging.explains(x.target,
                messaging.moves(m.status_rank, x.rank, x.falls), v_now, x.errors, m.failed_at, m.errors)
            then x.errors else m.errors end,
        decision = case when x.decision is null then m.decision
            else coalesce(m.decision, '[]') || x.decision end,
        retry_count = m.retry_count + (x.ours and x.falls)::integer,
        updated_at = v_now
    from x
    -- By its own ids as well as by the join: whatever the plan, only these rows are visited; the
    -- bounds leave out the partitions that hold none of them.
    where m.tenant_id = p_tenant and m.id = x.id
        and m.id = any (v_ids) and m.id between v_first and v_last
    returning m.id, x.step, m.status, m.wa_message_id;

    if cardinality(v_settle) > 0 then
        perform messaging.end_attempts(p_tenant, v_settle, v_sent, v_now);
    end if;
    if cardinality(v_intent) > 0 then
        perform messaging.mark_attempts(p_tenant, v_intent, v_held, v_unsent, p_lease, v_now);
    end if;
    if cardinality(p_release) > 0 then
        update messaging.send_attempts as a set lease_token = null, lease_until = null
        where a.tenant_id = p_tenant and a.message_id = any (p_release)
            and a.message_id = any (v_held);
    end if;
    for v_account in select distinct e from unnest(v_accounts) as e order by e loop
        perform messaging.apply_status_events(p_tenant, v_account, v_early, v_now);
    end loop;
end
$$;

-- Ends the attempts of p_sent (locked, `sending` and ours) by their results.
create function messaging.end_attempts(
    p_tenant uuid, p_settle messaging.settlement[], p_sent uuid[], p_now timestamptz
) returns void
    language plpgsql as $$
begin
    with finished as (
        delete from messaging.send_attempts as a
        using unnest(p_settle) as s
        where a.tenant_id = p_tenant and a.message_id = s.id and s.id = any (p_sent)
            and s.result in ('accepted', 'failed')
        returning a.message_id, a.contact_id, a.recipient, a.attempt, s.result, s.response, s.code,
            s.message
    )
    insert into messaging.delivery_logs (tenant_id, id, message_id, contact_id, channel, recipient,
        attempt, status, provider_response, error_code, error_message, created_at)
    select p_tenant, messaging.new_id(p_now), f.message_id, f.contact_id, 'whatsapp', f.recipient,
        f.attempt, f.result, f.response, f.code, f.message, p_now
    from finished as f;

    if exists (select from unnest(p_settle) as s where s.result in ('retry', 'unconfirmed')) then
        update messaging.send_attempts as a
        set phase = case s.result when 'retry' then 'pending' else 'unconfirmed' end,
            lease_token = null, lease_until = null,
            due_at = p_now + coalesce(s.delay, 0) * interval '1 second',
            tries = a.tries + (s.result = 'retry')::integer,
            settle_at = case s.result when 'unconfirmed' then p_now + messaging.settle_time(a.kind) end
        from unnest(p_settle) as s
        where a.tenant_id = p_tenant and a.message_id = s.id and s.id = any (p_sent)
            and s.result in ('retry', 'unconfirmed');
    end if;
end
$$;

-- Marks the attempts of p_held (locked, `pending` and ours) by their verdicts; those of messages
-- that are denied, or need no sending any more (not in p_unsent), are over.
create function messaging.mark_attempts(
    p_tenant uuid, p_intent messaging.intention[], p_held uuid[], p_unsent uuid[],
    p_lease interval, p_now timestamptz
) returns void
    language plpgsql as $$
begin
    update messaging.send_attempts as a
    set phase = case i.verdict when 'allowed' then 'sending' else 'pending' end,
        lease_token = case i.verdict when 'allowed' then a.lease_token end,
        lease_until = case i.verdict when 'allowed' then p_now + p_lease end,
        intent_at = case i.verdict when 'allowed' then p_now else a.intent_at end,
        due_at = coalesce(i.due_at, p_now + i.delay * interval '1 second', a.due_at)
    from unnest(p_intent) as i
    where a.tenant_id = p_tenant and a.message_id = i.id and i.id = any (p_held)
        and i.id = any (p_unsent) and i.verdict in ('allowed', 'deferred');

    if exists (select from unnest(p_intent) as i
            where i.verdict not in ('allowed', 'deferred') or i.id <> all (p_unsent)) then
        delete from messaging.send_attempts as a
        using unnest(p_intent) as i
        where a.tenant_id = p_tenant and a.message_id = i.id and i.id = any (p_held)
            and (i.verdict not in ('allowed', 'deferred') or i.id <> all (p_unsent));
    end if;
end
$$;

-- Whether a failure comes before the one a message shows: by (time, errors), any two in one order.
create function messaging.earlier(new_at timestamptz, new jsonb, old_at timestamptz, old jsonb)
    returns boolean
    language sql immutable parallel safe
    return new_at is not null and (old_at is null or new_at < old_at
        or (new_at = old_at and coalesce(new, 'null') < coalesce(old, 'null')));

-- Whether a result's reason takes the place of the one a message shows. Of failures the earliest
-- stays, as in fold_statuses; every other step that moves the message brings its own reason or none,
-- so what passed (throttled, unconfirmed) leaves nothing on a message that went through.
create function messaging.explains(
    target text, moves boolean, at timestamptz, new jsonb, failed_at timestamptz, old jsonb
) returns boolean
    language sql immutable parallel safe
    return case when target = 'failed' then messaging.earlier(at, new, failed_at, old) else moves end;

-- The ladder only climbs; the lease holder alone may go back to pending.
create function messaging.moves(rank smallint, target smallint, falls boolean) returns boolean
    language sql immutable parallel safe
    return rank < target or (falls and rank <= 20);

-- The one-item road of advance_sends, for a single message: the same rows in scalar steps.
create function messaging.settle_send(
    p_tenant uuid, p_token uuid, s messaging.settlement, p_now timestamptz
) returns messaging.step
    language plpgsql as $$
declare
    r messaging.step;
    v_attempt messaging.send_attempts;
    v_stood boolean := false;
    v_falls boolean := s.result = 'retry';
    v_target text := case s.result when 'retry' then 'pending' else s.result end;
    v_rank smallint := messaging.status_rank(v_target);
begin
    if s.key is not null then
        update messaging.idempotency_keys as k set answer = s.answer
        where k.tenant_id = p_tenant and k.key = s.key and k.message_id = s.id and k.answer is null;
    end if;
    if s.wamid is not null then
        insert into messaging.message_keys as k
            (tenant_id, account_id, wa_message_id, message_id, created_at)
        values (p_tenant, s.account, s.wamid, s.id, p_now)
        on conflict (account_id, wa_message_id)
            do update set message_id = coalesce(k.message_id, excluded.message_id)
        returning k.xmax <> 0 into v_stood;
    end if;
    if s.wa_id is not null then
        insert into messaging.contact_identifiers (tenant_id, kind, value, contact_id, created_at)
        values (p_tenant, 'phone', s.wa_id, s.contact, p_now)
        on conflict (tenant_id, kind, value) do nothing;
    end if;

    perform 1 from messaging.whatsapp_messages as m
    where m.tenant_id = p_tenant and m.id = s.id for no key update;
    if s.result in ('accepted', 'failed') then
        delete from messaging.send_attempts as a
        where a.tenant_id = p_tenant and a.message_id = s.id and a.lease_token = p_token
            and a.phase = 'sending'
        returning a.* into v_attempt;
    else
        update messaging.send_attempts as a
        set phase = case when v_falls then 'pending' else 'unconfirmed' end,
            lease_token = null, lease_until = null,
            due_at = p_now + coalesce(s.delay, 0) * interval '1 second',
            tries = a.tries + v_falls::integer,
            settle_at = case when not v_falls then p_now + messaging.settle_time(a.kind) end
        where a.tenant_id = p_tenant and a.message_id = s.id and a.lease_token = p_token
            and a.phase = 'sending'
        returning a.* into v_attempt;
    end if;
    if v_attempt.message_id is null then
        -- Fenced: only the id that Meta gave is kept.
        update messaging.whatsapp_messages as m
        set wa_message_id = coalesce(m.wa_message_id, s.wamid), updated_at = p_now
        where m.tenant_id = p_tenant and m.id = s.id
        returning m.id, 'fenced', m.status, m.wa_message_id into r;
    else
        update messaging.whatsapp_messages as m
        set wa_message_id = coalesce(m.wa_message_id, s.wamid),
            status = case when messaging.moves(m.status_rank, v_rank, v_falls)
                then v_target else m.status end,
            status_rank = case when messaging.moves(m.status_rank, v_rank, v_falls)
                then v_rank else m.status_rank end,
            accepted_at = case when v_target = 'accepted'
                then coalesce(m.accepted_at, p_now) else m.accepted_at end,
            failed_at = case when v_target = 'failed'
                then least(m.failed_at, p_now) else m.failed_at end,
            error_code = case when messaging.explains(v_target,
                    messaging.moves(m.status_rank, v_rank, v_falls), p_now, s.errors, m.failed_at, m.errors)
                then s.code else m.error_code end,
            error_message = case when messaging.explains(v_target,
                    messaging.moves(m.status_rank, v_rank, v_falls), p_now, s.errors, m.failed_at, m.errors)
                then s.message else m.error_message end,
            errors = case when messaging.explains(v_target,
                    messaging.moves(m.status_rank, v_rank, v_falls), p_now, s.errors, m.failed_at, m.errors)
                then s.errors else m.errors end,
            retry_count = m.retry_count + v_falls::integer,
            updated_at = p_now
        where m.tenant_id = p_tenant and m.id = s.id
        returning m.id, 'settled', m.status, m.wa_message_id into r;
        if s.result in ('accepted', 'failed') then
            insert into messaging.delivery_logs (tenant_id, id, message_id, contact_id, channel,
                recipient, attempt, status, provider_response, error_code, error_message, created_at)
            values (p_tenant, messaging.new_id(p_now), s.id, v_attempt.contact_id, 'whatsapp',
                v_attempt.recipient, v_attempt.attempt, s.result, s.response, s.code, s.message, p_now);
        end if;
    end if;
    if v_stood then
        perform messaging.apply_status_events(p_tenant, s.account, array[s.wamid], p_now);
    end if;
    return r;
end
$$;

-- What became of attempts whose worker died or whose outcome is unknown, one tenant at a time:
-- a lease that ended after the intent makes the message unconfirmed; a status that came, or Meta's
-- id recorded by a late worker, settles it; after the settle time it is undetermined, or sent once
-- more where the number allows it. Takes only what can move at p_now, so that what waits for
-- its time is in nobody's way; fewer than p_limit rows returned says that nothing more can. Returns
-- the messages that were seen to and what they are now.
create function messaging.recover_sends(
    p_tenant uuid, p_limit integer, p_now timestamptz default null
)
    returns table (message_id uuid, status text)
    language plpgsql set plan_cache_mode = force_generic_plan
    set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_ids uuid[];
    v_known uuid[];
    v_lost uuid[];
    v_again uuid[];
    v_given_up uuid[];
    v_expired uuid[];
begin
    perform set_config('switchboard.tenant_id', p_tenant::text, true);
    -- One select per reason: each goes by an index of its own.
    select array_agg(x.message_id order by x.message_id) into v_ids
    from (
        select w.message_id from (
            (select a.message_id from messaging.send_attempts as a
                where a.tenant_id = p_tenant and a.lease_token is not null
                    and a.phase = 'sending' and a.lease_until <= v_now limit p_limit)
            union all
            (select a.message_id from messaging.send_attempts as a
                where a.tenant_id = p_tenant and a.phase = 'unconfirmed' and a.settle_at <= v_now
                order by a.settle_at limit p_limit)
            union all
            (select a.message_id from messaging.send_attempts as a
                where a.tenant_id = p_tenant and a.phase = 'unconfirmed' and a.settle_at > v_now
                    and exists (select from messaging.whatsapp_messages as m
                        where m.tenant_id = p_tenant and m.id = a.message_id
                            and (m.status_rank >= 50 or m.wa_message_id is not null))
                limit p_limit)
            union all
            (select a.message_id from messaging.send_attempts as a
                where a.tenant_id = p_tenant and a.phase = 'pending' and a.lease_token is null
                    and a.expires_at <= v_now limit p_limit)
        ) as w limit p_limit
    ) as x;
    if v_ids is null then
        return;
    end if;
    perform 1 from messaging.whatsapp_messages as m
    where m.tenant_id = p_tenant and m.id = any (v_ids)
    order by m.id for no key update;
    perform 1 from messaging.send_attempts as a
    where a.tenant_id = p_tenant and a.message_id = any (v_ids)
    order by a.message_id for update;

    -- Locked: look again, since the worker may have settled meanwhile.
    select array_agg(a.message_id) filter (where a.phase <> 'pending' and a.known),
        array_agg(a.message_id) filter (where a.phase = 'sending' and not a.known),
        array_agg(a.message_id) filter (where a.phase = 'unconfirmed' and not a.known
            and a.settle_at <= v_now and a.again),
        array_agg(a.message_id) filter (where a.phase = 'unconfirmed' and not a.known
            and a.settle_at <= v_now and not a.again),
        array_agg(a.message_id) filter (where a.phase = 'pending')
    into v_known, v_lost, v_again, v_given_up, v_expired
    from (
        select a.message_id, a.phase, a.settle_at,
            m.status_rank >= 50 or m.wa_message_id is not null as known,
            -- Codes and marketing never go out twice; a reply only while its window is open.
            n.resend_once and a.attempt = 1 and coalesce(a.expires_at > v_now, true)
                and (a.kind = 'utility' or (a.kind = 'reply' and v.window_expires_at > v_now))
                and exists (select from messaging.whatsapp_messages as later
                    where later.tenant_id = p_tenant and later.account_id = a.account_id
                        and later.id > messaging.uuid_at(a.intent_at)
                        and later.direction = 'outbound'
                        and least(later.sent_at, later.delivered_at, later.read_at) is not null
                ) as again
        from messaging.send_attempts as a
        join messaging.whatsapp_messages as m on m.tenant_id = p_tenant and m.id = a.message_id
        join messaging.whatsapp_accounts as n on n.tenant_id = p_tenant and n.id = a.account_id
        join messaging.whatsapp_conversations as v
            on v.tenant_id = p_tenant and v.id = a.conversation_id
        where a.tenant_id = p_tenant and a.message_id = any (v_ids) and m.id = any (v_ids)
            and (a.phase = 'unconfirmed' or (a.phase = 'sending' and a.lease_until <= v_now)
                or (a.phase = 'pending' and a.lease_token is null and a.expires_at <= v_now))
    ) as a;

    return query
    with moved as (
        update messaging.whatsapp_messages as m
        set status = x.target, status_rank = messaging.status_rank(x.target),
            accepted_at = case when x.target = 'accepted' then coalesce(m.accepted_at, v_now)
                else m.accepted_at end,
            -- A reason stands only while the outcome is open: what was accepted has none.
            error_code = case when x.target in ('unconfirmed', 'undetermined')
                then coalesce(m.error_code, 'no_answer')
                when x.target = 'expired' then 'expired'
                when x.target = 'pending' then m.error_code end,
            error_message = case when x.target in ('unconfirmed', 'undetermined', 'pending')
                then m.error_message when x.target = 'expired' then 'its expires_at is over' end,
            errors = case when x.target in ('unconfirmed', 'undetermined', 'pending')
                then m.errors end,
            updated_at = v_now
        from (
            select k, 'accepted' from unnest(v_known) as k
            union all select k, 'unconfirmed' from unnest(v_lost) as k
            union all select k, 'pending' from unnest(v_again) as k
            union all select k, 'undetermined' from unnest(v_given_up) as k
            union all select k, 'expired' from unnest(v_expired) as k
        ) as x(id, target)
        where m.tenant_id = p_tenant and m.id = x.id
            and case x.target
                when 'pending' then m.status_rank < 50
                when 'expired' then m.status = 'pending'
                else m.status_rank < messaging.status_rank(x.target) end
        returning m.id, m.status
    )
    select moved.id, moved.status from moved
    union all
    -- Statuses have moved these already; only their attempts are left to end.
    select m.id, m.status from messaging.whatsapp_messages as m
    where m.tenant_id = p_tenant and m.id = any (v_known || v_expired)
        and not exists (select from moved where moved.id = m.id);

    update messaging.send_attempts as a
    set phase = 'unconfirmed', lease_token = null, lease_until = null,
        settle_at = v_now + messaging.settle_time(a.kind)
    where a.tenant_id = p_tenant and a.message_id = any (v_lost);

    -- The attempt in doubt is over either way; a resend is attempt n + 1 of the same message.
    insert into messaging.delivery_logs (tenant_id, id, message_id, contact_id, channel, recipient,
        attempt, status, error_code, error_message, delivered_at, created_at)
    select p_tenant, messaging.new_id(v_now), a.message_id, a.contact_id, 'whatsapp', a.recipient,
        a.attempt, case when a.message_id = any (v_known) then case m.status
            when 'read' then 'delivered' when 'played' then 'delivered' else m.status end
            else 'unconfirmed' end,
        m.error_code, m.error_message, m.delivered_at, v_now
    from messaging.send_attempts as a
    join messaging.whatsapp_messages as m on m.tenant_id = p_tenant and m.id = a.message_id
    where a.tenant_id = p_tenant and a.message_id = any (v_known || v_given_up || v_again)
    order by a.message_id;

    update messaging.send_attempts as a
    set attempt = a.attempt + 1, phase = 'pending', due_at = v_now, settle_at = null, tries = 0
    where a.tenant_id = p_tenant and a.message_id = any (v_again);

    delete from messaging.send_attempts as a
    where a.tenant_id = p_tenant and a.message_id = any (v_known || v_given_up || v_expired);
end
$$;

create policy door on messaging.send_attempts to door using (true) with check (true);
grant select, update on messaging.send_attempts to door;
create policy door on messaging.idempotency_keys to door using (true);
grant select, update, delete on messaging.idempotency_keys to door;

-- Leases up to p_limit due attempts: replies before bulk, tenants in turn, one per lane and in the
-- lane's order; nothing of a stopped or inactive tenant or number. An older attempt of the lane
-- holds it while it is due, running, or was tried and waits for its retry. Raises
-- serialization_failure when another worker took a lane at the same moment: claim again.
create function messaging.claim_sends(
    p_token uuid, p_limit integer, p_lease interval, p_now timestamptz default null
)
    returns table (tenant_id uuid, message_id uuid)
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
begin
    return query
    with found as materialized (
        select d.tenant_id, d.message_id, d.lane, d.priority, d.due_at, d.seq
        from messaging.whatsapp_accounts as n
        join messaging.tenants as t on t.id = n.tenant_id
        cross join (values (10::smallint), (20::smallint), (30::smallint)) as u(priority)
        cross join lateral (
            select a.tenant_id, a.message_id, a.lane, a.priority, a.due_at, a.seq
            from messaging.send_attempts as a
            where a.tenant_id = n.tenant_id and a.account_id = n.id and a.priority = u.priority
                and a.phase = 'pending' and a.lease_token is null and a.due_at <= v_now
                and not exists (select from messaging.send_attempts as o
                    where o.tenant_id = a.tenant_id and o.lane = a.lane
                        and o.phase <> 'unconfirmed' and o.message_id <> a.message_id
                        and (o.lease_token is not null or (o.seq < a.seq
                            and o.priority <= a.priority and (o.due_at <= v_now or o.tries > 0))))
            order by a.due_at, a.seq
            limit p_limit
            for update skip locked
        ) as d
        where messaging.is_number_active(n) and n.sends_stopped_at is null
            and t.is_active and t.sends_stopped_at is null
    ), heads as (
        -- A reply and older bulk of one lane are both free to go, but not at once.
        select distinct on (f.tenant_id, f.lane) f.* from found as f
        order by f.tenant_id, f.lane, f.priority, f.seq
    ), fair as (
        select f.tenant_id, f.message_id from (
            select h.*, row_number() over (partition by h.tenant_id, h.priority
                order by h.due_at, h.seq) as turn
            from heads as h
        ) as f
        order by f.priority, f.turn, f.due_at limit p_limit
    )
    update messaging.send_attempts as a
    set lease_token = p_token, lease_until = v_now + p_lease
    from fair where a.tenant_id = fair.tenant_id and a.message_id = fair.message_id
    returning a.tenant_id, a.message_id;
exception when unique_violation then
    raise serialization_failure using message = 'another worker took the lane';
end
$$;

-- Gives back what a dead worker leased and never marked as intent, forgets idempotency keys whose
-- days are over, and tells which tenants have attempts to recover.
create function messaging.sweep_sends(p_now timestamptz default null) returns setof uuid
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
begin
    update messaging.send_attempts as a set lease_token = null, lease_until = null
    from (select s.tenant_id, s.message_id from messaging.send_attempts as s
        where s.lease_token is not null and s.lease_until <= v_now and s.phase = 'pending'
        order by s.tenant_id, s.message_id for update skip locked) as s
    where a.tenant_id = s.tenant_id and a.message_id = s.message_id;
    delete from messaging.idempotency_keys as k
    using (select o.tenant_id, o.key from messaging.idempotency_keys as o
        where o.expires_at <= v_now order by o.tenant_id, o.key limit 10000
        for update skip locked) as o
    where k.tenant_id = o.tenant_id and k.key = o.key;
    return query select distinct a.tenant_id from messaging.send_attempts as a
        where a.phase = 'unconfirmed'
            or (a.phase = 'sending' and a.lease_token is not null and a.lease_until <= v_now)
            or (a.phase = 'pending' and a.lease_token is null and a.expires_at <= v_now)
        order by 1;
end
$$;

revoke execute on function messaging.claim_sends(uuid, integer, interval, timestamptz),
    messaging.sweep_sends(timestamptz) from public;
grant execute on function messaging.claim_sends(uuid, integer, interval, timestamptz),
    messaging.sweep_sends(timestamptz) to app;
grant create on schema messaging to door;
alter function messaging.claim_sends(uuid, integer, interval, timestamptz) owner to door;
alter function messaging.sweep_sends(timestamptz) owner to door;
revoke create on schema messaging from door;
