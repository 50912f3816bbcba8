"""Graph's resumable uploads: samples for templates, pictures for profiles.

POST /{app_id}/uploads opens a session for a file of a length and a type; POST /upload:… takes its
bytes from an offset on and gives a handle once all are there; GET /upload:… tells how many are.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.simulator.graph_errors import unknown_object
from local.simulator.graph_shapes import unacceptable

Json = dict[str, Any]
Call = Callable[[Request, Json], Awaitable[Response]]

#: The app whose tokens all numbers have.
APP_ID = "100000000000001"
TYPES = ("application/pdf", "image/jpeg", "image/jpg", "image/png", "video/mp4")
MAX_BYTES = 100 * 1024 * 1024
#: A session that nobody ends is forgotten with the oldest of so many.
_KEPT = 100


@dataclass(slots=True)
class _Session:
    """One file on its way."""

    length: int
    kind: str
    content: bytearray = field(default_factory=bytearray)


class GraphUploads:
    """The calls about uploads. `bearer` refuses a token that is nobody's."""

    def __init__(self, bearer: Callable[[Request], set[str]]) -> None:
        self._bearer = bearer
        self._sessions: dict[str, _Session] = {}
        self._handles: dict[str, str] = {}

    def paths(self) -> list[tuple[str, str, Call]]:
        """Method, path behind the node, call."""
        return [("POST", "/uploads", self._open)]

    def is_picture(self, handle: str) -> bool:
        """Whether this is the handle of an uploaded picture."""
        return self._handles.get(handle, "").startswith("image/")

    def knows(self, request: Request) -> bool:
        """Whether the request's node is a session."""
        return str(request.path_params["node"]).startswith("upload:")

    async def read(self, request: Request, _: Json) -> Response:
        """GET /upload:…."""
        session = self._session(request)
        node = request.path_params["node"]
        return JSONResponse({"id": node, "file_offset": len(session.content)})

    async def write(self, request: Request, entry: Json) -> Response:
        """POST /upload:…: bytes that begin where the ones before ended."""
        session = self._session(request)
        offset, content = request.headers.get("file_offset", ""), await request.body()
        entry["body"] = {"file_offset": offset, "bytes": len(content)}
        if not offset.isdigit() or int(offset) != len(session.content):
            raise unacceptable(f"Header file_offset must be {len(session.content)}.")
        if len(session.content) + len(content) > session.length:
            raise unacceptable(f"The file has {session.length} bytes, and these are more.")
        session.content += content
        if len(session.content) < session.length:
            return JSONResponse({"id": request.path_params["node"], "file_offset": offset})
        del self._sessions[request.path_params["node"]]
        name = base64.b64encode(session.kind.encode()).decode()
        handle = f"4:{name}:{secrets.token_urlsafe(32)}"
        self._handles[handle] = session.kind
        return JSONResponse({"h": handle})

    async def _open(self, request: Request, _: Json) -> Response:
        self._bearer(request)
        if request.path_params["node"] != APP_ID:
            raise unknown_object("post", request.path_params["node"])
        asked = request.query_params
        length, kind = asked.get("file_length", ""), asked.get("file_type", "")
        if not length.isdigit() or not 1 <= int(length) <= MAX_BYTES:
            raise unacceptable(f"Param file_length must be from 1 to {MAX_BYTES}.")
        if kind not in TYPES:
            raise unacceptable(f"Param file_type must be one of {{{', '.join(TYPES)}}}")
        name = f"upload:{secrets.token_urlsafe(24)}"
        self._sessions[name] = _Session(int(length), kind)
        if len(self._sessions) > _KEPT:
            del self._sessions[next(iter(self._sessions))]
        return JSONResponse({"id": name})

    def _session(self, request: Request) -> _Session:
        self._bearer(request)
        node = request.path_params["node"]
        if node not in self._sessions:
            raise unknown_object(request.method.lower(), node)
        return self._sessions[node]
