"""Checks that the README and the pages of docs show the output that their commands print; --write updates them.

A checked block is fenced and follows a comment `<!-- output of: COMMAND -->`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"(<!-- output of: (?P<command>.+?) -->\n```\n)(?P<shown>.*?)(?P<end>```)", re.DOTALL)


def main() -> int:
    """Checks the pages, or updates them.

    Returns:
        0 if all pages are up to date, or were updated; 1 if one is outdated.
    """
    outdated = [page for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))) if not _up_to_date(page)]
    for page in outdated:
        print(f"error: {page.relative_to(ROOT)} does not show what its commands print", file=sys.stderr)
    if outdated:
        print(f"hint: {sys.executable} scripts/check_readme.py --write", file=sys.stderr)
    return 1 if outdated else 0


def _up_to_date(page: Path) -> bool:
    """Whether a page is up to date, or was updated."""
    text = page.read_text()
    current = BLOCK.sub(lambda block: block[1] + _output(block["command"]) + block["end"], text)
    if "--write" in sys.argv and current != text:
        page.write_text(current)
    return "--write" in sys.argv or current == text


def _output(command: str) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    plain = {"COLUMNS": "80", "TERM": "dumb", "LANG": "C.UTF-8"}
    environment = {"PATH": path, "HOME": os.environ.get("HOME", "/"), **plain}
    done = subprocess.run(  # noqa: S603  # commands of our own README
        command.split(), capture_output=True, text=True, check=True, cwd=ROOT, env=environment
    )
    return "".join(line.rstrip() + "\n" for line in done.stdout.strip("\n").splitlines())


if __name__ == "__main__":
    sys.exit(main())
