-- What Meta's error codes lead to (sql/0027).

-- name: apply
-- One function, so that a call outside a transaction is one round trip and committed by itself.
select account_id, phone_number_id, code, meaning
from messaging.apply_consequences(%(tenant)s, %(items)s::jsonb, %(now)s)
