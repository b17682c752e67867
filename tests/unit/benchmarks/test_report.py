from pathlib import Path

from benchmarks import report
from benchmarks.results import Results, Row, held
from benchmarks.targets import BULK_LOAD, MEMORY, QUIET, TEN_MILLION


def results(*ratios: float) -> Results:
    found = Results()
    section = found.section("questions", "Questions", "How.")
    for ratio in ratios:
        section.add(Row("count", ratio, 1.0, "ms", held([QUIET], ratio, TEN_MILLION)))
    return found


def line(document: str, start: str) -> str:
    return next(each for each in document.splitlines() if each.startswith(f"| {start}"))


def test_a_target_is_met_only_if_every_measurement_meets_it() -> None:
    assert line(report.summary(results(0.1, 0.6)), QUIET.what).endswith("| ≤ 0.6× | 0.6× | met |")
    assert line(report.summary(results(0.1, 0.7)), QUIET.what).endswith(
        f"| 0.7× | **not met** (1 of 2 are): {QUIET.cost} |"
    )


def test_a_target_that_was_not_measured_is_said_to_be_so() -> None:
    assert "not measured" in line(report.summary(results(0.1)), BULK_LOAD.what)


def test_the_worst_of_what_should_be_large_is_the_smallest() -> None:
    found = Results()
    section = found.section("bulk", "Bulk", "How.")
    for rate in (5.0, 0.9):
        section.add(Row("load", rate, 1.0, "sessions/s", held([BULK_LOAD], rate, 0)))
    assert "| 0.9× | **not met** (1 of 2 are)" in report.summary(found)


def test_a_target_of_a_scale_holds_at_that_scale_alone() -> None:
    assert held([QUIET, MEMORY], 1.0, 1_000_000) == ()
    assert len(held([QUIET, MEMORY], 1.0, TEN_MILLION)) == 2


def test_a_report_that_is_read_again_is_the_same(tmp_path: Path) -> None:
    found = results(0.1, 0.3)
    report.write(found, tmp_path / "report.md")
    assert report.load(tmp_path / "report.md") == found.sections


def test_what_is_measured_anew_replaces_what_was_measured_before() -> None:
    found = results(0.1)
    found.section("other", "Other", "How.")
    found.section("questions", "Questions", "How.")
    assert [(section.name, len(section.rows)) for section in found.sections] == [("questions", 0), ("other", 0)]
