"""Files: from Meta's webhook through the job into S3, with Meta's side on a real socket."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID, uuid4

import pytest
from PIL import Image

from switchboard import media
from switchboard.intake.store import store as take_in
from switchboard.jobs import fetch_media
from switchboard.jobs._kind import JOB_KINDS, Context, JobKind
from switchboard.jobs.fetch_media import FetchMedia
from switchboard.kernel.clock import Clock
from switchboard.kernel.errors import NotFound
from switchboard.store import media as store
from switchboard.store.media import Kept
from switchboard.tools import Tools
from switchboard.worker import Summary, drain
from tests.databases import ClonedDatabase
from tests.db.jobs_worker import Kinds
from tests.deliveries import REGION, aws_at_hand
from tests.meta_files import Handler, MetaFile, MetaFiles, in_base64, serving_files
from tests.sending import Place, World

BUCKET = "media"
#: By its module's name: the package has a function of the same name.
fetch = import_module("switchboard.media.fetch")
ONLY = Kinds(fetch_media.KIND)
PHONE = "4915550000001"


def png(size: tuple[int, int] = (640, 480)) -> bytes:
    """Return a picture."""
    out = io.BytesIO()
    Image.new("RGB", size, (10, 200, 30)).save(out, "PNG")
    return out.getvalue()


PICTURE = png()


class Room:
    """A number, a person who sends files to it, Meta's side, S3, and the worker between them."""

    def __init__(self, world: World, meta: MetaFiles, s3: Any) -> None:
        self.world = world
        self.meta = meta
        self.s3 = s3
        self.place: Place = world.place()
        self.tools: Tools = world.tools(graph_url=meta.url, media_bucket=BUCKET)

    def file(self, content: bytes = PICTURE, **how: Any) -> str:
        """Put a file at Meta and return its id."""
        media_id = str(uuid4().int % 10**15)
        self.meta.files[media_id] = MetaFile(content, **how)
        return media_id

    def says(self, *messages: dict[str, Any]) -> bool:
        """Deliver messages in one webhook; returns whether intake asks for a worker."""
        self.place.time.turn(seconds=10)
        self.tools.clock = self.place.time.clock()
        second = int(self.place.time.now.timestamp())
        value = {
            "messaging_product": "whatsapp",
            "metadata": {
                "display_phone_number": "1",
                "phone_number_id": self.place.phone_number_id,
            },
            "contacts": [{"profile": {"name": "Ada"}, "wa_id": PHONE}],
            "messages": [
                {"from": PHONE, "id": f"wamid.{uuid4().hex}", "timestamp": str(second), **message}
                for message in messages
            ],
        }
        entry = {"id": self.place.waba_id, "changes": [{"field": "messages", "value": value}]}
        body = {"object": "whatsapp_business_account", "entry": [entry]}
        return take_in(self.tools, json.dumps(body).encode(), None).nudge

    def sends(self, content: bytes = PICTURE, kind: str = "image", **how: Any) -> str:
        """Deliver a message with a file and return the file's id at Meta."""
        media_id = self.file(content, **how)
        self.says(message(media_id, content, kind))
        return media_id

    def work(self, **later: float) -> Summary:
        """Run a worker until nothing is due, a little or more later."""
        self.place.time.turn(**(later or {"seconds": 1}))
        self.tools.clock = Clock(now=self.place.time.now, new_id=self.place.time.new_id)
        return drain(self.tools, time.monotonic() + 100.0, kinds=ONLY)

    def row(self) -> dict[str, Any]:
        (row,) = self.place.rows("media")
        return row

    def jobs(self) -> list[dict[str, Any]]:
        return self.place.rows("scheduled_jobs", job_type="fetch_media")

    def ended(self) -> tuple[str, str | None, list[str]]:
        """Return the file's status and reason, and how its jobs stand."""
        row = self.row()
        return row["status"], row["error_code"], [job["status"] for job in self.jobs()]

    def objects(self) -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [entry["Key"] for entry in listed]

    def object(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = self.s3.get_object(Bucket=BUCKET, Key=key)
        return found

    def context(self, attempt: int = 1) -> Context:
        return Context(self.tools, self.place.tenant_id, 1, attempt, time.monotonic() + 60)


def message(media_id: str, content: bytes, kind: str = "image", **more: Any) -> dict[str, Any]:
    """Return a message with a file, as a webhook has it."""
    said = {"id": media_id, "mime_type": "image/png", "sha256": in_base64(content), **more}
    return {"type": kind, kind: said}


@pytest.fixture
def room(database: ClonedDatabase) -> Iterator[Room]:
    world = World(database)
    with serving_files() as meta, aws_at_hand() as s3:
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield Room(world, meta, s3)
        world.close()


class TestStored:
    """A file that a person sent lies in S3, and its row says where and what."""

    def test_a_picture_is_kept_with_its_type_its_name_and_its_thumbnail(self, room: Room) -> None:
        media_id = room.file()
        room.says(message(media_id, PICTURE, "document", filename="Žlutý kůň.png", caption="c"))
        room.work()
        row = room.row()
        prefix = f"{room.place.tenant_id}/media/{row['id']}"
        assert room.ended() == ("stored", None, ["completed"])
        assert (row["s3_key"], row["size_bytes"]) == (f"{prefix}/file", len(PICTURE))
        assert row["mime_type"] == "image/png"
        kept = room.object(row["s3_key"])
        assert kept["Body"].read() == PICTURE
        assert kept["ContentType"] == "image/png"
        how, _, name = kept["ContentDisposition"].partition("; filename*=UTF-8''")
        assert (how, unquote(name)) == ("inline", "Žlutý kůň.png")
        # A document is none that is shown as a picture.
        assert row["thumbnail_s3_key"] is None
        assert room.objects() == [f"{prefix}/file"]

    @pytest.mark.parametrize("kind", ["image", "sticker"])
    def test_what_is_shown_has_a_thumbnail(self, room: Room, kind: str) -> None:
        room.sends(kind=kind)
        room.work()
        row = room.row()
        small = room.object(row["thumbnail_s3_key"])
        assert row["thumbnail_s3_key"] == row["s3_key"].removesuffix("file") + "thumbnail"
        assert small["ContentType"] == "image/webp"
        assert Image.open(small["Body"]).size == (320, 240)

    def test_a_picture_that_cannot_be_read_is_kept_without(self, room: Room) -> None:
        room.sends(b"not a picture")
        room.work()
        assert room.ended() == ("stored", None, ["completed"])
        assert room.row()["thumbnail_s3_key"] is None

    @pytest.mark.parametrize("mime_type", ["text/html", "image/svg+xml", "no type\r\nx: y", ""])
    def test_what_could_run_in_a_browser_is_only_downloaded(
        self, room: Room, mime_type: str
    ) -> None:
        media_id = room.file(b"<script>", mime_type=mime_type)
        room.says(message(media_id, b"<script>", "document", mime_type=mime_type))
        room.work()
        kept = room.object(room.row()["s3_key"])
        assert kept["ContentDisposition"] == "attachment"
        assert kept["ContentType"] in {mime_type, "application/octet-stream"}

    @pytest.mark.parametrize("spelling", ["hex", "absent", "odd"])
    def test_old_webhooks_have_the_hash_in_hex_or_none(self, room: Room, spelling: str) -> None:
        said = {"hex": hashlib.sha256(PICTURE).hexdigest(), "absent": None, "odd": "abc"}[spelling]
        media_id = room.file()
        room.says(message(media_id, PICTURE, sha256=said))
        room.work()
        assert room.ended()[0] == "stored"
        assert room.row()["sha256"] == (said or in_base64(PICTURE))

    def test_only_this_tenants_prefix_and_only_its_token_are_used(self, room: Room) -> None:
        other = Room(room.world, room.meta, room.s3)
        room.sends()
        other.sends(png((20, 20)))
        room.work()
        for one in (room, other):
            assert one.row()["s3_key"].startswith(f"{one.place.tenant_id}/")
        tokens = {token for _, _, token in room.meta.asked}
        assert tokens == {f"Bearer token-{one.place.phone_number_id}" for one in (room, other)}


class TestEnqueued:
    """Intake puts one job in per new file, in its own transaction, and asks for a worker."""

    @pytest.mark.parametrize("together", [False, True])
    def test_one_job_for_each_new_file_and_none_for_words(self, room: Room, together: bool) -> None:
        text = {"type": "text", "text": {"body": "hello"}, "id": "wamid.text"}
        files = [
            {**message(room.file(), PICTURE), "id": f"wamid.{n}", "from": PHONE} for n in range(3)
        ]
        for _ in range(2):  # Meta delivers twice
            if together:
                room.says(text, *files)
            else:
                for one in (text, *files):
                    room.says(one)
        messages = {row["wa_message_id"]: row["id"] for row in room.place.rows("whatsapp_messages")}
        wanted = sorted(str(messages[str(one["id"])]) for one in files)
        assert sorted(job["args"]["message_id"] for job in room.jobs()) == wanted
        assert {tuple(job["args"]) for job in room.jobs()} == {("message_id",)}

    @pytest.mark.parametrize("together", [1, 2])
    def test_a_file_alone_asks_for_a_worker(self, room: Room, together: int) -> None:
        text = {"type": "text", "text": {"body": "hello"}}
        assert room.says(text) is True
        # From here on a reaction waits: more words join it and nobody need be woken.
        assert room.says(*[text] * together) is False
        assert room.says(*[message(room.file(), PICTURE)] * together) is True
        # Of a group nobody reacts, but its files are wanted.
        in_group = {**message(room.file(), PICTURE), "group_id": "G1"}
        assert room.says(*[in_group] * together) is True
        assert room.says(*[{**text, "group_id": "G1"}] * together) is False

    def test_a_file_that_went_out_from_a_phone_is_wanted_too(self, room: Room) -> None:
        room.sends()
        room.world.everything.execute("update messaging.media set direction = 'outbound'")
        room.work()
        assert room.ended() == ("stored", None, ["completed"])

    def test_the_reaction_is_put_in_beside_the_file(self, room: Room) -> None:
        room.says(message(room.file(), PICTURE), message(room.file(), PICTURE))
        (reaction,) = room.place.rows("scheduled_jobs", job_type="react_to_message")
        assert len(reaction["args"]["message_ids"]) == 2


class TestOnce:
    """Killed at any line, or run twice: one object, one row, settled once."""

    def test_a_run_that_was_lost_after_s3_comes_again(self, room: Room) -> None:
        room.sends()
        message_id = UUID(room.jobs()[0]["args"]["message_id"])
        lost = fetch_media.run(room.context(), FetchMedia(message_id=message_id))
        assert len(lost.writes) == 1  # never written: the worker was killed
        before = room.objects()
        assert len(before) == 2
        assert room.row()["status"] == "pending"
        room.work()
        assert room.objects() == before
        assert room.ended() == ("stored", None, ["completed"])

    @pytest.mark.parametrize("after", ["find_media", "download", "make_thumbnail", "_Errand._keep"])
    def test_a_run_that_is_cut_short_anywhere_comes_again(
        self, room: Room, monkeypatch: pytest.MonkeyPatch, after: str
    ) -> None:
        """Cut after the address is known, after the bytes came, after each object lies in S3."""
        room.sends()
        message_id = UUID(room.jobs()[0]["args"]["message_id"])
        with monkeypatch.context() as patch:
            target: Any = fetch
            *owners, name = after.split(".")
            for owner in owners:
                target = getattr(target, owner)
            real = getattr(target, name)

            def cut(*args: Any, **how: Any) -> Any:
                real(*args, **how)
                raise KeyboardInterrupt

            patch.setattr(target, name, cut)
            with pytest.raises(KeyboardInterrupt):
                fetch_media.run(room.context(), FetchMedia(message_id=message_id))
        assert room.row()["status"] == "pending"
        room.work()
        assert room.ended() == ("stored", None, ["completed"])
        assert len(room.objects()) == 2
        assert room.object(room.row()["s3_key"])["Body"].read() == PICTURE

    def test_the_second_to_settle_changes_nothing(self, room: Room) -> None:
        room.sends()
        row = room.row()
        first = Kept("first", None, 1, "image/png", "")
        second = Kept("second", "small", 2, "image/jpeg", "")
        tenant_id = room.place.tenant_id
        with room.tools.db.transaction(tenant_id) as connection:
            assert store.settle_stored(connection, tenant_id, row["id"], first)
            assert not store.settle_stored(connection, tenant_id, row["id"], second)
            assert not store.settle_failed(connection, tenant_id, row["id"], "expired", None)
            store.note_trouble(connection, tenant_id, row["id"], "no_answer", None)
        row = room.row()
        assert (row["s3_key"], row["size_bytes"], row["status"]) == ("first", 1, "stored")
        assert row["error_code"] is None

    def test_a_file_whose_row_is_gone_is_not_fetched(self, room: Room) -> None:
        room.sends()
        room.world.everything.execute("delete from messaging.media")
        room.work()
        assert [job["result"] for job in room.jobs()] == [{"status": "not_wanted"}]
        assert room.meta.asked == []

    def test_runs_that_never_end_are_given_up_with_a_reason(self, room: Room) -> None:
        room.sends()
        room.world.everything.execute(
            "update messaging.scheduled_jobs set attempts = 7 where job_type = 'fetch_media'"
        )
        room.work()
        assert room.ended() == ("failed", "given_up", ["completed"])
        assert room.meta.asked == []

    @pytest.mark.parametrize(("attempt", "objects"), [(2, 2), (3, 1)])
    def test_what_killed_two_runs_is_kept_without_a_thumbnail(
        self, room: Room, attempt: int, objects: int
    ) -> None:
        room.sends()
        message_id = UUID(room.jobs()[0]["args"]["message_id"])
        fetch_media.run(room.context(attempt), FetchMedia(message_id=message_id))
        assert len(room.objects()) == objects

    def test_the_job_is_registered_and_never_renamed(self) -> None:
        kind: JobKind[Any] = JOB_KINDS["fetch_media"]
        assert kind is fetch_media.KIND


class TestLater:
    """What may pass is tried again until Meta has forgotten the file, and says why meanwhile."""

    def test_a_dead_address_is_asked_for_anew_at_once(self, room: Room) -> None:
        room.sends(statuses=[404])
        room.work()
        assert room.ended() == ("stored", None, ["completed"])
        assert room.meta.count("/file/") == 2
        assert room.meta.count("/v23.0/") == 2

    def test_one_that_stays_dead_is_tried_later(self, room: Room) -> None:
        room.sends(statuses=[404, 404])
        room.work()
        assert room.ended() == ("pending", "not_downloaded", ["pending"])
        assert room.row()["error_message"] == "HTTP 404"
        assert room.meta.count("/file/") == 2
        room.work(seconds=60)
        assert room.ended() == ("stored", None, ["completed"])

    @pytest.mark.parametrize(
        ("how", "reason"),
        [
            ({"statuses": [401]}, "not_downloaded"),
            ({"statuses": [500]}, "not_downloaded"),
            ({"error": (500, {"error": {"code": 131000, "message": "no"}})}, "no_answer"),
            ({"error": (502, b"<html>")}, "no_answer"),
            ({"error": (403, b"<html>")}, "no_answer"),
            ({"error": (401, {"error": {"code": 190, "message": "dead"}})}, "refused_by_meta"),
            ({"error": (400, {"error": {"code": 80007, "message": "slow"}})}, "throttled"),
            (
                {"error": (400, {"error": {"code": 100, "error_subcode": 33, "message": "?"}})},
                "refused_by_meta",
            ),
            ({"error": (200, {"id": "1"})}, "no_answer"),
        ],
    )
    def test_what_may_pass_is_tried_again(
        self, room: Room, how: dict[str, Any], reason: str
    ) -> None:
        media_id = room.sends(**how)
        room.work()
        assert room.ended() == ("pending", reason, ["pending"])
        room.meta.files[media_id] = MetaFile(PICTURE)
        assert room.work(seconds=5).completed == 0  # not at once
        room.work(seconds=60)
        assert room.ended() == ("stored", None, ["completed"])
        assert room.jobs()[0]["attempts"] == 1  # waiting spends none

    def test_a_bucket_that_does_not_answer_is_waited_for(
        self, room: Room, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        room.sends()
        with monkeypatch.context() as patch:
            patch.setattr(room.tools, "settings", room.tools.settings.model_copy(
                update={"media_bucket": "nobodys"}
            ))  # fmt: skip
            room.work()
            assert room.ended() == ("pending", "not_kept", ["pending"])
        room.work(seconds=60)
        assert room.ended()[0] == "stored"

    def test_an_inactive_number_is_not_asked_with(self, room: Room) -> None:
        room.sends()
        room.place.set_number(is_active=False)
        room.work()
        assert room.ended() == ("pending", "number_inactive", ["pending"])
        assert room.meta.asked == []
        room.place.set_number(is_active=True)
        room.work(seconds=60)
        assert room.ended()[0] == "stored"

    def test_after_seven_days_it_is_over_and_says_why(self, room: Room) -> None:
        room.sends(error=(503, b""))
        tries = 0
        for _ in range(80):
            room.work()
            job = room.jobs()[0]
            if job["status"] != "pending":
                break
            tries += 1
            now = room.place.time.now
            assert now < job["scheduled_for"]
            # Half of its age away, give or take a quarter, never more than six hours.
            room.place.time.turn(seconds=(job["scheduled_for"] - now).total_seconds())
        assert room.ended() == ("failed", "expired", ["completed"])
        assert room.row()["error_message"] == "the last trouble: no_answer"
        age = room.place.time.now - room.row()["created_at"]
        assert 7 * 86_400 <= age.total_seconds() < 7 * 86_400 + 60
        assert 20 <= tries <= 60
        assert room.meta.count("/v23.0/") == tries
        assert room.objects() == []

    @pytest.mark.parametrize("content", [PICTURE[:100], b"", b"<html>busy</html>"])
    def test_bytes_of_another_size_are_no_answer_yet(self, room: Room, content: bytes) -> None:
        """Cut off where nothing says how much is missing, or the page of a gateway that is busy."""

        def serve(handler: Handler) -> None:
            handler.send_raw(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + content)

        media_id = room.sends(serve=serve)
        room.work()
        assert room.ended() == ("pending", "not_downloaded", ["pending"])
        assert room.row()["error_message"] == f"{len(content)} of {len(PICTURE)} bytes came"
        assert room.objects() == []
        room.meta.files[media_id] = MetaFile(PICTURE)
        room.work(seconds=60)
        assert room.ended() == ("stored", None, ["completed"])

    def test_a_throttled_number_waits_as_long_as_it_is_told(self, room: Room) -> None:
        room.sends(error=(400, {"error": {"code": 4, "message": "limit"}}))  # 300 s
        room.work()
        (job,) = room.jobs()
        assert (job["scheduled_for"] - room.place.time.now).total_seconds() >= 300


class TestLost:
    """What cannot help is not tried again; the row says what it was."""

    def test_bytes_that_are_not_the_persons_are_not_kept(self, room: Room) -> None:
        media_id = room.file(b"other bytes")
        room.says(message(media_id, PICTURE))
        room.work()
        assert room.ended() == ("failed", "hash_mismatch", ["completed"])
        assert room.meta.count("/file/") == 2  # once more, from a fresh address
        assert room.objects() == []

    def test_without_any_hash_the_size_must_fit(self, room: Room) -> None:
        media_id = room.file(says_sha256="unreadable", says_size=5)
        room.says(message(media_id, PICTURE, sha256=None))
        room.work()
        assert room.ended() == ("pending", "not_downloaded", ["pending"])
        room.work(days=7)
        assert room.ended() == ("failed", "expired", ["completed"])
        assert room.objects() == []

    @pytest.mark.parametrize("kind", ["image", "video", "document"])
    def test_a_file_over_the_limit_is_not_fetched(self, room: Room, kind: str) -> None:
        room.sends(kind=kind, says_size=100 * 1024 * 1024 + 1)
        room.work()
        assert room.ended() == ("failed", "too_large", ["completed"])
        assert room.meta.count("/file/") == 0

    def test_one_that_hid_its_size_stops_on_the_way(
        self, room: Room, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fetch, "LARGEST", 500 * 1024)
        room.sends(b"x" * (500 * 1024 + 1), kind="sticker", says_size="1")
        room.work()
        assert room.ended() == ("failed", "too_large", ["completed"])
        assert room.objects() == []

    @pytest.mark.parametrize(
        "error", [{"code": 100, "message": "bad"}, {"code": 131052, "message": "gone"}]
    )
    def test_a_refusal_is_kept_with_metas_code(self, room: Room, error: dict[str, Any]) -> None:
        room.sends(error=(400, {"error": error}))
        room.work()
        assert room.ended() == ("failed", "refused_by_meta", ["completed"])
        assert room.row()["error_message"] == f"{error['code']}: {error['message']}"

    def test_an_id_that_nobody_may_see_for_a_day_is_none(self, room: Room) -> None:
        room.says(message("404404", PICTURE))
        room.work()
        assert room.ended() == ("pending", "refused_by_meta", ["pending"])
        room.work(days=1)
        assert room.ended() == ("failed", "refused_by_meta", ["completed"])

    @pytest.mark.parametrize("target", ["https://169.254.169.254/", "http://127.0.0.1:1/"])
    def test_a_redirect_to_a_private_address_ends_it(self, room: Room, target: str) -> None:
        room.sends(redirect=target)
        room.work()
        assert room.ended() == ("failed", "blocked_address", ["completed"])

    def test_nothing_of_it_is_logged(self, room: Room, capfd: pytest.CaptureFixture[str]) -> None:
        media_id = room.file(redirect="https://10.0.0.1/")
        room.says(message(media_id, PICTURE, filename="passport of Ada", caption="my secret"))
        room.work()
        logged = capfd.readouterr().out
        assert "media.lost" in logged
        for word in ("passport", "secret", "token-", PHONE, media_id, "10.0.0.1"):
            assert word not in logged


class TestAddress:
    """A signed address of the tenant's own file, for minutes."""

    def test_it_names_the_object_and_ends_soon(self, room: Room) -> None:
        room.sends()
        room.work()
        row = room.row()
        tenant_id = room.place.tenant_id
        for thumbnail, key in ((False, "s3_key"), (True, "thumbnail_s3_key")):
            address = media.media_address(room.tools, tenant_id, row["id"], thumbnail=thumbnail)
            parts = urlsplit(address)
            query = parse_qs(parts.query)
            assert parts.path == f"/{BUCKET}/{row[key]}"
            assert query["X-Amz-Expires"] == ["300"]
            assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
            assert query["X-Amz-Signature"][0]

    def test_another_tenants_file_is_not_known(self, room: Room) -> None:
        room.sends()
        room.work()
        other = room.world.place()
        with pytest.raises(NotFound, match="not known"):
            media.media_address(room.tools, other.tenant_id, room.row()["id"])
        with pytest.raises(NotFound, match="not known"):
            media.media_address(room.tools, room.place.tenant_id, uuid4())

    def test_a_file_that_is_not_here_says_so(self, room: Room) -> None:
        room.sends(b"other", statuses=[500])
        tenant_id, media_id = room.place.tenant_id, room.row()["id"]
        with pytest.raises(NotFound) as caught:
            media.media_address(room.tools, tenant_id, media_id)
        assert caught.value.extra == {"status": "pending", "error_code": None}
        room.work()
        with pytest.raises(NotFound) as caught:
            media.media_address(room.tools, tenant_id, media_id)
        assert caught.value.extra == {"status": "pending", "error_code": "not_downloaded"}
        room.work(seconds=60)
        with pytest.raises(NotFound, match="thumbnail"):
            media.media_address(room.tools, tenant_id, media_id, thumbnail=True)


def test_several_workers_fetch_each_file_once(room: Room) -> None:
    contents = [f"file {n}".encode() for n in range(12)]
    room.says(*[message(room.file(one), one, "document") for one in contents])
    room.place.time.turn(seconds=1)
    workers = [
        room.world.tools(room.place.time.clock(), graph_url=room.meta.url, media_bucket=BUCKET)
        for _ in range(3)
    ]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda tools: drain(tools, time.monotonic() + 100.0, kinds=ONLY), workers))
    assert {row["status"] for row in room.place.rows("media")} == {"stored"}
    assert room.meta.count("/file/") == 12
    kept = {room.object(key)["Body"].read() for key in room.objects()}
    assert kept == set(contents)
