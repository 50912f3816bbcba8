"""Kinds found by folder: one module per kind, exposing `KIND`; the folder is the list."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cached_property
from typing import Generic, Protocol, TypeVar

from switchboard.kernel.errors import DuplicateKind, UnknownKind


class Named(Protocol):
    """Anything that a registry can hold: it has a stored name."""

    @property
    def name(self) -> str:
        """Return the name that rows use for this kind; it never changes."""


K = TypeVar("K", bound=Named)


class Registry(Generic[K]):
    """The kinds of one package, imported at first use.

    Modules whose name starts with `_` hold the contract, not a kind. Raises TypeError for a module
    without a proper `KIND`, DuplicateKind for a name claimed twice.
    """

    def __init__(self, package: str, kind: type[K]) -> None:
        self._package = package
        self._kind = kind

    @cached_property
    def _kinds(self) -> dict[str, K]:
        found: dict[str, K] = {}
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            if module.name.startswith("_"):
                continue
            kind = getattr(importlib.import_module(f"{self._package}.{module.name}"), "KIND", None)
            if not isinstance(kind, self._kind):
                raise TypeError(
                    f"{self._package}.{module.name} has no KIND of type {self._kind.__name__}"
                )
            if kind.name in found:
                raise DuplicateKind(f"{kind.name} is claimed twice in {self._package}")
            found[kind.name] = kind
        return found

    def __getitem__(self, name: str) -> K:
        """Return the kind `name`; raises UnknownKind where this release has no code for it."""
        try:
            return self._kinds[name]
        except KeyError:
            raise UnknownKind(f"{name} is unknown to {self._package}") from None

    def __iter__(self) -> Iterator[K]:
        return iter(self._kinds.values())

    def names(self) -> list[str]:
        """Return the names of all kinds, sorted: what a worker may claim."""
        return sorted(self._kinds)
