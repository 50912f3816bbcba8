"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from switchboard.__main__ import main
from tests.databases import ClonedDatabase

#: Takes the words of a command line and returns code, stdout, stderr.
CommandLine = Callable[..., tuple[int, str, str]]


def command_line(
    database: ClonedDatabase, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> CommandLine:
    """Return what runs a command line against the test's database."""
    monkeypatch.setenv("DATABASE_URL", database.app_url)

    def run(*words: object) -> tuple[int, str, str]:
        capfd.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as ending:  # argparse's own way out
            code = int(str(ending.code or 0))
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run
