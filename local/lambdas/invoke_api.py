"""Lambda's Invoke API, so that botocore's `lambda` client works against the local run."""

from __future__ import annotations

import json

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.faults import LocalError
from local.lambdas.invocation import PayloadTooLarge, Throttled, UnknownFunction
from local.lambdas.platform import Lambdas

_ERRORS: dict[type[LocalError], tuple[int, str]] = {
    UnknownFunction: (404, "ResourceNotFoundException"),
    Throttled: (429, "TooManyRequestsException"),
    PayloadTooLarge: (413, "RequestTooLargeException"),
}


def invoke_api(lambdas: Lambdas) -> Starlette:
    """Return the application that answers `POST /2015-03-31/functions/{name}/invocations`."""

    async def invoke(request: Request) -> Response:
        name = request.path_params["name"]
        payload = await request.body() or b"null"
        try:
            json.loads(payload)
        except ValueError:
            return _error(400, "InvalidRequestContentException", "the payload is not JSON")
        try:
            match request.headers.get("x-amz-invocation-type", "RequestResponse"):
                case "Event":
                    lambdas.invoke_later(name, payload)
                    return Response(status_code=202)
                case "DryRun":
                    lambdas.find(name)
                    return Response(status_code=204)
                case _:
                    context = request.headers.get("x-amz-client-context")
                    result = await lambdas.invoke(name, payload, client_context=context)
        except (UnknownFunction, Throttled, PayloadTooLarge) as error:
            status, kind = _ERRORS[type(error)]
            return _error(status, kind, str(error))
        headers = {"x-amz-executed-version": "$LATEST"}
        if result.error is not None:
            headers["x-amz-function-error"] = result.error
        return Response(result.payload, headers=headers, media_type="application/json")

    path = "/2015-03-31/functions/{name:path}/invocations"
    return Starlette(routes=[Route(path, invoke, methods=["POST"])])


def _error(status: int, kind: str, message: str) -> Response:
    body = json.dumps({"Type": "User", "Message": message, "message": message})
    return Response(body, status, headers={"x-amzn-errortype": kind}, media_type="application/json")
