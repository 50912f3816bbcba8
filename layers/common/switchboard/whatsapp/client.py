"""The Graph API's message endpoint: one request out, one of five outcomes back, never an exception.

Meta knows no idempotency key, so the outcome says only what is known: a message that may be on
somebody's phone is Unconfirmed, and only what provably never left is NotSent.

The requests go through httpx's transport and not through its Client: no redirect is followed, no
cookie of one tenant is kept for another, no proxy is read from the environment, nothing is logged
(URLs and tokens least of all), and a request costs two thirds of the time.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, BinaryIO, Literal
from urllib.parse import quote

import httpx
import orjson

from switchboard.kernel.clock import Clock
from switchboard.kernel.errors import ConfigurationError
from switchboard.whatsapp.errors import (
    UNKNOWN,
    Action,
    Fate,
    GraphError,
    Scope,
    read_error,
    rule_of,
)
from switchboard.whatsapp.storable import is_id, unfit

THREADS = 32
"""Connections of one client: more threads make httpx slower, not faster (measured)."""

IDLE_S = 3.0
"""Seconds without use after which connections are not trusted: a frozen Lambda's peer has closed
them, and writing into such a connection would make an unconfirmed send out of nothing."""

_TIMEOUT = {"pool": 1.0, "connect": 2.0, "write": 2.0, "read": 8.0}
LONGEST_S = 15.0
"""Seconds one request takes at most: pool, two tries to connect, write, read."""

_LARGEST = 1_000_000
"""Bytes of an answer; Meta's have a few hundred."""

# No byte of the request has left. h11 checks the whole head before it writes (LocalProtocolError).
_NOTHING_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)

_HELD_UP = frozenset({Action.BACKOFF, Action.LATER, Action.PAIR})


@dataclass(frozen=True, slots=True)
class Accepted:
    """Meta took the message (which is not yet delivered) and named it.

    `wa_id` may differ from what was sent to and is missing for a business-scoped user id, which is
    then in `user_id`; `message_status` comes with templates only. `raw` is Meta's answer.
    """

    wa_message_id: str
    wa_id: str | None = None
    user_id: str | None = None
    message_status: str | None = None
    raw: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """Meta refused the message for good; `action` says what else follows.

    `code` is None where an HTTP 4xx came without Meta's error body (a proxy, a wrong address).
    """

    code: int | None
    subcode: int | None
    title: str
    details: str | None
    trace_id: str | None
    http_status: int
    action: Action
    document: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Throttled:
    """Meta refused the message for now. `scope` is what has to wait, at least `retry_after_s`.

    After a pair limit the wait is 4^n seconds, n counted by whoever tries again.
    """

    code: int | None
    scope: Scope
    retry_after_s: float | None
    title: str
    details: str | None
    trace_id: str | None
    http_status: int
    action: Action


@dataclass(frozen=True, slots=True)
class NotSent:
    """No byte of the request left: trying again is free of any risk."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """The message may have been taken. Only a status webhook or a declared policy settles it."""

    reason: str
    code: int | None = None
    http_status: int | None = None
    trace_id: str | None = None


Outcome = Accepted | Rejected | Throttled | NotSent | Unconfirmed


@dataclass(frozen=True, slots=True)
class File:
    """A file to upload: `content` is read from where it stands; `name` is what Meta keeps.

    `form` holds the other members of the form.
    """

    name: str
    mime_type: str
    content: BinaryIO
    form: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read whole; `document` is None where it is no JSON object."""

    status: int
    headers: httpx.Headers
    document: dict[str, Any] | None


class GraphClient:
    """Sends for many tenants: the token comes with each call and is kept nowhere.

    Safe for up to 32 threads. `transport` replaces the network in tests; `clock` tells the wall
    time, since a monotonic clock may stand still while a Lambda is frozen. Raises
    ConfigurationError for a base address that is none.
    """

    def __init__(
        self,
        base_url: str,
        version: str,
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        try:
            self._base = httpx.URL(f"{base_url.rstrip('/')}/{version}/")
        except httpx.InvalidURL as error:
            raise ConfigurationError("GRAPH_API_URL is no address") from error
        if self._base.scheme not in {"http", "https"} or not self._base.host:
            raise ConfigurationError("GRAPH_API_URL must start with http:// or https://")
        make = _network(secure=self._base.scheme == "https")
        self._connections = _Connections(make, transport, clock or Clock())
        self._urls: dict[str, httpx.URL] = {}

    def send(self, phone_number_id: str, token: str, body: Mapping[str, Any]) -> Outcome:
        """Send one message; `body` is what `outbound.request_body` returns."""
        answer = self._post(phone_number_id, token, body)
        if not isinstance(answer, Answer):
            return answer
        return _accepted(answer) or _refused(answer)

    def mark_read(
        self, phone_number_id: str, token: str, message_id: str, *, typing: bool = False
    ) -> Outcome:
        """Mark an inbound message and all before it as read; `typing` shows that we are writing.

        Accepted (with the same message id) when Meta says so. Cloud API, Mark messages as read and
        Typing indicators: the indicator ends with our reply or after 25 seconds.
        """
        body: dict[str, Any] = {
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": message_id,
        }
        if typing:
            body["typing_indicator"] = {"type": "text"}
        answer = self._post(phone_number_id, token, body)
        if not isinstance(answer, Answer):
            return answer
        if answer.status == 200 and (answer.document or {}).get("success") is True:
            return Accepted(message_id, raw=answer.document or {})
        return _refused(answer)

    def close(self) -> None:
        """Close all connections; the client opens new ones when it is used again."""
        self._connections.close()

    def call(
        self,
        method: Literal["GET", "POST", "DELETE"],
        path: str,
        token: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        file: File | None = None,
        longest_s: float = LONGEST_S,
    ) -> Answer | Throttled | Rejected | NotSent | Unconfirmed:
        """Ask for something else than a message; an Answer is a success, with Meta's document.

        `path` stands behind the version, each part quoted; `body` goes out as JSON, `form` as
        multipart/form-data, `file` as the form that uploads take. Unconfirmed says that it may
        have been done. A document with an `error` beside other members (a block list taken in
        part) is a refusal as well; its `document` has them.
        """
        try:
            content = None if body is None else orjson.dumps(body)
        except TypeError as error:
            return NotSent(f"the body is no JSON: {error}")
        url = self._base.join(path)
        request = self._request(
            method, url, token, content=content, params=params, form=form, file=file
        )
        if isinstance(request, NotSent):
            return request
        answer = self._exchange(request, longest_s)
        if not isinstance(answer, Answer):
            return answer
        document = answer.document or {"error": None}
        if 200 <= answer.status < 300 and "error" not in document:
            return answer
        return _refused(answer)

    def _post(
        self, phone_number_id: str, token: str, body: Mapping[str, Any]
    ) -> Answer | NotSent | Unconfirmed:
        try:
            content = orjson.dumps(body)
        except TypeError as error:
            return NotSent(f"the body is no JSON: {error}")
        request = self._request("POST", self._url(phone_number_id), token, content=content)
        return request if isinstance(request, NotSent) else self._exchange(request, LONGEST_S)

    def _request(
        self,
        method: str,
        url: httpx.URL,
        token: str,
        *,
        content: bytes | None = None,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        file: File | None = None,
    ) -> httpx.Request | NotSent:
        # The token would be printed by the error that a bad character causes further down.
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            return NotSent("the access token is empty or no token")
        headers = [
            (b"authorization", b"Bearer " + token.encode("ascii")),
            (b"accept", b"application/json"),
            (b"user-agent", b"switchboard"),
        ]
        extensions = {"timeout": _TIMEOUT}
        if file is not None:
            return httpx.Request(
                method,
                url,
                headers=headers,
                data=file.form,
                files={"file": (file.name, file.content, file.mime_type)},
                # Meta looks at the whole file before it answers.
                extensions={"timeout": {**_TIMEOUT, "write": 10.0, "read": 60.0}},
            )
        if form is not None:
            parts = {name: (None, value.encode()) for name, value in form.items()}
            return httpx.Request(method, url, headers=headers, files=parts, extensions=extensions)
        if content is not None:
            headers.append((b"content-type", b"application/json"))
        return httpx.Request(
            method, url, headers=headers, params=params, content=content, extensions=extensions
        )

    def _exchange(self, request: httpx.Request, longest_s: float) -> Answer | NotSent | Unconfirmed:
        deadline = time.monotonic() + longest_s
        try:
            with self._connections.transport() as transport:
                return _read(transport.handle_request(request), deadline)
        except httpx.LocalProtocolError:
            # Its text quotes the header, and with it the token.
            return NotSent("LocalProtocolError")
        except _NOTHING_LEFT as error:
            return NotSent(_reason(error))
        except Exception as error:  # noqa: BLE001 - whatever it was, a byte may have left
            return Unconfirmed(_reason(error))

    def _url(self, phone_number_id: str) -> httpx.URL:
        url = self._urls.get(phone_number_id)
        if url is None:
            if len(self._urls) >= 1_000:
                self._urls.clear()
            # Parsing an address costs a tenth of a request.
            url = self._base.join(f"{quote(phone_number_id, safe='')}/messages")
            self._urls[phone_number_id] = url
        return url


def _read(response: httpx.Response, deadline: float) -> Answer | Unconfirmed:
    """Read the answer whole, but neither for ever nor without end."""
    content = bytearray()
    try:
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > _LARGEST or time.monotonic() > deadline:
                return Unconfirmed("the answer does not end", http_status=response.status_code)
    finally:
        response.close()
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        document = None
    return Answer(
        response.status_code,
        response.headers,
        document if isinstance(document, dict) else None,
    )


def _accepted(answer: Answer) -> Accepted | None:
    """Return what Meta accepted; None where the answer does not say so beyond doubt."""
    document = answer.document
    if not 200 <= answer.status < 300 or document is None:
        return None
    message = _first(document.get("messages"))
    message_id = message.get("id")
    if not is_id(message_id) or unfit(message_id) is not None:
        return None
    person = _first(document.get("contacts"))
    return Accepted(
        message_id,
        _word(person.get("wa_id")),
        _word(person.get("user_id")),
        _word(message.get("message_status")),
        document if unfit(document) is None else {},
    )


def _refused(answer: Answer) -> Rejected | Throttled | Unconfirmed:
    """Return what an answer means that accepts nothing (codes decide, not the HTTP status)."""
    status = answer.status
    error = read_error((answer.document or {}).get("error"))
    if error is None:
        return _refused_without_error(answer)
    rule = rule_of(error.code, status)
    if rule.message is Fate.UNCONFIRMED:
        return Unconfirmed(
            f"{error.code}: {error.title}", error.code, status, trace_id=error.trace_id
        )
    passes = rule.scope is not None or (status >= 500 and rule.action in _HELD_UP)
    if passes or status == 429:
        return Throttled(
            error.code,
            rule.scope or Scope.MESSAGE,
            _wait(answer.headers, rule.wait_s),
            error.title,
            error.details,
            error.trace_id,
            status,
            rule.action if passes else Action.BACKOFF,
        )
    if status < 400 and rule is UNKNOWN:
        return Unconfirmed(f"HTTP {status} with an unknown error", error.code, status)
    return _rejected(error, status, rule.action, answer.document or {})


def _refused_without_error(answer: Answer) -> Rejected | Throttled | Unconfirmed:
    status = answer.status
    title = f"HTTP {status} without Meta's error body"
    if status == 429:
        wait = _wait(answer.headers, None)
        return Throttled(None, Scope.MESSAGE, wait, title, None, None, status, Action.BACKOFF)
    if 400 <= status < 500 and status != 408:
        # Whoever answered refused the request; that it was not Meta's application is for a person.
        return Rejected(None, None, title, None, None, status, Action.FIX)
    reason = title if status >= 300 else f"HTTP {status} with an unreadable answer"
    return Unconfirmed(reason, None, status)


def _rejected(
    error: GraphError, status: int, action: Action, document: Mapping[str, Any]
) -> Rejected:
    return Rejected(
        error.code,
        error.subcode,
        error.title,
        error.details,
        error.trace_id,
        status,
        action,
        document,
    )


def _wait(headers: httpx.Headers, least: float | None) -> float | None:
    """Return the seconds to wait: the longest that the headers or the code's rule ask for."""
    waits = [least] if least is not None else []
    after = headers.get("retry-after", "")
    if after.isascii() and after.isdigit() and len(after) <= 5:
        waits.append(float(after))
    usage = headers.get("x-business-use-case-usage")
    if usage:
        waits.extend(60.0 * minutes for minutes in _minutes(usage))
    return max(waits, default=None)


def _minutes(usage: str) -> Iterator[float]:
    """Yield the minutes until access comes back (Graph API, Rate limits, BUC usage header)."""
    try:
        parsed = orjson.loads(usage)
    except orjson.JSONDecodeError:
        return
    for uses in parsed.values() if isinstance(parsed, dict) else []:
        for use in uses if isinstance(uses, list) else []:
            minutes = use.get("estimated_time_to_regain_access") if isinstance(use, dict) else None
            if isinstance(minutes, int) and 0 < minutes <= 24 * 60:
                yield minutes


def _first(items: Any) -> dict[str, Any]:
    return items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else {}


def _word(value: Any) -> str | None:
    return value if is_id(value) and unfit(value) is None else None


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


class _Connections:
    """The pool of connections, made anew after a pause in which the peer may have closed them."""

    def __init__(
        self,
        make: Callable[[], httpx.BaseTransport],
        fixed: httpx.BaseTransport | None,
        clock: Clock,
    ) -> None:
        self._make = make
        self._fixed = fixed
        self._clock = clock
        self._lock = Lock()
        self._transport = fixed
        self._in_flight = 0
        self._last_use = clock.wall()

    @contextmanager
    def transport(self) -> Iterator[httpx.BaseTransport]:
        """Lend the transport for one request."""
        old = None
        with self._lock:
            # Only while nothing is in flight: closing a pool under a request makes it unconfirmed.
            if self._fixed is None and self._in_flight == 0 and self._is_stale():
                old, self._transport = self._transport, None
            transport = self._transport
            if transport is None:
                transport = self._transport = self._make()
            self._in_flight += 1
        if old is not None:
            old.close()
        try:
            yield transport
        finally:
            with self._lock:
                self._in_flight -= 1
                self._last_use = self._clock.wall()

    def close(self) -> None:
        with self._lock:
            old, self._transport = self._transport, self._fixed
        if old is not None and old is not self._fixed:
            old.close()

    def _is_stale(self) -> bool:
        # A clock that was set back says nothing about the pause: not trusted either.
        return not 0 <= (self._clock.wall() - self._last_use).total_seconds() <= IDLE_S


def _network(*, secure: bool) -> Callable[[], httpx.BaseTransport]:
    """Return what makes pools; they share one TLS context, whose making costs 10 ms and more."""
    # Without TLS nothing is verified, so the context may be empty: it trusts nobody.
    context = (
        httpx.create_ssl_context(trust_env=False)
        if secure
        else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )

    def make() -> httpx.BaseTransport:
        return httpx.HTTPTransport(
            verify=context,
            trust_env=False,
            retries=1,  # of the connect only
            limits=httpx.Limits(
                max_connections=THREADS,
                max_keepalive_connections=THREADS,
                keepalive_expiry=IDLE_S,
            ),
        )

    return make
