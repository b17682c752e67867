"""Options that commands around Kafka share, and how their failures are shown."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from privacyplease.cli.exit_codes import ExitCode
from privacyplease.cli.failures import CommandError
from privacyplease.ingest.errors import IngestError, LayoutError, ZoneError
from privacyplease.ingest.stream_errors import BrokerError, DeliveryError, FeedRefusedError, SettingsError

__all__ = ["Bootstrap", "KafkaConfig", "Topic", "explained"]

Bootstrap = Annotated[
    str, typer.Option("--bootstrap", envvar="KAFKA_BOOTSTRAP", metavar="HOST:PORT", help="Some of Kafka's brokers.")
]
Topic = Annotated[str, typer.Option("--topic", metavar="T", help="The topic.")]
KafkaConfig = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="More settings of Kafka's client, a name=value a line, as for TLS and passwords."
    ),
]

_CODES: dict[type[Exception], ExitCode] = {
    LayoutError: ExitCode.REFUSED,
    FeedRefusedError: ExitCode.REFUSED,
    ZoneError: ExitCode.USAGE,
    SettingsError: ExitCode.USAGE,
    BrokerError: ExitCode.TRY_AGAIN,
    DeliveryError: ExitCode.TRY_AGAIN,
}


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Failures of this zone, as the command line shows them."""
    try:
        yield
    except IngestError as error:
        raise CommandError(str(error), code=_CODES.get(type(error), ExitCode.FAULT)) from error
