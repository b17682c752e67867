import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.cli.output.chart import draw, fitted

ENDS = ("2024-10-01T00:00:00Z", "2024-10-02T00:00:00Z")
series = st.lists(st.integers(0, 10_000), min_size=1, max_size=400)


@given(series, st.integers(20, 200))
def test_no_line_is_wider_than_the_terminal(counts: list[int], width: int) -> None:
    columns = draw(counts, ("a", "b"), width)
    assert all(len(line) <= width for line in columns)


@given(series, st.integers(1, 200))
def test_the_peak_is_never_lost(counts: list[int], room: int) -> None:
    columns = fitted(counts, room)
    assert max(columns) == max(counts)
    assert len(columns) <= room


@given(series, st.integers(20, 200))
def test_the_peak_is_marked_below_a_highest_column(counts: list[int], width: int) -> None:
    first, *_, mark, _ = draw(counts, ("a", "b"), width)
    if max(counts):
        assert first[mark.index("▲")] == "█"


def test_a_count_above_zero_is_never_drawn_as_zero() -> None:
    lowest = draw([1, 10_000], ENDS, 80)[-4]
    assert "▁" in lowest


@pytest.mark.parametrize("counts", [[0], [0, 0, 0]])
def test_an_empty_place_is_drawn_empty(counts: list[int]) -> None:
    lines = draw(counts, ENDS, 80)
    assert lines[0].startswith("0 ┤")
    assert not any("█" in line for line in lines)
