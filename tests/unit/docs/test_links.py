"""Links between documents lead to a file, and to a heading that is there; CONTRIBUTING names files that exist."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

_CODE = re.compile(r"```.*?```", re.DOTALL)
_CODE_SPAN = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_NAMED_FILE = re.compile(r"`([a-z_\d./-]+\.(?:py|proto|toml|md|sh))`")
_ELSEWHERE = ("http://", "https://", "mailto:")


def _tracked() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.splitlines()
    return [name for name in listed if (ROOT / name).exists()]


PAGES = [name for name in _tracked() if name.endswith(".md")]


@cache
def anchors(page: Path) -> frozenset[str]:
    """What can follow the `#` of a link to a page, as GitHub derives it from headings."""
    headings = re.findall(r"^#+ +(.+)$", _CODE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    seen: Counter[str] = Counter()
    found = set()
    for heading in headings:
        text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return frozenset(found)


def dead_links(page: Path, text: str) -> list[str]:
    """The links of a page's text that lead nowhere."""
    dead = []
    for target in _LINK.findall(_CODE_SPAN.sub("", _CODE.sub("", text))):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if target.startswith(_ELSEWHERE):
            continue
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            dead.append(target)
    return dead


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_a_file_and_a_heading_that_exist(name: str) -> None:
    page = ROOT / name
    assert dead_links(page, page.read_text(encoding="utf-8")) == []


def test_a_link_to_a_missing_file_or_heading_is_reported() -> None:
    text = "[a](POLICY.md) [b](MISSING.md) [c](POLICY.md#roles) [d](POLICY.md#missing) [e](https://example.org)"
    assert dead_links(ROOT / "docs" / "OPERATIONS.md", text) == ["MISSING.md", "POLICY.md#missing"]


def test_every_page_of_the_documents_is_in_their_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {name.removeprefix("docs/") for name in PAGES if name.startswith("docs/")} - {"README.md"}
    assert pages <= set(_LINK.findall(re.sub(r"#[\w-]+\)", ")", index)))


def test_contributing_names_only_files_that_exist() -> None:
    named = _NAMED_FILE.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    tracked = _tracked()
    assert len(named) > 20
    assert [name for name in named if not any(f"/{path}".endswith(f"/{name}") for path in tracked)] == []
