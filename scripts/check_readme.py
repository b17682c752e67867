"""Fails if the README shows other output than its commands give. With --write it puts that output in.

A block to be checked is fenced and follows a comment `<!-- output of: COMMAND -->`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(<!-- output of: (?P<command>.+?) -->\n```\n)(?P<shown>.*?)(?P<end>```)", re.DOTALL)


def main() -> int:
    """Checks, or writes.

    Returns:
        0 if the README is true, or was made so; 1 if it is not.
    """
    text = README.read_text()
    true = BLOCK.sub(lambda block: block[1] + _output(block["command"]) + block["end"], text)
    if "--write" in sys.argv:
        README.write_text(true)
    elif true != text:
        print("error: the README shows other output than its commands give", file=sys.stderr)
        print(f"hint: {sys.executable} scripts/check_readme.py --write", file=sys.stderr)
        return 1
    return 0


def _output(command: str) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    plain = {"COLUMNS": "80", "TERM": "dumb", "LANG": "C.UTF-8"}
    environment = {"PATH": path, "HOME": os.environ.get("HOME", "/"), **plain}
    done = subprocess.run(  # noqa: S603  # commands of our own README
        command.split(), capture_output=True, text=True, check=True, cwd=README.parent, env=environment
    )
    return "".join(line.rstrip() + "\n" for line in done.stdout.strip("\n").splitlines())


if __name__ == "__main__":
    sys.exit(main())
