"""Meta's refusals: the codes the simulator can give, with their HTTP status and words."""

from __future__ import annotations

import base64
import secrets
from typing import Any

Json = dict[str, Any]

# code -> (HTTP status, title, details). Throttles really come as 400, not 429.
_TABLE: dict[int, tuple[int, str, str]] = {
    1: (400, "API Unknown", "An unknown error occurred."),
    2: (503, "API Service", "Service temporarily unavailable."),
    4: (400, "API Too Many Calls", "Application request limit reached."),
    10: (403, "Application does not have permission for this action", "Permission missing."),
    33: (400, "Parameter value is not valid", "The business phone number has been deleted."),
    100: (400, "Invalid parameter", "One or more parameters are unsupported or misspelled."),
    190: (401, "Invalid OAuth access token", "The access token is invalid or has expired."),
    368: (403, "Temporarily blocked for policies violations", "The account violated a policy."),
    80007: (400, "Rate limit issues", "The WhatsApp Business Account reached its rate limit."),
    130429: (400, "Rate limit hit", "Cloud API message throughput has been reached."),
    130472: (
        400,
        "User's number is part of an experiment",
        "Message was not sent because the recipient's number is part of an experiment.",
    ),
    130497: (403, "Business account is restricted", "May not message users in this country."),
    131000: (500, "Something went wrong", "Message failed to send because of an unknown error."),
    131005: (403, "Access denied", "A permission was not granted or has been removed."),
    131008: (400, "Required parameter is missing", "The request lacks a required parameter."),
    131009: (400, "Parameter value is not valid", "One or more parameter values are invalid."),
    131016: (500, "Service unavailable", "A service is temporarily unavailable."),
    131021: (400, "Recipient cannot be sender", "Sender and recipient are the same number."),
    131026: (400, "Message undeliverable", "Message Undeliverable."),
    131030: (
        400,
        "Recipient phone number not in allowed list",
        "Recipient phone number not in allowed list: add it to the list and try again.",
    ),
    131031: (403, "Account has been locked", "The business account was restricted or disabled."),
    131037: (400, "Display name approval needed", "The number's display name is not approved."),
    131042: (400, "Business eligibility payment issue", "There was a problem with the payment."),
    131045: (500, "Incorrect certificate", "The number's registration failed."),
    131047: (
        400,
        "Re-engagement message",
        (
            "Message failed to send because more than 24 hours have passed since the customer last"
            " replied to this number."
        ),
    ),
    131048: (400, "Spam rate limit hit", "Too many previous messages were blocked or flagged."),
    131049: (
        400,
        "Message not delivered to maintain healthy ecosystem engagement",
        "This message was not delivered to maintain healthy ecosystem engagement.",
    ),
    131050: (400, "User stopped marketing messages", "The recipient opted out of marketing."),
    131051: (400, "Unsupported message type", "Message type is currently not supported."),
    131053: (400, "Media upload error", "The media used in the message could not be fetched."),
    131056: (
        400,
        "(Business Account, Consumer Account) pair rate limit hit",
        "Too many messages sent from this number to the same recipient in a short time.",
    ),
    131057: (500, "Account in maintenance mode", "The account is in maintenance mode."),
    131062: (400, "Business-scoped user id not supported", "Send this message to a phone number."),
    131055: (400, "Method not allowed", "Only templates are sent by the Marketing Messages API."),
    132000: (400, "Number of parameters does not match", "Template parameter count mismatch."),
    132001: (404, "Template name does not exist in the translation", "The template is missing."),
    132005: (400, "Translated text too long", "The text is too long once it is filled in."),
    132012: (
        400,
        "Parameter format does not match format in the created template",
        "Variable parameter values are formatted incorrectly.",
    ),
    132015: (400, "Template is paused", "The template is paused because of low quality."),
    132016: (400, "Template is disabled", "The template was paused too many times."),
    132018: (
        400,
        "There is an issue with the parameters in your template",
        "One or more parameters of the template are invalid.",
    ),
    132068: (400, "Flow is blocked", "The Flow is in a blocked state."),
    133010: (400, "Account not registered", "The phone number is not registered."),
    134100: (400, "Only marketing messages supported", "The template's category is another."),
    137000: (400, "Identity key hash mismatch", "The recipient's identity changed."),
    613: (429, "Rate limit hit", "Too many questions about call permissions in a second."),
    138000: (401, "Calling not enabled", "Calling is not enabled on this phone number."),
    138001: (400, "Receiver uncallable", "The user cannot receive calls."),
    138003: (400, "Duplicate call", "A call is open between the business and the user already."),
    138004: (400, "Invalid call action", "The call cannot be handled like that."),
    138006: (401, "No approved call permission", "The user has not allowed the business to call."),
    138009: (400, "Call permission request limit hit", "1 request in 24 hours, 2 in 7 days."),
    138012: (400, "Call limit hit", "Too many calls to this user in 24 hours."),
    138017: (400, "Permanent permission exists", "The user has allowed calls for good already."),
    139100: (400, "Failed to block/unblock users", "Some users could not be blocked or unblocked."),
    139101: (400, "Blocklist limit reached", "The block list is full."),
}
_HREF = "/documentation/business-messaging/whatsapp/support/error-codes"


class GraphRefusal(Exception):
    """The Graph API says no; `body()` is its answer. `told`: a title and a text for people."""

    def __init__(
        self,
        code: int,
        *,
        message: str | None = None,
        details: str | None = None,
        subcode: int | None = None,
        kind: str = "OAuthException",
        told: tuple[str, str] | None = None,
    ) -> None:
        status, title, usual = _TABLE.get(code, (400, "Error", "Refused."))
        super().__init__(message or f"(#{code}) {title}")
        self.code = code
        self.status = status
        self.details = details or usual
        self.subcode = subcode
        self.kind = kind
        self.told = told

    def body(self) -> Json:
        """Meta's error object, with a fresh trace id."""
        error: Json = {"message": str(self), "type": self.kind, "code": self.code}
        if self.told is not None:
            error |= {"is_transient": False, "error_user_title": self.told[0]}
            error["error_user_msg"] = self.told[1]
        elif self.code >= 100 and self.kind == "OAuthException" and self.code != 190:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        error["fbtrace_id"] = "A" + base64.urlsafe_b64encode(secrets.token_bytes(16)).decode()[:22]
        return {"error": error}


def unknown_object(verb: str, node: str) -> GraphRefusal:
    """The object is missing or not this token's: Meta does not say which."""
    return GraphRefusal(
        100,
        message=f"Unsupported {verb} request. Object with ID '{node}' does not exist, cannot be"
        " loaded due to missing permissions, or does not support this operation",
        subcode=33,
        kind="GraphMethodException",
    )


def status_error(code: int, details: str | None = None) -> Json:
    """The same refusal as a `failed` status carries it in `errors[]`."""
    _, title, usual = _TABLE.get(code, (400, "Error", "Refused."))
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": details or usual},
        "href": _HREF,
    }
