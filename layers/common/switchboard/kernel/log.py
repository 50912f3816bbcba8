"""One JSON line per event, with correlation ids and without personal data.

The line is made by the standard library and orjson: Powertools' formatter costs 20 µs a line, a
third of what the whole webhook handler adds around its statement. Field names follow Powertools'
(`level`, `message`, `timestamp`, `service`, `function_request_id`), so its tooling reads them.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import orjson

#: Seven or more digits in a row are treated as a phone number; after a `+` they may stand apart.
_PHONE = re.compile(r"\+\d(?:[ ().-]{0,2}\d){6,}|\d{7,}")
#: Somebody's address, or what looks like one: a local part has 64 characters at most.
_ADDRESS = re.compile(r"[^\s@<>()\[\]\"',;:=/]{1,64}@[^\s@<>()\[\]\"',;:=/]+")
#: A UUID holds runs of digits and names no person.
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
#: Keys whose values never leave the process.
_SECRET_KEYS = frozenset(
    (
        *("authorization", "token", "access_token", "app_secret", "verify_token", "password"),
        *("secret", "body", "text", "to", "from", "wa_id", "phone", "phone_number"),
        *("recipient", "recipient_id", "name", "profile_name", "username"),
    )
)
#: Keys of Meta's and our own ids, which are digits but name no person.
_ID_KEYS = frozenset(("phone_number_id", "waba_id", "app_id", "entry_time", "code", "subcode"))


def mask(text: str) -> str:
    """Return `text` without addresses of e-mail, and of phone-like runs of digits the last two."""
    return _PHONE.sub(lambda found: "…" + found.group()[-2:], _ADDRESS.sub("…@…", text))


def _clean(key: str, value: Any) -> Any:
    if key in _SECRET_KEYS:
        return "***"
    if key in _ID_KEYS or value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, dict):
        return {mask(str(k)): _clean(str(k), v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean(key, item) for item in value]
    text = str(value)
    return text if _UUID.fullmatch(text) else mask(text)


def _as_json(line: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(line, default=str)
    except TypeError:
        # Half a surrogate pair, an integer beyond 64 bits: a log line must not fail its caller.
        return json.dumps(line, default=str).encode()


class Log:
    """A logger whose lines are events: `log.info("webhook.stored", messages=3)`."""

    def __init__(self, service: str) -> None:
        self._bound: dict[str, Any] = {"service": service}
        self._level = logging.INFO

    def set_level(self, name: str) -> None:
        """Set the lowest level that is written (DEBUG, INFO, WARNING, ERROR)."""
        level = logging.getLevelName(name.upper())
        self._level = level if isinstance(level, int) else logging.INFO

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Write nothing meanwhile: standard output belongs to somebody else."""
        level, self._level = self._level, logging.CRITICAL + 1
        try:
            yield
        finally:
            self._level = level

    def bind(self, **fields: Any) -> None:
        """Replace the fields that every following line carries (called once per invocation)."""
        service = self._bound["service"]
        self._bound = {"service": service, **{k: _clean(k, v) for k, v in fields.items()}}

    def debug(self, event: str, **fields: Any) -> None:
        """Write a line for someone who debugs."""
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Write a line about normal work."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Write a line about something an operator may want to look at."""
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, *, error: BaseException | None = None, **fields: Any) -> None:
        """Write a line about something that must not happen; the error's type and place with it.

        The error's text is masked and cut. What the database quotes of a value that it refuses is
        left out: all lines but the first, and of a data error (SQLSTATE 22, 23) the first, too.
        """
        if error is not None:
            fields["error_type"] = type(error).__name__
            sqlstate = getattr(error, "sqlstate", None)
            if sqlstate is not None:
                fields["sqlstate"] = sqlstate
            if sqlstate is None:
                fields["error"] = mask(str(error))[:300]
            elif sqlstate[:2] not in {"22", "23"}:
                fields["error"] = mask(str(error).partition("\n")[0])[:300]
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            if trace is not None:
                code = trace.tb_frame.f_code
                fields["at"] = f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
        self._write(logging.ERROR, event, fields)

    def _write(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if level < self._level:
            return
        line: dict[str, Any] = {
            "level": logging.getLevelName(level),
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "message": event,
            **self._bound,
        }
        for key, value in fields.items():
            line[key] = _clean(key, value)
        sys.stdout.buffer.write(_as_json(line) + b"\n")
        sys.stdout.buffer.flush()


log = Log(os.environ.get("POWERTOOLS_SERVICE_NAME", "switchboard"))
