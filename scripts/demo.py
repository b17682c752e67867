"""A demo in a terminal, with the embedded defaults: simulates a day on a campus, stores it sealed, and queries it.

Run by `make demo`. It uses only the command line, and shows each command before it runs. With KEEP=1 it simulates four
weeks, and then serves the dashboard until Ctrl-C while the next day is ingested live, an hour per minute.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from live_campus import campus_days, in_real_time
from pyarrow import csv
from rich.console import Console
from rich.table import Table

from privacyplease.cli.clocks import clock_from
from privacyplease.cli.local.home import InstallationHome
from privacyplease.client import Client

DAY = date(2024, 10, 1)
SEED = 1


class CampusSize(NamedTuple):
    """The size of a simulated campus: its devices and places, and its days, of which `DAY` is the last."""

    devices: int
    places: int
    days: int


ONE_DAY = CampusSize(devices=2_000, places=80, days=1)
WEEKS = CampusSize(devices=1_000, places=48, days=29)  # with the same weekday of earlier weeks, to compare with

# With KEEP=1: the time on the next day at which the dashboard starts, and how many times faster time passes.
MORNING = datetime(2024, 10, 2, 7, 45, tzinfo=UTC)
SPEED = 60

_console = Console(highlight=False)


def main() -> None:
    """Runs the demo in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="privacyplease-demo-"))
    keep = bool(os.environ.get("KEEP"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ["PRIVACYPLEASE_HOME"] = str(folder / "home")
    _say(
        "Start two servers that authenticate each other by certificates: the trusted proxy with new keys, "
        "and the untrusted server with an empty SQLite store."
    )
    _run("up", "--proxy-port", "0", "--detach")
    try:
        _tour(InstallationHome(folder / "home"), folder / "campus.csv", WEEKS if keep else ONE_DAY)
        if keep:
            _serve(InstallationHome(folder / "home"))
    except KeyboardInterrupt:
        _console.print()
    finally:
        _run("down")
        shutil.rmtree(folder)


def _tour(home: InstallationHome, log: Path, campus: CampusSize) -> None:
    _say("Simulate the session log that a campus WiFi controller would write.")
    sizes = "--devices", campus.devices, "--places", campus.places, "--days", campus.days
    _run("simulate", *sizes, "--seed", SEED, "--start", _first(campus), "-o", log)
    _say("Ingest it. The proxy seals every session before it is stored.")
    _run("ingest", "wifi", log)
    device, place = _device_and_place(log)
    _say("Where was this device between 9 and 12? A question about a person needs a purpose.")
    _run("presence", device, "--from", f"{DAY}T09:00Z", "--to", f"{DAY}T12:00Z", "--purpose", "lost property")
    _say("How many people were there at lunchtime: on the whole campus, and at its busiest place?")
    _run("count", "--from", f"{DAY}T12:00Z", "--to", f"{DAY}T13:00Z")
    _run("count", "--from", f"{DAY}T12:00Z", "--to", f"{DAY}T13:00Z", "--place", place)
    _say("The whole day, per half hour.")
    _run("occupancy", "--from", f"{DAY}T06:00Z", "--to", f"{DAY}T22:00Z", "--step", "30m")
    _say("This is all that the untrusted server has.")
    _show_store(home.path / "server" / "store.db")


def _serve(home: InstallationHome) -> None:
    """Serves the dashboard and ingests the next day live, until one of them ends."""
    _say(
        f"The next day from {MORNING:%H:%M}, an hour per minute: sessions are ingested as they begin, and sealed like "
        "the others."
    )
    _console.print(f"From another terminal: export PRIVACYPLEASE_HOME={shlex.quote(str(home.path))}", soft_wrap=True)
    clock = clock_from(MORNING, SPEED)
    days = campus_days(WEEKS.devices, WEEKS.places, SEED, _first(WEEKS), first=WEEKS.days)
    with _dashboard() as serving, _client(home) as client:
        for _ in client.ingest("wifi", in_real_time(days, clock, lambda: serving.poll() is None)):
            pass


@contextmanager
def _dashboard() -> Iterator[subprocess.Popen[bytes]]:
    """Serves the dashboard, which prints its address and how to log in."""
    arguments = "dashboard", "--listen", "127.0.0.1:0", "--as-of", MORNING.isoformat(), "--speed", str(SPEED)
    serving = subprocess.Popen(_echoed(*arguments))  # noqa: S603  # our own command
    try:
        yield serving
    finally:
        serving.terminate()
        serving.wait()


def _client(home: InstallationHome) -> Client:
    running = home.running()
    assert running is not None, "both servers have been started"  # noqa: S101
    return Client(running.proxy.address, certificates=home.operator_certificate)


def _first(campus: CampusSize) -> date:
    return DAY - timedelta(days=campus.days - 1)


def _say(text: str) -> None:
    _console.print(f"\n[bold]{text}[/bold]")


def _run(*arguments: object) -> None:
    """Shows a command and runs it."""
    subprocess.run(_echoed(*arguments), check=True)  # noqa: S603  # our own command


def _echoed(*arguments: object) -> list[str]:
    """Shows a command and returns it."""
    words = [str(argument) for argument in arguments]
    _console.print(f"[dim]$ privacyplease {shlex.join(words)}[/dim]", soft_wrap=True)
    return [str(Path(sys.executable).with_name("privacyplease")), *words]


def _device_and_place(log: Path) -> tuple[str, str]:
    """A fairly busy device, and the busiest place."""
    columns = "Client MAC Address", "AP Name"
    sessions = csv.read_csv(log, convert_options=csv.ConvertOptions(include_columns=columns))
    devices, places = (Counter(sessions[column].to_pylist()) for column in columns)
    return devices.most_common(len(devices) // 4)[-1][0], places.most_common(1)[0][0]


def _show_store(file: Path) -> None:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as store:
        tables = [
            name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        ]
        (cells, size), *_ = store.execute("SELECT count(*), sum(length(sealed)) FROM cells")
        rows = store.execute("SELECT tag, sealed FROM cells ORDER BY tag LIMIT 4").fetchall()
    _console.print(f"tables: {', '.join(tables)}; in `cells`: {cells:,} rows, {size / 2**20:.1f} MiB")
    table = Table("tag", "sealed", "bytes")
    for tag, sealed in rows:
        table.add_row(tag.hex(), sealed[:12].hex() + "…", f"{len(sealed):,}")
    _console.print(table)


if __name__ == "__main__":
    main()
