"""docs/api/openapi.yaml, made of the routes, their models and what they answer.

`python -m tests.api_document` writes it; a test holds it against the code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from functions.manage import app as manage
from functions.send_message import app as send_message
from switchboard.access import SCOPES
from switchboard.accounts import template_sync, templates
from switchboard.inbox import (
    account_events,
    consents,
    contacts,
    conversations,
    links,
    media,
    messages,
    subscriptions,
)
from switchboard.intake import asked, letters
from switchboard.outbox.request import SendRequest
from switchboard.store.account_events import AccountEvent
from switchboard.store.consents import Consent
from switchboard.store.contacts import Contact
from switchboard.store.conversations import Conversation
from switchboard.store.letters import Letter
from switchboard.store.links import Link
from switchboard.store.messages import Media, Message
from switchboard.store.subscriptions import Delivery, Subscription
from switchboard.store.templates import Template

PATH = Path(__file__).parents[1] / "docs" / "api" / "openapi.yaml"
Json = dict[str, Any]


class Operation(NamedTuple):
    """What a route takes and answers: a component's name, `…[]` for a page of it."""

    summary: str
    answers: str
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    status: int = 200


_CONVERSATION = "/v1/conversations/{id}"
_SUBSCRIPTION = "/v1/subscriptions/{id}"
_TEMPLATE = "/v1/templates/{id}"


def _verb(summary: str, body: type[BaseModel] | None = None) -> Operation:
    return Operation(summary, "Conversation", body=body)


OPERATIONS: dict[str, Operation] = {
    "POST /v1/messages": Operation(
        "Send a message, or only decide it (dry_run=true)",
        "Answer",
        body=SendRequest,
    ),
    "GET /v1/messages/{id}": Operation("Show what became of a message", "Outcome"),
    "GET /v1/contacts": Operation(
        "List contacts in the order of their ids", "Contact[]", contacts.ContactFilter
    ),
    "GET /v1/contacts/{id}": Operation(
        "Show a contact; of a merged one the root, the id asked for as merged_from", "Contact"
    ),
    "PATCH /v1/contacts/{id}": Operation(
        "Change the members that are given; null clears", "Contact", body=contacts.ContactChange
    ),
    "GET /v1/consents": Operation(
        "List what people have agreed to and taken back, the newest recorded first",
        "Consent[]",
        consents.ConsentFilter,
    ),
    "POST /v1/consents": Operation(
        "Record what a person said elsewhere; the opt-in state follows the newest statement",
        "Consent",
        body=consents.NewConsent,
    ),
    "POST /v1/consents/batch": Operation(
        "Record up to 1,000 statements; a wrong one costs itself alone",
        "ConsentResults",
        body=consents.ConsentBatch,
    ),
    "GET /v1/conversations": Operation(
        "List conversations, the newest message first",
        "Conversation[]",
        conversations.ConversationFilter,
    ),
    f"GET {_CONVERSATION}": Operation("Show a conversation", "Conversation"),
    f"GET {_CONVERSATION}/messages": Operation(
        "List its messages, both directions", "Message[]", messages.ThreadFilter
    ),
    f"PATCH {_CONVERSATION}": _verb("Change priority and pin", conversations.ConversationChange),
    f"POST {_CONVERSATION}/assign": _verb(
        "Give it to an active user, or to nobody", conversations.Assignment
    ),
    f"POST {_CONVERSATION}/tags": _verb("Add tags and take them away", conversations.TagChange),
    f"POST {_CONVERSATION}/close": _verb("Close it; the person's next message opens it again"),
    f"POST {_CONVERSATION}/resolve": _verb("From open or pending to resolved"),
    f"POST {_CONVERSATION}/pending": _verb("From open to pending"),
    f"POST {_CONVERSATION}/reopen": _verb("Open it again"),
    f"POST {_CONVERSATION}/spam": _verb("Call it spam"),
    f"POST {_CONVERSATION}/archive": _verb("Put it away"),
    f"POST {_CONVERSATION}/unarchive": _verb("Take it out again"),
    f"POST {_CONVERSATION}/read": Operation(
        "Mark all of it as read, here and at Meta", "Read", body=conversations.Reading
    ),
    "GET /v1/links": Operation(
        "List tracked links with their taps, the newest first", "Link[]", links.LinkFilter
    ),
    "GET /v1/media/{id}": Operation("Show what is known of a file", "Media"),
    "GET /v1/media/{id}/address": Operation(
        "Sign an address that reads the file for some minutes", "Address", media.AddressWanted
    ),
    "GET /v1/account-events": Operation(
        "List what Meta told about accounts, the newest received first",
        "AccountEvent[]",
        account_events.AccountEventFilter,
    ),
    "GET /v1/subscriptions": Operation(
        f"List subscriptions: all of them, {subscriptions.MOST} at most", "Subscription[]"
    ),
    "POST /v1/subscriptions": Operation(
        "Tell an endpoint of new events; this answer alone shows its secret",
        "SubscriptionSecret",
        body=subscriptions.NewSubscription,
        status=201,
    ),
    f"GET {_SUBSCRIPTION}": Operation("Show a subscription", "Subscription"),
    f"GET {_SUBSCRIPTION}/deliveries": Operation(
        "List its deliveries with the result of each attempt, the newest first",
        "Delivery[]",
        subscriptions.DeliveryFilter,
    ),
    f"PATCH {_SUBSCRIPTION}": Operation(
        "Change address and kinds; what waits goes to the new address",
        "Subscription",
        body=subscriptions.SubscriptionChange,
    ),
    f"POST {_SUBSCRIPTION}/test": Operation(
        "Put in an event that says nothing; its delivery tells what came of it",
        "PutTest",
        status=202,
    ),
    f"POST {_SUBSCRIPTION}/rotate": Operation(
        "Make a new secret, which this answer alone shows; the present one signs for 24 hours more",
        "SubscriptionSecret",
    ),
    f"POST {_SUBSCRIPTION}/disable": Operation(
        "Tell the endpoint nothing from now on; what waits ends undelivered", "Subscription"
    ),
    f"POST {_SUBSCRIPTION}/enable": Operation("Tell it of new events again", "Subscription"),
    f"DELETE {_SUBSCRIPTION}": Operation(
        "Forget a subscription and show it as it was; what waits ends undelivered", "Subscription"
    ),
    "GET /v1/templates": Operation(
        "List templates by business account, name and language",
        "Template[]",
        templates.TemplateFilter,
    ),
    "POST /v1/templates": Operation(
        "Submit a template to Meta; `field` and `problems` name what it would refuse",
        "Template",
        body=templates.NewTemplate,
        status=201,
    ),
    "POST /v1/templates/sync": Operation(
        "Bring an account's templates from Meta; what takes long goes on in a job",
        "Synced",
        body=template_sync.SyncWanted,
        status=202,
    ),
    f"GET {_TEMPLATE}": Operation("Show a template as it is known here", "Template"),
    f"POST {_TEMPLATE}": Operation(
        "Change an approved, rejected or paused template at Meta, components as a whole",
        "Template",
        body=templates.TemplateChange,
    ),
    f"DELETE {_TEMPLATE}": Operation(
        "Delete it at Meta, in its language or in all, and show it as deleted",
        "Template",
        templates.Deletion,
    ),
    f"POST {_TEMPLATE}/unpause": Operation("End a pause that pacing made", "Template"),
    "GET /v1/dead-letters": Operation(
        "List what could not be processed, the newest first", "Letter[]", letters.LetterFilter
    ),
    "GET /v1/dead-letters/{id}": Operation("Show a letter with its body", "WholeLetter"),
    "POST /v1/dead-letters/{id}/replay": Operation("Take it through intake now", "Letter"),
    "POST /v1/dead-letters/replay": Operation(
        "Put in the job that replays all that are chosen",
        "Job",
        body=asked.LetterSelection,
        status=202,
    ),
}

#: Routes that something that exists may stand in the way of.
_CONFLICTS = {
    "PATCH /v1/contacts/{id}",
    "POST /v1/subscriptions",
    f"POST {_SUBSCRIPTION}/test",
    f"POST {_TEMPLATE}",
    f"POST {_TEMPLATE}/unpause",
    f"DELETE {_TEMPLATE}",
}
_TIME = {"type": "string", "format": "date-time"}
_PROBLEMS = {
    400: "A body or parameter that cannot be read; `field` names it",
    401: "No key, or one that is unknown, revoked or expired",
    403: "The key lacks the scope",
    404: "Not known, or another tenant's",
    409: "In the way of something that exists",
    413: "The body is too large",
    422: "A member that is unknown or beyond its limits; `field` names it",
    502: "Meta refused the message",
    503: "The database is away; Retry-After says how long to wait",
}


def routes() -> dict[str, str]:
    """Return each route of /v1 with the scope that it asks for."""
    found = dict.fromkeys(send_message.ROUTES, "messages:send")
    found["GET /v1/messages/{id}"] = "messages:read"
    for resource in manage.RESOURCES:
        found |= {route: guard.scope for route, guard in manage.routes(resource).items()}
    return found


def document() -> Json:
    """Return the OpenAPI document; raises KeyError for a route that OPERATIONS does not tell."""
    paths: Json = {}
    for route, scope in routes().items():
        method, path = route.split(" ")
        paths.setdefault(path, {})[method.lower()] = _operation(route, scope, OPERATIONS[route])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Switchboard",
            "version": "1",
            "license": {"name": "MIT", "identifier": "MIT"},
            "description": (
                "The HTTP interface for services inside. Every list is a page: "
                '`{"data": […], "next_cursor": …}`; a page may hold fewer rows than `limit`, even'
                " none, and null for `next_cursor` ends the list. A cursor belongs to its filters."
                " Errors are RFC 9457 problem details. The same routes stand under /iam/v1 where a"
                " stack has them, with the key in X-Api-Key."
            ),
        },
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "\n".join(
                        [
                            "An API key (`python -m switchboard admin key create`). Scopes:",
                            *(f"- `{name}`: {what}" for name, what in SCOPES.items()),
                        ]
                    ),
                }
            },
            "responses": {f"Problem{status}": _problem(what) for status, what in _PROBLEMS.items()},
            "schemas": _schemas(),
        },
    }


def written() -> str:
    """Return the document as it stands in docs."""
    return "# Written by `python -m tests.api_document`.\n" + yaml.safe_dump(
        document(), sort_keys=False, allow_unicode=True, width=110
    )


def _operation(route: str, scope: str, told: Operation) -> Json:
    method, path = route.split(" ")
    made: Json = {
        "operationId": _name(method, path),
        "summary": told.summary,
        "description": f"Scope: `{scope}`.",
        "x-scope": scope,
    }
    parameters: list[Json] = []
    if "{id}" in path:
        parameters.append({"name": "id", "in": "path", "required": True, "schema": _format("uuid")})
    if told.query is not None:
        parameters += [_parameter(name, one) for name, one in _members(told.query).items()]
    if route == "POST /v1/messages":
        parameters += [
            {"name": "dry_run", "in": "query", "schema": {"type": "boolean"}},
            {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}},
        ]
    if parameters:
        made["parameters"] = parameters
    if told.body is not None:
        schema = {"$ref": f"#/components/schemas/{told.body.__name__}"}
        made["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    answer = _page(told.answers[:-2]) if told.answers.endswith("[]") else _ref(told.answers)
    done = {"description": "Done", "content": {"application/json": {"schema": answer}}}
    waits = {"202": {**done, "description": "It waits, or its fate is open"}}
    made["responses"] = {
        str(told.status): done,
        **(waits if route == "POST /v1/messages" else {}),
        **{
            str(status): {"$ref": f"#/components/responses/Problem{status}"}
            for status in _statuses(route)
        },
    }
    return made


def _statuses(route: str) -> list[int]:
    if route == "POST /v1/messages":
        return list(_PROBLEMS)
    known = [400, 401, 403, 503]
    if "{id}" in route:
        known.append(404)
    if not route.startswith("GET"):
        known += [413, 422]
    if route in _CONFLICTS:
        known.append(409)
    return sorted(known)


def _schemas() -> Json:
    bodies = {one.body for one in OPERATIONS.values() if one.body is not None}
    made: Json = {model.__name__: _clean(model.model_json_schema()) for model in bodies}
    for name in ("ContactChange", "ConversationChange", "SubscriptionChange", "TemplateChange"):
        # What is left out stays as it is: there is no default.
        for member in made[name]["properties"].values():
            member.pop("default", None)
    shown: dict[str, type[Any]] = {
        "AccountEvent": AccountEvent,
        "Consent": Consent,
        "Contact": Contact,
        "Conversation": Conversation,
        "Media": Media,
        "Letter": Letter,
        "Link": Link,
        "Address": media.Address,
        "Subscription": Subscription,
        "Delivery": Delivery,
        "PutTest": subscriptions.PutTest,
        "Template": Template,
        "Synced": template_sync.Synced,
    }
    for name, kind in shown.items():
        made[name] = _clean(TypeAdapter(kind).json_schema(schema_generator=_Answered))
    message = _clean(
        TypeAdapter(Message).json_schema(
            schema_generator=_Answered, ref_template="#/components/schemas/{model}"
        )
    )
    made |= message.pop("$defs")
    times = ("accepted_at", "sent_at", "delivered_at", "read_at", "played_at", "failed_at")
    for name in times:
        del message["properties"][name]
        message["required"].remove(name)
    message["properties"]["timestamps"] = {
        "type": "object",
        "description": "Those that are known",
        "properties": dict.fromkeys(times, _TIME),
    }
    made["Reaction"]["description"] = (
        "What a contact, or the business (outbound), has put under the message"
    )
    message["properties"]["decision"] = {
        "type": ["object", "null"],
        "description": "The policy's latest verdict",
    }
    made["Message"] = message
    made["WholeLetter"] = {
        "allOf": [
            _ref("Letter"),
            {
                "type": "object",
                "description": "Its body as text, or as base64 where it is none or long",
                "properties": {
                    "text": {"type": ["string", "null"]},
                    "base64": {"type": ["string", "null"]},
                },
            },
        ]
    }
    made["SubscriptionSecret"] = {
        "type": "object",
        "properties": {
            "secret": {"type": "string", "description": "whsec_ and base64: signs what is told"},
            "subscription": _ref("Subscription"),
        },
    }
    made["Read"] = {
        "type": "object",
        "properties": {
            "conversation": _ref("Conversation"),
            "receipt": {"enum": ["taken", "not_taken", "not_needed"]},
        },
    }
    made["ConsentResults"] = {
        "type": "object",
        "properties": {
            "results": {
                "type": "array",
                "description": "In the order of the batch, each a Consent or a problem",
                "items": {
                    "type": "object",
                    "properties": {"status_code": {"enum": [200, 404, 422]}},
                },
            }
        },
    }
    made["Job"] = {
        "type": "object",
        "properties": {
            "job_id": {"type": ["integer", "null"], "description": "null: the same replay waits"}
        },
    }
    made["Answer"] = {
        "type": "object",
        "properties": {
            "id": _format("uuid"),
            "status": {"type": "string"},
            "wa_message_id": {"type": ["string", "null"]},
            "decision": {"type": ["object", "null"]},
        },
    }
    made["Outcome"] = {
        "type": "object",
        "description": "A message without its text: status, decisions, errors, timestamps",
    }
    made["Problem"] = {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "field": {"type": "string", "description": "The member or parameter that is wrong"},
        },
    }
    return dict(sorted(made.items()))


class _Answered(GenerateJsonSchema):
    """Dataclasses are answers: every member is there, whatever its default."""

    def field_is_required(self, *_: Any, **__: Any) -> bool:
        return True


def _clean(schema: Any) -> Any:
    """Drop pydantic's titles and class docstrings, which say nothing to a caller."""
    if isinstance(schema, list):
        return [_clean(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {}
    for name, one in schema.items():
        if name == "title" and isinstance(one, str):
            continue
        if name == "properties":
            made[name] = {inner: _clean(value) for inner, value in one.items()}
        elif not (name == "description" and "properties" in schema):
            made[name] = _clean(one)
    return made


def _members(model: type[BaseModel]) -> dict[str, Json]:
    schema = _clean(model.model_json_schema())
    members: dict[str, Json] = schema["properties"]
    return members


def _parameter(name: str, schema: Json) -> Json:
    told = {key: value for key, value in schema.items() if key != "description"}
    made: Json = {"name": name, "in": "query"}
    if "description" in schema:
        made["description"] = schema["description"]
    if told.get("type") == "array":
        made |= {"style": "form", "explode": False}
    return {**made, "schema": _not_null(told)}


def _not_null(schema: Json) -> Json:
    """Return the schema of what can be written into an address: a value, or nothing at all."""
    rest = [one for one in schema.get("anyOf", []) if one != {"type": "null"}]
    made = {k: v for k, v in schema.items() if k != "anyOf" and not (k == "default" and v is None)}
    return {**made, **rest[0]} if len(rest) == 1 else {**made, **({"anyOf": rest} if rest else {})}


def _name(method: str, path: str) -> str:
    words = [part.strip("{}") for part in path.split("/")[2:] if part != "{id}"]
    one = "_one" if path.endswith("{id}") else ""
    return f"{method.lower()}_{'_'.join(words)}{one}".replace("-", "_") + (
        "_by_id" if path.endswith("/{id}/replay") else ""
    )


def _page(name: str) -> Json:
    return {
        "type": "object",
        "required": ["data", "next_cursor"],
        "properties": {
            "data": {"type": "array", "items": _ref(name)},
            "next_cursor": {"type": ["string", "null"]},
        },
    }


def _problem(what: str) -> Json:
    return {
        "description": what,
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _format(name: str) -> Json:
    return {"type": "string", "format": name}


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(written(), encoding="utf-8")
