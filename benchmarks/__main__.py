"""`make bench`: every figure as a ratio against a limit measured in the same run.

Its own Postgres (fsync on), one database per group. The last lines are the figures, one a line:
`<letter> <name> ratio <value>`. Exits with 1 when a figure misses its floor.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import campaigns, coldstart, imports, jobs, queues, sends, webhooks
from benchmarks.figures import Figure
from local.guardian import Guardian
from local.postgres import PostgresServer
from tests.databases import ClonedDatabase, cloned, make_template

ROOT = Path(__file__).parent.parent
GROUPS: dict[str, Callable[[ClonedDatabase], list[Figure]]] = {
    "webhooks": webhooks.run,
    "jobs": jobs.run,
    "queues": queues.run,
    "held": queues.hold,
    "sends": sends.run,
    "campaigns": campaigns.run,
    "imports": lambda _: imports.run(),
    "coldstart": coldstart.run,
}


def main() -> int:
    """Run the groups asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "groups",
        nargs="*",
        default=list(GROUPS),
        help=", ".join(GROUPS),
    )
    groups = parser.parse_args().groups
    unknown = set(groups) - set(GROUPS)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    # Children (spawned processes) find the packages as pytest does.
    os.environ["PYTHONPATH"] = f"{ROOT}:{ROOT / 'layers/common'}"
    describe("bench")
    figures = []
    folder = Path(tempfile.mkdtemp(prefix="switchboard-bench-"))
    folder.chmod(0o711)
    with Guardian() as guardian:
        server = PostgresServer(
            folder / "postgres", log=folder / "postgres.log", durable=True, guardian=guardian
        )
        try:
            server.start()
            template = make_template(server)
            for name in groups:
                print(f"{name}:", flush=True)
                with cloned(server, template) as database:
                    figures += GROUPS[name](database)
        finally:
            server.stop()
            shutil.rmtree(folder)
    missed = [figure for figure in figures if not figure.met]
    for figure in missed:
        print(f"missed: {figure.name} {figure.value:.2f}, asked {figure.floor:.2f}")
    for figure in figures:
        print(figure)
    return 1 if missed else 0


def describe(name: str) -> None:
    """Print what is measured: commit, Python, machine."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    print(
        f"{name}: commit {commit or 'unknown'}, Python {platform.python_version()},"
        f" {os.cpu_count()} cores, fsync on"
    )


if __name__ == "__main__":
    sys.exit(main())
