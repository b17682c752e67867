"""The commands of this zone: `privacyplease ingest ...` and `privacyplease simulate`.

Readers and Arrow are imported when a command runs, since this module is loaded for every `--help` of these commands.
"""

from __future__ import annotations

import contextlib
import gzip
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, cast

import typer

from privacyplease.cli.connection import connect
from privacyplease.cli.exit_codes import ExitCode
from privacyplease.cli.failures import CommandError
from privacyplease.cli.output import screen
from privacyplease.cli.output.output_formats import Json
from privacyplease.ingest import commands
from privacyplease.ingest.errors import IngestError, LayoutError, ZoneError

if TYPE_CHECKING:
    from rich.progress import Progress

    from privacyplease.client import Client
    from privacyplease.ingest.rejects import RejectFile

__all__ = ["app", "simulate"]

app = typer.Typer(help="Bring records to the proxy.")

_MONDAY = datetime(2024, 10, 7, tzinfo=UTC)
_STDIN = "-"


@app.callback()
def sources() -> None:
    """Bring records to the proxy."""


@app.command()
def wifi(
    context: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Session logs, gzipped or not; - is stdin.")],
    timezone: Annotated[
        str | None, typer.Option(metavar="Z", help="Zone of times that do not tell theirs, as Europe/Vienna or +01:00.")
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where bad records go; else FILE.rejects.csv, if there are any.")
    ] = None,
    json: Json = False,
) -> None:
    """Ingest WiFi session logs. Cisco Prime "Client Sessions" as CSV, or its stream form.

    Bad records go to the reject file with line, field and reason, and the rest is stored: that is no failure, and the
    exit code is 0. Ingesting a log again changes no answer.

    Example: privacyplease ingest wifi sessions.csv.gz --timezone Europe/Vienna
    """
    began = time.monotonic()
    with _explained(), connect(context) as client, _progress() as progress:
        client.status()  # to learn at once, not after a minute of trying, if nobody answers
        zone = _zone(timezone)
        done = [_ingest(client, file, zone, aside, progress) for file, aside in _asides(files, rejects)]
    summary = _Summary.of(done, time.monotonic() - began)
    if json:
        screen.print_json(asdict(summary))
    else:
        summary.show()


@dataclass(frozen=True)
class _Ingested:
    """What became of a file; `rejects` is where its bad records are, if there are any."""

    file: str
    accepted: int
    rejected: int
    rejects: str | None


@dataclass(frozen=True)
class _Summary:
    """What became of all files; the shape that --json prints."""

    accepted: int
    rejected: int
    seconds: float
    records_per_second: int
    files: list[_Ingested]

    @classmethod
    def of(cls, files: list[_Ingested], seconds: float) -> _Summary:
        accepted, rejected = sum(file.accepted for file in files), sum(file.rejected for file in files)
        return cls(accepted, rejected, round(seconds, 3), round((accepted + rejected) / seconds), files)

    def show(self) -> None:
        counts = f"{screen.counted(self.accepted, 'record')} accepted, {screen.number(self.rejected)} rejected"
        rate = f"{self.seconds:.1f} s ({screen.number(self.records_per_second)} records/s)"
        screen.out().print(f"{counts} in {rate}")
        for file in self.files:
            if file.rejects:
                screen.note(f"{file.file}: {screen.counted(file.rejected, 'rejected record')} in {file.rejects}")


def _asides(files: list[str], rejects: Path | None) -> Iterator[tuple[str, RejectFile]]:
    """Each file, and where its bad records go: all into one reject file if it was named, else each into its own."""
    from privacyplease.ingest.rejects import RejectFile

    with contextlib.ExitStack() as opened:
        shared = opened.enter_context(RejectFile(rejects)) if rejects else None
        for file in files:
            aside = shared or opened.enter_context(RejectFile(_free(file)))
            aside.source = file
            yield file, aside


def _ingest(client: Client, file: str, zone: tzinfo | None, aside: RejectFile, progress: Progress) -> _Ingested:
    from privacyplease.ingest import wifi
    from privacyplease.ingest.upload import upload

    with _bytes_of(file, progress) as stream:
        log = wifi.read(stream, timezone=zone)
        if log.ignored:
            screen.note(f"{file}: columns not known and left out: {', '.join(log.ignored)}")
        summary = upload(client, log, aside)
    return _Ingested(file, summary.accepted, summary.rejected, str(aside.path) if summary.rejected else None)


@contextlib.contextmanager
def _bytes_of(file: str, progress: Progress) -> Iterator[BinaryIO]:
    """The bytes of a file or of stdin, with a bar that follows their reading."""
    if file == _STDIN:
        progress.add_task("stdin", total=None)
        yield sys.stdin.buffer
        return
    try:
        opened = progress.open(file, "rb", description=Path(file).name)
    except OSError as error:
        raise CommandError(f"{file}: cannot be read: {error.strerror}", code=ExitCode.USAGE) from error
    with opened as stream:
        yield stream


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(True), TimeRemainingColumn()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _zone(name: str | None) -> tzinfo | None:
    from privacyplease.ingest.wifi import zone_named

    return zone_named(name) if name else None


def _free(file: str) -> Path:
    """Where the bad records of a file go by default: never over an earlier run's, which may be their only copy."""
    stem = "rejects" if file == _STDIN else f"{file}.rejects"
    number, path = 1, Path(f"{stem}.csv")
    while path.exists():
        number += 1
        path = Path(f"{stem}-{number}.csv")
    return path


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Failures of this zone, as the command line shows them."""
    codes: dict[type[Exception], ExitCode] = {LayoutError: ExitCode.REFUSED, ZoneError: ExitCode.USAGE}
    try:
        yield
    except IngestError as error:
        raise CommandError(str(error), code=codes.get(type(error), ExitCode.FAULT)) from error


commands.register(app)


def simulate(
    devices: Annotated[int, typer.Option(min=1, metavar="N", help="Devices that belong to the campus.")] = 500,
    places: Annotated[int, typer.Option(min=1, metavar="N", help="Access points.")] = 40,
    days: Annotated[int, typer.Option(min=1, metavar="N", help="Days.")] = 1,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same seed gives the same log.")] = 1,
    start: Annotated[
        datetime,
        typer.Option(
            formats=["%Y-%m-%d"], metavar="DAY", show_default=False, help="The first day, UTC; else 2024-10-07."
        ),
    ] = _MONDAY,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where to; .gz compresses it, - is standard output.")
    ] = "-",
) -> None:
    """Make a WiFi session log of a simulated campus.

    Example: privacyplease simulate --devices 500 --places 40 --days 1 --seed 1 -o campus.csv.gz
    """
    from privacyplease.ingest import wifi
    from privacyplease.ingest.simulate import simulate as simulate_days

    with _opened(output) as stream:
        tables = simulate_days(devices=devices, places=places, days=days, seed=seed, start=start.date())
        count = wifi.write(tables, stream)
    made = f"{screen.counted(count, 'session')} of {screen.counted(devices, 'device')}"
    screen.note(f"{made} at {screen.counted(places, 'place')} over {screen.counted(days, 'day')}")


@contextlib.contextmanager
def _opened(output: str) -> Iterator[BinaryIO]:
    if output == "-":
        yield sys.stdout.buffer
        return
    with Path(output).open("wb") as file:
        if not output.endswith(".gz"):
            yield file
            return
        # Neither name nor time inside, so that one seed gives one file; the lowest level, since the text is repetitive.
        with gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=file, mtime=0) as packed:
            yield cast(BinaryIO, packed)
