"""Meta's webhooks: the handshake and the deliveries, of the operator's app and of tenants' own.

And what people open: the tracked links of buttons, which lead on to the address that was stored
with the message, and their own page of preferences. An address that nobody guesses guards both.
"""

from __future__ import annotations

import gc
from typing import Any

from switchboard.intake.receive import receive, verify
from switchboard.kernel.errors import ProblemError, Unavailable
from switchboard.kernel.http import Request, Response, answer, text
from switchboard.kernel.log import log
from switchboard.tools import tools

#: Bytes of one delivery; Meta sends up to 3 MB (Webhooks, payload size).
LIMIT = 4_000_000

# What the imports made stays, and a body of 1,000 updates is some 20,000 objects that go with their
# last reference: the collector need not look at the ones nor for the others.
gc.freeze()
gc.set_threshold(50_000)


def handler(event: dict[str, Any], context: Any) -> Response:
    """Answer one API Gateway event (payload 2.0)."""
    log.bind(request_id=getattr(context, "aws_request_id", None))
    return answer(ROUTES, event)


def _get(request: Request) -> Response:
    return text(200, verify(tools(), request.query, request.path.get("app_id")))


def _post(request: Request) -> Response:
    body = request.body(LIMIT)
    header = request.headers.get("x-hub-signature-256")
    receive(tools(), body, header, request.path.get("app_id"))
    return text(200, "")


def _link(request: Request) -> Response:
    # Here, since webhooks should not pay for it at their cold start.
    from switchboard.inbox.links import follow

    method = request.route.partition(" ")[0]
    try:
        url = follow(tools(), request.path.get("token", ""), method, request.headers)
    except Unavailable as error:
        log.warning("link.unavailable", why=error.detail)
        return _page(503, "This does not work just now. Please try again.", **error.headers)
    if url is None:
        return _page(404, "This link is not known, or no longer valid.")
    return _page(302, "", location=url)


def _page(status: int, body: str, **headers: str) -> Response:
    """Return an answer that nobody keeps, and whose address no other site is told."""
    response = text(status, body)
    response["headers"] |= {"cache-control": "no-store", "referrer-policy": "no-referrer"}
    response["headers"] |= headers
    return response


def _preferences(request: Request) -> Response:
    from switchboard.inbox import preference_html, preference_page

    token = request.path.get("token", "")
    accepted = request.headers.get("accept-language", "")
    headers: dict[str, str] = {}
    status = 200
    try:
        if request.route.startswith("GET "):
            saved = "saved" in request.query
            page = preference_page.show(tools(), token, accepted, saved=saved)
        else:
            body = request.body(preference_page.LIMIT)
            if preference_page.is_one_click(body):
                # Answered at once: a mail program follows no redirect (RFC 8058).
                preference_page.unsubscribe(tools(), token)
                page = preference_page.show(tools(), token, accepted, saved=True)
                return {"statusCode": 200, "headers": preference_html.HEADERS, "body": page}
            refused = preference_page.save(tools(), token, body, accepted)
            status, page = (303, "") if refused is None else (422, refused)
            # To the same address, so that reloading it saves nothing again.
            headers = {"location": "?saved=1"} if refused is None else {}
    except ProblemError as error:
        log.info("preferences.refused", status=error.status, why=error.detail)
        status, page = error.status, preference_page.apologise(error, accepted)
        headers = error.headers
    return {"statusCode": status, "headers": preference_html.HEADERS | headers, "body": page}


ROUTES = {
    "GET /webhook": _get,
    "POST /webhook": _post,
    "GET /webhook/{app_id}": _get,
    "POST /webhook/{app_id}": _post,
    "GET /l/{token}": _link,
    "HEAD /l/{token}": _link,
    "GET /p/{token}": _preferences,
    "POST /p/{token}": _preferences,
}
