-- Lists of people that staff made, for campaigns to reach.

create table messaging.contact_lists (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    id uuid not null,
    name text not null check (length(name) between 1 and 200),
    description text check (length(description) <= 500),
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, id),
    unique (tenant_id, name)
);
create index contact_lists_recent on messaging.contact_lists (tenant_id, created_at, id);
call messaging.protect('messaging.contact_lists', 'select, insert, update, delete');
create trigger touch before update on messaging.contact_lists
    for each row execute function messaging.touch();

create table messaging.contact_list_members (
    tenant_id uuid not null,
    list_id uuid not null,
    contact_id uuid not null,
    -- For a template's parameters: texts by the names of the file's columns.
    given jsonb not null default '{}' check (jsonb_typeof(given) = 'object'),
    created_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, list_id, contact_id),
    foreign key (tenant_id, list_id) references messaging.contact_lists (tenant_id, id)
        on delete cascade,
    foreign key (tenant_id, contact_id) references messaging.contacts (tenant_id, id)
        on delete cascade
);
create index contact_list_members_contact
    on messaging.contact_list_members (tenant_id, contact_id);
call messaging.protect('messaging.contact_list_members', 'select, insert, update, delete');

-- Of two members of a list that are one person: the one added last.
create function messaging.merge_contact_list_members_contact_id(
    p_tenant uuid, p_from uuid[], p_to uuid, p_now timestamptz
) returns void
    language sql
    begin atomic
    delete from messaging.contact_list_members as m
    where m.tenant_id = p_tenant and m.contact_id = any (p_to || p_from)
        and exists (select from messaging.contact_list_members as o
            where o.tenant_id = p_tenant and o.list_id = m.list_id
                and o.contact_id = any (p_to || p_from)
                and (o.created_at, o.contact_id) > (m.created_at, m.contact_id));
    end;

-- Whoever is deleted is on no list any more: what was given for them goes with it.
create function messaging.forget_list_members() returns trigger
    language plpgsql as $$
begin
    delete from messaging.contact_list_members as m
    where m.tenant_id = new.tenant_id and m.contact_id = new.id;
    return null;
end
$$;
create trigger forget_list_members after update of deleted_at on messaging.contacts
    for each row when (old.deleted_at is null and new.deleted_at is not null)
    execute function messaging.forget_list_members();
