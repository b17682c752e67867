"""`privacyplease ingest poll`: bike-share stations from their operators' feeds to Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from privacyplease.ingest.commands.options import Bootstrap, KafkaConfig, Topic, reported_errors

if TYPE_CHECKING:
    from privacyplease.ingest.feeds.polling import Feed

__all__ = ["register"]

app = typer.Typer(help="Poll a feed of bike-share stations. Sends those that changed to Kafka.")

Interval = Annotated[float, typer.Option(min=1, metavar="SECONDS", help="Minimum time between two polls.")]


class Api(StrEnum):
    """A version of JCDecaux's API."""

    V1 = "v1"
    V3 = "v3"


@app.command()
def jcdecaux(
    bootstrap: Bootstrap,
    topic: Topic,
    contract: Annotated[list[str] | None, typer.Option(metavar="C", help="A contract; repeat for several.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All contracts.")] = False,
    api: Annotated[Api, typer.Option(help="Version of the API.")] = Api.V1,
    url: Annotated[str | None, typer.Option(metavar="URL", help="Base URL of the API, if not JCDecaux's own.")] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with the API key; by default it is read from JCDECAUX_API_KEY."),
    ] = None,
    interval: Interval = 60,
    kafka_config: KafkaConfig = None,
) -> None:
    """Poll JCDecaux's stations. The API key is read from JCDECAUX_API_KEY or a file, never from the command line.

    Example: privacyplease ingest poll jcdecaux --contract Lyon --bootstrap localhost:9092 --topic bikes
    """
    from privacyplease.ingest.feeds import ApiKey, JCDecaux, JsonClient
    from privacyplease.ingest.feeds.jcdecaux import KEY_PARAMETER, KEY_VARIABLE, URL

    if bool(contract) == everything:
        raise typer.BadParameter("expected either --contract or --all", param_hint="--contract")
    contracts = [None] if everything else list[str | None](contract or [])
    with reported_errors():
        client = JsonClient((KEY_PARAMETER, ApiKey.load(KEY_VARIABLE, key_file)))
        feeds = [JCDecaux(client, name, version=api.value, url=url or URL) for name in contracts]
        _poll(feeds, bootstrap, topic, interval, kafka_config)


@app.command()
def gbfs(
    url: Annotated[str, typer.Argument(metavar="URL", help="The system's auto-discovery file, gbfs.json.")],
    bootstrap: Bootstrap,
    topic: Topic,
    language: Annotated[str, typer.Option(metavar="L", help="Language of names, if there are several.")] = "en",
    contract: Annotated[
        str | None, typer.Option(metavar="C", help="Whose stations they are; by default the system's ID.")
    ] = None,
    header_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with headers, such as 'Authorization: Bearer …', for the URL's host."),
    ] = None,
    user_agent: Annotated[
        str, typer.Option(metavar="TEXT", help="Who polls, for feeds that want to know.")
    ] = "privacyplease-ingest",
    max_ttl: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Longest wait between two polls, whatever the feed's ttl.")
    ] = 86_400,
    interval: Interval = 60,
    kafka_config: KafkaConfig = None,
) -> None:
    """Poll the stations of a GBFS system. Reads versions 1.0 to 3.0, and polls no more often than its ttl allows.

    Headers are read from a file, never from the command line.

    Example: privacyplease ingest poll gbfs URL --bootstrap localhost:9092 --topic bikes
    """
    from privacyplease.ingest.feeds import Gbfs, JsonClient, SecretHeaders

    if contract is not None and (not contract.strip() or "/" in contract):
        raise typer.BadParameter('expected a name without "/"', param_hint="--contract")
    if not user_agent.isascii() or not user_agent.isprintable():
        raise typer.BadParameter("expected printable ASCII", param_hint="--user-agent")
    with reported_errors():
        headers = SecretHeaders.load(header_file, url) if header_file else None
        client = JsonClient(headers=headers, user_agent=user_agent)
        feed = Gbfs(client, url, language=language, contract=contract, max_ttl=max_ttl)
        _poll([feed], bootstrap, topic, interval, kafka_config)


def _poll(feeds: Sequence[Feed], bootstrap: str, topic: str, interval: float, kafka_config: Path | None) -> None:
    from privacyplease.ingest.feeds.polling import Pace, poll
    from privacyplease.ingest.kafka.broker import settings
    from privacyplease.ingest.kafka.producer import Producer
    from privacyplease.transport import log_format
    from privacyplease.transport.stop_signals import stop_on_signal

    log_format.configure(log_format.LogFormat.TEXT)
    with stop_on_signal() as stop, Producer(topic, settings(bootstrap, kafka_config)) as producer:
        poll(feeds, producer, stop=stop, pace=Pace(interval))


def register(group: typer.Typer) -> None:
    """Adds the commands `poll jcdecaux` and `poll gbfs`."""
    group.add_typer(app, name="poll")
