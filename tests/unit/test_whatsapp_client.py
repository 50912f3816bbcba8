"""The Graph client: what each answer, and each missing answer, means for the message.

The classes are checked twice: by a table with httpx's mock transport, and against a real server on
a real socket, where a reset is a reset.
"""

from __future__ import annotations

import json
import logging
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

import httpx
import orjson
import pytest

from switchboard.kernel.clock import Clock
from switchboard.kernel.errors import ConfigurationError
from switchboard.whatsapp import client as client_module
from switchboard.whatsapp.client import (
    Accepted,
    GraphClient,
    NotSent,
    Outcome,
    Rejected,
    Throttled,
    Unconfirmed,
)
from switchboard.whatsapp.errors import Action, Scope
from switchboard.whatsapp.outbound import request_body
from switchboard.whatsapp.outbound.text import Text, TextMessage

NUMBER = "530700000000021"
TOKEN = "EAAtoken-of-tenant-1"
BODY = request_body(TextMessage(text=Text(body="hola")), "5215550100301", "key.1")
TAKEN: dict[str, Any] = {
    "messaging_product": "whatsapp",
    "contacts": [{"input": "+5215550100301", "wa_id": "5215550100301", "user_id": "MX.1"}],
    "messages": [{"id": "wamid.OUT0001", "message_status": "accepted"}],
}
BASE = "https://graph.example"


def answering(response: httpx.Response | Exception) -> GraphClient:
    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(response, Exception):
            raise response
        return response

    return GraphClient(BASE, "v23.0", transport=httpx.MockTransport(handle))


def outcome_of(response: httpx.Response | Exception) -> Outcome:
    return answering(response).send(NUMBER, TOKEN, BODY)


def graph_error(code: int, status: int, **more: Any) -> httpx.Response:
    error = {
        "message": f"(#{code}) no",
        "type": "OAuthException",
        "code": code,
        "fbtrace_id": "Ax9",
    }
    return httpx.Response(status, json={"error": error | more})


# --- By the table ------------------------------------------------------------------------------

NOT_SENT: list[type[Exception]] = [
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
]
UNCONFIRMED: list[type[Exception]] = [
    httpx.ReadError,
    httpx.ReadTimeout,
    httpx.WriteError,
    httpx.WriteTimeout,
    httpx.CloseError,
    httpx.RemoteProtocolError,
    httpx.ProtocolError,
    httpx.NetworkError,
    httpx.TimeoutException,
    httpx.TransportError,
]


def all_below(kind: type[Exception]) -> set[type[Exception]]:
    return {kind}.union(*(all_below(below) for below in kind.__subclasses__()))


def test_the_table_knows_every_transport_error_of_httpx() -> None:
    assert all_below(httpx.TransportError) == {*NOT_SENT, *UNCONFIRMED}


@pytest.mark.parametrize("kind", NOT_SENT)
def test_where_no_byte_left_nothing_was_sent(kind: type[Exception]) -> None:
    outcome = outcome_of(kind("what happened"))
    assert isinstance(outcome, NotSent)
    assert outcome.reason.startswith(kind.__name__)


@pytest.mark.parametrize("kind", UNCONFIRMED)
def test_where_a_byte_may_have_left_nothing_is_known(kind: type[Exception]) -> None:
    assert outcome_of(kind("what happened")) == Unconfirmed(f"{kind.__name__}: what happened")


def test_an_error_nobody_thought_of_is_unconfirmed() -> None:
    assert outcome_of(RuntimeError("a bug")) == Unconfirmed("RuntimeError: a bug")
    assert isinstance(outcome_of(httpx.DecodingError("gzip")), Unconfirmed)


def test_an_accepted_message_carries_metas_id_and_answer() -> None:
    assert outcome_of(httpx.Response(200, json=TAKEN)) == Accepted(
        "wamid.OUT0001", "5215550100301", "MX.1", "accepted", TAKEN
    )


def test_an_accepted_message_needs_no_contacts() -> None:
    taken = {"messages": [{"id": "wamid.OUT0001"}]}
    assert outcome_of(httpx.Response(200, json=taken)) == Accepted("wamid.OUT0001", raw=taken)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"OK", b"{", b"[]", b"null", b"{}", b'{"messages":[]}', b'{"messages":[{}]}'),
        *(b'{"messages":[{"id":""}]}', b'{"messages":[{"id":7}]}', b'{"messages":{"id":"w"}}'),
        *(b'{"messages":[{"id":"w\\u0000"}]}', b'{"success":true}', b'{"error":{}}'),
        b'{"error":"x"}',
    ],
)
def test_a_success_without_a_message_id_is_unconfirmed(content: bytes) -> None:
    outcome = outcome_of(httpx.Response(200, content=content))
    assert outcome == Unconfirmed("HTTP 200 with an unreadable answer", None, 200)


def test_an_answer_that_cannot_be_stored_is_accepted_without_its_raw_form() -> None:
    content = b'{"messages":[{"id":"wamid.OUT0001"}],"note":"\\u0000"}'
    assert outcome_of(httpx.Response(200, content=content)) == Accepted("wamid.OUT0001")


@pytest.mark.parametrize(
    ("code", "scope", "wait"),
    [
        (4, Scope.APP, 300),
        (80007, Scope.WABA, 60),
        (130429, Scope.NUMBER, 1),
        (131048, Scope.NUMBER, 3600),
        (131056, Scope.PAIR, 1),
    ],
)
def test_a_limit_comes_as_400_and_is_throttled(code: int, scope: Scope, wait: float) -> None:
    outcome = outcome_of(graph_error(code, 400))
    assert isinstance(outcome, Throttled)
    assert (outcome.code, outcome.scope, outcome.retry_after_s) == (code, scope, wait)
    assert (outcome.trace_id, outcome.http_status) == ("Ax9", 400)


@pytest.mark.parametrize(
    ("code", "status"),
    [(100, 429), (999_999, 429), (613, 429), (2, 503), (999_999, 500), (133004, 503)],
)
def test_a_refusal_that_may_pass_is_throttled(code: int, status: int) -> None:
    outcome = outcome_of(graph_error(code, status))
    assert isinstance(outcome, Throttled)
    assert outcome.action is Action.BACKOFF


def test_too_many_requests_need_no_body() -> None:
    outcome = outcome_of(httpx.Response(429, text="slow down", headers={"Retry-After": "17"}))
    assert isinstance(outcome, Throttled)
    assert (outcome.code, outcome.retry_after_s) == (None, 17)


def test_the_usage_header_tells_how_long_to_wait() -> None:
    usage = {"9": [{"type": "whatsapp", "estimated_time_to_regain_access": 19}]}
    response = graph_error(80007, 400)
    response.headers["X-Business-Use-Case-Usage"] = json.dumps(usage)
    outcome = outcome_of(response)
    assert isinstance(outcome, Throttled)
    assert outcome.retry_after_s == 19 * 60


@pytest.mark.parametrize("usage", ["", "{", "[]", '{"9":7}', '{"9":[7]}', '{"9":[{}]}'])
def test_an_odd_usage_header_changes_nothing(usage: str) -> None:
    response = graph_error(130429, 400)
    response.headers["X-Business-Use-Case-Usage"] = usage
    outcome = outcome_of(response)
    assert isinstance(outcome, Throttled)
    assert outcome.retry_after_s == 1


@pytest.mark.parametrize(
    ("code", "status", "action"),
    [
        (100, 400, Action.FIX),
        (190, 401, Action.PAUSE_APP),
        (131030, 400, Action.NEVER),
        (131047, 400, Action.USE_TEMPLATE),
        (131026, 400, Action.UNREACHABLE),
        (132001, 404, Action.PAUSE_TEMPLATE),
        (3, 500, Action.PAUSE_APP),
        (131045, 500, Action.PAUSE_NUMBER),
        (999_999, 400, Action.NEVER),
        (1, 400, Action.BACKOFF),
    ],
)
def test_a_refusal_carries_its_code_and_what_to_do(code: int, status: int, action: Action) -> None:
    data = {"error_data": {"details": "because"}, "error_subcode": 33}
    assert outcome_of(graph_error(code, status, **data)) == Rejected(
        code, 33, f"(#{code}) no", "because", "Ax9", status, action
    )


@pytest.mark.parametrize("code", [131000, 131016])
@pytest.mark.parametrize("status", [400, 500, 503])
def test_what_meta_may_have_taken_is_unconfirmed(code: int, status: int) -> None:
    outcome = outcome_of(graph_error(code, status))
    assert isinstance(outcome, Unconfirmed)
    assert (outcome.code, outcome.http_status, outcome.trace_id) == (code, status, "Ax9")


@pytest.mark.parametrize("status", [400, 500])
def test_maintenance_of_the_number_is_a_refusal_for_the_moment(status: int) -> None:
    outcome = outcome_of(graph_error(131057, status))
    assert isinstance(outcome, Throttled)
    assert (outcome.scope, outcome.retry_after_s) == (Scope.NUMBER, 60)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 408, 500, 502, 503, 504])
def test_an_answer_that_is_not_metas_leaves_the_outcome_open(status: int) -> None:
    page = httpx.Response(status, html="<h1>no</h1>", headers={"Location": "https://x.example/"})
    outcome = outcome_of(page)
    assert outcome == Unconfirmed(f"HTTP {status} without Meta's error body", None, status)


@pytest.mark.parametrize("status", [400, 403, 404, 413])
def test_a_refusal_that_is_not_metas_is_a_refusal_without_a_code(status: int) -> None:
    outcome = outcome_of(httpx.Response(status, html="<h1>no</h1>"))
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.http_status, outcome.action) == (None, status, Action.FIX)


# --- The request -------------------------------------------------------------------------------


def test_the_request_is_metas_to_the_last_header() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=TAKEN)

    client = GraphClient(f"{BASE}/", "v23.0", transport=httpx.MockTransport(handle))
    client.send(NUMBER, TOKEN, BODY)
    client.send("../odd id?", TOKEN, BODY)
    (request, odd) = seen
    assert request.method == "POST"
    assert str(request.url) == f"{BASE}/v23.0/{NUMBER}/messages"
    assert odd.url.raw_path == b"/v23.0/..%2Fodd%20id%3F/messages"
    assert orjson.loads(request.content) == BODY
    assert dict(request.headers) == {
        "host": "graph.example",
        "authorization": f"Bearer {TOKEN}",
        "content-type": "application/json",
        "content-length": str(len(request.content)),
        "accept": "application/json",
        "user-agent": "switchboard",
    }
    assert set(request.extensions["timeout"]) == {"pool", "connect", "read", "write"}


@pytest.mark.parametrize(
    "base", ["", "graph.example", "ftp://graph.example", "https://", "http://[::"]
)
def test_a_base_that_is_no_address_is_told_at_once(base: str) -> None:
    with pytest.raises(ConfigurationError):
        GraphClient(base, "v23.0")


@pytest.mark.parametrize("token", ["", " ", "a b", "token\n", "tökén", "a\0b"])
def test_a_token_that_is_none_is_neither_sent_nor_told(
    token: str, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = answering(httpx.Response(200, json=TAKEN)).send(NUMBER, token, BODY)
    assert outcome == NotSent("the access token is empty or no token")


def test_a_body_that_is_no_json_is_not_sent() -> None:
    outcome = answering(httpx.Response(200, json=TAKEN)).send(NUMBER, TOKEN, {"to": object()})
    assert isinstance(outcome, NotSent)


def test_no_outcome_tells_the_token() -> None:
    for error in (
        httpx.LocalProtocolError(f"Illegal header value b'Bearer {TOKEN}'"),
        httpx.ConnectError("refused"),
    ):
        assert TOKEN not in repr(outcome_of(error))


def test_the_longest_request_is_the_sum_of_its_timeouts() -> None:
    timeout = client_module._TIMEOUT
    second_try_to_connect = timeout["connect"]
    assert sum(timeout.values()) + second_try_to_connect == client_module.LONGEST_S


def test_marking_as_read_says_so_and_may_show_that_we_write() -> None:
    seen: list[Any] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(orjson.loads(request.content))
        return httpx.Response(200, json={"success": True})

    client = GraphClient(BASE, "v23.0", transport=httpx.MockTransport(handle))
    marked = client.mark_read(NUMBER, TOKEN, "wamid.IN0001")
    assert marked == Accepted("wamid.IN0001", raw={"success": True})
    client.mark_read(NUMBER, TOKEN, "wamid.IN0001", typing=True)
    plain = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.IN0001"}
    assert seen == [plain, plain | {"typing_indicator": {"type": "text"}}]


def test_what_is_not_marked_as_read_is_told_like_a_send() -> None:
    def mark(response: httpx.Response | Exception) -> Outcome:
        return answering(response).mark_read(NUMBER, TOKEN, "wamid.IN0001")

    assert isinstance(mark(graph_error(100, 400)), Rejected)
    assert isinstance(mark(httpx.ConnectError("refused")), NotSent)
    assert isinstance(mark(httpx.Response(200, json={"success": False})), Unconfirmed)


# --- Against a real server ---------------------------------------------------------------------

Answer = bytes | Callable[[socket.socket], None]


@dataclass
class Server:
    """Answers the nth request of all connections with the nth answer, the last one for ever."""

    answers: list[Answer]
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._talk, link)

    def start(self) -> None:
        self._start(self.serve)

    def _start(self, work: Callable[..., None], *given: Any) -> None:
        thread = threading.Thread(target=work, args=given, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _talk(self, link: socket.socket) -> None:
        with closing(link), suppress(OSError), link.makefile("rb") as lines:
            while head := _head(lines):
                length = next(
                    int(line.split(b":")[1])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                )
                body = lines.read(length)
                with self._lock:
                    answer = self.answers[min(len(self.heads), len(self.answers) - 1)]
                    self.heads.append(head)
                    self.bodies.append(body)
                if callable(answer):
                    answer(link)
                    return
                link.sendall(answer)

    def stop(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def _head(lines: BinaryIO) -> bytes:
    """Return a request's head; empty once the client has hung up, when each line is empty too."""
    head = b""
    while (line := lines.readline()) not in (b"\r\n", b""):
        head += line
    return head


def http(status: int, content: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(content)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + content


OK = http(200, orjson.dumps(TAKEN), "Content-Type: application/json")

Serve = Callable[..., tuple[Server, GraphClient]]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    # A busy machine must not look like a slow server.
    for name in client_module._TIMEOUT:
        monkeypatch.setitem(client_module._TIMEOUT, name, 60.0)
    monkeypatch.setattr(client_module, "LONGEST_S", 60.0)
    opened: list[tuple[Server, GraphClient]] = []

    def start(*answers: Answer, clock: Clock | None = None) -> tuple[Server, GraphClient]:
        server = Server(list(answers))
        server.start()
        opened.append((server, GraphClient(server.url, "v23.0", clock=clock)))
        return opened[-1]

    yield start
    for server, client in opened:
        client.close()
        server.stop()


def test_a_message_is_accepted_over_a_real_socket(serve: Serve) -> None:
    server, client = serve(OK)
    outcome = client.send(NUMBER, TOKEN, BODY)
    assert isinstance(outcome, Accepted)
    assert outcome.raw == TAKEN
    (head,) = server.heads
    assert head.startswith(f"POST /v23.0/{NUMBER}/messages HTTP/1.1\r\n".encode())
    assert orjson.loads(server.bodies[0]) == BODY


def test_many_messages_go_over_one_connection_while_it_is_fresh(serve: Serve) -> None:
    server, client = serve(OK)
    for _ in range(5):
        assert isinstance(client.send(NUMBER, TOKEN, BODY), Accepted)
    assert server.connections == 1


def reset(link: socket.socket) -> None:
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang_up(link: socket.socket) -> None:
    link.shutdown(socket.SHUT_RDWR)


def stop_in_the_middle(link: socket.socket) -> None:
    link.sendall(OK[:-10])
    link.shutdown(socket.SHUT_RDWR)


def say_nothing(link: socket.socket) -> None:
    with suppress(OSError):
        link.recv(1)  # until the client gives up and closes


def never_end(link: socket.socket) -> None:
    with suppress(OSError):
        link.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            link.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")


def talk_nonsense(link: socket.socket) -> None:
    link.sendall(b"SSH-2.0-OpenSSH_9\r\n")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reset, "ReadError"),
        (hang_up, "RemoteProtocolError"),
        (stop_in_the_middle, "RemoteProtocolError"),
        (say_nothing, "ReadTimeout"),
        (talk_nonsense, "RemoteProtocolError"),
        (never_end, "the answer does not end"),
    ],
)
def test_a_lost_answer_is_unconfirmed(
    serve: Serve, answer: Answer, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = serve(answer, OK)
    if answer is say_nothing:
        monkeypatch.setitem(client_module._TIMEOUT, "read", 0.3)
    outcome = client.send(NUMBER, TOKEN, BODY)
    monkeypatch.setitem(client_module._TIMEOUT, "read", 60.0)
    assert isinstance(outcome, Unconfirmed)
    assert outcome.reason.startswith(kind)
    assert len(server.bodies) == 1, "nothing may be sent again by itself"
    assert isinstance(client.send(NUMBER, TOKEN, BODY), Accepted), "the pool is usable after it"


def test_a_refused_connection_sends_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = GraphClient(f"http://127.0.0.1:{port}", "v23.0")
    outcome = client.send(NUMBER, TOKEN, BODY)
    assert isinstance(outcome, NotSent)
    assert outcome.reason.startswith("ConnectError")
    client.close()


def test_a_failed_tls_handshake_sends_nothing() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def answer_in_plain_text() -> None:
        for _ in range(2):
            link, _ = listener.accept()
            with closing(link):
                link.recv(1_000)
                link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with listener, ThreadPoolExecutor(1) as threads:
        answered = threads.submit(answer_in_plain_text)
        client = GraphClient(f"https://127.0.0.1:{listener.getsockname()[1]}", "v23.0")
        outcome = client.send(NUMBER, TOKEN, BODY)
        client.close()
        answered.result(10)
    assert isinstance(outcome, NotSent)
    assert outcome.reason.startswith("ConnectError")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (http(400, b'{"error":{"code":131056,"message":"(#131056) pair"}}'), Throttled),
        (http(400, b'{"error":{"code":100,"message":"(#100) no"}}'), Rejected),
        (http(401, b'{"error":{"code":190,"message":"expired"}}'), Rejected),
        (http(500, b'{"error":{"code":131000,"message":"(#131000) unknown"}}'), Unconfirmed),
        (http(502, b"<html><h1>Bad Gateway</h1></html>", "Content-Type: text/html"), Unconfirmed),
        (http(200, b"<html>OK</html>"), Unconfirmed),
        (http(200, b"\x1f\x8b garbage", "Content-Encoding: gzip"), Unconfirmed),
    ],
)
def test_a_real_answer_is_classified_and_the_connection_kept(
    serve: Serve, answer: bytes, expected: type[Outcome]
) -> None:
    _, client = serve(answer, OK)
    assert isinstance(client.send(NUMBER, TOKEN, BODY), expected)
    assert isinstance(client.send(NUMBER, TOKEN, BODY), Accepted)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed_and_no_token_goes_elsewhere(
    serve: Serve, status: int
) -> None:
    elsewhere, _ = serve(OK)
    _, client = serve(http(status, b"", f"Location: {elsewhere.url}/v23.0/x/messages"))
    assert isinstance(client.send(NUMBER, TOKEN, BODY), Unconfirmed)
    assert elsewhere.connections == 0


def test_no_cookie_of_one_tenant_is_sent_for_another(serve: Serve) -> None:
    server, client = serve(http(200, orjson.dumps(TAKEN), "Set-Cookie: who=tenant-1; Path=/"))
    client.send(NUMBER, TOKEN, BODY)
    client.send(NUMBER, "EAAtoken-of-tenant-2", BODY)
    first, second = server.heads
    assert b"cookie" not in second.lower()
    assert b"token-of-tenant-1" in first
    assert b"token-of-tenant-1" not in second


def test_no_proxy_is_taken_from_the_environment(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    _, client = serve(OK)
    assert isinstance(client.send(NUMBER, TOKEN, BODY), Accepted)


def test_nothing_of_a_request_is_logged(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    _, client = serve(OK)
    with caplog.at_level(logging.DEBUG):
        client.send(NUMBER, TOKEN, BODY)
    assert TOKEN not in caplog.text
    assert "hola" not in caplog.text
    with caplog.at_level(logging.INFO):
        caplog.clear()
        client.send(NUMBER, TOKEN, BODY)
    assert caplog.text == ""


# --- Connections -------------------------------------------------------------------------------


class Wall:
    """A wall clock that a test moves."""

    def __init__(self) -> None:
        self.time = datetime(2026, 9, 21, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def pass_by(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("pause", "connections"), [(0.0, 1), (2.9, 1), (3.1, 2), (900, 2), (-9, 2)]
)
def test_after_a_pause_of_three_seconds_the_connection_is_a_new_one(
    serve: Serve, pause: float, connections: int
) -> None:
    wall = Wall()
    server, client = serve(OK, clock=Clock(wall=wall))
    client.send(NUMBER, TOKEN, BODY)
    wall.pass_by(pause)
    assert isinstance(client.send(NUMBER, TOKEN, BODY), Accepted)
    assert server.connections == connections


def test_a_pause_never_closes_a_connection_under_a_request(serve: Serve) -> None:
    wall = Wall()
    asked, go_on = threading.Event(), threading.Event()

    def answer_late(link: socket.socket) -> None:
        asked.set()
        assert go_on.wait(10)
        link.sendall(OK)

    _, client = serve(answer_late, OK, clock=Clock(wall=wall))
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(client.send, NUMBER, TOKEN, BODY)
        assert asked.wait(10)
        wall.pass_by(60)
        assert isinstance(client.send(NUMBER, TOKEN, BODY), Accepted)
        go_on.set()
        assert isinstance(slow.result(10), Accepted)


def test_a_connection_that_the_server_closed_meanwhile_is_not_used(serve: Serve) -> None:
    closed = threading.Event()

    def answer_and_close(link: socket.socket) -> None:
        link.sendall(OK)
        link.shutdown(socket.SHUT_RDWR)
        closed.set()

    server, client = serve(answer_and_close, OK)
    client.send(NUMBER, TOKEN, BODY)
    assert closed.wait(10)
    assert isinstance(client.send(NUMBER, TOKEN, BODY), Accepted)
    assert server.connections == 2


def test_thirty_two_threads_have_a_connection_each_at_most(serve: Serve) -> None:
    server, client = serve(OK)
    with ThreadPoolExecutor(32) as threads:
        outcomes = list(threads.map(lambda _: client.send(NUMBER, TOKEN, BODY), range(200)))
    assert Counter(map(type, outcomes)) == {Accepted: 200}, set(map(repr, outcomes))
    assert len(server.bodies) == 200
    assert server.connections <= 32


def test_a_closed_client_opens_again(serve: Serve) -> None:
    server, client = serve(OK)
    client.send(NUMBER, TOKEN, BODY)
    client.close()
    assert isinstance(client.send(NUMBER, TOKEN, BODY), Accepted)
    assert server.connections == 2
