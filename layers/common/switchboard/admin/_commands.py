"""The admin commands by name: what the CLI and a direct invocation of `migrate` may run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from switchboard.admin import _arguments as arguments
from switchboard.admin import _jobs as jobs
from switchboard.admin import _use_cases as use_cases
from switchboard.admin._owner import owner_tools
from switchboard.kernel.errors import BadRequest, Unprocessable
from switchboard.tools import Tools


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its words, its arguments, what it does, and an example for its help."""

    name: str
    arguments: type[BaseModel]
    run: Callable[[Tools, Any], Any]
    example: str = ""

    @property
    def summary(self) -> str:
        """The first line of the use case's docstring."""
        return (self.run.__doc__ or "").strip().partition("\n")[0]


_NUMBER = "--tenant acme --number 310000000000001"

#: In the order in which one sets up a tenant, which is also the order of the help.
COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command("tenant create", arguments.NewTenant, use_cases.create_tenant,
                '--slug acme --name "Acme Travel"'),
        Command("tenant list", arguments.Nothing, use_cases.list_tenants),
        Command("tenant show", arguments.TheTenant, use_cases.show_tenant, "--tenant acme"),
        Command("tenant update", arguments.ChangedTenant, use_cases.update_tenant,
                "--tenant acme --marketing-cap 4 --marketing-cap-hours 168"
                ' --email-from trips@acme.example --email-from-name "Acme Travel"'),
        Command("tenant disable", arguments.TheTenant, use_cases.disable_tenant, "--tenant acme"),
        Command("tenant enable", arguments.TheTenant, use_cases.enable_tenant, "--tenant acme"),
        Command("tenant stop", arguments.TheTenant, use_cases.stop_tenant, "--tenant acme"),
        Command("tenant resume", arguments.TheTenant, use_cases.resume_tenant, "--tenant acme"),
        Command("user create", arguments.NewUser, use_cases.create_user,
                '--tenant acme --email ana@acme.example --full-name "Ana Ruiz" --role agent'),
        Command("user list", arguments.TheTenant, use_cases.list_users, "--tenant acme"),
        Command("user disable", arguments.TheUser, use_cases.disable_user,
                "--tenant acme --user ana@acme.example"),
        Command("user enable", arguments.TheUser, use_cases.enable_user,
                "--tenant acme --user ana@acme.example"),
        Command("app create", arguments.NewApp, use_cases.create_app,
                "--tenant acme --app-id 900000000000001 --app-secret @secret.txt "
                "--verify-token @token.txt"),
        Command("app list", arguments.TheTenant, use_cases.list_apps, "--tenant acme"),
        Command("app update", arguments.ChangedApp, use_cases.update_app,
                "--tenant acme --app 900000000000001 --app-secret @new-secret.txt"),
        Command("app disable", arguments.TheApp, use_cases.disable_app,
                "--tenant acme --app 900000000000001"),
        Command("app enable", arguments.TheApp, use_cases.enable_app,
                "--tenant acme --app 900000000000001"),
        Command("waba create", arguments.NewBusinessAccount, use_cases.create_waba,
                "--tenant acme --waba-id 100000000000001 --name Acme"),
        Command("waba list", arguments.TheTenant, use_cases.list_wabas, "--tenant acme"),
        Command("waba disable", arguments.TheBusinessAccount, use_cases.disable_waba,
                "--tenant acme --waba 100000000000001"),
        Command("waba enable", arguments.TheBusinessAccount, use_cases.enable_waba,
                "--tenant acme --waba 100000000000001"),
        Command("waba resume", arguments.TheBusinessAccount, use_cases.resume_waba,
                "--tenant acme --waba 100000000000001"),
        Command("number create", arguments.NewNumber, use_cases.create_number,
                "--tenant acme --waba-id 100000000000001 --phone-number-id 310000000000001 "
                "--phone-number +15550001111 --display-name Acme --access-token @token.txt"),
        Command("number list", arguments.TheTenant, use_cases.list_numbers, "--tenant acme"),
        Command("number update", arguments.ChangedNumber, use_cases.update_number,
                f"{_NUMBER} --access-token @new-token.txt"),
        Command("number disable", arguments.TheNumber, use_cases.disable_number, _NUMBER),
        Command("number enable", arguments.TheNumber, use_cases.enable_number, _NUMBER),
        Command("number stop", arguments.TheNumber, use_cases.stop_number, _NUMBER),
        Command("number resume", arguments.TheNumber, use_cases.resume_number, _NUMBER),
        Command("key create", arguments.NewKey, use_cases.create_key,
                '--tenant acme --name "order service" --scopes messages:send messages:read'),
        Command("key list", arguments.TheTenant, use_cases.list_keys, "--tenant acme"),
        Command("key revoke", arguments.TheKey, use_cases.revoke_key,
                "--tenant acme --key sb_1a2b3c4d"),
        Command("job depth", arguments.Nothing, jobs.measure_jobs),
        Command("job list", arguments.JobSearch, jobs.find_jobs, "--status failed --type notify"),
    )
}  # fmt: skip


def read_arguments(command: Command, given: dict[str, Any]) -> BaseModel:
    """Return the command's validated arguments; raises Unprocessable that names what is wrong.

    The text never holds a value: it may be a secret.
    """
    try:
        return command.arguments.model_validate(given)
    except ValidationError as error:
        problems = [
            {"field": ".".join(map(str, one["loc"])), "problem": one["msg"]}
            for one in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        first = problems[0]
        raise Unprocessable(
            "; ".join(f"{one['field']}: {one['problem']}" for one in problems),
            field=first["field"],
            extra={"problems": problems},
        ) from None


def run(command: str, arguments: dict[str, Any], *, tools: Tools | None = None) -> dict[str, Any]:
    """Run the command `tenant create`, … and return its result as JSON-ready values.

    `tools.db` must be the owner's; by default it is built from DATABASE_OWNER_URL or
    DATABASE_OWNER_SECRET_ARN. Raises BadRequest for an unknown command, Unprocessable for wrong
    arguments, Conflict, NotFound, Unavailable, ConfigurationError.
    """
    found = COMMANDS.get(command)
    if found is None:
        raise BadRequest(f"unknown command {command!r}; there are: {', '.join(COMMANDS)}")
    result = found.run(tools or owner_tools(), read_arguments(found, arguments))
    document: dict[str, Any] = orjson.loads(orjson.dumps(use_cases.as_document(result)))
    return document
