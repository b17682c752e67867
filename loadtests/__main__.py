"""Load-tests a new installation: `python -m loadtests [--users 128] [--seconds 125] [--report FILE]`.

Ingests a simulated campus into its own store, then ramps up users in steps, doubling their number each time. Prints
where the knee is and writes the report.

Exit codes: 0 passed; 1 too many calls failed, or not even the first step kept up; 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from loadtests import results
from loadtests.cpu_sampler import CpuSampler
from loadtests.load_target import LoadTarget
from loadtests.report import LoadTestRun, document, verdict
from loadtests.results import CallRecord
from privacyplease.cli.local.home import InstallationHome
from tests.services.mariadb import MariaDB
from tests.services.stack import Stack, stack

_START = datetime(2024, 10, 7, tzinfo=UTC)
_SAMPLE = 500
_LEAST_USERS = 8
_GRACE_SECONDS = 120


def main() -> int:
    """Runs the load test.

    Returns:
        The exit code.
    """
    flags = _parser().parse_args()
    users = steps(flags.users)
    with (
        tempfile.TemporaryDirectory(prefix="loadtest-") as folder,
        _storage(flags.storage) as (url, pids),
        stack(url) as running,
    ):
        target, records = _populate(running, Path(folder), flags)
        run = _generate_load(running, target, Path(folder), users, flags, records, pids)
    print(verdict(run))
    for (user, name), kind in results.by_kind(run.calls, run.seconds).items():
        failed = f"{kind.failed:.1%} of {kind.calls:,} failed"
        print(f"{user:13} {name:30} p50 {kind.p50:,.0f} ms, p95 {kind.p95:,.0f} ms, p99 {kind.p99:,.0f} ms, {failed}")
    if flags.report:
        flags.report.write_text(document(run))
    return int(not _passed(run))


def steps(most: int) -> list[int]:
    """The numbers of users, doubling up to the maximum.

    >>> steps(64), steps(5)
    ([8, 16, 32, 64], [5])
    """
    users = [most]
    while users[0] // 2 >= _LEAST_USERS:
        users.insert(0, users[0] // 2)
    return users


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtests", description="Load-test a new installation.")
    parser.add_argument("--users", type=int, default=128, help="maximum number of concurrent users")
    parser.add_argument("--seconds", type=float, default=125, help="how long the load lasts")
    parser.add_argument("--devices", type=int, default=2_000, help="devices of the campus")
    parser.add_argument("--places", type=int, default=100, help="access points of the campus")
    parser.add_argument("--days", type=int, default=7, help="days of sessions to ingest before the test")
    parser.add_argument("--storage", help="URL of an empty store (default: start a private MariaDB)")
    parser.add_argument("--most-p99", type=float, default=1_000, metavar="MS", help="highest p99 allowed in a step")
    parser.add_argument("--most-failed", type=float, default=0.01, metavar="SHARE", help="largest share that may fail")
    parser.add_argument("--report", type=Path, metavar="FILE", help="file to write the report to")
    return parser


@contextmanager
def _storage(url: str | None) -> Iterator[tuple[str, dict[str, int]]]:
    """The URL of a store, and the process id of its database if it was started here."""
    if url is not None:
        yield url, {}
        return
    with MariaDB() as database:
        yield database.create_database("loadtest"), {"database": database.pid}


def _populate(running: Stack, folder: Path, flags: argparse.Namespace) -> tuple[LoadTarget, int]:
    """Ingests a simulated campus; returns the target and the number of sessions."""
    log = folder / "campus.csv"
    size = ("--devices", str(flags.devices), "--places", str(flags.places), "--days", str(flags.days))
    running.command("simulate", *size, "--start", f"{_START:%Y-%m-%d}", "-o", str(log))
    running.command("ingest", "wifi", str(log))
    running.command("compact")  # as past days are in an installation that has been running
    with log.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    devices = sorted({row["Client MAC Address"] for row in rows})
    places = sorted({row["AP Name"] for row in rows})
    chosen = random.Random(1).sample(devices, min(_SAMPLE, len(devices)))
    return LoadTarget(running.proxy, running.certificates, chosen, places, _START, flags.days), len(rows)


def _generate_load(
    running: Stack,
    target: LoadTarget,
    folder: Path,
    users: list[int],
    flags: argparse.Namespace,
    records: int,
    pids: dict[str, int],
) -> LoadTestRun:
    """Runs the load generator, and collects its calls and the CPU time of all processes."""
    target_file, calls_file = folder / "target.json", folder / "calls.jsonl"
    target.write(target_file)
    step_seconds = flags.seconds / len(users)
    command = [sys.executable, "-m", "loadtests.load_generator", str(target_file), str(calls_file)]
    command += ["--steps", ",".join(map(str, users)), "--step-seconds", str(step_seconds)]
    servers = InstallationHome(running.home).running()
    if servers is None:
        raise RuntimeError("expected both servers to be running")
    generator = subprocess.Popen(command)
    pids = {"proxy": servers.proxy.pid, "server": servers.server.pid, **pids, "users": generator.pid}
    with CpuSampler(pids) as sampler:
        try:
            if generator.wait(flags.seconds + _GRACE_SECONDS):
                raise RuntimeError(f"expected the load generator to exit with code 0, got {generator.returncode}")
        finally:
            generator.kill()
    head, *lines = calls_file.read_text().splitlines()
    began = json.loads(head)["began"]
    calls = [CallRecord(*json.loads(line)) for line in lines]
    cores = [
        sampler.cores(began + (step + results.SETTLING) * step_seconds, began + (step + 1) * step_seconds)
        for step in range(len(users))
    ]
    return LoadTestRun(
        running.client.status().storage.store,
        records,
        flags.seconds,
        calls,
        results.steps(calls, users, step_seconds),
        cores,
        flags.most_p99,
        flags.most_failed,
    )


def _passed(run: LoadTestRun) -> bool:
    kept_up = results.knee(run.steps, run.most_p99, run.most_failed) is not None
    return kept_up and results.faults(run.calls) <= run.most_failed


if __name__ == "__main__":
    sys.exit(main())
