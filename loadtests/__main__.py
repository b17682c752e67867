"""Load on a fresh installation: `python -m loadtests [--users 128] [--seconds 125] [--report FILE]`.

A simulated campus is ingested into a store of its own, then users come in steps, each twice as many as the one before.
Prints where the knee is and writes the report.

Exit codes: 0 done; 1 more calls failed than may, or nobody kept up; 2 wrong arguments.
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
from loadtests.processes import Sampler
from loadtests.report import Run, document, verdict
from loadtests.results import Called
from loadtests.world import World
from privacyplease.cli.local.home import InstallationHome
from tests.services.mariadb import MariaDB
from tests.services.stack import Stack, stack

_START = datetime(2024, 10, 7, tzinfo=UTC)
_SAMPLE = 500
_LEAST_USERS = 8
_GRACE_SECONDS = 120


def main() -> int:
    """Runs it.

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
        world, records = _populate(running, Path(folder), flags)
        run = _drive(running, world, Path(folder), users, flags, records, pids)
    print(verdict(run))
    for (user, name), kind in results.by_kind(run.calls, run.seconds).items():
        failed = f"{kind.failed:.1%} of {kind.calls:,} failed"
        print(f"{user:10} {name:30} p50 {kind.p50:,.0f} ms, p95 {kind.p95:,.0f} ms, p99 {kind.p99:,.0f} ms, {failed}")
    if flags.report:
        flags.report.write_text(document(run))
    return int(not _passed(run))


def steps(most: int) -> list[int]:
    """Numbers of users, doubling up to the most.

    >>> steps(64), steps(5)
    ([8, 16, 32, 64], [5])
    """
    found = [most]
    while found[0] // 2 >= _LEAST_USERS:
        found.insert(0, found[0] // 2)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="loadtests", description="Load on a fresh installation.")
    parser.add_argument("--users", type=int, default=128, help="the most users at the same time")
    parser.add_argument("--seconds", type=float, default=125, help="how long the load lasts")
    parser.add_argument("--devices", type=int, default=2_000, help="devices of the campus")
    parser.add_argument("--places", type=int, default=100, help="access points of the campus")
    parser.add_argument("--days", type=int, default=7, help="days that are there before")
    parser.add_argument("--storage", help="URL of an empty store; else a private MariaDB is started")
    parser.add_argument("--most-p99", type=float, default=1_000, metavar="MS", help="what p99 a step may have")
    parser.add_argument("--most-failed", type=float, default=0.01, metavar="SHARE", help="what share may fail")
    parser.add_argument("--report", type=Path, metavar="FILE", help="where to write the report")
    return parser


@contextmanager
def _storage(url: str | None) -> Iterator[tuple[str, dict[str, int]]]:
    """A store, and the process that is behind it, if it is ours."""
    if url is not None:
        yield url, {}
        return
    with MariaDB() as database:
        yield database.create_database("loadtest"), {"database": database.pid}


def _populate(running: Stack, folder: Path, flags: argparse.Namespace) -> tuple[World, int]:
    """Ingests a simulated campus."""
    log = folder / "campus.csv"
    size = ("--devices", str(flags.devices), "--places", str(flags.places), "--days", str(flags.days))
    running.command("simulate", *size, "--start", f"{_START:%Y-%m-%d}", "-o", str(log))
    running.command("ingest", "wifi", str(log))
    running.command("compact")  # as days that are over are, on a machine that was there
    with log.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    devices = sorted({row["Client MAC Address"] for row in rows})
    places = sorted({row["AP Name"] for row in rows})
    chosen = random.Random(1).sample(devices, min(_SAMPLE, len(devices)))
    return World(running.proxy, running.certificates, chosen, places, _START, flags.days), len(rows)


def _drive(
    running: Stack,
    world: World,
    folder: Path,
    users: list[int],
    flags: argparse.Namespace,
    records: int,
    pids: dict[str, int],
) -> Run:
    """Lets the users loose."""
    world.write(folder / "world.json")
    step_seconds = flags.seconds / len(users)
    command = [sys.executable, "-m", "loadtests.drive", str(folder / "world.json"), str(folder / "calls.jsonl")]
    command += ["--steps", ",".join(map(str, users)), "--step-seconds", str(step_seconds)]
    servers = InstallationHome(running.home).running()
    if servers is None:
        raise RuntimeError("the servers are gone")
    driver = subprocess.Popen(command)
    pids = {"proxy": servers.proxy.pid, "server": servers.server.pid, **pids, "users": driver.pid}
    with Sampler(pids) as sampler:
        try:
            if driver.wait(flags.seconds + _GRACE_SECONDS):
                raise RuntimeError(f"the users ended with code {driver.returncode}")
        finally:
            driver.kill()
    head, *lines = (folder / "calls.jsonl").read_text().splitlines()
    began = json.loads(head)["began"]
    calls = [Called(*json.loads(line)) for line in lines]
    cores = [
        sampler.cores(began + (at + results.SETTLING) * step_seconds, began + (at + 1) * step_seconds)
        for at in range(len(users))
    ]
    return Run(
        running.client.status().storage.store,
        records,
        flags.seconds,
        calls,
        results.steps(calls, users, step_seconds),
        cores,
        flags.most_p99,
        flags.most_failed,
    )


def _passed(run: Run) -> bool:
    kept_up = results.knee(run.steps, run.most_p99, run.most_failed) is not None
    return kept_up and results.faults(run.calls) <= run.most_failed


if __name__ == "__main__":
    sys.exit(main())
