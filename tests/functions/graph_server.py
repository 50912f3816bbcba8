"""A Graph API on a real socket, for the tests of what sends."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Gets the path and body of a request and returns a status and a document.
Answer = Callable[[str, dict[str, Any]], tuple[int, Any]]


class GraphServer(ThreadingHTTPServer):
    """Records what it is asked; `answer` may be replaced."""

    daemon_threads = False  # their sockets are closed before the test ends
    request_queue_size = 64  # as many connects at once as a slice has threads

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.tokens: list[str] = []
        self.answer: Answer = self.accept
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def accept(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Take a message as Meta does."""
        assert path.endswith("/messages")
        if body.get("status") == "read":
            return 200, {"success": True}
        to = body.get("to", "")
        return 200, {
            "messaging_product": "whatsapp",
            "contacts": [{"input": to, "wa_id": to.lstrip("+")}],
            "messages": [{"id": f"wamid.{body['biz_opaque_callback_data']}"}],
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body leave in one packet, or each answer waits for a delayed acknowledgement.
    wbufsize = -1
    server: GraphServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.asked.append(body)
            self.server.paths.append(self.path)
            self.server.tokens.append(self.headers["authorization"])
        status, document = self.server.answer(self.path, body)
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[GraphServer]:
    """Run a server until the block ends."""
    with GraphServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
