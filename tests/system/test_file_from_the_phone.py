"""A picture from the phone to our own bucket, in the running system."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from PIL import Image

from switchboard.kernel import aws
from switchboard.kernel.settings import Settings
from switchboard.media import media_address
from switchboard.tools import Tools
from tests.simulator_run import wait_until

#: Where Postgres was killed a moment ago a webhook may wait in the backlog for the next minute.
PATIENCE_S = 90.0


@pytest.fixture
def tools(stack: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Tools]:
    """What a function of the running system has."""
    for name, value in stack.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    aws.client.cache_clear()
    made = Tools(Settings(database_url=stack["DATABASE_URL"], media_bucket=stack["MEDIA_BUCKET"]))
    yield made
    made.db.drop()
    aws.client.cache_clear()


def test_a_picture_sent_from_the_phone_is_shown_by_a_signed_address(
    stack: dict[str, str], tools: Tools
) -> None:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((700, 500)).save(out, "PNG")
    content = out.getvalue()
    simulator = f"{stack['SIMULATOR_URL']}/simulator"
    gesture = {
        "type": "image",
        "phone_number_id": stack["PHONE_NUMBER_ID_3"],
        "data": base64.b64encode(content).decode(),
        "mime_type": "image/png",
        "caption": "the gradient",
    }
    sent = httpx.post(f"{simulator}/phone/4915550009911/messages", json=gesture, timeout=PATIENCE_S)
    assert sent.is_success, sent.text

    row: dict[str, Any] = {}

    def stored() -> bool:
        with psycopg.connect(stack["DATABASE_OWNER_URL"]) as everything:
            found = everything.execute(
                "select tenant_id, id, status, sha256, error_code, error_message"
                " from messaging.media where caption = 'the gradient'"
            ).fetchone()
        names = ("tenant_id", "id", "status", "sha256", "error_code", "error_message")
        row.update(zip(names, found or (), strict=False))
        return row.get("status") == "stored"

    try:
        wait_until(stored, within=PATIENCE_S)
    except AssertionError as error:
        error.add_note(f"the file's row: {row}")
        raise
    assert str(row["tenant_id"]) == stack["TENANT_ID_3"]
    assert base64.b64decode(row["sha256"]) == hashlib.sha256(content).digest()
    shown = httpx.get(media_address(tools, row["tenant_id"], row["id"]), timeout=PATIENCE_S)
    assert (shown.status_code, shown.content) == (200, content)
    assert shown.headers["content-type"] == "image/png"
    small = httpx.get(
        media_address(tools, row["tenant_id"], row["id"], thumbnail=True), timeout=PATIENCE_S
    )
    assert Image.open(io.BytesIO(small.content)).size == (320, 229)
