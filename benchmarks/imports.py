"""Figure e: the import of each handler against the bare imports of its third-party libraries.

The limit imports just the modules of site-packages that the handler imports, in the same order, in
a fresh interpreter. Both start where Lambda starts: its runtime client, which imports the handler,
is loaded (logging, json, traceback and others come with it).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from benchmarks.figures import Figure, ratio

ROOT = Path(__file__).parent.parent
#: What an interpreter runs: its arguments are modules; prints the seconds of importing them.
TIMED = """
import sys, time
import awslambdaric.bootstrap
start = time.perf_counter()
for name in sys.argv[1:]:
    __import__(name)
print(time.perf_counter() - start)
"""
LISTED = """
import json, sys
import awslambdaric.bootstrap
before = set(sys.modules)
__import__(sys.argv[1])
names = [n for n, m in sys.modules.items() if n not in before
    and "site-packages" in (getattr(m, "__file__", None) or "")]
print(json.dumps(names))
"""
ROUNDS = 15


def run() -> list[Figure]:
    """Measure every handler of functions/."""
    figures = []
    for path in sorted(ROOT.glob("functions/*/app.py")):
        handler = f"functions.{path.parent.name}.app"
        libraries = json.loads(_python(LISTED, handler))
        ours, bare = [], []
        for round_ in range(ROUNDS + 1):
            took = float(_python(TIMED, handler))
            limit = float(_python(TIMED, *libraries))
            if round_:  # the first round fills the page cache and writes .pyc files
                ours.append(took)
                bare.append(limit)
        name = f"import-{path.parent.name}"
        print(f"  {name}: {median(ours) * 1e3:.0f} ms, libraries {median(bare) * 1e3:.0f} ms")
        figures.append(Figure("e", name, ratio(ours, bare), 1.3, at_most=True))
    return figures


def _python(code: str, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'layers/common'}"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip().splitlines()[-1]
