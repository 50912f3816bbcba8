"""`make contract` on a small file made up here: what it finds, and what it lets pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import contract


def body(field: str, value: dict[str, Any]) -> dict[str, Any]:
    value = {"metadata": {"phone_number_id": "310000000000001"}, **value}
    return {"entry": [{"id": "1", "changes": [{"field": field, "value": value}]}]}


def text(**keys: Any) -> dict[str, Any]:
    message = {"from": "5215550002222", "id": "wamid.1", "timestamp": "1790000001"}
    return {**message, "type": "text", "text": {"body": "hola"}, **keys}


def spec(*webhooks: Any, **schemas: Any) -> dict[str, Any]:
    examples = {f"example {n}": {"value": webhook} for n, webhook in enumerate(webhooks)}
    return {
        "openapi": "3.1.0",
        "paths": {"/hook": {"post": {"requestBody": {"examples": examples}}}},
        "components": {"schemas": schemas},
    }


def run(tmp_path: Path, document: Any, name: str = "spec.yaml") -> int:
    path = tmp_path / name
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return contract.main([str(path)])


def test_what_is_read_whole_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, spec(body("messages", {"messages": [text()]}))) == 0
    assert (
        "1 webhooks, 0 outbound bodies and 0 requests checked, 0 with problems"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("webhook", "told"),
    [
        (body("messages", {"messages": [text(type="hologram")]}), "unknown type 'hologram'"),
        (body("messages", {"messages": [text(text={})]}), "unknown type 'text': "),
        (body("messages", {"messages": [text(id=None)]}), "malformed: id is missing"),
        (body("fields_of_tomorrow", {"x": 1}), "no code reads the field 'fields_of_tomorrow'"),
        ({"entry": []}, "holds nothing"),
    ],
)
def test_what_is_not_read_is_told_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], webhook: Any, told: str
) -> None:
    good = body("messages", {"messages": [text()]})
    assert run(tmp_path, spec(good, webhook)) == 1
    first, last = capsys.readouterr().out.strip().splitlines()
    assert "example 1/value" in first
    assert told in first
    assert last.endswith("2 webhooks, 0 outbound bodies and 0 requests checked, 1 with problems")


def test_parts_of_a_webhook_are_completed() -> None:
    status = {"id": "wamid.1", "status": "sent", "timestamp": "1790000001"}
    for part in (
        body("messages", {"messages": [text()]})["entry"][0],
        body("messages", {"messages": [text()]})["entry"][0]["changes"][0],
        {"messages": [text()], "statuses": [status]},
        text(),
        status,
    ):
        ((_, found),) = contract.webhooks({"example": part})
        assert contract.check_webhook(found) == ()


def test_the_answer_to_a_send_is_no_webhook() -> None:
    answer = {"messaging_product": "whatsapp", "messages": [{"id": "wamid.1"}]}
    assert list(contract.webhooks({"example": answer})) == []


def test_the_json_of_a_page_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = f"# Texts\n```json\n{json.dumps(text())}\n{{not JSON}}\n{json.dumps(text())}\n```\n"
    assert run(tmp_path, page, "page.md") == 0
    assert "2 webhooks" in capsys.readouterr().out


def test_outbound_bodies_are_held_against_the_schema_of_their_type(tmp_path: Path) -> None:
    base = {"type": "object", "required": ["to"], "additionalProperties": False}
    closed = {
        "allOf": [
            {**base, "properties": {"to": {"type": "string"}}},
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "text": {"type": "object", "properties": {"body": {"maxLength": 4}}}
                },
            },
        ]
    }
    document = spec(
        Message={"discriminator": {"mapping": {"text": "#/components/schemas/Text"}}}, Text=closed
    )
    for name, sent in {
        "good": {"type": "text", "to": "+1", "text": {"body": "abcd"}},
        "newer": {"type": "text", "recipient": "MX.1", "text": {"body": "abcd"}},
        "long": {"type": "text", "to": "+1", "text": {"body": "abcde"}},
        "nobody": {"type": "text", "text": {"body": "a"}},
        "other": {"type": "hologram"},
    }.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(sent))

    found = {f.where: f.problems for f in contract.check_outbound(document, tmp_path)}

    assert found.keys() == {"good.json", "newer.json", "long.json", "nobody.json"}
    assert found["good.json"] == found["newer.json"] == ()
    assert found["long.json"] == ("text/body: 'abcde' is too long",)
    assert found["nobody.json"] == (": 'to' is a required property",)


def test_of_an_interactive_kind_that_the_file_does_not_know_the_rest_is_held_against_it(
    tmp_path: Path,
) -> None:
    interactive = {
        "type": "object",
        "properties": {
            "type": {"enum": ["list"]},
            "body": {"type": "object", "properties": {"text": {"maxLength": 4}}},
            "action": {"required": ["button"]},
        },
    }
    document = spec(
        Message={"discriminator": {"mapping": {"interactive": "#/components/schemas/Interactive"}}},
        Interactive={
            "type": "object",
            "properties": {"interactive": {"$ref": "#/components/schemas/InteractiveObject"}},
        },
        InteractiveObject=interactive,
    )
    for name, kind, text_of in (
        ("known", "list", "abcd"),
        ("newer", "carousel", "abcd"),
        ("long", "carousel", "abcde"),
    ):
        content = {"type": kind, "body": {"text": text_of}, "action": {"cards": []}}
        body = {"type": "interactive", "interactive": content}
        (tmp_path / f"{name}.json").write_text(json.dumps(body))

    found = {f.where: f.problems for f in contract.check_outbound(document, tmp_path)}

    assert found == {
        "known.json": ("interactive/action: 'button' is a required property",),
        "newer.json": (),
        "long.json": ("interactive/body/text: 'abcde' is too long",),
    }


def test_of_a_template_what_the_file_knows_is_held_against_it_down_to_the_parameters(
    tmp_path: Path,
) -> None:
    def of(kind: str, **properties: Any) -> dict[str, Any]:
        base = {"$ref": "#/components/schemas/TemplateComponent"}
        return {"allOf": [base, {"type": "object", "properties": properties}], "title": kind}

    parameters = {"type": "array", "items": {"$ref": "#/components/schemas/ParameterObject"}}
    index = {"type": "string", "pattern": "^[2-6]$"}
    document = spec(
        Message={"discriminator": {"mapping": {"template": "#/components/schemas/Template"}}},
        Template={
            "properties": {
                "template": {
                    "properties": {
                        "components": {"items": {"$ref": "#/components/schemas/TemplateComponent"}},
                        "language": {"required": ["policy"]},
                    }
                }
            }
        },
        TemplateComponent={
            "properties": {
                "type": {"enum": ["body", "button"]},
                "sub_type": {"enum": ["url"]},
                "index": {**index, "example": "0"},
            },
            "discriminator": {
                "propertyName": "type",
                "mapping": {
                    "body": "#/components/schemas/Body",
                    "button": "#/components/schemas/B",
                },
            },
        },
        Body=of("body", parameters=parameters),
        B=of("button", index=index),
        ParameterObject={
            "properties": {"type": {"enum": ["text"]}},
            "discriminator": {
                "propertyName": "type",
                "mapping": {"text": "#/components/schemas/Text"},
            },
        },
        Text={"allOf": [{"required": ["text"]}]},
    )
    for name, component in {
        "good": {"type": "body", "parameters": [{"type": "text", "text": "a"}]},
        "wrong": {"type": "body", "parameters": [{"type": "text", "words": "a"}]},
        "newer_parameter": {"type": "body", "parameters": [{"type": "emoji"}]},
        "newer_component": {"type": "carousel", "index": 1},
        "newer_button": {"type": "button", "sub_type": "flow", "index": 0},
        "button": {"type": "button", "sub_type": "url", "index": "0"},
        "no_string": {"type": "button", "sub_type": "url", "index": 0},
    }.items():
        content = {"language": {}, "components": [component]}
        sent = {"type": "template", "template": content}
        (tmp_path / f"{name}.json").write_text(json.dumps(sent))

    found = {f.where: set(f.problems) for f in contract.check_outbound(document, tmp_path)}

    place = "template/components/0"
    assert found == {
        "good.json": set(),
        "wrong.json": {f"{place}/parameters/0: 'text' is a required property"},
        "newer_parameter.json": set(),
        "newer_component.json": set(),
        "newer_button.json": set(),
        "button.json": set(),
        "no_string.json": {f"{place}/index: 0 is not of type 'string'"},
    }


def test_a_request_that_would_be_refused_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = {"messaging_product": "whatsapp", "to": "{{Recipient}}"}
    document = spec(
        body("messages", {"messages": [text()]}),
        {**sent, "type": "image", "image": {"link": "http(s)://image-url"}},
        {**sent, "type": "image", "image": {"link": "ftp://image-url"}},
        {**sent, "type": "template", "template": {"name": "<NAME>", "parameters": True}},
    )
    assert run(tmp_path, document) == 1
    told, last = capsys.readouterr().out.strip().splitlines()
    assert "example 2/value" in told
    assert told.endswith("message.image.link is no http or https address")
    assert "2 requests checked, 1 with problems" in last


def test_a_file_without_any_webhook_is_the_wrong_file(tmp_path: Path) -> None:
    assert run(tmp_path, spec()) == 2
    assert run(tmp_path, "just text") == 2
    assert contract.main([str(tmp_path / "missing.yaml")]) == 2
