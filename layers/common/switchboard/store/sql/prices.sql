-- What Meta charges: rates, and which messages they are asked for.

-- name: now
select coalesce(%(now)s::timestamptz, clock_timestamp())

-- name: hold_prices
-- Two who import the same card do so one after the other: the later one's stays, whole.
select pg_advisory_xact_lock(hashtextextended(%(tenant)s::text, 35))

-- name: replace_cards
-- The rates of each currency and day that is named are these and no others; what is the same is not
-- written again.
with wanted as materialized (
    select w.currency, w.valid_from, w.category, w.country, w.from_volume, w.market, w.amount
    from jsonb_to_recordset(%(rates)s::jsonb) as w(currency text, valid_from date, category text,
        country text, from_volume bigint, market text, amount numeric)
), gone as (
    delete from messaging.price_rates as r
    using (select distinct w.currency, w.valid_from from wanted as w) as card
    where r.tenant_id = %(tenant)s and r.currency = card.currency and r.valid_from = card.valid_from
        and not exists (select from wanted as w
            where w.currency = r.currency and w.valid_from = r.valid_from and w.category = r.category
                and w.country = r.country and w.from_volume = r.from_volume)
    returning 1
), put as (
    insert into messaging.price_rates as r (tenant_id, currency, valid_from, category, country,
        from_volume, market, amount, created_at, updated_at)
    select %(tenant)s, w.currency, w.valid_from, w.category, w.country, w.from_volume, w.market,
        w.amount, t.now, t.now
    from wanted as w
    cross join (select coalesce(%(now)s::timestamptz, clock_timestamp()) as now) as t
    order by w.category, w.country, w.currency, w.valid_from, w.from_volume
    on conflict (tenant_id, category, country, currency, valid_from, from_volume) do update
    set market = excluded.market, amount = excluded.amount
    where (r.market, r.amount) is distinct from (excluded.market, excluded.amount)
    returning xmax = 0 as is_new
)
select (select count(*) from wanted), (select count(*) from put where is_new),
    (select count(*) from put where not is_new), (select count(*) from gone)

-- name: delete_card
delete from messaging.price_rates
where tenant_id = %(tenant)s and currency = %(currency)s and valid_from = %(valid_from)s::date

-- name: list_rates
select r.category, r.country, r.currency, r.valid_from, r.from_volume, r.market,
    trim_scale(r.amount)::text as amount
from messaging.price_rates as r
where r.tenant_id = %(tenant)s
    and (r.category, r.country, r.currency, r.valid_from, r.from_volume)
        > (%(category)s, %(country)s, %(currency)s, %(valid_from)s::date, %(from_volume)s::bigint)
    and (%(only_currency)s::text is null or r.currency = %(only_currency)s)
    and (%(only_category)s::text is null or r.category = %(only_category)s)
order by r.category, r.country, r.currency, r.valid_from, r.from_volume
limit %(limit)s

-- name: rates
-- Of these categories all that is or was valid: whoever asks for a message of long ago needs the rate of then.
select r.category, r.country, r.currency, r.valid_from, r.from_volume, r.market,
    trim_scale(r.amount)
from messaging.price_rates as r
where r.tenant_id = %(tenant)s and r.category = any (%(categories)s::text[])
    and r.valid_from <= %(until)s::date
order by r.category, r.currency, r.country, r.valid_from desc, r.from_volume

-- name: volumes
-- Templates of a category that went out in this stretch and arrived, by the beginnings of the people's
-- numbers with one number of each. The ids carry the time; a month of the tenant's messages is read.
select min(c.phone_number), count(*)
from messaging.whatsapp_messages as m
left join messaging.contacts as c on c.tenant_id = m.tenant_id and c.id = m.contact_id
where m.tenant_id = %(tenant)s and m.id >= messaging.uuid_at(%(since)s::timestamptz)
    and m.id < case when %(before_id)s::uuid is null then messaging.uuid_at(%(before)s::timestamptz)
        else %(before_id)s::uuid end
    and m.direction = 'outbound' and m.message_type = 'template'
    and lower(m.category) = %(category)s and m.status in ('delivered', 'read', 'played')
group by left(c.phone_number, 8), length(c.phone_number)

-- name: sent
-- Messages of ours that Meta may charge for, with the number that tells the country: of whoever has none the
-- business-scoped id, which begins with it. What Meta said of them is asked apart (told): the two are put
-- together by their keys where that costs a look-up each, and no plan can make it cost the square.
select m.id, m.account_id, m.wa_message_id, m.status in ('delivered', 'read', 'played') as arrived,
    case when c.phone_number is not null then c.phone_number else (
        select i.value from messaging.contact_identifiers as i
        where i.tenant_id = m.tenant_id and i.contact_id = m.contact_id and i.kind = 'user_id'
        order by i.value limit 1) end
from messaging.whatsapp_messages as m
left join messaging.contacts as c on c.tenant_id = m.tenant_id and c.id = m.contact_id
where m.tenant_id = %(tenant)s and m.id = any (%(messages)s::uuid[]) and m.direction = 'outbound'
order by m.id

-- name: told
-- What Meta said of the price of messages of a number: each person of a group by itself.
select p.wa_message_id, p.is_billable, p.category, p.pricing_type, p.pricing_model,
    (p.told_at at time zone 'UTC')::date as day
from messaging.pricing_of(%(tenant)s, %(account_id)s, %(keys)s::text[]) as p
