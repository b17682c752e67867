"""Marks lines that a CSV parser would stumble over, before it sees them: one bad line must not spoil its block.

All functions take the lines of a *whole* block (`Lines.of`, nothing left out) and give an array with a value a line.
"""

import numpy as np
import numpy.typing as npt

from privacyplease.ingest.wifi.lines import Lines

__all__ = ["count", "loosely_quoted", "undecodable"]


def count(lines: Lines, character: str) -> npt.NDArray[np.int64]:
    """Counts an ASCII character in each line: int64[n]."""
    return np.bincount(_line_of(lines, _places(lines, character)), minlength=len(lines))


def undecodable(lines: Lines) -> npt.NDArray[np.bool_]:
    """Marks lines that are not UTF-8: bool[n]. Good blocks cost one decoding, others one more a line beyond ASCII."""
    bad = np.zeros(len(lines), np.bool_)
    if not _decodes(lines.block):
        for line in np.unique(_line_of(lines, np.flatnonzero(lines.codes >= 0x80))).tolist():
            bad[line] = not _decodes(lines.block[lines.starts[line] : lines.ends[line]])
    return bad


def loosely_quoted(lines: Lines, delimiter: str) -> npt.NDArray[np.bool_]:
    """Marks lines with quotes that do not enclose whole fields, as in `15" screen`: bool[n].

    In proper quoting (RFC 4180, section 2) quotes take turns in opening and closing. An opening one stands after a
    delimiter, a line's start or the quote that it doubles; a closing one stands before such.
    """
    quotes = _places(lines, '"')
    line = _line_of(lines, quotes)
    closing = (np.arange(len(quotes)) - np.searchsorted(line, line)) % 2 == 1
    # The byte before the block's first is its last: a newline, as before any other line.
    neighbour = np.where(closing, lines.codes[quotes + 1], lines.codes[quotes - 1])
    proper = np.isin(neighbour, [ord(delimiter), ord("\n"), ord('"')])
    loose: npt.NDArray[np.bool_] = np.bincount(line, minlength=len(lines)) % 2 == 1
    loose[line[~proper]] = True
    return loose


def _places(lines: Lines, character: str) -> npt.NDArray[np.int64]:
    if character.encode() not in lines.block:  # ten times as fast as an array of comparisons, and most often true
        return np.empty(0, np.int64)
    return np.flatnonzero(lines.codes == ord(character))


def _line_of(lines: Lines, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.searchsorted(lines.ends, places)


def _decodes(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
