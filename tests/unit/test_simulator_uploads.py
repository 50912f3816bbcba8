"""The simulator's resumable uploads: sessions, offsets, handles, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from local.simulator.graph_uploads import APP_ID
from tests.simulator_run import FIRST, Json, Simulator, backend, simulator


@pytest.fixture(scope="module")
def meta() -> Iterator[Simulator]:
    with backend() as receiver, simulator(receiver) as running:
        yield running


def call(
    meta: Simulator,
    method: str,
    path: str,
    content: bytes = b"",
    token: str = FIRST.access_token,
    **how: Json,
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} | how.pop("headers", {})
    return meta.http.request(method, f"/v23.0/{path}", content=content, headers=headers, **how)  # type: ignore[arg-type]


def opened(meta: Simulator, length: int, kind: str = "image/png") -> str:
    asked = {"file_name": "a", "file_length": str(length), "file_type": kind}
    answer = call(meta, "POST", f"{APP_ID}/uploads", params=asked)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def put(meta: Simulator, session: str, content: bytes, offset: str = "0") -> httpx.Response:
    return call(meta, "POST", session, content, headers={"file_offset": offset})


def profile(meta: Simulator, handle: str) -> httpx.Response:
    body = {"messaging_product": "whatsapp", "profile_picture_handle": handle}
    headers = {"Authorization": f"Bearer {FIRST.access_token}"}
    path = f"/v23.0/{FIRST.phone_number_id}/whatsapp_business_profile"
    return meta.http.post(path, json=body, headers=headers)


def test_a_file_that_comes_in_parts_gets_its_handle_at_the_end(meta: Simulator) -> None:
    session = opened(meta, 5)
    assert session.startswith("upload:")
    assert call(meta, "GET", session).json() == {"id": session, "file_offset": 0}
    assert "h" not in put(meta, session, b"abc").json()
    assert call(meta, "GET", session).json() == {"id": session, "file_offset": 3}
    handle = put(meta, session, b"de", "3").json()["h"]
    assert handle.startswith("4:aW1hZ2UvcG5n:")
    assert call(meta, "GET", session).json()["error"]["error_subcode"] == 33


def test_bytes_at_another_offset_or_beyond_the_length_are_refused(meta: Simulator) -> None:
    session = opened(meta, 3)
    for content, offset in ((b"abc", "1"), (b"abc", ""), (b"abcd", "0")):
        answer = put(meta, session, content, offset)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, 100)
    assert call(meta, "GET", session).json()["file_offset"] == 0
    assert "h" in put(meta, session, b"abc").json()


@pytest.mark.parametrize(
    "wrong",
    [{"file_length": "0"}, {"file_length": "many"}, {"file_type": "image/webp"}],
    ids=lambda wrong: next(iter(wrong.values())),
)
def test_no_session_is_opened_for_what_cannot_be(meta: Simulator, wrong: Json) -> None:
    asked = {"file_name": "a", "file_length": "5", "file_type": "image/png"} | wrong
    answer = call(meta, "POST", f"{APP_ID}/uploads", params=asked)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 100)


def test_another_app_and_another_token_open_nothing(meta: Simulator) -> None:
    asked = {"file_name": "a", "file_length": "5", "file_type": "image/png"}
    other = call(meta, "POST", "100000000000002/uploads", params=asked)
    assert other.json()["error"]["error_subcode"] == 33
    stranger = call(meta, "POST", f"{APP_ID}/uploads", token="nobody's", params=asked)
    assert stranger.status_code == 401
    session = opened(meta, 1)
    assert call(meta, "GET", session, token="nobody's").status_code == 401
    assert call(meta, "POST", session, b"x", token="nobody's").status_code == 401
    assert call(meta, "GET", "upload:none").json()["error"]["error_subcode"] == 33


def test_what_nobody_ends_is_forgotten_when_many_more_came(meta: Simulator) -> None:
    first, last = opened(meta, 1), ""
    for _ in range(100):
        last = opened(meta, 1)
    assert call(meta, "GET", first).json()["error"]["error_subcode"] == 33
    assert call(meta, "GET", last).status_code == 200


def test_a_profile_takes_the_handle_of_a_picture_only(meta: Simulator) -> None:
    paper = put(meta, opened(meta, 1, "application/pdf"), b"x").json()["h"]
    for handle in (paper, "4:aW1hZ2UvcG5n:invented"):
        assert profile(meta, handle).json()["error"]["code"] == 131009
    picture = put(meta, opened(meta, 1), b"x").json()["h"]
    assert profile(meta, picture).json() == {"success": True}
    path = f"{FIRST.phone_number_id}/whatsapp_business_profile"
    (shown,) = call(meta, "GET", path, params={"fields": "profile_picture_url"}).json()["data"]
    assert shown["profile_picture_url"].startswith("https://pps.whatsapp.net/v/")
