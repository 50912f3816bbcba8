"""Requests to addresses that somebody else has named: a subscriber's endpoint, a file's address.

Such an address must never reach what stands beside us: a metadata service, a database, a neighbour
in the private network (server-side request forgery). So the name is resolved here, every address
it has is checked, and the connection goes to a checked address: a name that answers differently the
second time gains nothing. No redirect is followed, no proxy is read from the environment, no cookie
is kept, and the whole exchange ends at a deadline, however slowly the other side drips.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any, Literal

import httpx

from switchboard.kernel.errors import SwitchboardError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: Returns the addresses of a host name, as text; raises OSError where it has none.
Resolve = Callable[[str, int], Sequence[str]]
#: Seconds that a look-up may take where no request with a deadline follows it.
LOOK_UP_S = 5.0

#: Prefixes under which an IPv6 address means an IPv4 one: NAT64 (RFC 6052), its local form
#: (RFC 8215), and the long deprecated "IPv4-compatible" form.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NEVER = (ipaddress.IPv6Network("64:ff9b:1::/48"), ipaddress.IPv6Network("::/96"))


class AddressRefused(SwitchboardError):
    """The address is none of the public internet, or not https: no byte was sent."""


class OutsideFailed(SwitchboardError):
    """The other side could not be reached, or did not answer in time or in HTTP.

    `reason` is a word without anything of the request in it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Incoming:
    """An answer whose body has not been read yet; header names are in lower case.

    `chunks` raises OutsideFailed when the body breaks off, is longer than asked for, or lasts.
    """

    status: int
    headers: dict[str, str]
    chunks: Iterator[bytes]


class Outside:
    """Makes the requests; one per process, for any number of threads.

    `trusted` are origins (`http://127.0.0.1:8090`) that may be private and without TLS: the
    operator named them, nobody else; `loopback` trusts this machine on any port (the local run).
    """

    def __init__(
        self,
        *,
        trusted: Sequence[str] = (),
        loopback: bool = False,
        resolve: Resolve | None = None,
    ) -> None:
        self._trusted = frozenset(_origin(httpx.URL(address)) for address in trusted)
        self._loopback = loopback
        self._resolve = resolve or _addresses

    def check(self, url: str) -> None:
        """Raise AddressRefused for an address that no request would be made to, as it is now."""
        self._target(url, LOOK_UP_S)

    @contextmanager
    def request(
        self,
        method: Literal["GET", "POST"],
        url: str,
        *,
        headers: dict[str, str],
        content: bytes = b"",
        total_s: float,
        most: int,
    ) -> Iterator[Incoming]:
        """Yield the answer; the whole exchange, body included, ends within `total_s` seconds.

        `most` is the greatest number of body bytes that `chunks` gives. Raises AddressRefused and
        OutsideFailed. A redirect is an answer like any other.
        """
        end = time.monotonic() + total_s
        target, host = self._target(url, total_s)
        watch = _Watch(end)
        step = max(0.1, min(3.0, total_s))
        request = httpx.Request(
            method,
            target,
            headers={
                "host": host,
                "user-agent": "switchboard",
                "accept-encoding": "identity",
                **headers,
            },
            content=content,
            extensions={
                "timeout": {"pool": 1.0, "connect": step, "write": total_s, "read": total_s},
                # The certificate is the name's, not the address's.
                "sni_hostname": httpx.URL(url).host,
                "trace": watch.see,
            },
        )
        transport = httpx.HTTPTransport(verify=_tls(), trust_env=False, retries=0)
        with watch, transport:
            try:
                response = transport.handle_request(request)
            except (httpx.HTTPError, OSError) as error:
                raise OutsideFailed(watch.reason(error)) from None
            try:
                received = {name.lower(): value for name, value in response.headers.items()}
                yield Incoming(response.status_code, received, _chunks(response, watch, most))
            finally:
                with suppress(httpx.HTTPError, OSError):
                    response.close()

    def _target(self, url: str, within_s: float) -> tuple[httpx.URL, str]:
        """Return the address to connect to, its host a checked number, and the Host header."""
        try:
            parsed = httpx.URL(url)
            # Decodes an international name, which may be none.
            host = parsed.host
        except (httpx.InvalidURL, TypeError, ValueError):
            raise AddressRefused("it is no address") from None
        if parsed.scheme not in {"http", "https"} or not host:
            raise AddressRefused("it is no address of the web")
        if parsed.userinfo:
            raise AddressRefused("it carries a user name or password")
        port = parsed.port or (443 if parsed.scheme == "https" else 80)
        if not 0 < port < 65_536:
            raise AddressRefused("it has no port of the internet")
        try:
            found = [ipaddress.ip_address(text) for text in self._look_up(host, port, within_s)]
        except (OSError, ValueError, UnicodeError):
            raise OutsideFailed("name_not_resolved") from None
        if not found:
            raise OutsideFailed("name_not_resolved")
        trusted = _origin(parsed) in self._trusted or (
            self._loopback and all(address.is_loopback for address in found)
        )
        if not trusted:
            if parsed.scheme != "https":
                raise AddressRefused("it is not https")
            # All of them: a name with a public and a private address is an attempt.
            if not all(map(is_public, found)):
                raise AddressRefused("it is not an address of the public internet")
        authority = parsed.netloc.decode("ascii")
        return parsed.copy_with(host=str(found[0])), authority

    def _look_up(self, host: str, port: int, within_s: float) -> Sequence[str]:
        """Resolve a name in a thread of its own: the system's resolver knows no deadline."""
        told: SimpleQueue[Sequence[str] | Exception] = SimpleQueue()

        def ask() -> None:
            try:
                told.put(self._resolve(host, port))
            except Exception as error:  # noqa: BLE001 - raised below, where somebody waits
                told.put(error)

        threading.Thread(target=ask, daemon=True).start()
        try:
            found = told.get(timeout=max(0.0, within_s))
        except Empty:
            raise OutsideFailed("timeout") from None
        if isinstance(found, Exception):
            raise found
        return found


def is_public(address: Address) -> bool:
    """Return whether `address` is of the public internet, also where it wraps another one.

    Follows IANA's special-purpose registries (RFC 6890) as the standard library knows them.
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
        # Teredo names a server and a client; nobody serves webhooks through it.
        if address.teredo is not None or any(address in network for network in _NEVER):
            return False
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


class _Watch:
    """Cuts the connection at the deadline: a timeout per read alone lets a dripping peer go on."""

    def __init__(self, end: float) -> None:
        self._end = end
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(max(0.0, end - time.monotonic()), self._cut)
        self._timer.daemon = True
        self.is_over = False

    def __enter__(self) -> _Watch:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def see(self, event: str, info: dict[str, Any]) -> None:
        """Take note of the sockets as httpx opens them (its extension `trace`)."""
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            with self._lock:
                self._sockets.append(info["return_value"].get_extra_info("socket"))
            if self.is_over:
                self._cut()

    def _cut(self) -> None:
        self.is_over = True
        with self._lock:
            for one in self._sockets:
                # Wakes whoever reads from it, which closing would not.
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def reason(self, error: Exception) -> str:
        """Return the word for a failure."""
        if (
            self.is_over
            or time.monotonic() >= self._end
            or isinstance(error, httpx.TimeoutException)
        ):
            return "timeout"
        if isinstance(error, httpx.ConnectError):
            return "tls" if "SSL" in str(error) or "certificate" in str(error) else "not_connected"
        if isinstance(error, httpx.ProtocolError):
            return "not_http"
        return "connection_lost"


def _chunks(response: httpx.Response, watch: _Watch, most: int) -> Iterator[bytes]:
    size = 0
    try:
        # Raw: nothing was asked to be packed, and what unpacks may be without end.
        for chunk in response.iter_raw():
            size += len(chunk)
            if size > most:
                raise OutsideFailed("too_long")
            yield chunk
    except (httpx.HTTPError, httpx.StreamError, OSError) as error:
        raise OutsideFailed(watch.reason(error)) from None
    if watch.is_over:
        raise OutsideFailed("timeout")


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


def _addresses(host: str, port: int) -> Sequence[str]:
    """Return what the system resolves `host` to, each address once."""
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@cache
def _tls() -> Any:
    """Return one context for all requests: loading the authorities takes tens of milliseconds."""
    return httpx.create_ssl_context(trust_env=False)
