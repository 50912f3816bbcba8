"""What a person may choose about the local run: ports and the folder that keeps everything."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.faults import LocalError

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """`folder` keeps data, secrets and logs; `workers` is how many processes a function may have.

    `freeze`: stop processes between calls, as Lambda does.
    """

    folder: Path
    port: int = 8080
    simulator_port: int = 8090
    workers: int = 4
    freeze: bool = True
    log_level: str = "INFO"
    root: Path = ROOT

    @property
    def logs(self) -> Path:
        """Folder of the log files."""
        return self.folder / "logs"

    @property
    def env_file(self) -> Path:
        """File with the running system's values; it exists exactly while the system is ready."""
        return self.folder / "env"


def read_settings(environment: Mapping[str, str] = os.environ) -> LocalSettings:
    """Read LOCAL_DIR, PORT, SIMULATOR_PORT, LOCAL_WORKERS, LOCAL_FREEZE and LOG_LEVEL.

    Raises LocalError for a value that makes no sense.
    """
    return LocalSettings(
        folder=Path(environment.get("LOCAL_DIR") or ROOT / ".local").absolute(),
        port=_number(environment, "PORT", 8080, highest=65_535),
        simulator_port=_number(environment, "SIMULATOR_PORT", 8090, highest=65_535),
        workers=_number(environment, "LOCAL_WORKERS", 4, highest=64),
        freeze=environment.get("LOCAL_FREEZE", "1") != "0",
        log_level=environment.get("LOG_LEVEL") or "INFO",
    )


def _number(environment: Mapping[str, str], name: str, default: int, *, highest: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= highest:
        raise LocalError(f"{name}={text} is not a number from 1 to {highest}.")
    return int(text)
