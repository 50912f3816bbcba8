"""The chats that were on the number's phone before (coexistence): chunks, then files, or a refusal.

Chunks come in three phases (the last day, 90 days, 180 days), with the share that is done; pictures
and the like are placeholders first, and the files of the last 14 days follow as messages. Who
declined to share gives one error (2593109). (Webhooks, history)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from switchboard.whatsapp.storable import dump
from switchboard.whatsapp.webhook.bodies import body_of
from switchboard.whatsapp.webhook.fields._field import (
    Change,
    Field,
    Odd,
    change_with,
    event,
    odd,
)
from switchboard.whatsapp.webhook.fields._phone_app import copy_of
from switchboard.whatsapp.webhook.items import Item, Malformed

_LARGEST = 2**31 - 1

#: What Meta's chunks and threads hold; what else stands in one is kept with it.
_CHUNK = frozenset({"errors", "metadata", "threads"})
_THREAD = frozenset({"id", "messages"})


def _is_mine(value: dict[str, Any]) -> bool:
    return "history" in value


def _read(change: Change) -> Iterable[Item]:
    chunks = change.value.get("history", [])
    files = change.value.get("messages", [])
    if type(chunks) is not list or type(files) is not list:
        raise Odd("history or messages is not a list")
    for chunk in chunks:
        yield from _chunk(change, chunk)
    for message in files:
        yield copy_of(change, message, {"messages": [message]}, origin="history")


def _chunk(change: Change, chunk: Any) -> Iterator[Item]:
    if type(chunk) is not dict:
        yield odd(change, chunk, "a chunk of history is not an object")
        return
    if chunk.keys() - _CHUNK:
        yield odd(change, chunk, "a chunk of history has keys that nobody knows")
    errors = chunk.get("errors")
    yield from _refusal(change, chunk, errors)
    metadata = chunk.get("metadata")
    progress = _progress(metadata)
    threads = chunk.get("threads", [])
    if progress and change.phone_number_id is not None:
        yield event(
            change,
            "history_chunk",
            {"ph": 0, "ch": 0, "pr": 0} | progress,
            part={"history": [{"metadata": metadata, "threads": []}]},
        )
    elif metadata is not None:
        yield odd(change, chunk, "the progress of history cannot be read")
    elif not threads and not errors:
        yield odd(change, chunk, "a chunk of history says nothing")
    if type(threads) is not list:
        yield odd(change, chunk, "threads is not a list")
        return
    for thread in threads:
        messages = _messages(thread) if type(thread) is dict else None
        if messages is None:
            yield _odd_thread(change, thread, "a thread of history is not an object with messages")
            continue
        if thread.keys() - _THREAD:
            yield _odd_thread(change, thread, "a thread of history has keys that nobody knows")
        name = thread.get("id")
        for message in messages:
            alone = {"history": [{"threads": [{"id": name, "messages": [message]}]}]}
            yield copy_of(
                change, message, alone, origin="history", thread=name if type(name) is str else None
            )


def _refusal(change: Change, chunk: Any, errors: Any) -> Iterator[Item]:
    if type(errors) is list and errors:
        first = errors[0] if type(errors[0]) is dict else {}
        document: dict[str, Any] = {
            "n": change.phone_number_id or "",
            "code": str(first.get("code", ""))[:100],
            "er": errors,
        }
        yield event(change, "history_refusal", document, part={"history": [{"errors": errors}]})
    elif errors is not None and type(errors) is not list:
        yield odd(change, chunk, "errors of history is not a list")


def _progress(metadata: Any) -> dict[str, int]:
    return {
        ours: metadata[key]
        for ours, key in (("ph", "phase"), ("ch", "chunk_order"), ("pr", "progress"))
        if type(metadata) is dict
        and type(metadata.get(key)) is int
        and 0 <= metadata[key] <= _LARGEST
    }


def _odd_thread(change: Change, thread: Any, reason: str) -> Malformed:
    part = {"history": [{"threads": [thread]}]}
    body = body_of(change.waba_id, change_with(change, part), change.entry_time)
    return Malformed(change.waba_id, change.phone_number_id, reason, dump(thread), dump(body))


def _messages(thread: dict[str, Any]) -> list[Any] | None:
    # An empty thread says nothing; one with other keys in the messages' place does.
    messages = thread.get("messages", None if thread.keys() - {"id"} else [])
    return messages if type(messages) is list else None


KIND = Field(
    name="history",
    read=_read,
    events=("history_chunk", "history_refusal", "phone_app_message"),
    is_mine=_is_mine,
    is_apart=True,
)
