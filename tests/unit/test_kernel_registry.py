"""Kinds found by folder: the folder is the list, and a wrong file is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from switchboard.kernel.errors import DuplicateKind, UnknownKind
from switchboard.kernel.registry import Registry


@dataclass(frozen=True)
class Kind:
    name: str


Folder = Callable[..., Registry[Kind]]

#: What a module of the folder begins with.
HEAD = f"from {__name__} import Kind\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    """Make a package of modules and return its registry: folder(one='KIND = Kind("one")')."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(**modules: str) -> Registry[Kind]:
        package = tmp_path / "kinds_of_test"
        package.mkdir()
        (package / "__init__.py").touch()
        for name, text in modules.items():
            (package / f"{name}.py").write_text(HEAD + text)
        return Registry("kinds_of_test", Kind)

    yield make
    for name in [name for name in sys.modules if name.partition(".")[0] == "kinds_of_test"]:
        del sys.modules[name]


def test_every_module_of_the_folder_is_a_kind(folder: Folder) -> None:
    registry = folder(two='KIND = Kind("two")', one='KIND = Kind("one")')
    assert registry.names() == ["one", "two"]
    assert registry["two"] == Kind("two")
    assert {kind.name for kind in registry} == {"one", "two"}


def test_the_contract_beside_the_kinds_is_none(folder: Folder) -> None:
    assert folder(_kind="", one='KIND = Kind("one")').names() == ["one"]


def test_an_unknown_name_is_told(folder: Folder) -> None:
    registry = folder(one='KIND = Kind("one")')
    with pytest.raises(UnknownKind, match="three is unknown to kinds_of_test"):
        registry["three"]


@pytest.mark.parametrize("text", ["", "KIND = 'one'", "KIND = Kind", "kind = Kind('one')"])
def test_a_module_without_a_proper_kind_is_refused(folder: Folder, text: str) -> None:
    registry = folder(one=text)
    with pytest.raises(TypeError, match=r"kinds_of_test\.one has no KIND of type Kind"):
        registry.names()


def test_a_name_claimed_twice_is_refused(folder: Folder) -> None:
    registry = folder(one='KIND = Kind("same")', two='KIND = Kind("same")')
    with pytest.raises(DuplicateKind, match="same is claimed twice"):
        registry.names()


def test_nothing_is_imported_before_it_is_asked_for(folder: Folder) -> None:
    folder(one="raise RuntimeError")
    assert "kinds_of_test.one" not in sys.modules
