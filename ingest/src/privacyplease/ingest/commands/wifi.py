"""`privacyplease ingest wifi`: session logs from files to the proxy."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from privacyplease.cli.connection import connect
from privacyplease.cli.exit_codes import ExitCode
from privacyplease.cli.failures import CommandError
from privacyplease.cli.output import screen
from privacyplease.cli.output.output_formats import Json
from privacyplease.ingest.commands.options import Timezone, reported_errors

if TYPE_CHECKING:
    from rich.progress import Progress

    from privacyplease.client import Client
    from privacyplease.ingest.reject_file import RejectFile

__all__ = ["register"]

_STDIN = "-"


def wifi(
    context: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Session logs, gzipped or not; - is stdin.")],
    timezone: Timezone = None,
    rejects: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where rejected records are written; by default FILE.rejects.csv."),
    ] = None,
    json: Json = False,
) -> None:
    """Ingest WiFi session logs. Reads Cisco Prime's "Client Sessions" CSV and the tab-separated stream format.

    Rejected records are written to the reject file with line, field and reason, and all others are stored; this is not
    a failure, and the exit code is 0. Ingesting a log again changes no answer.

    Example: privacyplease ingest wifi sessions.csv.gz --timezone Europe/Vienna
    """
    started = time.monotonic()
    with reported_errors(), connect(context) as client, _progress() as progress:
        client.status()  # fails at once, rather than after a minute of retries, if the proxy does not respond
        zone = _zone(timezone)
        done = [_ingest(client, file, zone, rejected, progress) for file, rejected in _reject_files(files, rejects)]
    summary = _Summary.of(done, time.monotonic() - started)
    if json:
        screen.print_json(asdict(summary))
    else:
        summary.show()


@dataclass(frozen=True)
class _IngestedFile:
    """What happened to a file; `rejects` is where its rejected records are, if there are any."""

    file: str
    accepted: int
    rejected: int
    rejects: str | None


@dataclass(frozen=True)
class _Summary:
    """What happened to all files; this is what --json prints."""

    accepted: int
    rejected: int
    seconds: float
    records_per_second: int
    files: list[_IngestedFile]

    @classmethod
    def of(cls, files: list[_IngestedFile], seconds: float) -> _Summary:
        accepted, rejected = sum(file.accepted for file in files), sum(file.rejected for file in files)
        return cls(accepted, rejected, round(seconds, 3), round((accepted + rejected) / seconds), files)

    def show(self) -> None:
        counts = f"{screen.counted(self.accepted, 'record')} accepted, {screen.number(self.rejected)} rejected"
        rate = f"{self.seconds:.1f} s ({screen.number(self.records_per_second)} records/s)"
        screen.out().print(f"{counts} in {rate}")
        for file in self.files:
            if file.rejects:
                screen.note(f"{file.file}: {screen.counted(file.rejected, 'rejected record')} in {file.rejects}")


def _reject_files(files: list[str], rejects: Path | None) -> Iterator[tuple[str, RejectFile]]:
    """Each file with its reject file: one for all if it was named, else one each."""
    from privacyplease.ingest.reject_file import RejectFile

    with contextlib.ExitStack() as stack:
        shared = stack.enter_context(RejectFile(rejects)) if rejects else None
        for file in files:
            reject_file = shared or stack.enter_context(RejectFile(_unused_path(file)))
            reject_file.source = file
            yield file, reject_file


def _ingest(client: Client, file: str, zone: tzinfo | None, rejects: RejectFile, progress: Progress) -> _IngestedFile:
    from privacyplease.ingest import wifi
    from privacyplease.ingest.log_upload import upload_log

    with _open(file, progress) as stream:
        log = wifi.read(stream, timezone=zone)
        if log.ignored:
            screen.note(f"{file}: ignored unknown columns: {', '.join(log.ignored)}")
        summary = upload_log(client, log, rejects)
    return _IngestedFile(file, summary.accepted, summary.rejected, str(rejects.path) if summary.rejected else None)


@contextlib.contextmanager
def _open(file: str, progress: Progress) -> Iterator[BinaryIO]:
    """The bytes of a file or of stdin, with a progress bar."""
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


def _unused_path(file: str) -> Path:
    """Where a file's rejected records are written by default: never over an earlier run's, possibly their only copy."""
    stem = "rejects" if file == _STDIN else f"{file}.rejects"
    number, path = 1, Path(f"{stem}.csv")
    while path.exists():
        number += 1
        path = Path(f"{stem}-{number}.csv")
    return path


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(wifi)
