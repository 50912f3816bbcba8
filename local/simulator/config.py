"""What the simulator must know before it can stand in for Meta."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter


class ConfigurationMissing(ValueError):
    """An environment variable the simulator cannot do without is absent; the message names it."""


class BusinessNumber(BaseModel):
    """One business number that the simulated Meta hosts.

    `display_phone_number` is written in digits only, as Meta's webhooks write it; whoever holds
    `access_token` may use every number of the same `waba_id`. `tenant` is a label for the page.
    """

    model_config = ConfigDict(frozen=True)

    waba_id: str
    phone_number_id: str
    display_phone_number: str
    verified_name: str
    access_token: str
    tenant: str = ""


class Tenant(BaseModel):
    """A business of the backend's, with a key of its own for the backend's API."""

    model_config = ConfigDict(frozen=True)

    slug: str
    name: str
    api_key: str


class Config(BaseModel):
    """Everything `create_app` needs. Times are seconds.

    `api_url`: the backend's API, which the page's second view asks as `tenants`; empty: not known.
    `local_dir`: folder for chats and pictures; None keeps all of it in memory.
    `greet`: make Meta's GET handshake with the webhook address at the start.
    `first_retry`: pause before the first redelivery of a refused webhook; doubles up to a minute.
    """

    model_config = ConfigDict(frozen=True)

    webhook_url: str
    app_secret: str
    verify_token: str
    numbers: tuple[BusinessNumber, ...]
    api_url: str = ""
    tenants: tuple[Tenant, ...] = ()
    port: int = 8090
    local_dir: Path | None = None
    greet: bool = True
    first_retry: float = 1.0
    webhook_timeout: float = 20.0

    def number(self, phone_number_id: str) -> BusinessNumber | None:
        """The hosted number of that id, or None."""
        return next((n for n in self.numbers if n.phone_number_id == phone_number_id), None)


_REQUIRED = ("WEBHOOK_URL", "META_APP_SECRET", "META_VERIFY_TOKEN", "SIMULATOR_NUMBERS")


def read_environment(environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration of `python -m local.simulator`.

    Raises ConfigurationMissing when a variable is absent, pydantic's ValidationError (a ValueError)
    when SIMULATOR_NUMBERS is not the JSON list described in `BusinessNumber`, or SIMULATOR_TENANTS
    that of `Tenant`.
    """
    missing = [name for name in _REQUIRED if not environ.get(name)]
    if missing:
        raise ConfigurationMissing(f"not set: {', '.join(missing)}")
    local_dir = environ.get("LOCAL_DIR")
    return Config(
        webhook_url=environ["WEBHOOK_URL"],
        app_secret=environ["META_APP_SECRET"],
        verify_token=environ["META_VERIFY_TOKEN"],
        numbers=TypeAdapter(tuple[BusinessNumber, ...]).validate_json(environ["SIMULATOR_NUMBERS"]),
        api_url=environ.get("API_URL", ""),
        tenants=TypeAdapter(tuple[Tenant, ...]).validate_json(
            environ.get("SIMULATOR_TENANTS") or "[]"
        ),
        port=int(environ.get("SIMULATOR_PORT", "8090")),
        local_dir=Path(local_dir) if local_dir else None,
    )
