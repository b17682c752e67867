"""`privacyplease ingest replay`: a session log to Kafka, as a live stream."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from privacyplease.cli.exit_codes import ExitCode
from privacyplease.cli.output import screen
from privacyplease.ingest.commands.options import Bootstrap, KafkaConfig, Timezone, Topic, reported_errors

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.progress import Progress

    from privacyplease.ingest.kafka.replay import Replay

__all__ = ["register"]


def replay(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A session log, gzipped or not; - is stdin.")],
    bootstrap: Bootstrap,
    topic: Topic,
    speed: Annotated[str, typer.Option(metavar="60x|max", help="Speed relative to real time.")] = "60x",
    timezone: Timezone = None,
    kafka_config: KafkaConfig = None,
) -> None:
    """Replay a WiFi session log to Kafka. Sends a message per session, keyed by device, in the order of association.

    Example: privacyplease ingest replay sessions.csv.gz --bootstrap localhost:9092 --topic wifi --speed max
    """
    from confluent_kafka.admin import AdminClient

    from privacyplease.ingest.kafka.broker import require_retention, settings
    from privacyplease.ingest.kafka.producer import Producer
    from privacyplease.ingest.kafka.replay import Replay, parse_speed
    from privacyplease.transport.stop_signals import stop_on_signal

    with reported_errors():
        factor, kafka = parse_speed(speed), settings(bootstrap, kafka_config)
        with Producer(topic, kafka) as producer:  # first, to fail at once if no broker responds
            sessions = Replay(_sessions(file, timezone))
            if sessions.earliest is not None:
                require_retention(AdminClient({**kafka}), topic, sessions.earliest)
            started = time.monotonic()
            with stop_on_signal() as stop, _progress() as progress:
                task = progress.add_task(topic, total=len(sessions))
                sent = sessions.send(
                    producer, speed=factor, stop=stop, on_progress=lambda count: progress.update(task, completed=count)
                )
        _report(sent, sessions, time.monotonic() - started)


def _sessions(file: str, timezone: str | None) -> Iterator[pa.Table]:
    from privacyplease.ingest import wifi

    rejected = 0
    for block in wifi.read(file, timezone=wifi.zone_named(timezone) if timezone else None):
        rejected += len(block.rejects)
        yield block.table
    if rejected:
        screen.note(f"skipped {screen.counted(rejected, 'bad record')}; `privacyplease ingest wifi` lists them")


def _report(sent: int, sessions: Replay, seconds: float) -> None:
    rate = f"{seconds:.1f} s ({screen.number(round(sent / max(seconds, 0.001)))} messages/s)"
    if sent < len(sessions):
        screen.note(f"stopped after {screen.number(sent)} of {screen.counted(len(sessions), 'session')} in {rate}")
        raise typer.Exit(ExitCode.INTERRUPTED)
    screen.note(f"{screen.counted(sent, 'session')} delivered in {rate}")


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(replay)
