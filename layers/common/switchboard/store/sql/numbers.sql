-- What asks Meta about a number or a business account.

-- name: find
select n.id, n.waba_id, n.phone_number_id, n.access_token_sealed
from messaging.whatsapp_accounts as n
where n.tenant_id = %(tenant)s and n.phone_number_id = %(phone_number_id)s

-- name: find_account
select w.waba_id, w.app_id, (
    select n.access_token_sealed from messaging.whatsapp_accounts as n
    where n.tenant_id = w.tenant_id and n.waba_id = w.waba_id
        and n.access_token_sealed is not null
    order by n.is_active desc, n.created_at desc limit 1)
from messaging.whatsapp_business_accounts as w
where w.tenant_id = %(tenant)s and w.waba_id = %(waba_id)s
