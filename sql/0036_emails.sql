-- E-mail as a second channel of automations: templates, and what became of each mail. And whom an
-- automation may ask for words: the tenant's own agents.

-- The checks only grow, and every row that is there passes them.
-- squawk-ignore-file ban-drop-constraint, constraint-missing-not-valid
alter table messaging.tenants
    -- Whose address the tenant's mails come from. The operator has verified it with SES: another
    -- tenant's would be as good for SES, so that no tenant sets it by itself.
    add column email_from text check (email_from ~ '^[!-?A-~]{1,64}@[!-?A-~]{3,255}$'),
    add column email_from_name text check (length(email_from_name) between 1 and 100
        and email_from_name !~ '[[:cntrl:]]'),
    add column email_reply_to text check (email_reply_to ~ '^[!-?A-~]{1,64}@[!-?A-~]{3,255}$');

alter table messaging.consents
    drop constraint consents_scope_check,
    -- email: mails, of whatever category.
    add constraint consents_scope_check check (scope in ('messages', 'marketing', 'email')),
    drop constraint consents_source_check,
    -- email: a mail that was called spam.
    add constraint consents_source_check
        check (source in ('keyword', 'button', 'whatsapp', 'api', 'page', 'email'));

create table messaging.email_templates (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    id uuid not null,
    name text not null check (name ~ '^[a-z0-9_]{1,100}$'),
    language text not null check (length(language) between 2 and 20),
    -- In each of the three {{name}} is a parameter.
    subject text not null check (length(subject) between 1 and 500 and subject !~ '[[:cntrl:]]'),
    text_body text not null check (length(text_body) between 1 and 100000),
    html_body text check (length(html_body) between 1 and 200000),
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    unique (tenant_id, name, language)
);
create index email_templates_recent on messaging.email_templates (tenant_id, created_at, id);
call messaging.protect('messaging.email_templates', 'select, insert, update, delete');
create trigger touch before update on messaging.email_templates
    for each row execute function messaging.touch();

-- One row for each mail, decided, written out and sent as it stands here.
create table messaging.emails (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    id uuid not null,
    contact_id uuid not null,
    -- No foreign keys: what was sent outlives its rule and its template.
    rule_id uuid,
    run_id uuid,
    template_id uuid,
    template_name text not null,
    language text not null,
    category text not null check (category in ('utility', 'marketing')),
    notification_category text,
    address text not null check (address !~ '[[:cntrl:][:space:]]'),
    subject text not null check (subject !~ '[[:cntrl:]]'),
    text_body text not null,
    html_body text,
    status text not null check (status in ('pending', 'sending', 'unconfirmed', 'sent', 'delivered',
        'bounced', 'complained', 'rejected', 'failed', 'denied', 'suppressed')),
    -- Why it is denied, suppressed, failed or came back.
    reason text check (length(reason) <= 500),
    decisions jsonb not null default '[]' check (jsonb_typeof(decisions) = 'array'),
    -- How often it was handed to SES, this time included.
    attempt smallint not null default 0 check (attempt >= 0),
    lease_token uuid,
    lease_until timestamptz,
    due_at timestamptz not null,
    expires_at timestamptz not null,
    ses_message_id text,
    sent_at timestamptz,
    delivered_at timestamptz,
    bounced_at timestamptz,
    complained_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    -- A run sends one mail, whoever performs it again.
    unique (tenant_id, run_id),
    check ((status = 'sending') = (lease_token is not null)),
    check ((lease_token is null) = (lease_until is null)),
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
);
create index emails_recent on messaging.emails (tenant_id, created_at, id);
create index emails_contact on messaging.emails (tenant_id, contact_id, created_at, id);
create index emails_status on messaging.emails (tenant_id, status, created_at, id);
call messaging.protect('messaging.emails', 'select, insert, update');

-- What SES told of a mail, each once.
create table messaging.email_events (
    tenant_id uuid not null,
    email_id uuid not null,
    -- Of the kind and SES's object: the same told twice is one row.
    sha256 bytea not null check (length(sha256) = 32),
    kind text collate "C" not null,
    -- What it makes of the mail; the greatest one counts, whatever came first.
    rank smallint not null,
    reason text check (length(reason) <= 500),
    occurred_at timestamptz not null,
    detail jsonb not null,
    created_at timestamptz not null,
    primary key (tenant_id, email_id, sha256),
    foreign key (tenant_id, email_id) references messaging.emails (tenant_id, id) on delete cascade
);
call messaging.protect('messaging.email_events', 'select, insert');

-- Addresses that get nothing more of a tenant: mail to them came back for good, or was called spam.
create table messaging.email_suppressions (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    id uuid not null default gen_random_uuid(),
    -- In lower case.
    address text not null check (address = lower(address)),
    reason text not null check (reason in ('bounce', 'complaint')),
    detail text check (length(detail) <= 500),
    email_id uuid not null,
    contact_id uuid not null,
    occurred_at timestamptz not null,
    created_at timestamptz not null,
    primary key (tenant_id, id),
    unique (tenant_id, address, reason),
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
);
create index email_suppressions_recent on messaging.email_suppressions (tenant_id, created_at, id);
create index email_suppressions_contact on messaging.email_suppressions (tenant_id, contact_id);
call messaging.protect('messaging.email_suppressions', 'select, insert, update, delete');

-- Takes what SES told of a mail: {"sha256", "kind", "rank", "status", "reason", "occurred_at",
-- "ses_message_id", "log": status of the log's row, "suppress": bounce | complaint | null, "detail"}.
-- In any order and any number of times the rows end the same: each event is kept once, and the mail
-- is what its events make of it. Returns taken, again, or null where there is no such mail.
create function messaging.take_email_event(
    p_tenant uuid, p_email uuid, p_event jsonb, p_log uuid, p_now timestamptz
) returns text
    language plpgsql as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_mail messaging.emails;
    v_at timestamptz := (p_event ->> 'occurred_at')::timestamptz;
begin
    -- A complaint names the contact.
    perform messaging.hold_contacts(p_tenant);
    select * into v_mail from messaging.emails as m
    where m.tenant_id = p_tenant and m.id = p_email for no key update;
    if not found then
        return null;
    end if;
    insert into messaging.email_events (tenant_id, email_id, sha256, kind, rank, reason, occurred_at,
        detail, created_at)
    values (p_tenant, p_email, decode(p_event ->> 'sha256', 'hex'), p_event ->> 'kind',
        (p_event ->> 'rank')::smallint, p_event ->> 'reason', v_at, p_event -> 'detail', v_now)
    on conflict do nothing;
    if not found then
        return 'again';
    end if;

    update messaging.emails as m
    set status = case top.rank when 0 then m.status when 1 then 'sent' else top.kind end,
        reason = case when top.rank = 0 then m.reason else top.reason end,
        lease_token = case when top.rank = 0 then m.lease_token end,
        lease_until = case when top.rank = 0 then m.lease_until end,
        ses_message_id = coalesce(m.ses_message_id, p_event ->> 'ses_message_id'),
        sent_at = least(m.sent_at, every.first_at), delivered_at = every.delivered_at,
        bounced_at = every.bounced_at, complained_at = every.complained_at, updated_at = v_now
    from (
        select e.kind, e.rank, e.reason from messaging.email_events as e
        where e.tenant_id = p_tenant and e.email_id = p_email
        order by e.rank desc, e.occurred_at, e.sha256 limit 1
    ) as top, (
        select min(e.occurred_at) filter (where e.rank > 0) as first_at,
            min(e.occurred_at) filter (where e.kind = 'delivered') as delivered_at,
            min(e.occurred_at) filter (where e.kind = 'bounced') as bounced_at,
            min(e.occurred_at) filter (where e.kind = 'complained') as complained_at
        from messaging.email_events as e
        where e.tenant_id = p_tenant and e.email_id = p_email
    ) as every
    where m.tenant_id = p_tenant and m.id = p_email;

    if p_event ->> 'log' is not null then
        insert into messaging.delivery_logs (tenant_id, id, message_id, contact_id, channel, recipient,
            attempt, status, provider_response, error_code, error_message, delivered_at, created_at)
        values (p_tenant, p_log, p_email, v_mail.contact_id, 'email', v_mail.address,
            greatest(v_mail.attempt, 1), p_event ->> 'log', p_event -> 'detail',
            case when p_event ->> 'log' in ('bounced', 'failed') then p_event ->> 'kind' end,
            p_event ->> 'reason', case p_event ->> 'log' when 'delivered' then v_at end, v_now);
    end if;

    if p_event ->> 'suppress' is not null then
        insert into messaging.email_suppressions as s (tenant_id, address, reason, detail, email_id,
            contact_id, occurred_at, created_at)
        values (p_tenant, lower(v_mail.address), p_event ->> 'suppress', p_event ->> 'reason', p_email,
            v_mail.contact_id, v_at, v_now)
        on conflict (tenant_id, address, reason) do update
        set detail = excluded.detail, email_id = excluded.email_id,
            contact_id = excluded.contact_id, occurred_at = excluded.occurred_at
        where (excluded.occurred_at, excluded.email_id) < (s.occurred_at, s.email_id);
    end if;
    if p_event ->> 'suppress' = 'complaint' then
        insert into messaging.consents (tenant_id, contact_id, scope, state, source, wording,
            statement_sha256, occurred_at, created_at)
        values (p_tenant, v_mail.contact_id, 'email', 'withdrawn', 'email',
            coalesce(p_event ->> 'reason', 'complaint'),
            sha256(convert_to(p_email::text || (p_event ->> 'sha256'), 'UTF8')), v_at, v_now)
        on conflict (tenant_id, statement_sha256) do nothing;
    end if;
    return 'taken';
end
$$;

-- Whom run_ai_agent asks: an endpoint of the tenant's own.
create table messaging.agent_endpoints (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    id uuid not null,
    name text not null check (name ~ '^[a-z0-9_]{1,100}$'),
    url text not null check (url ~ '^https?://' and length(url) between 10 and 2000),
    secret_sealed bytea not null,
    -- Signs beside the present one until then.
    secret_previous_sealed bytea,
    secret_previous_until timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    unique (tenant_id, name)
);
call messaging.protect('messaging.agent_endpoints', 'select, insert, update, delete');
create trigger touch before update on messaging.agent_endpoints
    for each row execute function messaging.touch();
