"""The same echoes under the name that numbers outside the Business app's coexistence have."""

from __future__ import annotations

from switchboard.whatsapp.webhook.fields._field import Field
from switchboard.whatsapp.webhook.fields.smb_message_echoes import read

KIND = Field(name="message_echoes", read=read, events=("phone_app_message",), is_apart=True)
