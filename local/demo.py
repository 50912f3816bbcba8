"""The demo's tenants and numbers, and their registration as an operator would do it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from local.faults import LocalError
from local.made_once import MadeOnce
from switchboard import access

#: Runs one of `switchboard.admin`'s commands in the deployed stack; the answer is a JSON object.
Administer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

#: The demo's keys may do everything.
SCOPES = list(access.SCOPES)


@dataclass(frozen=True, slots=True)
class DemoNumber:
    """A business number, as the simulator hosts it and as it is registered here."""

    tenant: str
    slug: str
    waba_id: str
    phone_number_id: str
    display_phone_number: str
    verified_name: str


#: Invented businesses on numbers that nobody can own; the third is another tenant's.
NUMBERS = (
    DemoNumber(
        "Casa Verde",
        "casa-verde",
        "210000000000001",
        "310000000000001",
        "15550001111",
        "Casa Verde",
    ),
    DemoNumber(
        "Casa Verde",
        "casa-verde",
        "210000000000001",
        "310000000000002",
        "15550001112",
        "Casa Verde Bookings",
    ),
    DemoNumber(
        "Northwind", "northwind", "210000000000003", "310000000000003", "15550003333", "Northwind"
    ),
)


@dataclass(frozen=True, slots=True)
class Seeded:
    """A number with what one needs to use it."""

    number: DemoNumber
    tenant_id: str
    api_key: str


def simulator_numbers(kept: MadeOnce) -> str:
    """Return SIMULATOR_NUMBERS: the numbers with their tenants' access tokens, as JSON."""
    numbers = []
    for number in NUMBERS:
        document = asdict(number) | {"access_token": _token(kept, number)}
        document.pop("slug")
        numbers.append(document)
    return json.dumps(numbers)


def simulator_tenants(seeded: Iterable[Seeded]) -> str:
    """Return SIMULATOR_TENANTS: the tenants with their API keys, as JSON."""
    tenants = {
        one.number.slug: {
            "slug": one.number.slug,
            "name": one.number.tenant,
            "api_key": one.api_key,
        }
        for one in seeded
    }
    return json.dumps(list(tenants.values()))


async def seed(administer: Administer, kept: MadeOnce) -> list[Seeded]:
    """Register what is missing and return everything; raises LocalError when that is refused."""
    seeded = []
    for number in NUMBERS:
        shown = await administer({"command": "tenant show", "tenant": number.slug})
        if shown.get("type") == "NotFound":
            await _run(administer, "tenant create", slug=number.slug, name=number.tenant)
            shown = await _run(administer, "tenant show", tenant=number.slug)
        if "error" in shown:
            raise LocalError(f"The demo could not be registered: {shown['error']}")
        if shown["tenant"]["email_from"] is None:
            await _run(
                administer,
                "tenant update",
                tenant=number.slug,
                email_from=f"hello@{number.slug}.example",
                email_from_name=number.tenant,
            )
        if number.waba_id not in {row["waba_id"] for row in shown["wabas"]}:
            await _run(
                administer,
                "waba create",
                tenant=number.slug,
                waba_id=number.waba_id,
                name=number.tenant,
            )
        if number.phone_number_id not in {row["phone_number_id"] for row in shown["numbers"]}:
            await _run(
                administer,
                "number create",
                tenant=number.slug,
                waba_id=number.waba_id,
                phone_number_id=number.phone_number_id,
                phone_number=f"+{number.display_phone_number}",
                display_name=number.verified_name,
                access_token=_token(kept, number),
                auto_mark_read=True,
                acknowledging_reaction="👍",
            )
        key = await _key(administer, kept, number, shown["keys"])
        seeded.append(Seeded(number, str(shown["tenant"]["id"]), key))
    return seeded


async def _key(
    administer: Administer, kept: MadeOnce, number: DemoNumber, keys: list[dict[str, Any]]
) -> str:
    """Return the tenant's kept API key if it still works there for everything, else a new one."""
    name = f"api key of {number.slug}"
    key = kept.get(name)
    living = [
        row["key_prefix"]
        for row in keys
        # One of an older release lacks what a newer one can do.
        if row["revoked_at"] is None and set(SCOPES) <= set(row["scopes"])
    ]
    if key is not None and any(key.startswith(prefix) for prefix in living):
        return key
    made = await _run(
        administer, "key create", tenant=number.slug, name="local demo", scopes=SCOPES
    )
    kept.keep(name, made["key"])
    return str(made["key"])


async def _run(administer: Administer, command: str, **arguments: Any) -> dict[str, Any]:
    answer = await administer({"command": command, **arguments})
    if "error" in answer:
        raise LocalError(f"The demo could not be registered ({command}): {answer['error']}")
    return answer


def _token(kept: MadeOnce, number: DemoNumber) -> str:
    return kept.secret(f"access token of {number.slug}")
