r"""Text in columns, as wide as the terminal: one elastic column is cut if there is no room.

>>> rows = [("2", "Lund C", "13"), ("10", "Mårtenstorget, south side", "5")]
>>> print("\n".join(aligned(("number", "name", "bikes"), rows, width=28, right={"bikes"}, elastic="name")))
number  name           bikes
2       Lund C            13
10      Mårtenstorge…      5
"""

from collections.abc import Collection, Sequence

_GAP = "  "
_LEAST = 10  # names cut shorter than this look alike


def aligned(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    right: Collection[str] = (),
    elastic: str = "",
) -> list[str]:
    """Aligns rows under their headings.

    Args:
        headings: One for each column.
        rows: A text for each column.
        width: Characters that a line may have; lines are longer only if the other columns alone need more.
        right: Headings of the columns that are right-aligned.
        elastic: Heading of the column that is cut, to no less than its heading or `_LEAST` characters.
    """
    from rich.cells import cell_len, set_cell_size

    widths = [max(map(cell_len, column)) for column in zip(headings, *rows, strict=True)]
    if elastic in headings:
        index = headings.index(elastic)
        excess = sum(widths) + len(_GAP) * (len(widths) - 1) - width
        least = min(widths[index], max(_LEAST, cell_len(elastic)))
        widths[index] = max(widths[index] - max(excess, 0), least)

    def cell(text: str, size: int, heading: str) -> str:
        if cell_len(text) > size:
            return set_cell_size(text, size - 1) + "…"
        return " " * (size - cell_len(text)) + text if heading in right else set_cell_size(text, size)

    lines = [map(cell, row, widths, headings) for row in (headings, *rows)]
    return [_GAP.join(line).rstrip() for line in lines]
