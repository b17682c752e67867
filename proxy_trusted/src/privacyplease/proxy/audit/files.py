"""The files of the log: `audit-000000000001.jsonl` and so on, each named after the number of its first line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PATTERN = "audit-*.jsonl"


class Place(NamedTuple):
    """A line as it lies in a file; `whole` if it ends with a newline, which is not part of it."""

    file: Path
    position: int
    line: bytes
    whole: bool

    def __str__(self) -> str:
        return f"{self.file.name}:{self.position}"


def files(folder: Path) -> list[Path]:
    """Those there are, in order."""
    return sorted(folder.glob(_PATTERN))


def file_of(folder: Path, number: int) -> Path:
    """The file that begins with a line."""
    return folder / f"audit-{number:012d}.jsonl"


def lines(folder: Path) -> Iterator[Place]:
    """Every line, in order."""
    for path in files(folder):
        with path.open("rb") as file:
            for position, line in enumerate(file, start=1):
                yield Place(path, position, line.removesuffix(b"\n"), line.endswith(b"\n"))
