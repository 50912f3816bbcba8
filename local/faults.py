"""What can keep the local run from starting, each told in one sentence."""

from __future__ import annotations


class LocalError(Exception):
    """The local run cannot start or go on; the message is for the person in front of it."""


class PortInUse(LocalError):
    """Another program listens on a port that the local run needs."""


class BrokenDataFolder(LocalError):
    """The database's folder is not one, or Postgres refuses to start on it."""


class MissingTool(LocalError):
    """A program or package that the local run needs is not there."""
