"""A request to be allowed to call; the answer is `interactive.call_permission_reply`."""

from __future__ import annotations

from typing import Literal

from switchboard.whatsapp.outbound._base import Part
from switchboard.whatsapp.outbound.interactive._parts import Body, InteractiveMessage


class AskPermission(Part):
    """Meta's name of the action."""

    name: Literal["call_permission_request"] = "call_permission_request"


class CallPermissionRequest(Part):
    """Cloud API Calling, Obtain user call permissions: a body at most.

    One a day and two a week for each person, until a call connects; Meta counts them.
    """

    type: Literal["call_permission_request"] = "call_permission_request"
    body: Body | None = None
    action: AskPermission


class CallPermissionRequestMessage(InteractiveMessage):
    """A request to be allowed to call."""

    interactive: CallPermissionRequest


MODEL = CallPermissionRequestMessage
