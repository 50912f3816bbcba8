"""/v1/subscriptions: endpoints of the tenant's own that are told of events."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel

from switchboard.access import Caller, Guarded
from switchboard.inbox import subscriptions
from switchboard.kernel.arguments import LIMIT, Nothing, read, read_id, read_query
from switchboard.kernel.http import Request, Response, reply
from switchboard.tools import Tools

M = TypeVar("M", bound=BaseModel)


def get_subscriptions(tools: Tools, caller: Caller, request: Request) -> Response:
    """List subscriptions, all of them."""
    read_query(Nothing, request.query)
    return reply(200, subscriptions.list_subscriptions(tools, caller.tenant_id))


def post_subscription(tools: Tools, caller: Caller, request: Request) -> Response:
    """Tell an endpoint of new events; the answer shows its secret, this once."""
    new = _body(subscriptions.NewSubscription, request)
    return reply(201, subscriptions.create_subscription(tools, caller.tenant_id, new))


def get_subscription(tools: Tools, caller: Caller, request: Request) -> Response:
    """Show a subscription."""
    return reply(200, subscriptions.show_subscription(tools, caller.tenant_id, _id(request)))


def patch_subscription(tools: Tools, caller: Caller, request: Request) -> Response:
    """Change address and kinds."""
    wanted, change = _id(request), _body(subscriptions.SubscriptionChange, request)
    return reply(200, subscriptions.change_subscription(tools, caller.tenant_id, wanted, change))


def delete_subscription(tools: Tools, caller: Caller, request: Request) -> Response:
    """Forget a subscription, and show it as it was."""
    wanted, _ = _id(request), _body(Nothing, request)
    return reply(200, subscriptions.delete_subscription(tools, caller.tenant_id, wanted))


def post_test(tools: Tools, caller: Caller, request: Request) -> Response:
    """Put in an event that says nothing."""
    wanted, _ = _id(request), _body(Nothing, request)
    return reply(202, subscriptions.put_test(tools, caller.tenant_id, wanted))


def post_rotate(tools: Tools, caller: Caller, request: Request) -> Response:
    """Make a new secret, which the answer shows, this once."""
    wanted, _ = _id(request), _body(Nothing, request)
    return reply(200, subscriptions.rotate_secret(tools, caller.tenant_id, wanted))


def get_deliveries(tools: Tools, caller: Caller, request: Request) -> Response:
    """List the deliveries of a subscription."""
    wanted = _id(request)
    which = read_query(subscriptions.DeliveryFilter, request.query)
    return reply(200, subscriptions.list_deliveries(tools, caller.tenant_id, wanted, which))


def _switch(tools: Tools, caller: Caller, request: Request, *, is_active: bool) -> Response:
    wanted, _ = _id(request), _body(Nothing, request)
    return reply(
        200,
        subscriptions.switch_subscription(tools, caller.tenant_id, wanted, is_active=is_active),
    )


def _id(request: Request) -> UUID:
    return read_id(request.path, "this subscription")


def _body(model: type[M], request: Request) -> M:
    """Read the body; none at all is an empty object, since some verbs need nothing."""
    return read(model, request.json(LIMIT) if request.body(LIMIT).strip() else {})


def _reading(run: Callable[[Tools, Caller, Request], Response]) -> Guarded:
    return Guarded("subscriptions:read", run)


def _writing(run: Callable[[Tools, Caller, Request], Response]) -> Guarded:
    return Guarded("subscriptions:write", run)


_ONE = "/v1/subscriptions/{id}"
ROUTES = {
    "GET /v1/subscriptions": _reading(get_subscriptions),
    "POST /v1/subscriptions": _writing(post_subscription),
    f"GET {_ONE}": _reading(get_subscription),
    f"PATCH {_ONE}": _writing(patch_subscription),
    f"DELETE {_ONE}": _writing(delete_subscription),
    f"POST {_ONE}/test": _writing(post_test),
    f"POST {_ONE}/rotate": _writing(post_rotate),
    f"POST {_ONE}/enable": _writing(partial(_switch, is_active=True)),
    f"POST {_ONE}/disable": _writing(partial(_switch, is_active=False)),
    f"GET {_ONE}/deliveries": _reading(get_deliveries),
}
