"""Uploads: a file goes to Meta once per number, and its id is used until a day before it dies."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from switchboard.kernel.errors import NotFound, RefusedByMeta, TooLarge
from switchboard.media import NotUploaded, upload
from switchboard.tools import Tools
from tests.databases import ClonedDatabase
from tests.deliveries import in_threads
from tests.meta_files import MetaFiles, serving_files
from tests.sending import Place, World

CONTENT = b"%PDF a price list" * 1000


class Room:
    """A number that uploads, and Meta's side."""

    def __init__(self, world: World, meta: MetaFiles, place: Place | None = None) -> None:
        self.world = world
        self.meta = meta
        self.place = place or world.place()

    def tools(self) -> Tools:
        return self.world.tools(self.place.time.clock(), graph_url=self.meta.url)

    def upload(
        self, content: bytes = CONTENT, mime_type: str = "application/pdf", **how: Any
    ) -> str:
        place = self.place
        return upload(
            how.get("tools") or self.tools(),
            place.tenant_id,
            place.account_id,
            io.BytesIO(content),
            mime_type=mime_type,
            file_name=how.get("file_name", "file"),
        )

    def rows(self) -> list[dict[str, Any]]:
        return self.place.rows("media_uploads")


@pytest.fixture
def room(database: ClonedDatabase) -> Iterator[Room]:
    world = World(database)
    with serving_files() as meta:
        yield Room(world, meta)
        world.close()


def test_a_file_goes_out_once_and_its_id_is_used_again(room: Room) -> None:
    media_id = room.upload()
    assert room.upload() == media_id
    assert room.upload(file_name="another name.pdf") == media_id
    path = f"/v23.0/{room.place.phone_number_id}/media"
    assert room.meta.uploads == [(path, "application/pdf", CONTENT)]
    assert room.meta.asked == [("POST", path, f"Bearer token-{room.place.phone_number_id}")]
    (row,) = room.rows()
    assert bytes(row["sha256"]) == hashlib.sha256(CONTENT).digest()
    assert (row["wa_media_id"], row["size_bytes"]) == (media_id, len(CONTENT))
    assert (row["expires_at"] - row["uploaded_at"]).days == 30


def test_other_bytes_another_type_and_another_number_are_other_files(room: Room) -> None:
    other = Room(room.world, room.meta)
    ids = {
        room.upload(),
        room.upload(b"other"),
        room.upload(mime_type="text/plain"),
        other.upload(),
    }
    assert len(ids) == len(room.meta.uploads) == 4
    assert (len(room.rows()), len(other.rows())) == (3, 1)


@pytest.mark.parametrize(("days", "again"), [(28, False), (29, True), (31, True)])
def test_an_id_is_used_until_a_day_before_meta_forgets_it(
    room: Room, days: int, again: bool
) -> None:
    first = room.upload()
    room.place.time.turn(days=days)
    assert (room.upload() != first) is again
    (row,) = room.rows()
    assert (row["uploaded_at"] == room.place.time.now) is again
    assert (row["wa_media_id"] != first) is again


def test_two_at_once_have_two_good_ids_and_one_row(room: Room) -> None:
    gate = threading.Barrier(2)

    def both_have_looked() -> None:
        gate.wait(30)

    room.meta.before_upload = both_have_looked
    tools = [room.tools(), room.tools()]
    ids = in_threads(2, lambda n: room.upload(tools=tools[n]))
    assert len(set(ids)) == len(room.meta.uploads) == 2
    (row,) = room.rows()
    assert row["wa_media_id"] in ids
    room.meta.before_upload = lambda: None
    assert room.upload() == row["wa_media_id"]


@pytest.mark.parametrize("name", ['a"b.pdf', "Žluťoučký.pdf", "a\r\nx: y.pdf", "x" * 1000])
def test_any_name_makes_a_form_that_can_be_read(room: Room, name: str) -> None:
    room.upload(file_name=name)
    assert room.meta.uploads[0][1:] == ("application/pdf", CONTENT)


def test_a_refusal_is_told_and_nothing_is_remembered(room: Room) -> None:
    error = {"code": 131053, "message": "Media upload error"}
    room.meta.refuse_uploads = (400, {"error": error})
    with pytest.raises(RefusedByMeta) as caught:
        room.upload()
    assert caught.value.extra == {"code": 131053}
    assert room.rows() == []


@pytest.mark.parametrize(
    "answer",
    [
        (500, {"error": {"code": 131000, "message": "no"}}),
        (400, {"error": {"code": 130429, "message": "slow down"}}),
        (502, b"<html>"),
        (200, {}),
        (200, {"id": "a\0b"}),
    ],
)
def test_what_may_pass_is_told_apart(room: Room, answer: tuple[int, Any]) -> None:
    room.meta.refuse_uploads = answer
    with pytest.raises(NotUploaded):
        room.upload()
    assert room.rows() == []
    room.meta.refuse_uploads = None
    assert room.upload()


def test_a_number_that_cannot_send_uploads_nothing(room: Room) -> None:
    media_id = room.upload()
    room.place.set_number(is_active=False)
    with pytest.raises(NotFound):
        room.upload(b"another file")
    assert room.upload() == media_id  # it is at Meta already
    assert len(room.meta.uploads) == 1


def test_a_file_over_metas_limit_is_not_sent(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    # By its module's name: the package has a function of the same name.
    module = import_module("switchboard.media.upload")
    monkeypatch.setattr(module, "LARGEST", len(CONTENT))
    assert room.upload()
    with pytest.raises(TooLarge):
        room.upload(CONTENT + b"x")
    assert len(room.meta.uploads) == 1
