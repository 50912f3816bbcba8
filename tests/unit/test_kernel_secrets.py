"""Secrets: kept for minutes, read again when a rotation is suspected, never quoted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from switchboard.kernel.errors import ConfigurationError
from switchboard.kernel.secrets import KEEP_S, REREAD_S, Secrets


@dataclass
class Vault:
    """A place of secrets with a clock: `secrets` reads from it."""

    value: str = "one"
    broken: bool = False
    now: float = 1000.0
    reads: list[tuple[str, bool]] = field(default_factory=list)

    def fetch(self, arn: str, *, fresh: bool) -> str:
        self.reads.append((arn, fresh))
        if self.broken:
            raise OSError("the extension is away")
        return self.value

    @property
    def secrets(self) -> Secrets:
        return Secrets(fetch=self.fetch, monotonic=lambda: self.now)


def test_a_secret_is_read_once_and_kept() -> None:
    vault = Vault()
    secrets = vault.secrets
    assert [secrets.text("a"), secrets.text("a")] == ["one", "one"]
    assert vault.reads == [("a", False)]


def test_a_kept_secret_ends_so_that_a_rotation_is_seen() -> None:
    vault = Vault()
    secrets = vault.secrets
    secrets.text("a")
    vault.value = "two"
    vault.now += KEEP_S - 1
    assert secrets.text("a") == "one"
    vault.now += 1
    assert secrets.text("a") == "two"


def test_a_suspected_rotation_reads_again_at_most_every_ten_seconds() -> None:
    """Forged requests must not become a load on Secrets Manager."""
    vault = Vault()
    secrets = vault.secrets
    secrets.text("a")
    vault.value = "two"
    assert secrets.text("a", fresh=True) == "two"
    vault.value = "three"
    for _ in range(100):
        assert secrets.text("a", fresh=True) == "two"
    assert vault.reads == [("a", False), ("a", True)]
    vault.now += REREAD_S
    assert secrets.text("a", fresh=True) == "three"


def test_each_secret_has_its_own_pause() -> None:
    vault = Vault()
    secrets = vault.secrets
    secrets.text("a", fresh=True)
    secrets.text("b", fresh=True)
    assert vault.reads == [("a", True), ("b", True)]


def test_an_older_value_serves_while_the_vault_is_away() -> None:
    vault = Vault()
    secrets = vault.secrets
    secrets.text("a")
    vault.broken = True
    vault.now += KEEP_S
    assert secrets.text("a") == "one"
    # Asking costs up to 5 s when nobody answers: not at every request.
    assert [secrets.text("a") for _ in range(10)] == ["one"] * 10
    assert len(vault.reads) == 2
    vault.broken, vault.value = False, "two"
    vault.now += REREAD_S
    assert secrets.text("a") == "two"


def test_without_any_value_the_failure_is_told() -> None:
    vault = Vault(broken=True)
    with pytest.raises(ConfigurationError, match="secret cannot be read: OSError"):
        vault.secrets.text("a")


@pytest.mark.parametrize("value", ["hunter2", '["hunter2"]', '"hunter2"', '{"password": "hunter2'])
def test_what_is_no_json_object_is_refused_without_quoting_it(value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Vault(value).secrets.json("a")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert Vault('{"password": "x"}').secrets.json("a") == {"password": "x"}


@dataclass
class Extension:
    """The AWS Parameters and Secrets extension, as far as it is asked."""

    status: int = 200
    body: bytes = b""
    port: int = 0
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture
def extension() -> Iterator[Extension]:
    state = Extension()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append((self.path, self.headers["X-Aws-Parameters-Secrets-Token"]))
            self.send_response(state.status)
            self.send_header("content-length", str(len(state.body)))
            self.end_headers()
            self.wfile.write(state.body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield state
        server.shutdown()
        thread.join()


ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:switchboard/meta-AbCdEf"


def test_the_extension_is_asked_as_aws_documents_it(
    extension: Extension, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session")
    extension.body = json.dumps({"ARN": ARN, "SecretString": '{"a": 1}'}).encode()
    secrets = Secrets(extension.port)
    assert secrets.json(ARN) == {"a": 1}
    assert secrets.json(ARN, fresh=True) == {"a": 1}
    (first, token), (second, _) = extension.asked
    assert token == "session"
    assert urlsplit(first).path == "/secretsmanager/get"
    assert parse_qs(urlsplit(first).query) == {"secretId": [ARN]}
    assert parse_qs(urlsplit(second).query) == {"secretId": [ARN], "refreshNow": ["true"]}


@pytest.mark.parametrize(
    ("status", "body"),
    [(400, b"AccessDeniedException"), (200, b"not json"), (200, b"{}"), (200, b"[]")],
)
def test_an_answer_that_is_none_is_a_failed_read(
    extension: Extension, status: int, body: bytes
) -> None:
    extension.status, extension.body = status, body
    with pytest.raises(ConfigurationError, match="secret cannot be read"):
        Secrets(extension.port).text(ARN)
