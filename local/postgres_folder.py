"""Postgres' data folder: made whole or not at all, and checked before a server starts on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from local.faults import BrokenDataFolder, LocalError
from local.postgres_binaries import Binaries

SUPERUSER = "postgres"


def is_missing(folder: Path) -> bool:
    """Tell whether there is nothing at `folder` yet."""
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def make_data_folder(
    folder: Path, binaries: Binaries, password: str | None, *, durable: bool
) -> None:
    """Run initdb; the superuser's `password` None means that everyone here is trusted.

    It works beside the final place and is renamed, so that a killed run leaves no half of a folder
    behind. Raises LocalError with initdb's reason.
    """
    half = folder.with_name(folder.name + ".new")
    shutil.rmtree(half, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    half.mkdir(mode=0o700)
    options = [f"--pgdata={half}", f"--username={SUPERUSER}", "--encoding=UTF8"]
    options += [*_locale(binaries.major), *([] if durable else ["--no-sync"])]
    with tempfile.NamedTemporaryFile("w", prefix="pg", suffix=".pw") as secret:
        if password is None:
            options.append("--auth=trust")
        else:
            secret.write(password)
            secret.flush()
            options += ["--auth=scram-sha-256", f"--pwfile={secret.name}"]
        if os.geteuid() == 0:
            os.chown(half, binaries.owner, -1)
            os.chown(secret.name, binaries.owner, -1)
        made = subprocess.run(
            binaries.command("initdb", *options),
            capture_output=True,
            text=True,
            check=False,
            **binaries.identity(),
        )
    if made.returncode != 0:
        shutil.rmtree(half, ignore_errors=True)
        raise LocalError(
            f"Postgres could not make its data folder {folder}: {last_line(made.stderr)}"
        )
    if folder.exists():
        folder.rmdir()
    half.rename(folder)


def check_data_folder(folder: Path, binaries: Binaries) -> None:
    """Raise BrokenDataFolder unless `folder` is one of this version; hand it to its user.

    As root, an earlier run may have become another user than this one will.
    """
    try:
        version = (folder / "PG_VERSION").read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        raise BrokenDataFolder(
            f"{folder} is not a Postgres data folder (PG_VERSION is missing): "
            "move it away to begin with an empty database."
        ) from None
    if version != str(binaries.major):
        raise BrokenDataFolder(
            f"{folder} was made by PostgreSQL {version}, but {binaries.major} would run on it: "
            "set PG_BIN to the older programs or move the folder away."
        )
    if os.geteuid() == 0 and folder.stat().st_uid != binaries.owner:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, binaries.owner, -1, follow_symlinks=False)


def last_line(text: str) -> str:
    """Return the line of Postgres' output that says best why it stopped."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    serious = [line for line in lines if "FATAL" in line or "PANIC" in line or "error:" in line]
    return (serious or lines or ["no reason given"])[-1]


def _locale(major: int) -> list[str]:
    # Characters by Unicode, order by code point, the same on every machine. Before 17 only the
    # system's own locales exist; C.UTF-8 is on every current Linux.
    if major >= 17:
        return ["--locale-provider=builtin", "--locale=C", "--builtin-locale=C.UTF-8"]
    return ["--locale=C.UTF-8"]
