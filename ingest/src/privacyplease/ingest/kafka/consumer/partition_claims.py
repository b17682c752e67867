"""Which partitions are assigned to us, and how far each may be committed. No Kafka, no thread, no clock.

Each assignment of a partition is a new claim. A partition that is revoked and assigned again is read again from its
committed offset, so a batch that was read under an earlier claim must not decide what is committed now.

>>> claims = PartitionClaims()
>>> claims.assign([0, 1])
>>> batch = MessageBatch([], ends={0: 10, 1: 20}, claims=claims.current({0, 1}))
>>> claims.revoke([1])
>>> claims.assign([1])
>>> claims.complete(batch)
>>> claims.uncommitted()
{0: 10}
"""

from collections.abc import Iterable, Mapping

from privacyplease.ingest.kafka.consumer.batch import MessageBatch

__all__ = ["PartitionClaims"]


class PartitionClaims:
    """The partitions of one group member."""

    def __init__(self) -> None:
        self._count = 0
        self._claims: dict[int, int] = {}
        self._done: dict[int, int] = {}
        self._committed: dict[int, int] = {}

    def assign(self, partitions: Iterable[int]) -> None:
        """Claims partitions that were assigned to us."""
        for partition in partitions:
            self._count += 1
            self._claims[partition] = self._count

    def revoke(self, partitions: Iterable[int]) -> None:
        """Ends the claims to partitions that are no longer assigned to us."""
        for partition in partitions:
            for offsets in (self._claims, self._done, self._committed):
                offsets.pop(partition, None)

    def current(self, partitions: Iterable[int]) -> dict[int, int]:
        """The claims to those of the partitions that are assigned to us."""
        return {partition: self._claims[partition] for partition in partitions if partition in self._claims}

    def complete(self, batch: MessageBatch) -> None:
        """Notes that a batch is durable; every earlier batch must be too."""
        for partition, claim in batch.claims.items():
            if self._claims.get(partition) == claim:
                self._done[partition] = batch.ends[partition]

    def uncommitted(self) -> dict[int, int]:
        """The offset to commit for each partition that has advanced since its last commit."""
        return {partition: end for partition, end in self._done.items() if self._committed.get(partition) != end}

    def commit_started(self, offsets: Mapping[int, int]) -> None:
        """Notes that a commit of these offsets was sent."""
        self._committed.update(offsets)

    def commit_failed(self, partitions: Iterable[int]) -> None:
        """Notes that a commit failed: it is due again."""
        for partition in partitions:
            self._committed.pop(partition, None)
