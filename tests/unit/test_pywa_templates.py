"""Templates as pywa makes and sends them: the simulator takes both as they came."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from pywa import errors
from pywa.types import templates as t

from tests.pywa_client import ANA, Json, Pywa, pywa
from tests.pywa_templates import CASES, WORDS
from tests.simulator_run import FIRST, backend, simulator

TEMPLATES = f"/{FIRST.waba_id}/message_templates"


@pytest.fixture(scope="module")
def client() -> Iterator[Pywa]:
    with backend() as receiver, simulator(receiver) as meta, pywa(meta) as client:
        meta.faults(pair_limit=False)
        yield client


def uploaded(client: Pywa) -> str:
    """The id of the last file that went up for a message."""
    calls = client.meta.http.get("/simulator/requests").json()["requests"]
    uploads = [call for call in calls if call["path"].endswith("/media")]
    return str(uploads[-1]["response"]["id"]) if uploads else ""


@pytest.mark.parametrize("name", CASES)
def test_a_template_is_made_and_sent_as_pywa_says(client: Pywa, name: str) -> None:
    case = CASES[name]
    template = case.template(name)
    made = client.client.create_template(template)
    assert made.status is t.TemplateStatus.PENDING
    journaled = client.last_journaled
    assert journaled["path"].endswith(TEMPLATES)
    assert (journaled["status"], journaled["body"]) == (200, client.last_body)
    # Samples were uploaded before: the definition holds their handles.
    assert client.last_body == json.loads(template.to_json())
    client.meta.flush()

    checked: Json = {"template": template} if case.is_checked else {}
    sent = client.client.send_template(
        ANA, name, t.TemplateLanguage.ENGLISH_US, case.params, **checked
    )
    expected: Json = {"name": name, "language": {"code": "en_US"}}
    if case.components is not None:
        expected["components"] = case.components
    written = json.dumps(expected).replace("FILE", uploaded(client))
    journaled = client.last_journaled
    assert journaled["body"] == client.last_body
    assert client.last_body == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": ANA,
        "type": "template",
        "template": json.loads(written),
    }
    assert (journaled["status"], journaled["accepted"]) == (200, sent.id)

    found = client.client.get_template(made.id)
    assert (found.name, found.status) == (name, t.TemplateStatus.APPROVED)
    kinds = [type(part) for part in found.components]
    assert kinds == [type(part) for part in case.parts]


def test_marketing_goes_by_its_own_api(client: Pywa) -> None:
    case = CASES["positions"]
    client.store(case.template("lite"))
    sent = client.client.send_template(
        ANA,
        "lite",
        t.TemplateLanguage.ENGLISH_US,
        case.params,
        use_mm_lite_api=True,
        message_activity_sharing=True,
    )
    entry = client.last_journaled
    assert entry["path"].endswith(f"/{FIRST.phone_number_id}/marketing_messages")
    assert client.last_body["message_activity_sharing"] is True
    assert (entry["status"], entry["body"]) == (200, client.last_body)
    client.meta.flush()
    first, _ = client.meta.backend.statuses(sent.id)
    assert first["pricing"]["category"] == "marketing_lite"


def test_templates_are_listed_edited_and_deleted(client: Pywa) -> None:
    made = client.client.create_template(CASES["names"].template("edited"))
    client.meta.flush()
    client.meta.clock.ahead += 90
    assert client.client.update_template(made.id, new_components=[WORDS]).success
    journaled = client.last_journaled
    assert journaled["path"].endswith(f"/{made.id}")
    assert journaled["body"] == client.last_body == {"components": [WORDS.to_dict()]}
    client.meta.flush()
    (found,) = client.client.get_templates(name="edited")
    assert found.quality_score is not None
    assert found.quality_score.score is t.QualityScoreType.UNKNOWN
    (body,) = found.components
    assert isinstance(body, t.BodyText)
    assert body.text == WORDS.text
    client.meta.clock.ahead += 90
    graded = {"quality": "GREEN"}
    client.meta.http.post(f"/simulator/templates/{made.id}", json=graded).raise_for_status()
    quality = client.client.get_template(made.id).quality_score
    assert quality is not None
    assert quality.score is t.QualityScoreType.GREEN
    assert int(quality.date.timestamp()) == int(client.meta.clock())
    assert client.client.delete_template("edited", template_id=made.id).success
    assert list(client.client.get_templates(name="edited")) == []


def test_a_template_that_pacing_paused_is_unpaused(client: Pywa) -> None:
    made = client.store(CASES["names"].template("paused"))
    for by, unpaused in (("quality", False), ("pacing", True)):
        decision = {"status": "PAUSED", "paused_by": by}
        client.meta.http.post(f"/simulator/templates/{made}", json=decision).raise_for_status()
        assert client.client.get_template(made).status is t.TemplateStatus.PAUSED
        assert bool(client.client.unpause_template(made)) is unpaused
    assert client.client.get_template(made).status is t.TemplateStatus.APPROVED


def test_what_meta_refuses_of_a_definition_comes_back_with_its_subcode(client: Pywa) -> None:
    template = CASES["names"].template("twice")
    client.store(template)
    with pytest.raises(errors.WhatsAppError) as raised:
        client.client.create_template(template)
    assert (raised.value.code, raised.value.subcode) == (100, 2388024)
    assert raised.value.user_title == "Content in this language already exists"
