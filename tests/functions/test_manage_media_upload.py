"""Files for messages: uploaded to Meta once, checked by type, fetched from links with care."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.manage import app
from switchboard import commands
from switchboard.accounts.uploads import RAW_MOST
from switchboard.commands import RESOURCES
from switchboard.commands._resource import read_arguments
from switchboard.kernel.clock import Clock
from switchboard.kernel.errors import Unprocessable
from switchboard.kernel.outside import Outside
from switchboard.whatsapp.media import download
from tests.databases import ClonedDatabase
from tests.graph_calls import Asked, graph_calls
from tests.managing import START, Desk, Made, desk_of
from tests.meta_files import MetaFile, MetaFiles, serving_files

POST, DELETE = "POST /v1/media", "DELETE /v1/media/uploads/{id}"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
KB, MB = 1024, 1024 * 1024


class Files:
    """A desk whose number uploads, and Meta's side."""

    def __init__(self, desk: Desk, meta: MetaFiles) -> None:
        self.desk = desk
        self.meta = meta
        self.id = desk.place.phone_number_id
        desk.use(graph_url=meta.url)
        desk.made.clock = Clock(now=START)

    def post(
        self, content: bytes, mime_type: str | None = "image/png", **query: str
    ) -> tuple[int, Made]:
        """Send a file as the body, as API Gateway hands it over."""
        headers = {"authorization": f"Bearer {self.desk.key}"}
        event: Made = {
            "version": "2.0",
            "routeKey": POST,
            "headers": headers | ({"content-type": mime_type} if mime_type else {}),
            "queryStringParameters": {"from": self.id, **query},
            "requestContext": {"http": {"method": "POST", "path": "/v1/media"}},
            "body": base64.b64encode(content).decode(),
            "isBase64Encoded": True,
        }
        response = app.handler(event, None)
        return response["statusCode"], json.loads(response["body"])

    def link(self, **body: Any) -> tuple[int, Made]:
        return self.desk.call(POST, body={"from": self.id, **body})

    def rows(self) -> list[Made]:
        return self.desk.place.rows("media_uploads")


@pytest.fixture
def files(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    with serving_files() as meta, desk_of(database, monkeypatch) as desk:
        yield Files(desk, meta)


def test_a_file_is_uploaded_once_and_then_reused(files: Files) -> None:
    status, first = files.post(PNG, "image/png; charset=binary", filename="logo.png")
    assert status == 201
    (row,) = files.rows()
    assert first == {
        "id": row["wa_media_id"],
        "expires_at": row["expires_at"].isoformat(),
        "reused": False,
        "mime_type": "image/png",
        "size": len(PNG),
    }
    assert (row["expires_at"] - START).days == 30
    path = f"/v23.0/{files.id}/media"
    assert files.meta.uploads == [(path, "image/png", PNG)]
    assert files.post(PNG)[1] == {**first, "reused": True}
    assert len(files.meta.uploads) == 1


def test_text_comes_without_base64(files: Files) -> None:
    event = {
        "version": "2.0",
        "routeKey": POST,
        "headers": {"authorization": f"Bearer {files.desk.key}", "content-type": "text/plain"},
        "queryStringParameters": {"from": files.id},
        "body": "Bücher",
        "isBase64Encoded": False,
    }
    assert app.handler(event, None)["statusCode"] == 201
    assert files.meta.uploads[0][1:] == ("text/plain", "Bücher".encode())


STILL = b"RIFF" + bytes(4) + b"WEBPVP8 " + bytes(90)
MOVING = b"RIFF" + bytes(4) + b"WEBPVP8X" + bytes(4) + b"\x02" + bytes(90)


@pytest.mark.parametrize(
    ("mime_type", "limit", "head"),
    [
        ("image/webp", 100 * KB, STILL),
        ("image/webp", 500 * KB, MOVING),
    ],
)
def test_a_sticker_that_moves_may_be_larger(
    files: Files, mime_type: str, limit: int, head: bytes
) -> None:
    assert files.post(head.ljust(limit, b"x"), mime_type)[0] == 201
    status, problem = files.post(head.ljust(limit + 1, b"x"), mime_type)
    assert (status, problem["field"]) == (413, "file")
    assert str(limit) in problem["detail"]


@pytest.mark.parametrize(
    ("mime_type", "limit"),
    [("image/jpeg", 5 * MB), ("video/mp4", 16 * MB), ("audio/ogg; codecs=opus", 16 * MB)],
)
def test_a_type_has_a_limit(files: Files, mime_type: str, limit: int) -> None:
    files.meta.files["big"] = MetaFile(bytes(limit), mime_type)
    files.meta.files["over"] = MetaFile(bytes(limit + 1), mime_type)
    assert files.link(link=f"{files.meta.url}/file/big")[0] == 201
    status, problem = files.link(link=f"{files.meta.url}/file/over")
    assert (status, problem["field"]) == (413, "file")
    assert len(files.meta.uploads) == 1


@pytest.mark.parametrize(
    ("mime_type", "field"),
    [
        ("image/gif", "content-type"),
        ("video/quicktime", "content-type"),
        ("audio/wav", "content-type"),
        ("nonsense", "content-type"),
        (None, "content-type"),
    ],
)
def test_what_no_message_can_carry_is_refused(
    files: Files, mime_type: str | None, field: str
) -> None:
    status, problem = files.post(PNG, mime_type)
    assert (status, problem["field"]) == (422, field)
    assert files.meta.asked == []


def test_anything_else_is_a_document_and_nothing_is_no_file(files: Files) -> None:
    assert files.post(b"PK", "application/zip")[0] == 201
    status, problem = files.post(b"", "application/zip")
    assert (status, problem["field"]) == (422, "file")


def test_a_body_has_a_limit_that_names_the_other_way(files: Files) -> None:
    kind = "application/pdf"
    assert files.post(bytes(RAW_MOST), kind)[0] == 201
    status, problem = files.post(bytes(RAW_MOST + 1), kind)
    assert (status, problem["field"]) == (413, "file")
    assert "link" in problem["detail"]
    # What Lambda takes: 6 MB in base64, and the rest of the event.
    assert (RAW_MOST + 2) // 3 * 4 <= 6_000_000


def test_the_number_is_named_and_the_tenants_own(files: Files) -> None:
    other = files.desk.world.place()
    for sender in ("7", other.phone_number_id):
        assert files.post(PNG, **{"from": sender})[0] == 404
        status, problem = files.desk.call(POST, body={"from": sender, "link": "https://a.example"})
        assert (status, problem["field"]) == (404, "from")
    assert files.desk.call(POST, filename="x")[1]["field"] == "from"
    assert files.meta.asked == []


# Links


def test_a_link_is_fetched_and_uploaded_with_its_servers_type_and_its_name(files: Files) -> None:
    files.meta.files["menu.pdf"] = MetaFile(b"%PDF", "application/pdf")
    status, made = files.link(link=f"{files.meta.url}/file/menu.pdf")
    assert (status, made["mime_type"], made["size"]) == (201, "application/pdf", 4)
    assert files.meta.uploads[0][1:] == ("application/pdf", b"%PDF")
    # Nobody but Meta is shown a token.
    assert files.meta.asked[0] == ("GET", "/file/menu.pdf", None)
    again = files.link(link=f"{files.meta.url}/file/menu.pdf", mime_type="text/plain")[1]
    assert (again["mime_type"], again["reused"]) == ("text/plain", False)


def test_without_a_token_not_even_meta_is_shown_one(files: Files) -> None:
    files.meta.files["a"] = MetaFile(b"x")
    how: Any = {"into": io.BytesIO(), "limit": 10, "total_s": 5.0, "also": [files.meta.url]}
    for token, shown in ((None, None), ("t", "Bearer t")):
        download(Outside(loopback=True), f"{files.meta.url}/file/a", token=token, **how)
        assert files.meta.asked[-1] == ("GET", "/file/a", shown)


@pytest.mark.parametrize(
    "link",
    [
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/x",
        "https://127.0.0.1/x",
        "http://93.184.216.34/x",
        "https://[::1]/x",
        "file:///etc/passwd",
        "nonsense",
    ],
)
def test_a_link_leads_to_the_public_internet_or_nowhere(files: Files, link: str) -> None:
    files.desk.made.__dict__["outside"] = Outside()
    status, problem = files.link(link=link)
    assert (status, problem["field"]) == (422, "link")
    assert files.meta.asked == []


def test_a_link_that_redirects_inside_is_not_followed(files: Files) -> None:
    files.meta.files["a"] = MetaFile(b"x", redirect="https://10.0.0.1/secret")
    status, problem = files.link(link=f"{files.meta.url}/file/a")
    assert (status, problem["field"]) == (422, "link")
    assert files.meta.uploads == []


@pytest.mark.parametrize("status", [404, 500])
def test_a_link_without_a_file_is_told(files: Files, status: int) -> None:
    files.meta.files["a"] = MetaFile(b"x", statuses=[status])
    answered, problem = files.link(link=f"{files.meta.url}/file/a")
    assert (answered, problem["field"]) == (422, "link")
    assert str(status) in problem["detail"]


def test_a_refusal_of_meta_is_told_and_nothing_is_remembered(files: Files) -> None:
    files.meta.refuse_uploads = (400, {"error": {"code": 131053, "message": "Media upload error"}})
    assert files.post(PNG)[0] == 502
    files.meta.refuse_uploads = (500, b"<html>")
    assert files.post(PNG)[0] == 503
    assert files.rows() == []


# Deleting


def test_an_upload_is_deleted_at_meta_and_here(files: Files) -> None:
    media_id = files.post(PNG)[1]["id"]
    files.meta.files[media_id] = MetaFile(PNG)
    assert files.desk.ok(DELETE, media_id) == {"id": media_id}
    assert files.meta.asked[-1] == ("DELETE", f"/v23.0/{media_id}", f"Bearer token-{files.id}")
    assert files.rows() == []
    assert files.desk.call(DELETE, media_id)[0] == 404
    # The next upload is a new one.
    assert files.post(PNG)[1]["reused"] is False


def test_what_meta_has_forgotten_is_forgotten_here_and_what_it_keeps_is_kept(files: Files) -> None:
    media_id = files.post(PNG)[1]["id"]
    with graph_calls() as graph:
        files.desk.use(graph_url=graph.url)
        graph.refuse(190, "the token is over", 401)
        assert files.desk.call(DELETE, media_id)[0] == 502
        graph.say({"success": False})
        assert files.desk.call(DELETE, media_id)[0] == 504
        assert len(files.rows()) == 1
        error = {"code": 100, "error_subcode": 33, "message": "does not exist"}
        graph.say({"error": error}, 400)
        assert files.desk.ok(DELETE, media_id) == {"id": media_id}
        assert graph.asked[0] == Asked("DELETE", media_id, {}, None, f"token-{files.id}")
        files.desk.made.graph.close()
    assert files.rows() == []


def test_another_tenants_upload_is_not_known(files: Files) -> None:
    media_id = files.post(PNG)[1]["id"]
    other = files.desk.world.place()
    asked = len(files.meta.asked)
    assert files.desk.call(DELETE, media_id, key=other.add_key("media:write"))[0] == 404
    assert (len(files.meta.asked), len(files.rows())) == (asked, 1)


# By command


def test_a_file_of_this_machine_is_uploaded_by_command(files: Files, tmp_path: Path) -> None:
    (tmp_path / "menu.pdf").write_bytes(b"%PDF")
    (command,) = [one for one in RESOURCES["media"].commands if one.verb == "upload"]

    def run(**given: Any) -> Made:
        arguments = read_arguments(command, {"from": files.id, **given})
        tenant = str(files.desk.place.tenant_id)
        return commands.run(command, tenant, arguments, tools=files.desk.made)

    made = run(file=str(tmp_path / "menu.pdf"))
    assert (made["mime_type"], made["size"], made["reused"]) == ("application/pdf", 4, False)
    files.meta.files["a"] = MetaFile(b"%PDF", "application/pdf")
    assert run(link=f"{files.meta.url}/file/a") == {**made, "reused": True}
    with pytest.raises(Unprocessable) as caught:
        run(file=str(tmp_path / "none.pdf"))
    assert caught.value.field == "file"
    for given in ({}, {"file": "a", "link": "b"}):
        with pytest.raises(Unprocessable):
            run(**given)
