"""Verification of the audit log: whether lines were edited, removed or reordered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from privacyplease.proxy.audit.chain import START, ChainedLine, anchor, open_line
from privacyplease.proxy.audit.files import StoredLine
from privacyplease.proxy.keys.derivation import Key


class Anchor(NamedTuple):
    """What the trusted store remembers of the end of the log.

    Attributes:
        number: The number of the last line.
        mac: The MAC over that number and the line's chain.
    """

    number: int
    mac: bytes


NO_ANCHOR = Anchor(0, b"")


class Verdict(NamedTuple):
    """The result of a verification.

    Attributes:
        lines: How many lines were read.
        findings: What is wrong, each with file and line; empty if the log is intact.
        first: The number of the first line that was verified; more than 1 if earlier files are not there.
    """

    lines: int
    findings: list[str]
    first: int = 1


def verify(stored_lines: Iterable[StoredLine], chain_key: Key, anchor_key: Key, remembered: Anchor) -> Verdict:
    """Checks every line against the one before it, and the end against the anchor.

    After a line that does not hold, the chain is continued from that line, so that each fault is reported where it is.
    A torn last line is no fault: the proxy was killed while writing it, and nothing was answered. Nor are missing files
    at the beginning, if the first that is there begins with a checkpoint: `first` says that they are missing.

    Args:
        stored_lines: The lines, in order.
        chain_key: The key of the lines' MACs.
        anchor_key: The key of the anchor's MAC.
        remembered: The anchor. Lines after it are genuine if the chain holds.
    """
    before, number, read, first = START, 0, 0, 1
    findings: list[str] = []
    for stored in stored_lines:
        if not stored.whole:
            continue
        read += 1
        line = open_line(stored.line)
        if line is None:
            findings.append(f"{stored}: not a line of the log, or edited")
            number += 1
            continue
        if read == 1 and line.number > 1 and line.is_checkpoint(chain_key):
            first = line.number
        # A proxy that continued a log without its end chained on from what was left, after the number in the anchor.
        elif line.number != number + 1 or not line.holds(chain_key, before):
            findings.append(f"{stored}: {_fault(line, number)}")
        before, number = line.chain, line.number
        if number == remembered.number and anchor(anchor_key, number, before) != remembered.mac:
            findings.append(f"{stored}: not the line that the proxy remembers under this number")
    if number < remembered.number:
        findings.append(f"the end: {_range(number + 1, remembered.number)} missing")
    return Verdict(read, findings, first)


def _fault(line: ChainedLine, last: int) -> str:
    if line.number > last + 1:
        return f"{_range(last + 1, line.number - 1)} missing before line {line.number}"
    if line.number <= last:
        return f"line {line.number} is repeated or out of order"
    return f"line {line.number} or the line before it was edited"


def _range(first: int, last: int) -> str:
    return f"line {first} is" if first == last else f"lines {first} to {last} are"
