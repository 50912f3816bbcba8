"""Which Chromium the page's tests use, and that the packaged one starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from local.browser import Browser, find_browser
from local.faults import MissingTool

ROOT = Path(__file__).parents[2]


def clicked_title(browser: Browser) -> str:
    """Open a page in `browser`, click its button, and return the title that the click has set."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(**browser.options())  # type: ignore[arg-type]
        page = chromium.new_page()
        # A field besides: a Chromium that finds no font dies of it.
        page.set_content(
            "<textarea></textarea><button onclick=\"document.title = 'clicked'\">x</button>"
        )
        page.fill("textarea", "x")
        page.click("button")
        title = page.title()
        chromium.close()
        return title


def test_this_machines_chromium_starts_and_clicks() -> None:
    assert clicked_title(find_browser()) == "clicked"


def test_without_a_chromium_the_packaged_one_starts_and_clicks(tmp_path: Path) -> None:
    nothing = {"PATH": str(tmp_path)}

    first = find_browser(environment=nothing)

    assert clicked_title(first) == "clicked"
    made = first.executable.stat().st_mtime_ns
    assert find_browser(environment=nothing).executable.stat().st_mtime_ns == made


def test_a_named_chromium_wins_and_must_exist(tmp_path: Path) -> None:
    program = tmp_path / "mine"
    program.touch(mode=0o755)

    assert find_browser(environment={"CHROMIUM": str(program)}).executable == program
    with pytest.raises(MissingTool, match="is not a program"):
        find_browser(environment={"CHROMIUM": str(tmp_path / "gone")})


def test_the_lock_file_pins_content_and_names_no_registry() -> None:
    lock = json.loads((ROOT / "local/browser/package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    for entry in packages.values():
        assert entry["integrity"].startswith("sha512-")
        assert "resolved" not in entry
