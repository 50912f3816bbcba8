"""`make contract SPEC=…`: what Meta documents, held against what this release reads and sends.

SPEC is Meta's OpenAPI file (YAML or JSON), or a Markdown page with fenced JSON; it is read where it
lies and never copied. Every webhook in it must be read whole: nothing malformed, no unknown type,
no field without code. The bodies of tests/payloads/outbound must be valid where the file knows
their type; of a kind of interactive message that it does not know, all but the kind and its action;
of a template, all but the components and parameters that it does not know. The requests among its
examples must be accepted. Exit codes: 0 all is well, 1 something is not, 2 the file is not what it
should be.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import yaml

from switchboard.kernel.errors import NotJson
from switchboard.whatsapp import outbound
from switchboard.whatsapp.webhook import Item, Malformed, Message, Unhandled, Unknown, parse

OUTBOUND = Path(__file__).parent / "payloads" / "outbound"
#: Ids are placeholders in examples; a message or a status without a number would be malformed.
_METADATA = {"display_phone_number": "15550001111", "phone_number_id": "310000000000001"}
#: The lists of a value, and the field of each.
_LISTS = {
    "messages": "messages",
    "statuses": "messages",
    "calls": "calls",
    "user_preferences": "user_preferences",
}
#: Members newer than the file, and the one that each may stand for.
_NEWER = {"recipient": "to"}
#: What this release adds to a message by itself.
_OURS = ("messaging_product", "recipient_type", "to", "recipient")
#: What of an interactive message differs from kind to kind.
_OF_A_KIND = (("interactive", "type"), ("interactive", "action"))
#: What the file wants of a template and Meta's pages and its own examples go without.
_NOT_NEEDED = {"template/language: 'policy' is a required property"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One example or body: where it stands, and what is wrong with it (nothing: it is fine)."""

    where: str
    problems: tuple[str, ...]


def read(path: Path) -> Any:
    """Return the document: the file's, or `{"examples": [...]}` of a page's JSON blocks.

    Raises ValueError for a file of another kind.
    """
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return {"examples": _blocks(text)}
    document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    if not isinstance(document, dict):
        raise ValueError("the file is no OpenAPI document")
    return document


def webhooks(node: Any, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each webhook body in a document; parts of one (an entry, a change) are completed."""
    if isinstance(node, list):
        for index, part in enumerate(node):
            yield from webhooks(part, f"{where}/{index}")
    elif isinstance(node, dict):
        body = _body(node)
        if body is not None:
            yield where, body
            return
        for key, part in node.items():
            yield from webhooks(part, f"{where}/{key}")


def check_webhook(body: dict[str, Any]) -> tuple[str, ...]:
    """Return what of a webhook body this release cannot read."""
    try:
        items = parse(json.dumps(body).encode())
    except NotJson as error:
        return (str(error),)
    if not items:
        return ("holds nothing",)
    return tuple(problem for item in items if (problem := _problem(item)) is not None)


def check_outbound(document: Any, folder: Path = OUTBOUND) -> list[Finding]:
    """Return what the document's schema of messages says of our outbound bodies it knows."""
    schemas = document.get("components", {}).get("schemas", {})
    message = schemas.get("Message", {})
    known = message.get("discriminator", {}).get("mapping", {})
    void = frozenset(_contradicted(schemas))
    findings = []
    for path in sorted(folder.glob("*.json")):
        body = json.loads(path.read_bytes())
        reference = known.get(body.get("type"))
        if reference is None:
            continue
        schema = {"$ref": reference, "components": _opened(document["components"], schemas, void)}
        problems = jsonschema.Draft202012Validator(schema).iter_errors(
            {old: body[new] for new, old in _NEWER.items() if new in body} | body
        )
        beyond = [*_newer_parts(schemas, body)]
        beyond += () if _knows_kind(schemas, body) else _OF_A_KIND
        told = [
            f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
            for error in problems
            if not any(tuple(error.absolute_path)[: len(place)] == place for place in beyond)
        ]
        findings.append(Finding(path.name, tuple(one for one in told if one not in _NOT_NEEDED)))
    return findings


def requests(node: Any, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each request to send a message in a document, with words for its placeholders."""
    if isinstance(node, list):
        for index, part in enumerate(node):
            yield from requests(part, f"{where}/{index}")
    elif isinstance(node, dict):
        kind = node.get("type")
        if node.get("messaging_product") == "whatsapp" and isinstance(kind, str) and kind in node:
            # A template's parameters are placeholders of every shape.
            if kind != "template":
                yield where, _filled(node)
            return
        for key, part in node.items():
            yield from requests(part, f"{where}/{key}")


def check_request(body: dict[str, Any]) -> tuple[str, ...]:
    """Return why this release would not send a request of Meta's."""
    message = {key: part for key, part in body.items() if key not in _OURS}
    try:
        outbound.read(message)
    except outbound.InvalidMessage as error:
        return tuple(fault["detail"] for fault in error.extra.get("errors", ())) or (error.detail,)
    return ()


def _filled(node: Any, key: str = "") -> Any:
    """Return a request's part with something real where Meta's page has a placeholder."""
    if isinstance(node, list):
        return [_filled(part) for part in node]
    if isinstance(node, dict):
        return {name: _filled(part, name) for name, part in node.items()}
    if not isinstance(node, str):
        return node
    if node.startswith("<") and node.endswith(">") and key == "type":
        return "text"
    return f"https://{key}.example" if "http(s)://" in node else node


def _knows_kind(schemas: dict[str, Any], body: dict[str, Any]) -> bool:
    kinds = schemas.get("InteractiveObject", {}).get("properties", {}).get("type", {}).get("enum")
    return kinds is None or body.get("interactive", {}).get("type", kinds[0]) in kinds


def _newer_parts(schemas: dict[str, Any], body: dict[str, Any]) -> Iterator[tuple[str | int, ...]]:
    """Yield the places of a template's components and parameters that the file does not know."""
    for index, component in enumerate(body.get("template", {}).get("components", ())):
        place = ("template", "components", index)
        if not _has_words_of(schemas.get("TemplateComponent", {}), component):
            yield place
            continue
        holder = "ButtonParameterObject" if component["type"] == "button" else "ParameterObject"
        for number, parameter in enumerate(component.get("parameters", ())):
            if not _has_words_of(schemas.get(holder, {}), parameter):
                yield (*place, "parameters", number)


def _has_words_of(schema: dict[str, Any], part: dict[str, Any]) -> bool:
    known = schema.get("properties", {})
    return all(
        key not in part or part[key] in known.get(key, {}).get("enum", (part[key],))
        for key in ("type", "sub_type")
    )


def _opened(
    node: Any, schemas: dict[str, Any], void: frozenset[str], *, inside: bool = False
) -> Any:
    """Return a schema that an instance can be held against.

    Meta's parts of an `allOf` are closed, each against the members of the others: taken by the
    letter nothing is valid. A pattern in `void` is left out. A discriminator is OpenAPI's: its
    choices become conditions.
    """
    if isinstance(node, list):
        return [_opened(part, schemas, void, inside=inside) for part in node]
    if not isinstance(node, dict):
        return node
    opened = {
        key: _opened(part, schemas, void, inside=key == "allOf")
        for key, part in node.items()
        if not (inside and key == "additionalProperties")
        and not (key == "pattern" and isinstance(part, str) and part in void)
    }
    # Inside an allOf the choice was made already.
    name = str(node.get("$ref", "")).rpartition("/")[2]
    choices = {} if inside else schemas.get(name, {}).get("discriminator", {})
    if not choices:
        return opened
    word = choices["propertyName"]
    chosen = [
        {"if": {"properties": {word: {"const": value}}}, "then": {"$ref": reference}}
        for value, reference in choices.get("mapping", {}).items()
    ]
    return {"allOf": [opened, *chosen]}


def _contradicted(node: Any) -> Iterator[str]:
    """Yield the patterns that an example beside them does not match (a button's index)."""
    if isinstance(node, list):
        for part in node:
            yield from _contradicted(part)
    elif isinstance(node, dict):
        pattern, example = node.get("pattern"), node.get("example")
        is_checked = isinstance(pattern, str) and isinstance(example, str)
        if is_checked and re.search(str(pattern), str(example)) is None:
            yield str(pattern)
        for part in node.values():
            yield from _contradicted(part)


def _body(node: dict[str, Any]) -> dict[str, Any] | None:
    """Return `node` as a webhook body if it is one or a part of one."""
    if isinstance(node.get("entry"), list):
        return node
    if isinstance(node.get("changes"), list):
        return {"entry": [node]}
    if isinstance(node.get("field"), str) and isinstance(node.get("value"), dict):
        return {"entry": [{"id": "1", "changes": [node]}]}
    field = next((_LISTS[key] for key in _LISTS if isinstance(node.get(key), list)), None)
    if field is not None and _is_value(node):
        return _body({"field": field, "value": {"metadata": _METADATA} | node})
    # Not the members of a schema, which have the same names.
    is_part = isinstance(node.get("id"), str) and isinstance(node.get("timestamp"), str | int)
    if is_part and ("from" in node or "status" in node):
        return _body({"statuses" if "status" in node else "messages": [node]})
    return None


def _is_value(node: dict[str, Any]) -> bool:
    """Return whether the lists hold what a webhook's do: an answer to a send has them, too."""
    parts = [part for key in _LISTS for part in node.get(key) or []]
    return all(isinstance(part, dict) and "timestamp" in part for part in parts)


def _problem(item: Item) -> str | None:
    match item:
        case Malformed(reason=reason):
            return f"malformed: {reason}"
        case Unhandled(field=name):
            return f"no code reads the field {name!r}"
        case Message(type=word, payload=Unknown(), extra=extra):
            why = extra.get("unreadable")
            return f"unknown type {word!r}" + (f": {why}" if why else "")
    return None


def _blocks(text: str) -> list[Any]:
    """Return the fenced JSON of a page; a block may hold several values, and comments."""
    found = []
    for block in re.findall(r"```json[^\n]*\n(.*?)```", text, re.DOTALL):
        plain = re.sub(r"(?m)(^|\s)//.*$", "", block)
        decoder, at = json.JSONDecoder(), 0
        while (match := re.compile(r"[\[{]").search(plain, at)) is not None:
            try:
                value, at = decoder.raw_decode(plain, match.start())
            except ValueError:
                at = match.end()
            else:
                found.append(value)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Check one file and print the report; return the exit code."""
    parser = argparse.ArgumentParser(prog="make contract", description=__doc__)
    parser.add_argument("spec", type=Path, help="the OpenAPI file or Markdown page")
    spec = parser.parse_args(arguments).spec
    try:
        document = read(spec)
    except (OSError, ValueError, yaml.YAMLError) as error:
        print(f"contract: {error}", file=sys.stderr)
        return 2
    inbound = [Finding(where, check_webhook(body)) for where, body in webhooks(document)]
    bodies = check_outbound(document)
    asked = [Finding(where, check_request(body)) for where, body in requests(document)]
    if not inbound:
        print("contract: there is no webhook in this file", file=sys.stderr)
        return 2
    every = {"webhook": inbound, "outbound body": bodies, "request": asked}
    for title, findings in every.items():
        for finding in findings:
            for problem in finding.problems:
                print(f"{title} {finding.where}: {problem}")
    bad = [finding for findings in every.values() for finding in findings if finding.problems]
    print(
        f"contract: {len(inbound)} webhooks, {len(bodies)} outbound bodies and"
        f" {len(asked)} requests checked, {len(bad)} with problems"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
