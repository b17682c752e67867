"""Fails if a line of prose in a Markdown file is too long. With --write it wraps the paragraphs that have such lines.

Tables, code blocks, comments and definitions of links may be of any length, and so may a line that is one word. Reports
that are generated are left as they are.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
WIDTH = 120
GENERATED = "docs/reports/"

# A point of a list, up to its text.
_POINT = re.compile(r" *(?:[-*+]|\d+[.)]) +")
# What no line of prose is: a table, a heading, a quotation, a comment, a definition of a link, an image, an empty line.
_NO_PROSE = re.compile(r"\s*(?:[|#>]|<!--|\[[^\]]+\]: |!\[|$)")
# A word that would be markup at the beginning of a line.
_MARKUP = re.compile(r"(?:[-+*#=]+|\d+[.)])$|[|>]")


def main() -> int:
    """Checks, or writes.

    Returns:
        0 if all lines are short enough, or were wrapped; 1 if one is not.
    """
    listed = _output("git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md")
    pages = [ROOT / name for name in listed if not name.startswith(GENERATED) and (ROOT / name).exists()]
    too_long = [f"{page.relative_to(ROOT)}:{number}" for page in pages for number in _checked(page)]
    for place in too_long:
        print(f"error: {place}: expected a line of at most {WIDTH} characters", file=sys.stderr)
    if too_long:
        print("hint: make format", file=sys.stderr)
    return 1 if too_long else 0


def _checked(page: Path) -> list[int]:
    """The numbers of lines that are too long and stay so."""
    text = page.read_text(encoding="utf-8")
    if "--write" in sys.argv:
        text = wrapped(text)
        page.write_text(text, encoding="utf-8")
    return long_lines(text)


def long_lines(text: str) -> list[int]:
    r"""The numbers of the lines of prose that are too long, from 1.

    >>> long_lines("short\n" + "word " * 30 + "\n| " + "cell " * 30 + "|\n")
    [2]
    """
    numbered = enumerate((line, prose) for lines, prose in _blocks(text) for line in lines)
    return [number + 1 for number, (line, prose) in numbered if prose and len(line) > WIDTH and " " in line.strip()]


def wrapped(text: str) -> str:
    """The same document, with each paragraph that has a long line wrapped anew.

    >>> wrapped("- " + 23 * "word " + "the end").splitlines()[1]
    '  end'
    """
    lines: list[str] = []
    for block, prose in _blocks(text):
        lines += _wrapped(block) if prose and any(len(line) > WIDTH for line in block) else block
    return "".join(f"{line}\n" for line in lines)


def _blocks(text: str) -> Iterator[tuple[list[str], bool]]:
    """All lines in order, in blocks: a paragraph or a point of a list (prose), or a line that is no prose."""
    block: list[str] = []
    in_code = False
    for line in text.splitlines():
        is_fence = line.lstrip().startswith("```")
        is_point = bool(_POINT.match(line))
        is_indented_code = not block and not is_point and line.startswith("    ")
        if in_code or is_fence or is_indented_code or _NO_PROSE.match(line):
            if block:
                yield block, True
            yield [line], False
            block = []
        elif block and is_point:
            yield block, True
            block = [line]
        else:
            block.append(line)
        in_code ^= is_fence
    if block:
        yield block, True


def _wrapped(block: list[str]) -> list[str]:
    point = _POINT.match(block[0])
    start = point[0] if point else block[0].removesuffix(block[0].lstrip())
    lines: list[list[str]] = [[]]
    for word in " ".join(block)[len(start) :].split():
        if lines[-1] and len(start) + len(" ".join([*lines[-1], word])) > WIDTH:
            following = [word]
            while _MARKUP.match(following[0]) and len(lines[-1]) > 1:
                following.insert(0, lines[-1].pop())
            lines.append(following)
        else:
            lines[-1].append(word)
    indents = [start, *[" " * len(start)] * (len(lines) - 1)]
    return [indent + " ".join(words) for indent, words in zip(indents, lines, strict=True)]


def _output(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
