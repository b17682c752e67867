"""Fails if the README or a page of docs shows other output than its commands give. With --write it puts that output in.

A block to be checked is fenced and follows a comment `<!-- output of: COMMAND -->`.
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
    """Checks, or writes.

    Returns:
        0 if all pages are true, or were made so; 1 if one is not.
    """
    untrue = [page for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))) if not _true(page)]
    for page in untrue:
        print(f"error: {page.relative_to(ROOT)} shows other output than its commands give", file=sys.stderr)
    if untrue:
        print(f"hint: {sys.executable} scripts/check_readme.py --write", file=sys.stderr)
    return 1 if untrue else 0


def _true(page: Path) -> bool:
    """Whether a page is true, or was made so."""
    text = page.read_text()
    true = BLOCK.sub(lambda block: block[1] + _output(block["command"]) + block["end"], text)
    if "--write" in sys.argv and true != text:
        page.write_text(true)
    return "--write" in sys.argv or true == text


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
