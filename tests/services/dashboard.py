"""The dashboard as a process of its own, and a browser in front of it.

Example:
    with dashboard(stack.home, operator="correct horse battery") as address, browsing() as browser:
        browser.new_page().goto(address)
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from privacyplease.dashboard.passwords import PasswordFile


@contextmanager
def dashboard(home: Path, *arguments: str, **passwords: str) -> Iterator[str]:
    """Serves the dashboard of a home whose servers are up; those named may log in.

    Returns:
        Its address, as "http://127.0.0.1:8050".
    """
    for number, (name, password) in enumerate(passwords.items()):
        if number == 0:
            passwd = [*_command(home), "passwd", name]
            subprocess.run(passwd, input=password, text=True, check=True, capture_output=True)
        else:  # as the command does, without the time that it takes to begin
            PasswordFile(home / "dashboard" / "passwords").set(name, password)
    process = subprocess.Popen(
        [*_command(home), "--listen", "127.0.0.1:0", *arguments], stdout=subprocess.PIPE, text=True, env=_environment()
    )
    try:
        yield _address(process)
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def browsing() -> Iterator[Browser]:
    """Debian's chromium, headless."""
    chromium = shutil.which("chromium")
    if chromium is None:
        missing = "expected chromium (apt-get install chromium), got none"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.match(r"dashboard +(https?://\S+)/ ", line):
            return found[1]
    raise RuntimeError(f"the dashboard ended with {process.wait()}")


def _command(home: Path) -> list[str]:
    return [sys.executable, "-m", "privacyplease.cli", "--home", str(home), "dashboard"]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PRIVACYPLEASE_")}
    return {**kept, "PYTHONUNBUFFERED": "1"}
