"""What happened, newest last, and everyone who is watching it happen."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

# Enough for every test's requests; a page shows the last few dozen.
KEPT = 5_000
# A watcher that falls this far behind is cut off; its page connects again and reads the state anew.
BACKLOG = 2_000


@dataclass(eq=False)
class Watcher:
    """One open event stream. `None` in the queue ends it."""

    queue: asyncio.Queue[tuple[str, Json] | None] = field(
        default_factory=lambda: asyncio.Queue(BACKLOG + 1)
    )


class Journal:
    """Logs of Graph calls and webhooks, and the live feed of all changes."""

    def __init__(self) -> None:
        self.calls: deque[Json] = deque(maxlen=KEPT)
        self.webhooks: deque[Json] = deque(maxlen=KEPT)
        self._watchers: set[Watcher] = set()

    def log_call(self, entry: Json) -> None:
        """A Graph call was answered (or, on purpose, was not)."""
        self.calls.append(entry)
        self.publish("call", entry)

    def log_webhook(self, entry: Json) -> None:
        """One attempt to deliver a webhook ended."""
        self.webhooks.append(entry)
        self.publish("webhook", entry)

    def publish(self, kind: str, data: Json) -> None:
        """Tell every watcher. Only from the event loop's thread."""
        for watcher in list(self._watchers):
            if watcher.queue.qsize() >= BACKLOG:
                self.dismiss(watcher)
            else:
                watcher.queue.put_nowait((kind, data))

    def watch(self) -> Watcher:
        """Start a stream; `dismiss` it when its reader is gone."""
        watcher = Watcher()
        self._watchers.add(watcher)
        return watcher

    def dismiss(self, watcher: Watcher) -> None:
        """End one stream. Ending it twice is no error."""
        if watcher in self._watchers:
            self._watchers.discard(watcher)
            watcher.queue.put_nowait(None)

    def close(self) -> None:
        """End all streams, so that a server can stop."""
        for watcher in list(self._watchers):
            self.dismiss(watcher)

    def clear(self) -> None:
        """Empty both logs."""
        self.calls.clear()
        self.webhooks.clear()
