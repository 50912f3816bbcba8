"""The simulator's templates: Graph's calls as Meta answers them, and the webhooks of changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from local.simulator.archive import Archive
from local.simulator.templates import Template, Templates
from switchboard.whatsapp.signature import matching
from tests.simulator_run import FIRST, SECRET, THIRD, Simulator, backend, simulator

Json = dict[str, Any]
BODY = {
    "type": "BODY",
    "text": "Hi {{1}}, your table is kept until {{2}} tonight.",
    "example": {"body_text": [["Ana", "21:30"]]},
}


@pytest.fixture
def meta(running: Simulator) -> Simulator:
    running.start_afresh()
    running.http.delete("/simulator/templates").raise_for_status()
    return running


def ask(meta: Simulator, method: str, path: str, body: Json | None = None, **query: Any) -> Any:
    return meta.http.request(
        method,
        f"/v23.0/{path}",
        headers={"Authorization": f"Bearer {FIRST.access_token}"},
        params=query,
        json=body,
    )


def create(meta: Simulator, name: str = "table_kept", **more: Any) -> httpx.Response:
    definition = {
        "name": name,
        "language": "en_US",
        "category": "UTILITY",
        "components": [BODY],
        **more,
    }
    answer: httpx.Response = ask(meta, "POST", f"{FIRST.waba_id}/message_templates", definition)
    return answer


def created(meta: Simulator, name: str = "table_kept", **more: Any) -> str:
    answer = create(meta, name, **more)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def decide(meta: Simulator, template_id: str, **decision: Any) -> None:
    meta.http.post(f"/simulator/templates/{template_id}", json=decision).raise_for_status()


def told(meta: Simulator) -> list[tuple[str, Json]]:
    """Field and value of every webhook so far that is of an account."""
    meta.flush()
    return [
        (change["field"], change["value"])
        for received in meta.backend.received
        for entry in received.document["entry"]
        for change in entry["changes"]
        if change["field"] != "messages"
    ]


def refused(answer: httpx.Response) -> int:
    """The subcode; the body must have Meta's shape."""
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, 100), error
    assert {"message", "type", "error_user_title", "error_user_msg", "fbtrace_id"} <= error.keys()
    return int(error["error_subcode"])


def test_a_new_template_is_pending_and_approved_in_a_moment(meta: Simulator) -> None:
    answer = create(meta)
    template_id = answer.json()["id"]
    assert answer.json() == {"id": template_id, "status": "PENDING", "category": "UTILITY"}
    assert told(meta) == [
        (
            "message_template_status_update",
            {
                "message_template_id": int(template_id),
                "message_template_name": "table_kept",
                "message_template_language": "en-US",
                "event": "APPROVED",
                "reason": "NONE",
                "message_template_category": "UTILITY",
            },
        )
    ]
    (received,) = meta.backend.received
    (entry,) = received.document["entry"]
    assert (entry["id"], entry["time"]) == (FIRST.waba_id, int(meta.clock()))
    header = received.headers["x-hub-signature-256"]
    assert matching(received.body, header, [SECRET]) is not None
    fields = "name,status,components,quality_score"
    assert ask(meta, "GET", template_id, fields=fields).json() == {
        "id": template_id,
        "name": "table_kept",
        "status": "APPROVED",
        "components": [BODY],
        "quality_score": {"score": "UNKNOWN", "date": int(meta.clock())},
    }


def test_the_list_comes_in_pages_until_there_is_no_next(meta: Simulator) -> None:
    ids = [created(meta, f"t{n}") for n in range(5)]
    seen: list[str] = []
    query: Json = {"limit": "2", "fields": "name"}
    pages = 0
    while True:
        page = ask(meta, "GET", f"{FIRST.waba_id}/message_templates", **query).json()
        pages += 1
        seen += [one["id"] for one in page["data"]]
        assert all(one.keys() == {"id", "name"} for one in page["data"])
        if "next" not in page["paging"]:
            break
        query["after"] = page["paging"]["cursors"]["after"]
        following = parse_qs(urlsplit(page["paging"]["next"]).query)
        assert following == {key: [value] for key, value in query.items()}
    assert (pages, seen) == (3, ids[::-1])


def test_the_list_is_filtered_and_knows_its_fields(meta: Simulator) -> None:
    created(meta, "one")
    second = created(meta, "two", category="MARKETING")
    path = f"{FIRST.waba_id}/message_templates"

    def names(**query: Any) -> list[str]:
        return [one["name"] for one in ask(meta, "GET", path, **query).json()["data"]]

    decide(meta, second, quality="RED")
    assert names(name="one") == ["one"]
    assert names(category="marketing") == ["two"]
    assert names(quality_score="RED", status="PENDING") == ["two"]
    assert names(language="es") == []
    assert ask(meta, "GET", path, fields="colour").json()["error"]["code"] == 100
    other = {"Authorization": f"Bearer {THIRD.access_token}"}
    answer = meta.http.get(f"/v23.0/{path}", headers=other)
    assert answer.json()["error"]["error_subcode"] == 33
    assert meta.http.get(f"/v23.0/{second}", headers=other).status_code == 400


@pytest.mark.parametrize(
    ("change", "subcode"),
    [
        ({"components": [{"type": "BODY", "text": "x" * 1025}]}, 2388040),
        ({"components": [{**BODY, "text": "{{1}} is kept for you until tonight"}]}, 2388299),
        ({"components": [{**BODY, "text": "Hi {{1}} {{2}} !"}]}, 2388293),
        ({"components": [{"type": "BODY", "text": BODY["text"]}]}, 2388043),
        ({"components": [{"type": "FOOTER", "text": "bye"}]}, 2388072),
        ({"name": "there_already"}, 2388024),
        ({"name": "was_deleted"}, 2388023),
    ],
)
def test_what_meta_refuses_has_its_subcode(meta: Simulator, change: Json, subcode: int) -> None:
    created(meta, "there_already")
    created(meta, "was_deleted")
    meta.flush()  # approved: its name is blocked when it goes
    ask(meta, "DELETE", f"{FIRST.waba_id}/message_templates", name="was_deleted")
    assert refused(create(meta, **{"name": "new_one", **change})) == subcode


@pytest.mark.parametrize("change", [{"name": "Not So"}, {"language": "e"}, {"category": "NEWS"}])
def test_a_parameter_that_cannot_be_is_100(meta: Simulator, change: Json) -> None:
    error = create(meta, **change).json()["error"]
    assert (error["code"], "error_subcode" in error) == (100, False)


def test_an_approved_template_is_edited_once_a_day(meta: Simulator) -> None:
    template_id = created(meta)
    other = {"components": [{"type": "BODY", "text": "Your table is kept."}]}
    assert refused(ask(meta, "POST", template_id, other)) == 2388039  # still PENDING
    meta.flush()
    assert ask(meta, "POST", template_id, other).json() == {
        "success": True,
        "id": template_id,
        "name": "table_kept",
        "category": "UTILITY",
    }
    assert ask(meta, "GET", template_id, fields="components,status").json() == {
        "id": template_id,
        "components": other["components"],
        "status": "PENDING",
    }
    assert [field for field, _ in told(meta)] == [
        "message_template_status_update",
        "message_template_components_update",
        "message_template_status_update",
    ]
    assert refused(ask(meta, "POST", template_id, other)) == 2388042
    assert refused(ask(meta, "POST", template_id, {"category": "MARKETING"})) == 2388041
    meta.clock.ahead += 25 * 3600
    assert ask(meta, "POST", template_id, other).json()["success"] is True


def test_one_language_is_deleted_by_id_and_all_by_name(meta: Simulator) -> None:
    english, spanish = created(meta), created(meta, language="es_MX")
    path = f"{FIRST.waba_id}/message_templates"
    assert refused(ask(meta, "DELETE", path, name="table_kept", hsm_id="7")) == 2593002
    gone = ask(meta, "DELETE", path, name="table_kept", hsm_id=spanish)
    assert gone.json() == {"success": True}
    assert ask(meta, "GET", spanish).status_code == 400
    assert ask(meta, "GET", english).status_code == 200
    created(meta, language="de")
    assert ask(meta, "DELETE", path, name="table_kept").json() == {"success": True}
    assert ask(meta, "GET", path).json() == {"data": []}
    gone_words = [
        value["message_template_language"] for _, value in told(meta) if value["event"] == "DELETED"
    ]
    assert gone_words == ["es-MX", "de", "en-US"]


def test_only_a_pause_of_pacing_can_be_ended(meta: Simulator) -> None:
    template_id = created(meta)
    meta.flush()
    decide(meta, template_id, status="PAUSED")
    answer = ask(meta, "POST", f"{template_id}/unpause").json()
    assert answer["success"] is False
    decide(meta, template_id, status="PAUSED", paused_by="pacing")
    assert ask(meta, "POST", f"{template_id}/unpause").json() == {"success": True}
    events = [(value["event"], value.get("other_info", {}).get("title")) for _, value in told(meta)]
    assert events == [
        ("APPROVED", None),
        ("PAUSED", "FIRST_PAUSE"),
        ("PAUSED", "FIRST_PAUSE"),
        ("APPROVED", "UNPAUSE"),
    ]


def test_metas_decisions_go_out_as_webhooks(meta: Simulator) -> None:
    template_id = created(meta)
    meta.flush()
    meta.backend.received.clear()
    decide(meta, template_id, quality="YELLOW", category="MARKETING")
    decide(meta, template_id, status="REJECTED", reason="SCAM")
    named = {
        "message_template_id": int(template_id),
        "message_template_name": "table_kept",
        "message_template_language": "en-US",
    }
    assert told(meta) == [
        (
            "template_category_update",
            {**named, "previous_category": "UTILITY", "new_category": "MARKETING"},
        ),
        (
            "message_template_quality_update",
            {**named, "previous_quality_score": "UNKNOWN", "new_quality_score": "YELLOW"},
        ),
        (
            "message_template_status_update",
            {
                **named,
                "event": "REJECTED",
                "reason": "SCAM",
                "message_template_category": "MARKETING",
            },
        ),
    ]
    wrong = meta.http.post(f"/simulator/templates/{template_id}", json={"status": "GREEN"})
    assert wrong.status_code == 422
    assert meta.http.post("/simulator/templates/7", json={}).status_code == 404


def test_templates_outlive_a_restart_and_a_reset(tmp_path: Path) -> None:
    with backend() as receiver:
        with simulator(receiver, tmp_path) as meta:
            template_id = created(meta)
        with simulator(receiver, tmp_path) as meta:
            # Whatever was not judged before is judged now.
            meta.flush()
            meta.http.post("/simulator/reset").raise_for_status()
            assert ask(meta, "GET", template_id).json()["status"] == "APPROVED"
        with simulator(receiver, tmp_path) as meta:
            assert ask(meta, "GET", template_id).json()["status"] == "APPROVED"


def test_a_given_template_is_there_once_and_nobody_is_told(meta: Simulator) -> None:
    given = {
        "waba_id": THIRD.waba_id,
        "name": "code",
        "language": "en_US",
        "category": "AUTHENTICATION",
        "components": [{"type": "BODY", "add_security_recommendation": True}],
    }
    made = [meta.http.post("/simulator/templates", json=given).json() for _ in range(2)]
    assert made[0] == made[1]
    assert made[0]["status"] == "APPROVED"
    assert told(meta) == []
    stranger = {**given, "waba_id": "7"}
    assert meta.http.post("/simulator/templates", json=stranger).status_code == 422


def test_an_account_is_known_once_it_has_a_template(request: pytest.FixtureRequest) -> None:
    archive = Archive(None)
    request.addfinalizer(archive.close)
    shelf = Templates(archive, lambda _: None, lambda: None, lambda: 0.0)
    assert not shelf.is_known("1")
    shelf.put(Template("7", "1", "hi", "en_US", "UTILITY", []))
    assert shelf.is_known("1")
    assert not shelf.is_known("2")
    found = shelf.find("1", "hi", "en-US")
    assert found is not None
    assert found.id == "7"
    assert shelf.find("1", "hi", "es") is None
    assert shelf.find("2", "hi", "en_US") is None
