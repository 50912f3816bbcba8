"""numbers: business numbers, their profiles and callback overrides."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from switchboard.accounts import callbacks, numbers, profiles
from switchboard.accounts.callbacks import AccountCallback, Callback, CallbackSet, NumberCallback
from switchboard.accounts.numbers import NumberChange, NumberFilter
from switchboard.accounts.profiles import Profile, ProfileChange, ProfileChanged
from switchboard.commands._resource import Command, Resource
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.page import Page
from switchboard.store.numbers import BusinessNumber
from switchboard.tools import Tools


class TheNumber(Arguments):
    """One number."""

    number: str = Field(min_length=1, max_length=50, description="the number's id at Meta")


class ChangedNumber(NumberChange, TheNumber):
    """Our settings of a number."""


class ChangedProfile(ProfileChange, TheNumber):
    """What to change about a number's profile."""


class NewCallback(Callback, TheNumber):
    """Where a number's webhooks go instead."""


class TheAccount(Arguments):
    """One business account."""

    waba: str = Field(min_length=1, max_length=50, description="the business account's id at Meta")


class NewAccountCallback(Callback, TheAccount):
    """Where a business account's webhooks go instead."""


def list_numbers(tools: Tools, tenant_id: UUID, wanted: NumberFilter) -> Page[BusinessNumber]:
    """List numbers."""
    return numbers.list_numbers(tools, tenant_id, wanted)


def show_number(tools: Tools, tenant_id: UUID, which: TheNumber) -> BusinessNumber:
    """Show a number."""
    return numbers.show_number(tools, tenant_id, which.number)


def update_number(tools: Tools, tenant_id: UUID, given: ChangedNumber) -> BusinessNumber:
    """Change our settings of a number."""
    change = NumberChange(**given.model_dump(exclude_unset=True, exclude={"number"}))
    return numbers.change_number(tools, tenant_id, given.number, change)


def sync_number(tools: Tools, tenant_id: UUID, which: TheNumber) -> BusinessNumber:
    """Ask Meta what it knows of a number."""
    return numbers.sync_number(tools, tenant_id, which.number)


def show_profile(tools: Tools, tenant_id: UUID, which: TheNumber) -> Profile:
    """Show the business profile, as Meta has it now."""
    return profiles.show_profile(tools, tenant_id, which.number)


def update_profile(tools: Tools, tenant_id: UUID, given: ChangedProfile) -> ProfileChanged:
    """Change the business profile."""
    change = ProfileChange(**given.model_dump(exclude_none=True, exclude={"number"}))
    return profiles.change_profile(tools, tenant_id, given.number, change)


def show_callback(tools: Tools, tenant_id: UUID, which: TheNumber) -> NumberCallback:
    """Show where a number's webhooks go, as Meta has it now."""
    return callbacks.show_callback(tools, tenant_id, which.number)


def set_callback(tools: Tools, tenant_id: UUID, given: NewCallback) -> CallbackSet:
    """Let a number's webhooks go to another address."""
    callback = Callback(url=given.url, verify_token=given.verify_token)
    return callbacks.set_callback(tools, tenant_id, given.number, callback)


def remove_callback(tools: Tools, tenant_id: UUID, which: TheNumber) -> CallbackSet:
    """Let a number's webhooks go where its account's go."""
    return callbacks.remove_callback(tools, tenant_id, which.number)


def show_account_callback(tools: Tools, tenant_id: UUID, which: TheAccount) -> AccountCallback:
    """Show where a business account's webhooks go, as Meta has it now."""
    return callbacks.show_account_callback(tools, tenant_id, which.waba)


def set_account_callback(tools: Tools, tenant_id: UUID, given: NewAccountCallback) -> CallbackSet:
    """Let a business account's webhooks go to another address."""
    callback = Callback(url=given.url, verify_token=given.verify_token)
    return callbacks.set_account_callback(tools, tenant_id, given.waba, callback)


def remove_account_callback(tools: Tools, tenant_id: UUID, which: TheAccount) -> CallbackSet:
    """Let a business account's webhooks go to the app's own address."""
    return callbacks.remove_account_callback(tools, tenant_id, which.waba)


_ID = "--number 106540352242922"
_WABA = "--waba 102290129340398"
_CALLBACK = "--url https://acme.example/webhook --verify-token 7f3c0d"
KIND = Resource(
    "numbers",
    "business numbers, their profiles and callback overrides",
    (
        Command(
            "list",
            NumberFilter,
            list_numbers,
            columns=(
                "phone_number_id",
                "phone_number",
                "verified_name",
                "status",
                "quality_rating",
                "messaging_limit",
                "throughput",
                "last_synced_at",
            ),
        ),
        Command("show", TheNumber, show_number, _ID),
        Command("update", ChangedNumber, update_number, f"{_ID} --auto-mark-read"),
        Command("sync", TheNumber, sync_number, _ID),
        Command("profile", TheNumber, show_profile, _ID),
        Command(
            "update-profile",
            ChangedProfile,
            update_profile,
            f"{_ID} --about 'Open from 8 to 18' --websites https://acme.example",
        ),
        Command("callback", TheNumber, show_callback, _ID),
        Command("set-callback", NewCallback, set_callback, f"{_ID} {_CALLBACK}"),
        Command("remove-callback", TheNumber, remove_callback, _ID),
        Command("account-callback", TheAccount, show_account_callback, _WABA),
        Command(
            "set-account-callback", NewAccountCallback, set_account_callback, f"{_WABA} {_CALLBACK}"
        ),
        Command("remove-account-callback", TheAccount, remove_account_callback, _WABA),
    ),
)
