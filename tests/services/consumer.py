"""The consumer as a user starts it, and how far a group has come."""

from __future__ import annotations

from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from tests.services.daemon import Daemon
from tests.services.topics import answered, watermarks

_SECONDS = 30


class ConsumerProcess(Daemon):
    """`privacyplease ingest consume`.

    Args:
        folder: where its log goes.
        proxy: the proxy's address.
        bootstrap: Kafka's.
        topic: what to consume.
        flags: further flags, as `("--dataset", "bikes")`; by default it is `wifi`, in the group `building`.
        name: what its log is called.
        certificates: folder of what it shows the proxy; without, it speaks plaintext.
    """

    def __init__(
        self,
        folder: Path,
        proxy: str,
        bootstrap: str,
        topic: str,
        *flags: str,
        name: str = "consumer",
        certificates: Path | None = None,
    ) -> None:
        given = [] if "--dataset" in flags else ["--dataset", "wifi"]
        given += [] if "--group" in flags else ["--group", GROUP]
        security = ["--certificates", str(certificates)] if certificates else ["--insecure"]
        command = ["-m", "privacyplease.cli", "--proxy", proxy, *security, "ingest", "consume"]
        super().__init__(name, [*command, "--bootstrap", bootstrap, "--topic", topic, *given, *flags], folder)


GROUP = "building"


class Progress:
    """How far a group has come with a topic."""

    def __init__(self, bootstrap: str, topic: str, group: str = GROUP) -> None:
        self._topic = topic
        # One connection for all looks: it takes no part in the group, and goes with this object.
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0})

    def behind(self) -> int:
        """How many messages of the topic the group has not committed."""
        partitions = self._consumer.list_topics(self._topic, timeout=_SECONDS).topics[self._topic].partitions
        places = [TopicPartition(self._topic, partition) for partition in partitions]
        committed = answered(lambda: self._consumer.committed(places, timeout=_SECONDS))
        done = {each.partition: max(each.offset, 0) for each in committed}
        ends = {each.partition: watermarks(self._consumer, each)[1] for each in places}
        return sum(ends[partition] - done[partition] for partition in ends)

    def caught_up(self) -> bool:
        """Whether it has committed all."""
        return self.behind() == 0
