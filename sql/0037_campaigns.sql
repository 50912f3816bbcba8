-- Campaigns: one template to an audience, and the state of each of its recipients.

create table messaging.whatsapp_campaigns (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    id uuid not null,
    account_id uuid not null,
    name text not null check (length(name) between 1 and 100),
    description text check (length(description) <= 500),
    template_id uuid not null,
    -- Where the values of the template's parameters come from.
    template_params jsonb not null default '{}' check (jsonb_typeof(template_params) = 'object'),
    -- Of the seven that people switch off; null: marketing for a marketing template, else none.
    notification_category text,
    audience_type text not null
        check (audience_type in ('all_contacts', 'tagged', 'segment', 'custom_list')),
    audience_config jsonb not null check (jsonb_typeof(audience_config) = 'object'),
    status text not null default 'draft' check (status in (
        'draft', 'scheduled', 'sending', 'paused', 'completed', 'cancelled')),
    -- Why it is paused, or why it went back to being a draft.
    pause_reason text check (length(pause_reason) between 1 and 100),
    pause_detail text check (length(pause_detail) <= 500),
    paused_at timestamptz,
    -- When the messages that waited were taken off the road, after the pause; null: to be done yet.
    held_at timestamptz,
    -- Of the schedule and of the send window.
    timezone text not null default 'UTC',
    scheduled_at timestamptz,
    -- {"from": "09:00", "until": "20:00", "weekdays": [1 … 7, Monday is 1]}
    send_window jsonb,
    -- From when until when the window is closed, or will be.
    closes_at timestamptz,
    opens_at timestamptz,
    -- {"per_minute": n, "doubles_every_minutes": m or null}
    ramp jsonb,
    -- What the ramp has let through is paid for until then.
    ramp_paid_until timestamptz,
    -- Of a hundred known outcomes and more, in percent; null: none.
    failure_limit smallint check (failure_limit between 1 and 100),
    -- Outcomes and failures that stood when it was resumed: they count no more.
    outcomes_before integer not null default 0,
    failures_before integer not null default 0,
    -- In `currency`; a price that is not known counts for nothing. Null: no cap, not known.
    spending_cap numeric(20, 4) check (spending_cap > 0),
    estimated_cost numeric(20, 4),
    -- Estimated, of those whose messages were stored: what the cap is held against.
    spent numeric(20, 10) not null default 0,
    currency text check (currency ~ '^[A-Z]{3}$'),
    started_at timestamptz,
    completed_at timestamptz,
    cancelled_at timestamptz,
    -- Written when the audience is frozen, and when nothing is left to do: no webhook writes here.
    total_recipients integer not null default 0,
    skipped_count integer not null default 0,
    sent_count integer not null default 0,
    delivered_count integer not null default 0,
    read_count integer not null default 0,
    failed_count integer not null default 0,
    opt_out_count integer not null default 0,
    -- [[seconds since 1970, recipients whose message has gone], …] of the last minutes.
    pace jsonb not null default '[]',
    created_by uuid,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    -- Whether a worker has something to do for it.
    is_open boolean not null generated always as (status in ('scheduled', 'sending')
        or (status = 'paused' and held_at is null)
        or (status = 'cancelled' and completed_at is null)) stored,
    primary key (tenant_id, id),
    foreign key (tenant_id, account_id) references messaging.whatsapp_accounts (tenant_id, id)
        on delete cascade,
    foreign key (tenant_id, template_id) references messaging.whatsapp_templates (tenant_id, id)
        on delete cascade,
    foreign key (tenant_id, created_by) references messaging.users (tenant_id, id)
        on delete set null (created_by)
);
create index whatsapp_campaigns_recent
    on messaging.whatsapp_campaigns (tenant_id, created_at, id);
create index whatsapp_campaigns_account on messaging.whatsapp_campaigns (tenant_id, account_id);
create index whatsapp_campaigns_template on messaging.whatsapp_campaigns (tenant_id, template_id);
create index whatsapp_campaigns_open on messaging.whatsapp_campaigns (tenant_id, id) where is_open;
call messaging.protect('messaging.whatsapp_campaigns', 'select, insert, update');
create trigger touch before update on messaging.whatsapp_campaigns
    for each row execute function messaging.touch();

-- A person of a campaign, once. Frozen when it starts.
-- Without foreign keys: a million checks cost as much as the rows. A contact is never deleted, and with a
-- campaign its recipients go by a trigger.
create table messaging.campaign_recipients (
    tenant_id uuid not null,
    campaign_id uuid not null,
    contact_id uuid not null,
    -- In which order they are written to.
    position integer not null,
    -- pending: no message yet. skipped: there will be none. cancelled: the campaign was, before its turn
    -- or before its message left. Else its message's own, where queued is pending and sending, sent is
    -- accepted and sent, read is read and played.
    status text not null check (status in ('pending', 'skipped', 'queued', 'unconfirmed',
        'undetermined', 'sent', 'delivered', 'read', 'failed', 'denied', 'expired', 'cancelled')),
    -- Why it was skipped, denied, or has failed: a word of ours or Meta's code.
    reason text,
    message_id uuid,
    -- The one that failed before, which is tried again.
    previous_message_id uuid,
    -- What the list gives for them.
    variables jsonb not null default '{}',
    -- Of one message in the campaign's currency; null: not known.
    estimated_price numeric(20, 10),
    updated_at timestamptz not null,
    -- The person first: a merge of contacts looks for its rows in all campaigns.
    primary key (tenant_id, contact_id, campaign_id)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
-- Who is next, how many are in which state, who they are: all of it.
create index campaign_recipients_status
    on messaging.campaign_recipients (tenant_id, campaign_id, status, position);
create unique index campaign_recipients_message
    on messaging.campaign_recipients (tenant_id, message_id) where message_id is not null;
call messaging.protect('messaging.campaign_recipients', 'select, insert, update');

create function messaging.delete_recipients() returns trigger
    language plpgsql security definer set search_path = pg_catalog, pg_temp
    set enable_seqscan = off as $$
begin
    delete from messaging.campaign_recipients as r
    where r.tenant_id = old.tenant_id and r.campaign_id = old.id;
    return null;
end
$$;
revoke execute on function messaging.delete_recipients() from public;
create trigger delete_recipients after delete on messaging.whatsapp_campaigns
    for each row execute function messaging.delete_recipients();
create policy door on messaging.campaign_recipients to door using (true);
grant select, delete on messaging.campaign_recipients to door;

-- Of recipients that turn out to be one person one is written to, the earlier one; whoever has had a message
-- gets no second. A row whose place is taken stays under the old id, which answers for ever.
create function messaging.merge_campaign_recipients_contact_id(
    p_tenant uuid, p_from uuid[], p_to uuid, p_now timestamptz
) returns void
    language sql
    begin atomic
    update messaging.campaign_recipients as r
    set status = 'skipped', reason = 'merged', updated_at = p_now
    where r.tenant_id = p_tenant and r.contact_id = any (p_to || p_from) and r.status = 'pending'
        and exists (select from messaging.campaign_recipients as o
            where o.tenant_id = p_tenant and o.contact_id = any (p_to || p_from)
                and o.campaign_id = r.campaign_id and o.contact_id <> r.contact_id
                and case o.status when 'skipped' then false when 'pending' then o.position < r.position
                    else true end);
    end;

-- Whoever is deleted: what a list gave for them goes with them.
create function messaging.forget_recipients() returns trigger
    language plpgsql as $$
begin
    update messaging.campaign_recipients as r set variables = '{}'
    where r.tenant_id = new.tenant_id and r.contact_id = new.id and r.variables <> '{}';
    return null;
end
$$;
create trigger forget_recipients after update of deleted_at on messaging.contacts
    for each row when (old.deleted_at is null and new.deleted_at is not null)
    execute function messaging.forget_recipients();

-- A recipient's state, of that of the message.
create function messaging.recipient_status(message_status text) returns text
    language sql immutable parallel safe
    return case message_status when 'pending' then 'queued' when 'sending' then 'queued'
        when 'accepted' then 'sent' when 'played' then 'read' else message_status end;

-- A recipient follows its message in the same transaction, whoever moved it.
create function messaging.follow_message() returns trigger
    language plpgsql
    set enable_seqscan = off as $$
begin
    if messaging.recipient_status(new.status) = messaging.recipient_status(old.status) then
        return null;
    end if;
    update messaging.campaign_recipients as r
    set status = messaging.recipient_status(new.status),
        reason = case when new.status in ('failed', 'denied', 'expired', 'cancelled')
            then new.error_code end,
        updated_at = new.updated_at
    where r.tenant_id = new.tenant_id and r.message_id = new.id;
    return null;
end
$$;
-- The condition is all that other messages pay, and it is planned anew for each statement: a call of a
-- function in it would cost a single send a tenth of a millisecond.
create trigger follow_message after update of status on messaging.whatsapp_messages
    for each row when (new.origin = 'campaign') execute function messaging.follow_message();

-- When what a pause holds is due. (Not infinity: that is a template's, and released by the sweep.)
create function messaging.on_hold() returns timestamptz
    language sql immutable parallel safe
    return '9999-12-31 00:00+00'::timestamptz;

-- A message that was on its way while its campaign was paused, and comes back because nothing was sent,
-- waits with the others; one that would be tried again after hours waits for the morning. Whoever pauses changes the campaign first and looks for attempts after that
-- commit; the lock here makes one of the two see the other. Only what falls back pays for it.
create function messaging.hold_fallen_back() returns trigger
    language plpgsql
    set enable_seqscan = off as $$
declare
    v_campaign uuid;
    v_status text;
    v_closes_at timestamptz;
    v_opens_at timestamptz;
begin
    select m.origin_id into v_campaign from messaging.whatsapp_messages as m
    where m.tenant_id = new.tenant_id and m.id = new.message_id and m.origin = 'campaign';
    if v_campaign is not null then
        select c.status, c.closes_at, c.opens_at into v_status, v_closes_at, v_opens_at
        from messaging.whatsapp_campaigns as c
        where c.tenant_id = new.tenant_id and c.id = v_campaign for share;
        if v_status in ('paused', 'cancelled') then
            new.due_at := messaging.on_hold();
        elsif new.due_at >= v_closes_at then
            new.due_at := greatest(new.due_at, v_opens_at);
        end if;
    end if;
    return new;
end
$$;
create trigger hold_fallen_back before update of phase on messaging.send_attempts
    for each row when (new.priority = 30 and new.phase = 'pending' and old.phase <> 'pending')
    execute function messaging.hold_fallen_back();

-- Puts off until p_until what waits of a campaign in one of these states, leased or not: a worker that
-- has leased some and not yet marked them as intent finds its lease gone. What is under intent goes out.
-- Returns how many; null: the campaign is in another state.
create function messaging.hold_campaign(
    p_tenant uuid, p_campaign uuid, p_states text[], p_until timestamptz
) returns integer
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_count integer;
begin
    perform from messaging.whatsapp_campaigns as c
    where c.tenant_id = p_tenant and c.id = p_campaign and c.status = any (p_states) for share;
    if not found then
        return null;
    end if;
    with waiting as (
        select a.message_id
        from messaging.campaign_recipients as r
        join messaging.send_attempts as a
            on a.tenant_id = p_tenant and a.message_id = r.message_id
        where r.tenant_id = p_tenant and r.campaign_id = p_campaign and r.status = 'queued'
            and a.phase = 'pending' and (a.lease_token is not null or a.due_at < p_until
                -- What a template holds back would be let go when Meta approves it.
                or (p_until = messaging.on_hold() and a.due_at > p_until))
        order by a.message_id for update of a
    ), held as (
        update messaging.send_attempts as a
        set due_at = case when p_until = messaging.on_hold() then p_until
                else greatest(a.due_at, p_until) end,
            lease_token = null, lease_until = null
        from waiting as w
        where a.tenant_id = p_tenant and a.message_id = w.message_id
        returning 1
    )
    select count(*) into v_count from held;
    return v_count;
end
$$;

-- Lets go of what a pause holds.
create function messaging.release_campaign(p_tenant uuid, p_campaign uuid, p_now timestamptz)
    returns integer
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_count integer;
begin
    with waiting as (
        select a.message_id
        from messaging.campaign_recipients as r
        join messaging.send_attempts as a
            on a.tenant_id = p_tenant and a.message_id = r.message_id
        where r.tenant_id = p_tenant and r.campaign_id = p_campaign and r.status = 'queued'
            and a.phase = 'pending' and a.due_at = messaging.on_hold()
        order by a.message_id for update of a
    ), released as (
        update messaging.send_attempts as a set due_at = p_now
        from waiting as w
        where a.tenant_id = p_tenant and a.message_id = w.message_id
        returning 1
    )
    select count(*) into v_count from released;
    return v_count;
end
$$;

-- Cancels up to p_limit messages of a campaign of which no byte has left. One that is to be sent once more
-- is undetermined then: the first may have arrived. Returns how many were there.
create function messaging.cancel_campaign_messages(
    p_tenant uuid, p_campaign uuid, p_limit integer, p_now timestamptz
) returns integer
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_ids uuid[];
    v_first uuid[];
    v_again uuid[];
begin
    v_ids := array(
        select r.message_id
        from messaging.campaign_recipients as r
        join messaging.send_attempts as a
            on a.tenant_id = p_tenant and a.message_id = r.message_id
        where r.tenant_id = p_tenant and r.campaign_id = p_campaign and r.status = 'queued'
            and a.phase = 'pending'
        limit p_limit);
    perform from messaging.whatsapp_messages as m
    where m.tenant_id = p_tenant and m.id = any (v_ids) order by m.id for no key update;
    select coalesce(array_agg(a.message_id) filter (where a.attempt = 1), '{}'),
        coalesce(array_agg(a.message_id) filter (where a.attempt > 1), '{}')
    into v_first, v_again
    from (select o.message_id, o.attempt from messaging.send_attempts as o
        where o.tenant_id = p_tenant and o.message_id = any (v_ids) and o.phase = 'pending'
        order by o.message_id for update) as a;
    update messaging.whatsapp_messages as m
    set status = x.target, status_rank = messaging.status_rank(x.target),
        error_code = case x.target when 'cancelled' then 'campaign_cancelled' else m.error_code end,
        updated_at = p_now
    from (
        select o.id, case when o.wa_message_id is not null then 'accepted'
            when o.id = any (v_first) then 'cancelled' else 'undetermined' end as target
        from messaging.whatsapp_messages as o
        where o.tenant_id = p_tenant and o.id = any (v_first || v_again) and o.status = 'pending'
    ) as x
    where m.tenant_id = p_tenant and m.id = x.id and m.id = any (v_first || v_again);
    delete from messaging.send_attempts as a
    where a.tenant_id = p_tenant and a.message_id = any (v_first || v_again);
    return cardinality(v_ids);
end
$$;

-- Makes recipients pending again whose message has failed, or was denied for something that was no
-- person's wish (p_denied). By the messages' locks: a status that lifts one comes before or after.
-- Only what is in its state since before p_before, so that what fails again meanwhile is left.
-- Returns how many there were, and how many are pending again.
create function messaging.retry_recipients(
    p_tenant uuid, p_campaign uuid, p_denied text[], p_before timestamptz, p_limit integer,
    p_now timestamptz, out looked_at integer, out retried integer
)
    language plpgsql
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    v_ids uuid[];
begin
    v_ids := array(
        select r.message_id from messaging.campaign_recipients as r
        where r.tenant_id = p_tenant and r.campaign_id = p_campaign
            and r.status in ('failed', 'denied') and r.message_id is not null
            and (r.status = 'failed' or r.reason = any (p_denied)) and r.updated_at <= p_before
        limit p_limit);
    perform from messaging.whatsapp_messages as m
    where m.tenant_id = p_tenant and m.id = any (v_ids) order by m.id for no key update;
    update messaging.campaign_recipients as r
    set status = 'pending', reason = null, previous_message_id = r.message_id, message_id = null,
        updated_at = p_now
    where r.tenant_id = p_tenant and r.message_id = any (v_ids)
        and r.status in ('failed', 'denied');
    get diagnostics retried = row_count;
    looked_at := cardinality(v_ids);
end
$$;

-- Puts in a run of every campaign that has something to do and no run that waits or works: one whose run has
-- failed for good, and one whose pause was cut short. Returns how many.
create function messaging.put_campaign_runs(p_now timestamptz default null) returns integer
    language sql security definer set search_path = pg_catalog, pg_temp
    set enable_seqscan = off
    begin atomic
    with put as (
        insert into messaging.scheduled_jobs
            (tenant_id, job_type, args, scheduled_for, created_at, priority, lane)
        select c.tenant_id, 'run_campaign', jsonb_build_object('campaign_id', c.id),
            greatest(n.now, case c.status when 'scheduled' then c.scheduled_at end), n.now, 30,
            'campaign:' || c.id
        from messaging.whatsapp_campaigns as c
        join messaging.tenants as t on t.id = c.tenant_id and t.is_active
        cross join (select coalesce(p_now, clock_timestamp()) as now) as n
        where c.is_open
            and not exists (select from messaging.scheduled_jobs as j where j.tenant_id = c.tenant_id
                and j.lane = 'campaign:' || c.id and j.status = 'pending')
            and not exists (select from messaging.scheduled_jobs as j where j.tenant_id = c.tenant_id
                and j.lane = 'campaign:' || c.id and j.status = 'running')
        order by c.tenant_id, c.id
        returning id
    )
    select count(*)::integer from put;
    end;
revoke execute on function messaging.put_campaign_runs(timestamptz) from public;
grant execute on function messaging.put_campaign_runs(timestamptz) to app;
grant create on schema messaging to door;
alter function messaging.put_campaign_runs(timestamptz) owner to door;
alter function messaging.delete_recipients() owner to door;
revoke create on schema messaging from door;
create policy door on messaging.whatsapp_campaigns for select to door using (true);
grant select on messaging.whatsapp_campaigns to door;
