"""`privacyplease ingest dlq`: records that could not be ingested, and wait sealed."""

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
from privacyplease.ingest.commands.options import Bootstrap, KafkaConfig, Topic, explained

if TYPE_CHECKING:
    from privacyplease.client import Client
    from privacyplease.ingest.dead_letters import Letter
    from privacyplease.ingest.dead_letters.mailbox import Mailbox, Received

__all__ = ["register"]

_COLUMNS = (
    *("partition", "offset", "redriven", "dataset", "field", "reason"),
    *("from_topic", "from_partition", "from_offset", "from_timestamp", "omitted", "message", "message_base64"),
)

app = typer.Typer(help="List dead letters, or bring them back to their topic.")


@app.command(name="list")
def list_letters(
    context: typer.Context,
    bootstrap: Bootstrap,
    topic: Topic,
    show: Annotated[bool, typer.Option("--show", help="Have the proxy open the messages, and show them.")] = False,
    kafka_config: KafkaConfig = None,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """List the dead letters of a topic. Why each is there, and where it came from.

    Example: privacyplease ingest dlq list --bootstrap localhost:9092 --topic wifi
    """
    from privacyplease.ingest.broker import settings
    from privacyplease.ingest.dead_letters import Mailbox

    with explained(), Mailbox(topic, settings(bootstrap, kafka_config)) as mailbox:
        if not show:
            _print(_described(mailbox, None), json, csv)
            return
        with connect(context) as client:
            _print(_described(mailbox, client), json, csv)


@app.command()
def replay(
    context: typer.Context, bootstrap: Bootstrap, topic: Topic, kafka_config: KafkaConfig = None, json: Json = False
) -> None:
    """Bring dead letters back to their topic. Each once, to be consumed again.

    Example: privacyplease ingest dlq replay --bootstrap localhost:9092 --topic wifi
    """
    from privacyplease.ingest.broker import settings
    from privacyplease.ingest.dead_letters import redrive
    from privacyplease.ingest.stopping import stop_on_signal

    with explained(), connect(context) as client, stop_on_signal() as stop:
        done = asdict(redrive(client, topic, settings(bootstrap, kafka_config), stop))
    if json:
        screen.print_json(done)
    else:
        screen.out().print(", ".join(f"{screen.number(count)} {what}" for what, count in done.items()))


def _described(mailbox: Mailbox, client: Client | None) -> Iterator[dict[str, Any]]:
    for received in mailbox.everything():
        for each, message in zip(received, _messages(received, client), strict=True):
            yield {
                "partition": each.partition,
                "offset": each.offset,
                "redriven": each.redriven,
                **_told(each.letter),
                **message,
            }


def _told(letter: Letter | None) -> dict[str, Any]:
    if letter is None:
        return {"reason": "expected a dead letter, got another message"}
    at = letter.origin.timestamp
    time = datetime.fromtimestamp(at / 1_000, UTC).isoformat().replace("+00:00", "Z") if at >= 0 else None
    from_ = {**letter.origin._asdict(), "timestamp": time}
    told = {"dataset": letter.dataset, "field": letter.field, "reason": letter.reason, "from": from_}
    return {**told, "omitted": letter.omitted} if letter.omitted else told


def _messages(received: list[Received], client: Client | None) -> list[dict[str, Any]]:
    from privacyplease.ingest.dead_letters.redrive import opened

    letters = [each.letter for each in received if each.letter is not None]
    if client is None:
        return [{}] * len(received)
    messages = iter(opened(client, letters))
    return [{} if each.letter is None else _shown(next(messages)) for each in received]


def _shown(message: bytes | None) -> dict[str, Any]:
    if message is None:
        return {"message": None}
    try:
        return {"message": message.decode()}
    except UnicodeDecodeError:
        return {"message_base64": base64.b64encode(message).decode()}


def _print(letters: Iterator[dict[str, Any]], json: bool, csv: bool) -> None:
    if json or csv:
        told = list(letters)
        printed_for_programs({"letters": told}, json, csv, _COLUMNS, map(_flat, told))
        return
    out, count = screen.out(), 0
    for letter in letters:
        out.print(_line(letter))
        count += 1
    screen.note(screen.counted(count, "dead letter"))


def _flat(letter: dict[str, Any]) -> dict[str, Any]:
    """A letter as a row of the CSV; what it does not tell is empty."""
    origin = letter.get("from", {})
    told = {**letter, **{f"from_{name}": origin.get(name) for name in ("topic", "partition", "offset", "timestamp")}}
    return {name: told.get(name) for name in _COLUMNS}


def _line(letter: dict[str, Any]) -> str:
    where = f"{letter['partition']}/{letter['offset']}"
    if "from" not in letter:
        return f"{where}  {letter['reason']}"
    origin = letter["from"]
    parts = [
        where,
        origin["timestamp"] or "no time",
        f"from {origin['topic']} {origin['partition']}/{origin['offset']}",
    ]
    parts += [f"{letter['field']}: {letter['reason']}", "redriven" if letter["redriven"] else "waiting"]
    shown = [repr(letter[name])[1:-1] for name in ("message", "message_base64") if letter.get(name)]
    return "  ".join([*parts, *shown])


def register(group: typer.Typer) -> None:
    """Adds the commands `dlq list` and `dlq replay`."""
    group.add_typer(app, name="dlq")
