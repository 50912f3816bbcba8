"""Meta's side of files on a real socket: tells addresses, hands files out, takes uploads."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.simulator.media import parse_form


@dataclass
class MetaFile:
    """One file; what is set besides the content is said or done instead of the truth."""

    content: bytes
    mime_type: str = "image/png"
    says_sha256: str | None = None
    says_size: Any = None
    error: tuple[int, Any] | None = None
    #: Statuses of the coming downloads, one each; then 200.
    statuses: list[int] = field(default_factory=list)
    redirect: str | None = None
    serve: Callable[[Handler], None] | None = None


class MetaFiles(ThreadingHTTPServer):
    """Files by media id; records who asked for what with which token."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, MetaFile] = {}
        self.asked: list[tuple[str, str, str | None]] = []
        self.uploads: list[tuple[str, str, bytes]] = []
        self.refuse_uploads: tuple[int, Any] | None = None
        self.before_upload: Callable[[], None] = lambda: None
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def count(self, start: str) -> int:
        """Return how many requests had a path that starts so."""
        return sum(path.startswith(start) for _, path, _ in self.asked)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up."""


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server: MetaFiles

    def do_GET(self) -> None:
        self._note()
        if self.path.startswith("/file/"):
            self._download(self.server.files[self.path.removeprefix("/file/")])
            return
        media_id = self.path.partition("?")[0].rpartition("/")[2]
        known = self.server.files.get(media_id)
        if known is None:
            error = {"code": 100, "error_subcode": 33, "message": "Object does not exist"}
            self.answer(400, {"error": error})
        elif known.error is not None:
            self.answer(*known.error)
        else:
            digest = hashlib.sha256(known.content).hexdigest()
            self.answer(
                200,
                {
                    "messaging_product": "whatsapp",
                    "url": f"{self.server.url}/file/{media_id}",
                    "mime_type": known.mime_type,
                    "sha256": known.says_sha256 or digest,
                    "file_size": known.says_size or len(known.content),
                    "id": media_id,
                },
            )

    def do_DELETE(self) -> None:
        self._note()
        media_id = self.path.rpartition("/")[2]
        self.answer(200, {"success": self.server.files.pop(media_id, None) is not None})

    def do_POST(self) -> None:
        self._note()
        body = self.rfile.read(int(self.headers["content-length"]))
        form = parse_form(self.headers["content-type"], body)
        assert form["messaging_product"][0] == b"whatsapp"
        content, kind = form["file"]
        assert (kind or "").encode() == form["type"][0]
        self.server.before_upload()
        if self.server.refuse_uploads is not None:
            self.answer(*self.server.refuse_uploads)
            return
        with self.server.lock:
            self.server.uploads.append((self.path, str(kind), content))
            media_id = str(700_000 + len(self.server.uploads))
        self.answer(200, {"id": media_id})

    def answer(self, status: int, document: Any) -> None:
        """Write an answer; bytes as they are, anything else as JSON."""
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def send_raw(self, content: bytes) -> None:
        """Write bytes as they are, headers included, and end the connection."""
        self.close_connection = True
        self.wfile.write(content)

    def _download(self, file: MetaFile) -> None:
        if file.serve is not None:
            with suppress(OSError):
                file.serve(self)
            self.close_connection = True
            return
        status = file.statuses.pop(0) if file.statuses else 200
        if file.redirect is not None:
            status = 302
        self.send_response(status)
        if file.redirect is not None:
            self.send_header("location", file.redirect)
        content = file.content if status == 200 else b""
        self.send_header("content-type", file.mime_type)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _note(self) -> None:
        with self.server.lock:
            self.server.asked.append((self.command, self.path, self.headers["authorization"]))

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving_files() -> Iterator[MetaFiles]:
    """Run a server until the block ends."""
    with MetaFiles() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def in_base64(content: bytes) -> str:
    """Return the hash of `content` as webhooks write it today."""
    return base64.b64encode(hashlib.sha256(content).digest()).decode()
