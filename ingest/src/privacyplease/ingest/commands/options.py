"""Options that several commands share, and how their failures are reported."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from privacyplease.cli.exit_codes import ExitCode
from privacyplease.cli.failures import CommandError
from privacyplease.ingest.errors import (
    BrokerError,
    DeliveryError,
    FeedRefusedError,
    IngestError,
    LayoutError,
    SettingsError,
    SparkError,
    ZoneError,
)
from privacyplease.transport.address import checked_address

__all__ = ["Bootstrap", "KafkaConfig", "Longest", "Timezone", "Topic", "reported_errors"]


def _brokers(text: str) -> str:
    try:
        for broker in text.split(","):
            checked_address(broker.strip())
    except ValueError as error:
        raise typer.BadParameter(f"{error}; several are separated by commas") from None
    return text


Bootstrap = Annotated[
    str,
    typer.Option(
        "--bootstrap",
        envvar="KAFKA_BOOTSTRAP",
        metavar="HOST:PORT",
        help="Some of Kafka's brokers.",
        callback=_brokers,
    ),
]
Topic = Annotated[str, typer.Option("--topic", metavar="T", help="The topic.")]
KafkaConfig = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="More settings for Kafka's client, one name=value per line, e.g. for TLS and passwords."
    ),
]
Timezone = Annotated[
    str | None,
    typer.Option(metavar="Z", help="Time zone of times that do not name theirs, such as Europe/Vienna or +01:00."),
]
Longest = Annotated[
    str, typer.Option(metavar="D", help="What a session lasts at most, such as 400d; longer ones are rejected.")
]

_CODES: dict[type[Exception], ExitCode] = {
    LayoutError: ExitCode.REFUSED,
    FeedRefusedError: ExitCode.REFUSED,
    ZoneError: ExitCode.USAGE,
    SettingsError: ExitCode.USAGE,
    SparkError: ExitCode.TRY_AGAIN,
    BrokerError: ExitCode.TRY_AGAIN,
    DeliveryError: ExitCode.TRY_AGAIN,
}


@contextlib.contextmanager
def reported_errors() -> Iterator[None]:
    """Turns failures of this zone into the errors that the command line reports."""
    try:
        yield
    except IngestError as error:
        raise CommandError(str(error), code=_CODES.get(type(error), ExitCode.FAULT)) from error
