"""The consumer as a user starts it, and the progress of its group."""

from __future__ import annotations

from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from tests.services.daemon import Daemon
from tests.services.topics import watermarks, with_leader

_SECONDS = 30


class ConsumerProcess(Daemon):
    """`privacyplease ingest consume`.

    Args:
        folder: The folder of its log.
        proxy: The proxy's address.
        bootstrap: Kafka's address.
        topic: The topic to consume.
        flags: Further flags, such as `("--dataset", "bikes")`; the default is `wifi`, in the group `building`.
        name: The name of its log.
        certificates: The folder of its certificates; without, it connects in plaintext.
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
        defaults = [] if "--dataset" in flags else ["--dataset", "wifi"]
        defaults += [] if "--group" in flags else ["--group", GROUP]
        security = ["--certificates", str(certificates)] if certificates else ["--insecure"]
        command = ["-m", "privacyplease.cli", "--proxy", proxy, *security, "ingest", "consume"]
        super().__init__(name, [*command, "--bootstrap", bootstrap, "--topic", topic, *defaults, *flags], folder)


GROUP = "building"


class Progress:
    """How much of a topic a group has committed."""

    def __init__(self, bootstrap: str, topic: str, group: str = GROUP) -> None:
        self._topic = topic
        # One connection for all requests; it does not join the group.
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0})

    def behind(self) -> int:
        """How many messages of the topic the group has yet to commit."""
        metadata = self._consumer.list_topics(self._topic, timeout=_SECONDS).topics[self._topic]
        partitions = [TopicPartition(self._topic, partition) for partition in metadata.partitions]
        committed = with_leader(lambda: self._consumer.committed(partitions, timeout=_SECONDS))
        offsets = {each.partition: max(each.offset, 0) for each in committed}
        ends = {each.partition: watermarks(self._consumer, each)[1] for each in partitions}
        return sum(ends[partition] - offsets[partition] for partition in ends)

    def caught_up(self) -> bool:
        """Whether the group has committed all messages."""
        return self.behind() == 0
