"""The simulator's parts put together: one starlette application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from local.simulator.business import Business
from local.simulator.config import Config
from local.simulator.control import Control
from local.simulator.exchange import Exchange
from local.simulator.graph import Graph
from local.simulator.graph_errors import GraphRefusal

PAGE = Path(__file__).parent / "page"
# Scripts and styles come from this origin's files only, nothing is ever fetched from elsewhere.
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class _VersionConvertor(Convertor[str]):
    """`v23.0` in a path."""

    regex = r"v[0-9]+\.[0-9]+"

    def convert(self, value: str) -> str:
        """As it stands in the path."""
        return value

    def to_string(self, value: str) -> str:
        """As it goes into a path."""
        return value


register_url_convertor("graph", _VersionConvertor())


def create_app(config: Config, clock: Callable[[], float] = time.time) -> Starlette:
    """The simulator, ready for uvicorn; `app.state.exchange` is its inside.

    Delivering webhooks begins and ends with the application's lifespan. Set `app.state.stopping`
    before a graceful stop: it ends the event streams and the answers that never come.
    """
    exchange = Exchange(config, clock)
    business = Business(exchange)

    @asynccontextmanager
    async def live(app: Starlette) -> AsyncIterator[None]:
        await exchange.start()
        try:
            yield
        finally:
            app.state.stopping.set()
            await business.stop()
            await exchange.stop()

    routes = [
        *Control(exchange).routes(),
        *business.routes(),
        *Graph(exchange).routes(),
        Route("/{version:graph}/{rest:path}", _unknown_path, methods=["GET", "POST", "DELETE"]),
        *[Route(*asset) for asset in _assets()],
    ]
    app = Starlette(routes=routes, lifespan=live)
    app.state.exchange = exchange
    app.state.stopping = asyncio.Event()
    return app


async def _unknown_path(request: Request) -> Response:
    path = request.path_params["rest"]
    refusal = GraphRefusal(2500, message=f"Unknown path components: /{path}")
    return JSONResponse(refusal.body(), status_code=400)


def _assets() -> list[tuple[str, Callable[[Request], Response]]]:
    """The page's files by path, each with the security headers. Nothing else is served."""

    def serve(file: Path) -> Callable[[Request], Response]:
        def answer(_: Request) -> Response:
            return FileResponse(file, headers=SECURITY_HEADERS)

        return answer

    files = sorted(file for file in PAGE.iterdir() if file.is_file())
    named = [(f"/{file.name}", serve(file)) for file in files if file.name != "index.html"]
    return [("/", serve(PAGE / "index.html")), *named]
