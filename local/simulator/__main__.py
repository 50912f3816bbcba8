"""`python -m local.simulator`: the simulator on 127.0.0.1, configured by the environment.

SIMULATOR_PORT (8090), LOCAL_DIR, WEBHOOK_URL, META_APP_SECRET, META_VERIFY_TOKEN and
SIMULATOR_NUMBERS (a JSON list of {waba_id, phone_number_id, display_phone_number, verified_name,
access_token, tenant}); for the page's second view API_URL and SIMULATOR_TENANTS (a JSON list of
{slug, name, api_key}). SIGINT or SIGTERM stops it within a second.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from local.simulator.app import create_app
from local.simulator.config import read_environment


class Server(uvicorn.Server):
    """Ends the open event streams as soon as it is told to stop, so that stopping is quick."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        super().handle_exit(sig, frame)
        app = self.config.app
        if isinstance(app, Starlette):
            app.state.stopping.set()
            app.state.exchange.journal.close()


def main() -> int:
    """Serve until a signal; 2 when the environment does not suffice."""
    logging.basicConfig(level=logging.INFO, format="simulator: %(message)s", stream=sys.stderr)
    # One line per webhook would drown the console; the page shows them all.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        config = read_environment()
    except ValueError as error:
        print(f"simulator: {error}", file=sys.stderr)
        return 2
    settings = uvicorn.Config(
        create_app(config),
        host="127.0.0.1",
        port=config.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    # uvicorn raises the signal again once it has stopped: an ordered end is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(KeyboardInterrupt):
        Server(settings).run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
