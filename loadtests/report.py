"""The report of a load test, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.report import machine
from loadtests.results import CallRecord, Latencies, StepResult, by_kind, knee

_HOW = """\
Written by `make loadtest`; do not edit. Security guards ask where a device was (pausing 0.5 to 1.5 s between
questions), dashboards poll a day at a place (2 to 5 s), and analysts ask about one day to all days and about the whole
building (2 to 6 s), in the ratio 4 : 3 : 1. Meanwhile one stream ingests 200 sessions a second. Each user has its own
connection, with mutual TLS. Every question is answered from sealed cells, and verified. The users, both servers and the
database share one machine, so the load generator itself uses part of it.
"""


@dataclass(frozen=True)
class LoadTestRun:
    """A load test that has ended.

    Attributes:
        store: The database and its version.
        records: How many sessions were stored before the test.
        seconds: How long it took.
        calls: All calls.
        steps: The calls, summarised by number of users.
        cores: For each step, by process, how many cores it kept busy.
        most_p99: The highest p99 that a step may have, in ms.
        most_failed: The largest share of calls that may fail.
    """

    store: str
    records: int
    seconds: float
    calls: Sequence[CallRecord]
    steps: Sequence[StepResult]
    cores: Sequence[dict[str, float]]
    most_p99: float
    most_failed: float


def document(run: LoadTestRun) -> str:
    """The report."""
    about = machine() | {"store": run.store, "sessions stored": f"{run.records:,}", "seconds": f"{run.seconds:,.0f}"}
    kinds = by_kind(run.calls, run.seconds)
    parts = [
        "# Load test",
        _HOW,
        _table(("run", ""), about.items()),
        "## How many users it keeps up with",
        verdict(run),
        _table(
            ("users", "answers/s", "p50 ms", "p95 ms", "p99 ms", "failed", "batches/s", "batch p99 ms", "cores busy"),
            (_step(step, cores) for step, cores in zip(run.steps, run.cores, strict=True)),
        ),
        "## Calls by kind",
        "Over all steps, including those beyond the knee.",
        _table(
            ("user", "call", "requests", "failures", "answers/s", "p50 ms", "p95 ms", "p99 ms", "KiB per answer"),
            ((user, name, *_kind(kind)) for (user, name), kind in kinds.items()),
        ),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def verdict(run: LoadTestRun) -> str:
    """Where the knee is, in words."""
    bounds = (
        f"p99 at most {run.most_p99:,.0f} ms, at most {run.most_failed:.0%} failed, "
        "at least four fifths of the first step's answers per user"
    )
    last = knee(run.steps, run.most_p99, run.most_failed)
    if last is None:
        return f"**No knee**: {run.steps[0].users} users are already too many ({bounds})."
    step = run.steps[last]
    load = f"{step.users} users, {step.questions.per_second:,.1f} answers/s, p99 {step.questions.p99:,.0f} ms"
    if last == len(run.steps) - 1:
        return f"**No knee up to {load}** ({bounds})."
    return f"**Knee: {load}**; {run.steps[last + 1].users} users are too many ({bounds})."


def _step(step: StepResult, cores: dict[str, float]) -> tuple[str, ...]:
    busy = ", ".join(f"{name} {count:.2f}" for name, count in cores.items())
    questions, batches = step.questions, step.batches
    millis = (_millis(questions.p50), _millis(questions.p95), _millis(questions.p99))
    batch = f"{batches.per_second:,.2f}", _millis(batches.p99)
    return f"{step.users:,}", f"{questions.per_second:,.1f}", *millis, _failures(questions), *batch, busy


def _kind(kind: Latencies) -> tuple[str, ...]:
    millis = (_millis(kind.p50), _millis(kind.p95), _millis(kind.p99))
    return f"{kind.calls:,}", _failures(kind), f"{kind.per_second:,.2f}", *millis, f"{kind.bytes / 1024:,.1f}"


def _failures(calls: Latencies) -> str:
    return ", ".join(f"{times:,} {code}" for code, times in sorted(calls.failures.items())) or "0"


def _millis(value: float) -> str:
    return f"{value:,.0f}"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
