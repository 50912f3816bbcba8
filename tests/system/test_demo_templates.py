"""The running demo has templates, and one of them reaches somebody who never wrote."""

from __future__ import annotations

from typing import Any

import httpx

from tests.sending import poll

Json = dict[str, Any]


def api(stack: dict[str, str], suffix: str = "") -> httpx.Client:
    headers = {"Authorization": f"Bearer {stack[f'API_KEY{suffix}']}"}
    return httpx.Client(base_url=stack["API_URL"], headers=headers, trust_env=False, timeout=20)


def test_every_account_of_the_demo_has_its_templates(stack: dict[str, str]) -> None:
    for suffix in ("", "_3"):
        with api(stack, suffix) as http:
            rows = http.get("/v1/templates", params={"status": "APPROVED"}).json()["data"]
        assert {(row["name"], row["category"]) for row in rows} == {
            ("table_confirmed", "UTILITY"),
            ("spring_menu", "MARKETING"),
            ("login_code", "AUTHENTICATION"),
        }
        assert {row["waba_id"] for row in rows} == {stack[f"WABA_ID{suffix}"]}
        assert all(row["status"] == "APPROVED" for row in rows)
        assert not any(row["components_stale"] for row in rows)


def test_a_template_of_the_demo_is_sent_and_arrives(stack: dict[str, str]) -> None:
    person = "447700900177"
    texts = [{"type": "text", "text": "Ben"}, {"type": "text", "text": "Friday, 20:00"}]
    template = {
        "name": "table_confirmed",
        "language": {"code": "en_US"},
        "components": [{"type": "body", "parameters": texts}],
    }
    body = {
        "from": stack["PHONE_NUMBER_ID"],
        "to": person,
        "message": {"type": "template", "template": template},
        "category": "utility",
    }
    with api(stack) as http:
        answer = http.post("/v1/messages", json=body)
        assert answer.status_code == 200, answer.text
        shown: list[Json] = []

        def arrived() -> bool:
            shown[:] = http.get(
                f"{stack['SIMULATOR_URL']}/simulator/phone/{person}/messages"
            ).json()["messages"]
            return any(message["state"] == "delivered" for message in shown)

        poll(arrived)
        assert [message["type"] for message in shown] == ["template"]


def test_a_decision_of_meta_reaches_the_list(stack: dict[str, str]) -> None:
    with api(stack, "_3") as http:
        simulator = stack["SIMULATOR_URL"]
        found = http.get(f"{simulator}/simulator/templates").json()["templates"]
        (template,) = [
            one
            for one in found
            if (one["waba_id"], one["name"]) == (stack["WABA_ID_3"], "spring_menu")
        ]

        url = f"{simulator}/simulator/templates/{template['id']}"
        http.post(url, json={"quality": "YELLOW"}).raise_for_status()

        def told() -> bool:
            rows = http.get("/v1/templates", params={"name": "spring_menu"}).json()["data"]
            return [row["quality_score"] for row in rows] == ["YELLOW"]

        poll(told)
