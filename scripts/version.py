"""Fails if a distribution has another version than the file VERSION says. With --write it puts that version in.

A distribution is a folder with a `pyproject.toml`. It needs exactly that version of each other distribution of ours, so
that two machines never mix contracts of two releases.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

_VERSION = re.compile(r'^(version = )"[^"]*"$', re.MULTILINE)
_DEPENDENCY = re.compile(r'^( +"privacyplease(?:-\w+)?(?:\[\w+(?:,\w+)*\])?)(?:==[^"]*)?",$', re.MULTILINE)


def main() -> int:
    """Checks, or writes.

    Returns:
        0 if all distributions have the version, or were given it; 1 if one has another.
    """
    version = (ROOT / "VERSION").read_text(encoding="utf-8").strip()
    stale = []
    for file in sorted(ROOT.glob("*/pyproject.toml")):
        text = file.read_text(encoding="utf-8")
        current = versioned(text, version)
        if current != text and "--write" in sys.argv:
            file.write_text(current, encoding="utf-8")
        elif current != text:
            stale.append(file.relative_to(ROOT))
    for name in stale:
        print(f"error: {name}: expected version {version}, also of the distributions it needs", file=sys.stderr)
    if stale:
        print("hint: make version", file=sys.stderr)
    return 1 if stale else 0


def versioned(pyproject: str, version: str) -> str:
    r"""The same file with this version, and exactly this version of each other distribution of ours.

    >>> print(versioned('version = "0.1"\ndependencies = [\n    "privacyplease-protos",\n]', "0.2"))
    version = "0.2"
    dependencies = [
        "privacyplease-protos==0.2",
    ]
    """
    return _DEPENDENCY.sub(rf'\1=={version}",', _VERSION.sub(rf'\1"{version}"', pyproject))


if __name__ == "__main__":
    sys.exit(main())
