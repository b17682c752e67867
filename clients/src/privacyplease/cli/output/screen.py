"""Writes to the screen: answers on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO

_MIB = 1024 * 1024
_DEFAULT_WIDTH = 80


class StandardOutput:
    """Standard output, as wide as the terminal."""

    @property
    def width(self) -> int:
        """Characters that a line may have: COLUMNS if it is set, else as many as the terminal has."""
        columns = os.environ.get("COLUMNS", "")
        return int(columns) if columns.isdecimal() and int(columns) else _terminal_width()

    @property
    def is_terminal(self) -> bool:
        """Whether a person sees it as it is written."""
        return sys.stdout.isatty()

    def print(self, text: str) -> None:
        """Writes text and ends the line. It is flushed, since a program may wait for a line of `up`."""
        print(text, flush=True)


def out() -> StandardOutput:
    """Where answers go."""
    return StandardOutput()


def print_json(document: Mapping[str, Any]) -> None:
    """Writes an answer for programs, in one line."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")


def print_failure(message: str, hint: str) -> None:
    """Writes `error:` and, if there is one, `hint:`."""
    sys.stderr.write(f"error: {message}\n")
    if hint:
        sys.stderr.write(f"hint: {hint}\n")


def note(text: str) -> None:
    """Writes what is not part of the answer to stderr."""
    sys.stderr.write(f"{text}\n")


def hint_at_places(place: str | None) -> None:
    """After an empty answer about a place: suggests that it may not exist. Does nothing if none was given."""
    if place:
        note(f"hint: is {place!r} a place? `privacyplease locations` lists those that had devices")


def number(count: int) -> str:
    """With thousands separators.

    >>> number(178570)
    '178,570'
    """
    return f"{count:,}"


def printable(text: str) -> str:
    r"""Makes text from records safe to print: it could otherwise move the cursor or clear the screen.

    >>> printable("MÅRTENS\x1b[2J\nTORGET")
    'MÅRTENS�[2J�TORGET'
    """
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def counted(count: int, noun: str, plural: str = "") -> str:
    """A number of things.

    >>> counted(1, "session"), counted(1200, "session"), counted(0, "entry", "entries")
    ('1 session', '1,200 sessions', '0 entries')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def mebibytes(size: int) -> str:
    """Bytes in MiB.

    >>> mebibytes(47_500_000), mebibytes(22_540), mebibytes(0)
    ('45.3 MiB', '0.02 MiB', '0 MiB')
    """
    shown = f"{size / _MIB:,.1f}" if size * 10 >= _MIB else f"{size / _MIB:.1g}"
    return f"{shown} MiB"


def binary_out() -> BinaryIO:
    """Standard output for bytes."""
    return sys.stdout.buffer


def _terminal_width() -> int:
    """Of whichever standard stream is a terminal: output that goes through a pager is still as wide as the screen."""
    for descriptor in range(3):
        try:
            return os.get_terminal_size(descriptor).columns or _DEFAULT_WIDTH
        except OSError:
            continue
    return _DEFAULT_WIDTH
