-- The person's own view of their preferences: a page behind a signed link.

-- The check only grows, and every row that is there passes it.
-- squawk-ignore-file ban-drop-constraint, constraint-missing-not-valid
alter table messaging.consents
    drop constraint consents_source_check,
    -- page: chosen by the person on the page of their preferences.
    add constraint consents_source_check
        check (source in ('keyword', 'button', 'whatsapp', 'api', 'page'));

-- As in sql/0009, but what Meta was told is Meta's word alone: somebody who refuses marketing here
-- has a preference, and to want it again here does not lift what they told WhatsApp.
create or replace function messaging.apply_consents(p_tenant uuid, p_contacts uuid[], p_now timestamptz)
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
            max(k.occurred_at) filter (where k.scope = 'marketing' and k.source = 'whatsapp'
                and k.state = 'withdrawn') as stopped_at,
            max(k.occurred_at) filter (where k.scope = 'marketing' and k.source = 'whatsapp'
                and k.state = 'given') as resumed_at
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

-- Of two contacts that are one person: of each member what was decided last. A refusal that stands
-- on the one is not lost because the other's row was changed later, for something else.
create or replace function messaging.merge_notification_preferences_contact_id(
    p_tenant uuid, p_from uuid[], p_to uuid, p_now timestamptz
) returns void
    language plpgsql as $$
declare
    v_all messaging.notification_preferences[];
    v_kept messaging.notification_preferences;
    v_one messaging.notification_preferences;
begin
    select array_agg(p order by p.updated_at desc, p.contact_id desc) into v_all
    from messaging.notification_preferences as p
    where p.tenant_id = p_tenant and p.contact_id = any (p_to || p_from);
    if v_all is null then
        return;
    end if;
    v_kept := v_all[1];
    foreach v_one in array v_all loop
        v_kept.trip_reminders := coalesce(v_kept.trip_reminders, v_one.trip_reminders);
        v_kept.booking_confirmations := coalesce(v_kept.booking_confirmations, v_one.booking_confirmations);
        v_kept.itinerary_updates := coalesce(v_kept.itinerary_updates, v_one.itinerary_updates);
        v_kept.budget_alerts := coalesce(v_kept.budget_alerts, v_one.budget_alerts);
        v_kept.ai_suggestions := coalesce(v_kept.ai_suggestions, v_one.ai_suggestions);
        v_kept.collaborator_updates := coalesce(v_kept.collaborator_updates, v_one.collaborator_updates);
        v_kept.marketing := coalesce(v_kept.marketing, v_one.marketing);
        -- Quiet hours are one thing.
        if v_kept.quiet_hours_start is null then
            v_kept.quiet_hours_enabled := v_one.quiet_hours_enabled;
            v_kept.quiet_hours_start := v_one.quiet_hours_start;
            v_kept.quiet_hours_end := v_one.quiet_hours_end;
        end if;
        v_kept.timezone := coalesce(v_kept.timezone, v_one.timezone);
        v_kept.created_at := least(v_kept.created_at, v_one.created_at);
    end loop;
    v_kept.contact_id := p_to;
    delete from messaging.notification_preferences as p
    where p.tenant_id = p_tenant and p.contact_id = any (p_to || p_from);
    insert into messaging.notification_preferences select v_kept.*;
end
$$;

-- Of the page that a person changes their preferences on. Who has no row never saved or revoked.
create table messaging.preference_pages (
    tenant_id uuid not null,
    contact_id uuid not null,
    -- A link holds the generation it was made in; revoking begins the next one.
    generation integer not null default 0 check (generation >= 0),
    -- How often it was saved since then: somebody who saves for ever is made to wait.
    saves smallint not null default 0 check (saves >= 0),
    saves_since timestamptz,
    primary key (tenant_id, contact_id),
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
        on delete cascade
);
call messaging.protect('messaging.preference_pages', 'select, insert, update, delete');

-- Of two contacts that are one person: the later generation, so that no revoked link opens again.
create function messaging.merge_preference_pages_contact_id(
    p_tenant uuid, p_from uuid[], p_to uuid, p_now timestamptz
) returns void
    language sql
    begin atomic
    delete from messaging.preference_pages as p
    where p.tenant_id = p_tenant and p.contact_id = any (p_to || p_from)
        and exists (select from messaging.preference_pages as o
            where o.tenant_id = p_tenant and o.contact_id = any (p_to || p_from)
                and (o.generation, o.contact_id) > (p.generation, p.contact_id));
    end;
