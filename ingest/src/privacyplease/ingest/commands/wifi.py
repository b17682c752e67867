"""`privacyplease ingest wifi`: session logs from files to the proxy."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, NamedTuple

import typer

from privacyplease.cli.connection import connect
from privacyplease.cli.exit_codes import ExitCode
from privacyplease.cli.failures import CommandError
from privacyplease.cli.option_values import read_duration
from privacyplease.cli.output import screen
from privacyplease.cli.output.output_formats import Json
from privacyplease.ingest.commands.options import Longest, Timezone, reported_errors

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
    longest: Longest = "400d",
    json: Json = False,
) -> None:
    """Ingest WiFi session logs. Reads Cisco Prime's "Client Sessions" CSV and the tab-separated stream format.

    Rejected records are written to the reject file with line, field and reason, and all others are stored; this is not
    a failure, and the exit code is 0 unless all records of a file were rejected. A file that cannot be read does not
    end the others. Ingesting a log again changes no answer.

    Example: privacyplease ingest wifi sessions.csv.gz --timezone Europe/Vienna
    """
    _require_files(files)
    started = time.monotonic()
    done: list[_IngestedFile] = []
    with reported_errors(), connect(context) as client:
        client.status()  # fails at once, rather than after a minute of retries, if the proxy does not respond
        rules = _Rules(_zone(timezone), read_duration(longest, "--longest"))
        try:
            with _progress() as progress:
                for file, rejected in _reject_files(files, rejects):
                    done.append(_IngestedFile(file))
                    _ingest(client, done[-1], rules, rejected, progress)
        finally:  # an interrupted run says what is stored, too
            if done:
                _Summary.of(done, time.monotonic() - started).print(as_json=json)
    _fail_if_any_failed(done)


class _Rules(NamedTuple):
    """How records are read: the zone of times without one, and what a session lasts at most."""

    zone: tzinfo | None
    longest: timedelta


@dataclass
class _IngestedFile:
    """What happened to a file.

    Attributes:
        file: The file.
        accepted: How many of its records are durable.
        rejected: How many were rejected.
        rejects: Where those are, if there are any.
        error: Why the rest of it was not read; "" if all was.
    """

    file: str
    accepted: int = 0
    rejected: int = 0
    rejects: str | None = None
    error: str = ""


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

    def print(self, *, as_json: bool) -> None:
        if as_json:
            screen.print_json(asdict(self))
        else:
            self._show()

    def _show(self) -> None:
        counts = f"{screen.counted(self.accepted, 'record')} accepted, {screen.number(self.rejected)} rejected"
        rate = f"{self.seconds:.1f} s ({screen.number(self.records_per_second)} records/s)"
        screen.out().print(f"{counts} in {rate}")
        for file in self.files:
            if file.rejects:
                screen.note(f"{file.file}: {screen.counted(file.rejected, 'rejected record')} in {file.rejects}")


def _fail_if_any_failed(files: list[_IngestedFile]) -> None:
    """Ends the run with an error if a file could not be read, or nothing of it was a record.

    Raises:
        CommandError: As above. Names each file.
    """
    broken = [file for file in files if file.error]
    useless = [file for file in files if not file.error and file.rejected and not file.accepted]
    faults = [f"{file.file}: {file.error}; {screen.counted(file.accepted, 'record')} of it stored" for file in broken]
    faults += [f"{file.file}: all {screen.counted(file.rejected, 'record')} rejected" for file in useless]
    if faults:
        stored = screen.counted(sum(file.accepted for file in files), "record")
        hint = f"{stored} stored in all; mend or replace what is named and ingest it again: nothing is stored twice"
        raise CommandError("; ".join(faults), hint, ExitCode.REFUSED if broken else ExitCode.FAULT)


def _require_files(files: list[str]) -> None:
    """Refuses a name that is mistyped before anything is stored.

    Raises:
        CommandError: As above.
    """
    for file in files:
        try:
            if file != _STDIN:
                Path(file).open("rb").close()
        except OSError as error:
            raise CommandError(f"{file}: cannot be read: {error.strerror}", code=ExitCode.USAGE) from error


def _reject_files(files: list[str], rejects: Path | None) -> Iterator[tuple[str, RejectFile]]:
    """Each file with its reject file: one for all if it was named, else one each."""
    from privacyplease.ingest.reject_file import RejectFile

    with contextlib.ExitStack() as stack:
        shared = stack.enter_context(RejectFile(rejects)) if rejects else None
        for file in files:
            path = Path("rejects.csv" if file == _STDIN else f"{file}.rejects.csv")
            reject_file = shared or stack.enter_context(RejectFile(path, numbered=True))
            reject_file.source = file
            yield file, reject_file


def _ingest(client: Client, done: _IngestedFile, rules: _Rules, rejects: RejectFile, progress: Progress) -> None:
    """Ingests a file, and keeps in `done` what has happened to it so far, whatever ends it."""
    from privacyplease.ingest import wifi
    from privacyplease.ingest.errors import LayoutError, SourceError
    from privacyplease.ingest.log_upload import LogUpload

    upload = LogUpload(client, rejects)
    try:
        with _open(done.file, progress) as stream:
            log = wifi.read(stream, timezone=rules.zone, longest=rules.longest)
            if log.ignored:
                screen.note(f"{done.file}: ignored unknown columns: {', '.join(log.ignored)}")
            upload.run(log)
            for warning in log.warnings:
                screen.note(f"{done.file}: {warning}")
    except (LayoutError, SourceError) as error:
        done.error = str(error)
    finally:
        done.accepted, done.rejected = upload.accepted, upload.rejected
        done.rejects = str(rejects.path) if upload.rejected else None


@contextlib.contextmanager
def _open(file: str, progress: Progress) -> Iterator[BinaryIO]:
    """The bytes of a file or of stdin, with a progress bar."""
    if file == _STDIN:
        progress.add_task("stdin", total=None)
        yield sys.stdin.buffer
        return
    from privacyplease.ingest.errors import SourceError

    try:
        opened = progress.open(file, "rb", description=Path(file).name)
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}") from error
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


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(wifi)
