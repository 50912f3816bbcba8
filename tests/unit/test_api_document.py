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
