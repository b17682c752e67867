"""`privacyplease ingest dlq`: messages that could not be ingested and are stored, sealed."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli.connection import connect
from privacyplease.cli.output import screen
from privacyplease.cli.output.output_formats import Csv, Json, printed_for_programs
from privacyplease.ingest.commands.options import Bootstrap, KafkaConfig, Topic, reported_errors

if TYPE_CHECKING:
    from privacyplease.client import Client
    from privacyplease.ingest.kafka.dead_letters import DeadLetter, DeadLetterReader
    from privacyplease.ingest.kafka.dead_letters.reader import StoredDeadLetter

__all__ = ["register"]

_COLUMNS = (
    *("partition", "offset", "redriven", "dataset", "field", "reason"),
    *("from_topic", "from_partition", "from_offset", "from_timestamp", "omitted", "message", "message_base64"),
)

app = typer.Typer(help="List dead letters, or send them back to their topic.")


@app.command(name="list")
def list_letters(
    context: typer.Context,
    bootstrap: Bootstrap,
    topic: Topic,
    show: Annotated[bool, typer.Option("--show", help="Have the proxy open the messages, and print them.")] = False,
    kafka_config: KafkaConfig = None,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """List the dead letters of a topic. Prints why each is there, and where it came from.

    Example: privacyplease ingest dlq list --bootstrap localhost:9092 --topic wifi
    """
    from privacyplease.ingest.kafka.broker import settings
    from privacyplease.ingest.kafka.dead_letters import DeadLetterReader

    with reported_errors(), DeadLetterReader(topic, settings(bootstrap, kafka_config)) as reader:
        if not show:
            _print(_described(reader, None), json, csv)
            return
        with connect(context) as client:
            _print(_described(reader, client), json, csv)


@app.command()
def replay(
    context: typer.Context, bootstrap: Bootstrap, topic: Topic, kafka_config: KafkaConfig = None, json: Json = False
) -> None:
    """Send dead letters back to their topic. Each is sent once, to be consumed again.

    Example: privacyplease ingest dlq replay --bootstrap localhost:9092 --topic wifi
    """
    from privacyplease.ingest.kafka.broker import settings
    from privacyplease.ingest.kafka.dead_letters import redrive
    from privacyplease.transport.stop_signals import stop_on_signal

    with reported_errors(), connect(context) as client, stop_on_signal() as stop:
        summary = asdict(redrive(client, topic, settings(bootstrap, kafka_config), stop))
    if json:
        screen.print_json(summary)
    else:
        screen.out().print(", ".join(f"{screen.number(count)} {outcome}" for outcome, count in summary.items()))


def _described(reader: DeadLetterReader, client: Client | None) -> Iterator[dict[str, Any]]:
    for chunk in reader.read_all():
        for stored, message in zip(chunk, _messages(chunk, client), strict=True):
            yield {
                "partition": stored.partition,
                "offset": stored.offset,
                "redriven": stored.redriven,
                **_headers(stored.letter),
                **message,
            }


def _headers(letter: DeadLetter | None) -> dict[str, Any]:
    if letter is None:
        return {"reason": "expected a dead letter, got another message"}
    millis = letter.origin.timestamp
    time = datetime.fromtimestamp(millis / 1_000, UTC).isoformat().replace("+00:00", "Z") if millis >= 0 else None
    origin = {**letter.origin._asdict(), "timestamp": time}
    headers = {"dataset": letter.dataset, "field": letter.field, "reason": letter.reason, "from": origin}
    return {**headers, "omitted": letter.omitted} if letter.omitted else headers


def _messages(chunk: list[StoredDeadLetter], client: Client | None) -> list[dict[str, Any]]:
    from privacyplease.ingest.kafka.dead_letters.redrive import open_messages

    if client is None:
        return [{}] * len(chunk)
    messages = iter(open_messages(client, [stored.letter for stored in chunk if stored.letter is not None]))
    return [{} if stored.letter is None else _printable(next(messages)) for stored in chunk]


def _printable(message: bytes | None) -> dict[str, Any]:
    if message is None:
        return {"message": None}
    try:
        return {"message": message.decode()}
    except UnicodeDecodeError:
        return {"message_base64": base64.b64encode(message).decode()}


def _print(letters: Iterator[dict[str, Any]], json: bool, csv: bool) -> None:
    if json or csv:
        rows = list(letters)
        printed_for_programs({"letters": rows}, json, csv, _COLUMNS, map(_flat, rows))
        return
    out, count = screen.out(), 0
    for letter in letters:
        out.print(_line(letter))
        count += 1
    screen.note(screen.counted(count, "dead letter"))


def _flat(letter: dict[str, Any]) -> dict[str, Any]:
    """A dead letter as a row of the CSV; columns that it lacks are empty."""
    origin = letter.get("from", {})
    row = {**letter, **{f"from_{name}": origin.get(name) for name in ("topic", "partition", "offset", "timestamp")}}
    return {name: row.get(name) for name in _COLUMNS}


def _line(letter: dict[str, Any]) -> str:
    position = f"{letter['partition']}/{letter['offset']}"
    if "from" not in letter:
        return f"{position}  {letter['reason']}"
    origin = letter["from"]
    parts = [
        position,
        origin["timestamp"] or "no time",
        f"from {origin['topic']} {origin['partition']}/{origin['offset']}",
    ]
    parts += [f"{letter['field']}: {letter['reason']}", "redriven" if letter["redriven"] else "pending"]
    messages = [repr(letter[name])[1:-1] for name in ("message", "message_base64") if letter.get(name)]
    return "  ".join([*parts, *messages])


def register(group: typer.Typer) -> None:
    """Adds the commands `dlq list` and `dlq replay`."""
    group.add_typer(app, name="dlq")
