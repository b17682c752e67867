import pyarrow as pa

from benchmarks.sessions import CampusSessions


def test_a_smaller_scale_is_a_prefix_of_a_larger_one() -> None:
    small, large = (pa.concat_tables(CampusSessions(number).tables()) for number in (40_000, 70_000))
    assert len(small) == 40_000
    assert large.slice(0, 40_000).equals(small)


def test_a_day_is_generated_when_it_is_needed() -> None:
    first = next(iter(CampusSessions(10**12).tables()))
    assert 0 < len(first) < 100_000


def test_half_of_the_days_are_on_either_side_of_the_middle() -> None:
    data = CampusSessions(1_000_000)
    assert data.days > 31, "a range of 30 days must fit"
    assert abs((data.noon - data.start).days - data.days / 2) <= 4
