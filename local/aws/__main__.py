"""`python -m local.aws <port> <folder>`: the stand-ins for AWS, resources as JSON on stdin.

Prints `ready` when it listens. Ends when its stdin does, too: its parent is gone then.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

from local.aws.server import make_aws_server


def main() -> None:
    """Serve until stdin ends."""
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    server = make_aws_server(port, folder, json.loads(sys.stdin.readline()))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
