"""Whether anybody has been at the log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from privacyplease.proxy.audit.chain import START, ChainedLine, anchor, open_line
from privacyplease.proxy.audit.files import StoredLine
from privacyplease.proxy.keys.derivation import Key


class Anchor(NamedTuple):
    """What the trusted store remembers of the end of the log.

    Attributes:
        number: The last line's.
        mac: What vouches for it.
    """

    number: int
    mac: bytes


NO_ANCHOR = Anchor(0, b"")


class Verdict(NamedTuple):
    """What the log is worth.

    Attributes:
        lines: How many were read.
        findings: What is wrong, each with file and line; nothing if the log is whole.
    """

    lines: int
    findings: list[str]


def verify(places: Iterable[StoredLine], chain_key: Key, anchor_key: Key, remembered: Anchor) -> Verdict:
    """Checks every line against the one before, and the end against the anchor.

    After a line that does not hold the chain is taken up again from it, so that each fault is found where it is. A last
    line that is torn is no fault: the proxy was killed while it wrote it, and nothing was answered.

    Args:
        places: The lines, in order.
        chain_key: What the lines are chained by.
        anchor_key: What the anchor is made with.
        remembered: The anchor. Lines after it are genuine if they hold.
    """
    before, number, read = START, 0, 0
    findings: list[str] = []
    for place in places:
        if not place.whole:
            continue
        read += 1
        line = open_line(place.line)
        if line is None:
            findings.append(f"{place}: not a line of the log, or edited")
            number += 1
            continue
        # Whoever took up a log without its end chained on from what was left, under the number that the anchor had.
        if line.number != number + 1 or not line.holds(chain_key, before):
            findings.append(f"{place}: {_fault(line, number)}")
        before, number = line.chain, line.number
        if number == remembered.number and anchor(anchor_key, number, before) != remembered.mac:
            findings.append(f"{place}: not the line that the proxy remembers under this number")
    if number < remembered.number:
        findings.append(f"the end: {_range(number + 1, remembered.number)} missing")
    return Verdict(read, findings)


def _fault(line: ChainedLine, last: int) -> str:
    if line.number > last + 1:
        return f"{_range(last + 1, line.number - 1)} missing before line {line.number}"
    if line.number <= last:
        return f"line {line.number} is repeated or out of order"
    return f"line {line.number} is edited, or the line before it is"


def _range(first: int, last: int) -> str:
    return f"line {first} is" if first == last else f"lines {first} to {last} are"
