"""Tracked links: from a message's button through GET /l/{token} to where it leads, and the list."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from functions.send_message import app as send_message
from functions.webhook import app as webhook
from local.ports import free_port
from switchboard.kernel.clock import Clock
from switchboard.kernel.errors import Unprocessable
from switchboard.kernel.settings import Settings
from switchboard.outbox.outgoing import Outgoing
from switchboard.outbox.request import read
from switchboard.tools import Tools
from tests.databases import ClonedDatabase
from tests.functions.graph_server import serving
from tests.managing import Desk, desk_of

Made = dict[str, Any]
BASE = "https://go.acme.example"
SHOP = "https://shop.example/sale?x=1&y=%C3%BC#top"
#: A browser on a phone, the one inside WhatsApp, and none at all.
PHONE = "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/138.0 Mobile Safari/537.36"
INSIDE = f"{PHONE} [FBAN/WhatsApp;FBAV/2.26]"


def button(url: str = SHOP, label: str = "Open") -> Made:
    return {"name": "cta_url", "parameters": {"display_text": label, "url": url}}


def cta(url: str = SHOP) -> Made:
    content = {"type": "cta_url", "body": {"text": "A sale"}, "action": button(url)}
    return {"type": "interactive", "interactive": content}


def carousel(*urls: str) -> Made:
    header = {"type": "image", "image": {"link": "https://cdn.example/a.jpg"}}
    cards = [
        {
            "card_index": n,
            "type": "cta_url",
            "header": header,
            "action": button(url, f"Card {n}"),
        }
        for n, url in enumerate(urls)
    ]
    content = {"type": "carousel", "body": {"text": "Look"}, "action": {"cards": cards}}
    return {"type": "interactive", "interactive": content}


def request(message: Made, **more: Any) -> Made:
    return {"from": "1", "to": "4915550000001", "message": message, "track_links": True, **more}


def asked(message: Made, public_url: str | None = BASE, **more: Any) -> Outgoing:
    return read(request(message, **more), public_url=public_url)


# ------------------------------------------------------------------------------------------- a send


def test_a_buttons_address_is_replaced_by_a_link_of_ours() -> None:
    item = asked(cta())
    (effect,) = item.effects
    assert effect == {"k": "tracked_link", "tk": effect["tk"], "u": SHOP, "la": "Open"}
    assert len(effect["tk"]) == 32
    assert item.message == cta(f"{BASE}/l/{effect['tk']}")
    assert asked(cta()).effects[0]["tk"] != effect["tk"]


def test_each_card_of_a_carousel_has_a_link_of_its_own() -> None:
    item = asked(carousel(SHOP, "http://b.example"))
    first, second = item.effects
    assert [(one["u"], one["la"]) for one in item.effects] == [
        (SHOP, "Card 0"),
        ("http://b.example", "Card 1"),
    ]
    assert item.message == carousel(*(f"{BASE}/l/{one['tk']}" for one in (first, second)))


def test_without_the_wish_nothing_is_replaced() -> None:
    item = read({**request(cta()), "track_links": False}, public_url=BASE)
    assert (item.message, item.effects) == (cta(), ())


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"type": "text", "text": {"body": "https://shop.example"}}, "track_links"),
        (
            {
                "type": "interactive",
                "interactive": {
                    "type": "carousel",
                    "body": {"text": "Look"},
                    "action": {
                        "cards": [
                            {
                                "card_index": n,
                                "type": "product",
                                "action": {"product_retailer_id": str(n), "catalog_id": "7"},
                            }
                            for n in range(2)
                        ]
                    },
                },
            },
            "track_links",
        ),
        (
            {
                "type": "template",
                "template": {
                    "name": "sale",
                    "language": {"code": "en"},
                    "components": [
                        {
                            "type": "button",
                            "sub_type": "url",
                            "index": "0",
                            "parameters": [{"type": "text", "text": "abc"}],
                        }
                    ],
                },
            },
            "track_links",
        ),
    ],
    ids=["text", "products", "template"],
)
def test_what_has_no_address_of_its_own_cannot_be_tracked(message: Made, field: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        asked(message)
    assert refused.value.field == field


def test_a_templates_suffix_is_refused_with_the_reason() -> None:
    template = {"name": "sale", "language": {"code": "en"}}
    with pytest.raises(Unprocessable, match="begins with what Meta approved"):
        asked({"type": "template", "template": template})


def test_without_a_public_address_links_cannot_be_tracked() -> None:
    with pytest.raises(Unprocessable, match="PUBLIC_URL") as refused:
        asked(cta(), public_url=None)
    assert refused.value.field == "track_links"


@pytest.mark.parametrize(
    "url",
    [
        "https://user:secret@shop.example",
        "https://shop.example@evil.example",
        "https://shop.example/ü",
        "https://shop.example/\\evil",
        "https://shop.example:99999/",
        "https://shop.example/" + "a" * 1980,
    ],
)
def test_an_address_that_is_no_place_to_send_people_to_is_refused(url: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        asked(cta(url))
    assert refused.value.field == "message.interactive.action.parameters.url"
    assert "secret" not in refused.value.detail


@pytest.mark.parametrize("url", ["ftp://shop.example", "javascript:alert(1)", "https://", "shop"])
def test_only_web_addresses_pass(url: str) -> None:
    with pytest.raises(Unprocessable):
        asked(cta(url))


def test_an_address_of_two_thousand_characters_is_the_longest() -> None:
    longest = "https://shop.example/" + "a" * 1979
    assert asked(cta(longest)).effects[0]["u"] == longest


def test_the_setting_begins_an_address() -> None:
    assert Settings(public_url=f"{BASE}/").public_url == BASE
    with pytest.raises(ValueError, match="https://"):
        Settings(public_url="go.acme.example")


# ------------------------------------------------------------------------------------------ a tap


@pytest.fixture
def desk(database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_of(database, monkeypatch) as desk:
        monkeypatch.setattr(webhook, "tools", lambda: desk.made)
        yield desk


def put(desk: Desk, conversation_id: str, url: str = SHOP) -> tuple[str, str]:
    """Store a message's link, as the outbox does; return its token and the message's id."""
    (effect,) = asked(cta(url)).effects
    (row,) = [
        row
        for row in desk.place.rows("whatsapp_conversations")
        if str(row["id"]) == conversation_id
    ]
    message_id = str(uuid4())
    told = {
        "m": message_id,
        "a": str(row["account_id"]),
        "c": str(row["contact_id"]),
        "v": conversation_id,
        "d": {key: value for key, value in effect.items() if key != "k"},
    }
    desk.world.everything.execute(
        "select messaging.outgoing_effect_tracked_link(%s, %s::jsonb, clock_timestamp())",
        (desk.place.tenant_id, json.dumps([told])),
    )
    return effect["tk"], message_id


def tap(token: str, agent: str | None = PHONE, method: str = "GET", **headers: str) -> Made:
    event = {
        "version": "2.0",
        "routeKey": f"{method} /l/{{token}}",
        "rawPath": f"/l/{token}",
        "pathParameters": {"token": token},
        "headers": {**({} if agent is None else {"user-agent": agent}), **headers},
        "requestContext": {"http": {"method": method, "path": f"/l/{token}"}},
        "isBase64Encoded": False,
    }
    return webhook.handler(event, None)


def taps(desk: Desk) -> int:
    rows = desk.place.rows("user_interactions")
    assert {row["interaction_type"] for row in rows} <= {"cta_button_tap"}
    assert sum(row["tap_count"] for row in desk.place.rows("tracked_links")) == len(rows)
    return len(rows)


def test_a_tap_leads_on_and_is_noted(desk: Desk) -> None:
    token, message_id = put(desk, desk.hear("4915550000001"))
    response = tap(token)
    assert response["statusCode"] == 302
    assert response["body"] == ""
    headers = response["headers"]
    assert headers["location"] == SHOP
    assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "no-referrer")
    (row,) = desk.place.rows("user_interactions")
    assert (row["interaction_type"], row["button_url"]) == ("cta_button_tap", SHOP)
    assert row["metadata"]["message_id"] == message_id
    assert tap(token)["headers"]["location"] == SHOP
    assert taps(desk) == 1


def test_the_browser_inside_whatsapp_is_a_person(desk: Desk) -> None:
    token, _ = put(desk, desk.hear("4915550000001"))
    tap(token, INSIDE)
    assert taps(desk) == 1


@pytest.mark.parametrize(
    ("agent", "how"),
    [
        ("WhatsApp/2.26.1 A", {}),
        ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", {}),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", {}),
        ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", {}),
        ("curl/8.5.0", {}),
        (None, {}),
        (PHONE, {"method": "HEAD"}),
        (PHONE, {"sec-purpose": "prefetch;prerender"}),
        (PHONE, {"x-purpose": "preview"}),
    ],
)
def test_a_program_is_led_on_and_not_counted(desk: Desk, agent: str | None, how: Made) -> None:
    token, _ = put(desk, desk.hear("4915550000001"))
    response = tap(token, agent, **how)
    assert (response["statusCode"], response["headers"]["location"]) == (302, SHOP)
    assert taps(desk) == 0


@pytest.mark.parametrize("token", ["", "x", "a" * 32, "../../etc", "a" * 201, "ü" * 32, "a\0" * 16])
def test_an_unknown_link_is_a_plain_page_that_leads_nowhere(desk: Desk, token: str) -> None:
    put(desk, desk.hear("4915550000001"))
    response = tap(token)
    assert response["statusCode"] == 404
    assert response["headers"]["content-type"] == "text/plain"
    assert response["headers"]["cache-control"] == "no-store"
    assert "location" not in response["headers"]
    assert taps(desk) == 0


def test_a_link_that_is_over_leads_nowhere(desk: Desk) -> None:
    token, _ = put(desk, desk.hear("4915550000001"))
    desk.world.everything.execute("update messaging.tracked_links set expires_at = now()")
    assert tap(token)["statusCode"] == 404


def test_a_database_that_is_away_invents_no_address(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, _ = put(desk, desk.hear("4915550000001"))
    away = Tools(Settings(database_url=f"postgresql://app@127.0.0.1:{free_port()}/x"))
    monkeypatch.setattr(webhook, "tools", lambda: away)
    response = tap(token)
    assert response["statusCode"] == 503
    assert "location" not in response["headers"]
    assert int(response["headers"]["retry-after"]) > 0


def test_a_lost_connection_is_made_again(desk: Desk) -> None:
    token, _ = put(desk, desk.hear("4915550000001"))
    desk.made.db.connection().execute("select 1")
    desk.world.everything.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where usename = 'app' and datname = current_database()"
    )
    assert tap(token)["statusCode"] == 302
    assert taps(desk) == 1


def test_who_taps_while_contacts_are_merged_gets_there_uncounted(desk: Desk) -> None:
    token, _ = put(desk, desk.hear("4915550000001"))
    desk.made.db.connection().execute("set lock_timeout = '50ms'")
    with desk.world.everything.transaction():
        desk.world.everything.execute(
            "select pg_advisory_xact_lock(hashtextextended(%s, 7))", (str(desk.place.tenant_id),)
        )
        assert tap(token)["headers"]["location"] == SHOP
    assert taps(desk) == 0


def test_nothing_of_link_or_person_is_logged(
    desk: Desk, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    token, _ = put(desk, desk.hear("4915550000001"))
    capsys.readouterr()
    with caplog.at_level(logging.DEBUG):
        for one in (token, "a" * 32):
            tap(one)
    told = capsys.readouterr()
    for word in (token, "shop.example", "4915550000001", PHONE):
        assert word not in told.out + told.err + caplog.text


def test_webhooks_do_not_pay_for_links_at_their_cold_start() -> None:
    program = (
        "import sys, functions.webhook.app; assert 'switchboard.inbox.links' not in sys.modules;"
        " assert 'switchboard.store.links' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_message_that_is_sent_brings_its_link(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation_id = desk.hear("4915550000001")
    body = {**request(cta()), "from": desk.place.phone_number_id}
    event = {
        "version": "2.0",
        "routeKey": "POST /v1/messages",
        "headers": {"authorization": f"Bearer {desk.key}"},
        "requestContext": {"http": {"method": "POST", "path": "/v1/messages"}},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }
    with serving() as graph:
        made = desk.world.tools(Clock(), graph_url=graph.url, public_url=BASE)
        monkeypatch.setattr(send_message, "tools", lambda: made)
        response = send_message.handler(event, None)
        made.graph.close()
    assert response["statusCode"] == 200, response
    (link,) = desk.pages("GET /v1/links", conversation=conversation_id)
    assert link["message_id"] == json.loads(response["body"])["id"]
    action = graph.asked[0]["interactive"]["action"]
    assert action == button(f"{BASE}/l/{link['token']}")
    assert tap(link["token"])["headers"]["location"] == SHOP
    assert taps(desk) == 1


# ----------------------------------------------------------------------------------------- the list


def test_links_are_listed_the_newest_first_with_their_taps(desk: Desk) -> None:
    first, second = desk.hear("4915550000001"), desk.hear("4915550000002")
    tokens = [put(desk, one) for one in (first, second, first)]
    tap(tokens[0][0])
    rows = desk.pages("GET /v1/links", limit=1)
    assert [row["token"] for row in rows] == [token for token, _ in tokens][::-1]
    assert [row["tap_count"] for row in rows] == [0, 0, 1]
    assert rows[2]["url"] == SHOP
    assert rows[2]["first_tapped_at"] == rows[2]["last_tapped_at"]
    of_first = desk.pages("GET /v1/links", conversation=first, limit=1)
    assert [row["id"] for row in of_first] == [rows[0]["id"], rows[2]["id"]]
    (one,) = desk.pages("GET /v1/links", message=tokens[1][1])
    assert one == rows[1]
    since = desk.pages("GET /v1/links", since=rows[1]["created_at"])
    assert [row["id"] for row in since] == [rows[0]["id"], rows[1]["id"]]
    assert desk.pages("GET /v1/links", message=UUID(int=1)) == []


def test_links_of_a_conversation_that_became_part_of_another_are_found(desk: Desk) -> None:
    first, second = desk.hear("4915550000001"), desk.hear("4915550000002")
    for one in (first, second):
        put(desk, one)
    contacts = [desk.contact_of(one) for one in (first, second)]
    desk.world.everything.execute(
        "select messaging.merge_contacts(%s, %s::uuid[], 'late_pairing')",
        (desk.place.tenant_id, contacts),
    )
    for one in (first, second):
        assert len(desk.pages("GET /v1/links", conversation=one)) == 2


@pytest.mark.parametrize(
    "query",
    [
        {"message": "me"},
        {"conversation": "7"},
        {"since": "yesterday"},
        {"message": str(UUID(int=1)), "conversation": str(UUID(int=1))},
    ],
)
def test_a_filter_that_is_none_is_refused(desk: Desk, query: Made) -> None:
    assert desk.call("GET /v1/links", **query)[0] == 400
