"""Deploy time: applies sql/ as the owner, and answers CloudFormation whatever happens.

Three kinds of event:
- CloudFormation's, for the custom resource `Schema`: {"RequestType", "ResponseURL", …}
- {"migrate": true}: the same by hand, after a password was rotated
- {"admin": {"command": …, …}}: an operator's command, see `switchboard.admin`
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field

from switchboard.kernel.errors import ConfigurationError, SwitchboardError
from switchboard.kernel.log import log, mask
from switchboard.kernel.migrations import migrate
from switchboard.kernel.owner import OwnerSettings, owner_url
from switchboard.kernel.secrets import Secrets

Event = dict[str, Any]

#: One schema per database: always the same id, since a new one makes CloudFormation delete the old.
PHYSICAL_ID = "messaging-schema"
#: Seconds before the function's end at which CloudFormation hears that it did not work out: more
#: than the three attempts to tell it take.
MARGIN_S = 25.0
#: CloudFormation reads 4,096 bytes of answer; this much of it may be the reason.
REASON_CHARS = 500


class Deployment(OwnerSettings):
    """The settings that only this function has."""

    migrations_dir: Path = Field(Path("/opt"), description="folder of the migrations, sql/")


def handler(event: Event, context: Any) -> Event:
    """Lambda's entry point; see the module for the events."""
    log.bind(function_request_id=context.aws_request_id)
    if "ResponseURL" in event:
        return answer_cloudformation(event, context)
    if "admin" in event:
        return administer(event["admin"])
    if event.get("migrate") is True:
        return {"applied": apply()}
    raise ConfigurationError('expected CloudFormation\'s event, {"migrate": true} or {"admin": …}')


def apply() -> list[str]:
    """Apply what is not applied yet, and set the password of the role `app`; returns file names."""
    deployment = Deployment()
    secrets = Secrets(deployment.parameters_secrets_extension_http_port)
    # Fresh: a deployment may follow a rotation by seconds.
    app = (
        secrets.json(deployment.database_secret_arn, fresh=True)
        if deployment.database_secret_arn
        else {}
    )
    applied = migrate(
        owner_url(deployment, secrets, fresh=True),
        deployment.migrations_dir,
        app_password=app.get("password"),
    )
    log.info("schema.migrated", applied=applied)
    return applied


def administer(request: Mapping[str, Any]) -> Event:
    """Run one of `switchboard.admin`'s commands; what it refuses is answered, not raised.

    Nothing of the request or the answer is logged: they carry tokens and keys.
    """
    from switchboard import admin  # a deployment has no use for it

    arguments = dict(request)
    command = str(arguments.pop("command", ""))
    log.info("admin.command", command=command)
    tools = admin.owner_tools()
    try:
        return admin.run(command, arguments, tools=tools)
    except SwitchboardError as error:
        return {"error": str(error), "type": type(error).__name__}
    finally:
        # Commands are rare, and the owner's connection has no business in a frozen environment.
        tools.db.drop()


def answer_cloudformation(event: Event, context: Any) -> Event:
    """Serve Create, Update and Delete of the custom resource.

    CloudFormation waits for an answer for up to an hour and shows nothing meanwhile, so every path
    leads to one, also the path on which Lambda is about to end the function. Delete changes
    nothing: the data outlives the stack. A rollback comes as an Update with the older files, which
    the ledger is ahead of: nothing to do, forward only. Raises OSError when no answer gets through;
    Lambda then runs the event again, and the ledger makes that harmless.
    """
    answer = _Answer(event, str(context.log_stream_name))
    seconds = context.get_remaining_time_in_millis() / 1000 - MARGIN_S
    timer = threading.Timer(
        max(seconds, 0), answer.failed, ["the migrations took longer than the function may run"]
    )
    timer.daemon = True
    timer.start()
    try:
        applied = [] if event["RequestType"] == "Delete" else apply()
    except Exception as error:  # noqa: BLE001 - whatever it is, CloudFormation must hear of it
        log.error("schema.failed", error=error)
        return answer.failed(f"{type(error).__name__}: {mask(str(error))}")
    finally:
        timer.cancel()
    return answer.succeeded(applied)


class _Answer:
    """The one answer to CloudFormation; whoever comes second (worker or timer) is ignored."""

    def __init__(self, event: Event, log_stream: str) -> None:
        self._event = event
        self._log_stream = log_stream
        self._lock = threading.Lock()
        self._sent: Event | None = None

    def succeeded(self, applied: list[str]) -> Event:
        return self._send("SUCCESS", "", {"Applied": len(applied)})

    def failed(self, reason: str) -> Event:
        return self._send("FAILED", f"{reason[:REASON_CHARS]} (log: {self._log_stream})", {})

    def _send(self, status: str, reason: str, data: Event) -> Event:
        with self._lock:
            if self._sent is not None:
                return self._sent
            document = {
                "Status": status,
                "Reason": reason,
                "PhysicalResourceId": self._event.get("PhysicalResourceId", PHYSICAL_ID),
                "StackId": self._event["StackId"],
                "RequestId": self._event["RequestId"],
                "LogicalResourceId": self._event["LogicalResourceId"],
                "Data": data,
            }
            _put(self._event["ResponseURL"], json.dumps(document, ensure_ascii=False).encode())
            self._sent = document
            log.info("cloudformation.answered", status=status)
            return document


def _put(url: str, body: bytes) -> None:
    """PUT to the presigned URL, three times if need be; raises OSError when that fails too."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    problem = ""
    for wait_s in (0, 1, 3):
        time.sleep(wait_s)
        connection = kind(parts.netloc, timeout=5)
        try:
            # The URL is signed for an empty content type.
            connection.request(
                "PUT", f"{parts.path}?{parts.query}", body, headers={"content-type": ""}
            )
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            problem = type(error).__name__
        else:
            if status < 300:
                return
            problem = f"status {status}"
        finally:
            connection.close()
    raise OSError(f"CloudFormation's response URL does not take the answer: {problem}")
