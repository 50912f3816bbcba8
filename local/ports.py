"""Ports on 127.0.0.1: free ones below the range from which the system hands out its own."""

from __future__ import annotations

import random
import socket

from local.faults import PortInUse

HOST = "127.0.0.1"
#: Linux gives outgoing connections ports from 32768 up: a free one there may be taken a moment on.
_LOWEST, _HIGHEST = 15_000, 32_000


def is_free(port: int) -> bool:
    """Tell whether `port` could be listened on now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections still linger (TIME_WAIT) counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port(wanted: int | None = None) -> int:
    """Return `wanted` if it is free, else another free port below 32000."""
    if wanted is not None and is_free(wanted):
        return wanted
    while True:
        # Two test workers may draw the same port; whoever comes second fails to listen and retries.
        port = random.randint(_LOWEST, _HIGHEST)
        if is_free(port):
            return port


def require_free(port: int, setting: str, purpose: str) -> int:
    """Return `port`; raises PortInUse that names the setting with which to choose another one."""
    if not is_free(port):
        raise PortInUse(
            f"Port {port}, wanted for {purpose}, is in use by another program: "
            f"stop it or choose another port with {setting}=<number>."
        )
    return port


def listen(port: int = 0) -> socket.socket:
    """Return a socket that listens on `port` of 127.0.0.1 (0: a free one); raises PortInUse."""
    # With the protocol named, asyncio switches Nagle's algorithm off on what it accepts; without
    # it each answer waits 40 ms for a delayed acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port or free_port()))
    except OSError as error:
        listener.close()
        raise PortInUse(f"Port {port} is in use by another program.") from error
    listener.listen(512)
    return listener
