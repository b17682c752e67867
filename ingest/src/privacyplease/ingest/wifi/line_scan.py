"""Scans a block for lines that a CSV parser would misread, so that one bad line does not corrupt those after it.

All functions take the lines of a *whole* block (as from `LogLines.of`) and return an array with one value per line.
"""

import numpy as np
import numpy.typing as npt

from privacyplease.ingest.wifi.lines import LogLines

__all__ = ["count", "loosely_quoted", "undecodable"]


def count(lines: LogLines, character: str) -> npt.NDArray[np.int64]:
    """Counts an ASCII character in each line: int64[n]."""
    return np.bincount(_line_of(lines, _positions(lines, character)), minlength=len(lines))


def undecodable(lines: LogLines) -> npt.NDArray[np.bool_]:
    """Finds lines that are not UTF-8: bool[n]. A valid block is decoded once; otherwise its non-ASCII lines too."""
    bad = np.zeros(len(lines), np.bool_)
    if not _decodes(lines.block):
        for line in np.unique(_line_of(lines, np.flatnonzero(lines.codes >= 0x80))).tolist():
            bad[line] = not _decodes(lines.block[lines.starts[line] : lines.ends[line]])
    return bad


def loosely_quoted(lines: LogLines, delimiter: str) -> npt.NDArray[np.bool_]:
    """Finds lines with quotes that do not enclose whole fields, as in `15" screen`: bool[n].

    In proper quoting (RFC 4180, section 2) quotes alternately open and close. An opening quote follows a delimiter, the
    line's start or the quote that it doubles; a closing quote precedes a delimiter, the line's end or another quote.
    """
    quotes = _positions(lines, '"')
    line = _line_of(lines, quotes)
    closing = (np.arange(len(quotes)) - np.searchsorted(line, line)) % 2 == 1
    # For the first byte, index -1 is the block's last byte: a newline, as precedes any other line.
    neighbour = np.where(closing, lines.codes[quotes + 1], lines.codes[quotes - 1])
    proper = np.isin(neighbour, [ord(delimiter), ord("\n"), ord('"')])
    loose: npt.NDArray[np.bool_] = np.bincount(line, minlength=len(lines)) % 2 == 1
    loose[line[~proper]] = True
    return loose


def _positions(lines: LogLines, character: str) -> npt.NDArray[np.int64]:
    if character.encode() not in lines.block:  # ten times faster than comparing arrays, and usually true
        return np.empty(0, np.int64)
    return np.flatnonzero(lines.codes == ord(character))


def _line_of(lines: LogLines, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.searchsorted(lines.ends, positions)


def _decodes(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
