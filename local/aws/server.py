"""One HTTP server: moto's S3, Secrets Manager and KMS; the secrets extension and SES beside."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from local.aws import mail
from local.aws.objects import KeptObjects
from local.aws.secrets import Extension, KeptSecrets, restore_keys
from local.ports import HOST

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_EXTENSION = "/secretsmanager/get"
_TOKEN = "HTTP_X_AWS_PARAMETERS_SECRETS_TOKEN"
_READ_ONLY = ("Get", "List", "Describe", "BatchGet", "Validate")


class KeptAws:
    """The WSGI application: moto's answers, given only after what they changed is on disk.

    `resources`: {"buckets": [name], "keys": [id], "secrets": [{"arn", "name", "value", "replace"}],
    "mail_events": {"invoke_url", "function"}: who hears of mails; left out: nobody}
    """

    def __init__(self, folder: Path, resources: dict[str, Any]) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._objects = KeptObjects(folder / "s3")
        self._secrets = KeptSecrets(folder / "secrets.json")
        self._extension = Extension(self._secrets)
        self._objects.restore(resources["buckets"])
        self._secrets.restore(resources["secrets"])
        restore_keys(folder / "keys.json", resources["keys"])
        hears = resources.get("mail_events")
        publish = None if hears is None else mail.to_function(**hears)
        self._ses = mail.Ses(folder / "mails.jsonl", publish)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ["PATH_INFO"] == _EXTENSION:
            return self._read_secret(environ, start_response)
        if environ["PATH_INFO"] == mail.PATH and environ["REQUEST_METHOD"] == "POST":
            raw = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return _say(start_response, *self._ses.answer(raw))
        if environ["PATH_INFO"] == mail.MAILS:
            return _say(start_response, 200, self._ses.mails)
        answer: list[Any] = []

        def remember(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            answer[:] = [status, headers, *rest]
            return lambda _: None

        body = b"".join(self._moto(environ, remember))
        if str(answer[0]).startswith("2"):
            self._keep(environ)
        start_response(answer[0], answer[1])
        return [body]

    def _keep(self, environ: WSGIEnvironment) -> None:
        """Write through what a successful request has changed."""
        service, _, action = str(environ.get("HTTP_X_AMZ_TARGET", "")).partition(".")
        if service == "secretsmanager":
            if not action.startswith(_READ_ONLY):
                self._secrets.keep()
        elif not service and environ["REQUEST_METHOD"] in {"PUT", "POST", "DELETE"}:
            # Neither KMS' nor Secrets Manager's: S3, with the bucket in the path.
            bucket, _, key = _path(environ).lstrip("/").partition("/")
            if key:
                self._objects.keep(bucket, key)
            else:
                self._objects.keep_bucket(bucket)

    def _read_secret(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        query = parse_qs(environ["QUERY_STRING"])
        status, document = "200 OK", {"message": ""}
        if not environ.get(_TOKEN):
            status, document = "401 Unauthorized", {"message": "X-Aws-Parameters-Secrets-Token"}
        else:
            refresh = query.get("refreshNow") == ["true"]
            try:
                document = self._extension.get(query.get("secretId", [""])[0], refresh=refresh)
            except KeyError:
                status, document = "400 Bad Request", {"message": "ResourceNotFoundException"}
        body = json.dumps(document).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(status, headers)
        return [body]


def _say(start_response: StartResponse, status: int, document: Any) -> Iterable[bytes]:
    body = json.dumps(document).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response(f"{status} {'OK' if status == 200 else 'Bad Request'}", headers)
    return [body]


class _Handler(MotoRequestHandler):
    """Keeps connections open and sends small pieces at once: else calls wait for delayed ACKs."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True


def make_aws_server(port: int, folder: Path, resources: dict[str, Any]) -> BaseWSGIServer:
    """Return the server, ready for `serve_forever`; raises OSError when the port is taken."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = KeptAws(folder, resources)
    return make_server(HOST, port, application, threaded=True, request_handler=_Handler)


def _path(environ: WSGIEnvironment) -> str:
    # WSGI decodes as latin-1; S3's keys are UTF-8.
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if raw:
        return unquote(str(raw).split("?", 1)[0])
    return str(environ["PATH_INFO"]).encode("latin-1").decode("utf-8", "replace")
