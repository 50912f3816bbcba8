"""Requests to addresses that others have named: only to the public internet, never for ever."""

from __future__ import annotations

import ipaddress
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from switchboard.kernel import outside
from switchboard.kernel.outside import AddressRefused, Outside, OutsideFailed, is_public

Serve = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(serve: Serve, context: ssl.SSLContext | None = None) -> Iterator[ThreadingHTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", "0")))
            serve(self)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(status: int, body: bytes = b"", **headers: str) -> Serve:
    def serve(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return serve


def post(client: Outside, url: str, *, total_s: float = 20, most: int = 100) -> tuple[int, bytes]:
    with client.request(
        "POST", url, headers={}, content=b"{}", total_s=total_s, most=most
    ) as incoming:
        return incoming.status, b"".join(incoming.chunks)


@pytest.mark.parametrize("text", ["93.184.215.14", "2606:2800:21f:cb07::1", "64:ff9b::5db8:d70e"])
def test_the_public_internet_is_public(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1"),
        *("255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1"),
        *("ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::10.0.0.1"),
        *("64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::1"),
    ],
)
def test_everything_else_is_not(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "url",
    [
        *("https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "https://0x7f.1/"),
        *("https://localhost/", "https://169.254.169.254/latest/meta-data", "http://93.184.215.14"),
        *("ftp://93.184.215.14/", "https://", "nothing", "https://user:word@93.184.215.14/"),
        *("https://[::ffff:10.0.0.1]/", "file:///etc/passwd", "https://exa mple/", "\x00"),
        *("https://xn--/", "https://xn--a/", "https://93.184.215.14:99999/"),
        "https://93.184.215.14:-1/",
    ],
)
def test_what_is_not_of_the_public_web_is_refused(url: str) -> None:
    with pytest.raises((AddressRefused, OutsideFailed)):
        Outside().check(url)


def test_a_public_address_is_let_through() -> None:
    Outside().check("https://93.184.215.14/hook")


@pytest.mark.parametrize(
    "found", [["10.0.0.1"], ["93.184.215.14", "10.0.0.1"], ["fd00::1", "93.184.215.14"]]
)
def test_each_address_of_a_name_is_looked_at(found: list[str]) -> None:
    client = Outside(resolve=lambda _host, _port: found)
    with pytest.raises(AddressRefused):
        client.check("https://hook.example/")


def test_a_name_without_an_address_is_a_failure() -> None:
    def resolve(_host: str, _port: int) -> Sequence[str]:
        raise OSError

    with pytest.raises(OutsideFailed, match="name_not_resolved"):
        Outside(resolve=resolve).check("https://hook.example/")


def test_a_name_server_that_does_not_answer_is_not_waited_for() -> None:
    answered = threading.Event()

    def resolve(_host: str, _port: int) -> Sequence[str]:
        answered.wait(30)
        return ["93.184.215.14"]

    began = time.monotonic()
    with (
        pytest.raises(OutsideFailed, match="timeout"),
        Outside(resolve=resolve).request(
            "GET", "https://hook.example/", headers={}, total_s=0.1, most=1
        ),
    ):
        pass
    assert time.monotonic() - began < 10
    answered.set()


def test_the_connection_goes_to_the_address_that_was_looked_at() -> None:
    """A name is resolved once: its second answer, a private one, is never asked for."""
    asked: list[str] = []

    def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    hosts: list[str] = []

    def serve(handler: BaseHTTPRequestHandler) -> None:
        hosts.append(handler.headers["host"])
        answer(204)(handler)

    with serving(serve) as server:
        origin = f"http://hook.example:{server.server_port}"
        assert post(Outside(trusted=[origin], resolve=resolve), f"{origin}/x") == (204, b"")
    assert asked == ["hook.example"]
    assert hosts == [f"hook.example:{server.server_port}"]


def test_trust_is_of_one_origin_and_loopback_of_this_machine() -> None:
    with serving(answer(200, b"ok")) as server:
        url = f"http://127.0.0.1:{server.server_port}/"
        assert post(Outside(trusted=[url]), url) == (200, b"ok")
        assert post(Outside(loopback=True), url) == (200, b"ok")
        with pytest.raises(AddressRefused):
            Outside(trusted=["http://127.0.0.1:1/"]).check(url)
        with pytest.raises(AddressRefused):
            Outside(loopback=True).check("http://10.0.0.1/")


def test_a_redirect_is_an_answer() -> None:
    reached: list[str] = []

    def inner(handler: BaseHTTPRequestHandler) -> None:
        reached.append(handler.path)
        answer(200)(handler)

    with serving(inner) as private:
        target = f"http://127.0.0.1:{private.server_port}/secret"
        with serving(answer(307, location=target)) as server:
            url = f"http://127.0.0.1:{server.server_port}/"
            assert post(Outside(trusted=[url]), url)[0] == 307
    assert reached == []


class TestLimits:
    def test_a_long_body_breaks_off(self) -> None:
        with serving(answer(200, b"x" * 101)) as server:
            url = f"http://127.0.0.1:{server.server_port}/"
            with pytest.raises(OutsideFailed, match="too_long"):
                post(Outside(loopback=True), url)
            assert post(Outside(loopback=True), url, most=101)[1] == b"x" * 101

    @pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\n\r\n"])
    def test_whoever_drips_is_cut_off(self, head: bytes) -> None:
        """Each byte comes before any timeout of a single read."""
        done = threading.Event()

        def drip(handler: BaseHTTPRequestHandler) -> None:
            handler.wfile.write(head)
            while not done.wait(0.05):
                try:
                    handler.wfile.write(b"x")
                except OSError:
                    return

        with serving(drip) as server:
            url = f"http://127.0.0.1:{server.server_port}/"
            began = time.monotonic()
            try:
                with pytest.raises(OutsideFailed, match="timeout"):
                    post(Outside(loopback=True), url, total_s=0.5, most=10**6)
            finally:
                done.set()
            assert time.monotonic() - began < 15

    def test_nobody_there_and_no_http(self) -> None:
        def greet(handler: BaseHTTPRequestHandler) -> None:
            handler.wfile.write(b"SSH-2.0-x\r\n\r\n")

        with serving(greet) as server:
            url = f"http://127.0.0.1:{server.server_port}/"
            with pytest.raises(OutsideFailed, match="not_http"):
                post(Outside(loopback=True), url)
        with pytest.raises(OutsideFailed, match="not_connected"):
            post(Outside(loopback=True), url)


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the server's and a client's TLS context for `name`, which signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "both.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    client = httpx.create_ssl_context(trust_env=False)
    client.load_verify_locations(cadata=made.public_bytes(serialization.Encoding.PEM).decode())
    return server, client


def test_the_certificate_must_be_the_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, ours = certificate(tmp_path, "hook.example")
    monkeypatch.setattr(outside, "_tls", lambda: ours)
    with serving(answer(200, b"safe"), theirs) as server:
        for name, fits in (("hook.example", True), ("other.example", False)):
            origin = f"https://{name}:{server.server_port}"
            client = Outside(trusted=[origin], resolve=lambda _host, _port: ["127.0.0.1"])
            if fits:
                assert post(client, origin) == (200, b"safe")
            else:
                with pytest.raises(OutsideFailed, match="tls"):
                    post(client, origin)
