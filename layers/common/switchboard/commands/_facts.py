"""What trips and bookings share: a file of JSON lines, and how far its import is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import Field

from switchboard.facts.lines import Imported, import_lines
from switchboard.facts.write import WriteResults
from switchboard.kernel.arguments import Arguments
from switchboard.kernel.errors import Unprocessable
from switchboard.tools import Tools


class GivenFile(Arguments):
    """A file of facts."""

    file: Path = Field(description="file of JSON lines: each as an item of the bulk route")


def import_file(
    tools: Tools,
    tenant_id: UUID,
    given: GivenFile,
    write: Callable[[Tools, UUID, Sequence[Any]], WriteResults],
) -> Imported:
    """Write each line's fact; how far it is goes to stderr.

    Raises Unprocessable where the file cannot be read.
    """
    try:
        with given.file.open("rb") as lines:
            return import_lines(lines, lambda items: write(tools, tenant_id, items), _tell)
    except OSError as error:
        reason = f"the file cannot be read: {error.strerror}"
        raise Unprocessable(reason, field="file") from None


def _tell(so_far: Imported) -> None:
    sys.stderr.write(f"{so_far.lines} lines, {so_far.refused} refused\n")
