"""The report of a load test, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.report import machine
from loadtests.results import Called, Latencies, Step, by_kind, knee

_HOW = """\
Written by `make loadtest`; do not edit. Guards ask where a device was (0.5 to 1.5 s between questions), dashboards poll
a day at a place (2 to 5 s), analysts ask about a day to all days and the whole building (2 to 6 s): 4 : 3 : 1. Beside
them one stream ingests 200 sessions a second. Each user has a connection of its own, with mutual TLS. Every question is
answered from sealed cells, and verified. Whoever asks, both servers and the database share one machine, so the load
itself takes part of it.
"""


@dataclass(frozen=True)
class Run:
    """A load test that has ended.

    Attributes:
        store: The database and its version.
        records: Sessions that were there before.
        seconds: How long it took.
        calls: All calls.
        steps: The same, summed up by number of users.
        shares: For each step, by process, how many cores it kept busy.
        most_p99: What p99 a step may have, in ms.
        most_failed: What share may fail.
    """

    store: str
    records: int
    seconds: float
    calls: Sequence[Called]
    steps: Sequence[Step]
    shares: Sequence[dict[str, float]]
    most_p99: float
    most_failed: float


def document(run: Run) -> str:
    """The report."""
    about = machine() | {"store": run.store, "sessions before": f"{run.records:,}", "seconds": f"{run.seconds:,.0f}"}
    kinds = by_kind(run.calls, run.seconds)
    parts = [
        "# Load test",
        _HOW,
        _table(("run", ""), about.items()),
        "## How many users it keeps up with",
        verdict(run),
        _table(
            ("users", "answers/s", "p50 ms", "p95 ms", "p99 ms", "failed", "batches/s", "batch p99 ms", "cores busy"),
            (_step(step, share) for step, share in zip(run.steps, run.shares, strict=True)),
        ),
        "## What was asked",
        "Over all steps, those beyond the knee included.",
        _table(
            ("user", "what", "requests", "failures", "answers/s", "p50 ms", "p95 ms", "p99 ms", "KiB an answer"),
            ((user, name, *_kind(found)) for (user, name), found in kinds.items()),
        ),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def verdict(run: Run) -> str:
    """Where the knee is, in words."""
    bounds = (
        f"p99 at most {run.most_p99:,.0f} ms, at most {run.most_failed:.0%} failed, four fifths of the answers a user"
    )
    at = knee(run.steps, run.most_p99, run.most_failed)
    if at is None:
        return f"**No knee**: {run.steps[0].users} users are too many already ({bounds})."
    step = run.steps[at]
    found = f"{step.users} users, {step.questions.per_second:,.1f} answers/s, p99 {step.questions.p99:,.0f} ms"
    if at == len(run.steps) - 1:
        return f"**No knee up to {found}** ({bounds})."
    return f"**Knee: {found}**; {run.steps[at + 1].users} users are too many ({bounds})."


def _step(step: Step, shares: dict[str, float]) -> tuple[str, ...]:
    busy = ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
    questions, batches = step.questions, step.batches
    millis = (_millis(questions.p50), _millis(questions.p95), _millis(questions.p99))
    batch = f"{batches.per_second:,.2f}", _millis(batches.p99)
    return f"{step.users:,}", f"{questions.per_second:,.1f}", *millis, _failures(questions), *batch, busy


def _kind(found: Latencies) -> tuple[str, ...]:
    millis = (_millis(found.p50), _millis(found.p95), _millis(found.p99))
    return f"{found.calls:,}", _failures(found), f"{found.per_second:,.2f}", *millis, f"{found.bytes / 1024:,.1f}"


def _failures(found: Latencies) -> str:
    return ", ".join(f"{times:,} {code}" for code, times in sorted(found.failures.items())) or "0"


def _millis(value: float) -> str:
    return f"{value:,.0f}"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
