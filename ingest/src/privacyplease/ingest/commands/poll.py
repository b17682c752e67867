"""`privacyplease ingest poll`: bike-share stations from the feeds of their operators."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from privacyplease.ingest.commands.options import Bootstrap, KafkaConfig, Topic, explained

if TYPE_CHECKING:
    from privacyplease.ingest.feeds.polling import Feed

__all__ = ["register"]

app = typer.Typer(help="Poll a feed of bike-share stations. Those that changed go to Kafka.")

Interval = Annotated[float, typer.Option(min=1, metavar="SECONDS", help="From one question to the next, at the least.")]


class Api(StrEnum):
    """Versions of JCDecaux's API."""

    V1 = "v1"
    V3 = "v3"


@app.command()
def jcdecaux(
    bootstrap: Bootstrap,
    topic: Topic,
    contract: Annotated[list[str] | None, typer.Option(metavar="C", help="A contract; may be repeated.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All contracts.")] = False,
    api: Annotated[Api, typer.Option(help="Version of the API.")] = Api.V1,
    url: Annotated[str | None, typer.Option(metavar="URL", help="Where the API is, if not at JCDecaux.")] = None,
    key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Holds the API key; else JCDECAUX_API_KEY does.")
    ] = None,
    interval: Interval = 60,
    kafka_config: KafkaConfig = None,
) -> None:
    """Poll JCDecaux's stations. The API key comes from JCDECAUX_API_KEY or a file, never from the command line.

    Example: privacyplease ingest poll jcdecaux --contract Lyon --bootstrap localhost:9092 --topic bikes
    """
    from privacyplease.ingest.feeds import ApiKey, JCDecaux, Web
    from privacyplease.ingest.feeds.jcdecaux import KEY_PARAMETER, KEY_VARIABLE, URL

    if bool(contract) == everything:
        raise typer.BadParameter("expected either --contract or --all", param_hint="--contract")
    names = [None] if everything else list[str | None](contract or [])
    with explained():
        web = Web((KEY_PARAMETER, ApiKey.load(KEY_VARIABLE, key_file)))
        feeds = [JCDecaux(web, each, version=api.value, url=url or URL) for each in names]
        _poll(feeds, bootstrap, topic, interval, kafka_config)


@app.command()
def gbfs(
    url: Annotated[str, typer.Argument(metavar="URL", help="A system's auto-discovery file, gbfs.json.")],
    bootstrap: Bootstrap,
    topic: Topic,
    language: Annotated[str, typer.Option(metavar="L", help="Language of names, where there are several.")] = "en",
    interval: Interval = 60,
    kafka_config: KafkaConfig = None,
) -> None:
    """Poll the stations of a system that publishes GBFS. Any version from 1.0 to 3.0; its ttl is honoured.

    Example: privacyplease ingest poll gbfs URL --bootstrap localhost:9092 --topic bikes
    """
    from privacyplease.ingest.feeds import Gbfs, Web

    with explained():
        _poll([Gbfs(Web(), url, language=language)], bootstrap, topic, interval, kafka_config)


def _poll(feeds: Sequence[Feed], bootstrap: str, topic: str, interval: float, kafka_config: Path | None) -> None:
    from privacyplease.ingest.broker import settings
    from privacyplease.ingest.feeds.polling import Pace, poll
    from privacyplease.ingest.producer import Producer
    from privacyplease.ingest.stopping import stop_on_signal

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    with stop_on_signal() as stop, Producer(topic, settings(bootstrap, kafka_config)) as producer:
        poll(feeds, producer, stop=stop, pace=Pace(interval))


def register(group: typer.Typer) -> None:
    """Adds the commands `poll jcdecaux` and `poll gbfs`."""
    group.add_typer(app, name="poll")
