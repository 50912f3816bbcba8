"""Amazon SES on one machine: takes mails, keeps them in a file, tells what became of them.

It speaks SES API v2's SendEmail and knows the addresses of SES's mailbox simulator (bounce@,
complaint@, suppressionlist@, success@ simulator.amazonses.com, also with a label: bounce+1@); mail
to anybody else is delivered. Nothing leaves the machine. Events go the way they go in AWS: in an
envelope of EventBridge, in a message of SQS, to the function.
"""

from __future__ import annotations

import json
import re
import threading
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.template.model import ACCOUNT, REGION

PATH = "/v2/email/outbound-emails"
#: Shows what was sent, the newest last.
MAILS = "/_mails"
SIMULATOR = "simulator.amazonses.com"
_ADDRESS = re.compile(r"(?:.*<)?[!-;=?-~]+@[!-;=?-~]+>?")
_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")
_HEADER_VALUE = re.compile(r"[ -~]{1,995}")

Event = dict[str, Any]
#: Told each event, one after the other.
Publish = Callable[[Event], None]


class Refusal(Exception):
    """An error answer of SES: status, code, message."""


class Ses:
    """SES, with what it has taken in `mails`."""

    def __init__(self, file: Path | None = None, publish: Publish | None = None) -> None:
        self.mails: list[dict[str, Any]] = []
        self._file = file
        self._publish = publish
        self._lock = threading.Lock()
        if file is not None and file.exists():
            self.mails = [json.loads(line) for line in file.read_text().splitlines()]

    def answer(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """Take one SendEmail and return status and document; `__type` names an error."""
        try:
            return 200, {"MessageId": self.take(json.loads(body))}
        except Refusal as refusal:
            status, code, message = refusal.args
            return status, {"__type": code, "message": message}

    def take(self, request: dict[str, Any]) -> str:
        """Keep a mail, let its events go, return its id; raises Refusal."""
        check(request)
        message_id = f"0100{uuid.uuid4().hex[:12]}-{uuid.uuid4()}-000000"
        mail = {"MessageId": message_id, "at": _now(), **request}
        with self._lock:
            self.mails.append(mail)
            if self._file is not None:
                with self._file.open("a", encoding="utf-8") as kept:
                    kept.write(json.dumps(mail) + "\n")
        if self._publish is not None and request.get("ConfigurationSetName"):
            told = events_of(mail)
            threading.Thread(target=self._tell, args=(told,), daemon=True).start()
        return message_id

    def _tell(self, told: Sequence[Event]) -> None:
        assert self._publish is not None
        for event in told:
            self._publish(event)


def check(request: dict[str, Any]) -> None:
    """Raise Refusal for what SES would refuse of what we may say."""
    content = (request.get("Content") or {}).get("Simple") or {}
    body = content.get("Body") or {}
    to = (request.get("Destination") or {}).get("ToAddresses") or []
    addresses = [request.get("FromEmailAddress"), *to, *(request.get("ReplyToAddresses") or [])]
    subject = (content.get("Subject") or {}).get("Data")
    if not to or not all(isinstance(one, str) and _ADDRESS.fullmatch(one) for one in addresses):
        raise Refusal(400, "BadRequestException", "Illegal address")
    if not isinstance(subject, str) or not body:
        raise Refusal(400, "BadRequestException", "Missing subject or body")
    if re.search(r"[\r\n]", subject):
        raise Refusal(400, "BadRequestException", "Invalid subject: header injection")
    for header in content.get("Headers") or []:
        if not _HEADER_VALUE.fullmatch(header.get("Value", "")):
            raise Refusal(400, "BadRequestException", "Invalid header value")
    for tag in request.get("EmailTags") or []:
        if not all(_TAG.fullmatch(tag.get(part, "")) for part in ("Name", "Value")):
            raise Refusal(400, "BadRequestException", "Invalid email tag")


def events_of(mail: dict[str, Any]) -> list[Event]:
    """Return what SES publishes of a mail, in the order in which it happens."""
    (to,) = mail["Destination"]["ToAddresses"]
    name, _, domain = to.partition("@")
    known = name.partition("+")[0] if domain.lower() == SIMULATOR else "success"
    delivery = ("Delivery", "Email Delivered", {"delivery": _delivery(to)})
    bounce = {"bounce": _bounce(to, "General")}
    stopped = {"bounce": _bounce(to, "OnAccountSuppressionList")}
    stories: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
        "bounce": [("Bounce", "Email Bounced", bounce)],
        "suppressionlist": [("Bounce", "Email Bounced", stopped)],
        "complaint": [
            delivery,
            ("Complaint", "Email Complaint Received", {"complaint": _complaint(to)}),
        ],
    }
    story = stories.get(known, [delivery])
    return [envelope(mail, *one) for one in [("Send", "Email Sent", {"send": {}}), *story]]


def envelope(mail: dict[str, Any], kind: str, detail_type: str, told: dict[str, Any]) -> Event:
    """Return an event as EventBridge delivers it."""
    tags = {tag["Name"]: [tag["Value"]] for tag in mail.get("EmailTags") or []}
    tags["ses:configuration-set"] = [mail.get("ConfigurationSetName")]
    source = mail["FromEmailAddress"]
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": "aws.ses",
        "account": ACCOUNT,
        "time": _now(),
        "region": REGION,
        "resources": [],
        "detail": {
            "eventType": kind,
            **told,
            "mail": {
                "timestamp": mail["at"],
                "messageId": mail["MessageId"],
                "source": source,
                "sendingAccountId": ACCOUNT,
                "destination": mail["Destination"]["ToAddresses"],
                "tags": tags,
            },
        },
    }


def _delivery(to: str) -> dict[str, Any]:
    return {
        "timestamp": _now(),
        "processingTimeMillis": 500,
        "recipients": [to],
        "smtpResponse": "250 2.6.0 Message received",
        "reportingMTA": "mta.example.com",
    }


def _bounce(to: str, sub_type: str) -> dict[str, Any]:
    recipient = {
        "emailAddress": to,
        "action": "failed",
        "status": "5.1.1",
        "diagnosticCode": "smtp; 550 5.1.1 user unknown",
    }
    return {
        "bounceType": "Permanent",
        "bounceSubType": sub_type,
        "bouncedRecipients": [recipient],
        "timestamp": _now(),
        "feedbackId": str(uuid.uuid4()),
        "reportingMTA": "dsn; mta.example.com",
    }


def _complaint(to: str) -> dict[str, Any]:
    return {
        "complainedRecipients": [{"emailAddress": to}],
        "timestamp": _now(),
        "feedbackId": str(uuid.uuid4()),
        "complaintFeedbackType": "abuse",
    }


def to_function(invoke_url: str, function: str) -> Publish:
    """Return what hands each event to a function, as SQS does: a batch of one."""

    def publish(event: Event) -> None:
        record = {
            "messageId": str(uuid.uuid4()),
            "eventSource": "aws:sqs",
            "body": json.dumps(event),
        }
        request = urllib.request.Request(
            f"{invoke_url}/2015-03-31/functions/{function}/invocations",
            data=json.dumps({"Records": [record]}).encode(),
            headers={"X-Amz-Invocation-Type": "RequestResponse"},
            method="POST",
        )
        # The function is on this machine, and may still be starting.
        for _ in range(5):
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    if answer.status == 200 and b"itemIdentifier" not in answer.read():
                        return
            except OSError:
                pass
            threading.Event().wait(1.0)

    return publish


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
