"""Fetching a file: whole or not at all, from public addresses alone, the token to Meta alone."""

from __future__ import annotations

import base64
import hashlib
import io
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.kernel.outside import Outside
from switchboard.whatsapp.client import GraphClient, Rejected
from switchboard.whatsapp.media import (
    Blocked,
    Downloaded,
    Failed,
    Gone,
    TooLarge,
    _may_know_the_token,
    delete_media,
    digest_of,
    download,
    find_media,
)
from tests.meta_files import Handler, MetaFile, MetaFiles, serving_files

CONTENT = b"a picture, more or less" * 1000
PUBLIC = "93.184.216.34"


@pytest.fixture
def meta() -> Iterator[MetaFiles]:
    with serving_files() as server:
        yield server


@pytest.fixture
def victim() -> Iterator[MetaFiles]:
    """What must never be asked: another server of this machine."""
    with serving_files() as server:
        server.files["secret"] = MetaFile(b"secret")
        yield server
        assert server.asked == []


def fetch(
    meta: MetaFiles,
    url: str | None = None,
    *,
    names: dict[str, list[str]] | None = None,
    limit: int = 1_000_000,
    total_s: float = 20.0,
) -> tuple[Any, bytes]:
    """Download the file `1` of `meta`, whose origin alone is trusted, as a local run does."""

    def resolve(host: str, port: int) -> list[str]:
        return (names or {}).get(host) or [host]

    into = io.BytesIO()
    outside = Outside(trusted=(meta.url,), resolve=resolve if names is not None else None)
    ended = download(
        outside,
        url or f"{meta.url}/file/1",
        token="T0KEN",
        into=into,
        limit=limit,
        total_s=total_s,
        also=(meta.url,),
    )
    return ended, into.getvalue()


class TestWhole:
    """Every byte, or a word for why not."""

    def test_a_file_comes_with_its_hash_its_size_and_its_type(self, meta: MetaFiles) -> None:
        meta.files["1"] = MetaFile(CONTENT, "audio/ogg")
        ended, content = fetch(meta)
        assert content == CONTENT
        assert ended == Downloaded(hashlib.sha256(CONTENT).digest(), len(CONTENT), "audio/ogg")
        assert meta.asked == [("GET", "/file/1", "Bearer T0KEN")]

    def test_what_lay_in_the_file_before_is_gone(self, meta: MetaFiles) -> None:
        meta.files["1"] = MetaFile(b"short")
        into = io.BytesIO(b"something that was longer")
        into.seek(7)
        outside = Outside(trusted=(meta.url,))
        url = f"{meta.url}/file/1"
        download(outside, url, token="t", into=into, limit=100, total_s=20)
        assert into.getvalue() == b"short"

    @pytest.mark.parametrize(("status", "ended"), [(404, Gone(404)), (410, Gone(410))])
    def test_a_dead_address_says_so(self, meta: MetaFiles, status: int, ended: Gone) -> None:
        meta.files["1"] = MetaFile(CONTENT, statuses=[status])
        assert fetch(meta)[0] == ended

    @pytest.mark.parametrize("status", [204, 206, 401, 403, 500, 503])
    def test_any_other_status_is_a_failure(self, meta: MetaFiles, status: int) -> None:
        meta.files["1"] = MetaFile(CONTENT, statuses=[status])
        assert fetch(meta)[0] == Failed(f"HTTP {status}")

    def test_a_body_that_breaks_off_is_no_file(self, meta: MetaFiles) -> None:
        def serve(handler: Handler) -> None:
            handler.send_raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this")

        meta.files["1"] = MetaFile(CONTENT, serve=serve)
        ended, _ = fetch(meta)
        assert isinstance(ended, Failed)

    def test_what_is_no_http_is_a_failure(self, meta: MetaFiles) -> None:
        meta.files["1"] = MetaFile(CONTENT, serve=lambda handler: handler.send_raw(b"\0\1\2\r\n"))
        assert isinstance(fetch(meta)[0], Failed)


class TestBounds:
    """Neither too much nor for ever."""

    def test_a_header_over_the_limit_is_enough(self, meta: MetaFiles) -> None:
        def serve(handler: Handler) -> None:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 101\r\n\r\n")
            handler.wfile.flush()
            handler.rfile.read(1)  # until the other side hangs up

        meta.files["1"] = MetaFile(b"", serve=serve)
        ended, content = fetch(meta, limit=100)
        assert (ended, content) == (TooLarge(100), b"")

    def test_exactly_the_limit_is_no_more_than_it(self, meta: MetaFiles) -> None:
        meta.files["1"] = MetaFile(b"x" * 100)
        assert isinstance(fetch(meta, limit=100)[0], Downloaded)

    def test_a_body_without_end_stops_at_the_limit(self, meta: MetaFiles) -> None:
        def serve(handler: Handler) -> None:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            while True:
                handler.wfile.write(b"400\r\n" + b"x" * 1024 + b"\r\n")

        meta.files["1"] = MetaFile(b"", serve=serve)
        ended, content = fetch(meta, limit=10_000)
        assert ended == TooLarge(10_000)
        assert len(content) <= 10_000

    @pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: "])
    def test_a_dripping_answer_ends_with_the_time(self, meta: MetaFiles, head: bytes) -> None:
        def serve(handler: Handler) -> None:
            handler.wfile.write(head)
            for _ in range(600):
                handler.wfile.write(b"x")
                handler.wfile.flush()
                time.sleep(0.05)

        meta.files["1"] = MetaFile(b"", serve=serve)
        began = time.monotonic()
        assert fetch(meta, total_s=0.5)[0] == Failed("timeout")
        assert time.monotonic() - began < 20


class TestWhereTo:
    """No address of the private network, whoever names it."""

    def test_a_redirect_among_trusted_addresses_is_followed(self, meta: MetaFiles) -> None:
        meta.files["1"] = MetaFile(b"", redirect="/file/2")
        meta.files["2"] = MetaFile(CONTENT)
        assert fetch(meta)[1] == CONTENT

    def test_redirects_in_a_circle_end(self, meta: MetaFiles) -> None:
        meta.files["1"] = MetaFile(b"", redirect="/file/1")
        assert fetch(meta)[0] == Blocked("it redirects too often")
        assert meta.count("/file/1") == 4

    @pytest.mark.parametrize(
        "target",
        [
            "http://127.0.0.1:{port}/file/secret",
            "https://127.0.0.1:{port}/file/secret",
            "https://2130706433:{port}/file/secret",
            "https://localhost:{port}/file/secret",
            "https://[::1]:{port}/file/secret",
            "https://[::ffff:127.0.0.1]:{port}/file/secret",
            "https://[64:ff9b::7f00:1]:{port}/file/secret",
            "http://169.254.169.254/latest/meta-data/",
            "https://169.254.169.254/latest/meta-data/",
            "https://10.0.0.1/",
            "https://192.168.0.1/",
            "https://172.16.0.1/",
            "https://100.64.0.1/",
            "https://0.0.0.0:{port}/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
            "https://user:password@lookaside.fbsbx.com/",
            "file:///etc/passwd",
            "ftp://lookaside.fbsbx.com/a",
            "https://",
            "https://xn--/",
            "https://93.184.215.14:99999/",
        ],
    )
    @pytest.mark.parametrize("redirected", [True, False])
    def test_what_is_not_public_is_never_asked(
        self, meta: MetaFiles, victim: MetaFiles, target: str, redirected: bool
    ) -> None:
        target = target.format(port=victim.server_port)
        meta.files["1"] = MetaFile(b"", redirect=target)
        ended, content = fetch(meta, None if redirected else target)
        # A number that is no address in the usual form is a name that nothing answers to.
        assert isinstance(ended, Blocked) or ended == Failed("name_not_resolved"), ended
        assert content == b""
        assert len(meta.asked) == redirected

    @pytest.mark.parametrize(
        "addresses", [["127.0.0.1"], ["169.254.169.254"], ["::1"], [PUBLIC, "10.0.0.1"]]
    )
    def test_a_name_counts_as_what_it_resolves_to(
        self, meta: MetaFiles, victim: MetaFiles, addresses: list[str]
    ) -> None:
        url = f"https://lookaside.fbsbx.com:{victim.server_port}/file/secret"
        ended, _ = fetch(meta, url, names={"lookaside.fbsbx.com": addresses})
        assert isinstance(ended, Blocked)

    def test_without_tls_only_the_named_origin_is_asked(self, meta: MetaFiles) -> None:
        ended, _ = fetch(meta, "http://cdn.example/1", names={"cdn.example": [PUBLIC]})
        assert ended == Blocked("it is not https")


class TestToken:
    """Whoever has it can send in the number's name."""

    def test_another_origin_does_not_hear_it(self, meta: MetaFiles) -> None:
        with serving_files() as other:
            meta.files["1"] = MetaFile(b"", redirect=f"{other.url}/file/1")
            other.files["1"] = MetaFile(CONTENT)
            into = io.BytesIO()
            outside = Outside(trusted=(meta.url, other.url))
            url = f"{meta.url}/file/1"
            download(outside, url, token="t", into=into, limit=10**6, total_s=20, also=(meta.url,))
            assert into.getvalue() == CONTENT
            assert meta.asked == [("GET", "/file/1", "Bearer t")]
            assert other.asked == [("GET", "/file/1", None)]

    @pytest.mark.parametrize(
        ("url", "may"),
        [
            ("https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1", True),
            ("https://LOOKASIDE.fbsbx.com/", True),
            ("https://mmg.whatsapp.net/a", True),
            ("https://scontent.xx.fbcdn.net/a", True),
            ("http://lookaside.fbsbx.com/", False),
            ("https://lookaside.fbsbx.com.example/", False),
            ("https://examplefbsbx.com/", False),
            ("https://lookaside.fbsbx.com@example.org/", False),
            ("https://example.org/lookaside.fbsbx.com", False),
            ("http://127.0.0.1:8090/lookaside/1", True),
            ("http://127.0.0.1:8091/lookaside/1", False),
            ("https://127.0.0.1:8090/lookaside/1", False),
        ],
    )
    def test_metas_hosts_and_the_named_base_hear_it(self, url: str, may: bool) -> None:
        assert _may_know_the_token(httpx.URL(url), ("http://127.0.0.1:8090/",)) is may


class TestGraph:
    """Where a file lies, and that it may go."""

    def test_the_address_is_asked_for_with_the_number(self, meta: MetaFiles) -> None:
        meta.files["77"] = MetaFile(CONTENT, "video/mp4", says_size=str(len(CONTENT)))
        client = GraphClient(meta.url, "v23.0")
        found = find_media(client, "77", "1999", "T0KEN")
        assert not isinstance(found, Rejected)
        assert meta.asked == [("GET", "/v23.0/77?phone_number_id=1999", "Bearer T0KEN")]
        assert getattr(found, "url", None) == f"{meta.url}/file/77"
        assert getattr(found, "size", None) == len(CONTENT)
        client.close()

    def test_an_unknown_id_is_refused_with_metas_code(self, meta: MetaFiles) -> None:
        client = GraphClient(meta.url, "v23.0")
        refused = find_media(client, "../78", "1999", "t")
        assert isinstance(refused, Rejected)
        assert (refused.code, refused.subcode) == (100, 33)
        # The id is one part of the path, whatever it holds.
        assert meta.asked[0][1].startswith("/v23.0/..%2F78?")
        client.close()

    @pytest.mark.parametrize(
        "document", [{}, {"url": ""}, {"url": 5}, {"error": {"code": 190}}, [], b"<html>"]
    )
    def test_an_answer_without_an_address_is_none(self, meta: MetaFiles, document: Any) -> None:
        meta.files["77"] = MetaFile(CONTENT, error=(200, document))
        client = GraphClient(meta.url, "v23.0")
        assert not hasattr(find_media(client, "77", "1999", "t"), "url")
        client.close()

    def test_a_file_is_deleted_at_meta(self, meta: MetaFiles) -> None:
        meta.files["77"] = MetaFile(CONTENT)
        client = GraphClient(meta.url, "v23.0")
        assert delete_media(client, "77", "t") is None
        assert delete_media(client, "77", "t") is not None
        client.close()


@given(st.binary(min_size=32, max_size=32))
def test_a_hash_is_read_in_every_spelling(digest: bytes) -> None:
    plain, safe = base64.b64encode(digest).decode(), base64.urlsafe_b64encode(digest).decode()
    for text in (plain, safe, plain.rstrip("="), digest.hex(), digest.hex().upper(), f" {plain}\n"):
        assert digest_of(text) == digest


@pytest.mark.parametrize("text", [None, "", "no", "x" * 64, "ä" * 44, "AAAA", "\0", "=" * 44])
def test_what_is_no_hash_is_none(text: str | None) -> None:
    assert digest_of(text) is None
