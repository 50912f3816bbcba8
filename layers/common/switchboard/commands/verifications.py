"""verifications: codes that prove a number."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import Field

from switchboard.commands._resource import Command, Resource
from switchboard.inbox import verifications
from switchboard.inbox.verifications import Checked, CodeGiven, NewVerification
from switchboard.kernel.arguments import Arguments, read
from switchboard.kernel.errors import Unprocessable
from switchboard.tools import Tools


class NewCode(Arguments):
    """Whose number is to be proved, and how."""

    sender: str = Field(alias="from", description="phone_number_id of our number")
    to: str = Field(description="the number to be proved, or the id of its contact")
    template: str = Field(description="name of an authentication template")
    language: str = Field(description="its language: es_MX")
    code_length: int = Field(6, description="digits of the code")
    expires_in: int = Field(600, description="seconds for which it holds")


class TypedCode(CodeGiven):
    """What the person typed."""

    verification: UUID = Field(description="the verification's id")


def start_verification(tools: Tools, tenant_id: UUID, given: NewCode) -> dict[str, Any]:
    """Send a new code, which ends the person's earlier ones."""
    document = given.model_dump(exclude={"sender", "language"})
    document["from"] = given.sender
    document["template"] = {"name": given.template, "language": given.language}
    new = read(NewVerification, document)
    answer = verifications.start_verification(tools, tenant_id, new)
    if answer.status >= 400:
        raise Unprocessable(str(answer.body["detail"]))
    return answer.body


def check_code(tools: Tools, tenant_id: UUID, given: TypedCode) -> Checked:
    """Try a code: five times at most."""
    code = CodeGiven(code=given.code)
    return verifications.check_code(tools, tenant_id, given.verification, code)


KIND = Resource(
    "verifications",
    "codes that prove a number",
    (
        Command(
            "start",
            NewCode,
            start_verification,
            "--from 106540352242922 --to +4915550000001 --template login_code --language en",
        ),
        Command(
            "check",
            TypedCode,
            check_code,
            "--verification 6f1d7c52-7f7e-4f27-9d11-3a4f6d1c9b10 --code 123456",
        ),
    ),
)
