"""Counts of devices, as several commands print them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from privacyplease.cli.output import screen
from privacyplease.cli.output.bars import bars

if TYPE_CHECKING:
    from collections.abc import Sequence

    from privacyplease.client import Count, PlaceCount, PlaceCounts


def count_text(count: Count, noun: str = "distinct device") -> str:
    """A count for people: "52 distinct devices", or "≈ 90,000 distinct devices (89,300 to 90,700)"."""
    text = screen.counted(count, noun)
    if count.exact:
        return text
    return f"≈ {text} ({screen.number(count.at_least)} to {screen.number(count.at_most)})"


def bounds(count: Count) -> dict[str, int]:
    """The bounds of an estimate, for JSON; empty for an exact count."""
    return {} if count.exact else {"at_least": count.at_least, "at_most": count.at_most}


def print_place_counts(counts: Sequence[PlaceCount] | PlaceCounts) -> None:
    """Prints the counts of places, or of groups of places, as bars."""
    out = screen.out()
    if not len(counts):
        out.print("no devices anywhere")
        return
    for line in bars([(screen.printable(count.place), count.distinct_devices) for count in counts], out.width):
        out.print(line)
