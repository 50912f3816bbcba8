"""A Graph API on a real socket that keeps every request whole: method, query, body, token."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit


class Asked(NamedTuple):
    """One request; `path` without the version, `body` parsed, None where there was none."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    token: str


#: Gets a request and returns a status and a document.
Answer = Callable[[Asked], tuple[int, Any]]


class GraphCalls(ThreadingHTTPServer):
    """Records what it is asked; `answer` says what comes back."""

    daemon_threads = True  # a client may keep its connection
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Asked] = []
        self.answer: Answer = lambda _: (200, {"success": True})

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def say(self, document: Any, status: int = 200) -> None:
        """Answer everything with this document."""
        self.answer = lambda _: (status, document)

    def refuse(self, code: int, message: str = "no", status: int = 400) -> None:
        """Answer everything with this error."""
        error = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A1"}
        self.say({"error": error}, status)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body leave in one packet, or each answer waits for a delayed acknowledgement.
    wbufsize = -1
    server: GraphCalls

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        asked = Asked(
            self.command,
            parts.path.partition("/v23.0/")[2],
            dict(parse_qsl(parts.query)),
            json.loads(raw) if raw else None,
            self.headers["authorization"].removeprefix("Bearer "),
        )
        self.server.asked.append(asked)
        status, document = self.server.answer(asked)
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - http.server's names

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def graph_calls() -> Iterator[GraphCalls]:
    """Run a server until the block ends."""
    with GraphCalls() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
