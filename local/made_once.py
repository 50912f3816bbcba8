"""Passwords, tokens and ports that are made at the first start and stay what they are."""

from __future__ import annotations

import secrets
from pathlib import Path

from local.files import read_json, write_json
from local.ports import free_port
from local.postgres import Passwords


class MadeOnce:
    """A file of names and values; asking for an unknown name makes and keeps its value."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, str] = read_json(path) or {}

    def secret(self, name: str) -> str:
        """Return the secret of that name: 43 random characters."""
        if name not in self._values:
            self.keep(name, secrets.token_urlsafe(32))
        return self._values[name]

    def get(self, name: str) -> str | None:
        """Return a value if there is one."""
        return self._values.get(name)

    def keep(self, name: str, value: str) -> None:
        """Keep a value that was made elsewhere."""
        if self._values.get(name) != value:
            self._values[name] = value
            write_json(self._path, self._values)

    def port(self, name: str) -> int:
        """Return the port of last time if it is free, else another one, kept for next time."""
        known = self._values.get(f"port of {name}")
        port = free_port(int(known) if known else None)
        self.keep(f"port of {name}", str(port))
        return port

    def passwords(self) -> Passwords:
        """Return the passwords of Postgres' roles."""
        return Passwords(
            superuser=self.secret("postgres superuser"),
            owner=self.secret("postgres owner"),
            app=self.secret("postgres app"),
        )
