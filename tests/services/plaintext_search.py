"""Searches files for what must never be written to a disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.services.sessions import MAC


def files_with(folder: Path, words: Iterable[str]) -> list[Path]:
    """The files below a folder that hold a MAC address in any notation, or one of the words in UTF-8 or UTF-16."""
    patterns = [form for word in words for form in (word.encode(), word.encode("utf-16-le"))]
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    return [file for file in files if _holds(file.read_bytes(), patterns)]


def _holds(content: bytes, patterns: list[bytes]) -> bool:
    return any(pattern in content for pattern in patterns) or bool(MAC.search(content.decode("latin-1")))
