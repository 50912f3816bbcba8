"""Cold starts: from the start of a process to the reply to its first event.

AWS's own runtime client (awslambdaric) runs the handler in a fresh process against a Runtime API
of ours on loopback; Postgres is real, the secret comes over the extension's HTTP endpoint. Each
figure is the median of 20 starts as a share of what is allowed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import psycopg

from benchmarks.figures import Figure
from tests.databases import ClonedDatabase

ROOT = Path(__file__).parent.parent
STARTS = 20
SECRET = "cold-start-app-secret"
KEY = "sb_" + "k" * 43
#: Milliseconds allowed from the start of the process to the reply.
ALLOWED = {
    "webhook": 450,
    "send_message": 600,
    "manage": 600,
    "process_jobs": 600,
    "trigger_automation": 600,
}

SEED = """
insert into messaging.tenants (id, slug, name)
values ('0c000000-0000-7000-8000-000000000001', 'cold', 'Cold');
insert into messaging.whatsapp_business_accounts (tenant_id, waba_id)
values ('0c000000-0000-7000-8000-000000000001', '920000000000001');
insert into messaging.whatsapp_accounts (tenant_id, waba_id, phone_number_id, phone_number,
    display_name, status, access_token_sealed)
values ('0c000000-0000-7000-8000-000000000001', '920000000000001', '930000000000001',
    '+15550001111', 'Cold', 'connected', 'sealed');
insert into messaging.api_keys (tenant_id, name, key_hash, key_prefix, scopes)
values ('0c000000-0000-7000-8000-000000000001', 'cold', sha256('{key}'), 'sb_kkkk',
    '{{messages:send,messages:read,conversations:read}}');
"""


def run(database: ClonedDatabase) -> list[Figure]:
    """Start each function 20 times on `database`, which it fills."""
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        for statement in SEED.format(key=KEY).split(";\n"):
            if statement.strip():
                connection.execute(statement.encode())
    figures = []
    with _stand_ins() as stand_ins:
        for name, allowed in ALLOWED.items():
            took = [_start(database, stand_ins, name) * 1e3 for _ in range(STARTS + 1)][1:]
            print(f"  cold start of {name}: {median(took):.0f} ms, worst {max(took):.0f} ms")
            share = median(took) / allowed
            figures.append(Figure("e", f"cold-start-{name}", share, 1.0, at_most=True))
    return figures


def _start(database: ClonedDatabase, stand_ins: _StandIns, name: str) -> float:
    stand_ins.event = json.dumps(_event(name)).encode()
    stand_ins.replied.clear()
    port = stand_ins.server_port
    folder = ROOT / "functions" / name
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT / 'layers/common'}:{folder}",
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "LAMBDA_TASK_ROOT": str(folder),
        "DATABASE_URL": database.app_url,
        "META_SECRET_ARN": "arn:aws:secretsmanager:eu-central-1:0:secret:meta",
        "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(port),
        "GRAPH_API_URL": f"http://127.0.0.1:{port}",
        "KMS_KEY_ID": "none",
    }
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "awslambdaric", "app.handler"],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        if not stand_ins.replied.wait(30):
            raise TimeoutError(f"{name} did not reply")
        took = stand_ins.replied_at - start
    finally:
        process.kill()
        process.wait()
    reply = json.loads(stand_ins.reply)
    if stand_ins.failed or reply.get("statusCode", 200) not in {200, 202}:
        raise RuntimeError(f"{name} answered {reply}")
    return took


def _event(name: str) -> dict[str, Any]:
    if name == "webhook":
        value = {
            "messaging_product": "whatsapp",
            "metadata": {"phone_number_id": "930000000000001"},
            "contacts": [{"profile": {"name": "Ana"}, "wa_id": "4915550002222"}],
            "messages": [
                {
                    "from": "4915550002222",
                    "id": f"wamid.{uuid4()}",
                    "timestamp": str(int(time.time())),
                    "type": "text",
                    "text": {"body": "hello"},
                }
            ],
        }
        entry = {"id": "920000000000001", "changes": [{"field": "messages", "value": value}]}
        body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]})
        signed = hmac.new(SECRET.encode(), body.encode(), hashlib.sha256).hexdigest()
        headers = {"x-hub-signature-256": f"sha256={signed}"}
        return _request("POST /webhook", headers, body)
    if name == "send_message":
        message = {"type": "text", "text": {"body": "hello"}}
        body = json.dumps({"from": "930000000000001", "to": "4915550002222", "message": message})
        return _request("POST /v1/messages", {"authorization": f"Bearer {KEY}"}, body)
    if name == "manage":
        return _request("GET /v1/conversations", {"authorization": f"Bearer {KEY}"}, "")
    return {"source": "schedule"}


def _request(route: str, headers: dict[str, str], body: str) -> dict[str, Any]:
    method, _, path = route.partition(" ")
    return {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "headers": {"content-type": "application/json", **headers},
        "requestContext": {"http": {"method": method, "path": path}},
        "body": body,
        "isBase64Encoded": False,
    }


class _StandIns(http.server.ThreadingHTTPServer):
    """The Runtime API for one invocation, the secrets extension, KMS and Meta, on one port."""

    daemon_threads = True
    event = b""
    reply = b""
    replied_at = 0.0
    failed = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replied = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a process that has replied is killed, its connections with it."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _StandIns
    protocol_version = "HTTP/1.1"
    # One write per answer: small ones wait for the acknowledgement of the one before.
    wbufsize = 65536

    def do_GET(self) -> None:
        if self.path.startswith("/secretsmanager/get"):
            secret = json.dumps({"app_secret": SECRET, "verify_token": "x"})
            self._answer(json.dumps({"SecretString": secret}).encode())
        elif self.server.replied.is_set():
            time.sleep(30)  # no second invocation: the process is ended meanwhile
        else:
            self._answer(
                self.server.event,
                {
                    "Lambda-Runtime-Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
                    "Lambda-Runtime-Deadline-Ms": str(int((time.time() + 60) * 1000)),
                    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:0:function",
                },
            )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.startswith("/2018-06-01/runtime/"):
            self.server.replied_at = time.perf_counter()
            self.server.reply = body
            self.server.failed = not self.path.endswith("/response")
            self._answer(b'{"status":"OK"}', status=202)
            self.server.replied.set()
        elif "x-amz-target" in self.headers:
            plain = base64.b64encode(b"token").decode()
            self._answer(json.dumps({"Plaintext": plain, "KeyId": "none"}).encode())
        else:
            accepted = {
                "messaging_product": "whatsapp",
                "contacts": [{"input": "4915550002222", "wa_id": "4915550002222"}],
                "messages": [{"id": f"wamid.{uuid4()}"}],
            }
            self._answer(json.dumps(accepted).encode())

    def _answer(
        self, body: bytes, headers: dict[str, str] | None = None, status: int = 200
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keep the benchmark's output to its figures."""


@contextmanager
def _stand_ins() -> Iterator[_StandIns]:
    server = _StandIns()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
