"""Attacks the product in the working tree and the controls, and writes the report.

    python -m attacks [--report FILE] [--keep FOLDER] [--no-cover]

Exit codes: 0 if the product reveals nothing that must stay hidden and every attack succeeds on its controls; else 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from attacks import report, runs
from attacks.results import attacked, failures
from attacks.scores import correlation

REPORT = Path(__file__).parents[1] / "docs" / "reports" / "ATTACKS.md"


def main(arguments: list[str] | None = None) -> int:
    """Runs the attacks and writes the report."""
    flags = _parser().parse_args(arguments)
    settings = runs.ScenarioSettings(questions=flags.questions)
    recordings = {"deterministic": runs.deterministic(settings), "bins": runs.bins()}
    recordings["product"] = runs.product(settings, _progress)
    if flags.keep:
        recordings["product"].write(flags.keep)
    _progress("attacking")
    results = {name: attacked(recording) for name, recording in recordings.items()}
    with_cover = None if flags.no_cover else runs.covered(settings, _progress)
    covered = None if with_cover is None else correlation(*with_cover)
    text = report.written(results, covered, runs.COVER, runs.COVERED_HOURS)
    flags.report.write_text(text, encoding="utf-8")
    failed = [failure for name, result in results.items() for failure in failures(name, result)]
    for failure in failed:
        sys.stderr.write(f"error: {failure}\n")
    _progress(f"wrote {flags.report}")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m attacks", description="Attack what the storage server sees.")
    parser.add_argument(
        "--report", type=Path, default=REPORT, help="where to write the report; default: docs/reports/ATTACKS.md"
    )
    parser.add_argument(
        "--questions", type=int, default=runs.ScenarioSettings.questions, help="about how many questions to ask"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the recording of the product for replaying")
    parser.add_argument("--no-cover", action="store_true", help="skip the days with cover, which take a minute")
    return parser


def _progress(message: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {message}\n")


if __name__ == "__main__":
    sys.exit(main())
