"""local/environment.sh: which Python it takes, what it says when there is none, when it works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "local" / "environment.sh"

#: A Python as the script sees it: says its version, makes venvs, and notes what it was asked.
FAKE = """#!/bin/sh
echo "$@" >> "{log}"
case "$*" in
    *version_info*) echo "{version} {path}" ;;
    "-c import ensurepip, venv") exit {venv_missing} ;;
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    "-m pip --version"|"-m uv --version") exit 0 ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine with the basic tools only, and a project with one requirement."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "awk", "cat", "cmp", "cp", "echo", "mkdir", "printf", "rm", "sed"):
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    (tmp_path / "requirements-dev.txt").write_text("uv==1.0 \\\n    --hash=sha256:00\n")
    return tmp_path


def python(machine: Path, name: str, version: str, *, venv_missing: bool = False) -> Path:
    """Put a Python on the machine's PATH."""
    path = machine / "bin" / name
    path.write_text(
        FAKE.format(
            log=machine / "asked", version=version, path=path, venv_missing=int(venv_missing)
        )
    )
    path.chmod(0o755)
    return path


def shim(machine: Path, name: str) -> None:
    """Put a command on the PATH that exists and fails, as pyenv's do for unselected versions."""
    path = machine / "bin" / name
    path.write_text("#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n")
    path.chmod(0o755)


def run(machine: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(SCRIPT), ".venv", "requirements-dev.txt"],
        cwd=machine,
        env={"PATH": str(machine / "bin"), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_newest_python_that_runs_is_taken(machine: Path) -> None:
    shim(machine, "python3.13")
    python(machine, "python3.12", "3.12")
    python(machine, "python3.11", "3.11")

    result = run(machine)

    assert result.returncode == 0, result.stderr
    assert f"Creating .venv with {machine}/bin/python3.12" in result.stdout


def test_a_python_without_a_versioned_name_will_do(machine: Path) -> None:
    python(machine, "python3", "3.12")

    assert f"with {machine}/bin/python3\n" in run(machine).stdout


def test_a_name_that_lies_about_its_version_is_not_believed(machine: Path) -> None:
    python(machine, "python3.13", "3.9")
    python(machine, "python3.11", "3.11")

    assert f"with {machine}/bin/python3.11\n" in run(machine).stdout


def test_a_named_python_wins(machine: Path) -> None:
    python(machine, "python3.13", "3.13")
    mine = python(machine, "mine", "3.12")

    assert f"with {mine}\n" in run(machine, PYTHON=str(mine)).stdout


@pytest.mark.parametrize("version", [None, "2.7", "3.10"])
def test_a_missing_or_old_python_is_said_clearly(machine: Path, version: str | None) -> None:
    if version:
        python(machine, "python3", version)

    result = run(machine)

    assert result.returncode == 1
    assert "No Python of version 3.13 or 3.12 or 3.11" in result.stderr
    assert "make test PYTHON=" in result.stderr
    assert not (machine / ".venv").exists()


def test_a_missing_venv_module_is_said_clearly(machine: Path) -> None:
    python(machine, "python3.11", "3.11", venv_missing=True)

    result = run(machine)

    assert result.returncode == 1
    assert "has no venv module" in result.stderr
    assert "python3-venv" in result.stderr


def test_the_second_time_nothing_is_done_until_the_requirements_change(machine: Path) -> None:
    python(machine, "python3.13", "3.13")
    run(machine)
    (machine / "asked").unlink()

    again = run(machine)
    assert again.stdout == ""
    assert (machine / "asked").read_text() == "-c \n"

    # The times that git gives a file say nothing; its content does.
    os.utime(machine / "requirements-dev.txt", (0, 0))
    assert run(machine).stdout == ""
    (machine / "requirements-dev.txt").write_text("uv==2.0 \\\n    --hash=sha256:00\n")
    assert "Installing requirements-dev.txt" in run(machine).stdout


def test_what_did_not_finish_is_done_again(machine: Path) -> None:
    broken = python(machine, "python3.13", "3.13")
    broken.write_text(
        broken.read_text().replace("esac\n", '*"pip sync"*|*"pip install"*) exit 1 ;;\nesac\n')
    )
    assert run(machine).returncode != 0

    assert (machine / ".venv" / "bin" / "python").exists()

    shutil.copy(python(machine, "python3.13", "3.13"), machine / ".venv" / "bin" / "python")
    assert "Installing" in run(machine).stdout


def test_this_interpreter_passes_the_probe() -> None:
    # The real thing once: the expression that the script asks every candidate.
    probe = 'import sys; print("%d.%d" % sys.version_info[:2], sys.executable)'
    assert probe in SCRIPT.read_text()
    said = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert said.stdout.startswith(f"{sys.version_info.major}.{sys.version_info.minor} /")
