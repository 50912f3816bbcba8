"""A rule's mail on the running system: out to SES's stand-in, and back by the mailbox simulator."""

from __future__ import annotations

from typing import Any

import httpx

from tests.simulator_run import wait_until

PATIENCE_S = 30.0


def test_a_mail_goes_out_and_what_ses_tells_comes_back(stack: dict[str, str]) -> None:
    def call(method: str, path: str, **body: Any) -> Any:
        answer = httpx.request(
            method,
            f"{stack['API_URL']}{path}",
            headers={"authorization": f"Bearer {stack['API_KEY']}"},
            json=body or None,
            timeout=PATIENCE_S,
        )
        assert answer.status_code < 300, answer.text
        return answer.json()

    call(
        "POST",
        "/v1/email-templates",
        name="system_test",
        subject="Soon, {{who}}",
        text_body="Hello {{who}}",
    )
    call(
        "POST",
        "/v1/rules",
        name="Mail me",
        trigger_type="event",
        trigger_config={"event": "system_test_mail"},
        action_type="send_email",
        action_config={
            "template": "system_test",
            "category": "utility",
            "parameters": {"who": {"text": "you"}},
        },
    )
    contacts: dict[str, str] = {}
    for number, name in enumerate(("success", "bounce", "complaint")):
        said = {"phone": f"44770090077{number}", "state": "given", "wording": "form"}
        contact = call("POST", "/v1/consents", **said)["contact_id"]
        address = f"{name}+system@simulator.amazonses.com"
        call("PATCH", f"/v1/contacts/{contact}", email=address)
        contacts[name] = contact
        started = httpx.post(
            f"{stack['AWS_ENDPOINT_URL_LAMBDA']}/2015-03-31/functions/"
            "switchboard-local-trigger-automation/invocations",
            json={"tenant_id": stack["TENANT_ID"], "event": "system_test_mail", "contact": contact},
            timeout=PATIENCE_S,
        )
        assert started.json() == {"started": 1}

    def statuses() -> dict[str, str]:
        return {
            name: mail["status"]
            for name, contact in contacts.items()
            for mail in call("GET", f"/v1/emails?contact_id={contact}")["data"]
        }

    wanted = {"success": "delivered", "bounce": "bounced", "complaint": "complained"}
    wait_until(lambda: statuses() == wanted, within=PATIENCE_S)
    mails = httpx.get(f"{stack['AWS_ENDPOINT_URL']}/_mails", timeout=PATIENCE_S).json()
    sent = [mail["Content"]["Simple"] for mail in mails]
    assert [one["Subject"]["Data"] for one in sent] == ["Soon, you"] * 3
    assert sent[0]["Headers"][0]["Value"].startswith(f"<{stack['PUBLIC_URL']}/p/")
