"""Attacks the product in the working tree, and the controls, and writes what came out.

    python -m attacks [--report FILE] [--keep FOLDER] [--no-cover]

Exit codes: 0 if the product shows nothing that must stay hidden and every attack succeeds on its controls; else 1.
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
    """Attacks and reports."""
    flags = _parser().parse_args(arguments)
    settings = runs.Settings(questions=flags.questions)
    recordings = {"deterministic": runs.deterministic(settings), "bins": runs.bins()}
    recordings["product"] = runs.product(settings, _tell)
    if flags.keep:
        recordings["product"].write(flags.keep)
    _tell("attacking")
    results = {name: attacked(recording) for name, recording in recordings.items()}
    with_cover = None if flags.no_cover else runs.covered(settings, _tell)
    covered = None if with_cover is None else correlation(*with_cover)
    text = report.written(results, covered, runs.COVER, runs.COVERED_HOURS)
    flags.report.write_text(text, encoding="utf-8")
    wrong = [failure for name, of in results.items() for failure in failures(name, of)]
    for failure in wrong:
        sys.stderr.write(f"error: {failure}\n")
    _tell(f"{flags.report} is written")
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m attacks", description="Attack what the storage server sees.")
    parser.add_argument("--report", type=Path, default=REPORT, help="where to write, if not docs/reports/ATTACKS.md")
    parser.add_argument("--questions", type=int, default=runs.Settings.questions, help="about how many to ask")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the recording of the product, to replay it")
    parser.add_argument("--no-cover", action="store_true", help="leave out the days with cover, which take a minute")
    return parser


def _tell(what: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {what}\n")


if __name__ == "__main__":
    sys.exit(main())
