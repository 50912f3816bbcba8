"""docs/api/openapi.yaml is what the code answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from switchboard.access import SCOPES
from tests import api_document


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load(api_document.PATH.read_text(encoding="utf-8"))
    return made


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for one in value.values():
            yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, one in methods.items():
            yield f"{method.upper()} {path}", one


def test_the_document_is_that_of_the_code() -> None:
    """After a change: `.venv/bin/python -m tests.api_document`."""
    assert api_document.PATH.read_text(encoding="utf-8") == api_document.written()


def test_every_route_is_told_and_nothing_else(written: dict[str, Any]) -> None:
    routes = api_document.routes()
    assert set(api_document.OPERATIONS) == set(routes)
    assert {name: one["x-scope"] for name, one in operations(written)} == routes
    assert set(routes.values()) <= SCOPES.keys()


def test_every_reference_leads_somewhere(written: dict[str, Any]) -> None:
    found = set(references(written))
    assert len(found) > 20
    for reference in found:
        node: Any = written
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    used = {name.rsplit("/", 1)[1] for name in found if "/schemas/" in name}
    assert used == set(written["components"]["schemas"])


def test_operations_have_names_of_their_own_and_parameters_say_what_they_are(
    written: dict[str, Any],
) -> None:
    names = [one["operationId"] for _, one in operations(written)]
    assert len(set(names)) == len(names)
    for route, one in operations(written):
        assert one["summary"]
        for parameter in one.get("parameters", []):
            assert parameter["in"] != "query" or parameter["schema"], route
            assert (f"{{{parameter['name']}}}" in route) == (parameter["in"] == "path")


def test_what_names_something_may_find_that_it_is_not_there(written: dict[str, Any]) -> None:
    """A list that is asked for by an unknown number is empty; what is done to one is a 404."""
    naming = set()
    for route, one in operations(written):
        told = api_document.OPERATIONS[route]
        query = {parameter["name"] for parameter in one.get("parameters", [])}
        names = set(query)
        if told.body is not None:
            names |= {field.alias or name for name, field in told.body.model_fields.items()}
        named = names & {"from", "waba_id", "contact_id"}
        if "id" in query or "from" in named or (named and not route.startswith("GET")):
            naming.add(route)
            assert "404" in one["responses"], route
    assert len(naming) > 60
    assert "404" not in written["paths"]["/v1/templates"]["get"]["responses"]


def test_an_item_of_a_batch_is_an_answer_or_a_problem(written: dict[str, Any]) -> None:
    item = written["components"]["schemas"]["BatchAnswer"]["properties"]["messages"]["items"]
    kinds = [f"#/components/schemas/{name}" for name in ("Answer", "Problem")]
    assert [one["$ref"] for one in item["anyOf"]] == kinds
    assert item["required"] == ["status_code"]
    assert item["properties"]["status_code"]["type"] == "integer"
    answered = written["components"]["schemas"]["Answer"]["properties"]["status"]
    failed = written["components"]["schemas"]["Problem"]["properties"]["status"]
    assert (answered["type"], failed["type"]) == ("string", "integer")
