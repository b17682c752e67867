"""The files of the log: `audit-000000000001.jsonl` and so on, each named after the number of its first line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

_PATTERN = "audit-*.jsonl"


class StoredLine(NamedTuple):
    """A line as stored in a file, without its newline; `whole` tells whether it ended with one."""

    file: Path
    position: int
    line: bytes
    whole: bool

    def __str__(self) -> str:
        return f"{self.file.name}:{self.position}"


def files(folder: Path) -> list[Path]:
    """The log's files, in order."""
    return sorted(folder.glob(_PATTERN))


def file_of(folder: Path, number: int) -> Path:
    """The path of the file whose first line has the number."""
    return folder / f"audit-{number:012d}.jsonl"


def lines(folder: Path) -> Iterator[StoredLine]:
    """Every line, in order."""
    for path in files(folder):
        with suppress(FileNotFoundError), path.open("rb") as file:  # it may be archived meanwhile
            for position, line in enumerate(file, start=1):
                yield StoredLine(path, position, line.removesuffix(b"\n"), line.endswith(b"\n"))


@contextmanager
def open_to_write(path: Path, flags: int = 0) -> Iterator[int]:
    """The descriptor of a file opened for writing."""
    descriptor = os.open(path, os.O_WRONLY | flags, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Returns when the file's content survives a loss of power."""
    with open_to_write(path) as descriptor:
        os.fdatasync(descriptor)


def cut_torn_line(path: Path) -> int:
    """Truncates the file after its last newline.

    Returns:
        How many bytes were cut off.
    """
    if not path.exists():
        return 0
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if torn := len(content) - whole:
        os.truncate(path, whole)
    return torn


def sync_folder(folder: Path) -> None:
    """Returns when the folder's entries survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
