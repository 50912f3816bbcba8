"""Addresses of e-mail: one address, never a list, never a header."""

from __future__ import annotations

import re

#: SES knows no SMTPUTF8: the local part is ASCII (SES API v2, Destination). What separates or
#: quotes addresses is left out: quoted local parts are legal and used by nobody.
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
#: Letters whose Punycode hangs on IDNA's edition: by the older one it is another's name.
_TWO_NAMES = frozenset("\u00df\u1e9e\u03c2\u200c\u200d")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def check_address(text: str) -> str:
    """Return an address as SES takes it, its domain in lower case and Punycode.

    Raises ValueError for what is none.
    """
    local, at, domain = text.strip().rpartition("@")
    try:
        host = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        host = ""
    labels = host.split(".")
    if (
        not at
        or not _TWO_NAMES.isdisjoint(domain)
        or len(local) > 64
        or len(host) > 253
        or not _LOCAL.fullmatch(local)
        or len(labels) < 2
        or not all(_LABEL.fullmatch(label) for label in labels)
    ):
        raise ValueError("must be an e-mail address, as ana@acme.example")
    return f"{local}@{host}"
