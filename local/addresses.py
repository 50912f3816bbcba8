"""The values that tell the parts where the others are."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from local.demo import Seeded
from local.made_once import MadeOnce
from local.ports import HOST
from local.postgres import DATABASE, PostgresServer
from local.template.model import REGION, Template
from local.template.resources import STACK, secret_arn

OWNER_SECRET = f"{STACK}/owner"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Ports of the parts."""

    api: int
    simulator: int
    aws: int
    invoke: int

    @property
    def api_url(self) -> str:
        """The HTTP API."""
        return f"http://{HOST}:{self.api}"

    @property
    def simulator_url(self) -> str:
        """The simulator: the Graph API and the phone."""
        return f"http://{HOST}:{self.simulator}"

    def aws_environment(self) -> dict[str, str]:
        """Return what makes botocore, and the kernel's secrets, speak to the stand-ins."""
        return {
            "AWS_ENDPOINT_URL": f"http://{HOST}:{self.aws}",
            "AWS_ENDPOINT_URL_LAMBDA": f"http://{HOST}:{self.invoke}",
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(self.aws),
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_SESSION_TOKEN": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
            # The developer's own profiles and endpoints must not leak in.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }


def template_parameters(addresses: Addresses, log_level: str) -> dict[str, Any]:
    """Return the values of template.yaml's parameters for this machine."""
    return {
        "Stage": "local",
        "LogLevel": log_level,
        "DatabaseHost": HOST,
        "DatabaseName": DATABASE,
        "DatabaseOwnerSecretArn": secret_arn(OWNER_SECRET),
        "GraphApiUrl": addresses.simulator_url,
        "RecipientAllowList": "",
        "PublicUrl": addresses.api_url,
        # Nothing leaves the machine: any address may send.
        "MailIdentity": "*",
    }


def aws_resources(
    addresses: Addresses, template: Template, kept: MadeOnce, server: PostgresServer
) -> dict[str, Any]:
    """Return what the AWS stand-in must hold: the template's resources and the secrets' values.

    A secret is known by the variable through which the functions read it. The Meta app's is made
    once and then the operator's to rotate; the database's follow the server at every start.
    """
    passwords = kept.passwords()
    place = {"host": HOST, "port": server.port, "dbname": DATABASE, "sslmode": "disable"}
    app = {"username": "app", "password": passwords.app}
    owner = {"username": "owner", "password": passwords.owner}
    meta = {
        "app_secret": kept.secret("meta app secret"),
        "verify_token": kept.secret("meta verify token"),
    }
    preferences = {"key": kept.secret("preferences key")}
    by_arn: dict[str | None, tuple[dict[str, Any], bool]] = {
        variable(template, "DATABASE_SECRET_ARN"): (place | app, True),
        variable(template, "META_SECRET_ARN"): (meta, False),
        variable(template, "PREFERENCES_SECRET_ARN"): (preferences, False),
    }
    secrets = [_secret(OWNER_SECRET, secret_arn(OWNER_SECRET), owner, replace=True)]
    for arn in template.secrets.values():
        value, replace = by_arn.get(arn, ({}, False))
        name = arn.split(":secret:", 1)[1].rsplit("-", 1)[0]
        secrets.append(_secret(name, arn, value, replace=replace))
    return {
        "buckets": sorted(template.buckets.values()),
        "keys": sorted(template.keys.values()),
        "secrets": secrets,
        "mail_events": {
            "invoke_url": f"http://{HOST}:{addresses.invoke}",
            "function": variable(template, "PROCESS_JOBS_FUNCTION"),
        },
    }


def variable(template: Template, name: str) -> str | None:
    """Return an environment variable as the first function that has it sees it."""
    return next((f.environment[name] for f in template.functions if name in f.environment), None)


def environment_file(
    addresses: Addresses,
    template: Template,
    server: PostgresServer,
    seeded: list[Seeded],
    meta: dict[str, str],
) -> dict[str, str]:
    """Return the lines of `.local/env`: what a person, a test or a service needs to take part.

    The second half lets `python -m switchboard` and any AWS client work against the local run.
    """
    values = {
        "API_URL": addresses.api_url,
        "GRAPH_API_URL": addresses.simulator_url,
        "SIMULATOR_URL": addresses.simulator_url,
        "DATABASE_URL": server.url("app"),
        "DATABASE_OWNER_URL": server.url(),
        "META_APP_SECRET": meta["app_secret"],
        "META_VERIFY_TOKEN": meta["verify_token"],
    }
    for position, one in enumerate(seeded, start=1):
        suffix = "" if position == 1 else f"_{position}"
        values[f"API_KEY{suffix}"] = one.api_key
        values[f"PHONE_NUMBER_ID{suffix}"] = one.number.phone_number_id
        values[f"WABA_ID{suffix}"] = one.number.waba_id
        values[f"TENANT_ID{suffix}"] = one.tenant_id
    values["STAGE"] = "local"
    values["PUBLIC_URL"] = addresses.api_url
    arns = ("META_SECRET_ARN", "PREFERENCES_SECRET_ARN")
    for name in ("KMS_KEY_ID", *arns, "BACKLOG_BUCKET", "MEDIA_BUCKET"):
        values[name] = variable(template, name) or ""
    values["SES_CONFIGURATION_SET"] = variable(template, "SES_CONFIGURATION_SET") or ""
    values["PROCESS_JOBS_FUNCTION"] = variable(template, "PROCESS_JOBS_FUNCTION") or ""
    return values | addresses.aws_environment()


def _secret(name: str, arn: str, value: dict[str, Any], *, replace: bool) -> dict[str, Any]:
    return {"name": name, "arn": arn, "value": json.dumps(value), "replace": replace}
