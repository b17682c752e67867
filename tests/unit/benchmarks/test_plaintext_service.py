from benchmarks.plaintext_service import series


def brute_force(visits: list[tuple[str, int, int]], start: int, end: int, step: int) -> list[int]:
    bounds = [(at, min(at + step - 1, end)) for at in range(start, max(end, start + 1), step)]
    bounds[-1] = bounds[-1][0], end
    return [len({device for device, first, last in visits if first <= upto and last >= at}) for at, upto in bounds]


def test_series_counts_a_device_once_in_each_step_that_its_visits_overlap() -> None:
    visits = [("a", -5, 3), ("a", 2, 12), ("b", 9, 9), ("b", 10, 30), ("c", 29, 99), ("d", 30, 30)]
    for step in (1, 3, 7, 10, 29, 30, 100):
        assert series(visits, 0, 30, step).tolist() == brute_force(visits, 0, 30, step), step


def test_series_without_visits_has_a_zero_for_each_step() -> None:
    assert series([], 0, 30, 7).tolist() == [0] * 5
