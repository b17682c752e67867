"""The main job in a terminal, on embedded defaults: a campus day is simulated, sealed, stored, asked and looked at.

Run by `make demo`. Everything is done by the command line that users have, each command shown before it runs. With
KEEP=1 the servers stay up afterwards.
"""

from __future__ import annotations

import csv
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.table import Table

DAY = "2024-10-01"
DEVICES, PLACES = 5_000, 120

_console = Console(highlight=False)


def main() -> None:
    """Runs the demo in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="privacyplease-demo-"))
    home, log = folder / "home", folder / "campus.csv"
    _say(
        "Two servers start, which know each other by certificates: the trusted proxy with fresh keys, "
        "the untrusted server with an empty SQLite store."
    )
    _run("up", "--home", home, "--proxy-port", "0", "--detach")
    os.environ["PRIVACYPLEASE_HOME"] = str(home)
    try:
        _tour(home, log)
    finally:
        _end(folder, home)


def _tour(home: Path, log: Path) -> None:
    _say("A day on a campus, as its WiFi controller would report it.")
    _run("simulate", "--devices", DEVICES, "--places", PLACES, "--days", 1, "--seed", 1, "--start", DAY, "-o", log)
    _say("Every session is sealed by the proxy before it is stored.")
    _run("ingest", "wifi", log)
    device, place = _someone(log)
    _say("Where was this device between 9 and 12? Whoever asks about a person says why.")
    _run("presence", device, "--from", f"{DAY}T09:00Z", "--to", f"{DAY}T12:00Z", "--purpose", "lost property")
    _say("How many people were there over lunch: on the campus, and at its busiest place?")
    _run("count", "--from", f"{DAY}T12:00Z", "--to", f"{DAY}T13:00Z")
    _run("count", "--from", f"{DAY}T12:00Z", "--to", f"{DAY}T13:00Z", "--place", place)
    _say("The whole day, by half hours.")
    _run("occupancy", "--from", f"{DAY}T06:00Z", "--to", f"{DAY}T22:00Z", "--step", "30m")
    _say("And this is all that the untrusted server has of it.")
    _show_store(home / "server" / "store.db")


def _say(text: str) -> None:
    _console.print(f"\n[bold]{text}[/bold]")


def _run(*arguments: object) -> None:
    """Shows a command and runs it."""
    words = [str(argument) for argument in arguments]
    _console.print(f"[dim]$ privacyplease {shlex.join(words)}[/dim]", soft_wrap=True)
    command = Path(sys.executable).with_name("privacyplease")
    subprocess.run([command, *words], check=True)  # noqa: S603  # our own command


def _someone(log: Path) -> tuple[str, str]:
    """A device that moved about, and the busiest place."""
    devices: Counter[str] = Counter()
    places: Counter[str] = Counter()
    with log.open(newline="") as file:
        for session in csv.DictReader(file):
            devices[session["Client MAC Address"]] += 1
            places[session["AP Name"]] += 1
    return devices.most_common(len(devices) // 4)[-1][0], places.most_common(1)[0][0]


def _show_store(file: Path) -> None:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as store:
        tables = [
            name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        ]
        (cells, size), *_ = store.execute("SELECT count(*), sum(length(sealed)) FROM cells")
        rows = store.execute("SELECT tag, cell_id, sealed FROM cells ORDER BY tag LIMIT 4").fetchall()
    _console.print(f"tables: {', '.join(tables)}; in `cells`: {cells:,} rows, {size / 2**20:.1f} MiB")
    table = Table("tag", "cell_id", "sealed", "bytes")
    for tag, cell_id, sealed in rows:
        table.add_row(tag.hex(), cell_id[:4].hex() + "…", sealed[:8].hex() + "…", f"{len(sealed):,}")
    _console.print(table)


def _end(folder: Path, home: Path) -> None:
    if os.environ.get("KEEP"):
        _say("The servers stay up.")
        _console.print(f"ask:  export PRIVACYPLEASE_HOME={home}\nstop: privacyplease down", soft_wrap=True)
        return
    _run("down")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
