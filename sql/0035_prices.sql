-- What Meta charges for a message, as an operator or a tenant has imported it.

create table messaging.price_rates (
    tenant_id uuid not null references messaging.tenants (id) on delete cascade,
    currency text collate "C" not null check (currency ~ '^[A-Z]{3}$'),
    -- From this day on (UTC), until a later row of the same category, country and currency.
    valid_from date not null,
    -- Meta's word, with `_`.
    category text collate "C" not null check (length(category) between 1 and 50),
    -- Of the recipient's number; other: every country without rows of its own.
    country text collate "C" not null check (country ~ '^([A-Z]{2}|other)$'),
    -- Messages of the calendar month in that category and market that come before the first at this price.
    from_volume bigint not null default 0 check (from_volume >= 0),
    -- The countries of one market count their volume together.
    market text collate "C" not null check (length(market) between 1 and 100),
    -- Of one message, in the currency's whole units; never a float. (NaN is greater than any number.)
    amount numeric(20, 10) not null check (amount between 0 and 1000000000),
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id, category, country, currency, valid_from, from_volume)
);
create index price_rates_card on messaging.price_rates (tenant_id, currency, valid_from);
call messaging.protect('messaging.price_rates', 'select, insert, update, delete');
create trigger touch before update on messaging.price_rates
    for each row execute function messaging.touch();
