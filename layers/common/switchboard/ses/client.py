"""Hands one mail to Amazon SES (API v2, SendEmail), once.

SendEmail takes no idempotency token (its request has none): asked twice, SES sends twice. So
botocore must not repeat the call, and an answer that did not come is an outcome of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from switchboard.kernel import aws
from switchboard.kernel.log import log

#: Seconds for which an answer is waited for.
ANSWER_S = 10.0
#: The tags by which an event finds the mail it is about (letters, digits, `-`, `_` alone).
TENANT_TAG, EMAIL_TAG = "switchboard_tenant", "switchboard_email"

#: Words of SES, and of AWS before it, for "later": nothing was sent.
_THROTTLED = frozenset(
    {
        "TooManyRequestsException",
        "LimitExceededException",
        "Throttling",
        "ThrottlingException",
        "RequestThrottled",
        "SlowDown",
    }
)
#: What the operator can mend, while the mail waits: nothing was sent.
_HELD = frozenset(
    {
        "SendingPausedException",
        "AccessDeniedException",
        "AccessDenied",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "ExpiredTokenException",
        "ExpiredToken",
        "SignatureDoesNotMatch",
        "IncompleteSignature",
        "InvalidSignatureException",
        "RequestExpired",
    }
)


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail as it goes out. `sender` and `reply_to` are bare addresses, `tags` name us in events.

    `unsubscribe` is the address of the person's own page, None where there is none; `one_click`:
    a POST to it takes back what the mail was sent for (RFC 8058).
    """

    sender: str
    sender_name: str | None
    reply_to: str | None
    to: str
    subject: str
    text: str
    html: str | None
    unsubscribe: str | None
    one_click: bool
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class Accepted:
    """SES has taken it, and will tell what became of it."""

    message_id: str
    response: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """SES will not send this one, however often it is asked."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Later:
    """Nothing was sent, and another time may go better; `held` where a person must act first."""

    code: str
    message: str
    held: bool = False


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """Nobody knows whether SES has taken it."""

    code: str
    message: str


Answer = Accepted | Refused | Later | Unconfirmed


def request_of(letter: Letter, configuration_set: str | None) -> dict[str, Any]:
    """Return the members of SendEmail.

    SES assembles the message of them (content type Simple), so that no text of ours is a header.
    """
    body: dict[str, Any] = {"Text": _content(letter.text)}
    if letter.html is not None:
        body["Html"] = _content(letter.html)
    simple: dict[str, Any] = {"Subject": _content(letter.subject), "Body": body}
    if letter.unsubscribe is not None:
        headers = {"List-Unsubscribe": f"<{letter.unsubscribe}>"}
        if letter.one_click and letter.unsubscribe.startswith("https://"):
            headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        simple["Headers"] = [{"Name": name, "Value": value} for name, value in headers.items()]
    request: dict[str, Any] = {
        "FromEmailAddress": _sender(letter),
        "Destination": {"ToAddresses": [letter.to]},
        "Content": {"Simple": simple},
        "EmailTags": [{"Name": name, "Value": value} for name, value in letter.tags.items()],
    }
    if letter.reply_to is not None:
        request["ReplyToAddresses"] = [letter.reply_to]
    if configuration_set is not None:
        request["ConfigurationSetName"] = configuration_set
    return request


def _sender(letter: Letter) -> str:
    # A message's header has its own quoting; only who sends needs it.
    from email.header import Header
    from email.utils import formataddr

    name = letter.sender_name or ""
    if name.isascii():
        return formataddr((name, letter.sender))
    # In words of 75 characters at most (RFC 2047, 2).
    return f"{Header(name, 'utf-8').encode(linesep='', maxlinelen=75)} <{letter.sender}>"


class SesClient:
    """SES in one region, as one process reaches it."""

    def __init__(self, configuration_set: str | None) -> None:
        self._configuration_set = configuration_set

    def send(self, letter: Letter) -> Answer:
        """Ask once. Never raises for what SES, or the way to it, does."""
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            ConnectTimeoutError,
            EndpointConnectionError,
            NoCredentialsError,
            NoRegionError,
            ParamValidationError,
            PartialCredentialsError,
        )

        request = request_of(letter, self._configuration_set)
        try:
            client = aws.client("sesv2", read_s=ANSWER_S, tries=1)
            response = client.send_email(**request)
        except ClientError as error:
            return of_error(error.response)
        except ParamValidationError:
            # Its text quotes the members.
            return Refused("ParamValidationError", "the request does not fit SES's API")
        except (ConnectTimeoutError, EndpointConnectionError) as error:
            return Later(type(error).__name__, "SES was not reached")
        except (NoCredentialsError, NoRegionError, PartialCredentialsError) as error:
            return Later(type(error).__name__, "the function may not ask SES", held=True)
        except BotoCoreError as error:
            return Unconfirmed(type(error).__name__, "SES gave no answer")
        except Exception as error:  # noqa: BLE001 - whatever it was, the request may be out
            log.error("ses.failed", error=error)
            return Unconfirmed(type(error).__name__, "SES gave no answer")
        message_id = response.get("MessageId")
        if not isinstance(message_id, str) or not message_id:
            return Unconfirmed("no_message_id", "SES answered without a message id")
        return Accepted(message_id, {"MessageId": message_id})


def of_error(response: Mapping[str, Any]) -> Answer:
    """Return what an error answer of SES means for the mail."""
    error = response.get("Error") or {}
    code, message = str(error.get("Code", ""))[:100], str(error.get("Message", ""))[:500]
    status = (response.get("ResponseMetadata") or {}).get("HTTPStatusCode") or 0
    if code in _THROTTLED or status == 429:
        return Later(code, message)
    if code in _HELD or status in {401, 403}:
        return Later(code, message, held=True)
    if 400 <= status < 500:
        return Refused(code, message)
    # SES has begun to work on it, and did not say how far it came.
    return Unconfirmed(code or f"http_{status}", message)


def _content(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}
