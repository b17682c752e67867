"""What is fuzzed: a parser, and its contract."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, TypeAlias

Parse: TypeAlias = "Callable[[bytes], object]"

MIB = 1 << 20

# Values that chance does not find, in JSON and mostly in TOML: nested too deeply for a parser that calls itself, longer
# than Python converts, and half of a pair of surrogates.
EXTREMES = (
    b"[" * 5_000 + b"]" * 5_000,
    b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
    b"a = " + b"[" * 5_000 + b"]" * 5_000,
    b"a = " + b"9" * 5_000,
    b"9" * 5_000,
    b"1e999",
    b'"\\ud800"',
    b"null",
)


class Target(NamedTuple):
    """A parser of bytes from outside.

    Attributes:
        open: Returns the parser, given an empty folder that it may use. Called once, with coverage measured from then
            on in everything that it imports.
        errors: Returns the only errors that may come out; called after `open`.
        seeds: Returns valid inputs to start from; also called after `open`.
        most_mib: How much memory an input may take.
        most_bytes: How long inputs become.
    """

    open: Callable[[Path], Parse]
    errors: Callable[[], tuple[type[Exception], ...]]
    seeds: Callable[[], Iterable[bytes]]
    most_mib: int = 64
    most_bytes: int = 16_384
