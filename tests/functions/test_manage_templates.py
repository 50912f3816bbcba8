"""Templates by /v1: listed here, made, edited, deleted and unpaused at Meta, refused beforehand."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from switchboard.accounts import template_sync, templates
from switchboard.kernel.errors import Unavailable
from tests.managing import Desk, Made, column
from tests.templates_at_meta import BODY, PLAIN, Meta, meta_of

LIST, ONE = "GET /v1/templates", "GET /v1/templates/{id}"
CREATE, SYNC = "POST /v1/templates", "POST /v1/templates/sync"
EDIT, DELETE = "POST /v1/templates/{id}", "DELETE /v1/templates/{id}"
UNPAUSE = "POST /v1/templates/{id}/unpause"


@pytest.fixture
def meta(desk: Desk) -> Iterator[Meta]:
    with meta_of(desk.place) as meta:
        desk.use(graph_url=meta.url)
        yield meta


def new(desk: Desk, **more: Any) -> Made:
    return {
        "waba_id": desk.place.waba_id,
        "name": "table_kept",
        "category": "UTILITY",
        "language": "en_US",
        "components": [BODY],
        **more,
    }


def submitted(desk: Desk, **more: Any) -> Made:
    status, made = desk.call(CREATE, body=new(desk, **more))
    assert status == 201, made
    return made


def approved(desk: Desk, meta: Meta, **more: Any) -> Made:
    made = submitted(desk, **more)
    assert meta.deliver(desk.made) == 1
    shown = desk.ok(ONE, made["id"])
    assert shown["status"] == "APPROVED"
    return shown


def sync(desk: Desk) -> Made:
    status, done = desk.call(SYNC, body={"waba_id": desk.place.waba_id})
    assert status == 202, done
    return done


def refusing(desk: Desk, status: int, code: int) -> None:
    """Let Meta refuse everything with this code."""
    error = {"error": {"code": code, "message": "title", "error_user_msg": "why", "type": "x"}}
    answer = httpx.Response(status, json=error)
    desk.use(transport=httpx.MockTransport(lambda _: answer))


def test_a_template_is_submitted_whole_and_approved_by_webhook(desk: Desk, meta: Meta) -> None:
    made = submitted(
        desk,
        language="en-US",
        category="utility",
        parameter_format="positional",
        message_send_ttl_seconds=600,
        allow_category_change=True,
    )
    (call,) = meta.asked("POST", "/message_templates")
    assert call["path"] == f"/v23.0/{desk.place.waba_id}/message_templates"
    assert call["body"] == {
        "name": "table_kept",
        "category": "UTILITY",
        "language": "en_US",
        "components": [BODY],
        "parameter_format": "POSITIONAL",
        "message_send_ttl_seconds": 600,
        "allow_category_change": True,
    }
    told = {
        "waba_id": desk.place.waba_id,
        "template_id": call["response"]["id"],
        "name": "table_kept",
        "language": "en_US",
        "status": "PENDING",
        "category": "UTILITY",
        "components": [BODY],
        "components_stale": False,
        "parameter_format": "POSITIONAL",
        "message_send_ttl_seconds": 600,
        "quality_score": "UNKNOWN",
        "approved_at": None,
    }
    assert {key: made[key] for key in told} == told
    assert made["submitted_at"] is not None
    assert desk.ok(ONE, made["id"]) == made
    meta.deliver(desk.made)
    (shown,) = desk.ok(LIST)["data"]
    assert (shown["id"], shown["status"]) == (made["id"], "APPROVED")
    assert shown["approved_at"] == shown["status_at"]


def test_a_template_that_meta_does_not_show_again_is_kept_and_fetched_later(desk: Desk) -> None:
    answers = {
        "POST": httpx.Response(
            200, json={"id": "77", "status": "PENDING", "category": "MARKETING"}
        ),
        "GET": httpx.Response(500),
    }
    desk.use(transport=httpx.MockTransport(lambda request: answers[request.method]))
    made = submitted(desk)
    told = {"template_id": "77", "status": "PENDING", "category": "MARKETING"}
    assert {key: made[key] for key in told} == told
    assert (made["components"], made["components_stale"]) == ([BODY], True)
    (job,) = desk.place.rows("scheduled_jobs", job_type="sync_templates")
    assert (job["args"], job["unique_key"]) == (
        {"waba_id": desk.place.waba_id},
        desk.place.waba_id,
    )


def test_another_template_than_was_asked_about_does_not_become_it(desk: Desk) -> None:
    other = {"id": "78", "name": "other", "language": "en_US", "status": "APPROVED"}
    answers = {
        "POST": httpx.Response(200, json={"id": "77", "status": "PENDING"}),
        "GET": httpx.Response(200, json=other),
    }
    desk.use(transport=httpx.MockTransport(lambda request: answers[request.method]))
    made = submitted(desk)
    assert (made["template_id"], made["name"], made["status"]) == ("77", "table_kept", "PENDING")
    assert column(desk.place.rows("whatsapp_templates"), "name") == ["table_kept"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Table kept"}, "name"),
        ({"name": "x" * 513}, "name"),
        ({"name": ""}, "name"),
        ({"language": "english please"}, "language"),
        ({"category": "NEWS"}, "category"),
        ({"components": []}, "components"),
        ({"components": [{"text": "hi"}]}, "components.0.type"),
        ({"components": [{"type": "FOOTER", "text": "hi"}]}, "components"),
        ({"components": [PLAIN, {"type": "body", "text": "twice"}]}, "components.1.type"),
        ({"components": [{"type": "BODY", "text": "x" * 1025}]}, "components.0.text"),
        ({"components": [{"type": "BODY"}]}, "components.0.text"),
        (
            {"components": [{**BODY, "text": "{{1}} is kept until {{2}} tonight"}]},
            "components.0.text",
        ),
        (
            {"components": [{**BODY, "text": "It is kept for {{1}} until {{2}}"}]},
            "components.0.text",
        ),
        ({"components": [{**BODY, "text": "For {{1}} until {{3}} tonight"}]}, "components.0.text"),
        (
            {"components": [{**BODY, "text": "For {{name}} until {{2}} tonight"}]},
            "components.0.text",
        ),
        (
            {"components": [{"type": "BODY", "text": BODY["text"]}]},
            "components.0.example.body_text",
        ),
        (
            {"components": [{**BODY, "example": {"body_text": [["Ana"]]}}]},
            "components.0.example.body_text",
        ),
        (
            {
                "components": [{"type": "BODY", "text": "Hi {{first_name}}, come in."}],
                "parameter_format": "NAMED",
            },
            "components.0.example.body_text_named_params",
        ),
        (
            {
                "components": [{"type": "BODY", "text": "Hi {{First}}, come in."}],
                "parameter_format": "NAMED",
            },
            "components.0.text",
        ),
        (
            {"components": [{"type": "HEADER", "format": "TEXT", "text": "x" * 61}, PLAIN]},
            "components.0.text",
        ),
        (
            {"components": [{"type": "HEADER", "format": "TEXT", "text": "{{1}}, {{2}}!"}, PLAIN]},
            "components.0.text",
        ),
        (
            {"components": [{"type": "HEADER", "format": "TEXT", "text": "Hi {{1}}!"}, PLAIN]},
            "components.0.example.header_text",
        ),
        (
            {"components": [{"type": "HEADER", "format": "IMAGE"}, PLAIN]},
            "components.0.example.header_handle",
        ),
        ({"components": [{"type": "HEADER", "text": "Hi"}, PLAIN]}, "components.0.format"),
        ({"components": [PLAIN, {"type": "FOOTER", "text": "x" * 61}]}, "components.1.text"),
        ({"components": [PLAIN, {"type": "FOOTER", "text": "Hi {{1}}"}]}, "components.1.text"),
        (
            {
                "components": [
                    {"type": "BODY", "text": "x" * 601},
                    {"type": "limited_time_offer", "limited_time_offer": {"text": "Now"}},
                ]
            },
            "components.0.text",
        ),
        (
            {
                "components": [
                    PLAIN,
                    {"type": "limited_time_offer", "limited_time_offer": {"text": "x" * 17}},
                ]
            },
            "components.1.limited_time_offer.text",
        ),
        (
            {"components": [PLAIN, {"type": "CAROUSEL", "cards": [{"components": [PLAIN]}]}]},
            "components.1.cards",
        ),
        (
            {
                "components": [
                    PLAIN,
                    {
                        "type": "CAROUSEL",
                        "cards": [
                            {"components": [PLAIN]},
                            {"components": [{"type": "BODY", "text": "x" * 161}]},
                        ],
                    },
                ]
            },
            "components.1.cards.1.components.0.text",
        ),
        ({"message_send_ttl_seconds": 29}, "message_send_ttl_seconds"),
        ({"message_send_ttl_seconds": 43_201}, "message_send_ttl_seconds"),
        (
            {"category": "AUTHENTICATION", "message_send_ttl_seconds": 901},
            "message_send_ttl_seconds",
        ),
        ({"message_send_ttl_seconds": 30, "category": "MARKETING"}, "message_send_ttl_seconds"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_meta_would_refuse_is_named_and_never_sent(
    desk: Desk, change: Made, field: str
) -> None:
    # No Graph answers here: whatever is asked for would be a 503.
    status, problem = desk.call(CREATE, body=new(desk, **change))
    assert (status, problem.get("field")) == (422, field), problem
    assert problem["problems"][0]["field"] == field


def quick(n: int) -> Made:
    return {"type": "QUICK_REPLY", "text": f"Answer {n}"}


URL = {"type": "URL", "text": "Open", "url": "https://acme.example/menu"}
CALL = {"type": "PHONE_NUMBER", "text": "Call", "phone_number": "+15550001111"}
COPY = {"type": "COPY_CODE", "example": "SAVE10"}


@pytest.mark.parametrize(
    ("buttons", "place"),
    [
        ([], ""),
        ([quick(n) for n in range(11)], ""),
        ([URL, URL, URL], ""),
        ([CALL, CALL], ""),
        ([COPY, COPY], ""),
        ([quick(1), URL, quick(2)], ""),
        ([{"text": "Open"}], ".0.type"),
        ([{**URL, "text": "x" * 26}], ".0.text"),
        ([{"type": "QUICK_REPLY"}], ".0.text"),
        ([{**URL, "url": "https://acme.example/" + "x" * 2000}], ".0.url"),
        ([{**URL, "url": "https://acme.example/{{1}}/x"}], ".0.url"),
        ([{**URL, "url": "https://acme.example/{{1}}"}], ".0.example"),
        ([{**CALL, "phone_number": "1" * 21}], ".0.phone_number"),
        ([{**COPY, "example": "x" * 21}], ".0.example"),
    ],
)
def test_buttons_have_their_limits(desk: Desk, buttons: list[Made], place: str) -> None:
    components = [PLAIN, {"type": "BUTTONS", "buttons": buttons}]
    status, problem = desk.call(CREATE, body=new(desk, components=components))
    assert (status, problem.get("field")) == (422, f"components.1.buttons{place}"), problem


@pytest.mark.parametrize(
    "change",
    [
        {
            "components": [
                {
                    "type": "HEADER",
                    "format": "TEXT",
                    "text": "Hello {{1}}",
                    "example": {"header_text": ["Ana"]},
                },
                {**BODY, "text": "x" * 990 + " {{2}} and {{1}}, see you."},
                {"type": "FOOTER", "text": "x" * 60},
                {
                    "type": "BUTTONS",
                    "buttons": [
                        *map(quick, range(6)),
                        URL,
                        {
                            **URL,
                            "url": "https://a.example/{{1}}",
                            "example": ["https://a.example/1"],
                        },
                        CALL,
                        COPY,
                    ],
                },
            ],
            "category": "MARKETING",
        },
        {
            "components": [
                {
                    "type": "body",
                    "text": "Hi {{first_name}}, come in.",
                    "example": {
                        "body_text_named_params": [{"param_name": "first_name", "example": "Ana"}]
                    },
                }
            ],
            "parameter_format": "NAMED",
        },
        {
            "category": "AUTHENTICATION",
            "components": [
                {"type": "BODY", "add_security_recommendation": True},
                {"type": "FOOTER", "code_expiration_minutes": 10},
                {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE"}]},
            ],
            "message_send_ttl_seconds": -1,
        },
        {"components": [PLAIN, {"type": "COMPONENT_OF_TOMORROW", "text": "?"}]},
    ],
)
def test_what_is_within_the_limits_goes_to_meta_as_it_is(
    desk: Desk, meta: Meta, change: Made
) -> None:
    body = new(desk, **copy.deepcopy(change))
    made = submitted(desk, **change)
    (call,) = meta.asked("POST", "/message_templates")
    assert call["body"] == {key: value for key, value in body.items() if key != "waba_id"}
    assert made["components"] == body["components"]


def test_a_template_is_edited_and_judged_anew(desk: Desk, meta: Meta) -> None:
    made = approved(desk, meta)
    change = {"components": [PLAIN], "message_send_ttl_seconds": 60}
    edited = desk.ok(EDIT, made["id"], body=change)
    (call,) = meta.asked("POST", f"/{made['template_id']}")
    assert call["body"] == change
    assert (edited["id"], edited["status"]) == (made["id"], "PENDING")
    assert (edited["components"], edited["message_send_ttl_seconds"]) == ([PLAIN], 60)
    meta.ahead = 5  # nobody edits and judges within the second of an approval
    meta.deliver(desk.made)
    assert desk.ok(ONE, made["id"])["status"] == "APPROVED"
    # Meta's own rule: once a day.
    status, problem = desk.call(EDIT, made["id"], body={"components": [BODY]})
    assert (status, problem["title"]) == (502, "Refused by Meta")
    assert problem["error"]["code"] == 100
    assert "24 hours" in problem["detail"]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        ("PENDING", {"components": [PLAIN]}, (409, None)),
        ("DISABLED", {"components": [PLAIN]}, (409, None)),
        ("APPROVED", {"category": "MARKETING"}, (422, "category")),
        (
            "APPROVED",
            {"components": [{"type": "BODY", "text": "x" * 1025}]},
            (422, "components.0.text"),
        ),
        ("APPROVED", {"message_send_ttl_seconds": 5}, (422, "message_send_ttl_seconds")),
        ("APPROVED", {}, (422, None)),
        ("APPROVED", {"name": "another"}, (422, "name")),
        ("REJECTED", {"category": "MARKETING"}, (503, None)),
        ("PAUSED", {"components": [PLAIN]}, (503, None)),
        ("APPROVED", {"category": "UTILITY"}, (503, None)),
    ],
)
def test_only_what_meta_lets_be_edited_is_sent(
    desk: Desk, status: str, body: Made, expected: tuple[int, str | None]
) -> None:
    template = stored(desk, status=status)
    code, problem = desk.call(EDIT, template, body=body)
    assert (code, problem.get("field")) == expected, problem


def stored(desk: Desk, name: str = "table_kept", language: str = "en_US", **states: Any) -> str:
    """Put a template there as a sync would leave it; returns its id."""
    values: Made = {"id": "77", "category": "UTILITY", **states}
    if "status" in states:
        values["status"] = {"status": states["status"]}
    rows = desk.world.everything.execute(
        "insert into messaging.whatsapp_templates (tenant_id, waba_id, name, language, states)"
        " values (%s, %s, %s, %s, messaging.states_at(%s, 1)) returning id",
        (desk.place.tenant_id, desk.place.waba_id, name, language, psycopg_json(values)),
    )
    (row,) = rows.fetchall()
    return str(row[0])


def psycopg_json(value: Any) -> Any:
    from psycopg.types.json import Jsonb

    return Jsonb(value)


def test_one_language_is_deleted_or_all(desk: Desk, meta: Meta) -> None:
    english = approved(desk, meta)
    spanish = approved(desk, meta, language="es_MX")
    german = approved(desk, meta, language="de")
    other = approved(desk, meta, name="other")
    gone = desk.ok(DELETE, spanish["id"])
    assert (gone["id"], gone["status"]) == (spanish["id"], "DELETED")
    assert set(meta.statuses(desk.place)) == {
        ("table_kept", "en_US"),
        ("table_kept", "de"),
        ("other", "en_US"),
    }
    assert desk.ok(DELETE, spanish["id"])["status"] == "DELETED"  # again, and nobody is asked
    assert len(meta.asked("DELETE")) == 1
    assert desk.ok(DELETE, english["id"], all_languages="true")["status"] == "DELETED"
    assert set(meta.statuses(desk.place)) == {("other", "en_US")}
    shown = {row["id"]: row["status"] for row in desk.ok(LIST)["data"]}
    assert shown == {
        english["id"]: "DELETED",
        spanish["id"]: "DELETED",
        german["id"]: "DELETED",
        other["id"]: "APPROVED",
    }
    meta.deliver(desk.made)
    assert desk.ok(ONE, english["id"])["status"] == "DELETED"


def test_a_pause_of_pacing_is_ended(desk: Desk, meta: Meta) -> None:
    made = approved(desk, meta)
    status, problem = desk.call(UNPAUSE, made["id"])
    assert (status, "PAUSED" in problem["detail"]) == (409, True)
    for by, expected in (("quality", 502), ("pacing", 200)):
        meta.decide(made["template_id"], status="PAUSED", paused_by=by)
        meta.deliver(desk.made)
        assert desk.ok(ONE, made["id"])["other_info"]["title"] == "FIRST_PAUSE"
        status, shown = desk.call(UNPAUSE, made["id"])
        assert status == expected, shown
    (_, call) = meta.asked("POST", "/unpause")
    assert call["path"] == f"/v23.0/{made['template_id']}/unpause"
    meta.deliver(desk.made)
    assert desk.ok(ONE, made["id"])["status"] == "APPROVED"


def test_without_metas_id_nothing_can_be_asked_for(desk: Desk) -> None:
    template = stored(desk, status="APPROVED", id=None)
    for route in (EDIT, DELETE):
        status, problem = desk.call(
            route, template, body={"components": [PLAIN]} if route == EDIT else None
        )
        assert (status, "sync" in problem["detail"]) == (409, True)


@pytest.mark.parametrize(
    ("status", "code", "expected"), [(400, 100, 502), (401, 190, 502), (400, 80008, 503)]
)
def test_what_meta_says_instead_is_told_and_nothing_changes(
    desk: Desk, status: int, code: int, expected: int
) -> None:
    refusing(desk, status, code)
    paused, live = stored(desk, status="PAUSED"), stored(desk, "other", status="APPROVED")
    before = desk.place.rows("whatsapp_templates")
    for route, given, body in (
        (CREATE, [], new(desk)),
        (EDIT, [live], {"components": [PLAIN]}),
        (DELETE, [live], None),
        (UNPAUSE, [paused], None),
        (SYNC, [], {"waba_id": desk.place.waba_id}),
    ):
        answered, problem = desk.call(route, *given, body=body)
        assert (answered, problem["error"]["code"]) == (expected, code), route
    assert desk.place.rows("whatsapp_templates") == before
    assert desk.place.rows("scheduled_jobs", job_type="sync_templates") == []


def test_after_an_unclear_answer_a_sync_finds_out_what_meta_did(desk: Desk) -> None:
    def late(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("late", request=request)

    paused, live = stored(desk, status="PAUSED"), stored(desk, "other", status="APPROVED")
    before = desk.place.rows("whatsapp_templates")
    for route, given, body in (
        (CREATE, [], new(desk)),
        (EDIT, [live], {"components": [PLAIN]}),
        (DELETE, [live], None),
        (UNPAUSE, [paused], None),
    ):
        desk.use(transport=httpx.MockTransport(late))
        status, problem = desk.call(route, *given, body=body)
        assert (status, problem["title"]) == (504, "No clear answer from Meta"), route
        (job,) = desk.place.rows("scheduled_jobs", job_type="sync_templates")
        assert job["args"] == {"waba_id": desk.place.waba_id}, route
        desk.world.everything.execute("delete from messaging.scheduled_jobs")
    assert desk.place.rows("whatsapp_templates") == before


def test_an_unclear_answer_is_told_although_the_database_went_away(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise Unavailable("the database is away")

    def late(request: httpx.Request) -> httpx.Response:
        monkeypatch.setattr(templates, "transact", away)
        raise httpx.ReadTimeout("late", request=request)

    live = stored(desk, status="APPROVED")
    desk.use(transport=httpx.MockTransport(late))
    assert desk.call(DELETE, live)[0] == 504


def test_the_list_is_filtered_and_walked_by_cursor(desk: Desk) -> None:
    one = stored(desk, "a", status="APPROVED", quality="RED")
    two = stored(desk, "a", "es_MX", status="PAUSED", category="MARKETING")
    three = stored(desk, "b", status="APPROVED", category="MARKETING")
    assert column(desk.pages(LIST, limit=1), "id") == [one, two, three]
    for query, expected in (
        ({"status": "approved"}, [one, three]),
        ({"category": "MARKETING", "status": "PAUSED"}, [two]),
        ({"name": "a"}, [one, two]),
        ({"language": "es-MX"}, [two]),
        ({"quality": "red"}, [one]),
        ({"quality": "UNKNOWN", "limit": 1}, [two, three]),
        ({"waba_id": desk.place.waba_id}, [one, two, three]),
        ({"waba_id": "7"}, []),
    ):
        assert column(desk.pages(LIST, **query), "id") == expected, query
    cursor = desk.ok(LIST, limit=1)["next_cursor"]
    status, problem = desk.call(LIST, cursor=cursor, status="PAUSED")
    assert (status, problem["field"]) == (400, "cursor")


def test_a_walk_that_finds_nothing_goes_on_behind_its_last_row(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("switchboard.accounts.templates.WALK", 2)
    wanted = [stored(desk, f"t{n}", status="PAUSED" if n == 5 else "APPROVED") for n in range(7)]
    first = desk.ok(LIST, status="PAUSED")
    assert (first["data"], first["next_cursor"] is None) == ([], False)
    assert column(desk.pages(LIST, status="PAUSED"), "id") == [wanted[5]]


def test_a_small_account_is_synced_at_once(desk: Desk, meta: Meta) -> None:
    assert sync(desk) == {
        "waba_id": desk.place.waba_id,
        "state": "done",
        "listed": 0,
        "deleted": 0,
        "job_id": None,
    }
    kept = meta.give(desk.place, "kept")
    gone = meta.give(desk.place, "gone")
    assert sync(desk)["listed"] == 2
    meta.decide(gone, status="DELETED")
    meta.decide(kept, status="PAUSED")
    done = sync(desk)
    assert (done["listed"], done["deleted"]) == (1, 1)
    shown = {row["name"]: row["status"] for row in desk.ok(LIST)["data"]}
    assert shown == {"kept": "PAUSED", "gone": "DELETED"}
    # Whatever webhooks said of the same comes later and changes nothing.
    meta.deliver(desk.made)
    assert {row["name"]: row["status"] for row in desk.ok(LIST)["data"]} == shown


def test_a_long_list_goes_on_in_a_job(
    desk: Desk, meta: Meta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_sync, "AT_ONCE_S", 0.0)
    for n in range(101):
        meta.give(desk.place, f"t{n:03}")
    done = sync(desk)
    (job,) = desk.place.rows("scheduled_jobs", job_type="sync_templates")
    assert done == {
        "waba_id": desk.place.waba_id,
        "state": "continues",
        "listed": 100,
        "deleted": 0,
        "job_id": job["id"],
    }


def test_another_tenants_templates_and_accounts_are_not_known(desk: Desk) -> None:
    template = stored(desk, status="APPROVED")
    other = desk.world.place()
    key = other.add_key("templates:read", "templates:write")
    assert desk.call(ONE, template, key=key)[0] == 404
    assert desk.call(DELETE, template, key=key)[0] == 404
    assert desk.call(EDIT, template, key=key, body={"components": [PLAIN]})[0] == 404
    status, problem = desk.call(CREATE, key=key, body=new(desk))
    assert (status, problem["field"]) == (404, "waba_id")
    status, problem = desk.call(SYNC, key=key, body={"waba_id": desk.place.waba_id})
    assert (status, problem["field"]) == (404, "waba_id")
    assert desk.call(ONE, uuid4())[0] == desk.call(ONE, UUID(int=0))[0] == 404


PREVIEW = "POST /v1/templates/{id}/preview"


def test_a_template_is_shown_as_a_person_will_see_it(desk: Desk, meta: Meta) -> None:
    buttons = [
        {
            "type": "URL",
            "text": "Open",
            "url": "https://a.example/{{1}}",
            "example": ["https://a/1"],
        }
    ]
    made = approved(
        desk,
        meta,
        components=[
            {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4:a"]}},
            BODY,
            {"type": "FOOTER", "text": "Casa Verde"},
            {"type": "BUTTONS", "buttons": buttons},
        ],
    )
    key = desk.place.add_key("templates:read")
    shown = desk.ok(PREVIEW, made["id"], key=key)
    assert (shown["problems"], shown["warnings"]) == ([], [])
    assert shown["preview"]["body"] == "Hi Ana, your table is kept until 21:30 tonight."
    template = {
        "name": "table_kept",
        "language": {"code": "en_US"},
        "components": [
            {
                "type": "header",
                "parameters": [{"type": "image", "image": {"link": "https://a.example/a.png"}}],
            },
            {
                "type": "body",
                "parameters": [{"type": "text", "text": "Ben"}, {"type": "text", "text": "20:00"}],
            },
            {
                "type": "button",
                "sub_type": "url",
                "index": "0",
                "parameters": [{"type": "text", "text": "menu"}],
            },
        ],
    }
    for message in (template, {"type": "template", "template": template}):
        shown = desk.ok(PREVIEW, made["id"], body={"message": message})
        assert shown["problems"] == []
        assert shown["preview"] == {
            "name": "table_kept",
            "header": {
                "kind": "image",
                "text": None,
                "media": {"link": "https://a.example/a.png"},
            },
            "body": "Hi Ben, your table is kept until 20:00 tonight.",
            "footer": "Casa Verde",
            "buttons": [
                {
                    "kind": "url",
                    "label": "Open",
                    "url": "https://a.example/menu",
                    "phone_number": None,
                    "code": None,
                    "payload": None,
                }
            ],
            "offer": None,
            "cards": [],
        }
    template["components"] = []
    shown = desk.ok(PREVIEW, made["id"], body={"message": template})
    assert shown["preview"]["body"] == BODY["text"]
    fields = column(shown["problems"], "field")
    assert fields
    assert all(field.startswith("message.template.components") for field in fields)


def test_a_template_that_was_never_fetched_cannot_be_shown(desk: Desk) -> None:
    status, problem = desk.call(PREVIEW, stored(desk, status="APPROVED"))
    assert (status, "not known yet" in problem["detail"]) == (409, True)
    assert desk.call(PREVIEW, uuid4())[0] == 404
