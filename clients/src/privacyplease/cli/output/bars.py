r"""A bar chart of named counts, as wide as the terminal.

>>> print("\n".join(bars([("Library", 40), ("Canteen", 15)], width=26)))
Library  █████████████  40
Canteen  ████▉          15
>>> print("\n".join(bars([("Campus > Library > Ground floor", 40)], width=26)))
Campus > Libr…  ██████  40
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Block characters in eighths of a column, from nothing to nearly all of it.
_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL = len(_EIGHTHS)
_NARROWEST, _WIDEST = 6, 40
_GAP = "  "


def bars(rows: Sequence[tuple[str, int]], width: int) -> list[str]:
    """Draws one line per row: its name, its bar and its count.

    Args:
        rows: Names and counts; at least one.
        width: Characters that a line may have; if that is too few, names are cut before bars are.
    """
    from rich.cells import cell_len, set_cell_size

    top = max(*(count for _, count in rows), 1)
    counts = [f"{count:,}" for _, count in rows]
    right = max(map(len, counts))
    room = width - right - 2 * len(_GAP)
    names = max(min(max(cell_len(name) for name, _ in rows), room - _NARROWEST), 1)
    length = max(min(room - names, _WIDEST), 1)

    def cut(name: str) -> str:
        return name if cell_len(name) <= names else set_cell_size(name, names - 1) + "…"

    return [
        f"{set_cell_size(cut(name), names)}{_GAP}{_bar(count, top, length)}{_GAP}{text:>{right}}"
        for (name, count), text in zip(rows, counts, strict=True)
    ]


def _bar(count: int, top: int, length: int) -> str:
    """As long as the count's share of the largest; a count that is not zero shows at least an eighth of a block."""
    eighths = max(count * length * _FULL // top, min(count, 1))
    whole, rest = divmod(eighths, _FULL)
    return f"{'█' * whole}{_EIGHTHS[rest] if rest else ''}".ljust(length)
