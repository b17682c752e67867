"""What goes to the screen: answers on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from rich.console import Console

_MIB = 1024 * 1024


def out() -> Console:
    """Where answers go. Names of places come from the data: nothing in them is markup."""
    from rich.console import Console

    class Answers(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # the command line knows what to do; rich would exit with 1

    return Answers(markup=False, emoji=False, highlight=False, soft_wrap=True)


def print_json(document: Mapping[str, Any]) -> None:
    """An answer for programs, in one line."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")


def print_failure(message: str, hint: str) -> None:
    """`error:` and, if there is one, `hint:`."""
    sys.stderr.write(f"error: {message}\n")
    if hint:
        sys.stderr.write(f"hint: {hint}\n")


def note(text: str) -> None:
    """Something that is no answer, but worth knowing."""
    sys.stderr.write(f"{text}\n")


def doubt(place: str | None) -> None:
    """Where nobody was at a place: that it may be none at all. None, anywhere, is beyond doubt."""
    if place:
        note(f"hint: is {place!r} a place? `privacyplease locations` lists those that had anybody")


def number(count: int) -> str:
    """With thousands separators.

    >>> number(178570)
    '178,570'
    """
    return f"{count:,}"


def printable(text: str) -> str:
    r"""Text from outside, which could otherwise move the cursor or clear the screen.

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
    """Where answers go that are bytes."""
    return sys.stdout.buffer
