-- What Meta takes for the messages of a large campaign: counted by a job, slice by slice.

-- A campaign whose recipients are too many to be counted while somebody waits. Amounts are not kept: the counts
-- are priced when they are shown, by the rates of their days.
create table messaging.campaign_costs (
    tenant_id uuid not null,
    campaign_id uuid not null,
    -- The count that goes on: since when, and up to whose place it has come. Null: none does.
    counting_since timestamptz,
    place integer not null default 0 check (place >= 0),
    counts jsonb not null default '{}',
    -- The last one that came to the end, and when it had begun.
    counted_at timestamptz,
    counted jsonb,
    check ((counted_at is null) = (counted is null)),
    primary key (tenant_id, campaign_id),
    foreign key (tenant_id, campaign_id) references messaging.whatsapp_campaigns (tenant_id, id)
        on delete cascade
);
call messaging.protect('messaging.campaign_costs', 'select, insert, update');
