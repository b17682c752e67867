r"""A column chart of a time series, drawn with block characters.

>>> print("\n".join(draw([1, 4, 8, 2], ("08:00", "12:00"), width=20, height=2)))
8 ┤        ████
  │▂▂▂▂████████▄▄▄▄
0 ┼────────────────
            ▲
   08:00      12:00
"""

from collections.abc import Sequence
from itertools import pairwise

# Block characters in eighths of a line, from nothing to all of it.
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_FULL = len(_EIGHTHS) - 1
_WIDEST_COLUMN = 8


def draw(counts: Sequence[int], ends: tuple[str, str], width: int, height: int = 8) -> list[str]:
    """Draws a series, with its first peak marked below.

    Args:
        counts: One count per step; at least one step.
        ends: Labels under the first and the last column.
        width: Characters that a line may have.
        height: Lines that the columns have.
    """
    label = f"{max(counts):,}"
    gutter = " " * (len(label) + 1)
    columns = fitted(counts, max(width - len(gutter) - 1, 1))
    first, *further = _bars(columns, height)
    return [
        f"{label} ┤{first}",
        *(f"{gutter}│{bar}" for bar in further),
        f"{'0':>{len(label)}} ┼{'─' * len(columns)}",
        f"{gutter} {' ' * _peak(columns, len(counts))}▲",
        f"{gutter} {_legend(*ends, len(columns))}",
    ]


def fitted(counts: Sequence[int], room: int) -> list[int]:
    """Stretches or squeezes a series to at most `room` columns.

    A column for several steps has the largest of their counts, so that no peak is lost.
    """
    steps = len(counts)
    columns = steps * min(room // steps, _WIDEST_COLUMN) or room
    cuts = [column * steps // columns for column in range(columns + 1)]
    return [max(counts[start : max(end, start + 1)]) for start, end in pairwise(cuts)]


def _peak(columns: Sequence[int], steps: int) -> int:
    """The middle of the columns of the first step with the largest count."""
    return columns.index(max(columns)) + max(len(columns) // steps - 1, 0) // 2


def _legend(first: str, last: str, width: int) -> str:
    room = width - len(first) - len(last)
    return f"{first}{' ' * room}{last}" if room > 0 else first


def _bars(columns: Sequence[int], height: int) -> list[str]:
    """The lines of the chart from top to bottom; a count that is not zero shows at least an eighth of a block."""
    top = max(*columns, 1)
    levels = [max(count * height * _FULL // top, min(count, 1)) for count in columns]
    return [
        "".join(_EIGHTHS[min(max(level - floor * _FULL, 0), _FULL)] for level in levels).rstrip()
        for floor in reversed(range(height))
    ]
