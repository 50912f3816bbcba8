"""The simulator's memory across restarts: one SQLite table of JSON documents."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]


class Archive:
    """Documents by kind and key, read back in the order they were first written.

    Without a folder everything lives in memory. A crash of the machine may lose the last writes
    (synchronous is off): these are demo chats, and each send writes several times.
    """

    def __init__(self, folder: Path | None) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        name = ":memory:" if folder is None else str(folder / "simulator.sqlite3")
        # One event loop uses it; tests build the app in one thread and serve it in another.
        self._database = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = off")
        self._database.execute(
            "create table if not exists documents (position integer primary key autoincrement,"
            " kind text not null, key text not null, body text not null, unique (kind, key))"
        )

    def put(self, kind: str, key: str, document: Json) -> None:
        """Write a document, or write it over."""
        self._database.execute(
            "insert into documents (kind, key, body) values (?, ?, ?)"
            " on conflict (kind, key) do update set body = excluded.body",
            (kind, key, json.dumps(document)),
        )

    def remove(self, kind: str, key: str) -> None:
        """Forget a document; one that is not there is no error."""
        self._database.execute("delete from documents where kind = ? and key = ?", (kind, key))

    def documents(self, kind: str) -> Iterator[tuple[str, Json]]:
        """Every document of a kind with its key, oldest first."""
        rows = self._database.execute(
            "select key, body from documents where kind = ? order by position", (kind,)
        ).fetchall()
        for key, body in rows:
            yield key, json.loads(body)

    def count(self, kind: str) -> int:
        """How many documents of a kind there are."""
        row = self._database.execute(
            "select count(*) from documents where kind = ?", (kind,)
        ).fetchone()
        return int(row[0])

    def clear(self) -> None:
        """Forget everything."""
        self._database.execute("delete from documents")

    def close(self) -> None:
        """Release the file."""
        self._database.close()
