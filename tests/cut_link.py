"""A TCP link to Postgres that can be cut at the worst moment: between a commit and its answer."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from types import TracebackType


class CutLink:
    """Listens on a port of its own and passes everything on to `port` of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self._closing = threading.Event()
        self._mark: bytes | None = None
        self._after_answer = False
        self.was_cut = False
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def through(self, url: str) -> str:
        """Return `url` with this link's port."""
        return url.replace(f":{self._port}/", f":{self._listener.getsockname()[1]}/")

    def cut(self, mark: str, *, after_answer: bool) -> None:
        """Cut once, at the request that holds `mark`: before the server sees it, or when it has
        answered and its client has not heard it."""
        self._mark, self._after_answer = mark.encode(), after_answer

    def __enter__(self) -> CutLink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._accepting.join(10)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._pass_on, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, client: socket.socket) -> None:
        with (
            client,
            socket.create_connection(("127.0.0.1", self._port)) as server,
            selectors.DefaultSelector() as selector,
        ):
            selector.register(client, selectors.EVENT_READ)
            selector.register(server, selectors.EVENT_READ)
            silent = False
            while True:
                for key, _ in selector.select():
                    source = key.fileobj
                    assert isinstance(source, socket.socket)
                    data = source.recv(1 << 16)
                    if source is server and silent:
                        self.was_cut = True
                        return
                    if not data:
                        return
                    if source is client and self._mark is not None and self._mark in data:
                        self._mark = None
                        if not self._after_answer:
                            self.was_cut = True
                            return
                        silent = True
                    (server if source is client else client).sendall(data)
