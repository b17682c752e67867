from pathlib import Path

from benchmarks import report
from benchmarks.results import BenchmarkResults, Measurement, held_against
from benchmarks.targets import BULK_LOAD, MEMORY, QUIET, TEN_MILLION


def results(*ratios: float) -> BenchmarkResults:
    measured = BenchmarkResults()
    section = measured.section("questions", "Questions", "How.")
    for ratio in ratios:
        section.add(Measurement("count", ratio, 1.0, "ms", held_against([QUIET], ratio, TEN_MILLION)))
    return measured


def table_row(document: str, start: str) -> str:
    return next(line for line in document.splitlines() if line.startswith(f"| {start}"))


def test_a_target_is_met_only_if_every_measurement_meets_it() -> None:
    assert table_row(report.summary(results(0.1, 0.6)), QUIET.what).endswith("| ≤ 0.6× | 0.6× | met |")
    assert table_row(report.summary(results(0.1, 0.7)), QUIET.what).endswith(
        f"| 0.7× | **not met** (1 of 2 values meet it): {QUIET.cost} |"
    )


def test_a_target_without_a_measurement_is_reported_as_not_measured() -> None:
    assert "not measured" in table_row(report.summary(results(0.1)), BULK_LOAD.what)


def test_the_worst_value_of_a_lower_bound_is_the_smallest() -> None:
    measured = BenchmarkResults()
    section = measured.section("bulk", "Bulk", "How.")
    for rate in (5.0, 0.9):
        section.add(Measurement("load", rate, 1.0, "sessions/s", held_against([BULK_LOAD], rate, 0)))
    assert "| 0.9× | **not met** (1 of 2 values meet it)" in report.summary(measured)


def test_a_target_with_a_scale_applies_only_at_that_scale() -> None:
    assert held_against([QUIET, MEMORY], 1.0, 1_000_000) == ()
    assert len(held_against([QUIET, MEMORY], 1.0, TEN_MILLION)) == 2


def test_a_report_can_be_written_and_loaded_again(tmp_path: Path) -> None:
    measured = results(0.1, 0.3)
    report.write(measured, tmp_path / "report.md")
    assert report.load(tmp_path / "report.md") == measured.sections


def test_a_new_section_replaces_the_one_of_the_same_name() -> None:
    measured = results(0.1)
    measured.section("other", "Other", "How.")
    measured.section("questions", "Questions", "How.")
    assert [(section.name, len(section.rows)) for section in measured.sections] == [("questions", 0), ("other", 0)]
