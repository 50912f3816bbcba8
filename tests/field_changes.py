"""What the tests of the management fields share: bodies of changes, and the rows they end in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.deliveries import SECOND, Number, Place, body_of

Json = dict[str, Any]

PAYLOADS = Path(__file__).parent / "payloads" / "inbound"
#: What the payload files call their business account, number and its digits.
WABA, PHONE_NUMBER_ID, DIGITS = "420900000000011", "530700000000021", "15550100021"

TEMPLATE: Json = {
    "message_template_id": 1550000000000071,
    "message_template_name": "cita_manana",
    "message_template_language": "es_MX",
}


def entry(
    number: Number, field: str, value: Json, at: int | None = SECOND, *, metadata: bool = False
) -> Json:
    """Return an entry of one change of the number's WABA; `metadata` names the number itself."""
    if metadata:
        value = {"metadata": {"phone_number_id": number.phone_number_id}, **value}
    found: Json = {"id": number.waba_id, "changes": [{"field": field, "value": value}]}
    return found if at is None else {**found, "time": at}


def post(place: Place, *entries: Json) -> None:
    """Deliver the entries in one body; every change must be understood."""
    assert place.usual.post(body_of(list(entries))) == 200
    assert place.letters() == {}


def digits(place: Place, number: Number) -> str:
    """Return the number's phone number without its plus."""
    found: str = place.one(
        "select phone_number from messaging.whatsapp_accounts where id = %s", number.account_id
    )
    return found.removeprefix("+")


def payload(name: str, place: Place, number: Number) -> list[Json]:
    """Return the entries of a payload file as if Meta had sent them to `number`."""
    text = (PAYLOADS / f"{name}.json").read_text()
    text = text.replace(WABA, number.waba_id).replace(PHONE_NUMBER_ID, number.phone_number_id)
    entries: list[Json] = json.loads(text.replace(DIGITS, digits(place, number)))["entry"]
    return entries


#: The rows of one tenant, without generated ids and receipt times.
FINAL = {
    "templates": "select waba_id, to_jsonb(t) - '{tenant_id,id,created_at,updated_at}'::text[]"
    " from messaging.whatsapp_templates as t where tenant_id = %s",
    "flows": "select waba_id, to_jsonb(t) - '{tenant_id,created_at,updated_at}'::text[]"
    " from messaging.whatsapp_flows as t where tenant_id = %s",
    "business accounts": "select to_jsonb(t) - '{tenant_id,created_at,updated_at}'::text[]"
    " from messaging.whatsapp_business_accounts as t where tenant_id = %s",
    "numbers": "select to_jsonb(t) - '{tenant_id,id,created_at,updated_at}'::text[]"
    " from messaging.whatsapp_accounts as t where tenant_id = %s",
    "groups": "select c.group_id, c.subject, c.description, c.message_count,"
    " to_jsonb(t) - '{tenant_id,conversation_id,created_at,updated_at}'::text[]"
    " from messaging.whatsapp_conversations as c left join messaging.whatsapp_groups as t"
    " on t.tenant_id = c.tenant_id and t.conversation_id = c.id"
    " where c.tenant_id = %s and c.group_id is not null",
    "participants": "select c.group_id, p.participant, p.joined_at, p.left_at, k.phone_number"
    " from messaging.conversation_participants as p"
    " join messaging.whatsapp_conversations as c on c.id = p.conversation_id"
    " join messaging.contacts as k on k.id = p.contact_id where p.tenant_id = %s",
    "contacts": "select phone_number, name, phone_book_name, phone_book_name_at"
    " from messaging.contacts where tenant_id = %s",
    "events": "select e.waba_id, n.phone_number_id, e.field, e.event, e.detail, e.occurred_at"
    " from messaging.whatsapp_account_events as e"
    " left join messaging.whatsapp_accounts as n on n.id = e.account_id where e.tenant_id = %s",
}


def final_rows(place: Place, number: Number) -> dict[str, list[str]]:
    """Return the rows of the number's tenant, its own ids under the names of the payload files."""
    names = {
        number.waba_id: WABA,
        number.phone_number_id: PHONE_NUMBER_ID,
        digits(place, number): DIGITS,
    }
    found: dict[str, list[str]] = {}
    for table, query in FINAL.items():
        rows = [str(row) for row in place.rows(query, number.tenant_id)]
        for ours, theirs in names.items():
            rows = [row.replace(ours, theirs) for row in rows]
        found[table] = sorted(rows)
    return found
